"""Which kernels steps run on, said and decided."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import llada_tiny
from llada_core.errors import UnsupportedArchitecture
from llada_runtime import LLaDAModel, Rotary
from llada_runtime.models.steps import planned_steps
from llada_runtime.network import fused, machine
from llada_runtime.network.fused import why_plain
from llada_runtime.network.graphs import Graphed
from llada_runtime.network.machine import why_no_kernels
from llada_runtime.network.shape import Experts
from llada_runtime.network.step_path import step_path
from llada_runtime.testing import FakeNetwork
from tests.support.graphing import FakeGraphs, small


@pytest.fixture
def network() -> Any:
    return small(kind=LLaDAModel)


def test_a_network_says_how_its_steps_are_run(network: LLaDAModel) -> None:
    assert step_path(network) == (
        "steps run on torch's own kernels, launched one by one (the device is cpu, and the kernels are for "
        "NVIDIA's GPUs)"
    )
    graphed = Graphed(network, record=FakeGraphs())
    network.plain_because = None
    assert step_path(graphed) == "steps run on fused Triton kernels, in CUDA graphs"
    assert step_path(FakeNetwork.random()) == ("steps run on the kernels of FakeNetwork, launched one by one")


SHAPE = {"head_dim": 128, "n_heads": 4, "n_kv_heads": 2, "mlp_width": 512}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"qkv_bias": True, "out_bias": True, "tied": True}, None),
        ({"qk_norm": True}, None),
        ({"head_dim": 96}, "heads have 96 channels"),
        ({"mlp_width": 100}, "the MLP has 100 channels"),
        ({"n_heads": 6, "n_kv_heads": 4}, "6 heads do not share 4 heads of keys evenly"),
    ],
)
def test_what_no_kernel_does_is_left_to_torch(
    network: LLaDAModel, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], told: str | None
) -> None:
    monkeypatch.setattr(fused, "why_no_kernels", lambda device: None)
    shape, rotary = replace(network.shape, **{**SHAPE, **change}), Rotary.plain(1e4, 128)
    why = why_plain(shape, rotary, network.layers, device=torch.device("cuda"), dtype=torch.bfloat16)
    assert why is None if told is None else told in str(why)


@pytest.mark.parametrize(("dense", "told"), [((), None), ((0,), "the MLP has 100 channels, and")])
def test_the_width_of_an_mlp_counts_where_a_layer_has_one(
    network: LLaDAModel, monkeypatch: pytest.MonkeyPatch, dense: tuple[int, ...], told: str | None
) -> None:
    monkeypatch.setattr(fused, "why_no_kernels", lambda device: None)
    monkeypatch.setattr(fused, "why_one_by_one", lambda *asked: None)
    experts = Experts(count=4, chosen=2, width=64)
    shape = replace(network.shape, **{**SHAPE, "mlp_width": 100}, experts=experts, dense_layers=dense)
    why = why_plain(
        shape, Rotary.plain(1e4, 128), network.layers, device=torch.device("cuda"), dtype=torch.bfloat16
    )
    assert why is None if told is None else told in str(why)


@pytest.mark.parametrize(
    ("because", "said"),
    [
        (None, None),
        ("channels are odd", "layers have experts, which run one by one, as channels are odd"),
    ],
)
def test_how_experts_run_is_said(
    network: LLaDAModel, monkeypatch: pytest.MonkeyPatch, because: str | None, said: str | None
) -> None:
    monkeypatch.setattr(fused, "why_no_kernels", lambda device: None)
    monkeypatch.setattr(fused, "why_one_by_one", lambda *asked: because)
    shape = replace(network.shape, **SHAPE, experts=Experts(count=4, chosen=2, width=64))
    told = why_plain(
        shape, Rotary.plain(1e4, 128), network.layers, device=torch.device("cuda"), dtype=torch.bfloat16
    )
    assert told == said


def test_other_parts_and_dtypes_are_left_to_torch(
    network: LLaDAModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused, "why_no_kernels", lambda device: None)
    shape, rotary, gpu = replace(network.shape, **SHAPE), Rotary.plain(1e4, 128), torch.device("cuda")
    layers: Any = network.layers
    assert "float16" in str(why_plain(shape, rotary, layers, device=gpu, dtype=torch.float16))
    growing = replace(rotary, query_growth=0.1)
    assert "grow" in str(why_plain(shape, growing, layers, device=gpu, dtype=torch.bfloat16))
    partly = Rotary.plain(1e4, 96)
    told = why_plain(shape, partly, layers, device=gpu, dtype=torch.bfloat16)
    assert told == "96 of the 128 channels of a head turn, and the kernels turn a power of two"
    assert why_plain(shape, Rotary.plain(1e4, 64), layers, device=gpu, dtype=torch.bfloat16) is None
    layers[0].mlp = nn.Identity()
    assert "another MLP" in str(why_plain(shape, rotary, layers, device=gpu, dtype=torch.bfloat16))


@pytest.fixture
def on_hopper(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine whose GPU is of that generation."""
    why_no_kernels.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a card")
    monkeypatch.setattr(torch.version, "hip", None)
    yield monkeypatch
    why_no_kernels.cache_clear()


def test_where_the_machine_runs_no_kernel_it_is_said_why(on_hopper: pytest.MonkeyPatch) -> None:
    gpu, found = torch.device("cuda"), []
    on_hopper.setenv("LLADA_GRAPHS", "0")
    found.append(why_no_kernels(gpu))
    on_hopper.delenv("LLADA_GRAPHS")
    on_hopper.setattr(machine.importlib.util, "find_spec", lambda name: None)
    why_no_kernels.cache_clear()
    found.append(why_no_kernels(gpu))
    on_hopper.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    why_no_kernels.cache_clear()
    found.append(why_no_kernels(gpu))
    assert found == [
        "LLADA_GRAPHS is off",
        "Triton is not installed; install triton",
        "the kernels were measured on Hopper only, and this is a card",
    ]


def test_a_triton_that_lacks_something_is_named(on_hopper: pytest.MonkeyPatch) -> None:
    def old(target: str) -> None:
        raise ImportError("cannot import name 'gdc_wait'")

    on_hopper.setattr(machine.importlib.util, "find_spec", lambda name: object())
    on_hopper.setattr(machine, "load_target", old)
    assert why_no_kernels(torch.device("cuda")) == (
        "the installed Triton does not do (cannot import name 'gdc_wait'); install triton 3.6 or later"
    )


@pytest.mark.parametrize(
    ("graphs", "kernels", "dtype", "told"),
    [
        (None, None, "bfloat16", "steps run on fused Triton kernels, in CUDA graphs"),
        (None, "no", "bfloat16", "steps run on torch's own kernels, in CUDA graphs (no)"),
        ("0", "off", "bfloat16", "steps run on torch's own kernels, launched one by one (off)"),
        (
            None,
            None,
            "float16",
            "steps run on torch's own kernels, in CUDA graphs (the weights are float16, and",
        ),
    ],
)
def test_how_steps_would_run_is_told_by_the_config_alone(
    monkeypatch: pytest.MonkeyPatch, graphs: str | None, kernels: str | None, dtype: str, told: str
) -> None:
    monkeypatch.setattr(fused, "why_no_kernels", lambda device: kernels if device.type == "cuda" else "none")
    monkeypatch.delenv("LLADA_GRAPHS", raising=False)
    if graphs is not None:
        monkeypatch.setenv("LLADA_GRAPHS", graphs)
    wide = {**tiny_config(), "d_model": 256, "n_heads": 2, "n_kv_heads": 2, "mlp_hidden_size": 512}
    assert planned_steps(wide, device="cuda", dtype=dtype).startswith(told)


def test_on_a_cpu_or_without_a_network_of_ours_it_is_told_so() -> None:
    assert planned_steps(tiny_config(), device="cpu", dtype="float32").startswith(
        "steps run on torch's own kernels, launched one by one (the device is cpu, and"
    )
    with pytest.raises(UnsupportedArchitecture):
        planned_steps({"model_type": "other"}, device="cpu", dtype="float32")


def tiny_config() -> dict[str, Any]:
    folder = Path(llada_tiny.model_path())
    return dict(json.loads((folder / "config.json").read_text()))
