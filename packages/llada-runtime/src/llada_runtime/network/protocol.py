"""What the loop asks of a network, so that other networks than LLaDA's own can be decoded."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from llada_runtime.network.cache import KVCache
from llada_runtime.network.calls import Merge
from llada_runtime.network.layout import Layout

__all__ = ["Network", "TokenIds", "is_network"]


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
    """A loaded model that maps a `Layout` to logits.

    One that cannot do what is asked raises UnsupportedArchitecture; ``caches`` says so before. One that is
    split between ranks has also ``tensor_parallel``, how many these are, and ``close()``, which ends them.
    One that says how it is to be read has a ``reading`` (`Reading`), and algorithms that read otherwise
    refuse it; of one that says nothing, whoever passes it must know.
    """

    @property
    def config(self) -> TokenIds: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def merges(self) -> Merge | bool:
        """Which rows of a forward may be laid out to attend in one call; True is those of one shape."""
        ...

    @property
    def caches(self) -> bool:
        """Whether `new_cache` works: plans may read and write keys and values."""
        ...

    def new_cache(self, *, columns: int) -> KVCache:
        """Room for the keys and values of ``columns`` columns of all requests; memory comes later."""
        ...

    def affordable_columns(self) -> int:
        """Columns whose keys and values the device's free memory holds now, a tenth of it kept aside.

        0 where nothing can be cached.
        """
        ...

    def embed(self, ids: Tensor) -> Tensor:
        """The input embeddings ``[..., d]`` of ``ids``, int64 ``[...]``, in the model's dtype."""
        ...

    def mix(self, probabilities: Tensor) -> Tensor:
        """The expected input embedding ``[N, d]`` under each row of ``probabilities [N, V]``."""
        ...

    def logits(self, layout: Layout, cache: KVCache | None) -> Tensor:
        """Logits ``[H, V]`` of one packed forward, in the model's dtype.

        They are those of the requests' head columns, in the order of the spans. The keys and values of spans
        that have an extent go to ``cache``.

        On the CPU a request's are bit for bit those of the request alone. With more or fewer head columns of
        its own they may differ in the last bit: attention sums for one query in another order than for many.

        Raises:
            torch.OutOfMemoryError: the device's memory does not hold the forward.
        """
        ...


def is_network(model: Any) -> bool:
    """Whether this has what decoding asks of a `Network` in any case."""
    return (
        not isinstance(model, type) and hasattr(model, "config") and callable(getattr(model, "logits", None))
    )
