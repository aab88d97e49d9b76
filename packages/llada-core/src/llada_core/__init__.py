"""llada-core: the registry of ways to generate text with diffusion language models, and what runs them.

Importing this package imports neither torch nor transformers, and loads no plugin. What loads and runs models
is imported when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llada_core.checkpoints.dcp_source import DcpContents, DcpSource
from llada_core.checkpoints.options import LoadOptions
from llada_core.detection import Candidate, Detection, EngineSkipped, detect, detect_engine
from llada_core.errors import (
    AlgorithmUnavailable,
    CheckpointError,
    ContractError,
    EngineUnavailable,
    GenerationError,
    IncompatibleAlgorithm,
    IncompatibleEngine,
    InvalidSpec,
    LladaError,
    ModelError,
    ModelLoadError,
    ModelNotFound,
    ModelNotReady,
    NoProgress,
    NumericalError,
    ParameterError,
    PartUnavailable,
    PluginConflict,
    PluginError,
    PromptError,
    TokenizerMissing,
    Unavailable,
    UnknownAlgorithm,
    UnknownEngine,
    UnknownPart,
    UnsupportedArchitecture,
    UnsupportedModel,
    UsageError,
)
from llada_core.imports import lazy_exports, load_target
from llada_core.parameters import SAMPLING, STANDARD, Parameter, parse_assignments, resolve, standard
from llada_core.plugins.hookspecs import hookimpl
from llada_core.plugins.info import AlgorithmInfo, EngineInfo, PartInfo
from llada_core.plugins.specs import (
    AlgorithmSpec,
    CommandSpec,
    EngineSpec,
    PartSpec,
    PolicySpec,
    RuleSpec,
    StrangerSpec,
    WheelSpec,
)
from llada_core.plugins.status import PluginStatus, PluginWarning
from llada_core.registry import (
    diagnose_algorithm,
    diagnose_engine,
    get_algorithm,
    get_algorithm_info,
    get_default_algorithm_for_engine,
    get_engine,
    get_policy_info,
    get_rule_info,
    list_algorithms,
    list_algorithms_by_engine,
    list_available_algorithms,
    list_available_algorithms_by_engine,
    list_commands,
    list_engines,
    list_policies,
    list_rules,
    load_engine_class,
    load_policy,
    load_rule,
    plugin_statuses,
    register_algorithm,
    register_engine,
    reload,
)

if TYPE_CHECKING:
    from llada_core.checkpoints.ends import EndToken, EndTokenWarning
    from llada_core.generation.algorithm import GenerationAlgorithm
    from llada_core.generation.encoding import NoChatTemplate
    from llada_core.generation.results import Answer, GenerationRequest, GenerationResult, Trajectory
    from llada_core.generation.rollouts import Rollout
    from llada_core.generation.steps import Step, StepLoop, SupportsSteps
    from llada_core.generation.tickets import Ticket
    from llada_core.loading import LoadedModel, Session, load_dcp, load_model

__version__ = "0.2.0"

__all__ = [
    "SAMPLING",
    "STANDARD",
    "AlgorithmInfo",
    "AlgorithmSpec",
    "AlgorithmUnavailable",
    "Answer",
    "Candidate",
    "CheckpointError",
    "CommandSpec",
    "ContractError",
    "DcpContents",
    "DcpSource",
    "Detection",
    "EndToken",
    "EndTokenWarning",
    "EngineInfo",
    "EngineSkipped",
    "EngineSpec",
    "EngineUnavailable",
    "GenerationAlgorithm",
    "GenerationError",
    "GenerationRequest",
    "GenerationResult",
    "IncompatibleAlgorithm",
    "IncompatibleEngine",
    "InvalidSpec",
    "LladaError",
    "LoadOptions",
    "LoadedModel",
    "ModelError",
    "ModelLoadError",
    "ModelNotFound",
    "ModelNotReady",
    "NoChatTemplate",
    "NoProgress",
    "NumericalError",
    "Parameter",
    "ParameterError",
    "PartInfo",
    "PartSpec",
    "PartUnavailable",
    "PluginConflict",
    "PluginError",
    "PluginStatus",
    "PluginWarning",
    "PolicySpec",
    "PromptError",
    "Rollout",
    "RuleSpec",
    "Session",
    "Step",
    "StepLoop",
    "StrangerSpec",
    "SupportsSteps",
    "Ticket",
    "TokenizerMissing",
    "Trajectory",
    "Unavailable",
    "UnknownAlgorithm",
    "UnknownEngine",
    "UnknownPart",
    "UnsupportedArchitecture",
    "UnsupportedModel",
    "UsageError",
    "WheelSpec",
    "detect",
    "detect_engine",
    "diagnose_algorithm",
    "diagnose_engine",
    "get_algorithm",
    "get_algorithm_info",
    "get_default_algorithm_for_engine",
    "get_engine",
    "get_policy_info",
    "get_rule_info",
    "hookimpl",
    "list_algorithms",
    "list_algorithms_by_engine",
    "list_available_algorithms",
    "list_available_algorithms_by_engine",
    "list_commands",
    "list_engines",
    "list_policies",
    "list_rules",
    "load_dcp",
    "load_engine_class",
    "load_model",
    "load_policy",
    "load_rule",
    "load_target",
    "parse_assignments",
    "plugin_statuses",
    "register_algorithm",
    "register_engine",
    "reload",
    "resolve",
    "standard",
]

# What loads and runs models, imported when it is first asked for.
__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Answer": "llada_core.generation.results",
        "EndToken": "llada_core.checkpoints.ends",
        "EndTokenWarning": "llada_core.checkpoints.ends",
        "GenerationAlgorithm": "llada_core.generation.algorithm",
        "GenerationRequest": "llada_core.generation.results",
        "GenerationResult": "llada_core.generation.results",
        "LoadedModel": "llada_core.loading",
        "NoChatTemplate": "llada_core.generation.encoding",
        "Rollout": "llada_core.generation.rollouts",
        "Session": "llada_core.loading",
        "Step": "llada_core.generation.steps",
        "StepLoop": "llada_core.generation.steps",
        "SupportsSteps": "llada_core.generation.steps",
        "Ticket": "llada_core.generation.tickets",
        "Trajectory": "llada_core.generation.results",
        "load_dcp": "llada_core.loading",
        "load_model": "llada_core.loading",
    },
    renamed={"Checkpoint": "llada_core.generation.model.Model"},
)
