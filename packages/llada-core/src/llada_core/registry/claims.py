"""Names that plugins claim: the earlier one keeps a name, and the newcomer is told who has it."""

from __future__ import annotations

from llada_core.errors import PluginConflict
from llada_core.names import Claim, NameTable
from llada_core.plugins.host import PluginHost
from llada_core.plugins.status import Plugin
from llada_core.registry.wheels import title_of

__all__ = ["CORE", "refused"]

CORE = "llada-core"


def refused(
    host: PluginHost, table: NameTable, what: str, name: str, target: str, plugin: Plugin
) -> str | None:
    """None once ``name`` is the plugin's and stands for ``target``, or the reason why it is not, which has
    been reported to ``host``; ``what`` says what has names in this ``table``."""
    kept = table.claim(Claim(name=name, target=target, owner=plugin.owner))
    if kept is None:
        return None
    conflict = _conflict(what, kept, plugin)
    host.report(plugin, conflict)
    return conflict.reason


def _conflict(what: str, kept: Claim, plugin: Plugin) -> PluginConflict:
    dropped = f"the {what} {kept.name} of {plugin.owner} is dropped" + (
        " with its algorithms" if what == "engine" else ""
    )
    reason = f"{dropped}, because {_holder(what, kept)}; {_choice(kept, plugin)}"
    return PluginConflict(
        reason, plugin=plugin.name, name=kept.name, dist=plugin.distribution, other=kept.owner
    )


def _holder(what: str, kept: Claim) -> str:
    title = f", {title_of(kept.owner, kept.name).why}," if what == "engine" else ""
    return f"{kept.owner}{title} has that name"


def _choice(kept: Claim, plugin: Plugin) -> str:
    """How the name could go to the plugin after all."""
    if kept.owner in (plugin.owner, CORE):
        return f"tell the authors of {plugin.owner} to rename it"
    return f"LLADA_BLOCK_PLUGINS={kept.owner} gives it to {plugin.owner}, or uninstall one of them"
