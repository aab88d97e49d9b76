"""The rules and policies of this package that others compose by name."""

from __future__ import annotations

from dataclasses import replace

from llada_core import Parameter, PolicySpec, RuleSpec, standard

from . import eb_sampler, klass, streaming
from .shared import CFG_SCALE

__all__ = ["POLICIES", "RULES"]


def _of(declared: tuple[Parameter, ...], *names: str) -> tuple[Parameter, ...]:
    """Those of an algorithm's parameters that are its part's, too."""
    return tuple(each for each in declared if each.name in names)


_STEPS = standard("steps", summary="Forwards of a schedule, rounded up to a multiple of the blocks.")


def _refreshed(name: str, summary: str, *, minimum: int = 0) -> Parameter:
    return Parameter(name=name, kind=int, minimum=minimum, nullable=True, summary=summary)


RULES = (
    RuleSpec(
        name="entropy_budget",
        target="llada_decoders.eb_sampler:entropy_budget",
        summary="As many tokens a step as their entropies allow together (arXiv 2505.24857).",
        parameters=_of(eb_sampler.PARAMETERS, "gamma", "order", "tokens_per_step"),
    ),
    RuleSpec(
        name="klass",
        target="llada_decoders.klass:stable",
        summary="Tokens that are sure and whose distribution no longer moves (arXiv 2511.05664).",
        parameters=_of(
            klass.PARAMETERS,
            *("steps", "conf_threshold", "kl_threshold", "kl_history_length", "unmask_strategy"),
        ),
    ),
    RuleSpec(
        name="margin",
        target="llada_decoders.llada:by_margin",
        summary="A share of a schedule a step, by the largest margin between the two likeliest tokens.",
        parameters=(_STEPS,),
    ),
    RuleSpec(
        name="entropy",
        target="llada_decoders.llada:by_entropy",
        summary="A share of a schedule a step, by the least entropy.",
        parameters=(_STEPS,),
    ),
    RuleSpec(
        name="falling",
        target="llada_decoders.falling:falling",
        summary="A threshold that falls as masks are filled (arXiv 2601.17917).",
        parameters=(
            standard(
                "threshold",
                nullable=False,
                default_unless=(),
                summary="Commit every position this confident.",
            ),
            *_of(streaming.PARAMETERS, "confidence_alpha"),
        ),
    ),
)

POLICIES = (
    PolicySpec(
        name="frozen",
        target="llada_decoders.frozen:frozen",
        summary="Everything is cached once; as a block begins, only what is near it is computed anew.",
        aliases=("frozen_cache",),
        parameters=(
            _refreshed(
                "refresh_back",
                "Columns of the answer before the block that are computed as it begins; none is all of them, "
                "and never the prompt's.",
            ),
            _refreshed(
                "refresh_ahead",
                "Columns behind the block that are computed as it begins; none is all to the answer's end.",
            ),
            _refreshed(
                "refresh_every",
                "Compute the whole canvas again as every so many-th block begins; none is never.",
                minimum=1,
            ),
        ),
    ),
    PolicySpec(
        name="guided",
        target="llada_decoders.guidance:guided",
        summary="The whole canvas every step, and beside it one whose prompt is masked (arXiv 2502.09992).",
        parameters=(replace(CFG_SCALE, default=0.5),),
    ),
)
