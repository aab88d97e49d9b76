"""Other weights for a network that is loaded, in its own memory: what has its addresses goes on with them.

Where a network keeps what a checkpoint calls by other names, whole or as rows of something larger, a twin of
it without any numbers tells. It is written there as it would have been read, cast, packed and in eight bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llada_core.errors import CheckpointError, UsageError
from llada_core.names import some
from llada_core.values import told
from llada_runtime.network.checkpoint import follows_from_config
from llada_runtime.network.graphs import Graphed
from llada_runtime.network.grouped import GroupedLinear
from llada_runtime.network.linear import Linear
from llada_runtime.network.sources import FLOATING
from llada_runtime.network.transformer import Transformer
from llada_runtime.network.unfilled import memory_of

__all__ = ["exchange", "whole"]

_PACKING = (Linear, GroupedLinear)
_ASK = "give them by the names of the published checkpoint"


def whole(network: Any, what: str) -> Transformer:
    """The transformer that ``network`` is, or that has its steps captured by it.

    Raises UsageError where it is none, or has parts in other processes, so that ``what``.
    """
    ranks = getattr(network, "tensor_parallel", 1)
    if ranks > 1:
        raise UsageError(
            f"the network is split between {ranks} ranks, each with a process of its own, so that {what}; "
            "load it without tensor_parallel, or close it and load it again"
        )
    inner = network.network if isinstance(network, Graphed) else network
    if not isinstance(inner, Transformer):
        raise UsageError(
            f"{type(inner).__name__} is no transformer of this runtime, so that {what}; close the model, and "
            "load it again"
        )
    return inner


@torch.inference_mode(False)  # a caller's would make weights that nothing outside it can change
@torch.no_grad()
def exchange(
    network: Any,
    weights: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]],
    *,
    partial: bool = False,
    begun: Callable[[], None] = lambda: None,
) -> None:
    """Give ``network`` other weights, by their names in a checkpoint, of any floating-point dtype and device.

    Args:
        weights: a mapping is checked whole before anything is written; pairs are written one by one.
        partial: some may be missing, and stay what they are.
        begun: is called once, before the first is written.

    Raises:
        CheckpointError: a tensor is missing, unknown, of another shape, given twice or no floating-point
            numbers, or two that the config ties differ; the message names it.
        UsageError: the network is none of this runtime, or is split between ranks; ``weights`` are none.
    """
    inner = whole(network, "its weights cannot be exchanged")
    places, pairs = _places(inner), _pairs(weights)
    if isinstance(weights, Mapping):
        _check_all(pairs, places, partial=partial)
    given = _Given(places, inner)
    written = 0
    try:
        for name, tensor in pairs:
            place = given.take(name, tensor)
            if place is not None:
                if not written:
                    begun()
                place.write(inner, tensor)
                written += 1
    finally:
        inner.pack()
    if not partial:
        given.check_complete()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a tensor of a checkpoint is kept.

    Attributes:
        shape, dtype: as the network has it.
        memory: the same for all that share it, as a head and the embedding that it is tied to do.
        owners: the modules that have this memory, each with the name of the parameter there.
        first: the row of it that the tensor begins at; one of a vector is a number.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    memory: int
    owners: tuple[tuple[str, str], ...]
    first: int

    @property
    def key(self) -> tuple[int, int]:
        """What two names of one tensor have in common."""
        return self.memory, self.first

    def write(self, network: Transformer, tensor: Tensor) -> None:
        for path, name in self.owners:
            module = network.get_submodule(path)
            if name == "weight" and isinstance(module, _PACKING):
                module.write(self.first, tensor.to(network.device, self.dtype))
            else:
                kept: Tensor = getattr(module, name)
                kept[self.first : self.first + len(tensor)] = tensor.to(kept.device, kept.dtype)

    def read(self, network: Transformer) -> Tensor:
        """What is there, where an embedding shares it: that is as it was written, cast."""
        parts = ((network.get_submodule(path), name) for path, name in self.owners)
        kept = next(getattr(part, name) for part, name in parts if not isinstance(part, _PACKING))
        assert isinstance(kept, Tensor)
        return kept[self.first : self.first + self.shape[0]]


def _places(network: Transformer) -> dict[str, _Place]:
    """By the name of each tensor in a checkpoint."""
    nowhere = torch.device("meta")
    twin = type(network)(network.config, device=nowhere, dtype=network.dtype)
    owners: dict[int, list[tuple[str, str]]] = {}
    widths: dict[int, int] = {}
    for path, module in twin.named_modules():
        for name, parameter in module._parameters.items():
            if parameter is not None:
                owners.setdefault(memory_of(parameter), []).append((path, name))
                widths[memory_of(parameter)] = parameter.shape[-1] if parameter.dim() > 1 else 1
    return {name: _place(view, owners, widths) for name, view in twin.tensors().items()}


def _place(view: Tensor, owners: Mapping[int, list[tuple[str, str]]], widths: Mapping[int, int]) -> _Place:
    memory = memory_of(view)
    return _Place(
        shape=tuple(view.shape),
        dtype=view.dtype,
        memory=memory,
        owners=tuple(owners[memory]),
        first=int(view.storage_offset()) // widths[memory],
    )


def _pairs(weights: Any) -> Iterable[tuple[str, Tensor]]:
    """Names and tensors, without what follows from the config. Raises UsageError for what has none."""
    if isinstance(weights, Mapping):
        return [pair for pair in weights.items() if not _follows(pair[0])]
    if isinstance(weights, str | bytes | Tensor) or not isinstance(weights, Iterable):
        raise UsageError(
            f"weights are {told(weights)}; give a mapping of names to tensors, such as what state_dict "
            "returns, or pairs of them"
        )
    return (pair for pair in map(_pair, weights) if not _follows(pair[0]))


def _pair(given: Any) -> tuple[str, Tensor]:
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise CheckpointError(f"among the weights is {told(given)}; give pairs of a name and a tensor")
    name, tensor = given
    return name, tensor


def _follows(name: object) -> bool:
    return isinstance(name, str) and follows_from_config(name)


def _check_all(pairs: Iterable[tuple[str, Tensor]], places: Mapping[str, _Place], *, partial: bool) -> None:
    """Refuse weights that the network does not take. Raises CheckpointError."""
    unknown = [str(name) for name, _ in pairs if name not in places]
    if unknown:
        raise CheckpointError(_unknown(unknown))
    given = _Given(places)
    for name, tensor in pairs:
        given.take(name, tensor)
    if not partial:
        given.check_complete()


class _Given:
    """Which tensors of ``places`` have been given so far, and, with a ``network``, written there.

    Without, they are held: of a mapping all are there anyway, of pairs the memory may have something else.
    """

    def __init__(self, places: Mapping[str, _Place], network: Transformer | None = None) -> None:
        self._places, self._network = places, network
        self._names: dict[tuple[int, int], list[str]] = {}  # of what each place is called
        for name, place in places.items():
            self._names.setdefault(place.key, []).append(name)
        self._taken: set[str] = set()
        self._first: dict[tuple[int, int], Tensor] = {}  # of those that have two names

    def take(self, name: str, tensor: Tensor) -> _Place | None:
        """Where the tensor goes; None where it has been given by its other name. Raises CheckpointError."""
        place = self._places.get(name)
        if place is None:
            raise CheckpointError(_unknown([str(name)]))
        if name in self._taken:
            raise CheckpointError(f"the weights hold {name} twice; give each once")
        _check_tensor(name, tensor, place)
        self._taken.add(name)
        if len(self._names[place.key]) == 1:
            return place
        is_first = self._taken.isdisjoint({*self._names[place.key]} - {name})
        if is_first and self._network is None:
            self._first[place.key] = tensor
        first = place.read(self._network) if self._network is not None else self._first[place.key]
        if not is_first and not _alike(first, tensor, place):
            names = " and ".join(self._names[place.key])
            raise CheckpointError(
                f"config.json ties {names} to each other, and the weights differ; give one of them, or load "
                "a checkpoint whose config does not tie them"
            )
        return place if is_first else None

    def check_complete(self) -> None:
        """Raise CheckpointError where a tensor has not been given."""
        missing = [" or ".join(names) for names in self._names.values() if self._taken.isdisjoint(names)]
        if missing:
            raise CheckpointError(
                f"the weights lack {some(missing)}; give all of them, or say partial=True to leave what is "
                "missing as it is"
            )


def _unknown(names: list[str]) -> str:
    return f"the weights hold {some(names)}, which this network has no place for; {_ASK}"


def _alike(one: Tensor, other: Tensor, place: _Place) -> bool:
    one, other = one.to(dtype=place.dtype), other.to(device=one.device, dtype=place.dtype)
    return torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True)


def _check_tensor(name: str, tensor: Any, place: _Place) -> None:
    """Refuse what cannot be written there. Raises CheckpointError."""
    problem = _problem(tensor)
    if problem is not None:
        raise CheckpointError(f"{name} is {problem}")
    if tuple(tensor.shape) != place.shape:
        raise CheckpointError(
            f"{name} is {list(tensor.shape)}, and config.json makes it {list(place.shape)}; give the weights "
            "of a model of this config"
        )


def _problem(tensor: Any) -> str | None:
    """What is wrong with it as a weight of any shape, and the remedy; None where nothing is."""
    if not isinstance(tensor, Tensor):
        return f"{told(tensor)}; give a tensor"
    if hasattr(tensor, "full_tensor"):
        return "spread over the ranks of a trainer; give what its full_tensor() returns"
    if tensor.is_meta or tensor.layout != torch.strided:
        return f"a tensor of {tensor.layout} on {tensor.device}; give one that holds its numbers"
    if tensor.dtype not in FLOATING:
        return (
            f"of {str(tensor.dtype).removeprefix('torch.')}, which needs scales; give floating-point numbers"
        )
    return None
