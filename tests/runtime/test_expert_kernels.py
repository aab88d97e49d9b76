"""The kernels of layers of experts, each held to float64 or to the plain way: what is written in
`test_kernels` on where they run holds here too."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_runtime.network.eight_bits import quantised
from llada_runtime.network.experts import ExpertMLP
from llada_runtime.network.norm import RMSNorm
from llada_runtime.network.routing import choose
from llada_runtime.network.shape import Experts, Shape
from tests.runtime.kernel_cases import (
    DEVICE,
    DTYPE,
    GPU,
    MARKS,
    SMALL,
    close,
    drawn,
    kernels_or_skip,
    nothing,
    overlaps,
    poison,
    silu_up,
)

kernels = kernels_or_skip()

from llada_runtime.network import expert_products  # noqa: E402 - it needs what was asked for above

pytestmark = MARKS

KINDS = {
    "softmax": Experts(count=64, chosen=8, width=128),
    "renormalised": Experts(count=6, chosen=3, width=128, renormalised=True),
    "bias that counts": Experts(count=20, chosen=2, width=128, bias=True, bias_counts=True),
    "grouped sigmoid": Experts(
        count=256, chosen=8, width=128, shared_width=128, scores="sigmoid", renormalised=True, groups=8,
        groups_chosen=4, scale=2.5, bias=True,
    ),
    "groups of three": Experts(count=12, chosen=4, width=128, groups=4, groups_chosen=3),
    "one of one": Experts(count=1, chosen=1, width=128),
}  # fmt: skip
each_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch)


def choices(rows: int, experts: Experts) -> Tensor:
    """Different experts of each column, int32 ``[N, k]``, some of them of no column."""
    some = random.sample(range(experts.count), max(experts.chosen, experts.count * 2 // 3))
    drawn_ = [random.sample(some, experts.chosen) for _ in range(rows)]
    return torch.tensor(drawn_, dtype=torch.int32, device=DEVICE)


# -- routing


@overlaps
@pytest.mark.parametrize(
    ("rows", "experts", "width"),
    [(1, 8, 64), (33, 20, 512), (64, 256, 2048 // SMALL), (600 // SMALL, 70, 144)],
)
def test_the_routers_product_is_exact_to_float32(rows: int, experts: int, width: int, overlap: bool) -> None:
    x, weight = drawn(rows, width), drawn(experts, width, dtype=torch.float32)
    parts = kernels.router_product(x, weight, overlap=overlap)
    assert parts.dtype == torch.float32
    close(parts.sum(0), x.double() @ weight.double().T, 2e-6)


@overlaps
@each_kind
@pytest.mark.parametrize("parts", [1, 3])
def test_the_chosen_experts_are_those_of_the_highest_scores(kind: str, parts: int, overlap: bool) -> None:
    experts, rows = KINDS[kind], 40
    products = drawn(parts, rows, experts.count, dtype=torch.float32)
    bias = drawn(experts.count, dtype=torch.float32) if experts.bias else None
    weights, chosen = kernels.chosen_experts(products, experts, bias=bias, overlap=overlap)
    wanted, best = choose(products.sum(0), experts, bias=bias)
    torch.testing.assert_close(weights, wanted, atol=2e-6, rtol=2e-5)
    assert (chosen == best).float().mean() > 0.98  # two that are as good as equal may change places
    assert all(len(set(row)) == experts.chosen for row in chosen.tolist())


@each_kind
def test_of_equal_scores_the_lower_experts_come_first(kind: str) -> None:
    experts = KINDS[kind]
    level = torch.zeros(1, 3, experts.count, device=DEVICE)
    bias = torch.zeros(experts.count, device=DEVICE) if experts.bias else None
    _, chosen = kernels.chosen_experts(level, experts, bias=bias)
    assert chosen.tolist() == [list(range(experts.chosen))] * 3


@each_kind
def test_a_column_that_is_no_number_chooses_experts_all_the_same(kind: str) -> None:
    experts = KINDS[kind]
    products = drawn(1, 5, experts.count, dtype=torch.float32)
    bias = drawn(experts.count, dtype=torch.float32) if experts.bias else None
    whole = kernels.chosen_experts(products, experts, bias=bias)
    products[0, 2] = torch.nan
    weights, chosen = kernels.chosen_experts(products, experts, bias=bias)
    assert weights[2].isnan().all()
    assert sorted(set(chosen[2].tolist())) == sorted(chosen[2].tolist())
    assert 0 <= chosen[2].min() <= chosen[2].max() < experts.count
    others = torch.tensor([0, 1, 3, 4], device=DEVICE)
    assert torch.equal(weights[others], whole[0][others])
    assert torch.equal(chosen[others], whole[1][others])


@overlaps
@pytest.mark.parametrize("rows", [1, 32, 100, 1024 // SMALL])
@each_kind
def test_pairs_are_sorted_by_expert_and_then_by_column(kind: str, rows: int, overlap: bool) -> None:
    experts = KINDS[kind]
    chosen = choices(rows, experts)
    order = kernels.sorted_by_expert(chosen, experts.count, overlap=overlap)
    theirs = chosen.flatten().tolist()
    wanted = sorted(range(len(theirs)), key=lambda pair: (theirs[pair], pair))
    assert order.pairs.tolist() == wanted
    assert [wanted[place] for place in order.places.tolist()] == list(range(len(theirs)))
    groups, asked = order.groups.T.tolist(), sorted(set(theirs))
    if len(theirs) <= 4 * experts.count:
        assert [expert for expert, *_ in groups[: len(asked)]] == asked
    assert sorted(expert for expert, *_ in groups) == list(range(experts.count))
    for expert, begin, end in groups:
        assert [theirs[pair] for pair in wanted[begin:end]] == [expert] * theirs.count(expert)


# -- products


def stored(kind: str | None, *shape: int) -> tuple[Tensor, Tensor | None, Tensor]:
    """A weight as it is kept, its scales, and in float64 what it stands for."""
    weight = drawn(*shape, scale=shape[-1] ** -0.5)
    if kind is None:
        return weight, None, weight.double()
    flat, scale = quantised(weight.flatten(0, 1).float(), kind)
    weight, scale = flat.unflatten(0, shape[:2]), scale.unflatten(0, shape[:2])
    return weight, scale, weight.double() * scale.double()[..., None]


@overlaps
@pytest.mark.parametrize("kind", [None, "int8", *(["fp8", "fp8, halves"] if GPU else [])])
@pytest.mark.parametrize(
    ("rows", "at_once", "lanes"), [(1, 16, 1), (32, 16, 1), (40, 32, 2), (90 if GPU else 20, 64, 3)]
)
def test_every_pair_is_multiplied_by_its_experts_weights(
    rows: int, at_once: int, lanes: int, kind: str | None, overlap: bool
) -> None:
    experts, width, hidden = Experts(count=9, chosen=3, width=64), 256, 128
    kind, *halves = kind.split(", ") if kind else (None,)
    x, chosen = drawn(rows, width), choices(rows, experts)
    gate_up, up_scale, exact_up = stored(kind, experts.count, 2 * hidden, width)
    down, down_scale, exact_down = stored(kind, experts.count, width, hidden)
    order = kernels.sorted_by_expert(chosen, experts.count)
    tiling = kernels.Tiling(outputs=64, inputs=64, stages=3)
    plan = kernels.ExpertPlan(gate_up=tiling, down=tiling, rows=at_once // (2 if halves else 1), lanes=lanes)

    def operand(values: Tensor) -> Any:
        return kernels.split(values) if halves else values

    inside = kernels.gated_expert_products(
        operand(x), order, gate_up, scale=up_scale, chosen=3, plan=plan, overlap=overlap
    )
    made = kernels.expert_products(operand(inside), order, down, scale=down_scale, plan=plan, overlap=overlap)
    pairs = order.pairs.long()
    whose = chosen.flatten()[pairs].long()
    both = torch.einsum("poi,pi->po", exact_up[whose], x.double()[pairs // 3])
    close(inside, silu_up(both))
    close(made, torch.einsum("poi,pi->po", exact_down[whose], inside.double()))


@overlaps
@pytest.mark.parametrize("parts", [0, 1, 2])
@pytest.mark.parametrize(("rows", "width"), [(1, 64), (33, 1100)])
def test_a_column_is_the_weighed_sum_of_its_experts(rows: int, width: int, parts: int, overlap: bool) -> None:
    made, weights = drawn(rows * 3, width), drawn(rows, 3, dtype=torch.float32)
    places = torch.randperm(rows * 3, device=DEVICE).view(rows, 3)
    beside = drawn(parts, rows, width, dtype=DTYPE if parts == 1 else torch.float32) if parts else None
    found = kernels.mixed_experts(made, places, weights, beside, overlap=overlap)
    wanted = (made.double()[places] * weights.double()[..., None]).sum(1)
    close(found, wanted if beside is None else wanted + beside.double().sum(0))


# -- whole layers


def layer_of(kind: str, *, width: int = 256, hidden: int = 128) -> ExpertMLP:
    experts = replace(KINDS[kind], width=hidden)
    shape = Shape(
        width=width, n_layers=1, n_heads=4, n_kv_heads=4, head_dim=64, mlp_width=64, vocabulary=32, eps=1e-5,
        experts=experts,
    )  # fmt: skip
    layer = ExpertMLP(shape, device=DEVICE, dtype=DTYPE)
    for parameter in layer.parameters():
        parameter.normal_(std=0.1)
    return layer


@each_kind
@pytest.mark.parametrize("eight_bits", [None, *(["fp8", "int8"] if GPU else [])])
@pytest.mark.parametrize(
    ("rows", "hidden"),
    [(1, 128), (32, 128), (70, 128), (9, 72), *([("most", 128), ("more", 128)] if GPU else [])],
    ids=["one column", "few", "more than a kernel's product", "sizes that no tiling divides", *(
        ["as many as are sorted", "one more"] if GPU else []
    )],
)  # fmt: skip
@torch.inference_mode()
def test_a_layer_adds_what_the_plain_one_does(
    kind: str, rows: Any, hidden: int, eight_bits: str | None
) -> None:
    if isinstance(rows, str):  # what the kernels sort at most, or one column more
        rows = kernels.MOST_PAIRS // KINDS[kind].chosen + (rows == "more")
    layer, norm = layer_of(kind, hidden=hidden), RMSNorm(256, 1e-5, device=DEVICE, dtype=DTYPE)
    norm.weight.fill_(1.0)
    if eight_bits:
        layer.gate_up.quantise(eight_bits)
        layer.down.quantise(eight_bits)
        if layer.shared is not None:
            layer.shared.gate_up.quantise(eight_bits)
            layer.shared.down.quantise(eight_bits)
    stream, added = drawn(rows, 256), drawn(1, rows, 256)
    exact = stream + added[0]
    plan = replace(kernels.plan_for(rows), overlap=GPU)
    found = expert_products.mixture(layer, norm, stream, added, plan)
    assert torch.equal(stream, exact)
    close(found[0], layer.plainly(norm(exact), torch.zeros_like(exact)).double(), 1e-2 if GPU else 1e-4)


@each_kind
def test_of_no_columns_nothing_is_added(kind: str) -> None:
    layer, norm = layer_of(kind), RMSNorm(256, 1e-5, device=DEVICE, dtype=DTYPE)
    empty = nothing(0, 256)
    assert expert_products.mixture(layer, norm, empty, empty[None], kernels.plan_for(0)).shape == (1, 0, 256)
