"""Streaming-dLLM: Fast-dLLM's prefix cache with a pruned suffix and a threshold that falls.

Source: Streaming-dLLM (arXiv 2601.17917; xiaoshideta/Streaming-dLLM @ c4320c2, ``LLaDA-1.5/generate.py``,
``generate_with_prefix_cache``), and Fast-dLLM for what it is made of. As published: of the masks behind the
block only the first ``window_size`` and the answer's very last are fed, so that ``gen_length`` matters
although what is between is never seen; the answer ends with the first complete block that holds an end token,
and what stands behind it there is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_fastdllm import FastDLLMGeneration
from llada_runtime import Policy, PrefixCache, Rule, Threshold

from .declared.streaming import ALGORITHM, PARAMETERS
from .ending import EndsWithBlock
from .falling import FallingThreshold
from .horizon import Horizon

__all__ = ["StreamingGeneration"]


class StreamingGeneration(FastDLLMGeneration):
    """Streaming-dLLM's decoder; ``factor`` and the quota of ``steps`` know no falling threshold."""

    name = ALGORITHM.name
    description = ALGORITHM.summary
    parameters = PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return EndsWithBlock(Horizon(PrefixCache(), params["window_size"], far=True))

    def rule(self, params: Mapping[str, Any]) -> Rule:
        rule = super().rule(params)
        if not isinstance(rule, Threshold):
            return rule
        return FallingThreshold(rule.threshold, params["confidence_alpha"])
