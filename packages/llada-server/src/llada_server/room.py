"""How much memory the served model takes, and how much of it its cache may take beside the weights.

By the estimate of the engine: this module knows no network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llada_core import CheckpointError
from llada_core.checkpoints.config import ModelConfig
from llada_core.errors import UsageError
from llada_core.faults import fault_of, one_line
from llada_core.imports import load_target
from llada_core.loading import LoadedModel
from llada_core.machine import amount, main_memory

__all__ = ["Room", "room_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """The memory of one model on its device, in bytes.

    Attributes:
        dtype: of weights and cache. weights: all of them. column: keys and values of one token.
        logits: of one block of one row.
        total: what the device has.
        quantization: what weights of eight bits are, None where none are.
        devices: how many share the model; then the figures are of the first.
    """

    dtype: str
    weights: int
    column: int
    logits: int
    total: int
    quantization: str | None = None
    devices: int = 1

    def columns(self, share: float) -> int:
        """How many columns the cache may have where weights and cache take ``share`` of the device's memory.

        The logits of one row are kept aside. Raises ``UsageError`` where there is no room for any.
        """
        needed = self.weights + self.logits + self.column
        columns = (int(self.total * share) - self.weights - self.logits) // max(self.column, 1)
        if columns >= 1:
            return columns
        least = needed / self.total
        advice = f"give {least:.2f} or more" if least < 1 else "take a smaller model, or another device"
        raise UsageError(
            f"gpu_memory_utilization={share} of the device's {amount(self.total)} leaves no room for a cache "
            f"beside weights of {amount(self.weights)}; {advice}"
        )


def room_of(model: LoadedModel, config: ModelConfig) -> Room | str:
    """The memory of a loaded model, or why its engine cannot tell."""
    target, network = model.engine.spec.memory, model.model.network
    if target is None:
        return f"the engine {model.engine.name} does not estimate memory"
    dtype = str(getattr(network, "dtype", "")).removeprefix("torch.")
    devices, quantization = (getattr(network, name, None) for name in ("tensor_parallel", "quantization"))
    how = {"tensor_parallel": devices, "quantization": quantization}
    given = {name: value for name, value in how.items() if value not in (None, 1)}
    try:
        told = load_target(target)(config.fields, dtype=dtype, available=None, **given).as_dict()
        return Room(
            dtype=dtype,
            weights=told["weights"],
            column=told["kv_per_token"],
            logits=told["logits_per_row"],
            total=_total(network, devices or 1),
            quantization=quantization,
            devices=devices or 1,
        )
    except CheckpointError as exc:
        return str(exc)
    except BaseException as exc:  # it is a plugin's, which may raise anything
        return f"the estimate of the engine {model.engine.name} failed ({one_line(fault_of(exc))})"


def _total(network: Any, devices: int) -> int:
    """Bytes of the memory of one of the network's devices: of the smallest of its GPUs, or its share of main
    memory."""
    device = getattr(network, "device", None)
    if getattr(device, "type", "cpu") != "cuda":
        return main_memory() // devices
    found: list[Mapping[str, Any]] = load_target("llada_core.cli.devices:cuda_devices")()
    first = getattr(device, "index", None) or 0
    return min(int(each["total"]) for each in found[first : first + devices])
