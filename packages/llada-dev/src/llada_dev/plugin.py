"""What the registry learns of this distribution: two commands of the program ``llada``."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import CommandSpec, hookimpl

__all__ = ["llada_commands"]


@hookimpl
def llada_commands() -> Iterable[CommandSpec]:
    """``llada new`` and ``llada verify``."""
    yield CommandSpec(
        name="new", target="llada_dev.new.command:new", summary="Write a plugin from the template."
    )
    yield CommandSpec(
        name="verify",
        target="llada_dev.verify.command:verify",
        summary="Show that a model decodes as it should, here.",
    )
