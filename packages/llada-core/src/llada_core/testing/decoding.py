"""What holds of every ``generate``. Imported only through ``LazyModule``: it needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch

from llada_core.errors import ParameterError
from llada_core.faults import fault_of, one_line
from llada_core.generation import tensors
from llada_core.generation.signature import takes_mask
from llada_core.parameters import parameters_of_row
from llada_core.testing.checks import NotRun
from llada_core.testing.forwards import ENDS, Endless, most_forwards
from llada_core.testing.runs import Decoded, Runs, generated, params_of, prompts_of

if TYPE_CHECKING:
    from llada_core.testing.subject import Subject

__all__ = ["check_runs", "generation_checks"]


def generation_checks(subject: Subject) -> Iterator[tuple[str, Callable[[], object]]]:
    """The checks of what ``generate`` returns."""
    yield "it loads its model", lambda: _loads(subject)
    yield "it generates", lambda: _generates(subject)
    for name, check in _OF_A_RUN.items():
        yield name, lambda check=check: [check(run) for run in _runs(subject).all]  # type: ignore[misc]
    yield ENDS, lambda: _comes_to_an_end(subject)
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
    for run in runs.all:
        _ends(run)
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
    except Endless:
        subject.deciding.get()
    except AssertionError:
        raise
    except Exception as exc:
        remedy = "mend it, or give model= and prompts= that it takes"
        raise AssertionError(f"{one_line(fault_of(exc))}; {remedy}") from exc


def _runs(subject: Subject) -> Runs:
    runs: Runs = subject.deciding.get()
    return runs


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
    answer = "G" if run.gen_length is None else f"at most {run.gen_length}"
    wanted = f"[{len(run.prompts)}, {run.width} + {answer}]"
    advice = f"output_ids have shape {shape}; return {wanted}, prompt columns included"
    assert len(shape) == 2, advice
    assert shape[0] == len(run.prompts), advice
    assert shape[1] > run.width, advice
    assert run.gen_length is None or shape[1] <= run.width + run.gen_length, advice


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
    length = run.output_ids.shape[-1] - run.width if run.gen_length is None else run.gen_length
    if not isinstance(run.nfe, int):
        return
    assert run.nfe <= most_forwards(length), (
        f"it took {run.nfe} forwards for {length} tokens, more than eight each and 64; let each "
        "keep something"
    )
    assert run.forwards <= run.nfe * len(run.prompts), (
        f"it asked its network {run.forwards} times for {len(run.prompts)} rows and says that nfe is "
        f"{run.nfe}; count every forward of the row that takes most"
    )


def _comes_to_an_end(subject: Subject) -> None:
    try:
        runs = subject.deciding.check()
    except Endless:
        raise
    except Exception:
        runs = _runs(subject)
    for run in runs.all:
        _ends(run)
    if not any(run.forwards for run in runs.all):
        raise NotRun(
            "its network is asked by neither logits nor forward: nobody but itself can count its forwards"
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
    padded = generated(subject.algorithm, subject.model, shortest.prompts, params, padding=7)
    assert padded.answers == shortest.answers, (
        "seven columns of padding before a prompt change its answer; hide columns of attention_mask 0 from "
        "the network, and count positions without them"
    )


def _refuses(subject: Subject) -> None:
    model, algorithm = subject.model, subject.algorithm
    subject.deciding.get()  # what raises at all times refuses nothing
    try:
        generated(algorithm, model, [prompts_of(subject)[0]], {**params_of(subject), "no_such_parameter": 1})
    except ParameterError:
        return
    except Exception as exc:
        if isinstance(exc, TypeError) and "no_such_parameter" in str(exc):
            return  # as Python refuses a keyword
        told = f"given no_such_parameter=1 generate raises {one_line(fault_of(exc))}"
        raise AssertionError(f"{told}; let it raise ParameterError, as validate_args does") from exc
    raise AssertionError(
        "generate takes no_such_parameter=1; begin it with values = self.validate_args(**params), or name "
        "what it takes"
    )
