"""What to do about a name that nobody has: the names that it may have meant, and the plugins that may bring
it and cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from llada_core.names import closest
from llada_core.plugins.status import PluginStatus

__all__ = ["advice"]


def advice(
    name: str,
    near: tuple[str, ...],
    *,
    listing: str,
    statuses: Iterable[PluginStatus],
    lost: Mapping[str, str] | None = None,
) -> str:
    """Sentences for an error about ``name``, ending with a remedy.

    ``near`` are names that it may have meant, ``listing`` is the command that lists them all. ``lost`` says
    of names that a plugin brings why they were dropped.
    """
    troubled = [status for status in statuses if status.reason is not None]
    parts = [f"did you mean {' or '.join(near)}? `llada {listing}` lists them all"] if near else []
    if lost and name in lost:
        parts.append(f"a plugin brings it, but {lost[name]}")
    else:
        parts += _suspects(name, troubled)
    if not parts:
        parts.append(f"`llada {listing}` lists them all")
        broken = ", ".join(status.name for status in troubled if status.status == "broken")
        if broken:
            parts.append(f"plugins that are broken may bring it ({broken}): `llada plugins` tells why")
    return "; ".join(parts)


def _suspects(name: str, statuses: Sequence[PluginStatus]) -> Iterator[str]:
    """Sentences about the plugins that are called as a word of ``name``, or else nearly as ``name``."""
    words = set(str(name).lower().replace("-", "_").split("_"))
    called = [status for status in statuses if words & {each.lower() for each in _names(status)}]
    for status in called or [status for status in statuses if closest(name, _names(status))]:
        owner = f" of {status.distribution}" if status.distribution else ""
        state = "broken in part" if status.status == "loaded" else status.status
        yield f"it may be of the plugin {status.name}{owner}, which is {state}: {status.reason}"


def _names(status: PluginStatus) -> set[str]:
    return {status.name, (status.distribution or status.name).removeprefix("llada-")}
