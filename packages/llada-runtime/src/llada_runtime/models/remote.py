"""A transformers model with code of its own behind the runtime's `Network`: full forwards only.

For checkpoints whose architecture this runtime does not implement. Nothing is known of such a model but that
it maps ids to logits, so its keys and values cannot be cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor
from transformers import AutoModel

from llada_core.checkpoints import read_fields
from llada_core.errors import CheckpointError, UnsupportedArchitecture
from llada_runtime.network.calls import Call, Ragged
from llada_runtime.network.checkpoint import choose_device, choose_dtype
from llada_runtime.network.layout import Layout

__all__ = ["RemoteConfig", "RemoteNetwork"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteConfig:
    """What decoding needs from any masked diffusion model's ``config.json``."""

    mask_token_id: int
    eos_token_id: int | tuple[int, ...]
    embedding_size: int
    max_sequence_length: int

    @property
    def eos_ids(self) -> tuple[int, ...]:
        return self.eos_token_id if isinstance(self.eos_token_id, tuple) else (self.eos_token_id,)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RemoteConfig:
        """Raises CheckpointError where ``config.json`` does not say one of the four."""
        eos = _first(data, "eos_token_id")
        return cls(
            mask_token_id=_first(data, "mask_token_id"),
            eos_token_id=tuple(eos) if isinstance(eos, list) else eos,
            embedding_size=_first(data, "embedding_size", "vocab_size"),
            max_sequence_length=_first(data, "max_sequence_length", "max_position_embeddings"),
        )


class RemoteNetwork:
    """A model loaded by ``AutoModel`` with its own code. Load one only if you trust that code."""

    caches = False
    merges = True

    def __init__(self, model: Any, config: RemoteConfig) -> None:
        self._model, self.config = model, config
        self.device: torch.device = model.device
        self.dtype: torch.dtype = model.dtype

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> RemoteNetwork:
        """The model in ``folder``, by the code that its ``auto_map`` names.

        Raises:
            CheckpointError: ``config.json`` lacks what decoding needs, or the model's code fails.
        """
        config = RemoteConfig.from_dict(read_fields(Path(folder)))
        place = choose_device(device)
        try:
            model = AutoModel.from_pretrained(
                str(folder), trust_remote_code=True, dtype=choose_dtype(dtype, place)
            )
        except Exception as exc:  # the model's own code may raise anything
            raise CheckpointError(
                f"{folder}: the model's own code cannot load it ({type(exc).__name__}: {exc}); "
                "see its model card for the versions that it needs"
            ) from exc
        return cls(model.to(place).eval(), config)

    def new_cache(self, *, columns: int) -> NoReturn:
        """Raises UnsupportedArchitecture: nothing is known of its keys and values."""
        self._refuse("keys and values cannot be cached")

    def affordable_columns(self) -> int:
        """0: it caches nothing, however much memory is free."""
        return 0

    def embed(self, ids: Tensor) -> NoReturn:
        self._refuse("embeddings cannot be replaced")

    def mix(self, probabilities: Tensor) -> NoReturn:
        self._refuse("embeddings cannot be replaced")

    def _refuse(self, what: str) -> NoReturn:
        raise UnsupportedArchitecture(
            f"this model runs by its own code, whose {what}; use an algorithm that needs only its logits"
        )

    @torch.inference_mode()
    def logits(self, layout: Layout, cache: None) -> Tensor:
        """Logits ``[head columns, V]``: one call of the model for each group of rows of equal length."""
        assert cache is None
        if any(place.stride is not None for place in layout.form.places):
            self._refuse("attention cannot be made causal")
        logits = torch.cat([self._call(layout.ids, call) for call in layout.calls])  # [N, V]
        logits = logits if layout.form.asks_all else logits[layout.head]
        return logits if layout.form.in_order else logits[layout.restore]

    def _call(self, ids: Tensor, call: Call | Ragged) -> Tensor:
        assert isinstance(call, Call), "rows that bring all their columns"
        rows = ids[call.start : call.start + call.rows * call.width].view(call.rows, call.width)
        logits: Tensor = self._model(input_ids=rows).logits  # [rows, width, V]
        return logits.flatten(0, 1)


def _first(data: Mapping[str, Any], *names: str) -> Any:
    for name in names:
        if data.get(name) is not None:
            return data[name]
    raise CheckpointError(
        f"config.json: {' or '.join(names)} is missing, and decoding needs it; add it to the file"
    )
