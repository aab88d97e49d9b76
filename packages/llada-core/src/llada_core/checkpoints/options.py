"""How a checkpoint is to be loaded, as one value that every loader takes. This module does not know torch."""

from __future__ import annotations

import inspect
import reprlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llada_core.checkpoints.dcp_source import DcpSource
from llada_core.errors import LladaError, UsageError

if TYPE_CHECKING:
    import torch

__all__ = ["DTYPES", "LoadOptions", "check_dcp", "check_loader", "check_quantised", "check_split"]

DTYPES = ("float32", "bfloat16", "float16")
"""What the weights of a model may be loaded, or written, as: torch's names, for programs to choose from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What a caller asked for: public functions make it of their keywords, loaders read it.

    ``device`` None is CUDA where there is one; ``dtype`` None is bfloat16 on CUDA and float32 elsewhere.
    Which names of either there are is the engine's matter. ``trust_remote_code`` allows code that comes with
    the checkpoint; ``revision`` is the branch, tag or commit of a hub id. ``quantization`` is what weights
    become when they are loaded, "fp8" or "int8"; the network that comes of it says the same as its own
    ``quantization``, else it is refused. ``tensor_parallel`` is between how many processes, each with a
    device of its own, the network is split; the two are not combined. ``dcp`` are a trainer's weights, loaded
    in place of the checkpoint's own; a loader is given it where its ``dcp_contents`` says that it reads them.
    A loader reads the fields that it knows, so that further ones may be added. A value of the wrong type
    raises ``UsageError``.
    """

    device: torch.device | str | None = None
    dtype: torch.dtype | str | None = None
    trust_remote_code: bool = False
    revision: str | None = None
    quantization: str | None = None
    tensor_parallel: int = 1
    dcp: DcpSource | None = None

    def __post_init__(self) -> None:
        if not (_is_name(self.device) or _is_of_torch(self.device, "device")):
            raise _refusal("device", self.device, "a torch.device, or a name such as 'cpu' or 'cuda:1'")
        if not (_is_name(self.dtype) or _is_of_torch(self.dtype, "dtype")):
            raise _refusal("dtype", self.dtype, "a torch.dtype, or a name such as 'float32' or 'bfloat16'")
        if not isinstance(self.trust_remote_code, bool):
            raise _refusal("trust_remote_code", self.trust_remote_code, "True or False")
        if not _is_name(self.revision):
            raise _refusal("revision", self.revision, "a branch, tag or commit, or leave it out")
        if not _is_name(self.quantization):
            raise _refusal("quantization", self.quantization, "'fp8' or 'int8', or leave it out")
        if type(self.tensor_parallel) is not int or self.tensor_parallel < 1:
            raise _refusal("tensor_parallel", self.tensor_parallel, "a number of devices, from 1 on")
        if not (self.dcp is None or isinstance(self.dcp, DcpSource)):
            raise _refusal("dcp", self.dcp, "a llada_core.DcpSource, or leave it out")
        if self.quantization is not None and self.tensor_parallel > 1:
            raise UsageError(
                f"quantization={self.quantization!r} and tensor_parallel={self.tensor_parallel} cannot be "
                "combined; leave one of the two out"
            )


def check_loader(load_network: Callable[..., Any], *, owner: str) -> None:
    """Refuse a ``load_network`` that takes device and dtype one by one, as all did before llada-core 0.2."""
    signature = inspect.signature(load_network)
    try:
        signature.bind("folder", "options")
        fits = signature.parameters.keys().isdisjoint(("device", "dtype"))
    except TypeError:
        fits = False
    if not fits:
        raise LladaError(
            f"{owner} has load_network{signature}, which cannot be called; write load_network(self, folder, "
            "options), where options is a llada_core.LoadOptions with device, dtype, trust_remote_code, "
            "revision, quantization, tensor_parallel and dcp"
        )


def check_quantised(network: object, options: LoadOptions, *, owner: str) -> None:
    """Refuse a network that a loader did not quantise as it was asked to. Raises ``ValueError``."""
    wanted, found = options.quantization, getattr(network, "quantization", None)
    if wanted is not None and found != wanted:
        raise ValueError(
            f"quantization {wanted!r} was asked for, and {owner} loads models without it; leave quantization "
            "out, or take an engine that quantises"
        )


def check_split(network: Any, options: LoadOptions, *, owner: str) -> None:
    """Refuse a network that was loaded whole where it was to be split, as by a loader that knows no
    ``tensor_parallel``; one that is split says between how many, by an attribute of that name."""
    found = getattr(network, "tensor_parallel", 1)
    if found != options.tensor_parallel:
        raise UsageError(
            f"tensor_parallel={options.tensor_parallel} was asked for, and {owner} has loaded a "
            f"{type(network).__name__} that is whole; leave tensor_parallel out"
        )


def check_dcp(network: object, options: LoadOptions, *, owner: str) -> None:
    """Refuse a network that was not made of the trainer's weights that it was to be made of; one that was
    says what it has read, by its ``dcp``. Raises ``ValueError``."""
    if options.dcp is not None and getattr(network, "dcp", None) is None:
        raise ValueError(
            f"{owner} was to read the weights in {options.dcp.path}, and has loaded a "
            f"{type(network).__name__} that does not say that they are its own; let its load_network heed "
            "options.dcp, or its dcp_contents return None"
        )


def _is_name(value: object) -> bool:
    return value is None or (isinstance(value, str) and bool(value.strip()))


def _is_of_torch(value: object, kind: str) -> bool:
    """Whether ``value`` is a ``torch.<kind>``; it cannot be one while torch is not imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, kind))


def _refusal(field: str, value: object, expected: str) -> UsageError:
    return UsageError(f"{field}={reprlib.repr(value)} is not accepted; give {expected}")
