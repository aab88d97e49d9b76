"""A Llama-style transformer for inference on packed rows: what the networks of different papers share.

A `Layout` says which columns of which requests are computed and whom they attend to; the network maps it
to logits. This module does not know names of checkpoints, algorithms, canvases or masks of tokens.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from llada_core.environment import read_environment
from llada_core.errors import UsageError
from llada_runtime.network.attention import choose_merge
from llada_runtime.network.cache import KVCache
from llada_runtime.network.calls import Merge
from llada_runtime.network.checkpoint import choose_dtype
from llada_runtime.network.experts import ExpertMLP
from llada_runtime.network.free_memory import free_bytes
from llada_runtime.network.fused import Fused, why_plain
from llada_runtime.network.grouped import GroupedLinear
from llada_runtime.network.launch import sentence
from llada_runtime.network.layer import Layer
from llada_runtime.network.layout import Form, Layout
from llada_runtime.network.linear import Linear
from llada_runtime.network.mlp import GatedMLP
from llada_runtime.network.norm import RMSNorm
from llada_runtime.network.precision import without_autocast
from llada_runtime.network.pretrained import Pretrained
from llada_runtime.network.ranks import Ranks
from llada_runtime.network.reading import Reading
from llada_runtime.network.rotary import Rotary, Turn
from llada_runtime.network.shape import Shape
from llada_runtime.network.shared import Gathered, Summed, join
from llada_runtime.network.split import Cut, Piece, Split

__all__ = ["Layer", "Transformer"]


class Transformer(Pretrained):
    """A loaded checkpoint of some kind. Weights are frozen and partly fused: for inference only.

    A subclass says how a kind of checkpoint is configured, what follows from that, and what its tensors are
    called.

    Attributes:
        shape: the numbers of the whole network. part: those of the layers here.
        quantization: "fp8" or "int8" where weights have eight bits (see `quantise`), else None.
        plain_because: why it runs on torch's own kernels and not on fused ones (see `fused`); None where it
            does not.
    """

    caches = True
    reading: ClassVar[Reading] = Reading()
    """What its logits tell of, and whom its columns see: a kind that is otherwise says so."""

    quantization: str | None = None

    cuts: ClassVar[Mapping[str, Cut]] = {
        **dict.fromkeys(("q", "k", "v", "gate", "up", "head"), Cut.ROWS),
        **dict.fromkeys(("out", "down"), Cut.COLUMNS),
        **dict.fromkeys(("embedding", "norm", "attention_norm", "q_norm", "k_norm", "mlp_norm"), Cut.WHOLE),
    }
    """What each of several ranks has of a weight, by our name of it; a weight that is not named here cannot
    be split. A network with another `mlp` says how that is split, and sums its ``down`` over the ranks."""

    def __init__(
        self, config: Any, *, device: torch.device, dtype: torch.dtype, ranks: Ranks | None = None
    ) -> None:
        super().__init__(config, device=device, dtype=dtype, ranks=ranks)
        shape, rotary = self.dimensions(config)
        self.shape, self.part = shape, shape if ranks is None else ranks.split.part(shape)
        self._parts: dict[str, str] = {}  # our name of each tensor, by its published one
        vocabulary = torch.empty(shape.vocabulary, shape.width, device=device, dtype=dtype)
        self.embedding = nn.Parameter(vocabulary, requires_grad=False)
        self.layers = nn.ModuleList(
            Layer(
                self.part, self.mlp(self.part, index, device=device, dtype=dtype), device=device, dtype=dtype
            )
            for index in range(shape.n_layers)
        )
        self.norm = RMSNorm(shape.width, shape.eps, device=device, dtype=dtype)
        self.head = self._head()
        if ranks is not None:
            join(self.layers, ranks)
        self._merges = choose_merge(device, dtype, shape)
        self._rotary = replace(rotary, frequencies=rotary.frequencies.to(device))
        self.plain_because = self.why_plain_on(device)
        self._fused = self._fuse()
        self._turned: tuple[Any, Turn] | None = None

    def _head(self) -> Linear:
        place: dict[str, Any] = {"device": self.device, "dtype": self.dtype}
        if self.ranks is not None:
            part = Gathered(self.shape.vocabulary, self.shape.width, ranks=self.ranks, **place)
            if self.shape.tied:
                part.tie(self.embedding)
            return part
        head = Linear(self.shape.vocabulary, self.shape.width, **place)
        if self.shape.tied:
            head.weight = self.embedding
        return head

    @classmethod
    def check_split(cls, folder: str | Path, size: int) -> None:
        """Refuse to split the checkpoint in ``folder`` between ``size`` ranks where that cannot be.

        Raises:
            UsageError: some number of it cannot be divided, or the network does not say how it is split.
            CheckpointError, UnsupportedArchitecture: as `from_pretrained`.
        """
        config, nowhere = cls.config_class.from_pretrained(folder), torch.device("meta")
        Split(rank=0, size=size).part(cls.dimensions(config)[0])
        whole = cls(config, device=nowhere, dtype=torch.bfloat16)
        named = whole.tensors() and set(whole._parts.values())
        unknown = sorted(named - cls.cuts.keys())
        if unknown:
            raise UsageError(
                f"tensor_parallel={size} splits networks that say how: {cls.__name__} does not, of its "
                f"{', '.join(unknown)}; leave tensor_parallel out"
            )

    @staticmethod
    @abstractmethod
    def dimensions(config: Any) -> tuple[Shape, Rotary]:
        """The numbers of a network that is configured so. May raise UnsupportedArchitecture."""

    @staticmethod
    def mlp(shape: Shape, index: int, *, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """What stands in layer ``index`` behind the attention (see `Layer`): experts where ``shape`` has some
        in this layer, else a gated MLP."""
        kind = GatedMLP if shape.experts_of(index) is None else ExpertMLP
        return kind(shape, device=device, dtype=dtype)

    def _tensors(
        self, layers: str, names: Mapping[str, str], *, embedding: str, norm: str, head: str
    ) -> dict[str, Tensor]:
        """`tensors` under these names: ``layers`` is before the index of one, ``names`` are by ours.

        Those of experts have a ``{}`` for the expert's number: ``"experts.gate": "mlp.experts.{}.gate"``. The
        name of a single tensor, as that of ``"router.bias"``, comes before its part's. Where there is one for
        ``"qkv"``, queries, keys and values are one tensor, their rows in this order.
        """
        named = {f"{embedding}.weight": self.embedding, f"{norm}.weight": self.norm.weight}
        named[f"{head}.weight"] = self.embedding if self.shape.tied else self.head.plain
        kept = "embedding" if self.shape.tied else "head"
        self._parts = dict(zip(named, ("embedding", "norm", kept), strict=True))
        for index, layer in enumerate(self.layers):
            assert isinstance(layer, Layer)
            for name, tensor in layer.tensors(fused="qkv" in names).items():
                part, inner = _published(name, names)
                published = f"{layers}.{index}.{inner}"
                named[published], self._parts[published] = tensor, part
        return named

    def pieces(self) -> dict[str, Piece]:
        """What this rank has of the published tensors that are split, by their names."""
        if self.ranks is None:
            return {}
        split = self.ranks.split
        found = {
            name: split.piece(self.cuts[self._parts[name]], tensor.dim())
            for name, tensor in self.tensors().items()
        }
        return {name: piece for name, piece in found.items() if piece is not None}

    def embed(self, ids: Tensor) -> Tensor:
        """The input embeddings of ``ids``, ``[..., d]``."""
        return F.embedding(ids, self.embedding)

    @without_autocast
    def mix(self, probabilities: Tensor) -> Tensor:
        """The expected input embedding ``[N, d]`` under each row of ``probabilities [N, V]``."""
        return probabilities @ self.embedding

    def new_cache(self, *, columns: int) -> KVCache:
        """Room for the keys and values of ``columns`` columns of all requests; memory comes later."""
        return KVCache(self.part, columns=columns, device=self.device, dtype=self.dtype)

    def affordable_columns(self) -> int:
        """Columns whose keys and values the device's free memory holds now, a tenth of it kept aside."""
        column = self.part.cached_numbers * self.dtype.itemsize  # bytes
        return free_bytes(self.device) * 9 // (10 * column)

    @property
    def most_captured(self) -> int | None:
        """Columns up to which a CUDA graph of a forward saves time; None is as many as of any network."""
        told = [layer.mlp.most_captured for layer in self.layers if isinstance(layer.mlp, ExpertMLP)]
        return min((most for most in told if most is not None), default=None)

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

    def why_plain_on(self, device: torch.device) -> str | None:
        """What `plain_because` is of such a network on ``device``."""
        return why_plain(self.part, self._rotary, self.layers, device=device, dtype=self.dtype)

    @classmethod
    def planned_steps(cls, config: Mapping[str, Any], *, device: str, dtype: str) -> str:
        """One sentence on how the network with this parsed ``config.json`` would run its steps there.

        Raises CheckpointError and UnsupportedArchitecture as `from_pretrained`.
        """
        place = torch.device(device)
        nowhere, kind = torch.device("meta"), choose_dtype(dtype, place)
        network = cls(cls.config_class.from_dict(config), device=nowhere, dtype=kind)
        graphed = place.type == "cuda" and read_environment().graphs
        return sentence(network.why_plain_on(place), graphed=graphed)

    def _fuse(self) -> Fused | None:
        if self.plain_because is not None:
            return None
        processors = torch.cuda.get_device_properties(self.device).multi_processor_count
        # A kernel may begin while one of ours still runs, and not while ranks are being added up.
        alone = self.ranks is None
        return Fused(self.layers, self.norm, self.head, processors=processors, overlap=alone)

    def _turn_at(self, form: Form, positions: Tensor) -> Turn:
        """The rotation at ``positions``, those of ``form``: the last one again where it had the same.

        The tensor itself is not compared: static buffers keep theirs while what is in them changes.
        """
        if positions.is_cuda and torch.cuda.is_current_stream_capturing():
            return self._rotary.at(positions)  # a part of the graph: the next replay has other positions
        last = self._turned  # read once: another thread's forward may replace it
        ranges = (form.ranges, form.repeated)
        if last is None or last[0] != ranges:
            last = self._turned = (ranges, self._rotary.at(positions))
        return last[1]

    def quantise(self, kind: str) -> Self:
        """This model with the weights of its products in eight bits, "fp8" or "int8"; comes before `pack`.

        Embeddings, norms and biases stay as they are, and so does a head that is tied to the embeddings. They
        are made so one by one, so that no more memory is needed than there was; those that were read so
        already are left.
        """
        for part in self.products():
            if part.scale is None:
                part.quantise(kind)
        self.quantization = kind
        self._fused = self._fuse()
        return self

    def products(self) -> Iterator[Linear | GroupedLinear]:
        """The parts whose weights `quantise` puts in eight bits."""
        for part in self.modules():
            if isinstance(part, Linear | GroupedLinear) and not (part is self.head and self.shape.tied):
                yield part

    def pack(self) -> Self:
        """This model with its linear layers in the fastest layout of the device (see `Linear`)."""
        for module in self.modules():
            if isinstance(module, Linear | GroupedLinear | Summed):
                module.pack()
        return self


def _published(name: str, names: Mapping[str, str]) -> tuple[str, str]:
    """Our name of the part of a layer that ``name`` is a tensor of, and what the tensor is called there."""
    *place, kind = name.split(".")
    part = ".".join(step for step in place if not step.isdigit())
    numbers = [step for step in place if step.isdigit()]  # of an expert
    inner = names.get(f"{part}.{kind}") or f"{names[part]}.{kind}"
    return part, inner.format(*numbers)
