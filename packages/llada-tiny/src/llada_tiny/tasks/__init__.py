"""The tasks that llada-tiny was trained on, as a generator: pure Python, seeded, without any data file.

`training_stream` yields what training sees; `held_out` yields instances whose names and numbers training
never sees, and, on request, in wordings that it never sees.
"""

from __future__ import annotations

from .families import FAMILIES, Phrasings, held_out, training_stream
from .instance import Instance, Message

__all__ = ["FAMILIES", "Instance", "Message", "Phrasings", "held_out", "training_stream"]
