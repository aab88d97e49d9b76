"""From what ``generate`` is given as a prompt to rows of ids without padding; from answers to one tensor."""

from __future__ import annotations

from collections.abc import Sequence as Ids
from typing import Any

import torch
from torch import Tensor

from llada_core.errors import PromptError
from llada_core.generation.prompt_kinds import id_rows, mask_rows, tokenizer_output

__all__ = ["padded_answers", "prompt_rows"]


def padded_answers(answers: Ids[Ids[int | None]], end_id: int) -> Tensor:
    """Answers without masks as int64 ``[B, G]``, each with ``end_id`` behind it up to the longest one's G."""
    longest = max(map(len, answers))
    return torch.tensor([[*answer, *[end_id] * (longest - len(answer))] for answer in answers])


def prompt_rows(prompt: Any, attention_mask: Any = None) -> tuple[Tensor, list[list[int]]]:
    """The prompt as int64 ``[B, P]``, and each row's own ids: those where the mask is 1.

    ``prompt`` is ``[B, P]`` or ``[P]``: a tensor of any integer dtype, an array, lists of one length, or what
    a tokenizer returned, with its own mask.

    Raises:
        PromptError: it holds no ids, or the mask does not fit.
    """
    returned = tokenizer_output(prompt)
    if returned is not None:
        prompt, own_mask = returned
        attention_mask = own_mask if attention_mask is None else attention_mask
    rows = id_rows(prompt)
    if not rows or len({len(row) for row in rows}) > 1:
        lengths = [len(row) for row in rows]
        raise PromptError(
            f"the prompt's rows have the lengths {lengths}; pad them on the left, as ids [B, P]"
        )
    device = prompt.device if isinstance(prompt, Tensor) else None
    ids = torch.tensor(rows, dtype=torch.int64, device=device).reshape(len(rows), -1)
    if attention_mask is None:
        return ids, [list(row) for row in rows]
    return ids, _own_ids(rows, attention_mask)


def _own_ids(rows: Ids[tuple[int, ...]], attention_mask: Any) -> list[list[int]]:
    """The rows without the padding on their left."""
    masks = mask_rows(attention_mask)
    shape = [len(rows), len(rows[0])]
    found = [len(masks), *dict.fromkeys(map(len, masks))]
    if found != shape:
        raise PromptError(f"attention_mask has shape {found} and the prompt {shape}; they must be equal")
    if any(mask != sorted(mask) for mask in masks):
        raise PromptError("attention_mask has a 0 after a 1; pad prompts on the left only")
    return [list(row[len(row) - sum(mask) :]) for row, mask in zip(rows, masks, strict=True)]
