"""The cases of a call: which algorithms are checked on a model, with which prompts and parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llada_core import GenerationRequest, PromptError, UsageError
from llada_core.cli.prompts import Entry
from llada_core.cli.settings import Setting, labels
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.loading import LoadedModel, call_on, check_call
from llada_core.parameters import Parameter, called, parameters_of_row, value_of
from llada_dev.verify.findings import Finding
from llada_dev.verify.rows import Case, Replays, Row, decoded

__all__ = ["GEN_LENGTH", "Asked", "cases_of", "completed", "ids_of", "settings_on"]

GEN_LENGTH = 64
"""Tokens of an answer where nobody says how many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a call says of all algorithms: ``gen_length`` None is `GEN_LENGTH` where they take one."""

    gen_length: int | None
    seed: int
    raw: bool


def settings_on(lm: LoadedModel, settings: Sequence[Setting]) -> tuple[list[Setting], list[Finding]]:
    """The settings of a call with each algorithm by name; without names, all that run on this model.

    With them come findings of those that cannot. Raises ``ParameterError`` for parameters that one of them
    does not take.
    """
    if settings[0].algorithm is not None:
        return list(settings), []
    able = lm.algorithms()
    unable = [Finding.not_run("decodes", name, why) for name, why in able.items() if why is not None]
    given = settings[0].parameters
    found = [
        Setting(algorithm=name, parameters=call_on(lm, name, given))
        for name, why in able.items()
        if why is None
    ]
    if not found:
        raise UsageError(f"no algorithm runs on {lm.model.path}; llada algorithms says why")
    for name, why in able.items():
        if why is None:
            check_call(name, given)
    return found, unable


def cases_of(
    lm: LoadedModel, settings: Sequence[Setting], prompts: Sequence[Entry], asked: Asked
) -> list[Case]:
    """A case for each setting, its rows decoded alone.

    Raises ``UsageError`` and what is its kind for parameters and prompts that can never run, and
    ``TokenizerMissing``.
    """
    cases = []
    for setting, label in zip(settings, labels(settings), strict=True):
        algorithm = lm.algorithm(setting.algorithm)
        params = completed(algorithm.parameters, setting.parameters, asked)
        rows = tuple(
            Row(
                algorithm=algorithm.name,
                prompt_ids=ids_of(lm, algorithm, prompt, params, asked),
                parameters=parameters_of_row(params, at),
            )
            for at, prompt in enumerate(prompts)
        )
        before = Replays.of(lm.model.network)
        alone = decoded(lm, rows, together=1)
        replays = Replays.of(lm.model.network).since(before)
        cases.append(Case(algorithm=algorithm, label=label, rows=rows, alone=alone, replays=replays))
    return cases


def completed(declared: Sequence[Parameter], given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
    """``given`` with the length and the seed of the call, where the algorithm takes them.

    Raises ``UsageError`` where the length is given in two ways.
    """
    params = dict(given)
    length = called("gen_length", declared)
    written = None if length is None else next((name for name in length.names if name in given), None)
    if written is not None and asked.gen_length is not None:
        raise UsageError(f"{written} is given by -p and by --gen-length; give it once")
    if length is not None and written is None:
        params["gen_length"] = GEN_LENGTH if asked.gen_length is None else asked.gen_length
    if called("seed", declared) is not None and value_of("seed", given, declared) is None:
        params["seed"] = asked.seed
    return params


def ids_of(
    lm: LoadedModel, algorithm: GenerationAlgorithm, entry: Entry, params: Mapping[str, Any], asked: Asked
) -> tuple[int, ...]:
    """The prompt as this algorithm reads it: a chat template may look at its parameters. Raises
    ``PromptError``, with where it stands."""
    raw = asked.raw and isinstance(entry.prompt, str)
    request = GenerationRequest(prompt=entry.prompt, raw=raw, parameters=params)
    with PromptError.placed(entry.source):
        return tuple(algorithm.prepare(lm.model, request).prompt_ids)
