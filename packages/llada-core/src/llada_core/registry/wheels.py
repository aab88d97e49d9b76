"""The wheels that are known to take a kind of model, for advice where they are not installed.

A table of facts about ``config.json``. Engines that are installed speak for themselves, through their specs.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from llada_core.checkpoints.config import ModelConfig

__all__ = ["WHEELS", "KnownWheel", "advice", "kind_of_stranger", "wheels_for"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownWheel:
    """A wheel, its engine, and what a ``config.json`` of its models says.

    ``modules`` are patterns of the module names in ``auto_map``; a model that has all of ``fields`` fits too.
    """

    distribution: str
    engine: str
    priority: int
    model_types: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    def takes(self, config: ModelConfig) -> bool:
        """Whether a model of this config is one of the wheel's."""
        return (
            config.matches(self.model_types, self.architectures)
            or any(fnmatchcase(m, pattern) for m in config.auto_modules for pattern in self.modules)
            or (bool(self.fields) and all(_is_set(config.fields.get(field)) for field in self.fields))
        )


WHEELS = (
    KnownWheel(
        distribution="llada-dinfer",
        engine="dinfer",
        priority=20,
        model_types=("llada",),
        architectures=("LLaDAModelLM",),
    ),
    KnownWheel(
        distribution="llada-fastdllm",
        engine="fast-dllm",
        priority=10,
        model_types=("llada",),
        architectures=("LLaDAModelLM",),
    ),
    KnownWheel(
        distribution="llada-nemotron",
        engine="nemotron",
        priority=10,
        model_types=("nemotron_labs_diffusion", "nemotron_labs_diffusion_vlm", "ministral_dlm", "edlm"),
        architectures=(
            "NemotronLabsDiffusionModel",
            "NemotronLabsDiffusionVLMModel",
            "NemotronLabsDiffusionEncoderModel",
            "MinistralDiffEncoderModel",
            "DiffEncoderModel",
            "EfficientDLM",
        ),
        modules=("*_nvrdiff*", "*_ministral_dlm*", "*_nemotron_labs_diffusion*", "*_edlm*"),
        fields=("dlm_paradigm", "mask_token_id"),
    ),
)

# Models that share a word with ours and are something else: what they are, by patterns, in lower case, of
# model_type, architectures and the classes in auto_map. The first one counts.
_STRANGERS = {
    ("*twotower*", "*two_tower*"): "a TwoTower diffusion model, whose generate has an interface of its own",
    ("*jetnemotron*", "*jet_nemotron*"): "an autoregressive model (Jet-Nemotron), which does not fill masks",
    ("*fast_dllm_qwen*",): "a Fast-dLLM v2 model, whose token shift and interface are its own",
    ("nemotron", "nemotron_h", "nemotronforcausallm", "nemotronhforcausallm"): (
        "an autoregressive Nemotron model, which does not fill masks"
    ),
}


def wheels_for(config: ModelConfig) -> tuple[KnownWheel, ...]:
    """The known wheels whose models have such a config, best first."""
    if kind_of_stranger(config) is not None:
        return ()
    fitting = [wheel for wheel in WHEELS if wheel.takes(config)]
    return tuple(sorted(fitting, key=lambda wheel: (-wheel.priority, wheel.engine)))


def kind_of_stranger(config: ModelConfig) -> str | None:
    """What the model is, where it is known to be no model of any known wheel; else None."""
    named = (*config.architectures, *config.auto_classes, config.model_type or "")
    names = [name.lower() for name in named]
    for patterns, kind in _STRANGERS.items():
        if any(fnmatchcase(name, pattern) for name in names for pattern in patterns):
            return kind
    return None


def advice(engine: str) -> str:
    """How to get the engine of this name, which is not installed."""
    wheel = next((wheel for wheel in WHEELS if wheel.engine == engine), None)
    remedy = f"pip install {wheel.distribution}" if wheel else "install the distribution that brings it"
    return f"the engine {engine} is not installed; {remedy}"


def _is_set(value: object) -> bool:
    """Whether a field says something; a negative id is how a config class says "none"."""
    return value is not None and not (isinstance(value, int) and value < 0)
