"""Fields of OpenAI's requests that are not implemented: the values at which they change nothing, and why not.

Clients send many of them at such a value. At any other one, an answer that ignores them would be wrong, so
they are refused.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Any

from pydantic_core import PydanticCustomError

__all__ = ["NEUTRAL", "asks_for_nothing", "refuse_unimplemented"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Neutral:
    """At which ``values`` a field changes nothing; None for any value. ``reason`` ends with the remedy."""

    values: tuple[object, ...] | None
    reason: str


_TEXT = {"type": "text"}
_FREE = Neutral(values=None, reason="")
_TOOLS = "tools are not called by this server; leave it out"
_PENALTY = "penalties are not defined where many positions are filled at once; leave it out"

NEUTRAL: dict[str, Neutral] = {
    "audio": Neutral(values=(None,), reason="answers are text; leave it out"),
    "best_of": Neutral(values=(None, 1), reason="answers are not ranked; use n"),
    "frequency_penalty": Neutral(values=(None, 0), reason=_PENALTY),
    "function_call": Neutral(values=(None, "none"), reason=_TOOLS),
    "functions": Neutral(values=(None, []), reason=_TOOLS),
    "include_obfuscation": Neutral(values=(None, False), reason="streams are not padded; leave it out"),
    "logit_bias": Neutral(values=(None, {}), reason="logits are not changed by requests; leave it out"),
    "metadata": _FREE,
    "modalities": Neutral(values=(None, ["text"]), reason="answers are text; leave it out"),
    "moderation": Neutral(values=(None,), reason="answers are not moderated; leave it out"),
    "parallel_tool_calls": _FREE,
    "prediction": Neutral(values=(None,), reason="predicted outputs are not used; leave it out"),
    "presence_penalty": Neutral(values=(None, 0), reason=_PENALTY),
    "prompt_cache_key": _FREE,
    "prompt_cache_retention": _FREE,
    "reasoning_effort": Neutral(
        values=(None, "none"), reason="use the parameters of the algorithm, such as enable_thinking"
    ),
    "response_format": Neutral(values=(None, _TEXT), reason="only text is written; leave it out"),
    "safety_identifier": _FREE,
    "service_tier": Neutral(values=(None, "auto", "default"), reason="there is one tier; leave it out"),
    "store": Neutral(values=(None, False), reason="nothing is stored; leave it out"),
    "tool_choice": Neutral(values=(None, "none", "auto"), reason=_TOOLS),
    "tools": Neutral(values=(None, []), reason=_TOOLS),
    "verbosity": Neutral(values=(None, "medium"), reason="say it in the prompt"),
    "web_search_options": Neutral(values=(None,), reason="nothing is searched; leave it out"),
}


_REFERENCE: dict[str, tuple[object, ...]] = {"cfg_scale": (None, 0)}
"""Parameters of LLaDA's reference code that are no standard ones, and the values that ask for nothing."""


def asks_for_nothing(name: str, value: object) -> bool:
    """Whether a parameter that the algorithm does not take may be left out: its value changes nothing."""
    return _is_one_of(value, _REFERENCE.get(name, ()))


def refuse_unimplemented(given: Any, *, implemented: Container[str], within: str = "") -> Any:
    """The object without such fields; ``within`` is the field that holds it.

    Refuses, as a ``PydanticCustomError``, one that changes the answer.
    """
    if not isinstance(given, dict):
        return given
    kept = {}
    for name, value in given.items():
        neutral = None if name in implemented else NEUTRAL.get(name)
        if neutral is None:
            kept[name] = value
        elif neutral.values is not None and not _is_one_of(value, neutral.values):
            raise PydanticCustomError(
                "unsupported_field",
                "{field} is not supported: {reason}",
                {"field": f"{within}.{name}" if within else name, "reason": neutral.reason},
            )
    return kept


def _is_one_of(value: object, values: tuple[object, ...]) -> bool:
    """Whether ``value`` is among ``values``; True and 1 are two values, 0 and 0.0 are one."""
    return any(value == each and isinstance(value, bool) is isinstance(each, bool) for each in values)
