"""What ``generate`` makes of prompts, for checks. Imported only through ``LazyModule``: it needs torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import torch

from llada_core import values
from llada_core.generation import tensors
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.model import Model
from llada_core.generation.prompts import Limits
from llada_core.generation.signature import takes_mask
from llada_core.parameters import beside, parameters_of_row
from llada_core.testing.forwards import counted, most_forwards

if TYPE_CHECKING:
    from llada_core.testing.subject import Subject

__all__ = ["Decoded", "Runs", "generated", "made_up", "params_of", "params_on", "prompts_of", "runs_of"]

_SEED = 3
_GEN_LENGTH = 40  # more than a block of the default width, and no multiple of it
_PROMPT_LENGTHS = (5, 1, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """One call of ``generate`` on ``prompts`` and what it returned: ``output_ids [B, P+G]`` and the NFE.

    ``forwards`` are those of the network that were seen, of all rows together.
    """

    model: Model
    prompts: Sequence[Sequence[int]]
    given: torch.Tensor
    gen_length: int | None
    output_ids: torch.Tensor
    nfe: int
    forwards: int

    @property
    def width(self) -> int:
        return int(self.given.shape[1])

    @property
    def answers(self) -> list[tuple[int, ...]]:
        """The answers, each up to and with its first end token."""
        rows = tensors.answer_rows(self.output_ids, self.width)
        return [self.model.through_end(row) for row in rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class Runs:
    """All prompts in one call, and each in a call of its own."""

    batch: Decoded
    alone: tuple[Decoded, ...]

    @property
    def all(self) -> tuple[Decoded, ...]:
        return (self.batch, *self.alone)


def runs_of(subject: Subject) -> Runs:
    """What ``generate`` makes of the prompts of ``subject``: once of all, and once of each.

    Raises what ``generate`` raises, and ``AssertionError`` for what cannot be read at all.
    """
    model, rows, params = subject.model, prompts_of(subject), params_of(subject)
    batch = generated(subject.algorithm, model, rows, params)
    alone = [
        generated(subject.algorithm, model, [row], parameters_of_row(params, index))
        for index, row in enumerate(rows)
    ]
    return Runs(batch=batch, alone=tuple(alone))


def prompts_of(subject: Subject) -> Sequence[Sequence[int]]:
    """Its prompts: of one length where its ``generate`` is not told of padding."""
    model, given = subject.model, subject.prompts
    rows = made_up(model.limits, model.end_ids) if given is None else given
    if takes_mask(subject.algorithm.generate):
        return rows
    return _of_one_length(rows, made_up=given is None)


def params_of(subject: Subject) -> dict[str, Any]:
    """The parameters that it was given, by canonical name, with those that it needs on this network, a short
    ``gen_length`` and, as some draw at their defaults, a ``seed`` where it takes them."""
    declared = subject.algorithm.parameters
    names = {name: parameter.name for parameter in declared for name in parameter.names}
    given = {names.get(name, name): value for name, value in subject.params.items()}
    return params_on(subject.algorithm, subject.loaded, given, gen_length=_GEN_LENGTH, seed=_SEED)


def params_on(
    algorithm: GenerationAlgorithm,
    network: Any,
    given: Mapping[str, Any] = MappingProxyType({}),
    **where_taken: Any,
) -> dict[str, Any]:
    """The parameters of a call: what is ``given`` and what the algorithm needs besides on this network, and
    else those of ``where_taken`` that it takes."""
    declared = algorithm.parameters
    asked = beside(given, algorithm.parameters_on(network), declared)
    names = {each.name for each in declared}
    return {**{name: value for name, value in where_taken.items() if name in names}, **asked}


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


def generated(
    algorithm: GenerationAlgorithm,
    model: Model,
    prompts: Sequence[Sequence[int]],
    params: Mapping[str, Any],
    *,
    padding: int = 0,
) -> Decoded:
    """What ``generate`` makes of ``prompts``, with so many columns of padding more than they need.

    These hold the first id of a prompt, as only the mask tells what padding is. Raises ``Endless`` where the
    network is asked without an end.
    """
    device = getattr(model.network, "device", None)
    ids, mask = tensors.pad_left(prompts, model.pad_id, device)
    if padding:
        ids = torch.cat((ids.new_full((len(ids), padding), prompts[0][0]), ids), dim=1)
        mask = torch.cat((mask.new_zeros((len(ids), padding)), mask), dim=1)
    told = {"attention_mask": mask} if takes_mask(algorithm.generate) else {}
    gen_length = params.get("gen_length")
    with counted(model.network, most_forwards(_length(gen_length), rows=len(prompts))) as count:
        returned: object = algorithm.generate(model.network, ids.clone(), **told, **params)
    assert isinstance(returned, tuple | list) and len(returned) == 2, (  # noqa: PT018
        f"it returned {values.told(returned)}; its generate must return (output_ids, nfe)"
    )
    output_ids, nfe = returned
    found = Decoded(
        model=model,
        prompts=prompts,
        given=ids,
        gen_length=_length(gen_length),
        output_ids=output_ids,
        nfe=nfe,
        forwards=count.forwards,
    )
    assert isinstance(output_ids, torch.Tensor), (
        f"output_ids are a {type(output_ids).__name__}; return a tensor of int64"
    )
    return found


def _length(gen_length: object) -> int | None:
    return gen_length if isinstance(gen_length, int) else None
