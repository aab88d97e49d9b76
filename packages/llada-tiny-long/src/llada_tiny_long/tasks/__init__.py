"""The tasks that llada-tiny-long was trained on, as a generator: pure Python, seeded, without any data file.

`training_stream` yields what training sees; `held_out` yields instances whose numbers and names training
never sees, and, on request, in wordings that it never sees. Answers have some 100 to 440 tokens.
"""

from __future__ import annotations

from llada_tiny.tasks import Instance, Message, Phrasings

from .families import FAMILIES, held_out, training_stream

__all__ = ["FAMILIES", "Instance", "Message", "Phrasings", "held_out", "training_stream"]
