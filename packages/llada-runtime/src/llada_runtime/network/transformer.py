"""A Llama-style transformer for inference on packed rows: what the networks of different papers share.

A `Layout` says which columns of which requests are computed and whom they attend to; the network maps it
to logits. This module does not know names of checkpoints, algorithms, canvases or masks of tokens.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llada_runtime.network.attention import choose_merge
from llada_runtime.network.cache import KVCache
from llada_runtime.network.calls import Merge
from llada_runtime.network.checkpoint import choose_device, choose_dtype, fill
from llada_runtime.network.free_memory import free_bytes
from llada_runtime.network.fused import Fused, why_plain
from llada_runtime.network.layer import Layer
from llada_runtime.network.layout import Form, Layout
from llada_runtime.network.linear import Linear
from llada_runtime.network.mlp import GatedMLP
from llada_runtime.network.norm import RMSNorm
from llada_runtime.network.precision import without_autocast
from llada_runtime.network.rotary import Rotary, Turn
from llada_runtime.network.shape import Shape

__all__ = ["Layer", "Transformer"]

TransformerT = TypeVar("TransformerT", bound="Transformer")


class Transformer(nn.Module):
    """A loaded checkpoint of some kind. Weights are frozen and partly fused: for inference only.

    A subclass says how a kind of checkpoint is configured, what follows from that, and what its tensors are
    called.

    Attributes:
        config: what ``config_class`` read.
        shape: the numbers.
        device, dtype: where the weights are and what they are.
        plain_because: why it runs on torch's own kernels and not on fused ones (see `fused`); None where it
            does not.
    """

    caches = True

    config_class: ClassVar[Any]
    """Its ``from_pretrained(folder)`` reads ``config.json``, and raises CheckpointError."""

    def __init__(self, config: Any, *, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        shape, rotary = self.dimensions(config)
        self.config, self.shape, self.device, self.dtype = config, shape, device, dtype
        vocabulary = torch.empty(shape.vocabulary, shape.width, device=device, dtype=dtype)
        self.embedding = nn.Parameter(vocabulary, requires_grad=False)
        self.layers = nn.ModuleList(
            Layer(shape, self.mlp(shape, index, device=device, dtype=dtype), device=device, dtype=dtype)
            for index in range(shape.n_layers)
        )
        self.norm = RMSNorm(shape.width, shape.eps, device=device, dtype=dtype)
        self.head = Linear(shape.vocabulary, shape.width, device=device, dtype=dtype)
        if shape.tied:
            self.head.weight = self.embedding
        self._merges = choose_merge(device, dtype, shape)
        self.plain_because = why_plain(shape, rotary, self.layers, device=device, dtype=dtype)
        self._fused: Fused | None = None
        if self.plain_because is None:
            processors = torch.cuda.get_device_properties(device).multi_processor_count
            self._fused = Fused(self.layers, self.norm, self.head, processors=processors)
        self._rotary = replace(rotary, frequencies=rotary.frequencies.to(device))
        self._turned: tuple[tuple[tuple[int, int], ...], Turn] | None = None

    @classmethod
    def from_pretrained(
        cls: type[TransformerT],
        folder: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> TransformerT:
        """The checkpoint in ``folder`` (``config.json`` and one or several ``*.safetensors``).

        Args:
            device: where to put the weights; None is the GPU if there is one, else the CPU.
            dtype: what to make of them; None is bfloat16 on a GPU and float32 on the CPU.

        Raises:
            CheckpointError: a file, field or tensor is missing, unknown, damaged or of the wrong shape.
            UnsupportedArchitecture: the network does not implement what ``config.json`` asks for.
        """
        place = choose_device(device)
        config = cls.config_class.from_pretrained(folder)
        network = cls(config, device=place, dtype=choose_dtype(dtype, place))
        fill(network.tensors(), Path(folder))
        return network.pack()

    @staticmethod
    @abstractmethod
    def dimensions(config: Any) -> tuple[Shape, Rotary]:
        """The numbers of a network that is configured so. May raise UnsupportedArchitecture."""

    @staticmethod
    def mlp(shape: Shape, index: int, *, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """What stands in layer ``index`` behind the attention (see `Layer`); a gated MLP in every one."""
        return GatedMLP(shape, device=device, dtype=dtype)

    @abstractmethod
    def tensors(self) -> dict[str, Tensor]:
        """Every weight under its published name; views where the network has fused several into one.

        A weight that has two names, as a tied one, is there twice.
        """

    @classmethod
    def tensor_names(cls, folder: str | Path) -> frozenset[str]:
        """The names of `tensors` of the checkpoint in ``folder``, by its ``config.json`` alone.

        Raises:
            CheckpointError, UnsupportedArchitecture: as `from_pretrained`.
        """
        config = cls.config_class.from_pretrained(folder)
        return frozenset(cls(config, device=torch.device("meta"), dtype=torch.bfloat16).tensors())

    def _tensors(
        self, layers: str, names: Mapping[str, str], *, embedding: str, norm: str, head: str
    ) -> dict[str, Tensor]:
        """`tensors` under these names: ``layers`` is before the index of one, ``names`` are by ours."""
        named = {f"{embedding}.weight": self.embedding, f"{norm}.weight": self.norm.weight}
        named[f"{head}.weight"] = self.embedding if self.shape.tied else self.head.plain
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            for name, tensor in layer.tensors().items():
                part, _, kind = name.partition(".")
                named[f"{layers}.{index}.{names[part]}.{kind}"] = tensor
        return named

    def embed(self, ids: Tensor) -> Tensor:
        """The input embeddings of ``ids``, ``[..., d]``."""
        return F.embedding(ids, self.embedding)

    @without_autocast
    def mix(self, probabilities: Tensor) -> Tensor:
        """The expected input embedding ``[N, d]`` under each row of ``probabilities [N, V]``."""
        return probabilities @ self.embedding

    def new_cache(self, *, columns: int) -> KVCache:
        """Room for the keys and values of ``columns`` columns of all requests; memory comes later."""
        return KVCache(self.shape, columns=columns, device=self.device, dtype=self.dtype)

    def affordable_columns(self) -> int:
        """Columns whose keys and values the device's free memory holds now, a tenth of it kept aside."""
        column = self.shape.cached_numbers * self.dtype.itemsize  # bytes
        return free_bytes(self.device) * 9 // (10 * column)

    @property
    def merges(self) -> Merge:
        """Which requests attend in one call: on the CPU each is by itself, and exactly as if alone."""
        return self._merges

    @torch.inference_mode()
    @without_autocast
    def logits(self, layout: Layout, cache: KVCache | None) -> Tensor:
        """Logits ``[head columns, V]`` of one packed forward, in the model's dtype; fills the cache."""
        x = self.embed(layout.ids)
        for start, inputs in layout.inputs:
            x[start : start + len(inputs)] = inputs
        turn = self._turn_at(layout.form, layout.positions)
        if self._fused is not None:
            return self._fused.logits(x, turn, layout, cache)
        last = len(self.layers) - 1
        for index, layer in enumerate(self.layers):
            pool = None if cache is None else cache.layer(index)
            x = layer(x, turn, layout, pool, head_only=index == last)
        if not layout.form.in_order:
            x = x[layout.restore]
        return self.head(self.norm(x))

    def _turn_at(self, form: Form, positions: Tensor) -> Turn:
        """The rotation at ``positions``, those of ``form``: the last one again where it had the same.

        The tensor itself is not compared: static buffers keep theirs while what is in them changes.
        """
        if positions.is_cuda and torch.cuda.is_current_stream_capturing():
            return self._rotary.at(positions)  # a part of the graph: the next replay has other positions
        last = self._turned  # read once: another thread's forward may replace it
        if last is None or last[0] != form.ranges:
            last = self._turned = (form.ranges, self._rotary.at(positions))
        return last[1]

    def pack(self: TransformerT) -> TransformerT:
        """This model with its linear layers in the fastest layout of the device (see `Linear`)."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.pack()
        return self
