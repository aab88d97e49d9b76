"""Rows of ids to padded tensors and back. Imported only through ``LazyModule``: it needs torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["answer_rows", "pad_left", "release_memory"]


def pad_left(
    rows: Sequence[Sequence[int]], pad_id: int, device: torch.device | str | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask of ``rows``, both int64 ``[B, P]``; P is the longest, the mask 0 on padding."""
    width = max((len(row) for row in rows), default=0)
    ids = [[pad_id] * (width - len(row)) + list(row) for row in rows]
    mask = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
    return (
        torch.tensor(ids, dtype=torch.long, device=device).reshape(len(rows), width),
        torch.tensor(mask, dtype=torch.long, device=device).reshape(len(rows), width),
    )


def answer_rows(output_ids: torch.Tensor, prompt_width: int) -> list[list[int]]:
    """The ids after the ``prompt_width`` prompt columns of ``output_ids`` ``[B, P+G]`` or ``[P+G]``."""
    rows = output_ids.reshape(1, -1) if output_ids.dim() == 1 else output_ids
    answers: list[list[int]] = rows[:, prompt_width:].tolist()
    return answers


def release_memory() -> None:
    """Give memory that no tensor uses back to the CUDA driver."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
