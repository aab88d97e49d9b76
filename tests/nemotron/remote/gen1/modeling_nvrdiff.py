"""The tiny model of the first generation: block-causal, unseeded, and deaf to end tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from .configuration_nvrdiff import NVRDiffConfig
from .denoising import denoise, quotas
from .modeling_diffusion_network import DiffusionModel


class DiffEncoderModel(DiffusionModel):
    config_class = NVRDiffConfig

    @torch.no_grad()
    def generate(
        self,
        prompt_ids: Tensor,
        max_new_tokens: int = 128,
        steps: int = 128,
        block_length: int = 32,
        threshold: float | None = 0.9,
        shift_logits: bool = False,
        temperature: float = 0.0,
    ) -> tuple[Tensor, int]:
        """``(ids, nfe)``: prompt and answer, ``[B, P + max_new_tokens]``, and the number of forwards.

        The forwards are those that denoise, at most ``steps`` over all blocks, and one that commits each
        block; that of the prompt is not counted. Masks are left where the steps do not suffice.
        """
        assert max_new_tokens % block_length == 0, "max_new_tokens must be a multiple of block_length"
        blocks = max_new_tokens // block_length
        assert steps % blocks == 0, "steps must be a multiple of the number of blocks"
        output = self(prompt_ids, use_cache=True)
        x, nfe = prompt_ids, 0
        for _ in range(blocks):
            block = torch.full_like(prompt_ids[:, :1], self.mask_token_id).repeat(1, block_length)
            schedule = quotas(block == self.mask_token_id, steps // blocks)
            cache, context = output.past_key_values, output.logits[:, -1:]
            for quota in schedule:
                if not (block == self.mask_token_id).any():
                    break
                logits = self(block, past_key_values=cache).logits
                nfe += 1
                if shift_logits:
                    logits = torch.cat((context, logits[:, :-1]), dim=1)
                share = quota if threshold is None else None
                denoise(
                    block,
                    logits,
                    self.mask_token_id,
                    quota=share,
                    threshold=threshold,
                    temperature=temperature,
                )
            output = self(block, past_key_values=cache, use_cache=True)
            nfe += 1
            x = torch.cat((x, block), dim=1)
        return x, nfe
