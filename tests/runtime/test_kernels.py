"""Each kernel held to float64: fresh random inputs, poisoned outputs, ragged and odd shapes.

On a GPU as compiled, also with dependent launch; elsewhere interpreted, where Triton is installed and
TRITON_INTERPRET=1 is set, in float32 and on smaller shapes.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_runtime.network.rotary import Rotary
from tests.runtime.kernel_cases import (
    DEVICE,
    DTYPE,
    GPU,
    MARKS,
    SMALL,
    close,
    drawn,
    index,
    kernels_or_skip,
    nothing,
    overlaps,
    poison,
    rotated,
    silu_up,
)

kernels = kernels_or_skip()

pytestmark = MARKS


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch)


# -- norm


@overlaps
@pytest.mark.parametrize("parts", [0, 1, 3])
@pytest.mark.parametrize(("rows", "width"), [(1, 64), (33, 1000), (32, 4096)])
def test_the_norm_adds_parts_and_normalises(rows: int, width: int, parts: int, overlap: bool) -> None:
    stream, weight = drawn(rows, width, scale=3.0), drawn(width)
    added = drawn(parts, rows, width, dtype=DTYPE if parts == 1 else torch.float32) if parts else None
    total = stream.double() if added is None else stream.double() + added.double().sum(0)
    found = kernels.add_and_normalise(stream, added, weight, eps=1e-5, overlap=overlap)
    close(stream, total)
    close(found, total * (total.square().mean(-1, keepdim=True) + 1e-5).rsqrt() * weight.double())


# -- attention


def attended(
    query: Tensor, keys: Tensor, values: Tensor, rows: list[tuple[int, int, int, int]], causal: bool
) -> Tensor:
    """float64; each row is (first query, width, first key, length)."""
    out = torch.full(query.shape, torch.nan, dtype=torch.float64, device=query.device)
    shared = query.shape[1] // keys.shape[1]
    for begin, width, start, length in rows:
        q = query[begin : begin + width].double().transpose(0, 1)
        k, v = (
            x[start : start + length].double().repeat_interleave(shared, 1).transpose(0, 1)
            for x in (keys, values)
        )
        scores = q @ k.transpose(1, 2) * query.shape[2] ** -0.5
        if causal:
            n, j = torch.arange(width, device=DEVICE)[:, None], torch.arange(length, device=DEVICE)
            scores = scores.masked_fill(j > n + length - width, -torch.inf)
        out[begin : begin + width] = (scores.softmax(-1) @ v).transpose(0, 1)
    return out


ROWS = {
    "even": ([32] * 3, [64, 128, 96]),
    "ragged": ([7, 0, 33, 1, 16], [7, 5, 201, 1, 77]),
    "one": ([32], [819]),
    "long": ([5, 64], [1311, 64]),
}


@overlaps
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("splits", [1, 3, 8] if GPU else [1, 3])
@pytest.mark.parametrize(("heads", "kv"), [(4, 4), (8, 2), (6, 2)] if GPU else [(4, 4), (8, 2)])
@pytest.mark.parametrize("rows", list(ROWS))
def test_rows_attend_to_their_own_extents(
    rows: str, heads: int, kv: int, splits: int, causal: bool, overlap: bool
) -> None:
    widths, lengths = ROWS[rows]
    order = list(range(len(widths)))
    random.shuffle(order)
    starts, at = [0] * len(widths), 3
    for row in order:  # extents in any order, with gaps
        starts[row], at = at, at + lengths[row] + random.randrange(9)
    begins = [sum(widths[:row]) for row in range(len(widths) + 1)]
    query = drawn(begins[-1], heads + 2, 128)[:, :heads]  # part of a fused product, as a forward has it
    keys, values = nothing(at, kv, 128), nothing(at, kv, 128)
    for start, length in zip(starts, lengths, strict=True):
        keys[start : start + length], values[start : start + length] = (
            drawn(length, kv, 128),
            drawn(length, kv, 128),
        )
    found = kernels.attend(
        query, keys, values, index(begins, torch.int32), index(starts), index(lengths, torch.int32),
        most=max(widths), splits=splits, causal=causal, overlap=overlap,
    )  # fmt: skip
    close(
        found,
        attended(query, keys, values, list(zip(begins[:-1], widths, starts, lengths, strict=True)), causal),
    )


# -- products


@pytest.mark.parametrize(("rows", "hidden"), [(1, 100), (33, 1536), (32, 12288 // SMALL)])
def test_gates_multiply_ups(rows: int, hidden: int) -> None:
    gate_up = drawn(rows, 2 * hidden, scale=2.0)
    close(kernels.swiglu(gate_up), silu_up(gate_up.double()))


TILINGS = [
    kernels.Tiling(outputs=32, inputs=128, stages=3),
    kernels.Tiling(outputs=64, inputs=64, splits=2),
    kernels.Tiling(outputs=128, inputs=64, splits=4, stages=3, warps=8),
]


@overlaps
@pytest.mark.parametrize("tiling", TILINGS, ids=lambda each: f"{each.outputs}x{each.inputs}s{each.splits}")
@pytest.mark.parametrize(("rows", "outputs", "inputs"), [(1, 256, 512), (32, 1000, 1024), (33, 384, 512)])
def test_products_of_few_rows(rows: int, outputs: int, inputs: int, tiling: Any, overlap: bool) -> None:
    x, weight = drawn(rows, inputs), drawn(outputs, inputs, scale=inputs**-0.5)
    found = kernels.product(x, weight, tiling=tiling, overlap=overlap)
    assert found.shape == (tiling.splits, rows, outputs)
    close(found.double().sum(0), x.double() @ weight.double().T)


@overlaps
@pytest.mark.parametrize("rows", [1, 32, 50])
def test_the_gated_product_is_swiglu_of_the_product(rows: int, overlap: bool) -> None:
    x, weight = drawn(rows, 512), drawn(2 * 640, 512, scale=512**-0.5)
    found = kernels.gated_product(x, weight, tiling=kernels.Tiling(outputs=128, inputs=64), overlap=overlap)
    close(found, silu_up(x.double() @ weight.double().T))


@pytest.mark.parametrize("halves", [False, True])
@pytest.mark.parametrize("columns", [1, 32, 33, 64, 65, 5000])
def test_what_is_planned_fits_the_shape_of_llada_8b(columns: int, halves: bool) -> None:
    plan = kernels.plan_for(columns, halves=halves)
    of = {"qkv": 4096, "out": 4096, "gate_up": 4096, "down": 12288, "head": 4096}
    tilings = {name: getattr(plan, name) for name in of}
    assert all((tiling is None) == (columns > 64) for tiling in tilings.values())
    assert all(tiling is None or tiling.fits(of[name]) for name, tiling in tilings.items())


# -- the likeliest token


def lowest_of_the_highest(logits: Tensor) -> Tensor:
    ids = torch.arange(logits.shape[1], device=DEVICE)
    return torch.where(logits == logits.amax(-1, keepdim=True), ids, logits.shape[1]).amin(-1)


@pytest.mark.parametrize(("rows", "vocabulary"), [(1, 1000), (32, 4097), (40, 2048), (3, 20000)])
def test_the_likeliest_token_and_its_probability(rows: int, vocabulary: int) -> None:
    logits = drawn(rows, vocabulary + 3, scale=3.0).to(torch.bfloat16)[
        :, :vocabulary
    ]  # coarse: there are ties
    excluded = int(logits[0].argmax())
    before = logits.clone()
    ids, found = kernels.likeliest(logits, excluded=excluded)
    tokens = ids.long()
    assert torch.equal(logits, before)
    wide = logits.double()
    wide[:, excluded] = -torch.inf
    assert torch.equal(tokens, lowest_of_the_highest(wide))
    rest = (wide - wide.amax(-1, keepdim=True)).exp().scatter(-1, tokens[:, None], 0.0).sum(-1)
    close(found, 1 / (1 + rest), 1e-6)
    close(1 / found - 1, rest, 1e-5)


def test_close_to_1_probabilities_keep_their_order() -> None:
    logits = torch.zeros(3, 5000, device=DEVICE)
    logits[:, 7] = torch.tensor([40.0, 41.0, 42.0], device=DEVICE)
    _, found = kernels.likeliest(logits, excluded=0)
    assert found[0] < found[1] < found[2] < 1


def test_a_nan_logit_makes_the_probability_nan_but_for_the_excluded_one() -> None:
    logits = drawn(3, 9000)
    logits[1, 5000] = torch.nan
    logits[2, 8] = torch.nan
    assert kernels.likeliest(logits, excluded=8)[1].isnan().tolist() == [False, True, False]


def test_tokens_that_are_out_of_question_do_not_matter() -> None:
    """A whole share of the vocabulary may be -inf, and all of one but the excluded token."""
    logits = torch.full((1, 8193), -torch.inf, device=DEVICE)
    logits[0, [9, 77, 8192]] = torch.tensor([1.0, 2.0, 5.0], device=DEVICE)
    tokens, found = kernels.likeliest(logits, excluded=8192)
    assert tokens.tolist() == [77]
    assert found.item() == pytest.approx(torch.tensor([2.0, 1.0]).softmax(0)[0].item())


# -- a token that is drawn


@pytest.mark.parametrize(("rows", "vocabulary"), [(1, 1000), (32, 4097), (5, 2048), (64, 6000)])
@pytest.mark.parametrize("temperature", [0.1, 0.7, 1e300])
def test_the_noisiest_token_is_that_of_float64_sums(rows: int, vocabulary: int, temperature: float) -> None:
    logits = drawn(rows, vocabulary + 3, scale=3.0)[:, :vocabulary]
    logits[:, 5] = -torch.inf
    uniform = torch.rand(rows, vocabulary, dtype=torch.float64, device=DEVICE)
    before = logits.clone(), uniform.clone()
    tokens = kernels.noisiest(logits, uniform, temperature=temperature)
    assert torch.equal(logits, before[0])
    assert torch.equal(uniform, before[1])
    assert tokens.dtype == torch.int64
    assert torch.equal(tokens, (logits.double() - temperature * (-uniform.log()).log()).argmax(-1))


def test_a_draw_of_exactly_0_loses_and_a_nan_row_has_some_token() -> None:
    logits, uniform = torch.zeros(2, 9000, device=DEVICE), torch.zeros(2, 9000, device=DEVICE).double()
    uniform[0, 4444] = 0.3
    logits[1, 7000] = torch.nan
    tokens = kernels.noisiest(logits, uniform, temperature=1.0).tolist()
    assert tokens[0] == 4444
    assert 0 <= tokens[1] < 9000


# -- launches


@overlaps
def test_a_launch_of_a_kind_that_was_launched_before_takes_its_own_arguments(overlap: bool) -> None:
    for _ in range(3):
        x, weight = drawn(5, 512), drawn(384, 512, scale=512**-0.5)
        found = kernels.product(x, weight, tiling=kernels.Tiling(outputs=64, inputs=64), overlap=overlap)
        close(found[0], x.double() @ weight.double().T)
        stream, scale = drawn(5, 384), drawn(384)
        total = stream.double() + found[0].double()
        kernels.add_and_normalise(stream, found, scale, eps=1e-5, overlap=overlap)
        close(stream, total)


@pytest.mark.parametrize("first", [0, 1, 2])
def test_tensors_may_begin_at_any_element(first: int) -> None:
    """Triton compiles for pointers that are multiples of 16 bytes, and for others."""
    for shift in (first, 0, 1):
        turn = Rotary(frequencies=Rotary.plain(1e4, 64).frequencies.to(DEVICE)).at(
            torch.arange(5, device=DEVICE)
        )
        places = torch.arange(40, 45 + shift, device=DEVICE)[shift:]
        keys, values, qkv = nothing(50, 2, 64), nothing(50, 2, 64), drawn(5, 8, 64)
        before = qkv.double()
        kernels.rotate_and_keep(qkv, turn.cos, turn.sin, heads=4, places=places, keys=keys, values=values)
        close(keys[places], rotated(before[:, 4:6], turn.cos, turn.sin))
        assert torch.equal(values[places].double(), before[:, 6:])
        assert int(keys.isnan().all(-1).all(-1).sum()) == 45
