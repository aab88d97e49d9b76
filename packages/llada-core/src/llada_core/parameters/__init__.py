"""What decoding parameters are: one declaration, the standard ones, and how a call's values are checked."""

from __future__ import annotations

from llada_core.parameters.given import beside, called, named, once, value_of, without
from llada_core.parameters.parameter import Parameter
from llada_core.parameters.parts import values_of_part, with_parts
from llada_core.parameters.reserved import RESERVED
from llada_core.parameters.resolution import (
    block_count,
    check_early_stops,
    parameters_of_row,
    parse_assignments,
    resolve,
    spelled_out,
    steps_a_block,
    whole_steps,
)
from llada_core.parameters.standard import SAMPLING, STANDARD, standard

__all__ = [
    "RESERVED",
    "SAMPLING",
    "STANDARD",
    "Parameter",
    "beside",
    "block_count",
    "called",
    "check_early_stops",
    "named",
    "once",
    "parameters_of_row",
    "parse_assignments",
    "resolve",
    "spelled_out",
    "standard",
    "steps_a_block",
    "value_of",
    "values_of_part",
    "whole_steps",
    "with_parts",
    "without",
]
