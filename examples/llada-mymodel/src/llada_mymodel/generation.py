"""The decoder: one opaque call, in which a row is filled step by step without a batch or a cache."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from llada_core import GenerationAlgorithm, LoadOptions
from llada_mymodel.model import MyModel
from llada_mymodel.tokenizer import Bytes

__all__ = ["MyModelGeneration"]


class MyModelGeneration(GenerationAlgorithm):
    """The engine ``mymodel``, and the algorithm of the same name."""

    def load_model_class(self) -> type[MyModel]:
        """The class that reads the checkpoints."""
        return MyModel

    def load_checkpoint(self, model_path: str | os.PathLike[str], options: LoadOptions) -> Any:
        """The model, with a tokenizer for which the checkpoint needs no files."""
        model = super().load_checkpoint(model_path, options)
        self.tokenizer = Bytes()
        return model

    def generate(
        self, model: MyModel, prompt: Tensor, *, attention_mask: Tensor | None = None, **params: Any
    ) -> tuple[Tensor, int]:
        """``(output_ids, nfe)``: int64 ``[B, P+G]``, prompts of ids ``[B, P]`` included, and the steps.

        Each row is filled by itself, without the columns where ``attention_mask`` is 0.
        """
        values = self.validate_args(**params)
        rows = prompt.reshape(-1, prompt.shape[-1])
        seen = torch.ones_like(rows) if attention_mask is None else attention_mask.reshape(rows.shape)
        filled = [_filled(model, row[mask.bool()], values) for row, mask in zip(rows, seen, strict=True)]
        answers = torch.stack([answer for answer, _ in filled])
        return torch.cat((rows, answers.to(rows)), dim=1), max(nfe for _, nfe in filled)


@torch.inference_mode()
def _filled(model: MyModel, prompt: Tensor, values: Mapping[str, Any]) -> tuple[Tensor, int]:
    """The answer to one prompt ``[P]``, ids ``[G]``, and how many forwards it took."""
    length = values["gen_length"]
    steps = min(values["steps"] or length, length)
    mask = model.config.mask_token_id
    canvas = torch.cat((prompt, prompt.new_full((length,), mask))).to(model.device)
    answer = canvas[len(prompt) :]  # a view: what is filled in stands on the canvas
    for step in range(steps):
        logits = model(canvas[None])[0, len(prompt) :].float()
        logits[:, mask] = -torch.inf
        confidence, tokens = logits.softmax(-1).max(-1)
        confidence[answer != mask] = -torch.inf
        best = confidence.topk(length // steps + (step < length % steps)).indices
        answer[best] = tokens[best]
    return answer, steps
