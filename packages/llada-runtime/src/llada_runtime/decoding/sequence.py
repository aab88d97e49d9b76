"""One request while it is being decoded. Everything that changes during generation lives here.

A sequence does not know the network or its neighbours in the batch. Its *policy* reads it to plan the next
forward, its *rule* reads it to choose what to keep; the loop writes the outcome back through `commit` and
`advance`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from llada_core.errors import PromptError
from llada_runtime.network.protocol import TokenIds

if TYPE_CHECKING:
    from llada_runtime.decoding.policies import Policy
    from llada_runtime.decoding.rules import Rule

__all__ = ["Sequence", "Step"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one forward decided for one sequence.

    Attributes:
        sequence: the sequence, already updated.
        block: index of the block that was decoded.
        positions: offsets into the answer that received a token, ascending; may be empty.
        tokens, confidence: the token at each position and its probability.
        nfe: forwards this sequence has taken part in so far.
        finished: whether the sequence is complete after this step.
    """

    sequence: Sequence
    block: int
    positions: list[int]
    tokens: list[int]
    confidence: list[float]
    nfe: int
    finished: bool


class Sequence:
    """A canvas of prompt and masks, filled block by block from left to right.

    Args:
        prompt: token ids, at least one, without the mask token.
        config: of the network: its special tokens and length limit.
        gen_length: how many tokens to generate.
        block_length: width of a block; the last one may be shorter.
        policy, rule: how to plan forwards and choose tokens.
        temperature: 0 proposes the likeliest token, above it one drawn by the Gumbel-max trick.
        random_order: score positions by chance instead of by confidence (LLaDA's ``random`` remasking).
        seed: of this sequence's own random stream; None takes one from torch's global generator.
        early_stop: finish once an end-of-sequence token stands with no mask before it.
        align_blocks: begin blocks at multiples of their width, so that the first one overlaps the prompt,
            instead of where the prompt ends.
        whole_blocks: give the last block its full width too; what is behind the answer is decoded with it as
            far as needed, and then cut.

    Raises:
        PromptError: the prompt or the lengths do not fit the model.
    """

    def __init__(
        self,
        prompt: Iterable[int],
        config: TokenIds,
        *,
        gen_length: int,
        block_length: int,
        policy: Policy,
        rule: Rule,
        temperature: float = 0.0,
        random_order: bool = False,
        seed: int | None = None,
        early_stop: bool = True,
        align_blocks: bool = False,
        whole_blocks: bool = False,
    ) -> None:
        ids = list(prompt)
        _check(ids, config, gen_length, block_length)
        self.prompt_length, self.gen_length, self.block_length = len(ids), gen_length, block_length
        self._origin = len(ids) // block_length * block_length if align_blocks else len(ids)
        length = len(ids) + gen_length
        if whole_blocks:
            length += -(length - self._origin) % block_length
        self.canvas = ids + [config.mask_token_id] * (length - len(ids))
        self.mask_id, self.eos_ids = config.mask_token_id, frozenset(config.eos_ids)
        self.policy, self.rule = policy, rule
        self.temperature, self.random_order, self.early_stop = temperature, random_order, early_stop
        self.seed = seed
        self.nfe = 0
        self.cancelled = False
        self.cached_block: int | None = None
        self.policy_state: Any = policy.begin()
        self.rule_state: Any = rule.begin()
        self._enter(0)
        self._complete = False
        self._generator: torch.Generator | None = None

    @property
    def length(self) -> int:
        """Columns of the canvas: prompt, answer, and what whole blocks have behind it."""
        return len(self.canvas)

    @property
    def answer_end(self) -> int:
        """Column after the answer's last."""
        return self.prompt_length + self.gen_length

    @property
    def block_start(self) -> int:
        """First column of the current block."""
        return self._origin + self.block * self.block_length

    @property
    def block_end(self) -> int:
        """Column after the current block's last."""
        return min(self.block_start + self.block_length, self.length)

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-(self.length - self._origin) // self.block_length)

    @property
    def finished(self) -> bool:
        """Whether no further forward is wanted: complete or cancelled."""
        return self._complete or self.cancelled

    @property
    def open_columns(self) -> list[int]:
        """Columns of the current block that still hold the mask."""
        return [c for c in range(self.block_start, self.block_end) if self.canvas[c] == self.mask_id]

    @property
    def needs_randomness(self) -> bool:
        return self.temperature > 0 or self.random_order

    def generator(self, device: torch.device) -> torch.Generator:
        """This sequence's random stream, so that its draws do not depend on its neighbours."""
        if self._generator is None:
            seed = int(torch.randint(2**62, ())) if self.seed is None else self.seed
            self._generator = torch.Generator(device).manual_seed(seed)
        return self._generator

    def cancel(self) -> None:
        """Make this sequence leave after the step in flight; what it has is kept."""
        self.cancelled = True

    def commit(self, columns: list[int], tokens: list[int]) -> None:
        """Write ``tokens`` at masked ``columns`` of the current block and count the forward."""
        for column, token in zip(columns, tokens, strict=True):
            assert self.canvas[column] == self.mask_id
            assert token != self.mask_id
            self.canvas[column] = token
        self.nfe += 1
        self.block_nfe += 1

    def advance(self) -> None:
        """Stop at an end-of-sequence token, or go on to the next block if this one is full and left."""
        if self.policy.stays(self):
            return
        if self.early_stop and self._stop_at_eos():
            self._finish()
        elif all(column >= self.answer_end for column in self.open_columns):
            if self.block + 1 == self.blocks:
                self._finish()
            else:
                self._enter(self.block + 1)

    def begin_schedule(self) -> None:
        """Spread what is open in the current block over its steps afresh, from the next forward on."""
        self.block_nfe = 0
        self.block_open = len(self.open_columns)

    def _enter(self, block: int) -> None:
        self.block = block
        self.begin_schedule()

    def _finish(self) -> None:
        del self.canvas[self.answer_end :]
        self._complete = True

    def _stop_at_eos(self) -> bool:
        """Whether an EOS stands with no mask before it; if so the rest of the canvas becomes that EOS."""
        for column in range(self.prompt_length, self.answer_end):
            token = self.canvas[column]
            if token == self.mask_id:
                return False
            if token in self.eos_ids:
                self.canvas[column:] = [token] * (self.length - column)
                return True
        return False


def _check(prompt: list[int], config: TokenIds, gen_length: int, block_length: int) -> None:
    if not prompt:
        raise PromptError("the prompt is empty; give at least one token")
    if config.mask_token_id in prompt:
        raise PromptError(
            f"the prompt contains the mask token ({config.mask_token_id}) at position "
            f"{prompt.index(config.mask_token_id)}; remove it: masks mark what is to be generated"
        )
    outside = next((token for token in prompt if not 0 <= token < config.embedding_size), None)
    if outside is not None:
        raise PromptError(
            f"the prompt contains id {outside}; this model's ids are 0 to {config.embedding_size - 1}"
        )
    if gen_length < 1 or block_length < 1:
        raise PromptError(
            f"gen_length = {gen_length} and block_length = {block_length}; both must be at least 1"
        )
    if len(prompt) + gen_length > config.max_sequence_length:
        raise PromptError(
            f"{len(prompt)} prompt tokens and gen_length = {gen_length} exceed the model's limit of "
            f"{config.max_sequence_length}; shorten the prompt or ask for at most "
            f"{max(config.max_sequence_length - len(prompt), 0)} tokens"
        )
