"""``adablock``: Fast-dLLM's decoding by threshold in blocks that end where a delimiter is expected.

Source: AdaBlock-dLLM (arXiv 2509.26432; lgxi24/AdaBlock-dLLM @ 491b205, ``llada/generate_adablock.py``: its
three functions are the three values of ``cache``); `blocks` tells what of it is kept. Not kept here: mask
tokens as proposals; ``delimiter_threshold`` infinite by default, which makes all blocks alike: here it is
0.3, as the published runs have it, and 32 positions are a block.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_runtime import DualCache, NoCache, Policy, PrefixCache, Rule, Threshold

from .blocks import AdaptiveBlocks, TakesDelimiters, delimiters_of
from .declared.adablock import ALGORITHM, PARAMETERS

__all__ = ["AdaBlockGeneration"]

_POLICIES: Mapping[str, type[Policy]] = {"none": NoCache, "prefix": PrefixCache, "dual": DualCache}


class AdaBlockGeneration(TakesDelimiters):
    """Upstream's ``generate_adablock``, with the cache that is asked for."""

    name = ALGORITHM.name
    description = ALGORITHM.summary
    parameters = PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return AdaptiveBlocks(
            _POLICIES[params["cache"]](),
            delimiters=delimiters_of(params["delimiter_ids"], self.tokenizer),
            least=params["delimiter_threshold"],
        )

    def rule(self, params: Mapping[str, Any]) -> Rule:
        return Threshold(params["threshold"])
