"""How much memory a checkpoint needs, from its configuration alone. This module does not know torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Protocol, Self

from llada_core.errors import CheckpointError
from llada_runtime.models.llada_config import LLaDAConfig
from llada_runtime.models.llada_moe_config import LLaDAMoEConfig, is_llada_moe
from llada_runtime.network.quantization import check_quantization
from llada_runtime.network.shape import Shape
from llada_runtime.network.split import Split

__all__ = ["Estimated", "MemoryEstimate", "estimate", "estimate_of", "estimate_of_shape"]

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
_WIDE = 4  # bytes of a float32: of what an output of eight bits is multiplied by, and of what chooses experts
_BLOCK = 32  # positions whose logits exist at a time, per row: one block of the default length
_LOGIT_COPIES = 2  # the network's logits and the float32 copy that confidences are computed on


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """What one model needs on one device, in bytes, and how much fits.

    Keys and values are kept by columns: a row holds as many as its prompt and answer have.

    Attributes:
        dtype: of the weights that have not eight bits, and of the cache.
        weights: all parameters, and the scales of those that have eight bits.
        kv_per_token: keys and values of one column of one row.
        logits_per_row: logits of the positions of one row that are decided at a time, a block of 32 where the
            engine says no other number, with the float32 working copy.
        max_sequence_length: the model's limit, in columns.
        kv_per_row: a row of that length.
        available: bytes that were said to be free, or None.
        columns_that_fit: columns of all rows together whose keys and values fit in ``available`` beside the
            weights and the logits of one row, or None.
        rows_that_fit: rows of full length that fit there, each with its logits, or None.
    """

    dtype: str
    weights: int
    kv_per_token: int
    logits_per_row: int
    max_sequence_length: int
    kv_per_row: int
    available: int | None
    columns_that_fit: int | None
    rows_that_fit: int | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def estimate(
    config: Mapping[str, Any],
    *,
    dtype: str = "bfloat16",
    available: int | None = None,
    tensor_parallel: int = 1,
    quantization: str | None = None,
) -> MemoryEstimate:
    """The estimate for the parsed ``config.json`` of a LLaDA checkpoint, dense or of experts.

    Args:
        dtype: "float32", "bfloat16" or "float16".
        available: free bytes on the device, if known.
        tensor_parallel: how many ranks hold a part of it each. The estimate is of the first, which has the
            logits too.
        quantization: "fp8" or "int8", where weights have eight bits: those of all products, but for a head
            that is tied to the embedding.

    Raises:
        CheckpointError: the configuration is not one that this runtime loads, or another dtype.
        UsageError: it cannot be split between so many ranks, or another quantization.
    """
    kind = LLaDAMoEConfig if is_llada_moe(config) else LLaDAConfig
    model = kind.from_dict(config)
    return estimate_of_shape(
        model.shape,
        max_sequence_length=model.max_sequence_length,
        dtype=dtype,
        available=available,
        tensor_parallel=tensor_parallel,
        quantization=quantization,
    )


class _Sized(Protocol):
    """A config that says how large a transformer is."""

    logits_columns: ClassVar[int]

    @property
    def shape(self) -> Shape: ...
    @property
    def max_sequence_length(self) -> int: ...
    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self: ...


class Estimated:
    """A config that tells how much memory its network, a transformer of this runtime, takes.

    For a dataclass with slots that has a ``shape``, a ``max_sequence_length`` and a ``from_dict``, which need
    not be told of a mask token.
    """

    __slots__ = ()

    logits_columns: ClassVar[int] = _BLOCK
    """Positions of a row that the family's decoders decide at a time."""

    @classmethod
    def estimate(cls: type[_Sized], config: Mapping[str, Any], **place: Any) -> MemoryEstimate:
        """The estimate for a parsed ``config.json``.

        ``place`` (``dtype``, ``available``, ``tensor_parallel``, ``quantization``) is as for
        `estimate_of_shape`, and raises as there; besides, CheckpointError and UnsupportedArchitecture where
        the configuration is damaged or not implemented.
        """
        model, columns = cls.from_dict(config), cls.logits_columns
        length = model.max_sequence_length
        return estimate_of_shape(model.shape, max_sequence_length=length, logits_columns=columns, **place)


def estimate_of_shape(
    shape: Shape,
    *,
    max_sequence_length: int,
    dtype: str = "bfloat16",
    available: int | None = None,
    tensor_parallel: int = 1,
    quantization: str | None = None,
    logits_columns: int = _BLOCK,
) -> MemoryEstimate:
    """The estimate for a transformer of the runtime, of whatever family; all experts have memory, however few
    run.

    Args:
        max_sequence_length: columns of a row of full length.
        dtype, available, tensor_parallel, quantization: as for `estimate`.
        logits_columns: positions of a row that the family's decoders decide at a time.

    Raises:
        CheckpointError: another dtype.
        UsageError: it cannot be split between so many ranks, or another quantization.
    """
    split = Split(rank=0, size=tensor_parallel)
    part, rows = split.part(shape), 0 if shape.tied else shape.vocabulary // tensor_parallel  # of the head
    eight = check_quantization(quantization) is not None
    return estimate_of(
        parameter_count=split.parameter_count(shape),
        quantised=eight * (part.products + rows * shape.width),
        scales=eight * (part.outputs + rows),
        wide=part.routing,
        n_layers=shape.n_layers,
        n_kv_heads=part.n_kv_heads,
        head_dim=shape.head_dim,
        vocabulary=shape.vocabulary,
        max_sequence_length=max_sequence_length,
        dtype=dtype,
        available=available,
        logits_columns=logits_columns,
    )


def estimate_of(
    *,
    parameter_count: int,
    n_layers: int,
    n_kv_heads: int,
    head_dim: int,
    vocabulary: int,
    max_sequence_length: int,
    dtype: str = "bfloat16",
    available: int | None = None,
    quantised: int = 0,
    scales: int = 0,
    wide: int = 0,
    logits_columns: int = _BLOCK,
) -> MemoryEstimate:
    """The estimate for any network that caches keys and values and decodes blocks.

    Args:
        parameter_count: of all weights, an embedding and a head that are tied counted once.
        vocabulary: columns of the logits.
        max_sequence_length: columns of a row of full length.
        dtype, available: as for ``estimate``.
        quantised: how many of the weights have eight bits.
        scales: by how many float32 numbers those are multiplied.
        wide: how many of the weights are float32, whatever the others are.
        logits_columns: positions of a row that are decided at a time.

    Raises:
        CheckpointError: another dtype.
    """
    if dtype not in _BYTES:
        raise CheckpointError(f"dtype {dtype!r} cannot be used; choose 'float32', 'bfloat16' or 'float16'")
    narrow = parameter_count - quantised - wide
    weights = narrow * _BYTES[dtype] + quantised + (scales + wide) * _WIDE
    kv_per_token = 2 * n_layers * n_kv_heads * head_dim * _BYTES[dtype]
    logits = _LOGIT_COPIES * logits_columns * vocabulary * 4
    row = kv_per_token * max_sequence_length
    left = None if available is None else max(available - weights, 0)
    return MemoryEstimate(
        dtype=dtype,
        weights=weights,
        kv_per_token=kv_per_token,
        logits_per_row=logits,
        max_sequence_length=max_sequence_length,
        kv_per_row=row,
        available=available,
        columns_that_fit=None if left is None else max(left - logits, 0) // kv_per_token,
        rows_that_fit=None if left is None else left // (row + logits),
    )
