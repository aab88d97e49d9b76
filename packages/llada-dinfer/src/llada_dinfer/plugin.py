"""What the registry learns of this engine. Importing this module needs neither torch nor the runtime."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from llada_core import (
    SAMPLING,
    AlgorithmSpec,
    EngineSpec,
    Parameter,
    PolicySpec,
    RuleSpec,
    hookimpl,
    standard,
)

__all__ = [
    "BLOCKWISE_PARAMETERS",
    "CREDIT_PARAMETERS",
    "HIERARCHY_PARAMETERS",
    "llada_engines",
    "llada_policies",
    "llada_rules",
]

_COMMON: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard("block_length"),
    *SAMPLING,
    standard("seed"),
    standard("early_stop"),
    Parameter(
        name="cache",
        kind=str,
        default="dual",
        choices=("none", "prefix", "dual"),
        coerce={None: "none"},
        summary="What is read from the cache: nothing, what is before the block, or all but the block.",
    ),
    Parameter(
        name="cache_update_freq",
        kind=int,
        minimum=1,
        nullable=True,
        summary="Rebuild the cache every so many iterations, besides at each new block.",
    ),
    Parameter(
        name="prefix_look",
        kind=int,
        minimum=0,
        default=0,
        coerce={None: 0},
        summary="Vicinity: columns before the block that are computed with it.",
    ),
    Parameter(
        name="after_look",
        kind=int,
        minimum=0,
        default=0,
        coerce={None: 0},
        summary="Vicinity: columns behind the block that are computed with it.",
    ),
    Parameter(
        name="warmup_steps",
        kind=int,
        minimum=0,
        default=0,
        coerce={None: 0},
        summary="Vicinity: iterations over the whole canvas before anything is cached.",
    ),
    Parameter(
        name="cont_weight",
        kind=float,
        minimum=0,
        maximum=1,
        nullable=True,
        summary="Iteration smoothing: the most weight a mask's expected embedding gets; none is off.",
    ),
    Parameter(
        name="cont_weight_init",
        kind=float,
        minimum=0,
        maximum=1,
        nullable=True,
        summary="Smoothing: the weight at the first iteration; none means 0.15.",
    ),
    Parameter(
        name="cont_weight_growth",
        kind=float,
        minimum=0,
        maximum=1,
        nullable=True,
        summary="Smoothing: how much the weight grows each iteration; none means 0.02.",
    ),
    Parameter(
        name="threshold_decay",
        kind=float,
        minimum=0,
        maximum=1,
        nullable=True,
        summary="Smoothing: how much the threshold falls each iteration, from 1; none means 0.02.",
    ),
    Parameter(
        name="maximum_unroll",
        kind=int,
        minimum=1,
        default=1,
        summary="The most iterations between two looks at whether the block is full; upstream's value is 4.",
    ),
    Parameter(
        name="expected_tpf",
        kind=int,
        minimum=1,
        default=8,
        summary="Tokens that an iteration is expected to commit, when iterations are unrolled.",
    ),
    Parameter(
        name="start_block_align",
        kind=bool,
        default=False,
        summary="Begin blocks at multiples of block_length, so that the first one overlaps the prompt.",
    ),
)

_THRESHOLD = standard("threshold", default_unless=("steps",), summary="Commit every position this confident.")
_STEPS = standard(
    "steps",
    summary="Forwards of a fixed schedule, rounded up to a multiple of the blocks, instead of a threshold.",
)

BLOCKWISE_PARAMETERS: tuple[Parameter, ...] = (*_COMMON, _THRESHOLD, _STEPS)

_HIERARCHY: tuple[Parameter, ...] = (
    standard("threshold", default_unless=(), summary="Commit every position more confident than this."),
    Parameter(
        name="low_threshold",
        kind=float,
        minimum=0,
        maximum=1,
        nullable=True,
        default=0.4,
        summary="The best position of a run of masks must be more confident than this.",
    ),
)

HIERARCHY_PARAMETERS: tuple[Parameter, ...] = (*_COMMON, *_HIERARCHY)

_CREDIT: tuple[Parameter, ...] = (
    _THRESHOLD,
    _STEPS,
    Parameter(
        name="credit_alpha",
        kind=float,
        minimum=0,
        default=0.7,
        summary="Weight of the accumulated credit when it is added to the logits.",
    ),
    Parameter(
        name="boost_gamma",
        kind=float,
        minimum=0,
        default=0.2,
        summary="Exponent of the probability that the likeliest token earns as credit.",
    ),
    Parameter(
        name="decay_beta",
        kind=float,
        minimum=0,
        maximum=1,
        default=0.8,
        summary="How much of the credit is left after each forward.",
    ),
)

CREDIT_PARAMETERS: tuple[Parameter, ...] = (*_COMMON, *_CREDIT)

_ALGORITHMS = (
    AlgorithmSpec(
        name="dinfer_blockwise",
        engine="dinfer",
        target="llada_dinfer.generation:BlockWiseGeneration",
        summary="Commits every position whose confidence passes a threshold.",
        aliases=("dinfer", "dinfer_block", "blockwise"),
        parameters=BLOCKWISE_PARAMETERS,
    ),
    AlgorithmSpec(
        name="dinfer_hierarchy",
        engine="dinfer",
        target="llada_dinfer.generation:HierarchyGeneration",
        summary="Commits the best position of every run of masks, so that runs keep splitting.",
        aliases=("dinfer_hierarchical",),
        parameters=HIERARCHY_PARAMETERS,
    ),
    AlgorithmSpec(
        name="dinfer_credit",
        engine="dinfer",
        target="llada_dinfer.generation:CreditGeneration",
        summary="Tokens that stay likely earn credit, which is added to their logits.",
        aliases=("dinfer_credit_threshold",),
        parameters=CREDIT_PARAMETERS,
    ),
)


@hookimpl
def llada_engines() -> Iterable[EngineSpec]:
    """The engine ``dinfer`` and its three algorithms."""
    yield EngineSpec(
        name="dinfer",
        target="llada_dinfer.generation:DInferGeneration",
        summary="dInfer's decoders (arXiv 2510.08666) on LLaDA checkpoints.",
        default_algorithm="dinfer_blockwise",
        algorithms=_ALGORITHMS,
        memory="llada_runtime.memory:estimate",
        steps="llada_runtime.models.steps:planned_steps",
        model_types=("llada",),
        architectures=("LLaDAModelLM", "LLaDAMoEModelLM"),
        priority=20,
    )


_RULES = (
    RuleSpec(
        name="near_tie",
        target="llada_dinfer.parts:near_tie",
        summary="Commits every position this confident, or else the best and all that are as good as it.",
        parameters=(replace(_THRESHOLD, nullable=False, default_unless=(), neutral=()),),
    ),
    RuleSpec(
        name="hierarchy",
        target="llada_dinfer.parts:hierarchy",
        summary="Commits the best position of every run of masks, so that runs keep splitting.",
        parameters=_HIERARCHY,
    ),
    RuleSpec(
        name="credit",
        target="llada_dinfer.parts:credit",
        summary="Tokens that stay likely earn credit, which is added to their logits.",
        parameters=_CREDIT,
    ),
)

_WINDOW = {"prefix_look": 16, "after_look": 16, "warmup_steps": 4}  # as published
_NOT_OF_THE_ITERATION = ("gen_length", "block_length", "seed", "early_stop", "cache", "start_block_align")
_ITERATION: tuple[Parameter, ...] = tuple(
    replace(each, default=_WINDOW.get(each.name, each.default))
    for each in _COMMON
    if each not in SAMPLING and each.name not in _NOT_OF_THE_ITERATION
)

_VICINITY = PolicySpec(
    name="vicinity",
    target="llada_dinfer.parts:vicinity",
    summary="A dual cache whose steps compute a window around the block, after a warm-up.",
    parameters=_ITERATION,
)


@hookimpl
def llada_rules() -> Iterable[RuleSpec]:
    """dInfer's three rules."""
    return _RULES


@hookimpl
def llada_policies() -> Iterable[PolicySpec]:
    """dInfer's iteration with the vicinity window."""
    return (_VICINITY,)
