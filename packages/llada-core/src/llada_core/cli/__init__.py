"""The ``llada`` program. Its modules import click and nothing heavier; rich and torch come in when they are
used.
"""

from llada_core.cli.program import main

__all__ = ["main"]
