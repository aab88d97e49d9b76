"""Blocks that end where the network, as the block begins, expects a delimiter: a policy around another.

Source: AdaBlock-dLLM (arXiv 2509.26432; lgxi24/AdaBlock-dLLM @ 491b205, ``llada/generate_adablock.py``).

Kept of upstream: delimiters are looked for among the first quarter of ``gen_length``, whatever the length of
a block, so that a block may be longer than one without; of an answer of fewer than 4 positions, nowhere. The
surest delimiter ends the block, not the nearest. Above temperature 0 drawn tokens say what a delimiter is.
Not kept: that probability in the model's dtype. Tokens that are given beside masks, which upstream does not
know, are no delimiters.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Ids
from typing import Any

import torch
from torch import Tensor

from llada_fastdllm import FastDLLMGeneration
from llada_runtime import Around, Network, Policy, Sequence, probability

from .sequences import masks, refused

__all__ = ["AdaptiveBlocks", "TakesDelimiters", "delimiters_of"]

_LINE_END = "\n"
_LINE_END_ID = 198  # of LLaDA's tokenizer, as published
_WINDOW = 0.25  # of the answer


def _window_of(sequence: Sequence) -> int:
    """How many columns from the start of its block on a delimiter of ``sequence`` is looked for."""
    return min(int(_WINDOW * sequence.gen_length), sequence.length - sequence.block_start)


def _widest(sequence: Sequence) -> int:
    """How many columns the block that begins may come to have."""
    widest = max(sequence.block_length, _window_of(sequence))
    return min(widest, sequence.length - sequence.block_start)


class AdaptiveBlocks(Around):
    """What ``base`` plans in a block that ends, as of its first forward, behind the surest delimiter of its
    window.

    Until then the block is as long as it may become. Without a delimiter that is at least ``least`` probable
    it is ``block_length`` long, in any case with None.
    """

    def __init__(self, base: Policy, *, delimiters: frozenset[int], least: float | None) -> None:
        super().__init__(base)
        self.delimiters, self.least = delimiters, least

    def block_end(self, sequence: Sequence) -> int:
        return sequence.block_start + _widest(sequence)

    def sees_proposals(self, sequence: Sequence) -> bool:
        return not sequence.block_nfe or super().sees_proposals(sequence)

    def proposed(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> None:
        super().proposed(sequence, logits, tokens)
        if sequence.block_nfe:
            return
        open_ = torch.tensor(masks(sequence, len(tokens)), device=tokens.device)
        sure = probability(logits, tokens).where(open_, -torch.inf)
        width = self._width(sequence, tokens, sure)
        width = max(width, int(open_.int().argmax()) + 1)  # so that something can be filled
        sequence.end_block(sequence.block_start + width)

    def _width(self, sequence: Sequence, tokens: Tensor, sure: Tensor) -> int:
        """Columns of the block, by the proposed ``tokens [L]`` and how ``sure [L]`` they are at masks."""
        fixed = min(sequence.block_length, sequence.length - sequence.block_start)
        if self.least is None:
            return fixed
        window = _window_of(sequence)
        delimiters = torch.tensor(sorted(self.delimiters), device=tokens.device)
        known = sure[:window].masked_fill(~torch.isin(tokens[:window], delimiters), -torch.inf)
        if not len(known):
            return fixed
        best = int(known.argmax())
        return best + 1 if float(known[best]) >= self.least else fixed


def _ids_of(given: str) -> frozenset[int]:
    """The token ids of an accepted ``delimiter_ids``."""
    return frozenset(map(int, given.split(",")))


def delimiters_of(given: str | None, tokenizer: object) -> frozenset[int]:
    """The delimiters that were ``given``; without, the line end of the tokenizer, of LLaDA's where there is
    none. Raises ``ParameterError`` where the tokenizer has no token for it."""
    if given is not None:
        return _ids_of(given)
    if tokenizer is None:
        return frozenset((_LINE_END_ID,))
    ids = tokenizer.encode(_LINE_END, add_special_tokens=False)  # type: ignore[attr-defined]
    if len(ids) != 1:
        told = f"means the line end, of which this model's tokenizer makes {len(ids)} tokens; give ids"
        raise refused("delimiter_ids", None, told)
    return frozenset(ids)


class TakesDelimiters(FastDLLMGeneration):
    """What decoders share that take ``delimiter_ids``. Subclasses give policy and rule."""

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
