"""What everything is compared with: one token a step, and which setting of which algorithm that is."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from llada_core import LoadedModel, registry
from llada_core.errors import AlgorithmUnavailable, IncompatibleAlgorithm, UsageError
from llada_core.parameters import block_count, called, parse_assignments
from llada_decoders.tuning.candidates import Candidate
from llada_decoders.tuning.grids import sets_the_pace
from llada_decoders.tuning.values import given_values

__all__ = ["BASELINES", "Baseline", "baseline_named", "baseline_of", "decoding"]

_REMEDY = "give --baseline 'NAME NAME=VALUE …', the algorithm and what makes it keep one token a step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """An algorithm, and the parameters at which it keeps one token a step.

    ``in_steps``: they are as many ``steps`` as all blocks have positions, the whole of the last one counted:
    of fewer, each block has its equal share, be it short or not.
    """

    algorithm: str
    parameters: Mapping[str, Any]
    in_steps: bool = False


BASELINES: tuple[Baseline, ...] = (
    Baseline(algorithm="basic", parameters={}, in_steps=True),  # without a cache
    Baseline(algorithm="dream", parameters={"alg": "entropy"}),  # in gen_length steps; the default is chance
    Baseline(algorithm="llada2", parameters={"threshold": None}),  # 32 steps a block of 32
    Baseline(algorithm="nemotron_block", parameters={"threshold": None}, in_steps=True),
    Baseline(algorithm="sdar", parameters={"remasking_strategy": "low_confidence_static"}),
)
"""The first that runs on a model is its baseline. Those of other wheels are names and nothing more."""


def baseline_named(text: str) -> Baseline:
    """The one that ``--baseline`` gives: a name and assignments. Raises ``UsageError``."""
    try:
        words = shlex.split(text)
    except ValueError as exc:
        raise UsageError(f"--baseline: {text!r} cannot be read ({exc}); {_REMEDY}") from exc
    if not words:
        raise UsageError(f"--baseline names no algorithm; {_REMEDY}")
    return Baseline(
        algorithm=registry.get_algorithm_info(words[0]).name, parameters=parse_assignments(words[1:])
    )


def baseline_of(lm: LoadedModel) -> Baseline:
    """The one that runs on the model. Raises ``UsageError`` where none does."""
    installed = registry.list_available_algorithms()
    for each in BASELINES:
        if each.algorithm in installed:
            with suppress(IncompatibleAlgorithm, AlgorithmUnavailable):  # on this model
                lm.algorithm(each.algorithm)
                return each
    raise UsageError(f"no setting of one token a step is known for this model; {_REMEDY}")


def decoding(baseline: Baseline, shared: Mapping[str, object]) -> Candidate:
    """The baseline with what all candidates are given alike and it takes: lengths and how tokens are drawn,
    not what decides how many tokens a step keeps, and nothing of several values. Raises ``ParameterError``.
    """
    info = registry.get_algorithm_info(baseline.algorithm)
    taken = {name: value for name, value in shared.items() if _holds(called(name, info.parameters))}
    values = given_values(info, taken)
    own = {name: value[0] for name, value in given_values(info, baseline.parameters).items()}
    alone = {name: tried[0] for name, tried in values.items() if len(tried) == 1}
    found = Candidate.checked(info.name, {**alone, **own})
    if not baseline.in_steps:
        return found
    steps = block_count(found.effective) * found.effective["block_length"]
    return Candidate.checked(info.name, {**found.parameters, "steps": steps})


def _holds(parameter: Any) -> bool:
    return parameter is not None and not sets_the_pace(parameter)
