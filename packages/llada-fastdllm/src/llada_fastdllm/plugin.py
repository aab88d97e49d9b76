"""What the registry learns of this engine. Importing this module needs neither torch nor the runtime."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import (
    SAMPLING,
    AlgorithmSpec,
    EngineSpec,
    Parameter,
    PolicySpec,
    RuleSpec,
    StrangerSpec,
    hookimpl,
    standard,
)

__all__ = ["BASIC_PARAMETERS", "PARAMETERS", "llada_engines", "llada_policies", "llada_rules"]

PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard("block_length"),
    standard("steps"),
    *SAMPLING,
    standard("remasking"),
    standard("threshold"),
    standard("factor"),
    standard("seed"),
    standard("early_stop"),
)
"""What the cached algorithms take: by default they commit by confidence threshold."""

BASIC_PARAMETERS: tuple[Parameter, ...] = tuple(
    standard("threshold", default=None) if parameter.name == "threshold" else parameter
    for parameter in PARAMETERS
)
"""What ``basic`` takes: unless told otherwise it commits by quota, one token a step."""

_ALGORITHMS = (
    AlgorithmSpec(
        name="basic",
        engine="fast-dllm",
        target="llada_fastdllm.generation:BasicGeneration",
        summary="Every step is a forward of the whole canvas; nothing is cached.",
        aliases=("no_cache", "simple"),
        parameters=BASIC_PARAMETERS,
    ),
    AlgorithmSpec(
        name="prefix_cache",
        engine="fast-dllm",
        target="llada_fastdllm.generation:PrefixCacheGeneration",
        summary="Keys and values of everything before the block are cached.",
        aliases=("prefix", "cache"),
        parameters=PARAMETERS,
    ),
    AlgorithmSpec(
        name="dual_cache",
        engine="fast-dllm",
        target="llada_fastdllm.generation:DualCacheGeneration",
        summary="Keys and values before and behind the block are cached; only the block is computed.",
        aliases=("dual", "double_cache"),
        parameters=PARAMETERS,
    ),
)

_STRANGERS = (
    StrangerSpec(
        patterns=("*fast_dllm_qwen*",),
        kind="a Fast-dLLM v2 model, whose token shift and interface are its own",
    ),
    # Their own code would run, and fill masks with what it means for other positions or attention.
    StrangerSpec(
        patterns=("dream*", "*modeling_dream*"),
        kind="a Dream model, whose logits are those of the position behind",
    ),
    StrangerSpec(
        patterns=("sdar*", "*modeling_sdar*", "llada2*", "*modeling_llada2*"),
        kind="a block diffusion model, whose attention is causal from block to block",
    ),
)


@hookimpl
def llada_engines() -> Iterable[EngineSpec]:
    """The engine ``fast-dllm`` and its three algorithms."""
    yield EngineSpec(
        name="fast-dllm",
        aliases=("fastdllm", "fast_dllm"),
        target="llada_fastdllm.generation:FastDLLMGeneration",
        summary="Fast-dLLM's decoders (arXiv 2505.22618) on LLaDA checkpoints.",
        default_algorithm="dual_cache",
        algorithms=_ALGORITHMS,
        memory="llada_runtime.memory:estimate",
        steps="llada_runtime.models.steps:planned_steps",
        model_types=("llada",),
        architectures=("LLaDAModelLM", "LLaDAMoEModelLM"),
        foreign=True,
        strangers=_STRANGERS,
        priority=10,
    )


_RULES = (
    RuleSpec(
        name="threshold",
        target="llada_fastdllm.parts:threshold",
        summary="Commits every position at least this confident, and in any case the best one.",
        parameters=(
            standard(
                "threshold",
                nullable=False,
                default_unless=(),
                neutral=(),
                summary="Commit every position at least this confident.",
            ),
        ),
    ),
    RuleSpec(
        name="factor",
        target="llada_fastdllm.parts:factor",
        summary="Commits as many positions as their confidence allows, by Fast-dLLM's factor.",
        parameters=(
            standard(
                "factor", nullable=False, default=1.0, neutral=(), summary="Parallelism of the factor rule."
            ),
        ),
    ),
    RuleSpec(
        name="quota",
        target="llada_fastdllm.parts:quota",
        summary="Commits a fixed number of positions a step.",
        parameters=(standard("steps"),),
    ),
)

_POLICIES = (
    PolicySpec(
        name="none",
        target="llada_fastdllm.parts:none",
        summary="Every step is a forward of the whole canvas; nothing is cached.",
        aliases=("no_cache",),
    ),
    PolicySpec(
        name="prefix",
        target="llada_fastdllm.parts:prefix",
        summary="Keys and values of everything before the block are cached.",
        aliases=("prefix_cache",),
    ),
    PolicySpec(
        name="dual",
        target="llada_fastdllm.parts:dual",
        summary="Keys and values before and behind the block are cached; only the block is computed.",
        aliases=("dual_cache",),
    ),
)


@hookimpl
def llada_rules() -> Iterable[RuleSpec]:
    """Fast-dLLM's three rules."""
    return _RULES


@hookimpl
def llada_policies() -> Iterable[PolicySpec]:
    """Fast-dLLM's three ways of caching."""
    return _POLICIES
