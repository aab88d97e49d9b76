"""What a parameter of ``compose`` is tried beside: the part that takes it, and where that does something."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from llada_core import PartInfo

from .chosen import parts_that_take
from .declared.compose import PARAMETERS

__all__ = ["beside"]

_OWN = {each.name for each in PARAMETERS}
_BESIDE: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "horizon": {"cache": "prefix", "gen_length": 44},  # longer than a block and a window
        "window_size": {"horizon": "window"},
        "schedule": {"gen_length": 24, "temperature": 1.0},  # a wider block draws more
        "delimiter_ids": {"schedule": "adaptive"},
        "delimiter_threshold": {"schedule": "adaptive"},
        "end_with_block": {"early_stop": False},
        "threshold_decay": {"cache": "vicinity", "rule": "near_tie", "cont_weight": 0.5},
        "cont_weight_init": {"cache": "vicinity", "cont_weight": 0.5},
        "cont_weight_growth": {"cache": "vicinity", "cont_weight": 0.5},
        "expected_tpf": {"cache": "vicinity", "maximum_unroll": 4},
    }
)
_CHOSEN: Mapping[str, Mapping[str, Any]] = MappingProxyType({"klass": {"rule": "klass", "cache": "none"}})


def beside(name: str) -> Mapping[str, Any]:
    """Choices under which values of the parameter of this name are taken."""
    if name in _BESIDE or name in _OWN:
        return _BESIDE.get(name, {})
    return next((_chosen(part) for part in parts_that_take(name)), {})


def _chosen(part: PartInfo) -> Mapping[str, Any]:
    return _CHOSEN.get(part.name, {"rule" if part.kind == "rule" else "cache": part.name})
