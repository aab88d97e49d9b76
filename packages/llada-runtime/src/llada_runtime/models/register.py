"""Which network class runs a checkpoint, by what its ``config.json`` calls itself.

Networks are named as ``"module:attr"`` and imported when a checkpoint asks for them. A package that brings
a network of its own calls `register` where it is asked for its algorithms, not when it is imported.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llada_core.checkpoints import read_fields
from llada_core.checkpoints.dcp_source import DcpContents, DcpSource
from llada_core.errors import CheckpointError, UnsupportedArchitecture, UsageError
from llada_core.imports import load_target

if TYPE_CHECKING:
    from llada_runtime.network.protocol import Network

__all__ = ["dcp_contents", "load_network", "network_class", "register", "tensor_names"]

_ARCHITECTURES: dict[str, str] = {
    "LLaDAModelLM": "llada_runtime.models.llada:LLaDAModel",
    "LLaDAMoEModelLM": "llada_runtime.models.llada_moe:LLaDAMoEModel",
}
_MODEL_TYPES: dict[str, str] = {
    "llada": "llada_runtime.models.llada:LLaDAModel",
}

_GRAPHED = "llada_runtime.network.graphs:graphed"
_WARM_UP = "llada_runtime.network.warmup:warm_up"
_PARALLEL = "llada_runtime.network.parallel.start:load_parallel"


def register(
    target: str, *, architectures: Iterable[str] = (), model_types: Iterable[str] = ()
) -> Callable[[], None]:
    """Let ``target``, ``"module:attr"`` of a class with ``from_pretrained``, run these checkpoints.

    Returns:
        What takes the registration back.

    Raises:
        UsageError: another class runs one of them already; nothing has been registered then.
    """
    wanted = [(_ARCHITECTURES, name) for name in architectures]
    wanted += [(_MODEL_TYPES, name) for name in model_types]
    for table, name in wanted:
        if table.get(name, target) != target:
            raise UsageError(f"{name} is run by {table[name]} already; take that back before {target} can")
    added = [(table, name) for table, name in wanted if name not in table]
    for table, name in added:
        table[name] = target

    def undo() -> None:
        for table, name in added:
            table.pop(name, None)

    return undo


def network_class(config: Mapping[str, Any]) -> type[Any]:
    """The class that runs the checkpoint with this parsed ``config.json``.

    Its ``architectures`` are asked first, in their order, then its ``model_type``.

    Raises:
        UnsupportedArchitecture: none of them is registered; the message names those that are.
    """
    named = config.get("architectures")
    listed = [name for name in named if isinstance(name, str)] if isinstance(named, list) else []
    model_type = config.get("model_type")
    target = next((_ARCHITECTURES[name] for name in listed if name in _ARCHITECTURES), None)
    if target is None and isinstance(model_type, str):
        target = _MODEL_TYPES.get(model_type)
    if target is None:
        raise UnsupportedArchitecture(
            f"config.json: model_type is {model_type!r} and architectures is {named!r}; this runtime runs "
            f"{', '.join(sorted({*_MODEL_TYPES, *_ARCHITECTURES}))}: "
            "load the model with the engine made for it"
        )
    found: type[Any] = load_target(target)
    return found


def load_network(
    folder: str | Path,
    *,
    kind: type[Any] | None = None,
    device: Any = None,
    dtype: Any = None,
    quantization: str | None = None,
    told: Callable[[int, int], None] | None = None,
    tensor_parallel: int = 1,
    dcp: DcpSource | None = None,
) -> Network:
    """The network in ``folder``, by the class that is registered for it; on a GPU with its steps as graphs.

    Args:
        kind: another class, which need not be registered: an engine with a network of its own, which no other
            engine is to find, gives it.
        device, dtype: None is the GPU in bfloat16 if there is one, else the CPU in float32.
        quantization: "fp8" or "int8" puts weights in eight bits.
        told: is called with how many kinds of steps have been captured, and how many are to be.
        tensor_parallel: how many ranks hold a part of it each; see `load_parallel`.
        dcp: a trainer's weights, read straight into the network instead of those in ``folder``.

    Raises:
        UsageError: the network or the machine cannot be split so, or another quantization.
        CheckpointError: the files are damaged or do not belong together, or the class does not quantise, or
            reads no trainer's weights.
        ModelNotFound, ModelLoadError: there are no such weights of a trainer, or they are damaged.
        UnsupportedArchitecture: no network is registered for it, or it is a variant that is not implemented.
    """
    kind = _kind(folder, kind)
    if tensor_parallel > 1:
        target = f"{kind.__module__}:{kind.__qualname__}"
        split: Network = load_target(_PARALLEL)(
            target, folder, size=tensor_parallel, device=device, dtype=dtype, told=told, dcp=dcp
        )
        return split
    network: Network = kind.from_pretrained(
        folder, device=device, dtype=dtype, **_eight_bits(kind, quantization), **_weights(kind, dcp)
    )
    graphed: Network = load_target(_GRAPHED)(network)
    load_target(_WARM_UP)(graphed, told=told)
    return graphed


def _kind(folder: str | Path, kind: type[Any] | None) -> type[Any]:
    return network_class(read_fields(Path(folder))) if kind is None else kind


def _eight_bits(kind: type[Any], quantization: str | None) -> dict[str, str]:
    """What asks ``kind`` for weights of eight bits. Raises CheckpointError where it has no place for that."""
    if quantization is None:
        return {}
    if "quantization" not in inspect.signature(kind.from_pretrained).parameters:
        raise CheckpointError(
            f"quantization {quantization!r} was asked for, and {kind.__name__} has weights of its own dtype "
            "alone; leave quantization out"
        )
    return {"quantization": quantization}


def _weights(kind: type[Any], dcp: DcpSource | None) -> dict[str, DcpSource]:
    """What lets ``kind`` read a trainer's weights. Raises CheckpointError where it has no place for that."""
    if dcp is None:
        return {}
    if not _reads_dcp(kind):
        raise CheckpointError(
            f"the weights in {dcp.path} are of torch.distributed, and {kind.__name__} reads safetensors "
            "alone; convert them"
        )
    return {"dcp": dcp}


def _reads_dcp(kind: type[Any]) -> bool:
    return "dcp" in inspect.signature(kind.from_pretrained).parameters and hasattr(kind, "dcp_contents")


def dcp_contents(folder: str | Path, dcp: DcpSource, *, kind: type[Any] | None = None) -> DcpContents | None:
    """What `load_network` would read of a trainer's weights, known to be what the network needs.

    None where the class reads safetensors alone; it is ``kind``, or the one that is registered.

    Raises:
        CheckpointError, UnsupportedArchitecture, ModelNotFound, ModelLoadError, UsageError: as it.
    """
    kind = _kind(folder, kind)
    contents: DcpContents | None = kind.dcp_contents(folder, dcp) if _reads_dcp(kind) else None
    return contents


def tensor_names(folder: str | Path, *, kind: type[Any] | None = None) -> frozenset[str] | None:
    """The names of the tensors of the network for the config in ``folder``: of ``kind``, or the one that is
    registered.

    None where there is none, or its class does not tell.

    Raises:
        CheckpointError: ``config.json`` is damaged, or lacks a field.
    """
    try:
        kind = _kind(folder, kind)
        tell = getattr(kind, "tensor_names", None)
        names: frozenset[str] | None = None if tell is None else tell(folder)
    except UnsupportedArchitecture:  # it may still be run by its own code, or the loader says what is wrong
        return None
    return names
