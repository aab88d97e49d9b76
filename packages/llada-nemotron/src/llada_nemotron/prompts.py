"""The rows of a prompt tensor, without their padding."""

from __future__ import annotations

from torch import Tensor

from llada_core import PromptError

__all__ = ["rows_of"]


def rows_of(prompt: Tensor, attention_mask: Tensor | None) -> list[list[int]]:
    """Each row's own ids in ``prompt`` (int64 ``[B, P]`` or ``[P]``), left-padded where the mask is 0.

    Raises ``PromptError`` for tensors that do not fit.
    """
    if prompt.dim() not in (1, 2) or prompt.is_floating_point():
        raise PromptError(
            f"the prompt is a {prompt.dtype} tensor of shape {list(prompt.shape)}; give int64 ids [B, P]"
        )
    rows = prompt if prompt.dim() == 2 else prompt[None]
    if not len(rows):
        raise PromptError("the prompt has no rows; give int64 ids [B, P]")
    if attention_mask is None:
        return [list(row) for row in rows.tolist()]
    return [row[kept].tolist() for row, kept in zip(rows, _mask(attention_mask, prompt), strict=True)]


def _mask(attention_mask: Tensor, prompt: Tensor) -> Tensor:
    if attention_mask.shape != prompt.shape:
        raise PromptError(
            f"attention_mask has shape {list(attention_mask.shape)} and the prompt {list(prompt.shape)}; "
            "they must be equal"
        )
    mask = (attention_mask if attention_mask.dim() == 2 else attention_mask[None]).bool().to(prompt.device)
    if (mask[:, :-1] & ~mask[:, 1:]).any():
        raise PromptError("attention_mask has a 0 after a 1; pad prompts on the left only")
    return mask
