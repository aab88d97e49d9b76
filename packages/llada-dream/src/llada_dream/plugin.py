"""What the registry learns of this engine. Importing this module needs neither torch nor the runtime."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import AlgorithmSpec, EngineSpec, Parameter, StrangerSpec, hookimpl, standard

__all__ = ["CACHE_PARAMETERS", "PARAMETERS", "THRESHOLD_PARAMETERS", "llada_engines"]

_ENGINE = "dream"

_ALG_TEMP = Parameter(
    name="alg_temp",
    kind=float,
    minimum=0,
    nullable=True,
    neutral=(None, 0.0),
    summary="Above 0 the positions of a step are drawn by softmax(confidence / alg_temp), not the surest.",
)
_EPS = Parameter(
    name="eps",
    kind=float,
    minimum=0,
    maximum=1,
    default=1e-3,
    summary="Where the schedule's time ends that falls from 1; step i fills 1 - t[i+1]/t[i] of the masks.",
)
_SAMPLING = (
    standard(
        "temperature",
        summary="Divides the logits that tokens are drawn from and confidences told of; 0 takes the best.",
    ),
    standard(
        "top_p",
        summary=(
            "Leaves tokens while likelier ones have at most this probability together; confidences are told "
            "of what is left, at temperature 0 too."
        ),
    ),
    standard(
        "top_k",
        summary=(
            "Leaves, after top_p, the tokens as likely as the one of this rank; none, 0 and -1 leave all; "
            "confidences are told of what is left, at temperature 0 too."
        ),
    ),
)

PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard(
        "steps",
        summary=(
            "Forwards of the schedule; none means gen_length, as in the published examples (the published "
            "class says 512, whatever the length)."
        ),
    ),
    Parameter(
        name="alg",
        kind=str,
        default="origin",
        choices=("origin", "entropy", "maskgit_plus", "topk_margin"),
        summary=(
            "Which positions a step fills: by chance, or the surest by negative entropy, by the token's "
            "probability, or by how far that is above the second's."
        ),
    ),
    _ALG_TEMP,
    _EPS,
    *_SAMPLING,
    standard("seed"),
    standard("early_stop"),
)
"""What the published sampler takes, at its defaults."""

THRESHOLD_PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard(
        "steps",
        summary=(
            "A forward fills at most gen_length / steps positions, and what earlier ones left of theirs; "
            "none is one step for 32 tokens, as in the published scripts."
        ),
    ),
    standard("threshold", nullable=False, default_unless=(), summary="Commit positions this confident."),
    Parameter(
        name="alg",
        kind=str,
        default="confidence_threshold",
        choices=("confidence_threshold",),
        neutral=("confidence_threshold",),
        summary="The published name of what this decoder does; others are those of `dream`.",
    ),
    *_SAMPLING,
    standard("seed"),
    standard("early_stop"),
)
"""What Fast-dLLM's decoder without a cache takes."""

CACHE_PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard("block_length"),
    Parameter(
        name="alg",
        kind=str,
        nullable=True,
        choices=("confidence_threshold", "entropy"),
        summary=(
            "Which positions are filled: all that are confident, or a schedule of the least entropy; none is "
            "confidence_threshold, and entropy where there are steps or no threshold."
        ),
    ),
    standard(
        "threshold",
        default_unless=("steps",),
        summary="With confidence_threshold: commit every position this confident.",
    ),
    standard(
        "steps",
        summary=(
            "With entropy: steps of the schedule, rounded up to a multiple of the blocks; none is gen_length."
        ),
    ),
    _ALG_TEMP,
    _EPS,
    *_SAMPLING,
    standard("seed"),
    standard("early_stop"),
)
"""What Fast-dLLM's decoders with a cache take."""

_ALGORITHMS = (
    AlgorithmSpec(
        name="dream",
        engine=_ENGINE,
        target="llada_dream.generation:DreamGeneration",
        summary="The published sampler: a schedule of forwards of the whole canvas.",
        aliases=("diffusion_generate",),
        parameters=PARAMETERS,
    ),
    AlgorithmSpec(
        name="dream_threshold",
        engine=_ENGINE,
        target="llada_dream.generation:ThresholdGeneration",
        summary="Fast-dLLM without a cache: confident positions of the whole canvas, up to a share.",
        aliases=("fastdllm_dream",),
        parameters=THRESHOLD_PARAMETERS,
    ),
    AlgorithmSpec(
        name="dream_prefix_cache",
        engine=_ENGINE,
        target="llada_dream.generation:PrefixCacheGeneration",
        summary="Fast-dLLM in blocks: keys and values of everything before the block are cached.",
        aliases=("fastdllm_dream_prefix_cache",),
        parameters=CACHE_PARAMETERS,
    ),
    AlgorithmSpec(
        name="dream_dual_cache",
        engine=_ENGINE,
        target="llada_dream.generation:DualCacheGeneration",
        summary="Fast-dLLM in blocks: keys and values before and behind the block are cached.",
        aliases=("fastdllm_dream_dual_cache",),
        parameters=CACHE_PARAMETERS,
    ),
)

_STRANGERS = (
    StrangerSpec(
        patterns=("coda", "codalanguagemodel", "*modeling_coda*"),
        kind="a CoDA model, whose network is Qwen3's (normalised queries and keys, no biases)",
    ),
)


@hookimpl
def llada_engines() -> Iterable[EngineSpec]:
    """The engine ``dream`` and its four algorithms."""
    yield EngineSpec(
        name=_ENGINE,
        target="llada_dream.generation:DreamGeneration",
        summary="Dream, Dream-Coder and DiffuCoder, by their own sampler and by Fast-dLLM's decoders.",
        default_algorithm="dream",
        algorithms=_ALGORITHMS,
        memory="llada_dream.config:DreamConfig.estimate",
        steps="llada_dream.network:DreamNetwork.planned_steps",
        model_types=("Dream",),
        architectures=("DreamModel",),
        strangers=_STRANGERS,
        priority=10,
    )
