"""What the registry learns of this engine. Importing this module needs neither torch nor the runtime."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import SAMPLING, AlgorithmSpec, EngineSpec, Parameter, hookimpl, standard

__all__ = ["LMDEPLOY_PARAMETERS", "LOW_CONFIDENCE_PARAMETERS", "SDAR_PARAMETERS", "llada_engines"]

_ENGINE = "sdar"

_BLOCK_LENGTH = standard(
    "block_length",
    default=None,
    nullable=True,
    summary="Columns of a block; none is what the model was trained for (block_size in its config), else 4.",
)
_EARLY_STOP = standard(
    "early_stop",
    summary="Stop at the end of the block in which an EOS stands; false decodes every block.",
)
_ENABLE_THINKING = Parameter(
    name="enable_thinking",
    kind=bool,
    default=True,
    summary="Chat template: false begins the answer with an empty thought.",
)
_STRATEGIES = ("low_confidence_dynamic", "low_confidence_static", "sequential")

SDAR_PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    _BLOCK_LENGTH,
    Parameter(
        name="denoising_steps",
        kind=int,
        minimum=1,
        nullable=True,
        summary=(
            "All but entropy_bounded: forwards over which the columns of a block are spread; none is one a "
            "column."
        ),
    ),
    Parameter(
        name="remasking_strategy",
        kind=str,
        default="low_confidence_dynamic",
        choices=(*_STRATEGIES, "entropy_bounded"),
        summary=(
            "What is kept of a forward: all above the threshold, or where they are fewer the schedule's "
            "number of the most confident; that number; that number of the first; or a sum of entropies."
        ),
    ),
    standard(
        "threshold",
        default=0.85,
        default_unless=(),
        summary="low_confidence_dynamic: keep every column that is more confident than this.",
    ),
    Parameter(
        name="eb_threshold",
        kind=float,
        minimum=0,
        nullable=True,
        summary=(
            "entropy_bounded: keep the surest columns whose entropies (nats) together stay below this; none "
            "is 0.35."
        ),
    ),
    standard("temperature", summary="Divides the logits that tokens are drawn from; 0 takes the likeliest."),
    standard(
        "top_p",
        summary=(
            "Leaves, after top_k, tokens while likelier ones have at most this probability together; nothing "
            "at temperature 0."
        ),
    ),
    standard(
        "top_k",
        summary=(
            "Leaves the tokens as likely as the one of this rank; none, 0 and -1 leave all; nothing at "
            "temperature 0."
        ),
    ),
    standard("min_p"),
    Parameter(
        name="do_sample",
        kind=bool,
        default=True,
        summary=(
            "Draw tokens where the temperature is above 0; false takes the likeliest, whose confidence is "
            "that at the temperature all the same."
        ),
    ),
    standard("seed"),
    _EARLY_STOP,
    _ENABLE_THINKING,
)

LMDEPLOY_PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard(
        "block_length",
        default=None,
        nullable=True,
        aliases=("block_size", "dllm_block_length"),
        summary=_BLOCK_LENGTH.summary,
    ),
    Parameter(
        name="denoising_steps",
        kind=int,
        minimum=1,
        nullable=True,
        aliases=("dllm_denoising_steps",),
        summary=(
            "low_confidence_static and sequential: a forward keeps block_length divided by this, without "
            "the remainder, and one at least; none is one a column."
        ),
    ),
    Parameter(
        name="remasking_strategy",
        kind=str,
        default="low_confidence_dynamic",
        choices=_STRATEGIES,
        aliases=("unmasking_strategy", "dllm_unmasking_strategy"),
        summary=(
            "What is kept of a forward: all from the threshold on, and the best; a number of the most "
            "confident; or that number of the first."
        ),
    ),
    standard(
        "threshold",
        default=0.85,
        default_unless=(),
        aliases=("confidence_threshold", "dllm_confidence_threshold"),
        summary="low_confidence_dynamic: keep every column at least this confident.",
    ),
    *SAMPLING,
    standard("seed"),
    _EARLY_STOP,
    _ENABLE_THINKING,
)

LOW_CONFIDENCE_PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    _BLOCK_LENGTH,
    standard(
        "threshold",
        default=0.95,
        default_unless=(),
        summary="Keep every column that is more confident than this, or else the best.",
    ),
    _EARLY_STOP,
    _ENABLE_THINKING,
)

_ALGORITHMS = (
    AlgorithmSpec(
        name="sdar",
        engine=_ENGINE,
        target="llada_sdar.generation:SDARGeneration",
        summary="SDAR's own block decoding, with its remasking strategies.",
        aliases=("sdar_generate", "block_diffusion_generate"),
        parameters=SDAR_PARAMETERS,
    ),
    AlgorithmSpec(
        name="sdar_lmdeploy",
        engine=_ENGINE,
        target="llada_sdar.generation:LMDeployGeneration",
        summary="Block decoding as LMDeploy does it.",
        parameters=LMDEPLOY_PARAMETERS,
    ),
    AlgorithmSpec(
        name="sdar_low_confidence",
        engine=_ENGINE,
        target="llada_sdar.generation:LowConfidenceGeneration",
        summary="Block decoding as SGLang's LowConfidence does it.",
        aliases=("sdar_sglang",),
        parameters=LOW_CONFIDENCE_PARAMETERS,
    ),
)


@hookimpl
def llada_engines() -> Iterable[EngineSpec]:
    """The engine ``sdar`` and its three algorithms."""
    yield EngineSpec(
        name=_ENGINE,
        aliases=("trado",),
        target="llada_sdar.network:SDARNetwork",
        summary="SDAR, SDAR-MoE and TraDo: block diffusion with an exact cache of finished blocks.",
        default_algorithm="sdar",
        algorithms=_ALGORITHMS,
        memory="llada_sdar.config:SDARConfig.estimate",
        steps="llada_sdar.network:SDARNetwork.planned_steps",
        model_types=("sdar", "sdar_moe"),
        architectures=("SDARForCausalLM", "SDARMoeForCausalLM"),
        priority=10,
    )
