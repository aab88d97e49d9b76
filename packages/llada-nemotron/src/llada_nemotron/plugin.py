"""What the registry learns of this engine. Importing this module needs neither torch nor the runtime."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from llada_core import SAMPLING, AlgorithmSpec, EngineSpec, Parameter, StrangerSpec, hookimpl, standard
from llada_core.checkpoints import ModelConfig

if TYPE_CHECKING:
    from llada_core import EngineInfo

__all__ = [
    "AUTOREGRESSIVE_PARAMETERS",
    "BLOCK_PARAMETERS",
    "LINEAR_SPEC_PARAMETERS",
    "NATIVE_PARAMETERS",
    "llada_detect_engine",
    "llada_engines",
]

_ENGINE = "nemotron"
_MODEL_TYPES = ("nemotron_labs_diffusion", "nemotron_labs_diffusion_vlm", "ministral_dlm", "edlm")
_ARCHITECTURES = (
    "NemotronLabsDiffusionModel",
    "NemotronLabsDiffusionVLMModel",
    "NemotronLabsDiffusionEncoderModel",
    "MinistralDiffEncoderModel",
    "DiffEncoderModel",
    "EfficientDLM",
)
# The modules of the models' own code: a fine-tuned model keeps them, whatever it calls its class.
_MODULES = ("*_nvrdiff*", "*_ministral_dlm*", "*_nemotron_labs_diffusion*", "*_edlm*")
# What bears a word or the fields of the family and is something else; the first that fits counts.
_STRANGERS = (
    StrangerSpec(
        patterns=("*twotower*", "*two_tower*"),
        kind="a TwoTower diffusion model, whose generate has an interface of its own",
    ),
    StrangerSpec(
        patterns=("*jetnemotron*", "*jet_nemotron*"),
        kind="an autoregressive model (Jet-Nemotron), which does not fill masks",
    ),
    StrangerSpec(
        patterns=("*fast_dllm_qwen*",),
        kind="a Fast-dLLM v2 model, whose token shift and interface are its own",
    ),
    StrangerSpec(
        patterns=("nemotron", "nemotron_h", "nemotronforcausallm", "nemotronhforcausallm"),
        kind="an autoregressive Nemotron model, which does not fill masks",
    ),
)

_THRESHOLD = standard("threshold", default_unless=("steps",), summary="Commit every position this confident.")
_STEPS = standard(
    "steps",
    summary=(
        "The most forwards that fill masks, rounded up to a multiple of the blocks; none means gen_length. "
        "Giving it turns the default of threshold off."
    ),
)
_CAUSAL_CONTEXT = Parameter(
    name="causal_context",
    kind=bool,
    nullable=True,
    summary="Whether the prompt and finished blocks are read causally; none is what the model was made for.",
)
_MAX_THINKING_TOKENS = Parameter(
    name="max_thinking_tokens",
    kind=int,
    minimum=1,
    nullable=True,
    summary="With enable_thinking: the end of thinking is written after so many tokens at the latest.",
)
_ENABLE_THINKING = Parameter(
    name="enable_thinking",
    kind=bool,
    default=False,
    summary="Chat template: let the model think before it answers.",
)

NATIVE_PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard("block_length"),
    _STEPS,
    standard("temperature"),
    _THRESHOLD,
    Parameter(
        name="shift_logits",
        kind=bool,
        nullable=True,
        neutral=(None, False),
        summary="Read each position from the logits of the one before, as Dream models do; none means false.",
    ),
    _CAUSAL_CONTEXT,
    standard("seed"),
    standard("early_stop"),
    _MAX_THINKING_TOKENS,
    _ENABLE_THINKING,
)

AUTOREGRESSIVE_PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard("temperature"),
    standard("seed"),
    standard("early_stop"),
    _MAX_THINKING_TOKENS,
    _ENABLE_THINKING,
)

LINEAR_SPEC_PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard("block_length"),
    standard("temperature"),
    standard(
        "threshold",
        default=0.0,
        nullable=False,
        coerce={None: 0.0},
        default_unless=(),
        summary="Drafts commit every position this confident; 0 drafts in one forward.",
    ),
    standard("seed"),
    standard("early_stop"),
    _MAX_THINKING_TOKENS,
    _ENABLE_THINKING,
)

BLOCK_PARAMETERS: tuple[Parameter, ...] = (
    standard("gen_length"),
    standard("block_length"),
    standard(
        "steps",
        summary="Forwards of a fixed schedule, instead of a threshold, rounded up to whole blocks.",
    ),
    *SAMPLING,
    _THRESHOLD,
    _CAUSAL_CONTEXT,
    standard("seed"),
    standard("early_stop"),
    _ENABLE_THINKING,
)

_ALGORITHMS = (
    AlgorithmSpec(
        name="nemotron",
        engine=_ENGINE,
        target="llada_nemotron.generation:NemotronGeneration",
        summary="The diffusion decoding of the model's own code.",
        aliases=("nemotron_native", "nemotron_diffusion"),
        parameters=NATIVE_PARAMETERS,
        streams=False,
    ),
    AlgorithmSpec(
        name="nemotron_ar",
        engine=_ENGINE,
        target="llada_nemotron.generation:AutoregressiveGeneration",
        summary="The model's own code, one token after another.",
        parameters=AUTOREGRESSIVE_PARAMETERS,
        streams=False,
    ),
    AlgorithmSpec(
        name="nemotron_linear_spec",
        engine=_ENGINE,
        target="llada_nemotron.generation:LinearSpecGeneration",
        summary="The model's own code: diffusion drafts a block, one causal forward verifies it.",
        parameters=LINEAR_SPEC_PARAMETERS,
        streams=False,
    ),
    AlgorithmSpec(
        name="nemotron_block",
        engine=_ENGINE,
        target="llada_nemotron.block:BlockGeneration",
        summary="The diffusion decoding on a network of our own; no code of the model is run.",
        parameters=BLOCK_PARAMETERS,
    ),
)


@hookimpl
def llada_engines() -> Iterable[EngineSpec]:
    """The engine ``nemotron`` and its four algorithms."""
    yield EngineSpec(
        name=_ENGINE,
        target="llada_nemotron.model:NemotronModel",
        summary="NVIDIA's Nemotron diffusion models, by their own code or on a network of our own.",
        default_algorithm="nemotron",
        algorithms=_ALGORITHMS,
        memory="llada_nemotron.memory:estimate",
        steps="llada_nemotron.network:NemotronNetwork.planned_steps",
        model_types=_MODEL_TYPES,
        architectures=_ARCHITECTURES,
        strangers=_STRANGERS,
        priority=10,
    )


@hookimpl
def llada_detect_engine(config: Mapping[str, Any], engines: Sequence[EngineInfo]) -> str | None:
    """This engine, for a model of the family whose type and class are its own; None for any other.

    What an engine lists exactly is left to that engine.
    """
    model = ModelConfig(path="the model", fields=config)
    if model.kind_among(_STRANGERS) is not None:
        return None
    if any(model.matches(info.spec.model_types, info.spec.architectures) for info in engines):
        return None
    return _ENGINE if _runs_our_modules(model) or _fills_masks_in_blocks(config) else None


def _runs_our_modules(model: ModelConfig) -> bool:
    return any(fnmatchcase(module, pattern) for module in model.auto_modules for pattern in _MODULES)


def _fills_masks_in_blocks(config: Mapping[str, Any]) -> bool:
    """Whether the fields that only this family has are set; a config class says "none" by a negative id."""
    mask = config.get("mask_token_id")
    return isinstance(config.get("dlm_paradigm"), str) and type(mask) is int and mask >= 0
