"""What a policy does to the logits that it combines is seen by nobody else."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from llada_runtime import Canvases, LLaDAModel, NoCache, Plan, Policy, Sequence
from llada_runtime.decoding.combining import hand_out
from llada_runtime.decoding.turn import planned
from llada_runtime.reference import follow
from tests.runtime.test_combining import PROMPTS, Blended, decoded, row, told


class InPlace(Blended):
    """Combines in the logits that it is given."""

    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        logits[0].neg_().add_(logits[1])
        return logits[0]


class InPlaceAtOnce(InPlace):
    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        logits.mul_(-2)
        parts = zip(rows, logits.split([row.columns for row in rows]), strict=True)
        made = [part.view(row.count, row.width, -1)[0] for row, part in parts]
        return cls.checked(rows, torch.cat(made))

    @classmethod
    def checked(cls, rows: list[Canvases], made: Tensor) -> Tensor:
        return made


class InPlaceTripping(InPlaceAtOnce):
    @classmethod
    def checked(cls, rows: list[Canvases], made: Tensor) -> Tensor:
        if any(each.sequence.canvas[0] == 6 for each in rows):
            raise KeyError("tripped")
        return made


class InPlaceTrippingLater(InPlace):
    """Looks at its logits once more behind what another class makes of them."""

    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        before = logits.clone()
        made = super().combine_all(rows, logits)
        assert torch.equal(logits, before)
        return InPlaceTripping.checked(rows, made)


@pytest.mark.parametrize(
    ("kind", "same"), [(InPlaceTripping, InPlaceAtOnce), (InPlaceTrippingLater, InPlace), (InPlace, InPlace)]
)
@pytest.mark.parametrize("beside", [[], [NoCache()]])
def test_what_a_policy_does_to_its_logits_is_nothing_to_who_is_asked_next(
    model: LLaDAModel, kind: type[Blended], same: type[Blended], beside: list[Policy]
) -> None:
    """Whether or not the rows are all of one class."""
    rows = [row(model, kind(0.5), prompt) for prompt in PROMPTS[:4]]
    rows += [row(model, policy, [8]) for policy in beside]
    _, errors = decoded(model, rows)
    sound = [0, 1, 3] if errors else [0, 1, 2, 3]
    assert list(errors) == ([] if kind is same else [rows[2]])
    alone = [follow(model, row(model, same(0.5), PROMPTS[at])) for at in sound]
    assert told([rows[at] for at in sound]) == alone


def test_a_policy_combines_a_copy(model: LLaDAModel) -> None:
    only = row(model, InPlace(0.5), [1, 2])
    packed = torch.ones(8, 32)
    assert not hand_out([planned(only, None, model)], packed)
    assert torch.equal(packed, torch.ones_like(packed))


class OneBuffer(Blended):
    """Writes what it combines into the same tensor each time."""

    buffer = torch.zeros(20, 32)

    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        made = super().combine(sequence, plan, logits)
        return self.buffer[: len(made)].copy_(made)


class OneBufferNegated(OneBuffer):
    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        return -super().combine_all(rows, logits)


class OneBufferTripping(OneBuffer):
    """Of all rows, where none begins with 6, and by the same tensor."""

    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        if any(each.sequence.canvas[0] == 6 for each in rows):
            raise KeyError("tripped")
        made = super().combine_all(rows, logits)
        return cls.buffer[: len(made)].copy_(made)


class Negated(Blended):
    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        return -super().combine(sequence, plan, logits)


@pytest.mark.parametrize(
    ("kind", "same"), [(OneBuffer, Blended), (OneBufferNegated, Negated), (OneBufferTripping, Blended)]
)
def test_what_a_policy_writes_into_one_tensor_is_kept_before_the_next_is_asked(
    model: LLaDAModel, kind: type[Blended], same: type[Blended]
) -> None:
    rows = [row(model, kind(0.5), prompt) for prompt in PROMPTS[:4]]
    _, errors = decoded(model, rows)
    assert list(errors) == ([rows[2]] if kind is OneBufferTripping else [])
    sound = [0, 1, 3] if errors else [0, 1, 2, 3]
    alone = [follow(model, row(model, same(0.5), PROMPTS[at])) for at in sound]
    assert told([rows[at] for at in sound]) == alone
