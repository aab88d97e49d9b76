"""How a network comes of what ``load_model_class`` gives. Imported only through ``LazyModule``: needs torch.

That is a class of an engine, a class of transformers, or a model. Each is asked in its own way.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

import torch

from llada_core.checkpoints.dcp_source import DcpContents
from llada_core.checkpoints.options import LoadOptions
from llada_core.errors import UsageError
from llada_core.faults import one_line
from llada_core.values import told

__all__ = ["Loader", "check_distributed", "class_named_by", "dcp_contents", "load_network"]

Loader = Callable[..., Any]
"""``load_model_class()`` or ``load_model_class(folder, **what transformers takes)``: a class, or a model."""


def check_distributed() -> None:
    """Refuse to read what torch.distributed has written by a torch without it. Raises ``UsageError``."""
    if not torch.distributed.is_available():
        raise UsageError(
            "checkpoints of torch.distributed need it, and this torch was built without; install another "
            "build of torch"
        )


def class_named_by(loader: Loader) -> type | None:
    """The class that ``loader`` names; None where it is to be given a folder, or gives a model."""
    if _takes_folder(loader):
        return None
    made = loader()
    return made if isinstance(made, type) else None


def dcp_contents(loader: Loader, folder: Path, options: LoadOptions) -> DcpContents | None:
    """What a class that ``loader`` names will read of ``options.dcp``; None where its ``from_pretrained`` has
    no ``dcp``, or it does not tell."""
    kind = class_named_by(loader)
    told = getattr(kind, "dcp_contents", None)
    if kind is None or told is None or "dcp" not in _taken(kind):
        return None
    found: DcpContents = told(folder, options.dcp)
    return found


def load_network(loader: Loader, folder: Path, options: LoadOptions) -> Any:
    """The network in ``folder``, by what ``loader`` gives.

    A class of transformers is called with ``dtype`` and ``trust_remote_code``, and its model then moved to
    the device; another class is called with ``device`` and ``dtype`` as the caller gave them, and with a
    ``quantization`` that was given if it takes one. Raises ``ValueError`` for what is neither class nor
    model, ``UsageError`` where it is to be split, besides what loading raises.
    """
    if options.tensor_parallel > 1:
        raise UsageError(
            f"tensor_parallel={options.tensor_parallel} splits networks of the runtime, and this one is "
            "loaded by a class of its own; leave tensor_parallel out"
        )
    made = _called(loader, folder, options) if _takes_folder(loader) else loader()
    if isinstance(made, type) and hasattr(made, "from_pretrained"):
        if not _is_of_transformers(made):
            return made.from_pretrained(
                folder, device=options.device, dtype=options.dtype, **_further(made, options)
            )
        trusted = options.trust_remote_code
        made = made.from_pretrained(os.fspath(folder), dtype=_dtype(options), trust_remote_code=trusted)
    if made is None or isinstance(made, type | bool | str | bytes | int | os.PathLike):
        raise ValueError(
            f"load_model_class returned {told(made)}; return a class that has from_pretrained, "
            "such as transformers.AutoModel, or a loaded model"
        )
    return _placed(made, options)


def _called(loader: Loader, folder: Path, options: LoadOptions) -> Any:
    wanted = _wanted(loader, options)
    try:
        return loader(os.fspath(folder), **wanted)
    except TypeError as exc:
        given = ", ".join(["folder", *(f"{name}=…" for name in wanted)])
        raise ValueError(
            f"load_model_class({given}) failed: {one_line(exc)}; let it take these, or name what it takes"
        ) from exc


def _further(kind: Any, options: LoadOptions) -> dict[str, object]:
    """The keywords that ask for weights of eight bits, and for those of a trainer. Whoever ignores them is
    refused when it has loaded."""
    taken = _taken(kind)
    given = {"quantization": options.quantization, "dcp": options.dcp}
    return {name: value for name, value in given.items() if value is not None and name in taken}


def _taken(kind: Any) -> Collection[str]:
    return inspect.signature(kind.from_pretrained).parameters.keys()


def _takes_folder(loader: Loader) -> bool:
    """Whether the folder is to be given to ``loader``: it has a place for it."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return any(each.kind in kinds for each in inspect.signature(loader).parameters.values())


def _wanted(loader: Loader, options: LoadOptions) -> dict[str, object]:
    """The keywords that transformers has for the options, as far as ``loader`` takes them."""
    named = inspect.signature(loader).parameters
    takes_all = any(each.kind is each.VAR_KEYWORD for each in named.values())
    wanted: dict[str, object] = {}
    if "torch_dtype" in named or "dtype" in named or takes_all:
        wanted["torch_dtype" if "torch_dtype" in named else "dtype"] = _dtype(options)
    # Left out where it says nothing: a loader that always trusts its models' code says so itself.
    if "trust_remote_code" in named or (takes_all and options.trust_remote_code):
        wanted["trust_remote_code"] = options.trust_remote_code
    if "device_map" in named:
        wanted["device_map"] = str(_device(options))
    return wanted


def _is_of_transformers(kind: type) -> bool:
    return any(base.__module__.partition(".")[0] == "transformers" for base in kind.__mro__)


def _placed(model: Any, options: LoadOptions) -> Any:
    """The model on its device and ready to decode; one that is spread over devices stays where it is."""
    if not isinstance(model, torch.nn.Module):
        return model
    spread = getattr(model, "hf_device_map", None) is not None
    return (model if spread else model.to(_device(options))).eval()


def _device(options: LoadOptions) -> torch.device:
    if options.device is not None:
        return _named_device(options.device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _named_device(device: torch.device | str) -> torch.device:
    try:
        return torch.device(device)
    except RuntimeError as exc:
        raise UsageError(f"device {device!r} is not known to torch; give cpu, cuda or cuda:N") from exc


def _dtype(options: LoadOptions) -> torch.dtype:
    if isinstance(options.dtype, torch.dtype):
        return options.dtype
    if options.dtype is None:
        return torch.bfloat16 if _device(options).type == "cuda" else torch.float32
    found = getattr(torch, options.dtype.removeprefix("torch."), None)
    if not isinstance(found, torch.dtype):
        raise UsageError(f"dtype {options.dtype!r} is none of torch's; give float32, bfloat16 or float16")
    return found
