"""The ``llada`` program: its modules import click, and rich and torch only when they are used."""

from llada_core.cli.program import main

__all__ = ["main"]
