"""``adablock``: a block ends where the network, as the block begins, expects a delimiter.

Source: AdaBlock-dLLM (arXiv 2509.26432; lgxi24/AdaBlock-dLLM @ 491b205, ``llada/generate_adablock.py``: its
three functions are the three values of ``cache``). All else is Fast-dLLM's decoding by threshold.

Kept of upstream: delimiters are looked for among the first quarter of ``gen_length``, whatever the length of
a block, so that a block may be longer than one without; of an answer of fewer than 4 positions, nowhere. The
surest delimiter ends the block, not the nearest. Above temperature 0 drawn tokens say what a delimiter is.
Not kept: that probability in the model's dtype; mask tokens as proposals; ``delimiter_threshold`` infinite by
default, which makes all blocks alike: here it is 0.3, as the published runs have it, and 32 positions are a
block. Tokens that are given beside masks, which upstream does not know, are no delimiters.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Ids
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from llada_core import ContractError
from llada_fastdllm import FastDLLMGeneration
from llada_runtime import (
    DualCache,
    Network,
    NoCache,
    Policy,
    PrefixCache,
    Rule,
    Sequence,
    Threshold,
    probability,
)

from .declared.adablock import ALGORITHM, PARAMETERS
from .sequences import masks, refused

__all__ = ["AdaBlockGeneration", "Delimited", "adaptive"]

_LINE_END = "\n"
_LINE_END_ID = 198  # of LLaDA's tokenizer, as published
_WINDOW = 0.25  # of the answer


def window_of(sequence: Sequence) -> int:
    """How many columns from the start of its block on a delimiter of ``sequence`` is looked for."""
    return min(int(_WINDOW * sequence.gen_length), sequence.length - sequence.block_start)


def _widest(sequence: Sequence) -> int:
    """How many columns the block that begins may come to have."""
    widest = max(sequence.block_length, window_of(sequence))
    return min(widest, sequence.length - sequence.block_start)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delimited(Threshold):
    """`Threshold` in a block that ends, as of its first forward, behind the surest delimiter of its window.

    The block is to begin as long as `adaptive` policies let it; without a delimiter that is at least
    ``least`` probable it is ``block_length`` long, in any case with None.
    """

    delimiters: frozenset[int]
    least: float | None

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> Tensor | None:
        """The confidence; -inf behind the end of the block, which the first forward finds."""
        if sequence.block_nfe:
            return None
        if len(tokens) < _widest(sequence):
            raise ContractError(
                f"{type(self).__name__} was asked about {len(tokens)} columns, and a block may come to have "
                f"{_widest(sequence)}; give the sequence a policy by adaptive()"
            )
        sure = probability(logits, tokens)
        open_ = torch.tensor(masks(sequence, len(tokens)), device=tokens.device)
        width = self._width(sequence, tokens, sure.where(open_, -torch.inf))
        width = max(width, int(open_.int().argmax()) + 1)  # so that something can be filled
        sequence.end_block(sequence.block_start + width)
        sure[width:] = -torch.inf
        return sure

    def _width(self, sequence: Sequence, tokens: Tensor, sure: Tensor) -> int:
        """Columns of the block, by the proposed ``tokens [L]`` and how ``sure [L]`` they are at masks."""
        fixed = min(sequence.block_length, sequence.length - sequence.block_start)
        if self.least is None:
            return fixed
        window = window_of(sequence)
        delimiters = torch.tensor(sorted(self.delimiters), device=tokens.device)
        known = sure[:window].masked_fill(~torch.isin(tokens[:window], delimiters), -torch.inf)
        if not len(known):
            return fixed
        best = int(known.argmax())
        return best + 1 if float(known[best]) >= self.least else fixed


class _Adaptive(Policy):
    """Before a policy among the bases: that policy, whose blocks begin as long as `Delimited` may make
    them."""

    def block_end(self, sequence: Sequence) -> int:
        return sequence.block_start + _widest(sequence)


class _AdaptiveNoCache(_Adaptive, NoCache): ...


class _AdaptivePrefixCache(_Adaptive, PrefixCache): ...


class _AdaptiveDualCache(_Adaptive, DualCache): ...


_POLICIES: Mapping[str, type[_Adaptive]] = {
    "none": _AdaptiveNoCache,
    "prefix": _AdaptivePrefixCache,
    "dual": _AdaptiveDualCache,
}


def adaptive(cache: str) -> Policy:
    """Fast-dLLM's policy that caches ``none``, ``prefix`` or ``dual``, for blocks that `Delimited` ends."""
    return _POLICIES[cache]()


class AdaBlockGeneration(FastDLLMGeneration):
    """Upstream's ``generate_adablock``, with the cache that is asked for."""

    name = ALGORITHM.name
    description = ALGORITHM.summary
    parameters = PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return adaptive(params["cache"])

    def rule(self, params: Mapping[str, Any]) -> Rule:
        return Delimited(
            threshold=params["threshold"],
            delimiters=self._delimiters(params["delimiter_ids"]),
            least=params["delimiter_threshold"],
        )

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
        given, size = params["delimiter_ids"], model.config.embedding_size
        if given is not None and max(_ids_of(given)) >= size:
            raise refused(
                "delimiter_ids", given, f"are no tokens of this model; give ids from 0 to {size - 1}"
            )
        return super().sequence(model, prompt_ids, params, answer=answer)

    def _delimiters(self, given: str | None) -> frozenset[int]:
        if given is not None:
            return _ids_of(given)
        if self.tokenizer is None:
            return frozenset((_LINE_END_ID,))
        ids = self.tokenizer.encode(_LINE_END, add_special_tokens=False)
        if len(ids) != 1:
            told = f"means the line end, of which this model's tokenizer makes {len(ids)} tokens; give ids"
            raise refused("delimiter_ids", None, told)
        return frozenset(ids)


def _ids_of(given: str) -> frozenset[int]:
    return frozenset(map(int, given.split(",")))
