"""Makes this folder's helper module importable from its tests, and its fixtures known to them."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from tiny_checkpoint import model, write_checkpoint  # after the path is set

__all__ = ["model", "write_checkpoint"]
