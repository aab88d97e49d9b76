"""Both sides in one process, turn by turn: ``python -P -m llada_dev.verify.upstream.worker``.

A job comes as JSON on stdin, and what was found goes as JSON to stdout; all that anybody prints goes to
stderr. It is a process of its own, so that whoever runs ``llada verify`` imports nothing of upstream.
"""

from __future__ import annotations

import importlib
import json
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from llada_core import GenerationRequest, LladaError, UsageError, get_algorithm, load_model
from llada_core.checkpoints import resolve_model
from llada_core.cli.diversion import answers_alone
from llada_core.cli.prompts import Entry
from llada_core.cli.settings import Setting
from llada_core.faults import fault_of, one_line
from llada_core.generation.model import Model
from llada_core.loading import LoadedModel, Session
from llada_dev.verify.differences import agreement, first_difference
from llada_dev.verify.opening import Asked, completed, ids_of
from llada_dev.verify.promises import Conditions
from llada_dev.verify.prompts import prompts_or_own
from llada_dev.verify.upstream.weights import Decode, fields_of

__all__ = ["main"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """An answer of ours: the whole canvas, and the forwards of each block."""

    canvas: list[int]
    nfe: int
    forwards_of_blocks: tuple[int, ...]


def main() -> None:
    """Read a job, run it, and write what was found: ``{"found": …}``, or ``{"error": …, "is_usage": …}``."""
    job = json.load(sys.stdin)
    with answers_alone():
        try:
            told: dict[str, Any] = {"found": _run(job)}
        except LladaError as exc:
            told = {"error": str(exc), "is_usage": isinstance(exc, UsageError)}
    print(json.dumps(told))


def _run(job: dict[str, Any]) -> dict[str, Any]:
    with load_model(job["model"], **job["options"]) as lm:
        conditions = Conditions.of(lm.model.network)
        revision = job["options"]["revision"]
        side = _Upstream(job, resolve_model(lm.model.path, revision=revision), lm.model.network)
        given = None if job["prompts"] is None else [Entry(**each) for each in job["prompts"]]
        asked, prompts = Asked(**job["asked"]), prompts_or_own(lm.model, given, job["asked"]["seed"])
        ours = _Ours(lm.model.network, end=side.fields["eos_token_id"])
        settings = [Setting(**setting) for setting in job["settings"]]
        certificates = [
            _certificate(lm, ours, side, each, prompts, asked, job["repeat"]) for each in settings
        ]
    return {"conditions": asdict(conditions), "prompts": len(prompts), "certificates": certificates}


class _Ours:
    """Our side. Its answers end at the one token that upstream knows, whatever else the checkpoint declares.

    So it is without the tokenizer, which may declare others.
    """

    def __init__(self, network: Any, *, end: int) -> None:
        network.end_tokens = tuple(token for token in network.end_tokens if token.id == end)
        self.model = Model.of(network, None)

    def answer(self, name: str, row: Sequence[int], parameters: dict[str, Any]) -> _Answer:
        """The row alone, by the algorithm of this name. Raises what it fails with."""
        algorithm, request = get_algorithm(name), GenerationRequest(prompt=list(row), parameters=parameters)
        with Session(self.model, lambda each, at: algorithm.prepare(self.model, each, index=at)) as session:
            ticket = session.submit(request)
            blocks = Counter(step.block for step in session)
        if ticket.error is not None:
            raise ticket.error
        mask = self.model.limits.mask_id
        assert mask is not None, "a network that fills masks has one"
        answer = [mask if token is None else token for token in ticket.canvas]
        return _Answer(canvas=[*row, *answer], nfe=ticket.nfe, forwards_of_blocks=tuple(blocks.values()))


class _Upstream:
    """The published side: its network, with the checkpoint's weights, on the device and in the dtype of
    ours."""

    def __init__(self, job: dict[str, Any], folder: Path, ours: Any) -> None:
        self.code, self.checkout = importlib.import_module(job["module"]), Path(job["checkout"])
        self.fields, self.device = fields_of(folder), ours.device
        self.network = self.code.network(self.checkout, folder, device=ours.device, dtype=ours.dtype)

    def decoder(self, name: str, parameters: dict[str, Any]) -> Decode:
        found: Decode = self.code.decoder(self.checkout, name, self.network, self.fields, parameters)
        return found

    def answer(self, canvas: list[int], prompt: Sequence[int]) -> list[int]:
        """What is compared of a canvas."""
        compared: list[int] = self.code.comparable(canvas[len(prompt) :], self.fields)
        return compared


def _certificate(
    lm: LoadedModel,
    us: _Ours,
    side: _Upstream,
    setting: Setting,
    prompts: Sequence[Entry],
    asked: Asked,
    repeat: int,
) -> dict[str, Any]:
    """What is found of one setting; ``error`` says why upstream gave no answers."""
    algorithm = lm.algorithm(setting.algorithm)
    given = {**side.code.EQUAL_WORK, **completed(algorithm.parameters, setting.parameters, asked)}
    effective = algorithm.validate_args(**given)
    rows = [ids_of(lm, algorithm, prompt, given, asked) for prompt in prompts]
    decode = side.decoder(algorithm.name, effective)
    tensors = [torch.tensor([row], device=side.device) for row in rows]
    run_ours = partial(_each, partial(us.answer, algorithm.name, parameters=given), rows)
    run_theirs = partial(_each, decode, tensors)
    ours = run_ours()
    try:
        theirs = run_theirs()
    except BaseException as exc:  # it is another project's code
        return {"error": one_line(fault_of(exc))}
    seconds, upstream_seconds = _medians(run_ours, run_theirs, repeat)
    return {
        "error": None,
        **_equality(side, algorithm.name, rows, ours, theirs),
        "seconds": seconds,
        "upstream_seconds": upstream_seconds,
        "parameters": {name: value for name, value in effective.items() if value is not None},
    }


def _equality(
    side: _Upstream,
    name: str,
    rows: Sequence[Sequence[int]],
    ours: Sequence[_Answer],
    theirs: Sequence[tuple[list[int], int]],
) -> dict[str, Any]:
    found = [side.answer(each.canvas, row) for each, row in zip(ours, rows, strict=True)]
    expected = [side.answer(canvas, row) for (canvas, _), row in zip(theirs, rows, strict=True)]
    difference = first_difference(found, expected)
    more = [side.code.surplus(side.checkout, name, each.forwards_of_blocks) for each in ours]
    return {
        "answers": len(rows),
        "equal": sum(one == other for one, other in zip(found, expected, strict=True)),
        "agreement": agreement(found, expected),
        "difference": None if difference is None else asdict(difference),
        "nfe": sum(each.nfe for each in ours),
        "upstream_nfe": sum(nfe for _, nfe in theirs),
        "surplus": sum(more),
    }


def _each(decode: Callable[[Any], Any], prompts: Sequence[Any]) -> list[Any]:
    return [decode(prompt) for prompt in prompts]


def _medians(ours: Callable[[], object], theirs: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Seconds of both, run in turn."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeat):
        for run, times in zip((ours, theirs), taken, strict=True):
            began = time.perf_counter()
            run()
            times.append(time.perf_counter() - began)
    return statistics.median(taken[0]), statistics.median(taken[1])


if __name__ == "__main__":
    main()
