"""The wheels that are known to take a kind of model, for advice where they are not installed.

A table of facts about ``config.json``. Engines that are installed speak for themselves, through their specs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

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

    def takes(self, config: Mapping[str, Any]) -> bool:
        """Whether a model of this config is one of the wheel's."""
        return (
            config.get("model_type") in self.model_types
            or not set(self.architectures).isdisjoint(architectures_of(config))
            or any(fnmatchcase(m, pattern) for m in _auto_modules(config) for pattern in self.modules)
            or (bool(self.fields) and all(_is_set(config.get(field)) for field in self.fields))
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

# Models that share a word with ours and are something else.
_TWO_TOWER = "a TwoTower diffusion model, whose generate has an interface of its own"
_AUTOREGRESSIVE = "an autoregressive Nemotron model, which does not fill masks"
_STRANGERS = {
    "nemotron": _AUTOREGRESSIVE,
    "nemotron_h": _AUTOREGRESSIVE,
    "NemotronForCausalLM": _AUTOREGRESSIVE,
    "NemotronHForCausalLM": _AUTOREGRESSIVE,
}


def wheels_for(config: Mapping[str, Any]) -> tuple[KnownWheel, ...]:
    """The known wheels whose models have such a config, best first."""
    if kind_of_stranger(config) is not None:
        return ()
    fitting = [wheel for wheel in WHEELS if wheel.takes(config)]
    return tuple(sorted(fitting, key=lambda wheel: (-wheel.priority, wheel.engine)))


def kind_of_stranger(config: Mapping[str, Any]) -> str | None:
    """What the model is, where it is known to be no model of any known wheel; else None."""
    model_type, architectures = config.get("model_type"), architectures_of(config)
    if any("TwoTower" in word for word in (*architectures, *_auto_map(config))):
        return _TWO_TOWER
    names = [*architectures, model_type] if isinstance(model_type, str) else architectures
    return next((_STRANGERS[name] for name in names if name in _STRANGERS), None)


def advice(engine: str) -> str:
    """How to get the engine of this name, which is not installed."""
    wheel = next((wheel for wheel in WHEELS if wheel.engine == engine), None)
    remedy = f"pip install {wheel.distribution}" if wheel else "install the distribution that brings it"
    return f"the engine {engine} is not installed; {remedy}"


def architectures_of(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The ``architectures`` that are strings; a config may hold anything."""
    listed = config.get("architectures")
    return tuple(name for name in listed if isinstance(name, str)) if isinstance(listed, list) else ()


def _auto_map(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes in ``auto_map``, such as ``modeling_nvrdiff.DiffEncoderModel``; a config may hold
    anything."""
    auto_map = config.get("auto_map")
    classes = auto_map.values() if isinstance(auto_map, dict) else ()
    return tuple(name for name in classes if isinstance(name, str))


def _auto_modules(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The modules of those classes, without the ``owner/name--`` of a class in another repository."""
    return tuple(name.rpartition("--")[2].partition(".")[0] for name in _auto_map(config))


def _is_set(value: object) -> bool:
    """Whether a field says something; a negative id is how a config class says "none"."""
    return value is not None and not (isinstance(value, int) and value < 0)
