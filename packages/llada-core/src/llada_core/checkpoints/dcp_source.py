"""Weights that a trainer wrote by ``torch.distributed.checkpoint``: which are wanted, and which were found.

This module does not know torch, nor how they are read.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from llada_core.checkpoints.places import model_name
from llada_core.checkpoints.prefixes import changes
from llada_core.errors import UsageError

__all__ = ["SHARD_BYTES", "DcpContents", "DcpSource"]

SHARD_BYTES = 4 * 2**30
"""The bytes of a file of weights, at most, when a checkpoint is written in the Hugging Face layout and
nobody says another number."""
_MOST = 6  # groups of what is left out that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class DcpSource:
    """The weights in the folder ``path``, which ``torch.distributed.checkpoint`` wrote.

    ``prefix``, such as "policy.", is what stands before the names of the model's tensors; None finds it by
    the names that the network gives them. ``temp_dir`` is where the weights are copied to in the Hugging Face
    layout, for a loader that reads nothing else; None is the system's place for temporary files. Raises
    ``UsageError`` for values of the wrong type.
    """

    path: str | os.PathLike[str]
    prefix: str | None = None
    temp_dir: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        model_name(self.path)
        if not (self.prefix is None or isinstance(self.prefix, str)):
            raise UsageError(f"prefix={self.prefix!r} is no prefix of names; give a string such as 'policy.'")

    @property
    def behind(self) -> str | None:
        """The prefix with the dot that ends it; None where it is to be found."""
        return f"{self.prefix.rstrip('.')}." if self.prefix else self.prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class DcpContents:
    """What such a folder holds of a model.

    Attributes:
        path: the folder.
        names: the stored names that are read, each with its name in the model.
        left_out: the names of the other tensors, which are none of the model's.
        values: the names of what is no tensor, such as a step or a learning rate; nothing of it is read.
    """

    path: str
    names: Mapping[str, str]
    left_out: tuple[str, ...]
    values: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What is read, what was changed about its names, and what is left out and why, in one line."""
        before, wrappers, added = changes(self.names)
        off = [repr(each) for each in (*filter(None, [before]), *wrappers)]
        done = [f"{' and '.join(off)} taken off their names"] if off else []
        done += [f"{added!r} put before them"] if added else []
        named = ", ".join(done) or "under the names that they have"
        return f"{self.path}: {_counted(len(self.names), 'tensor')} read, {named}; {self._others}"

    @property
    def _others(self) -> str:
        """What is left out, by the part of its names that none of the model's has."""
        inside = {name[: dot.start()] for name in self.names for dot in re.finditer(r"\.", name)}
        tensors = Counter(_group(name, inside) for name in self.left_out)
        values = Counter(_group(name, inside) for name in self.values)
        counts = {group: (tensors[group], values[group]) for group in sorted({*tensors, *values})}
        shown = [f"{group} ({_both(*each)})" for group, each in counts.items()]
        more = len(shown) - _MOST
        told = ", ".join(shown[:_MOST] + ([f"{more} more"] if more > 0 else []))
        return f"left out, as not the model's: {told}" if told else "left out: nothing"


def _group(name: str, inside: Collection[str]) -> str:
    """The beginning of a stored name, up to where no tensor of the model is: ``inside`` are the places that
    hold some."""
    ends = (dot.start() for dot in re.finditer(r"\.|$", name))
    return next((name[:end] for end in ends if name[:end] not in inside), name)


def _both(tensors: int, values: int) -> str:
    counts = ((tensors, "tensor"), (values, "value"))
    return ", ".join(_counted(count, what) for count, what in counts if count)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
