"""An answer that ends with its first complete block that holds an end token, as Streaming-dLLM has it."""

from __future__ import annotations

from torch import Tensor

from llada_runtime import Around, Network, Plan, Sequence

__all__ = ["EndsWithBlock"]


class EndsWithBlock(Around):
    """What its base plans, until a block is full and holds an end token: the answer ends with that block.

    What stands in the block behind the token is kept. Source: xiaoshideta/Streaming-dLLM @ c4320c2.
    """

    looks = False

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        super().after(sequence, plan, logits, network)
        end = sequence.block_end
        if sequence.open_columns or end == sequence.length or not sequence.may_end(end):
            return
        ends = (sequence.canvas[c] for c in range(sequence.block_start, end))
        token = next((token for token in ends if token in sequence.end_ids), None)
        if token is not None:
            sequence.end_answer(end, token)
