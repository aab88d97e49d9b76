"""What authors of decoders and engines test with: a network that is a function, small random checkpoints, and
checks of a rule, a policy, a network and a whole step algorithm."""

from __future__ import annotations

from llada_runtime.testing.algorithms import algorithm_checks
from llada_runtime.testing.checkpoints import (
    EOS,
    LLADA_CONFIG,
    MASK,
    VOCABULARY,
    constant_llada,
    llada_weights,
    small_llada,
    write_llada,
)
from llada_runtime.testing.networks import FakeConfig, FakeNetwork, check_network
from llada_runtime.testing.policies import check_policy
from llada_runtime.testing.rules import check_rule

__all__ = [
    "EOS",
    "LLADA_CONFIG",
    "MASK",
    "VOCABULARY",
    "FakeConfig",
    "FakeNetwork",
    "algorithm_checks",
    "check_network",
    "check_policy",
    "check_rule",
    "constant_llada",
    "llada_weights",
    "small_llada",
    "write_llada",
]
