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

from llada_core.checkpoints import read_fields
from llada_core.checkpoints.guard import raised_as
from llada_core.checkpoints.mask import mask_token_id
from llada_core.errors import CheckpointError, UnsupportedArchitecture
from llada_core.faults import one_line
from llada_runtime.models import own_code
from llada_runtime.models.fields import end_ids, first_given, integer, token, with_mask
from llada_runtime.network.calls import Call, Ragged
from llada_runtime.network.checkpoint import choose_device, choose_dtype
from llada_runtime.network.layout import Layout
from llada_runtime.network.precision import without_autocast
from llada_runtime.network.reading import Reading

__all__ = ["RemoteConfig", "RemoteNetwork"]

_SIZES = ("embedding_size", "vocab_size", "padded_vocab_size")
_LIMITS = ("max_sequence_length", "max_position_embeddings", "max_seq_len", "n_positions", "seq_length")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteConfig:
    """What decoding needs from any masked diffusion model's ``config.json``."""

    mask_token_id: int
    eos_ids: tuple[int, ...]
    embedding_size: int
    max_sequence_length: int

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RemoteConfig:
        """Raises CheckpointError where ``config.json`` lacks one of them; end tokens others may declare."""
        size = integer(data, first_given(data, *_SIZES))
        return cls(
            mask_token_id=token(data, "mask_token_id", size),
            eos_ids=end_ids(data, size),
            embedding_size=size,
            max_sequence_length=integer(data, first_given(data, *_LIMITS)),
        )

    @classmethod
    def from_pretrained(cls, folder: str | Path, loaded: Any) -> RemoteConfig:
        """The config in ``folder``, completed by what its class, of which ``loaded`` is one, fills in.

        The tokenizer's files may tell the mask token. Raises CheckpointError as `from_dict`.
        """
        place = Path(folder)
        given = {name: value for name, value in read_fields(place).items() if value is not None}
        names = ("mask_token_id", "eos_token_id", *_SIZES, *_LIMITS)
        data = {name: getattr(loaded, name, None) for name in names} | given
        return cls.from_dict(with_mask({**data, "mask_token_id": mask_token_id(data, None)}, place))


class RemoteNetwork:
    """A model loaded by transformers with its own code. Load one only if you trust that code."""

    caches = False
    merges = True
    reading = Reading()

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
        """The model in ``folder``, by the class of its code that gives logits, as ``auto_map`` names it.

        Raises:
            CheckpointError: ``config.json`` lacks what decoding needs, the model's code fails, or none of its
                classes gives logits.
        """
        folder, place = Path(folder), choose_device(device)
        precision = choose_dtype(dtype, place)
        settings = own_code.load_config(folder)
        config = RemoteConfig.from_pretrained(folder, settings)
        tried = []
        for name in own_code.auto_classes(read_fields(folder)):
            model = own_code.load_model(folder, name, config=settings, device=place, dtype=precision)
            reason = _why_no_logits(model, config)
            if reason is None:
                return cls(model, config)
            tried.append(f"{name} {reason}")
        raise CheckpointError(
            f"{folder}: the model's own code gives no logits ({'; '.join(tried)}); let auto_map in "
            "config.json name its class with a language-model head, as AutoModelForMaskedLM or "
            "AutoModelForCausalLM"
        )

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
    @without_autocast
    def logits(self, layout: Layout, cache: None) -> Tensor:
        """Logits ``[head columns, V]``: one call of the model for each group of rows of equal length."""
        assert cache is None
        if any(place.stride is not None for place in layout.form.places):
            self._refuse("attention cannot be made causal")
        if any(place.shadow is not None for place in layout.form.places):
            self._refuse("attention cannot hide columns")
        if any(place.tail is not None for place in layout.form.places):
            self._refuse("columns cannot stand elsewhere")
        logits = torch.cat([self._call(layout.ids, call) for call in layout.calls])  # [N, V]
        logits = logits if layout.form.asks_all else logits[layout.head]
        return logits if layout.form.in_order else logits[layout.restore]

    def _call(self, ids: Tensor, call: Call | Ragged) -> Tensor:
        assert isinstance(call, Call), "rows that bring all their columns"
        rows = ids[call.start : call.start + call.rows * call.width].view(call.rows, call.width)
        logits: Tensor = _logits_in(self._model(input_ids=rows))  # [rows, width, V]
        return logits.flatten(0, 1)


@torch.inference_mode()
def _why_no_logits(model: Any, config: RemoteConfig) -> str | None:
    """Why the model cannot be decoded on: what it gives for two masks is no logits for them; else None."""
    ids = torch.full((1, 2), config.mask_token_id, device=model.device)

    def told(exc: BaseException) -> CheckpointError:
        return CheckpointError(
            f"the model's own code cannot be called with input_ids alone ({one_line(exc)}); "
            "see its model card for the versions that it needs"
        )

    with raised_as(told):
        output = model(input_ids=ids)
        logits = _logits_in(output)
    if not isinstance(logits, Tensor):
        return f"is {type(model).__name__}, which returns {type(output).__name__} without logits"
    if logits.dim() != 3 or logits.shape[:2] != ids.shape or logits.shape[2] <= config.mask_token_id:
        found, wanted = list(logits.shape), [*ids.shape, config.embedding_size]
        return f"is {type(model).__name__}, whose logits for two ids are {found} and not {wanted}"
    return None


def _logits_in(output: Any) -> Any:
    return output.get("logits") if isinstance(output, Mapping) else getattr(output, "logits", None)
