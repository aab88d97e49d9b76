"""What the registry learns of this distribution: commands of the program ``llada``."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import CommandSpec, hookimpl

__all__ = ["llada_commands"]


@hookimpl
def llada_commands() -> Iterable[CommandSpec]:
    """``llada serve`` and ``llada batch``."""
    yield CommandSpec(
        name="serve", target="llada_server.command:serve", summary="Serve a model by the OpenAI API."
    )
    yield CommandSpec(
        name="batch", target="llada_server.batch.command:batch", summary="Answer files of requests."
    )
