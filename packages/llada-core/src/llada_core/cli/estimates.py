"""What an engine tells of a model from its config alone, by functions of its plugin, which may fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_core.faults import fault_of, one_line
from llada_core.imports import load_target
from llada_core.plugins.info import EngineInfo

__all__ = ["memory_of", "steps_of"]

_MEMORY = (
    "dtype", "weights", "kv_per_token", "kv_per_row", "logits_per_row", "max_sequence_length", "available",
    "columns_that_fit", "rows_that_fit",
)  # fmt: skip
_MAY_BE_UNKNOWN = ("available", "columns_that_fit", "rows_that_fit")


def memory_of(
    engine: EngineInfo, config: Mapping[str, Any], **how: Any
) -> tuple[dict[str, Any] | None, str | None]:
    """The engine's estimate, or None and the reason why there is none."""
    target = engine.spec.memory
    if target is None:
        remedy = "reckon with the size of its weight files at least"
        return None, f"the engine {engine.name} does not estimate the memory that a model takes; {remedy}"
    upgrade = f"pip install --upgrade {engine.distribution or engine.name}"
    try:
        estimate = load_target(target)
    except BaseException as exc:  # a plugin's module may raise anything
        return None, f"the memory it takes cannot be told ({one_line(fault_of(exc))}); {upgrade}"
    try:
        memory: dict[str, Any] = dict(estimate(config, **how).as_dict())
        missing = ", ".join(key for key in _MEMORY if not _is_told(key, memory.get(key)))
    except ValueError as exc:
        return None, str(exc)
    except BaseException as exc:  # and so may its function
        return None, f"{target} failed: {one_line(fault_of(exc))}; {upgrade}"
    return (None, f"{target} does not tell {missing}; {upgrade}") if missing else (memory, None)


def steps_of(
    engine: EngineInfo, config: Mapping[str, Any], *, device: str, dtype: str
) -> tuple[str | None, str | None]:
    """The engine's sentence on how steps would run, or None and the reason, if any, why there is none."""
    target = engine.spec.steps
    if target is None:
        return None, None
    try:
        return str(load_target(target)(config, device=device, dtype=dtype)), None
    except ValueError as exc:
        return None, str(exc)
    except BaseException as exc:  # a plugin may raise anything
        return None, f"{target} failed: {one_line(fault_of(exc))}"


def _is_told(key: str, value: object) -> bool:
    """Whether a figure of an estimate is there; what is free, and so what fits, may be unknown."""
    if key == "dtype":
        return isinstance(value, str)
    return isinstance(value, int) or (value is None and key in _MAY_BE_UNKNOWN)
