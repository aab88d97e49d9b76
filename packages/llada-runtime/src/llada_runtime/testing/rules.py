"""Checks of a commit rule: what the loop relies on, whatever the rule chooses."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Ids
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llada_core.testing import NotRun, run_checks
from llada_core.testing.subject import Once
from llada_runtime.decoding.policies import NoCache
from llada_runtime.decoding.rules import Rule
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.testing.asked_again import ASKED_AGAIN, check_asked_again, judges_all
from llada_runtime.testing.networks import FakeConfig
from llada_runtime.testing.policies import state_of

__all__ = ["check_rule", "rule_checks"]

Make = Callable[[int], Sequence]
"""A new sequence of one block of this width, all masks, whose rule is the one that is checked."""


@dataclass(frozen=True, slots=True)
class _Case:
    """Rows as a rule meets them: sequences, their scores ``[R, L]`` and what is open."""

    sequences: list[Sequence]
    scores: Tensor
    open: Tensor

    def row(self, index: int, width: int) -> _Case:
        """One row alone, with padding up to ``width``."""
        one = slice(index, index + 1)
        return _Case(self.sequences[one], self.scores[one, :width], self.open[one, :width])


def check_rule(rule: Rule) -> tuple[str, ...]:
    """What was checked, where ``rule`` is what the loop relies on.

    Raises:
        ConformanceError: something does not hold. All failures are in it.
    """

    def make(width: int) -> Sequence:
        return Sequence(
            [1, 2], FakeConfig(), gen_length=width, block_length=width, policy=NoCache(), rule=rule
        )

    def row(network: Any, prompt: Ids[int], gen_length: int) -> Sequence:
        return Sequence(
            prompt,
            network.config,
            gen_length=gen_length,
            block_length=4,
            policy=NoCache(),
            rule=rule,
            early_stop=False,
            seed=3,
        )

    again = [(ASKED_AGAIN, lambda: check_asked_again([row]))] if judges_all(type(rule)) else []
    return run_checks(type(rule).__name__, (*rule_checks(make), *again))


def rule_checks(make: Make, *others: Make) -> Iterator[tuple[str, Callable[[], object]]]:
    """The checks of the rule of the sequences that ``make`` and the ``others``, by other parameters, make.

    Where it returns no choice, or another one each time, what relies on that is not run.
    """
    makes = (make, *others)
    gate: Once[None] | None = None
    for told, check in _OF_A_CASE.items():
        name = f"its rule {told}"
        once = Once(functools.partial(_after, gate, check, makes), of=name)
        yield name, once.check
        if check in _RELIED_ON:
            gate = once


def _after(gate: Once[None] | None, check: Callable[[_Case], None], makes: Ids[Make]) -> None:
    if gate is not None:
        gate.get()
    for seed in range(32):
        check(_case(makes, seed))


def _case(makes: Ids[Make], seed: int) -> _Case:
    """Up to five rows of random widths and parameters, of which some tokens stand already.

    Their rules are of one class, as those are that are asked together.
    """
    source = random.Random(seed)
    drawn = [
        (source.choice(makes), width)
        for width in (source.choice([1, 2, 5, 8]) for _ in range(source.randint(1, 5)))
    ]
    made = [make(width) for make, width in drawn]
    kept = [row for row, each in enumerate(made) if type(each.rule) is type(made[0].rule)]
    sequences, widths = [made[row] for row in kept], [drawn[row][1] for row in kept]
    scores = torch.full((len(widths), max(widths)), -torch.inf, dtype=torch.float64)
    for row, sequence in enumerate(sequences):
        start = sequence.block_start
        masks = [column - start for column in sequence.open_columns]
        standing = source.sample(masks, source.randrange(len(masks)))
        sequence.commit([start + offset for offset in sorted(standing)], [3] * len(standing))
        for offset in set(masks) - set(standing):
            # Ties and certainty are where rules differ from their authors' intent.
            scores[row, offset] = source.choice([source.random(), source.random(), 0.5, 1.0])
    return _Case(sequences, scores, scores > -torch.inf)


def _select(case: _Case) -> Tensor:
    with torch.inference_mode():
        return type(case.sequences[0].rule).select(case.sequences, case.scores, case.open)


def _returns_a_choice(case: _Case) -> None:
    kept = _select(case)
    wanted = f"bool {list(case.open.shape)}"
    assert kept.dtype == torch.bool, f"select returns {kept.dtype}; return {wanted}"
    assert kept.shape == case.open.shape, f"select returns {list(kept.shape)}; return {wanted}"


def _keeps_something(case: _Case) -> None:
    stuck = _stuck(case)
    while stuck and all(_may_wait(case.sequences[row]) for row in stuck):
        for row in stuck:
            case.sequences[row].commit([], [])  # a forward that fills nothing
        stuck = _stuck(case)
    assert not stuck, (
        f"of scores {case.scores[stuck[0]].tolist()} nothing is kept, and the row would never end; "
        "keep one open position at least, as BestFirst does"
    )


def _stuck(case: _Case) -> list[int]:
    """Rows of which nothing is kept."""
    return (~(_select(case) & case.open).any(-1)).nonzero()[:, 0].tolist()


def _may_wait(sequence: Sequence) -> bool:
    """Whether a further forward may fill nothing: the one that exceeds the limit ends the row."""
    return getattr(sequence.rule, "idles", False) and sequence.idle < sequence.idle_limit


def _keeps_open_ones(case: _Case) -> None:
    assert not (_select(case) & ~case.open).any(), (
        "a position is kept that is not open: a token stands there, or it is beyond a shorter row; "
        "and the choice with open_"
    )


def _changes_nothing(case: _Case) -> None:
    scores, open_ = case.scores.clone(), case.open.clone()
    states = [state_of(sequence) for sequence in case.sequences]
    first = _select(case)
    same = torch.equal(case.scores, scores) and torch.equal(case.open, open_)
    assert same, "select changes its scores or open_ in place; work on a copy"
    assert [state_of(sequence) for sequence in case.sequences] == states, (
        "select changes a sequence: its canvas, its counters, or what its policy or rule keeps; remember in "
        "revoke, replace or after, where there is something to remember"
    )
    assert torch.equal(_select(case), first), (
        "asked again it chooses others; keep no state outside rule_state"
    )


def _rows_are_alone(case: _Case) -> None:
    together, widest = _select(case), case.open.shape[-1]
    for row in range(len(case.sequences)):
        assert torch.equal(_select(case.row(row, widest))[0], together[row]), (
            "a row is chosen for differently beside others than alone; let each row of the tensors be its "
            "own, and parameters give each row what its own rule says"
        )


def _padding_is_nothing(case: _Case) -> None:
    widest = case.open.shape[-1]
    for row, sequence in enumerate(case.sequences):
        width = sequence.block_end - sequence.block_start
        padded = _select(case.row(row, widest))[0, :width]
        assert torch.equal(_select(case.row(row, width))[0], padded), (
            "a row is chosen for differently where it is padded; look at open positions only"
        )


def _is_of_any_device(case: _Case) -> None:
    """On a GPU where there is one; else on torch's ``meta``, which finds tensors that were made elsewhere."""
    device = torch.device("cuda" if torch.cuda.is_available() else "meta")
    try:
        kept = _select(_Case(case.sequences, case.scores.to(device), case.open.to(device)))
    except (NotImplementedError, RuntimeError) as exc:
        if device.type == "meta" and (isinstance(exc, NotImplementedError) or "device" not in str(exc)):
            raise NotRun("it reads values, so that only a GPU can tell; check it where there is one") from exc
        raise AssertionError(f"on {device} it raises: {exc}; make tensors on the device of scores") from exc
    assert kept.device.type == device.type, f"it answers on {kept.device}, asked on {device}"


_OF_A_CASE: dict[str, Callable[[_Case], None]] = {
    "returns a choice, bool [R, L]": _returns_a_choice,
    "keeps an open position of every row": _keeps_something,
    "keeps nothing that is not open": _keeps_open_ones,
    "changes nothing when it chooses": _changes_nothing,
    "chooses for each row as if it were alone": _rows_are_alone,
    "chooses the same whatever the padding": _padding_is_nothing,
    "works on any device": _is_of_any_device,
}
_RELIED_ON = (_returns_a_choice, _changes_nothing)
