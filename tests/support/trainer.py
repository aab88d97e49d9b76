"""A trainer of two processes, and what it writes by ``torch.distributed.checkpoint``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_state_dict
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

from llada_runtime.testing import LLADA_CONFIG, llada_weights

__all__ = ["KINDS", "ODD_CONFIG", "train"]

ODD_CONFIG = {**LLADA_CONFIG, "mlp_hidden_size": 25}
"""Of a network that two ranks cannot share evenly."""

KINDS = ("fsdp", "mixed", "replicated", "two_models")


def train(folder: Path) -> Path:
    """Let two processes write a checkpoint of each of `KINDS` into ``folder``, which is returned."""
    folder.mkdir(exist_ok=True)
    ranks = [
        subprocess.Popen(
            [sys.executable, "-m", __name__, str(rank), str(folder)],
            env={**os.environ, "GLOO_SOCKET_IFNAME": "lo"},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for rank in ranks:
        _, said = rank.communicate(timeout=100)
        assert rank.returncode == 0, said
    return folder


def _module(weights: dict[str, Tensor]) -> nn.Module:
    """A module with parameters of these names."""
    root = nn.Module()
    for name, tensor in weights.items():
        at = root
        *path, last = name.split(".")
        for part in path:
            if part not in dict(at.named_children()):
                at.add_module(part, nn.Module())
            at = at.get_submodule(part)
        at.register_parameter(last, nn.Parameter(tensor.clone()))
    return root


def _fsdp(mesh: DeviceMesh) -> dict[str, Any]:
    """What a trainer with FSDP and AdamW saves after a step that changes nothing."""
    module = _module(llada_weights())
    for block in module.get_submodule("model.transformer.blocks").children():
        fully_shard(block, mesh=mesh)
    fully_shard(module, mesh=mesh)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.0, weight_decay=0.0)
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    model, state = get_state_dict(module, optimizer)
    return {"app": {"model": model, "optimizer": state}, "step": 1}


def _mixed(mesh: DeviceMesh) -> dict[str, Any]:
    """Tensors cut by rows, by columns and not at all, in bfloat16, behind the names of torch.compile."""
    weights = llada_weights(ODD_CONFIG)
    cuts = [Shard(0), Shard(1), Replicate()]
    placed = {
        f"_orig_mod.{name}": distribute_tensor(
            tensor.bfloat16(), mesh, [cuts[index % 3 if tensor.dim() == 2 else 0]]
        )
        for index, (name, tensor) in enumerate(weights.items())
    }
    return {"policy": placed}


def _main(rank: int, folder: Path) -> None:
    dist.init_process_group("gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    states: dict[str, dict[str, Any]] = {
        "fsdp": _fsdp(mesh),
        "mixed": _mixed(mesh),
        "replicated": {**llada_weights(), "epoch": 3, "rng": torch.ones(4)},
        "two_models": {
            part: {name: distribute_tensor(tensor, mesh, [Shard(0)]) for name, tensor in weights.items()}
            for part, weights in (("policy", llada_weights()), ("ref", llada_weights(seed=1)))
        },
    }
    for kind, state in states.items():
        checkpoint.save(state, checkpoint_id=folder / kind)
    dist.destroy_process_group()


if __name__ == "__main__":
    _main(int(sys.argv[1]), Path(sys.argv[2]))
