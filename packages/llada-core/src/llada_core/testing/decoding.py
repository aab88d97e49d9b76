"""What holds of every ``generate``. Imported only through ``LazyModule``: it needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from llada_core.errors import ParameterError
from llada_core.faults import fault_of, one_line
from llada_core.generation import tensors
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.model import Model
from llada_core.generation.prompts import Limits
from llada_core.generation.signature import takes_mask
from llada_core.parameters import parameters_of_row
from llada_core.testing.checks import NotRun

if TYPE_CHECKING:
    from llada_core.testing.subject import Subject

__all__ = ["Decoded", "check_runs", "decoded", "generation_checks", "made_up", "params_of", "prompts_of", "runs_of"]

_GEN_LENGTH = 40  # more than a block of the default width, and no multiple of it
_PROMPT_LENGTHS = (5, 1, 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
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
    batch = decoded(subject.algorithm, model, rows, params)
    alone = [
        decoded(subject.algorithm, model, [row], parameters_of_row(params, index))
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
    """The parameters that it was given, by canonical name, with a short ``gen_length`` where it takes one."""
    declared = subject.algorithm.parameters
    names = {name: parameter.name for parameter in declared for name in parameter.names}
    params = {names.get(name, name): value for name, value in subject.params.items()}
    if "gen_length" in names:
        params.setdefault("gen_length", _GEN_LENGTH)
    return params


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


def decoded(
    algorithm: GenerationAlgorithm,
    model: Model,
    prompts: Sequence[Sequence[int]],
    params: Mapping[str, Any],
    *,
    padding: int = 0,
) -> Decoded:
    """What ``generate`` makes of ``prompts``, with so many columns of padding more than they need: of the ids of
    the first prompt, as only the mask tells what padding is."""
    device = getattr(model.network, "device", None)
    ids, mask = tensors.pad_left(prompts, model.pad_id, device)
    if padding:
        ids = torch.cat((ids.new_full((len(ids), padding), prompts[0][0]), ids), dim=1)
        mask = torch.cat((mask.new_zeros((len(ids), padding)), mask), dim=1)
    told = {"attention_mask": mask} if takes_mask(algorithm.generate) else {}
    output_ids, nfe = algorithm.generate(model.network, ids.clone(), **told, **params)
    gen_length = params.get("gen_length")
    found = Decoded(
        model=model,
        prompts=prompts,
        given=ids,
        gen_length=gen_length if isinstance(gen_length, int) else None,
        output_ids=output_ids,
        nfe=nfe,
    )
    assert isinstance(output_ids, torch.Tensor), (
        f"output_ids are a {type(output_ids).__name__}; return a tensor of int64"
    )
    return found


def generation_checks(subject: Subject) -> Iterator[tuple[str, Callable[[], object]]]:
    """The checks of what ``generate`` returns."""
    yield "it loads its model", lambda: _loads(subject)
    yield "it generates", lambda: _generates(subject)
    for name, check in _OF_A_RUN.items():
        yield name, lambda check=check: [check(run) for run in _runs(subject).all]  # type: ignore[misc]
    yield "a batch is its rows alone", lambda: _is_its_rows(_shaped(subject))
    yield "a batch takes as many forwards as its slowest row", lambda: _counts_the_slowest(_counted(subject))
    yield "padding is neutral", lambda: _ignores_padding(subject)
    yield "generate refuses what it does not take", lambda: _refuses(subject)


def check_runs(subject: Subject) -> None:
    """Check all that holds of what ``generate`` returned. What is asked after it relies on that."""
    runs = _runs(subject)
    for check in _OF_A_RUN.values():
        for run in runs.all:
            check(run)
    _is_its_rows(runs)
    _counts_the_slowest(runs)


def _loads(subject: Subject) -> None:
    subject.loading.check()


def _generates(subject: Subject) -> None:
    subject.model  # noqa: B018  # raises NotRun where there is none
    try:
        subject.deciding.check()
    except NotRun:
        raise
    except AssertionError:
        raise
    except Exception as exc:
        remedy = "mend it, or give model= and prompts= that it takes"
        raise AssertionError(f"{one_line(fault_of(exc))}; {remedy}") from exc


def _runs(subject: Subject) -> Runs:
    return subject.deciding.get()


def _shaped(subject: Subject) -> Runs:
    """Its runs, where they can be cut into rows. Raises ``NotRun``."""
    runs = _runs(subject)
    for run in runs.all:
        if run.output_ids.dim() != 2 or len(run.output_ids) != len(run.prompts):
            raise NotRun("it needs what failed: generate returns int64 [B, P+G]")
    return runs


def _counted(subject: Subject) -> Runs:
    runs = _runs(subject)
    if any(type(run.nfe) is not int for run in runs.all):
        raise NotRun("it needs what failed: an answer takes one forward at least")
    return runs


def _has_its_shape(run: Decoded) -> None:
    shape, dtype = list(run.output_ids.shape), run.output_ids.dtype
    assert dtype == torch.int64, f"output_ids are {dtype}; return token ids as int64"
    answer = "G" if run.gen_length is None else str(run.gen_length)
    wanted = f"[{len(run.prompts)}, {run.width} + {answer}]"
    advice = f"output_ids have shape {shape}; return {wanted}, prompt columns included"
    assert len(shape) == 2, advice
    assert shape[0] == len(run.prompts), advice
    assert shape[1] > run.width, advice
    assert run.gen_length is None or shape[1] == run.width + run.gen_length, advice


def _keeps_its_prompt(run: Decoded) -> None:
    same = torch.equal(run.output_ids[..., : run.width].to(run.given), run.given.reshape_as(_prompt_of(run)))
    assert same, "the first P columns differ from the prompt; return it as it was given, padding included"


def _prompt_of(run: Decoded) -> torch.Tensor:
    columns = run.output_ids[..., : run.width]
    if columns.numel() != run.given.numel():
        raise NotRun("it needs what failed: generate returns int64 [B, P+G]")
    return columns


def _is_of_the_vocabulary(run: Decoded) -> None:
    size = run.model.limits.vocab_size
    for token in {token for answer in _rows(run) for token in answer}:
        assert token >= 0, f"its answer has the id {token}; return ids from 0 on"
        assert size is None or token < size, (
            f"its answer has the id {token}, and the model's vocabulary ends at {size - 1}; keep to it"
        )


def _counts(run: Decoded) -> None:
    assert type(run.nfe) is int, f"nfe is a {type(run.nfe).__name__}; return an int"
    assert run.nfe >= 1, f"nfe is {run.nfe}; count every forward of the network"


def _ends(run: Decoded) -> None:
    length = run.output_ids.shape[-1] - run.width
    most = 8 * length + 64
    assert not isinstance(run.nfe, int) or run.nfe <= most, (
        f"it took {run.nfe} forwards for {length} tokens, more than eight each and 64; let each keep something"
    )


def _leaves_no_mask(run: Decoded) -> None:
    mask = run.model.limits.mask_id
    for index, answer in enumerate(_rows(run)):
        assert mask not in run.model.through_end(answer), (
            f"row {index} of {len(run.prompts)} has the mask token (id {mask}) in its answer; "
            "fill every position before the end token"
        )


def _rows(run: Decoded) -> list[list[int]]:
    return tensors.answer_rows(run.output_ids, run.width)


_OF_A_RUN: dict[str, Callable[[Decoded], None]] = {
    "generate returns int64 [B, P+G]": _has_its_shape,
    "the prompt comes back unchanged": _keeps_its_prompt,
    "every id is of the vocabulary": _is_of_the_vocabulary,
    "no mask is left": _leaves_no_mask,
    "an answer takes one forward at least": _counts,
    "it ends within a bounded number of forwards": _ends,
}


def _is_its_rows(runs: Runs) -> None:
    for index, (one, other) in enumerate(zip(runs.batch.answers, runs.alone, strict=True)):
        assert one == other.answers[0], (
            f"row {index} has another answer in a batch of {len(runs.alone)} than alone; hide padding "
            "(attention_mask 0) from the network, and let nothing of a row depend on its neighbours"
        )


def _counts_the_slowest(runs: Runs) -> None:
    slowest = max(run.nfe for run in runs.alone)
    assert runs.batch.nfe == slowest, (
        f"nfe is {runs.batch.nfe} for the batch and at most {slowest} for its rows alone; "
        "return the largest of the rows' counts"
    )


def _ignores_padding(subject: Subject) -> None:
    runs = _shaped(subject)
    if not takes_mask(subject.algorithm.generate):
        raise NotRun("its generate names no attention_mask, so that nothing is padded for it")
    shortest = min(runs.alone, key=lambda run: run.width)
    row = runs.alone.index(shortest)
    params = parameters_of_row(params_of(subject), row)
    padded = decoded(subject.algorithm, subject.model, shortest.prompts, params, padding=7)
    assert padded.answers == shortest.answers, (
        "seven columns of padding before a prompt change its answer; hide columns of attention_mask 0 from the "
        "network, and count positions without them"
    )


def _refuses(subject: Subject) -> None:
    model, algorithm = subject.model, subject.algorithm
    try:
        decoded(algorithm, model, [prompts_of(subject)[0]], {**params_of(subject), "no_such_parameter": 1})
    except (ParameterError, TypeError):
        return
    raise AssertionError(
        "generate takes no_such_parameter=1; begin it with values = self.validate_args(**params), or name "
        "what it takes"
    )
