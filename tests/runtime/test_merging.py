"""Merged rows through the whole loop: the tokens of rows one by one, whoever comes and goes."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from torch import Tensor

from llada_runtime import (
    DualCache,
    Factor,
    KVCache,
    LLaDAModel,
    Loop,
    NoCache,
    PrefixCache,
    Quota,
    Sequence,
    Threshold,
)
from llada_runtime.network import flash
from llada_runtime.network.calls import Merge
from llada_runtime.network.layout import Layout
from llada_runtime.testing import MASK, write_llada
from tests.runtime.packing import loop_of_rows


class Watched(LLaDAModel):
    """A network that merges as it is told, where none does on a CPU, and remembers how it was asked."""

    merges = Merge.NONE  # type: ignore[assignment]

    def logits(self, layout: Layout, cache: KVCache | None) -> Tensor:
        self.asked.append((len(layout.form.places), len(layout.calls)))
        return super().logits(layout, cache)


@dataclass(slots=True)
class Outcome:
    """What became of the rows, and how the network was asked: rows and attention calls of each forward."""

    rows: list[tuple[list[int], int]] = field(default_factory=list)
    confidences: list[float] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)

    @property
    def merged(self) -> int:
        """Rows that attended in a call with others."""
        return sum(rows - calls for rows, calls in self.asked)


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Merge | bool], Watched]:
    monkeypatch.setattr(flash, "attend", loop_of_rows)
    folder = write_llada(tmp_path)

    def load(merge: Merge | bool) -> Watched:
        loaded = Watched.from_pretrained(folder, device="cpu")
        loaded.merges, loaded.asked = merge, []
        return loaded

    return load


def sequences(model: LLaDAModel, seed: int) -> list[Sequence]:
    """Twelve rows, most of them of one policy and one length: those are what can be merged."""
    source = random.Random(seed)
    made = []
    for number in range(12):
        policy = source.choice([DualCache(), DualCache(), PrefixCache(), NoCache()])
        rule = source.choice([Quota(3), Threshold(0.4), Factor(1.0)])
        prompt = source.choices(range(1, 29), k=source.choice([6, 6, 6, 3]))
        made.append(
            Sequence(
                prompt,
                model.config,
                gen_length=source.choice([12, 12, 9]),
                block_length=4,
                policy=policy,
                rule=rule,
                temperature=source.choice([0.0, 0.0, 0.8]),
                seed=number,
            )
        )
    return made


def decode(model: Watched, seed: int) -> Outcome:
    """Rows enter at random moments, at most six at a time, and one is cancelled."""
    source, waiting, outcome = random.Random(seed), sequences(model, seed), Outcome()
    rows, loop, told = list(waiting), Loop(model, rows=6, columns=100), 0
    while waiting or loop.active:
        while waiting and (not loop.active or source.random() < 0.7) and loop.admit(waiting[0]):
            waiting.pop(0)
        steps = loop.step()
        told += sum(step.finished for step in steps)
        assert [step.error for step in steps if step.error] == []
        outcome.confidences += [sure for step in steps for sure in step.confidence]
        if rows[4].nfe == 1:
            loop.cancel(rows[4])
    assert told == len(rows)
    outcome.rows, outcome.asked = [(row.canvas, row.nfe) for row in rows], model.asked
    return outcome


@pytest.mark.parametrize("merge", [True, Merge.EQUAL, Merge.RAGGED])
@pytest.mark.parametrize("seed", range(4))
def test_merged_rows_are_decoded_as_rows_one_by_one(
    network: Callable[[Merge | bool], Watched], merge: Merge | bool, seed: int
) -> None:
    apart, together = decode(network(Merge.NONE), seed), decode(network(merge), seed)
    assert together.rows == apart.rows
    assert together.confidences == pytest.approx(apart.confidences, rel=1e-4)
    assert (apart.merged, together.merged > 20) == (0, True)
    canvases = [canvas for n, (canvas, _) in enumerate(together.rows) if n != 4]
    assert not any(MASK in canvas for canvas in canvases)


def test_where_a_kernel_takes_rows_of_any_length_more_of_them_are_merged(
    network: Callable[[Merge | bool], Watched],
) -> None:
    assert decode(network(Merge.RAGGED), 0).merged > decode(network(Merge.EQUAL), 0).merged


def test_a_cpu_merges_nothing_by_default(model: LLaDAModel) -> None:
    assert not model.merges
    assert model.device == torch.device("cpu")
