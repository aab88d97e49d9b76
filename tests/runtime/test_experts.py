"""Layers of experts: who works on a column, and the same bits in any company."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import CheckpointError, UsageError
from llada_runtime.models.llada_moe import LLaDAMoEModel
from llada_runtime.network import experts as experts_module
from llada_runtime.network.capture import CudaGraphs
from llada_runtime.network.experts import ExpertMLP
from llada_runtime.network.grouped import GroupedLinear, why_one_by_one
from llada_runtime.network.mlp import GatedMLP
from llada_runtime.network.routing import choose
from llada_runtime.network.shape import Experts, Shape
from llada_runtime.network.split import Split
from llada_runtime.testing import small_llada
from tests.runtime.packing import KINDS
from tests.support.llada_moe import write_llada_moe

CPU = torch.device("cpu")
SHAPE = Shape(
    width=16, n_layers=3, n_heads=4, n_kv_heads=2, head_dim=4, mlp_width=24, vocabulary=32, eps=1e-5
)
SOFTMAX = Experts(count=8, chosen=2, width=12)
KINDS_OF_EXPERTS = {
    "softmax": SOFTMAX,
    "renormalised": replace(SOFTMAX, renormalised=True, count=6, chosen=3),
    "bias that counts": replace(SOFTMAX, bias=True, bias_counts=True),
    "grouped sigmoid": Experts(
        count=12, chosen=4, width=20, shared_width=8, scores="sigmoid", renormalised=True, groups=4,
        groups_chosen=2, scale=2.5, bias=True,
    ),
    "one of one": Experts(count=1, chosen=1, width=8),
}  # fmt: skip


def made(
    experts: Experts, *, dtype: torch.dtype = torch.float32, width: int = 16, seed: int = 0
) -> ExpertMLP:
    layer = ExpertMLP(replace(SHAPE, width=width, experts=experts), device=CPU, dtype=dtype)
    draw = torch.Generator().manual_seed(seed)
    for parameter in layer.parameters():
        parameter.normal_(generator=draw)
    return layer


def packed(layer: ExpertMLP) -> ExpertMLP:
    for part in layer.modules():
        if hasattr(part, "pack"):
            part.pack()
    return layer


def written_out(layer: ExpertMLP, experts: Experts, column: Tensor) -> Tensor:
    """``mlp(column [d])`` in float64, one number after another, from the published rules."""
    weights = {name: tensor.double() for name, tensor in layer.tensors().items()}

    def mlp(name: str) -> Tensor:
        gate, up, down = (weights[f"{name}.{part}.weight"] for part in ("gate", "up", "down"))
        return down @ (torch.nn.functional.silu(gate @ column) * (up @ column))

    products = weights["router.weight"] @ column
    scores = products.softmax(0) if experts.scores == "softmax" else products.sigmoid()
    ranked = scores + weights["router.bias"] if experts.bias else scores
    kept = ranked.tolist()
    size = experts.count // experts.groups
    if experts.groups > 1:
        best = [sum(sorted(kept[n * size : (n + 1) * size])[-2:]) for n in range(experts.groups)]
        groups = sorted(range(experts.groups), key=lambda n: (-best[n], n))[: experts.groups_chosen]
        kept = [score if n // size in groups else -torch.inf for n, score in enumerate(kept)]
    chosen = sorted(range(experts.count), key=lambda n: (-kept[n], n))[: experts.chosen]
    counted = (ranked if experts.bias_counts else scores)[chosen]
    counted = counted / counted.sum() if experts.renormalised else counted
    mixed = sum(
        weight * mlp(f"experts.{n}") for weight, n in zip(counted * experts.scale, chosen, strict=True)
    )
    assert isinstance(mixed, Tensor)
    return mixed + mlp("shared") if experts.shared_width else mixed


@pytest.mark.parametrize("kind", KINDS_OF_EXPERTS)
@pytest.mark.parametrize("way", ["_by_expert", "_grouped", "_batched", "_batched, one at a time", "plainly"])
def test_a_layer_computes_what_is_published(kind: str, way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    experts = KINDS_OF_EXPERTS[kind]
    layer = made(experts)
    x, residual = torch.randn(2, 40, 16, generator=torch.Generator().manual_seed(1))
    wanted = torch.stack([written_out(layer, experts, column) for column in x.double()])
    way, *few = way.split(", ")
    if few:
        monkeypatch.setattr(experts_module, "_NUMBERS", 1)
    if way == "plainly":
        found = layer.plainly(x, residual)
    else:
        if way != "_by_expert":  # torch has both products on a CPU too
            monkeypatch.setattr(ExpertMLP, "_by_expert", getattr(ExpertMLP, way))
        found = layer(x, residual)
    torch.testing.assert_close(found.double(), residual + wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", KINDS, ids=str)
@pytest.mark.parametrize("kind", KINDS_OF_EXPERTS)
def test_a_column_has_the_same_bits_in_any_company(kind: str, dtype: torch.dtype) -> None:
    layer, draw = packed(made(KINDS_OF_EXPERTS[kind], dtype=dtype)), random.Random(kind)
    x, residual = torch.randn(2, 70, 16, generator=torch.Generator().manual_seed(1)).to(dtype)
    whole = layer(x, residual)
    assert whole.dtype == dtype
    for _ in range(40):
        some = draw.sample(range(70), draw.randint(1, 70))
        assert torch.equal(layer(x[some], residual[some]), whole[some])


def test_columns_of_published_width_have_the_same_bits_too() -> None:
    experts = Experts(
        count=16, chosen=4, width=512, shared_width=512, scores="sigmoid", renormalised=True, groups=4,
        groups_chosen=2, scale=2.5, bias=True,
    )  # fmt: skip
    layer, draw = packed(made(experts, width=1024)), random.Random(0)
    x = torch.randn(90, 1024, generator=torch.Generator().manual_seed(1)) / 8
    whole = layer(x, x)
    for count in (1, 2, 3, 31, 64, 89):
        some = draw.sample(range(90), count)
        assert torch.equal(layer(x[some], x[some]), whole[some])


@pytest.mark.parametrize("kind", KINDS_OF_EXPERTS)
def test_no_columns_are_none(kind: str) -> None:
    nothing = torch.empty(0, 16)
    assert packed(made(KINDS_OF_EXPERTS[kind]))(nothing, nothing).shape == (0, 16)


def test_of_equal_scores_the_lower_experts_are_chosen() -> None:
    level = torch.zeros(3, 12)
    for experts in (replace(SOFTMAX, count=12, chosen=5), KINDS_OF_EXPERTS["grouped sigmoid"]):
        _, chosen = choose(level, experts)
        assert chosen.tolist() == [list(range(experts.chosen))] * 3
    ties = torch.tensor([[0.0, 2.0, 1.0, 2.0, 1.0, 1.0, 0.0, 0.0]])
    assert choose(ties, replace(SOFTMAX, chosen=4))[1].tolist() == [[1, 3, 2, 4]]


def test_a_bias_for_the_choice_alone_is_in_no_weight() -> None:
    experts = Experts(count=4, chosen=1, width=8, scores="sigmoid", bias=True)
    products, bias = torch.tensor([[0.0, 1.0, 2.0, 3.0]]), torch.tensor([9.0, 0.0, 0.0, 0.0])
    weights, chosen = choose(products, experts, bias=bias)
    assert (weights.tolist(), chosen.tolist()) == ([[0.5]], [[0]])
    weights, chosen = choose(products, replace(experts, bias_counts=True), bias=bias)
    assert (weights.tolist(), chosen.tolist()) == ([[9.5]], [[0]])


def test_a_column_that_is_no_number_leaves_the_others_as_they_are() -> None:
    layer = packed(made(KINDS_OF_EXPERTS["grouped sigmoid"]))
    x = torch.randn(9, 16, generator=torch.Generator().manual_seed(1))
    residual = torch.zeros_like(x)
    whole, x[4] = layer(x, residual), torch.nan
    found, others = layer(x, residual), [0, 1, 2, 3, 5, 6, 7, 8]
    assert found[4].isnan().all()
    assert torch.equal(found[others], whole[others])


@pytest.mark.parametrize("kind", ["fp8", "int8"])
def test_weights_of_eight_bits_give_what_their_numbers_do(kind: str) -> None:
    layer, rounded = made(KINDS_OF_EXPERTS["grouped sigmoid"]), made(KINDS_OF_EXPERTS["grouped sigmoid"])
    for part in (layer.gate_up, layer.down):
        part.quantise(kind)
    for mine, theirs in ((rounded.gate_up, layer.gate_up), (rounded.down, layer.down)):
        assert theirs.weight is not None
        assert theirs.scale is not None
        assert mine.weight is not None
        mine.weight.copy_(theirs.weight.float() * theirs.scale[..., None])
    x, residual = torch.randn(2, 9, 16, generator=torch.Generator().manual_seed(1))
    wanted = packed(rounded)(x, residual)
    assert torch.equal(packed(layer)(x, residual), wanted)
    layer.one_by_one_because = None
    torch.testing.assert_close(layer(x, residual), wanted, atol=1e-4, rtol=1e-4)


def test_what_graphs_hold_asks_the_device_for_nothing() -> None:
    """So that a CUDA graph can hold it: on a device that has no numbers, asking for one is an error."""
    shape = replace(SHAPE, width=32, experts=replace(KINDS_OF_EXPERTS["grouped sigmoid"], width=16))
    layer = ExpertMLP(shape, device=torch.device("meta"), dtype=torch.bfloat16)
    x = torch.empty(7, 32, device="meta", dtype=torch.bfloat16)
    layer.one_by_one_because = None
    assert layer(x, x).shape == (7, 32)
    assert layer._batched(x, *layer.router(x)).shape == (7, 32)
    layer.one_by_one_because = "counted by the host"
    with pytest.raises(RuntimeError):
        layer(x, x)


def test_why_there_is_no_kernel_for_all_experts_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, found = torch.device("cuda"), {"capability": (9, 0)}
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: found["capability"])
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a GPU")
    assert why_one_by_one(gpu, torch.bfloat16, 2048, 512) is None
    assert why_one_by_one(CPU, torch.bfloat16, 2048) == (
        "the device is cpu, and the grouped product is for NVIDIA's GPUs"
    )
    assert "the weights are float32" in str(why_one_by_one(gpu, torch.float32, 2048))
    assert "12 channels are not a multiple of 8" in str(why_one_by_one(gpu, torch.bfloat16, 2048, 12))
    found["capability"] = (8, 0)
    assert "for Hopper and B200, and this is a GPU" in str(why_one_by_one(gpu, torch.bfloat16, 2048))
    monkeypatch.delattr(torch, "_grouped_mm")
    assert "has no grouped product; install torch 2.9" in str(why_one_by_one(gpu, torch.bfloat16, 2048))


@pytest.mark.parametrize("kind", KINDS_OF_EXPERTS)
@pytest.mark.parametrize("dense", [(), (0,), (0, 2)])
def test_numbers_of_weights_are_those_of_the_layers(kind: str, dense: tuple[int, ...]) -> None:
    experts = KINDS_OF_EXPERTS[kind]
    shape = replace(SHAPE, experts=experts, dense_layers=dense)
    plain = replace(shape, experts=None)
    held = routing = 0
    for index in range(shape.n_layers):
        place: dict[str, Any] = {"device": CPU, "dtype": torch.float32}
        layer = GatedMLP(shape, **place) if index in dense else ExpertMLP(shape, **place)
        held += sum(parameter.numel() for parameter in layer.parameters())
        if isinstance(layer, ExpertMLP):
            routing += sum(parameter.numel() for parameter in layer.router.parameters())
    mlps = shape.n_layers * 3 * 16 * 24
    assert shape.parameter_count == plain.parameter_count - mlps + held
    assert shape.routing == routing
    assert shape.products == plain.products - mlps + held - routing
    idle = 3 * 16 * experts.width * (experts.count - experts.chosen) * (shape.n_layers - len(dense))
    assert shape.active_products == shape.products - idle
    assert plain.active_products == plain.products


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"chosen": 9}, "lets 9 of 8 experts work on a column, and from 1 to 8 can"),
        ({"chosen": 0}, "lets 0 of 8 experts work"),
        ({"groups": 3}, "chooses 1 of 3 equal groups of 8 experts"),
        ({"groups": 4, "groups_chosen": 5}, "chooses 5 of 4 equal groups"),
        (
            {"groups": 4, "chosen": 3},
            "3 experts work on a column, and the 1 of 4 groups that it chooses have 2",
        ),
        ({"scores": "tanh"}, "the scores of experts are 'tanh'"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(CheckpointError, match=told):
        replace(SOFTMAX, **changes)


def test_a_network_with_experts_is_not_split() -> None:
    shape = replace(SHAPE, experts=SOFTMAX)
    assert Split(rank=0, size=1).part(shape) == shape
    with pytest.raises(UsageError, match="tensor_parallel=2 splits no network whose layers have experts"):
        Split(rank=0, size=2).part(shape)


def test_packing_frees_the_plain_weights_and_keeps_the_products() -> None:
    layer = GroupedLinear(3, 8, 6, device=CPU, dtype=torch.float32)
    assert layer.weight is not None
    layer.weight.normal_(generator=torch.Generator().manual_seed(0))
    x = torch.randn(5, 6)
    plain = [layer.one(group, x) for group in range(3)]
    layer.pack()
    layer.pack()
    for group in range(3):
        torch.testing.assert_close(layer.one(group, x), plain[group])
    with pytest.raises(AssertionError, match="the plain weights are gone"):
        _ = layer.plain


@pytest.mark.gpu
@pytest.mark.parametrize("kind", KINDS_OF_EXPERTS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_on_a_gpu_every_way_computes_the_same_and_graphs_hold_it(kind: str, dtype: torch.dtype) -> None:
    gpu, experts = torch.device("cuda"), replace(KINDS_OF_EXPERTS[kind], width=32)
    layer = ExpertMLP(replace(SHAPE, width=64, experts=experts), device=gpu, dtype=dtype)
    for parameter in layer.parameters():
        parameter.normal_(std=0.3, generator=torch.Generator("cuda").manual_seed(0))
    draw = torch.Generator("cuda").manual_seed(1)
    x, y = (torch.randn(40, 64, generator=draw, device=gpu).to(dtype) for _ in range(2))
    static, outcome = x.clone(), list[Tensor]()
    with torch.inference_mode():
        wanted = [layer.plainly(each, each) for each in (x, y)]
        found = [layer(each, each) for each in (x, y)]
        replay = CudaGraphs(gpu)(lambda: outcome.append(layer(static, static)))
        for each, plain, now in zip((x, y), wanted, found, strict=True):
            static.copy_(each)
            replay()
            torch.cuda.synchronize()
            for made in (now, outcome[0]):
                assert (made - plain).norm() <= (1e-5 if dtype == torch.float32 else 2e-2) * plain.norm()


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["fp8", "int8"])
def test_on_a_gpu_weights_of_eight_bits_run_in_grouped_products(kind: str) -> None:
    gpu, experts = torch.device("cuda"), replace(KINDS_OF_EXPERTS["grouped sigmoid"], width=32)
    layer = ExpertMLP(replace(SHAPE, width=64, experts=experts), device=gpu, dtype=torch.bfloat16)
    for parameter in layer.parameters():
        parameter.normal_(std=0.3, generator=torch.Generator("cuda").manual_seed(0))
    for part in (layer.gate_up, layer.down):
        part.quantise(kind)
    x = torch.randn(40, 64, generator=torch.Generator("cuda").manual_seed(1), device=gpu).bfloat16()
    with torch.inference_mode():
        plain = layer.plainly(x, x)
        assert (layer(x, x) - plain).norm() <= 2e-2 * plain.norm()


def test_experts_one_by_one_are_captured_in_forwards_of_few_columns() -> None:
    """All of them run on all rows then: 64 of these read the weights no longer than they compute."""
    layer = made(SOFTMAX)
    assert layer.one_by_one_because is not None
    assert layer.most_captured == 64
    layer.one_by_one_because = None
    assert layer.most_captured is None


def test_a_network_is_captured_as_far_as_its_experts_are(tmp_path: Path) -> None:
    assert small_llada().most_captured is None
    network = LLaDAMoEModel.from_pretrained(write_llada_moe(tmp_path), device="cpu")
    assert network.most_captured == 64
