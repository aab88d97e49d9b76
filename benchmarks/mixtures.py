"""Models of random weights in the shapes of published mixtures of experts, ways to run their experts, and how
long a call takes: what the benchmarks of experts share."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from llada_runtime import Rotary, Shape, Transformer
from llada_runtime.network.experts import ExpertMLP
from llada_runtime.network.shape import Experts

_LLADA2 = Experts(
    count=256, chosen=8, width=512, shared_width=512, scores="sigmoid", renormalised=True, groups=8,
    groups_chosen=4, scale=2.5, bias=True,
)  # fmt: skip
SHAPES = {
    "llada2-mini": Shape(
        width=2048, n_layers=20, n_heads=16, n_kv_heads=4, head_dim=128, mlp_width=5120, vocabulary=157184,
        eps=1e-6, qk_norm=True, experts=_LLADA2, dense_layers=(0,),
    ),
    "llada-moe-7b": Shape(
        width=2048, n_layers=16, n_heads=16, n_kv_heads=16, head_dim=128, mlp_width=0, vocabulary=157184,
        eps=1e-5, qk_norm=True, experts=Experts(count=64, chosen=8, width=1024),
    ),
    "sdar-8b": Shape(
        width=4096, n_layers=36, n_heads=32, n_kv_heads=8, head_dim=128, mlp_width=12288, vocabulary=151936,
        eps=1e-6, qk_norm=True,
    ),
    "sdar-30b-a3b": Shape(
        width=2048, n_layers=48, n_heads=32, n_kv_heads=4, head_dim=128, mlp_width=0, vocabulary=151936,
        eps=1e-6, qk_norm=True, experts=Experts(count=128, chosen=8, width=768, renormalised=True),
    ),
}  # fmt: skip
"""As published; SDAR's by the numbers of the Qwen3 models that they come from."""
WAYS = ("kernels", "grouped", "one by one", "loop")


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """What stands for a config here; ``turned`` channels of a head turn with the position."""

    shape: Shape
    turned: int
    mask_token_id: int = 0
    eos_ids: tuple[int, ...] = ()
    embedding_size: int = 0
    max_sequence_length: int = 768


class RandomModel(Transformer):
    """A transformer of any shape."""

    @staticmethod
    def dimensions(config: Numbers) -> tuple[Shape, Rotary]:
        return config.shape, Rotary.plain(1e6, config.turned)

    def tensors(self) -> dict[str, Tensor]:
        return dict(self.named_parameters())


@torch.no_grad()
def random_model(shape: Shape, device: torch.device, dtype: torch.dtype) -> RandomModel:
    """A model of this shape and random weights, not packed."""
    turned = shape.head_dim // 2 if shape.dense_layers else shape.head_dim  # half of LLaDA2's
    model = RandomModel(Numbers(shape=shape, turned=turned), device=device, dtype=dtype)
    source = torch.Generator(device).manual_seed(0)
    for name, tensor in model.named_parameters():
        if name.endswith("norm.weight"):
            tensor.fill_(1.0)
        elif name.endswith("bias"):
            tensor.zero_()
        else:
            tensor.normal_(std=0.02, generator=source)
    return model


def published_loop(mlp: ExpertMLP, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
    """The sum over experts as transformers' own mixtures compute it."""
    mixed = torch.zeros_like(x)
    hits = F.one_hot(chosen, mlp.gate_up.groups).permute(2, 1, 0)  # [E, k, N]
    for expert in range(mlp.gate_up.groups):
        slot, rows = torch.where(hits[expert])
        if len(rows):
            made = mlp._expert(expert, x[rows]) * weights[rows, slot, None]
            mixed.index_add_(0, rows, made.to(x.dtype))
    return mixed


@contextmanager
def running(model: Transformer, way: str) -> Iterator[None]:
    """``model`` with its experts run in this ``way``."""
    fused, model._fused = model._fused, model._fused if way == "kernels" else None
    mixtures = [layer.mlp for layer in model.layers if isinstance(layer.mlp, ExpertMLP)]
    was = [mlp.one_by_one_because for mlp in mixtures]
    for mlp in mixtures:
        mlp.one_by_one_because = None if way in ("kernels", "grouped") else "it is measured"
        if way == "loop":
            mlp._by_expert = published_loop.__get__(mlp)  # type: ignore[method-assign]
    yield
    model._fused = fused
    for mlp, because in zip(mixtures, was, strict=True):
        mlp.one_by_one_because = because
        vars(mlp).pop("_by_expert", None)


def once(call: Callable[[], object], device: torch.device) -> float:
    """Milliseconds of one call, until the device has done it."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    begin = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return (time.perf_counter() - begin) * 1000


def timed(call: Callable[[], object], device: torch.device) -> float:
    """Milliseconds a call: on a GPU of many in a row, the median of five times; on a CPU the least of 5."""
    one = min(once(call, device) for _ in range(3))
    if device.type != "cuda":
        return min(one, *(once(call, device) for _ in range(4)))
    count = max(1, min(20, int(200 / one)))

    def several() -> None:
        for _ in range(count):
            call()

    return statistics.median(once(several, device) / count for _ in range(5))
