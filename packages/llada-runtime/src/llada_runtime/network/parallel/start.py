"""How a network comes to be on several ranks: by processes of its own, or by those that torchrun started."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from llada_core.checkpoints.dcp_source import DcpSource
from llada_core.errors import CheckpointError, GenerationError, UsageError
from llada_core.imports import load_target
from llada_runtime.network.checkpoint import choose_device, choose_dtype
from llada_runtime.network.parallel.crew import Crew
from llada_runtime.network.parallel.follower import follow
from llada_runtime.network.parallel.launched import Launched, launched_as
from llada_runtime.network.parallel.leader import Parallel
from llada_runtime.network.parallel.part import Part, ready
from llada_runtime.network.parallel.spawned import Spawned
from llada_runtime.network.parallel.wire import Command

__all__ = ["load_parallel"]


def load_parallel(
    target: str,
    folder: str | Path,
    *,
    size: int,
    device: str | torch.device | None = None,
    dtype: str | torch.dtype | None = None,
    told: Callable[[int, int], None] | None = None,
    dcp: DcpSource | None = None,
) -> Parallel:
    """The network in ``folder``, by the class ``target``, on ``size`` ranks; this process is rank 0.

    Does not return in a process that torchrun started as another rank: it follows rank 0, and ends with it.

    Args:
        target: ``"module:attr"`` of a `Transformer`.
        device: "cuda", of which each rank takes one GPU, or "cpu"; None is the first if there is one.
        dtype, told, dcp: as for ``load_network``.

    Raises:
        UsageError: the network or the machine cannot be split so.
        CheckpointError: the files are damaged or do not belong together, or a rank could not load its part.
        UnsupportedArchitecture: the network does not implement what ``config.json`` asks for.
    """
    kind: Any = load_target(target)
    if not hasattr(kind, "check_split"):
        raise UsageError(
            f"tensor_parallel={size} splits networks that say how, and {kind.__name__} does not; "
            "leave tensor_parallel out"
        )
    place = _device(device, size)
    rank = launched_as(size)
    kind.check_split(folder, size)
    part = Part(
        target=target,
        folder=str(Path(folder).resolve()),
        size=size,
        device=place.type,
        dtype=str(choose_dtype(dtype, place)).removeprefix("torch."),
        dcp=None if dcp is None else _settled(dcp),
    )
    if rank is None:
        return _led(part, Spawned(part), told)
    way = Launched(part=part, rank=rank)
    if rank:
        follow(way.line(), part, rank, store=way.store)
    return _led(part, way, told)


def _device(device: str | torch.device | None, size: int) -> torch.device:
    """The kind of device that ranks are on. Raises ``UsageError`` where there are not ``size`` of it."""
    if not dist.is_available():
        raise UsageError(
            f"tensor_parallel={size} needs torch.distributed, which this torch was built without; "
            "install another build of torch, or leave tensor_parallel out"
        )
    chosen = choose_device(device)
    if chosen.type not in ("cuda", "cpu") or chosen.index is not None:
        raise UsageError(
            f"device={str(device)!r} is one device, and tensor_parallel={size} takes {size}; give 'cuda' or "
            "'cpu', and choose GPUs by CUDA_VISIBLE_DEVICES"
        )
    if chosen.type == "cuda" and torch.cuda.device_count() < size:
        raise UsageError(
            f"tensor_parallel={size} takes {size} GPUs, and torch sees {torch.cuda.device_count()}; "
            "give fewer, or check CUDA_VISIBLE_DEVICES"
        )
    return chosen


def _settled(dcp: DcpSource) -> DcpSource:
    """The same weights, as every process calls them."""
    return DcpSource(path=str(Path(dcp.path).expanduser().resolve()), prefix=dcp.prefix)


def _led(part: Part, way: Spawned | Launched, told: Callable[[int, int], None] | None) -> Parallel:
    """The network at rank 0, once the others are as far."""
    crew: Crew | None = None
    try:
        crew = way.crew()
        network, ranks = part.load(0)
        crew.joins(ranks)
        with crew.guarded():
            crew.answers()  # all have loaded
            crew.tell(Command.CONNECT)
            steps = ready(network, ranks, way.store(), told=told)
            crew.answers()
        return Parallel(steps, ranks=ranks, crew=crew)
    except BaseException as exc:
        if crew is not None:
            crew.end()
        if isinstance(exc, GenerationError):
            raise CheckpointError(str(exc)) from exc
        raise
