"""Reading a checkpoint straight into the tensors that want it, one at a time.

This module knows names, shapes and dtypes, not networks: it is given a mapping from the names in the
checkpoint to the (views of) tensors to fill. All of these are checked before anything is read.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor

from llada_core.errors import CheckpointError, UsageError
from llada_core.faults import one_line
from llada_core.names import some
from llada_runtime.network.sources import Source, Stored
from llada_runtime.network.split import Piece
from llada_runtime.network.weight_files import UnusedWeights

__all__ = ["check_floating", "check_source", "choose_device", "choose_dtype", "fill", "follows_from_config"]

_WHOLE: Mapping[str, Piece] = MappingProxyType({})
# What tools that quantise put beside or in place of a weight.
_QUANTISED = re.compile(
    r"\.(qweight|qzeros|scales|g_idx|weight_scale(_inv)?|weight_zero_point|input_scale|SCB|weight_packed|"
    r"weight\.(absmax|quant_map|nested_\w+|quant_state\..*))$"
)
# Buffers that older releases of transformers saved, and that follow from the config.
_DERIVED = re.compile(r"(^|\.)(inv_freq|position_ids)$")
_UNQUANTISED = "take the checkpoint that was not quantised, or write its weights as floating-point numbers"


def choose_device(device: str | torch.device | None) -> torch.device:
    """``device``, or the GPU if there is one, else the CPU.

    Raises:
        UsageError: torch knows no device of that name.
        CheckpointError: the device does not exist here, or can hold no weights.
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as exc:
        raise UsageError(f"device {device!r} is not known to torch; use 'cpu', 'cuda' or 'cuda:N'") from exc
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise CheckpointError(f"device {device!r} was asked for, and torch sees no GPU; use device='cpu'")
    if chosen.type == "meta":
        raise CheckpointError(
            f"device {str(device)!r} has shapes and no numbers, so that nothing can be decoded on it; "
            "use 'cpu' or 'cuda'"
        )
    try:
        torch.empty(1, device=chosen)
    except Exception as exc:  # where torch was built without it: RuntimeError, AssertionError, ImportError
        said = one_line(exc).partition(". ")[0]
        raise CheckpointError(
            f"device {str(device)!r} cannot be used here ({said}); use 'cpu', or 'cuda:N' of a GPU that "
            "torch sees"
        ) from exc
    return chosen


def choose_dtype(dtype: str | torch.dtype | None, device: torch.device) -> torch.dtype:
    """``dtype``, or bfloat16 on a GPU and float32 on the CPU.

    Raises:
        UsageError: not one of float32, bfloat16, float16.
    """
    if dtype is None:
        return torch.float32 if device.type == "cpu" else torch.bfloat16
    chosen = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if chosen not in (torch.float32, torch.bfloat16, torch.float16):
        raise UsageError(f"dtype {dtype!r} cannot be used; choose 'float32', 'bfloat16' or 'float16'")
    return chosen


def fill(targets: Mapping[str, Tensor], source: Source, *, pieces: Mapping[str, Piece] = _WHOLE) -> None:
    """Copy every tensor of the checkpoint into the target of the same name, casting as needed.

    Of a tensor that is among ``pieces`` only that piece is read.

    A target that has several names is a tied weight: the checkpoint holds it under one of them, or under
    more. Where those differ, the first counts and ``UnusedWeights`` warns.

    Raises:
        CheckpointError: a file cannot be read, or a tensor is missing, unknown, of another shape or no
            floating-point numbers; the message names it. Nothing has been copied then, unless a file turned
            out damaged half-way.
    """
    stored = check_source(targets, source, pieces=pieces)
    first = {next(filter(stored.__contains__, each)) for each in _names_of(targets)}
    source.copy({name: targets[name] for name in stored if name in first}, pieces)
    _tell_of_untied(stored.keys() - first, source, stored, targets)


def check_source(
    targets: Mapping[str, Tensor], source: Source, *, pieces: Mapping[str, Piece] = _WHOLE
) -> dict[str, Stored]:
    """The tensors of the checkpoint, known to be those that ``fill`` wants, whose errors this raises.

    Targets may be on the device "meta": nothing is read.
    """
    stored = {
        name: facts
        for name, facts in source.stored().items()
        if name in targets or not follows_from_config(name)
    }
    _compare_names(source.folder, _names_of(targets), found=stored.keys())
    for name, facts in stored.items():
        _compare_contents(name, facts, tuple(targets[name].shape), pieces.get(name))
    return stored


def follows_from_config(name: str) -> bool:
    """Whether a tensor of this name follows from the config, so that nothing is read of it."""
    return bool(_DERIVED.search(name))


def _names_of(targets: Mapping[str, Tensor]) -> list[list[str]]:
    """The names of each target, in the order of ``targets``."""
    names: dict[int, list[str]] = {}
    for name, tensor in targets.items():
        names.setdefault(id(tensor), []).append(name)
    return list(names.values())


def _compare_names(folder: Path, names: list[list[str]], *, found: Iterable[str]) -> None:
    held = set(found)
    missing = [" or ".join(each) for each in names if held.isdisjoint(each)]
    unknown = held.difference(*names)
    if any(map(_QUANTISED.search, unknown)):
        marks = filter(_QUANTISED.search, unknown)
        raise CheckpointError(
            f"the weights in {folder} are quantised ({some(marks)}), and this network reads floating-point "
            f"ones; {_UNQUANTISED}"
        )
    if missing or unknown:
        parts = [f"lacks {some(missing)}"] if missing else []
        parts += [f"holds {some(unknown)}, which this network has no place for"] if unknown else []
        raise CheckpointError(
            f"the checkpoint in {folder} {' and '.join(parts)}; "
            "check that config.json and the weights belong together"
        )


def check_floating(name: str, facts: Stored) -> None:
    """Refuse a tensor whose numbers are no floating-point ones. Raises ``CheckpointError``."""
    if not facts.floating:
        raise CheckpointError(
            f"{facts.place}: {name} is stored as {facts.dtype}, whose numbers mean nothing without "
            f"the scales of what quantised it; {_UNQUANTISED}"
        )


def _compare_contents(name: str, facts: Stored, shape: tuple[int, ...], piece: Piece | None) -> None:
    check_floating(name, facts)
    wanted = shape if piece is None else piece.whole(shape)
    if facts.shape != wanted:
        raise CheckpointError(
            f"{facts.place}: {name} is {list(facts.shape)}, and config.json makes it {list(wanted)}; "
            "check that config.json and the weights belong together"
        )


def _tell_of_untied(
    redundant: Iterable[str], source: Source, stored: Mapping[str, Stored], targets: Mapping[str, Tensor]
) -> None:
    """Warn of weights that the config ties to others and that are not these."""
    for name in sorted(redundant):
        target = targets[name]
        if not torch.equal(source.read(name).to(device=target.device, dtype=target.dtype), target):
            message = (
                f"{stored[name].place}: {name} is not used, because config.json ties it to another tensor, "
                "which differs from it; correct config.json if the two are not tied"
            )
            warnings.warn(message, UnusedWeights, stacklevel=2)
