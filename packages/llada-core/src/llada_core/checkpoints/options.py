"""How a checkpoint is to be loaded, as one value that every loader takes. This module does not know torch."""

from __future__ import annotations

import inspect
import reprlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llada_core.errors import LladaError, UsageError

if TYPE_CHECKING:
    import torch

__all__ = ["LoadOptions", "check_loader"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """What a caller asked for: public functions make it of their keywords, loaders read it.

    ``device`` None is CUDA where there is one; ``dtype`` None is bfloat16 on CUDA and float32 elsewhere.
    Which names of either there are is the engine's matter. ``trust_remote_code`` allows code that comes with
    the checkpoint; ``revision`` is the branch, tag or commit of a hub id. A loader reads the fields that it
    knows, so that further ones may be added. A value of the wrong type raises ``UsageError``.
    """

    device: torch.device | str | None = None
    dtype: torch.dtype | str | None = None
    trust_remote_code: bool = False
    revision: str | None = None

    def __post_init__(self) -> None:
        if not (_is_name(self.device) or _is_of_torch(self.device, "device")):
            raise _refusal("device", self.device, "a torch.device, or a name such as 'cpu' or 'cuda:1'")
        if not (_is_name(self.dtype) or _is_of_torch(self.dtype, "dtype")):
            raise _refusal("dtype", self.dtype, "a torch.dtype, or a name such as 'float32' or 'bfloat16'")
        if not isinstance(self.trust_remote_code, bool):
            raise _refusal("trust_remote_code", self.trust_remote_code, "True or False")
        if not _is_name(self.revision):
            raise _refusal("revision", self.revision, "a branch, tag or commit, or leave it out")


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
            "options), where options is a llada_core.LoadOptions with device, dtype, trust_remote_code and "
            "revision"
        )


def _is_name(value: object) -> bool:
    return value is None or (isinstance(value, str) and bool(value.strip()))


def _is_of_torch(value: object, kind: str) -> bool:
    """Whether ``value`` is a ``torch.<kind>``; it cannot be one while torch is not imported."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, getattr(torch, kind))


def _refusal(field: str, value: object, expected: str) -> UsageError:
    return UsageError(f"{field}={reprlib.repr(value)} is not accepted; give {expected}")
