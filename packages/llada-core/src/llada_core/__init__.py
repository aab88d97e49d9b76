"""llada-core: the registry of ways to generate text with diffusion language models.

Importing this package imports neither torch nor transformers, and loads no plugin.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llada_core.detection import Candidate, Detection, EngineSkipped, detect, detect_engine
from llada_core.errors import (
    AlgorithmUnavailable,
    EngineUnavailable,
    IncompatibleEngine,
    InvalidSpec,
    LladaError,
    ModelError,
    ModelLoadError,
    ModelNotFound,
    ParameterError,
    PluginConflict,
    PluginError,
    PromptError,
    TokenizerMissing,
    Unavailable,
    UnknownAlgorithm,
    UnknownEngine,
    UnsupportedModel,
    UsageError,
)
from llada_core.hookspecs import hookimpl
from llada_core.info import AlgorithmInfo, EngineInfo
from llada_core.parameters import STANDARD, Parameter, parse_assignments, resolve, standard
from llada_core.plugins import PluginStatus
from llada_core.registry import (
    diagnose_algorithm,
    diagnose_engine,
    get_algorithm,
    get_algorithm_info,
    get_default_algorithm_for_engine,
    get_engine,
    list_algorithms,
    list_algorithms_by_engine,
    list_available_algorithms,
    list_available_algorithms_by_engine,
    list_commands,
    list_engines,
    load_engine_class,
    plugin_statuses,
    register_algorithm,
    reload,
)
from llada_core.specs import AlgorithmSpec, CommandSpec, EngineSpec
from llada_core.targets import load_target

if TYPE_CHECKING:
    from llada_core.algorithm import GenerationAlgorithm
    from llada_core.loading import LoadedModel, load_model
    from llada_core.results import Answer, GenerationRequest, GenerationResult, Step
    from llada_core.stepwise import SupportsSteps

__all__ = [
    "STANDARD",
    "AlgorithmInfo",
    "AlgorithmSpec",
    "AlgorithmUnavailable",
    "Answer",
    "Candidate",
    "CommandSpec",
    "Detection",
    "EngineInfo",
    "EngineSkipped",
    "EngineSpec",
    "EngineUnavailable",
    "GenerationAlgorithm",
    "GenerationRequest",
    "GenerationResult",
    "IncompatibleEngine",
    "InvalidSpec",
    "LladaError",
    "LoadedModel",
    "ModelError",
    "ModelLoadError",
    "ModelNotFound",
    "Parameter",
    "ParameterError",
    "PluginConflict",
    "PluginError",
    "PluginStatus",
    "PromptError",
    "Step",
    "SupportsSteps",
    "TokenizerMissing",
    "Unavailable",
    "UnknownAlgorithm",
    "UnknownEngine",
    "UnsupportedModel",
    "UsageError",
    "detect",
    "detect_engine",
    "diagnose_algorithm",
    "diagnose_engine",
    "get_algorithm",
    "get_algorithm_info",
    "get_default_algorithm_for_engine",
    "get_engine",
    "hookimpl",
    "list_algorithms",
    "list_algorithms_by_engine",
    "list_available_algorithms",
    "list_available_algorithms_by_engine",
    "list_commands",
    "list_engines",
    "load_engine_class",
    "load_model",
    "load_target",
    "parse_assignments",
    "plugin_statuses",
    "register_algorithm",
    "reload",
    "resolve",
    "standard",
]

# What loads and runs models, imported when it is first asked for.
_LAZY = {
    "Answer": "llada_core.results",
    "GenerationAlgorithm": "llada_core.algorithm",
    "GenerationRequest": "llada_core.results",
    "GenerationResult": "llada_core.results",
    "LoadedModel": "llada_core.loading",
    "Step": "llada_core.results",
    "SupportsSteps": "llada_core.stepwise",
    "load_model": "llada_core.loading",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = load_target(f"{_LAZY[name]}:{name}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
