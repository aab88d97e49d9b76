"""Which part of which checkpoint a rank holds, and how it is loaded: alike at every rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch

from llada_core.checkpoints.dcp_source import DcpSource
from llada_core.imports import load_target
from llada_runtime.network.graphs import graphed
from llada_runtime.network.protocol import Network
from llada_runtime.network.ranks import Ranks
from llada_runtime.network.split import Split
from llada_runtime.network.warmup import warm_up

__all__ = ["Part", "ready"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What a rank loads.

    Attributes:
        target: ``"module:attr"`` of the network's class.
        folder: of the checkpoint.
        size: how many ranks there are.
        device: "cpu", or "cuda", of which each rank takes the one of its number.
        dtype: by torch's name.
        dcp: a trainer's weights that are read instead of those in the folder.
    """

    target: str
    folder: str
    size: int
    device: str
    dtype: str
    dcp: DcpSource | None = None

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Part:
        """The part that these ``fields`` of another process are of."""
        dcp = fields["dcp"]
        return cls(**{**fields, "dcp": None if dcp is None else DcpSource(**dcp)})

    @property
    def fields(self) -> dict[str, Any]:
        """The part in JSON types."""
        return asdict(self)

    def at(self, rank: int) -> torch.device:
        """The device of a rank."""
        return torch.device(self.device, rank) if self.device == "cuda" else torch.device(self.device)

    def load(self, rank: int) -> tuple[Network, Ranks]:
        """The network with the weights of a rank, and its ranks, which are not connected yet.

        Raises:
            CheckpointError, UnsupportedArchitecture, ModelLoadError: as the class's ``from_pretrained``.
        """
        device = self.at(rank)
        if device.type == "cuda":
            torch.cuda.set_device(device)
        ranks = Ranks(Split(rank=rank, size=self.size), device)
        kind: Any = load_target(self.target)
        weights = {} if self.dcp is None else {"dcp": self.dcp}
        network = kind.from_pretrained(self.folder, device=device, dtype=self.dtype, ranks=ranks, **weights)
        return network, ranks


def ready(
    network: Network, ranks: Ranks, store: Any, *, told: Callable[[int, int], None] | None = None
) -> Network:
    """``network`` as it decodes, once all ranks have come to ``store``: on a GPU with its steps as graphs."""
    ranks.connect(store)
    steps = graphed(network)
    warm_up(steps, told=told)
    return steps
