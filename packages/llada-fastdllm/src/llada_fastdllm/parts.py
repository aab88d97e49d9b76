"""Fast-dLLM's rules and policies by name: the functions that make one of effective values.

Source: Fast-dLLM v1 (arXiv 2505.22618); the classes are the runtime's. What each function reads of
``params``, its spec in ``plugin`` declares.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_core.parameters import steps_a_block
from llada_runtime import DualCache, Factor, NoCache, Policy, PrefixCache, Quota, Rule, Threshold

__all__ = ["dual", "factor", "none", "prefix", "quota", "threshold"]


def threshold(params: Mapping[str, Any]) -> Rule:
    """Every proposal at least ``threshold`` confident, and in any case the best one."""
    return Threshold(params["threshold"])


def factor(params: Mapping[str, Any]) -> Rule:
    """As many as their confidence allows, by the paper's Theorem 1."""
    return Factor(params["factor"])


def quota(params: Mapping[str, Any]) -> Rule:
    """The masks of a block spread over its share of the ``steps``; None is one of ``gen_length`` each."""
    return Quota(steps_a_block(params))


def none(params: Mapping[str, Any]) -> Policy:
    """Every forward covers the whole canvas."""
    return NoCache()


def prefix(params: Mapping[str, Any]) -> Policy:
    """What is before the block is read from the cache."""
    return PrefixCache()


def dual(params: Mapping[str, Any]) -> Policy:
    """What is before the block and behind it is read from the cache."""
    return DualCache()
