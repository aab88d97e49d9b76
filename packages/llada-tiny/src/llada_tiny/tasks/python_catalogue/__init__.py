"""The Python functions that can be asked for."""

from __future__ import annotations

from .function import Function
from .of_numbers import OF_NUMBERS
from .of_sequences import OF_SEQUENCES

__all__ = ["FUNCTIONS", "Function"]

FUNCTIONS = (*OF_NUMBERS, *OF_SEQUENCES)
