"""What the registry learns of this engine. Importing this module needs neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Iterable

from llada_core import AlgorithmSpec, EngineSpec, Parameter, StrangerSpec, hookimpl, standard

__all__ = ["PARAMETERS", "PUBLISHED", "llada_engines"]

_ENGINE = "diffusion_gemma"
# What bears the word and is something else.
_STRANGERS = (
    StrangerSpec(
        patterns=("gemma*", "paligemma*", "recurrent_gemma", "recurrentgemma*", "t5gemma*"),
        kind="an autoregressive Gemma model, which denoises no canvas",
    ),
)

PUBLISHED = {
    "gen_length": 256,
    "max_denoising_steps": 48,
    "entropy_bound": 0.1,
    "t_min": 0.4,
    "t_max": 0.8,
    "stability_threshold": 1,
    "confidence_threshold": 0.005,
}
"""What transformers takes where neither the checkpoint nor the caller says anything."""


_MOST = 1024
"""Tokens, steps and remembered steps of a canvas at most: it runs to its end, whoever waits."""


def _said(name: str) -> str:
    return f"none is what the checkpoint's generation_config.json says, else {PUBLISHED[name]}."


PARAMETERS: tuple[Parameter, ...] = (
    standard(
        "gen_length",
        default=PUBLISHED["gen_length"],
        summary=(
            "Tokens to generate, the last canvas cut; where it is not given, max_new_tokens of the "
            "checkpoint's generation_config.json counts before this default."
        ),
    ),
    Parameter(
        name="canvas_length",
        kind=int,
        minimum=1,
        maximum=_MOST,
        nullable=True,
        summary="Tokens of a canvas; none is what config.json says, the length that the model was made for.",
    ),
    Parameter(
        name="max_denoising_steps",
        kind=int,
        minimum=1,
        maximum=_MOST,
        nullable=True,
        summary=f"Denoising steps of a canvas at most; {_said('max_denoising_steps')}",
    ),
    Parameter(
        name="entropy_bound",
        kind=float,
        minimum=0,
        exclusive_minimum=True,
        nullable=True,
        summary=(
            "A step keeps the surest tokens whose entropies, but for the largest, sum up to at most this; "
            f"{_said('entropy_bound')}"
        ),
    ),
    Parameter(
        name="t_min",
        kind=float,
        minimum=0,
        nullable=True,
        summary=f"The temperature that the steps of a canvas fall towards; {_said('t_min')}",
    ),
    Parameter(
        name="t_max",
        kind=float,
        minimum=1e-6,  # logits divided by less may be infinite; to draw from these ends the process on a GPU
        nullable=True,
        summary=f"The temperature of a canvas's first step, above t_min; {_said('t_max')}",
    ),
    Parameter(
        name="stability_threshold",
        kind=int,
        minimum=0,
        maximum=_MOST,
        nullable=True,
        summary=(
            "A canvas may end early when its likeliest tokens are those of so many steps before; "
            f"{_said('stability_threshold')}"
        ),
    ),
    Parameter(
        name="confidence_threshold",
        kind=float,
        minimum=0,
        exclusive_minimum=True,
        nullable=True,
        summary=(
            "A canvas may end early when the mean entropy of its tokens is below this; "
            f"{_said('confidence_threshold')}"
        ),
    ),
    standard("seed"),
    standard(
        "early_stop",
        summary="Stop a row after the canvas in which an EOS stands; false writes every canvas.",
    ),
    Parameter(
        name="enable_thinking",
        kind=bool,
        default=False,
        summary="Chat template: let the model think before it answers.",
    ),
)


@hookimpl
def llada_engines() -> Iterable[EngineSpec]:
    """The engine ``diffusion_gemma`` and its algorithm."""
    yield EngineSpec(
        name=_ENGINE,
        target="llada_diffusiongemma.generation:DiffusionGemmaGeneration",
        summary="Google's DiffusionGemma, by transformers' own class for it.",
        default_algorithm="diffusion_gemma",
        algorithms=(
            AlgorithmSpec(
                name="diffusion_gemma",
                engine=_ENGINE,
                target="llada_diffusiongemma.generation:DiffusionGemmaGeneration",
                summary="Denoises canvases of random tokens, one after the other; streams canvas by canvas.",
                aliases=("diffusiongemma",),
                parameters=PARAMETERS,
            ),
        ),
        aliases=("diffusiongemma",),
        memory="llada_diffusiongemma.memory:estimate",
        steps="llada_diffusiongemma.memory:planned_steps",
        model_types=("diffusion_gemma",),
        architectures=("DiffusionGemmaForBlockDiffusion",),
        strangers=_STRANGERS,
        priority=10,
    )
