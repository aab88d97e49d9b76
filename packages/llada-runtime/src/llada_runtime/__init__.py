"""The LLaDA network, its KV cache, and the loop that decodes any mix of requests on it.

The way of the data: tokenize → admit → plan → forward → commit → emit. The first is llada-core's, the others
are `Loop`. Names are imported when they are first used, so that importing the package imports no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llada_core.imports import lazy_exports

if TYPE_CHECKING:
    from llada_core.errors import CheckpointError, NumericalError, UnsupportedArchitecture
    from llada_runtime.algorithm import StepAlgorithm
    from llada_runtime.decoding.canvases import Canvases
    from llada_runtime.decoding.confidence import probability
    from llada_runtime.decoding.draining import drain
    from llada_runtime.decoding.filters import Filters
    from llada_runtime.decoding.loop import Loop
    from llada_runtime.decoding.plan import Plan
    from llada_runtime.decoding.policies import (
        Around,
        BlockCache,
        DualCache,
        NoCache,
        Policy,
        PrefixCache,
        policy_of,
    )
    from llada_runtime.decoding.proposed import Proposed
    from llada_runtime.decoding.rules import (
        BestFirst,
        Factor,
        Quota,
        Ranked,
        Rule,
        Threshold,
        kept_first,
        quotas,
        rules_of,
    )
    from llada_runtime.decoding.sequence import Sequence
    from llada_runtime.decoding.standing import Standing
    from llada_runtime.memory import MemoryEstimate, estimate, estimate_of
    from llada_runtime.models.llada import LLaDAModel
    from llada_runtime.models.llada_config import LLaDAConfig
    from llada_runtime.models.remote import RemoteNetwork
    from llada_runtime.network.cache import KVCache
    from llada_runtime.network.protocol import Network
    from llada_runtime.network.reading import Reading
    from llada_runtime.network.rotary import Rotary
    from llada_runtime.network.shape import Experts, Shape
    from llada_runtime.network.transformer import Transformer

__version__ = "0.2.0"

__all__ = [
    "Around",
    "BestFirst",
    "BlockCache",
    "Canvases",
    "CheckpointError",
    "DualCache",
    "Experts",
    "Factor",
    "Filters",
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
    "Proposed",
    "Quota",
    "Ranked",
    "Reading",
    "RemoteNetwork",
    "Rotary",
    "Rule",
    "Sequence",
    "Shape",
    "Standing",
    "StepAlgorithm",
    "Threshold",
    "Transformer",
    "UnsupportedArchitecture",
    "drain",
    "estimate",
    "estimate_of",
    "kept_first",
    "policy_of",
    "probability",
    "quotas",
    "rules_of",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "Around": "llada_runtime.decoding.policies",
        "BestFirst": "llada_runtime.decoding.rules",
        "BlockCache": "llada_runtime.decoding.policies",
        "Canvases": "llada_runtime.decoding.canvases",
        "CheckpointError": "llada_core.errors",
        "DualCache": "llada_runtime.decoding.policies",
        "Experts": "llada_runtime.network.shape",
        "Factor": "llada_runtime.decoding.rules",
        "Filters": "llada_runtime.decoding.filters",
        "KVCache": "llada_runtime.network.cache",
        "LLaDAConfig": "llada_runtime.models.llada_config",
        "LLaDAModel": "llada_runtime.models.llada",
        "Loop": "llada_runtime.decoding.loop",
        "MemoryEstimate": "llada_runtime.memory",
        "Network": "llada_runtime.network.protocol",
        "NoCache": "llada_runtime.decoding.policies",
        "NumericalError": "llada_core.errors",
        "Plan": "llada_runtime.decoding.plan",
        "Policy": "llada_runtime.decoding.policies",
        "PrefixCache": "llada_runtime.decoding.policies",
        "Proposed": "llada_runtime.decoding.proposed",
        "Quota": "llada_runtime.decoding.rules",
        "Ranked": "llada_runtime.decoding.rules",
        "Reading": "llada_runtime.network.reading",
        "RemoteNetwork": "llada_runtime.models.remote",
        "Rotary": "llada_runtime.network.rotary",
        "Rule": "llada_runtime.decoding.rules",
        "Sequence": "llada_runtime.decoding.sequence",
        "Shape": "llada_runtime.network.shape",
        "Standing": "llada_runtime.decoding.standing",
        "StepAlgorithm": "llada_runtime.algorithm",
        "Threshold": "llada_runtime.decoding.rules",
        "Transformer": "llada_runtime.network.transformer",
        "UnsupportedArchitecture": "llada_core.errors",
        "drain": "llada_runtime.decoding.draining",
        "estimate": "llada_runtime.memory",
        "estimate_of": "llada_runtime.memory",
        "kept_first": "llada_runtime.decoding.rules",
        "policy_of": "llada_runtime.decoding.policies",
        "probability": "llada_runtime.decoding.confidence",
        "quotas": "llada_runtime.decoding.rules",
        "rules_of": "llada_runtime.decoding.rules",
    },
    renamed={
        "RuntimeFault": "llada_core.LladaError",
        "SequenceError": "llada_core.PromptError",
        "Step": "llada_core.Step",
    },
)
