"""What decoding parameters are: one declaration, the standard ones, and how a call's values are checked."""

from __future__ import annotations

from llada_core.parameters.parameter import Parameter
from llada_core.parameters.resolution import (
    block_count,
    parameters_of_row,
    parse_assignments,
    resolve,
    whole_steps,
)
from llada_core.parameters.standard import STANDARD, standard

__all__ = [
    "STANDARD",
    "Parameter",
    "block_count",
    "parameters_of_row",
    "parse_assignments",
    "resolve",
    "standard",
    "whole_steps",
]
