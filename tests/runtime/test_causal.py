"""Causal spans: a column attends to itself and those before it, whatever is computed together with it."""

from __future__ import annotations

import random

import pytest
import torch

from llada_runtime import KVCache, LLaDAModel, RemoteNetwork, UnsupportedArchitecture
from llada_runtime.network.layout import Layout, Span

LENGTH = 24
IDS = random.Random(0).choices(range(29), k=LENGTH)


def causal(lo: int, hi: int, *, head_lo: int | None = None, slot: int | None = None) -> Span:
    return Span(
        ids=IDS[lo:hi],
        lo=lo,
        hi=hi,
        length=hi,
        head_lo=lo if head_lo is None else head_lo,
        head_hi=hi,
        slot=slot,
        reads=lo > 0,
        causal=True,
    )


def run(
    model: LLaDAModel, spans: list[Span], cache: KVCache | None = None, *, merge: bool = False
) -> torch.Tensor:
    return model.logits(Layout.of(spans, device=model.device, cache_length=LENGTH, merge=merge), cache)


def cache_of(model: LLaDAModel, *prefixes: int) -> KVCache:
    """A cache whose slot n holds the keys of a causal forward of the first ``prefixes[n]`` columns."""
    cache = model.new_cache(rows=len(prefixes), length=LENGTH)
    for length in prefixes:
        run(model, [causal(0, length, slot=cache.take())], cache)
    return cache


def test_what_follows_a_column_does_not_change_it(model: LLaDAModel) -> None:
    whole = run(model, [causal(0, LENGTH)])
    for end in (1, 2, 7, 23):
        torch.testing.assert_close(run(model, [causal(0, end)]), whole[:end], atol=1e-5, rtol=1e-5)


def test_in_one_layer_the_last_column_sees_what_it_sees_without_a_mask(write_checkpoint) -> None:
    model = LLaDAModel.from_pretrained(write_checkpoint({"n_layers": 1}), device="cpu")
    whole = run(model, [causal(0, LENGTH)])
    for end in (1, 5, LENGTH):
        everything = model(torch.tensor([IDS[:end]]))[0, -1]
        torch.testing.assert_close(whole[end - 1], everything, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("middle", [1, 9, 20, 23])
def test_columns_run_against_the_cache_agree_with_one_forward(model: LLaDAModel, middle: int) -> None:
    whole = run(model, [causal(0, LENGTH)])
    part = run(model, [causal(middle, LENGTH, slot=0)], cache_of(model, middle))
    torch.testing.assert_close(part, whole[middle:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("lo", "head_lo"), [(0, LENGTH - 1), (0, 11), (9, 23), (9, 15)])
def test_head_columns_alone_are_those_of_the_whole(model: LLaDAModel, lo: int, head_lo: int) -> None:
    whole = run(model, [causal(0, LENGTH)])
    part = run(model, [causal(lo, LENGTH, head_lo=head_lo, slot=0)], cache_of(model, lo or 1))
    torch.testing.assert_close(part, whole[head_lo:], atol=1e-5, rtol=1e-5)


def test_causal_and_other_rows_merge_into_groups_of_their_kind(model: LLaDAModel) -> None:
    lengths = (5, 9, 5, 7)
    prompts = [causal(0, length, head_lo=length - 1) for length in lengths]
    blocks = [causal(length, length + 4, slot=slot) for slot, length in enumerate(lengths)]
    free = Span(ids=IDS[:4], lo=3, hi=7, length=7, head_lo=3, head_hi=7, slot=1, reads=True)
    spans = [prompts[0], blocks[2], free, prompts[1], blocks[0], prompts[2], blocks[3]]
    layout = Layout.of(spans, device=model.device, cache_length=LENGTH, merge=True)
    assert sorted(group.rows for group in layout.groups) == [1, 1, 2, 3]
    merged = run(model, spans, cache_of(model, *lengths), merge=True)
    alone = [run(model, [span], cache_of(model, *lengths)) for span in spans]
    torch.testing.assert_close(merged, torch.cat(alone), atol=1e-4, rtol=1e-4)


def test_rows_packed_together_are_bitwise_the_rows_alone(model: LLaDAModel) -> None:
    lengths = (5, 9, 6)
    spans = [causal(length, length + 4, slot=slot) for slot, length in enumerate(lengths)]
    spans.append(causal(0, 13, head_lo=12))
    together = run(model, spans, cache_of(model, *lengths))
    alone = [run(model, [span], cache_of(model, *lengths)) for span in spans]
    assert torch.equal(together, torch.cat(alone))


def test_a_model_with_code_of_its_own_refuses_what_it_cannot_be_asked_for() -> None:
    network = RemoteNetwork(torch.zeros(1), config=None)  # type: ignore[arg-type]  # neither is asked
    layout = Layout.of([causal(0, 4)], device=torch.device("cpu"), cache_length=0, merge=True)
    with pytest.raises(UnsupportedArchitecture, match="attention cannot be made causal; use an algorithm"):
        network.logits(layout, None)
