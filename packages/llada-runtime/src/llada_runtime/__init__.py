"""The LLaDA network, its KV cache, and the loop that decodes any mix of requests on it.

The way of the data: tokenize → admit → plan → forward → commit → emit; the last five are `Loop`.
Names are imported on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .algorithm import StepAlgorithm
    from .cache import KVCache
    from .config import LLaDAConfig
    from .errors import (
        CheckpointError,
        NumericalError,
        RuntimeFault,
        SequenceError,
        UnsupportedArchitecture,
    )
    from .loop import Loop, drain
    from .memory import MemoryEstimate, estimate, estimate_of
    from .modeling_llada import LLaDAModel
    from .network import Network
    from .policies import DualCache, NoCache, Plan, Policy, PrefixCache
    from .remote import RemoteNetwork
    from .rules import BestFirst, Factor, Quota, Rule, Threshold, quotas, rules_of
    from .sequence import Sequence, Step
    from .transformer import Rotary, Shape, Transformer

__version__ = "0.1.0"

_HOMES = {
    "BestFirst": "rules",
    "CheckpointError": "errors",
    "DualCache": "policies",
    "Factor": "rules",
    "KVCache": "cache",
    "LLaDAConfig": "config",
    "LLaDAModel": "modeling_llada",
    "Loop": "loop",
    "MemoryEstimate": "memory",
    "Network": "network",
    "NoCache": "policies",
    "NumericalError": "errors",
    "Plan": "policies",
    "Policy": "policies",
    "PrefixCache": "policies",
    "Quota": "rules",
    "RemoteNetwork": "remote",
    "Rotary": "transformer",
    "Rule": "rules",
    "RuntimeFault": "errors",
    "Sequence": "sequence",
    "SequenceError": "errors",
    "Shape": "transformer",
    "Step": "sequence",
    "StepAlgorithm": "algorithm",
    "Threshold": "rules",
    "Transformer": "transformer",
    "UnsupportedArchitecture": "errors",
    "drain": "loop",
    "estimate": "memory",
    "estimate_of": "memory",
    "quotas": "rules",
    "rules_of": "rules",
}

__all__ = [
    "BestFirst",
    "CheckpointError",
    "DualCache",
    "Factor",
    "KVCache",
    "LLaDAConfig",
    "LLaDAModel",
    "Loop",
    "MemoryEstimate",
    "Network",
    "NoCache",
    "NumericalError",
    "Plan",
    "Policy",
    "PrefixCache",
    "Quota",
    "RemoteNetwork",
    "Rotary",
    "Rule",
    "RuntimeFault",
    "Sequence",
    "SequenceError",
    "Shape",
    "Step",
    "StepAlgorithm",
    "Threshold",
    "Transformer",
    "UnsupportedArchitecture",
    "drain",
    "estimate",
    "estimate_of",
    "quotas",
    "rules_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_HOMES[name]}", __name__), name)
