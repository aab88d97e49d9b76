"""Canvases of one sequence that read its cache, each around its own columns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_runtime import (
    DualCache,
    KVCache,
    LLaDAModel,
    Plan,
    Policy,
    PrefixCache,
    Sequence,
    Threshold,
    drain,
)
from llada_runtime.network.cache import Extent
from llada_runtime.network.calls import Merge
from llada_runtime.network.graphs import Graphed
from llada_runtime.network.layout import Layout, Span
from llada_runtime.reference import follow
from tests.runtime.packing import filled_cache, run
from tests.support.graphing import AsCaptured, FakeGraphs

LENGTHS = [17, 24]


def step(extent: Extent, lo: int, ids: list[int], **given: Any) -> Span:
    hi = lo + len(ids)
    head = {"head_lo": lo, "head_hi": hi, **given}
    return Span(ids=ids, lo=lo, hi=hi, length=extent.length, extent=extent, reads=True, **head)


def canvases(extent: Extent, lo: int, **given: Any) -> list[Span]:
    first = step(extent, lo, [3, 1, 4, 1], **given)
    return [first, *(replace(first, ids=ids, apart=True) for ids in ([5, 9, 2, 6], [5, 3, 5, 8]))]


def pools(cache: KVCache) -> list[Tensor]:
    return [pool.clone() for pool in cache.layer(0) + cache.layer(1)]


@pytest.mark.usefixtures("ragged")
@pytest.mark.parametrize("merge", list(Merge))
@pytest.mark.parametrize("given", [{}, {"head_lo": 7, "head_hi": 9}, {"stride": 3}, {"stride": 16}], ids=str)
def test_each_is_the_sequence_with_these_tokens(
    model: LLaDAModel, merge: Merge, given: dict[str, int]
) -> None:
    cache, extents = filled_cache(model, LENGTHS)
    spans = [*canvases(extents[0], 6, **given), *canvases(extents[1], 6, **given)]
    found = run(model, spans, cache, merge=merge).split([span.head_width for span in spans])
    for span, logits in zip(spans, found, strict=True):
        fresh, there = filled_cache(model, LENGTHS)
        own = there[extents.index(span.extent)]  # type: ignore[arg-type]
        alone = run(model, [replace(span, apart=False, extent=own)], fresh)
        torch.testing.assert_close(logits, alone, rtol=0, atol=0 if merge is Merge.NONE else 1e-5)


def test_only_the_first_is_kept(model: LLaDAModel) -> None:
    cache, extents = filled_cache(model, LENGTHS)
    wanted, alike = filled_cache(model, LENGTHS)
    run(model, canvases(extents[0], 6), cache)
    run(model, canvases(alike[0], 6)[:1], wanted)
    assert all(map(torch.equal, pools(cache), pools(wanted)))


def test_those_of_one_sequence_attend_in_one_call_where_rows_may(model: LLaDAModel) -> None:
    _, extents = filled_cache(model, LENGTHS)
    spans = [*canvases(extents[0], 6), *canvases(extents[1], 6)]
    layout = Layout.of(spans, device=model.device, merge=Merge.RAGGED)
    assert sorted(call.rows for call in layout.calls) == [2, 2, 2]


@pytest.mark.usefixtures("ragged")
def test_they_are_not_captured(plain: AsCaptured, graphs: FakeGraphs) -> None:
    network = Graphed(plain, record=graphs, after=1)
    cache, extents = filled_cache(plain, LENGTHS)
    for _ in range(3):
        run(network, canvases(extents[0], 6), cache, merge=Merge.RAGGED)  # type: ignore[arg-type]
    assert graphs.asked == 0


class Echo(Policy):
    """Before another policy: each step runs its columns twice more, with tokens where masks are, for
    nothing."""

    def plan(self, sequence: Sequence) -> Plan:
        plan = super().plan(sequence)  # type: ignore[safe-super]  # of the other base
        ids = sequence.canvas[plan.lo : plan.hi]
        others = [tuple(4 + n if token == sequence.mask_id else token for token in ids) for n in (0, 1)]
        return replace(plan, canvases=tuple(others)) if plan.reads else plan

    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        return logits[0]


class EchoedBlock(Echo, DualCache):
    pass


class EchoedSuffix(Echo, PrefixCache):
    pass


@pytest.mark.parametrize(("kind", "plain"), [(EchoedBlock, DualCache), (EchoedSuffix, PrefixCache)])
def test_what_they_are_changes_nothing_of_the_sequence(
    model: LLaDAModel, kind: type[Any], plain: type[Any]
) -> None:
    def row(policy: Any, prompt: int) -> Sequence:
        return Sequence(
            range(1, prompt), model.config, gen_length=9, block_length=4, policy=policy, rule=Threshold(0.2),
            early_stop=False,
        )  # fmt: skip

    echoed, beside = [row(kind(), 4), row(kind(), 7)], row(plain(), 5)
    assert not [step.error for step in drain(model, [*echoed, beside], rows=3) if step.error is not None]
    wanted = [follow(model, row(plain(), prompt)) for prompt in (4, 7, 5)]
    assert [(each.canvas, each.nfe) for each in (*echoed, beside)] == wanted
    assert follow(model, row(kind(), 4)) == wanted[0]


@pytest.mark.usefixtures("ragged")
def test_beside_them_steps_are_captured_as_ever(plain: AsCaptured, graphs: FakeGraphs) -> None:
    def rows() -> list[Sequence]:
        return [
            Sequence(
                range(1, prompt),
                plain.config,
                gen_length=12,
                block_length=6,
                policy=policy,
                rule=Threshold(1.0),
                early_stop=False,
            )
            for prompt, policy in ((4, EchoedBlock()), (7, DualCache()))
        ]

    def decoded(network: Any, *which: Sequence) -> list[tuple[list[int], int]]:
        assert not [step.error for step in drain(network, which, rows=2) if step.error is not None]
        return [(each.canvas, each.nfe) for each in which]

    network = Graphed(plain, record=graphs, after=1)
    assert decoded(network, *rows()) == [follow(plain, each) for each in rows()]
    assert network.replays == 0
    decoded(network, rows()[1])
    assert network.replays > 0
