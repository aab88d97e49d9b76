"""The files that benchmarks write: refused before anything is measured where they could not be written."""

from __future__ import annotations

import argparse
from pathlib import Path

__all__ = ["output"]


def output(name: str) -> Path:
    """The path of a file that can be written, and may be there: a ``type`` of argparse."""
    # Not above: who measures another checkout imports this module there, too.
    from llada_core.cli.outfiles import check_files
    from llada_core.errors import UsageError

    path = Path(name)
    try:
        check_files([("it", path)], overwrite=True)
    except UsageError as exc:
        raise argparse.ArgumentTypeError(str(exc).removeprefix("it: ")) from exc
    return path
