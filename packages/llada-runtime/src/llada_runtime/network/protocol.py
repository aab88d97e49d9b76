"""What the loop asks of a network, so that other networks than LLaDA's own can be decoded."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from llada_runtime.network.cache import KVCache
from llada_runtime.network.layout import Layout

__all__ = ["Network", "TokenIds"]


class TokenIds(Protocol):
    """What decoding needs to know of a model: its special tokens, vocabulary and length limit."""

    @property
    def mask_token_id(self) -> int: ...
    @property
    def eos_ids(self) -> tuple[int, ...]: ...
    @property
    def embedding_size(self) -> int: ...
    @property
    def max_sequence_length(self) -> int: ...


class Network(Protocol):
    """A loaded model that maps a `Layout` to logits."""

    @property
    def config(self) -> TokenIds: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def merges(self) -> bool:
        """Whether rows of one shape should be laid out as one group."""
        ...

    @property
    def caches(self) -> bool:
        """Whether `new_cache` works: plans may read and write keys and values."""
        ...

    def new_cache(self, *, rows: int, length: int) -> KVCache:
        """Room for the keys and values of ``rows`` sequences of up to ``length`` columns."""
        ...

    def embed(self, ids: Tensor) -> Tensor:
        """The input embeddings of ``ids``, ``[..., d]``."""
        ...

    def mix(self, probabilities: Tensor) -> Tensor:
        """The expected input embedding ``[N, d]`` under each row of ``probabilities [N, V]``."""
        ...

    def logits(self, layout: Layout, cache: KVCache | None) -> Tensor:
        """Logits ``[head columns, V]`` of one packed forward."""
        ...
