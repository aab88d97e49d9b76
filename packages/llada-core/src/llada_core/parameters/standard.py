"""The standard parameters: names, ranges and defaults that algorithms share, so that a call can change its
algorithm and keep its parameters: at a neutral value even those that the other one does not take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from llada_core.errors import InvalidSpec
from llada_core.names import closest
from llada_core.parameters.parameter import Parameter

__all__ = ["SAMPLING", "STANDARD", "standard"]


class UnknownStandard(InvalidSpec, KeyError):
    """No standard parameter has this name."""

    __str__ = InvalidSpec.__str__  # KeyError's shows the text as a key


def standard(name: str, **changes: Any) -> Parameter:
    """The standard parameter of this name, with some fields changed if any are given.

    ``standard("threshold", default=None)`` is the threshold of an algorithm that commits by quota unless
    told. Neutral values that the changed one does not accept are left out. Raises ``UnknownStandard``, a
    ``KeyError``, for a name that is not in ``STANDARD``.
    """
    if name not in STANDARD:
        near = closest(name, STANDARD)
        hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(STANDARD)}"
        raise UnknownStandard(f"no standard parameter is called {name!r}; {hint}")
    known = STANDARD[name]
    changed = replace(known, **{"neutral": (), **changes})
    if "neutral" in changes:
        return changed
    return replace(changed, neutral=tuple(value for value in known.neutral if changed.accepts(value)))


STANDARD: Mapping[str, Parameter] = MappingProxyType(
    {
        parameter.name: parameter
        for parameter in (
            Parameter(
                name="gen_length",
                kind=int,
                minimum=1,
                default=128,
                aliases=("max_tokens", "max_completion_tokens", "max_new_tokens"),
                summary="Tokens to generate; the last block may be short.",
            ),
            Parameter(
                name="block_length",
                kind=int,
                minimum=1,
                maximum=1024,
                default=32,
                aliases=("block_size",),
                summary="Positions of a block; blocks are decoded from left to right.",
            ),
            Parameter(
                name="steps",
                kind=int,
                minimum=1,
                nullable=True,
                default=None,
                aliases=("denoising_steps",),
                neutral=(None,),
                summary=(
                    "Forward passes of the quota rule, rounded up to a multiple of the block count; none "
                    "means gen_length. Giving it selects the quota rule, unless threshold or factor is given."
                ),
            ),
            Parameter(
                name="temperature",
                kind=float,
                minimum=0,
                default=0.0,
                neutral=(0.0,),
                summary="Gumbel noise on the choice of tokens; 0 takes the most likely token.",
            ),
            Parameter(
                name="top_p",
                kind=float,
                minimum=0,
                exclusive_minimum=True,
                maximum=1,
                nullable=True,
                default=None,
                neutral=(None, 1.0),
                summary=(
                    "Draw from the likeliest tokens that together have this probability, after temperature "
                    "and top_k; nothing at temperature 0."
                ),
            ),
            Parameter(
                name="top_k",
                kind=int,
                minimum=-1,
                nullable=True,
                default=None,
                neutral=(None, 0, -1),
                summary=(
                    "Draw from this many of the likeliest tokens, after temperature; none, 0 and -1 draw "
                    "from all; nothing at temperature 0."
                ),
            ),
            Parameter(
                name="min_p",
                kind=float,
                minimum=0,
                maximum=1,
                nullable=True,
                default=None,
                neutral=(None, 0.0),
                summary=(
                    "Draw from tokens at least this many times as probable as the likeliest, after "
                    "temperature, top_k and top_p; nothing at temperature 0."
                ),
            ),
            Parameter(
                name="remasking",
                kind=str,
                default="low_confidence",
                choices=("low_confidence", "random"),
                coerce={True: "low_confidence", False: "random"},
                neutral=("low_confidence",),
                summary="What ranks the positions: the token's probability, or chance.",
            ),
            Parameter(
                name="threshold",
                kind=float,
                minimum=0,
                maximum=1,
                nullable=True,
                default=0.9,
                aliases=("confidence_threshold",),
                default_unless=("steps", "factor"),
                neutral=(None,),
                summary=(
                    "Commit every position at least this confident. An explicit steps means the quota rule "
                    "and an explicit factor the factor rule: the default then gives way to none."
                ),
            ),
            Parameter(
                name="factor",
                kind=float,
                minimum=0,
                exclusive_minimum=True,
                nullable=True,
                default=None,
                neutral=(None,),
                summary="Parallelism of the factor rule; wins over threshold, as threshold wins over steps.",
            ),
            Parameter(
                name="seed",
                kind=int,
                minimum=-(2**63),  # the range of torch.Generator.manual_seed
                maximum=2**64 - 1,
                nullable=True,
                default=None,
                neutral=(None,),
                summary="Seed of the row's random generator; none draws a fresh one.",
            ),
            Parameter(
                name="early_stop",
                kind=bool,
                default=True,
                neutral=(True,),
                summary="Stop a row once an EOS stands with no mask before it; false decodes every position.",
            ),
        )
    }
)

SAMPLING: tuple[Parameter, ...] = tuple(STANDARD[name] for name in ("temperature", "top_p", "top_k", "min_p"))
"""How tokens are drawn, for a declaration: ``parameters=(standard("gen_length"), *SAMPLING)``.

An algorithm that the runtime decodes by steps needs nothing but to declare them. They do not come with
``temperature`` by themselves: a declaration is read without importing what it is of, and one that decodes by
code of its own would then be listed with what it ignores.
"""
