"""A shadow: columns that are fed a second time, see all but the token in whose place they stand, and are seen
by nobody else; by their logits a rule judges what stands."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import ContractError
from llada_runtime import (
    LLaDAModel,
    NoCache,
    Plan,
    Quota,
    RemoteNetwork,
    Sequence,
    Threshold,
    UnsupportedArchitecture,
    drain,
)
from llada_runtime.network.calls import Merge
from llada_runtime.network.layout import Layout, Span
from llada_runtime.plain import PlainForward
from llada_runtime.testing import MASK, FakeNetwork
from tests.runtime.packing import full, run

LENGTH, BLOCK = 12, (4, 9)


def shadowed(
    ids: list[int] | None = None, *, block: tuple[int, int] = BLOCK, head: tuple[int, int] | None = None
) -> Span:
    ids = random.Random(5).choices(range(29), k=LENGTH) if ids is None else ids
    head_lo, head_hi = head or (0, len(ids))
    return Span(
        ids=[*ids, *[MASK] * (block[1] - block[0])], lo=0, hi=len(ids), length=len(ids),
        head_lo=head_lo, head_hi=head_hi, shadow=block,
    )  # fmt: skip


def plain(span: Span) -> Span:
    """The same without the shadow."""
    ids = list(span.ids)[: span.length]
    return Span(ids=ids, lo=0, hi=span.hi, length=span.length, head_lo=span.head_lo, head_hi=span.head_hi)


def test_the_canvas_does_not_notice_its_shadow(model: LLaDAModel) -> None:
    span = shadowed()
    assert torch.equal(run(model, [span])[:LENGTH], run(model, [plain(span)]))


def test_a_shadow_is_what_the_written_out_forward_says(model: LLaDAModel) -> None:
    for span in (shadowed(), shadowed(block=(0, LENGTH)), shadowed(head=BLOCK), shadowed(block=(11, 12))):
        torch.testing.assert_close(run(model, [span]), PlainForward(model).logits(span), atol=1e-5, rtol=1e-5)


def test_a_shadows_column_hides_the_token_in_whose_place_it_stands(write_checkpoint: Any) -> None:
    """In one layer nothing else could tell it of that token."""
    model = LLaDAModel.from_pretrained(write_checkpoint({"n_layers": 1}), device="cpu")
    ids = random.Random(5).choices(range(28), k=LENGTH)
    before = run(model, [shadowed(ids)])[LENGTH:]
    for column in range(*BLOCK):
        changed = [*ids]
        changed[column] += 1
        after = run(model, [shadowed(changed)])[LENGTH:]
        same = [torch.equal(*pair) for pair in zip(before, after, strict=True)]
        assert same == [place == column for place in range(*BLOCK)]


@pytest.mark.parametrize("head", [BLOCK, (4, 5), (0, LENGTH)])
def test_head_columns_and_shadow_alone_are_those_of_the_whole(
    model: LLaDAModel, head: tuple[int, int]
) -> None:
    whole = run(model, [shadowed()])
    wanted = torch.cat((whole[slice(*head)], whole[LENGTH:]))
    torch.testing.assert_close(run(model, [shadowed(head=head)]), wanted, atol=1e-5, rtol=1e-5)


def test_rows_with_and_without_shadows_do_not_see_each_other(model: LLaDAModel) -> None:
    spans = [full(7), shadowed(), full(LENGTH), shadowed(head=BLOCK), full(7), shadowed(head=BLOCK)]
    alone = torch.cat([run(model, [span]) for span in spans])
    assert torch.equal(run(model, spans), alone)
    for merge in (Merge.EQUAL, Merge.RAGGED):
        torch.testing.assert_close(run(model, spans, merge=merge), alone, atol=1e-5, rtol=1e-5)


def test_a_forward_with_a_shadow_is_not_captured_as_a_graph(model: LLaDAModel) -> None:
    layouts = [Layout.of([span], device=model.device, merge=False) for span in (shadowed(), full(LENGTH))]
    assert [layout.masked for layout in layouts] == [True, False]


def test_a_network_of_its_own_code_has_no_shadow(model: LLaDAModel) -> None:
    layout = Layout.of([shadowed()], device=model.device, merge=False)
    with pytest.raises(UnsupportedArchitecture, match="whose attention cannot hide columns"):
        RemoteNetwork(model, model.config).logits(layout, None)


@pytest.mark.parametrize(
    "more", [{"writes": True}, {"canvases": ((1,) * 9,)}, {"stride": 3}, {"shift": 1}], ids=str
)
def test_what_a_shadow_does_not_go_with_is_told(more: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="a shadow goes without writes, canvases, stride and shift"):
        Plan(lo=0, hi=9, shadow=True, **more)


# -- what a rule does with it


class Shadowed(NoCache):
    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.length, shadow=True)


class Judging(Quota):
    """A quota that takes nothing back, and passes on what it is shown to judge by."""

    revokes = True

    def __init__(self, steps: int, shown: list[tuple[int, list[int], list[int], Tensor]]) -> None:
        super().__init__(steps)
        object.__setattr__(self, "shown", shown)

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        self.shown.append((start, list(sequence.canvas), list(sequence.chosen), logits.clone()))  # type: ignore[attr-defined]
        return ()


def row(network: Any, rule: Any, policy: Any = None, **options: Any) -> Sequence:
    settings: dict[str, Any] = {"gen_length": 10, "block_length": 5, "early_stop": False, **options}
    return Sequence([1, 2, 3], network.config, policy=policy or Shadowed(), rule=rule, **settings)


def decode(network: Any, *rows: Sequence) -> None:
    assert not [step.error for step in drain(network, rows, rows=len(rows)) if step.error]


def test_a_rule_judges_by_logits_that_do_not_see_what_they_judge() -> None:
    network, shown = FakeNetwork.random(), list[tuple[int, list[int], list[int], Tensor]]()
    decode(network, row(network, Judging(2, shown)))
    assert [(start, len(chosen)) for start, _, chosen, _ in shown] == [(3, 3), (3, 2), (8, 3), (8, 2)]
    for start, canvas, chosen, logits in shown:
        assert all(canvas[column] == MASK for column in chosen)
        for column in range(start, start + 5):
            hidden = torch.tensor([*canvas[:column], MASK, *canvas[column + 1 :]])
            wanted = network._propose(hidden, column, column + 1)[0]
            wanted[MASK] = -torch.inf  # which nobody proposes
            assert torch.equal(logits[column - start], wanted)


def test_a_shadow_alone_changes_no_answer(model: LLaDAModel) -> None:
    shadowed_rows = [row(model, Threshold(0.3)), row(model, Judging(2, []))]
    plain_rows = [row(model, Threshold(0.3), NoCache()), row(model, Quota(2), NoCache())]
    decode(model, *shadowed_rows, row(model, Threshold(0.3), NoCache()))
    decode(model, *plain_rows)
    assert [each.canvas for each in shadowed_rows] == [each.canvas for each in plain_rows]


def test_a_replaced_token_is_told_with_its_probability_in_the_shadow() -> None:
    class Replacing(Judging):
        def replace(self, sequence: Sequence, start: int, logits: Tensor) -> Mapping[int, int]:
            standing = [column for column in range(3, 8) if sequence.may_revoke(column)]
            return {standing[0]: 7} if sequence.nfe == 2 else {}

    network, shown = FakeNetwork.random(), list[tuple[int, list[int], list[int], Tensor]]()
    steps = drain(network, [row(network, Replacing(5, shown), gen_length=5)], rows=1)
    (step,) = (step for step in steps if step.revoked)
    place = step.positions.index(step.revoked[0])
    assert step.tokens[place] == 7
    (judged,) = (logits for _, canvas, _, logits in shown if canvas.count(MASK) == 3)
    assert step.confidence[place] == pytest.approx(float(judged[step.revoked[0]].softmax(-1)[7]))
