"""A transformers model made by the code that comes with its checkpoint. Load one only if you trust that code.

Which class of that code is the language model, ``auto_map`` in ``config.json`` says; this module does not
know what the model is asked for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.utils import logging

from llada_core.checkpoints.guard import raised_as
from llada_core.errors import CheckpointError
from llada_core.faults import one_line

__all__ = ["auto_classes", "load_config", "load_model"]

# The classes with a head for tokens come first; of those, the one that is for filling masks.
_PREFERRED = ("AutoModelForMaskedLM", "AutoModelForCausalLM", "AutoModel")
_REMEDY = "see its model card for the versions that it needs"


def auto_classes(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """The auto classes of transformers that ``auto_map`` has for the model, the likeliest to give logits
    first.

    Of several that stand for one class the first is kept; ``AutoModel`` where the map has none.
    """
    auto_map = fields.get("auto_map")
    named = {
        name: target
        for name, target in (auto_map.items() if isinstance(auto_map, Mapping) else ())
        if name.startswith("AutoModel") and isinstance(target, str)
    }
    order = [*(name for name in _PREFERRED if name in named), *(n for n in named if n not in _PREFERRED)]
    distinct = {named[name]: name for name in reversed(order)}
    return tuple(reversed(distinct.values())) or ("AutoModel",)


def load_config(folder: Path, *, remedy: str = _REMEDY) -> Any:
    """The config in ``folder``, by the class that ``auto_map`` names. Raises CheckpointError."""
    with _failing(folder, remedy):
        return transformers.AutoConfig.from_pretrained(str(folder), trust_remote_code=True)


def load_model(
    folder: Path,
    auto_class: str,
    *,
    config: Any,
    device: torch.device,
    dtype: torch.dtype,
    remedy: str = _REMEDY,
) -> Any:
    """The model in ``folder`` by its class for ``auto_class``, ready to be asked.

    Raises:
        CheckpointError: the code fails, or the weights lack what it needs.
    """
    kind = getattr(transformers, auto_class, None)
    if kind is None:
        raise CheckpointError(
            f"config.json: auto_map names {auto_class}, which transformers {transformers.__version__} does "
            "not have; install the version that its model card names"
        )
    with _failing(folder, remedy), _no_bar():
        model, told = kind.from_pretrained(
            str(folder), config=config, dtype=dtype, trust_remote_code=True, output_loading_info=True
        )
        model = model.to(device).eval()
    missing = sorted(told["missing_keys"])
    if missing:
        raise CheckpointError(
            f"{folder}: the weights lack {', '.join(missing[:3])} ({len(missing)} that the model's own code "
            "needs); download them again"
        )
    return model


def _failing(folder: Path, remedy: str) -> contextlib.AbstractContextManager[None]:
    """The model's own code may raise anything."""

    def told(exc: BaseException) -> CheckpointError:
        return CheckpointError(f"{folder}: the model's own code cannot load it ({one_line(exc)}); {remedy}")

    return raised_as(told)


@contextlib.contextmanager
def _no_bar() -> Iterator[None]:
    """The caller has a bar of its own, or wants none."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
