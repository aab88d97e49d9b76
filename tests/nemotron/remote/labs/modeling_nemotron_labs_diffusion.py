"""The tiny model of the second generation: it decodes by diffusion, token by token, and by self-speculation.

Which way its layers look between two calls is what the last call left behind: both ways after ``generate``
with ``causal_context``, backwards after ``ar_generate`` and ``linear_spec_generate``. ``generate`` without
``causal_context`` uses what it finds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .configuration_nemotron_labs_diffusion import NemotronLabsDiffusionConfig
from .denoising import denoise, quotas, sample_next
from .modeling_diffusion_network import DiffusionModel, KeyValueCache


def has_clean_end(block: Tensor, eos_token_id: int, mask_token_id: int) -> bool:
    """Whether some row of ``block`` holds an end token with no mask before it."""
    ends = block == eos_token_id
    masks_so_far = (block == mask_token_id).cumsum(dim=1)
    return bool((ends & (masks_so_far == 0)).any())


def cut_after_end(answers: Tensor, eos_token_id: int) -> int | None:
    """The length up to the latest of the rows' first end tokens; None if a row of ``answers`` has none."""
    ends = answers == eos_token_id
    if not bool(ends.any(dim=1).all()):
        return None
    return int(ends.int().argmax(dim=1).max()) + 1


class NemotronLabsDiffusionModel(DiffusionModel):
    config_class = NemotronLabsDiffusionConfig

    def end_of(self, eos_token_id: int | None) -> int | None:
        return self.config.eos_token_id if eos_token_id is None else eos_token_id

    @torch.no_grad()
    def generate(
        self,
        prompt_ids: Tensor,
        max_new_tokens: int,
        block_length: int,
        threshold: float | None = None,
        causal_context: bool = True,
        temperature: float = 0.0,
        eos_token_id: int | None = None,
        max_thinking_tokens: int | None = None,
        end_think_token_id: int | None = None,
    ) -> tuple[Tensor, int]:
        """``(ids, nfe)``: prompt and answer, and the forwards that denoised or committed a block.

        It returns early when all rows hold an end token, cut after the latest of their first ones: what other
        rows hold after theirs, and masks that a block left early still has, stay in.
        """
        assert max_new_tokens % block_length == 0, "max_new_tokens must be a multiple of block_length"
        end = self.end_of(eos_token_id)
        cache, seed = self._commit(prompt_ids, KeyValueCache(), causal_context, temperature)
        x, start, nfe = prompt_ids, prompt_ids.shape[1], 0
        for _ in range(max_new_tokens // block_length):
            masks = torch.full_like(prompt_ids[:, :1], self.mask_token_id).repeat(1, block_length)
            x = torch.cat((x, masks), dim=1)
            block = x[:, -block_length:]  # a view: what is written into it stands in x
            if seed is not None:
                block[:, 0] = seed
            self._end_thinking(x[:, start:], block, max_thinking_tokens, end_think_token_id)
            nfe += self._denoise_block(block, cache, threshold, temperature, end)
            cache, seed = self._commit(block, cache, causal_context, temperature)
            nfe += 1
            length = None if end is None else cut_after_end(x[:, start:], end)
            if length is not None:
                return x[:, : start + length], nfe
        return x, nfe

    def _commit(
        self, ids: Tensor, cache: KeyValueCache, causal: bool, temperature: float
    ) -> tuple[KeyValueCache, Tensor | None]:
        """Add ``ids`` to the cache; the token that follows them, if they are read causally."""
        if causal:
            self.switch_diffusion(False)
        output = self(ids, past_key_values=cache, use_cache=True, use_causal_mask=causal)
        if not causal:
            return cache, None
        self.switch_diffusion(True)
        return cache, sample_next(output.logits[:, -1], temperature)

    @staticmethod
    def _end_thinking(answers: Tensor, block: Tensor, budget: int | None, token: int | None) -> None:
        """Write ``token`` where the budget ends, in rows that would pass it and have none yet."""
        if budget is None or token is None or answers.shape[1] <= budget:
            return
        before = answers.shape[1] - block.shape[1]
        thinking = ~(answers == token).any(dim=1)
        block[thinking, max(0, budget - before)] = token

    def _denoise_block(
        self,
        block: Tensor,
        cache: KeyValueCache,
        threshold: float | None,
        temperature: float,
        end: int | None,
    ) -> int:
        """Fill ``block`` in place, until some row is seen to end; the number of forwards."""
        nfe = 0
        for quota in quotas(block == self.mask_token_id, block.shape[1]):
            if not (block == self.mask_token_id).any():
                break
            logits = self(block, past_key_values=cache).logits
            nfe += 1
            share = quota if threshold is None else None
            denoise(
                block, logits, self.mask_token_id, quota=share, threshold=threshold, temperature=temperature
            )
            if end is not None and has_clean_end(block, end, self.mask_token_id):
                break
        return nfe

    @torch.no_grad()
    def ar_generate(
        self,
        prompt_ids: Tensor,
        max_new_tokens: int = 128,
        temperature: float = 0.0,
        eos_token_id: int | None = None,
        max_thinking_tokens: int | None = None,
        end_think_token_id: int | None = None,
    ) -> tuple[Tensor, int]:
        """``(ids, nfe)``, one forward a token; it stops early when all rows end at the same step."""
        self.switch_diffusion(False)
        end, cache = self.end_of(eos_token_id), KeyValueCache()
        x, start, tokens = prompt_ids, prompt_ids.shape[1], prompt_ids
        for count in range(1, max_new_tokens + 1):
            output = self(tokens, past_key_values=cache, use_cache=True, use_causal_mask=True)
            tokens = sample_next(output.logits[:, -1:], temperature)
            x = torch.cat((x, tokens), dim=1)
            tokens = x[:, -1:]
            self._end_thinking(x[:, start:], tokens, max_thinking_tokens, end_think_token_id)
            if end is not None and bool((tokens == end).all()):
                return x, count
        return x, max_new_tokens

    @torch.no_grad()
    def linear_spec_generate(
        self,
        prompt_ids: Tensor,
        max_new_tokens: int = 128,
        block_length: int = 32,
        temperature: float = 0.0,
        mask_token_id: int | None = None,
        eos_token_id: int | None = None,
        max_thinking_tokens: int | None = None,
        end_think_token_id: int | None = None,
        threshold: float = 0.0,
    ) -> tuple[Tensor, int]:
        """``(ids, nfe)`` of one row: blocks are drafted by diffusion and kept as far as AR decoding agrees.

        The answer can be longer than ``max_new_tokens``: the last block is kept as a whole. The forwards are
        that of the prompt, the drafts and the verifications.
        """
        if prompt_ids.shape[0] != 1:
            raise ValueError(
                f"linear_spec_generate takes one row, not {prompt_ids.shape[0]}; call it per row"
            )
        end = self.end_of(eos_token_id)
        mask = self.mask_token_id if mask_token_id is None else mask_token_id
        think = (max_thinking_tokens, end_think_token_id)
        self.switch_diffusion(False)
        cache = KeyValueCache()
        output = self(prompt_ids, past_key_values=cache, use_cache=True, use_causal_mask=True)
        nfe, answer = 1, sample_next(output.logits[:, -1:], temperature)
        self._end_thinking(answer, answer, *think)
        while answer[0, -1] != end and answer.shape[1] < max_new_tokens:
            block = torch.cat((answer[:, -1:], answer.new_full((1, block_length - 1), mask)), dim=1)
            nfe += self._draft(block, cache, mask, threshold) + 1
            known = cache.get_seq_length()
            self.switch_diffusion(False)
            logits = self(block, past_key_values=cache, use_cache=True, use_causal_mask=True).logits
            kept = self._accept(answer, block, sample_next(logits, temperature), end, think)
            cache.crop(known + kept.shape[1])
            answer = torch.cat((answer, kept), dim=1)
        return torch.cat((prompt_ids, answer), dim=1), nfe

    def _draft(self, block: Tensor, cache: KeyValueCache, mask: int, threshold: float) -> int:
        """Fill ``block`` greedily, in place; the number of forwards. Threshold 0 fills it at once."""
        self.switch_diffusion(True)
        for drafts in range(block.shape[1] if threshold > 0 else 1):
            if drafts and not (block == mask).any():
                return drafts
            denoise(block, self(block, past_key_values=cache).logits, mask, threshold=threshold)
        return drafts + 1

    def _accept(
        self,
        answer: Tensor,
        block: Tensor,
        verified: Tensor,
        end: int | None,
        think: tuple[int | None, int | None],
    ) -> Tensor:
        """The tokens of ``verified`` up to the first that the draft did not foresee or that ends the text."""
        for count in range(1, block.shape[1] + 1):
            token = verified[:, count - 1 : count]
            self._end_thinking(torch.cat((answer, verified[:, :count]), dim=1), token, *think)
            foreseen = count < block.shape[1] and bool(token == block[:, count])
            if not foreseen or bool(token == end):
                break
        return verified[:, :count]
