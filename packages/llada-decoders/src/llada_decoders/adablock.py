"""``adablock``: Fast-dLLM's decoding by threshold in blocks that end where a delimiter is expected.

Source: AdaBlock-dLLM (arXiv 2509.26432; lgxi24/AdaBlock-dLLM @ 491b205, ``llada/generate_adablock.py``: its
three functions are the three values of ``cache``); `blocks` tells what of it is kept. Not kept here: mask
tokens as proposals; ``delimiter_threshold`` infinite by default, which makes all blocks alike: here it is
0.3, as the published runs have it, and 32 positions are a block.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Ids
from typing import Any

from llada_fastdllm import FastDLLMGeneration
from llada_runtime import DualCache, Network, NoCache, Policy, PrefixCache, Rule, Sequence, Threshold

from .blocks import AdaptiveBlocks, check_delimiters, delimiters_of
from .declared.adablock import ALGORITHM, PARAMETERS

__all__ = ["AdaBlockGeneration"]

_POLICIES: Mapping[str, type[Policy]] = {"none": NoCache, "prefix": PrefixCache, "dual": DualCache}


class AdaBlockGeneration(FastDLLMGeneration):
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

    def sequence(
        self,
        model: Network,
        prompt_ids: Ids[int],
        params: Mapping[str, Any],
        *,
        answer: Ids[int | None] | None = None,
    ) -> Sequence:
        """As of every step algorithm. Raises ``ParameterError``, too, for a delimiter that is no token of the
        model."""
        check_delimiters(params["delimiter_ids"], model.config.embedding_size)
        return super().sequence(model, prompt_ids, params, answer=answer)
