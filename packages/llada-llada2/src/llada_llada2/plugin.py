"""What the registry learns of this engine. Importing this module needs neither torch nor the runtime."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import SAMPLING, AlgorithmSpec, EngineSpec, Parameter, hookimpl, standard

__all__ = [
    "ARCHITECTURES",
    "DINFER_PARAMETERS",
    "EDIT_PARAMETERS",
    "JOINT_PARAMETERS",
    "LOW_CONFIDENCE_PARAMETERS",
    "MODEL_TYPES",
    "PARAMETERS",
    "llada_engines",
]

_ENGINE = "llada2"
# The last is dFactory's format for training, which is refused at loading, with the way out.
MODEL_TYPES = ("llada2_moe", "llada21_moe", "llada2_moe_veomni")
ARCHITECTURES = ("LLaDA2MoeModelLM",)

_LENGTHS = (standard("gen_length"), standard("block_length"))
_MOST_POST = 1024
"""Forwards that a block may have when it is full: one that needs as many is not getting on."""
_SURE = "Commit every position more confident than this; none leaves it to the smallest number of a call."


def _threshold(default: float) -> Parameter:
    return standard("threshold", default=default, default_unless=(), summary=_SURE)


def _editing(name: str, alias: str, default: float) -> Parameter:
    return Parameter(
        name=name,
        kind=float,
        minimum=0,
        maximum=1,
        default=default,
        aliases=(alias,),
        summary=(
            "Overwrite a token of the block where another one is likeliest and more confident than this; 0 "
            "overwrites at every disagreement, 1 never."
        ),
    )


def _post(name: str, alias: str) -> Parameter:
    return Parameter(
        name=name,
        kind=int,
        minimum=0,
        maximum=_MOST_POST,
        default=16,
        aliases=(alias,),
        summary="The most forwards that edit a block in which no mask is left.",
    )


PARAMETERS: tuple[Parameter, ...] = (
    *_LENGTHS,
    standard(
        "steps",
        default=32,
        nullable=False,
        coerce={None: 32},
        neutral=(),
        summary="The most forwards of a block: how its positions are spread where few are confident.",
    ),
    Parameter(
        name="minimal_topk",
        kind=int,
        minimum=1,
        default=1,
        summary="Positions that a forward commits on average at least: a block has at most gen_length "
        "divided by this many steps, and one in any case.",
    ),
    _threshold(0.95),
    *SAMPLING,
    standard("seed"),
    standard("early_stop"),
    Parameter(
        name="eos_early_stop",
        kind=bool,
        default=False,
        summary="Leave a block at the forward that writes an EOS with no mask before it, and not at its end.",
    ),
)

EDIT_PARAMETERS: tuple[Parameter, ...] = (
    *_LENGTHS,
    _threshold(0.95),
    _editing("editing_threshold", "edit_threshold", 0.9),
    _post("max_post_steps", "max_post_edit_steps"),
    Parameter(
        name="num_to_transfer",
        kind=int,
        minimum=1,
        default=1,
        summary="Masks that each forward fills at least, the most confident first.",
    ),
    *SAMPLING,
    standard("seed"),
    standard(
        "early_stop",
        aliases=("eos_early_stop",),
        summary="Stop behind the block in which an EOS stands; false decodes every block, as is published.",
    ),
)

LOW_CONFIDENCE_PARAMETERS: tuple[Parameter, ...] = (*_LENGTHS, _threshold(0.95), standard("early_stop"))

JOINT_PARAMETERS: tuple[Parameter, ...] = (
    *_LENGTHS,
    _threshold(0.5),
    _editing("edit_threshold", "editing_threshold", 0.0),
    _post("max_post_edit_steps", "max_post_steps"),
    Parameter(
        name="penalty_lambda",
        kind=float,
        minimum=0,
        default=0.0,
        summary="Taken off the logit of the token that stands one position before, against repetition.",
    ),
    standard("early_stop"),
)

DINFER_PARAMETERS: tuple[Parameter, ...] = (
    *_LENGTHS,
    standard(
        "threshold",
        default_unless=(),
        nullable=False,
        neutral=(),
        summary="Commit every position this confident, and in any case the best.",
    ),
    *SAMPLING,
    standard("seed"),
    standard("early_stop"),
    Parameter(
        name="maximum_unroll",
        kind=int,
        minimum=1,
        default=4,
        summary="The most forwards between two looks at whether the block is full; two are run in any case.",
    ),
    Parameter(
        name="expected_tpf",
        kind=int,
        minimum=1,
        default=8,
        summary="Tokens that a forward is expected to commit, when forwards are unrolled.",
    ),
)

_ALGORITHMS = (
    AlgorithmSpec(
        name="llada2",
        engine=_ENGINE,
        target="llada_llada2.generation:LLaDA2Generation",
        summary="The published decoding of LLaDA2.0: a threshold, and a schedule where it finds few.",
        aliases=("llada2_generate",),
        parameters=PARAMETERS,
    ),
    AlgorithmSpec(
        name="llada2_edit",
        engine=_ENGINE,
        target="llada_llada2.generation:EditGeneration",
        summary="The published decoding of LLaDA2.1, which edits the tokens of the block in work.",
        aliases=("llada21_generate",),
        parameters=EDIT_PARAMETERS,
    ),
    AlgorithmSpec(
        name="llada2_low_confidence",
        engine=_ENGINE,
        target="llada_llada2.generation:LowConfidenceGeneration",
        summary="SGLang's LowConfidence: a threshold, and one forward more of each full block.",
        aliases=("sglang_low_confidence",),
        parameters=LOW_CONFIDENCE_PARAMETERS,
    ),
    AlgorithmSpec(
        name="llada2_joint_threshold",
        engine=_ENGINE,
        target="llada_llada2.generation:JointThresholdGeneration",
        summary="SGLang's JointThreshold: token editing, against repetition if asked for.",
        aliases=("sglang_joint_threshold",),
        parameters=JOINT_PARAMETERS,
    ),
    AlgorithmSpec(
        name="llada2_dinfer",
        engine=_ENGINE,
        target="llada_llada2.generation:DInferGeneration",
        summary="dInfer's block diffusion: a threshold, forwards in groups.",
        aliases=("dinfer_block_diffusion",),
        parameters=DINFER_PARAMETERS,
    ),
)


@hookimpl
def llada_engines() -> Iterable[EngineSpec]:
    """The engine ``llada2`` and its five algorithms."""
    yield EngineSpec(
        name=_ENGINE,
        target="llada_llada2.network:LLaDA2Network",
        summary="LLaDA2.0 and 2.1: mixtures of experts that decode block by block.",
        default_algorithm="llada2",
        algorithms=_ALGORITHMS,
        memory="llada_llada2.config:LLaDA2Config.estimate",
        steps="llada_llada2.network:LLaDA2Network.planned_steps",
        model_types=MODEL_TYPES,
        architectures=ARCHITECTURES,
        priority=10,
    )
