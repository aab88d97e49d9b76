"""What the registry learns of this distribution: a command of the program ``llada``."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import CommandSpec, hookimpl

__all__ = ["llada_commands"]


@hookimpl
def llada_commands() -> Iterable[CommandSpec]:
    """``llada eval``."""
    yield CommandSpec(
        name="eval",
        target="llada_eval.command:evaluate",
        summary="Evaluate a model by lm-evaluation-harness.",
    )
