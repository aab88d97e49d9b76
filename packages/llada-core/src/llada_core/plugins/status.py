"""What became of a plugin: on its way, and as it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llada_core.errors import PluginError

__all__ = ["SLOW_MS", "Decision", "Plugin", "PluginStatus", "PluginWarning", "Question"]

SLOW_MS = 500
"""Milliseconds that a plugin may take to load before its status warns of it."""


class PluginWarning(UserWarning):
    """LLADA_LOAD_PLUGINS or LLADA_BLOCK_PLUGINS names what is not installed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginStatus:
    """What became of a plugin: ``loaded``, ``blocked`` by the user, or ``broken``.

    ``reason`` says why it is not loaded, which part of a loaded plugin was left out, or what one of its hooks
    could not decide; None where all is well. ``load_ms`` are the milliseconds that importing it and asking
    for its specs took, None where it was not imported. ``warnings`` are sentences about a plugin that works
    all the same.
    """

    name: str
    distribution: str | None
    version: str | None
    status: Literal["loaded", "blocked", "broken"]
    reason: str | None
    load_ms: int | None = field(default=None, compare=False)
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The status in JSON types."""
        return {
            "name": self.name,
            "distribution": self.distribution,
            "version": self.version,
            "status": self.status,
            "reason": self.reason,
            "load_ms": self.load_ms,
            "warnings": list(self.warnings),
        }


@dataclass(slots=True, kw_only=True, eq=False)
class Plugin:
    """One plugin on its way: what it is, what it contributed so far and what went wrong.

    ``misjudged`` is what went wrong when a hook was to decide something, the first of each kind: it may do
    better with the next question.
    """

    name: str
    distribution: str | None = None
    version: str | None = None
    blocked: str | None = None
    shadowed: tuple[str, ...] = ()
    contributed: int = 0
    seconds: float | None = None
    problems: list[PluginError] = field(default_factory=list)
    misjudged: dict[str, PluginError] = field(default_factory=dict)

    @property
    def owner(self) -> str:
        """Who stands behind the plugin's names: the distribution, or the plugin where there is none."""
        return self.distribution or self.name

    def status(self) -> PluginStatus:
        """The state as of now."""
        reason = (
            self.blocked
            or "; ".join(each.reason for each in (*self.problems, *self.misjudged.values()))
            or None
        )
        broken = bool(self.problems) and not self.contributed
        return PluginStatus(
            name=self.name,
            distribution=self.distribution,
            version=self.version,
            status="blocked" if self.blocked else "broken" if broken else "loaded",
            reason=reason,
            load_ms=None if self.seconds is None else round(1000 * self.seconds),
            warnings=tuple(self._warnings()),
        )

    def _warnings(self) -> list[str]:
        found = [
            f"{copy} does not count beside {self.version}; uninstall {self.owner} until none is left, and "
            "install it again"
            for copy in self.shadowed
        ]
        if self.seconds is not None and self.seconds > SLOW_MS / 1000:
            found.append(
                f"it takes {1000 * self.seconds:.0f} ms to load, whenever anything is listed; "
                "its module should import llada_core alone and name the rest by 'module:attr': "
                f"tell the authors of {self.owner}"
            )
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a deciding ``hook`` is asked: ``about`` says in words what its ``arguments`` are, and ``accept``
    whether an answer is one."""

    hook: str
    about: str
    arguments: Mapping[str, object]
    accept: Callable[[Any], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What one plugin's deciding hook answered when it was asked ``about`` something, and how many
    milliseconds it took.

    ``reason`` says what was wrong with it, ending with the remedy; ``answer`` is then None.
    """

    plugin: str
    distribution: str | None
    hook: str
    about: str
    answer: str | None
    reason: str | None
    ms: int

    def as_dict(self) -> dict[str, object]:
        """The facts in JSON types."""
        return {
            "plugin": self.plugin,
            "distribution": self.distribution,
            "hook": self.hook,
            "about": self.about,
            "answer": self.answer,
            "reason": self.reason,
            "ms": self.ms,
        }
