"""What holds of every ``generate``. Imported only through ``LazyModule``: it needs torch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from llada_core.generation import tensors
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.model import Model
from llada_core.generation.prompts import Limits
from llada_core.generation.signature import takes_mask
from llada_core.parameters import parameters_of_row

__all__ = ["checks"]

_GEN_LENGTH = 40  # more than a block of the default width, and no multiple of it
_PROMPT_LENGTHS = (5, 1, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One call of ``generate`` on ``prompts`` and what it returned: ``output_ids [B, P+G]`` and the NFE."""

    model: Model
    prompts: Sequence[Sequence[int]]
    given: torch.Tensor
    gen_length: int | None
    output_ids: torch.Tensor
    nfe: int

    @property
    def width(self) -> int:
        return int(self.given.shape[1])


def checks(
    algorithm: GenerationAlgorithm,
    network: Any,
    prompts: Sequence[Sequence[int]] | None,
    params: Mapping[str, Any],
) -> Iterator[tuple[str, Callable[[], object]]]:
    """The checks of ``algorithm`` on ``network``. Generates once for all ``prompts`` and once for each."""
    model = Model.of(network, algorithm.tokenizer)
    rows = made_up(model.limits, model.end_ids) if prompts is None else prompts
    if not takes_mask(algorithm.generate):
        rows = _of_one_length(rows, made_up=prompts is None)
    params = _canonical(algorithm, params)
    if any(parameter.name == "gen_length" for parameter in algorithm.parameters):
        params.setdefault("gen_length", _GEN_LENGTH)
    batch = _run(algorithm, model, rows, params)
    alone = [
        _run(algorithm, model, [row], parameters_of_row(params, index)) for index, row in enumerate(rows)
    ]
    for name, check in _OF_A_RUN.items():
        yield name, functools.partial(_each, check, (batch, *alone))
    yield "a batch is its rows alone", lambda: _is_its_rows(batch, alone)
    yield "a batch takes as many forwards as its slowest row", lambda: _counts_the_slowest(batch, alone)


def _of_one_length(rows: Sequence[Sequence[int]], *, made_up: bool) -> Sequence[Sequence[int]]:
    """Prompts that can share a call of a ``generate`` which is not told of padding."""
    shortest = max(2, min(len(row) for row in rows)) if made_up else min(len(row) for row in rows)
    short = [list(row[:shortest]) for row in rows if len(row) >= shortest]
    assert made_up or short == [list(row) for row in rows], (
        "its generate names no attention_mask, so that only prompts of one length share a call; "
        "give such ones"
    )
    return short


def made_up(limits: Limits, end_ids: frozenset[int]) -> list[list[int]]:
    """Three prompts of different lengths, without the mask and without an end."""
    taken = {limits.mask_id, *end_ids}
    usable = [token for token in range(min(limits.vocab_size or 64, 64)) if token not in taken]
    return [
        [usable[(7 * column + 3 * row + 1) % len(usable)] for column in range(length)]
        for row, length in enumerate(_PROMPT_LENGTHS)
    ]


def _canonical(algorithm: GenerationAlgorithm, params: Mapping[str, Any]) -> dict[str, Any]:
    names = {name: parameter.name for parameter in algorithm.parameters for name in parameter.names}
    return {names.get(name, name): value for name, value in params.items()}


def _run(
    algorithm: GenerationAlgorithm, model: Model, prompts: Sequence[Sequence[int]], params: Mapping[str, Any]
) -> _Run:
    device = getattr(model.network, "device", None)
    ids, mask = tensors.pad_left(prompts, model.pad_id, device)
    told = {"attention_mask": mask} if takes_mask(algorithm.generate) else {}
    output_ids, nfe = algorithm.generate(model.network, ids.clone(), **told, **params)
    gen_length = params.get("gen_length")
    return _Run(
        model=model,
        prompts=prompts,
        given=ids,
        gen_length=gen_length if isinstance(gen_length, int) else None,
        output_ids=output_ids,
        nfe=nfe,
    )


def _has_its_shape(run: _Run) -> None:
    shape, dtype = list(run.output_ids.shape), run.output_ids.dtype
    assert dtype == torch.int64, f"output_ids are {dtype}; return token ids as int64"
    answer = "G" if run.gen_length is None else str(run.gen_length)
    wanted = f"[{len(run.prompts)}, {run.width} + {answer}]"
    advice = f"output_ids have shape {shape}; return {wanted}, prompt columns included"
    assert len(shape) == 2, advice
    assert shape[0] == len(run.prompts), advice
    assert shape[1] > run.width, advice
    assert run.gen_length is None or shape[1] == run.width + run.gen_length, advice


def _keeps_its_prompt(run: _Run) -> None:
    same = torch.equal(run.output_ids[:, : run.width], run.given)
    assert same, "the first P columns differ from the prompt; return it as it was given, padding included"


def _counts(run: _Run) -> None:
    assert type(run.nfe) is int, f"nfe is a {type(run.nfe).__name__}; return an int"
    assert run.nfe >= 1, f"nfe is {run.nfe}; count every forward of the network"


def _leaves_no_mask(run: _Run) -> None:
    mask = run.model.limits.mask_id
    for index, answer in enumerate(_answers(run)):
        assert mask not in run.model.through_end(answer), (
            f"row {index} of {len(run.prompts)} has the mask token (id {mask}) in its answer; "
            "fill every position before the end token"
        )


def _is_its_rows(batch: _Run, alone: Sequence[_Run]) -> None:
    together, single = _answers(batch), [_answers(run)[0] for run in alone]
    for index, (one, other) in enumerate(zip(together, single, strict=True)):
        assert batch.model.through_end(one) == batch.model.through_end(other), (
            f"row {index} has another answer in a batch of {len(alone)} than alone; hide padding "
            "(attention_mask 0) from the network, and let nothing of a row depend on its neighbours"
        )


def _counts_the_slowest(batch: _Run, alone: Sequence[_Run]) -> None:
    slowest = max(run.nfe for run in alone)
    assert batch.nfe == slowest, (
        f"nfe is {batch.nfe} for the batch and at most {slowest} for its rows alone; "
        "return the largest of the rows' counts"
    )


def _each(check: Callable[[_Run], None], runs: Sequence[_Run]) -> None:
    for run in runs:
        check(run)


_OF_A_RUN: dict[str, Callable[[_Run], None]] = {
    "generate returns int64 [B, P+G]": _has_its_shape,
    "the prompt comes back unchanged": _keeps_its_prompt,
    "an answer takes one forward at least": _counts,
    "no mask is left": _leaves_no_mask,
}


def _answers(run: _Run) -> list[list[int]]:
    return tensors.answer_rows(run.output_ids, run.width)
