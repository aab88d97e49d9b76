"""One request while it is being decoded. Everything that changes during generation lives here.

A sequence does not know the network or its neighbours in the batch. Its *policy* reads it to plan the next
forward, its *rule* reads it to choose what to keep; the loop writes the outcome back through `commit` and
`advance`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from llada_core.generation.computed import Computed
from llada_core.generation.prompts import Limits, check_prompt
from llada_core.generation.steps import Ticket
from llada_runtime.decoding.checks import (
    check_block_end,
    check_growth,
    check_length,
    check_width,
    column_of,
    no_progress,
    opening,
)
from llada_runtime.decoding.filters import Filters
from llada_runtime.decoding.parts import Planner, Selector
from llada_runtime.decoding.reshaping import Reshaping
from llada_runtime.network.protocol import TokenIds

__all__ = ["Sequence"]


class Sequence(Reshaping):
    """A canvas of prompt and masks, filled block by block from left to right.

    Args:
        prompt: token ids, at least one, without the mask token.
        config: of the network: its special tokens and length limit.
        gen_length: how many tokens to generate.
        longest: how many tokens the answer may come to have where its policy makes it longer; None is
            ``gen_length``.
        block_length: width of a block; the last one may be shorter.
        policy, rule: how to plan forwards and choose tokens.
        temperature: 0 proposes the likeliest token, above it one drawn by the Gumbel-max trick.
        filters: what is left out of the distribution that is drawn from; None is nothing.
        random_order: score positions by chance instead of by confidence (LLaDA's ``random`` remasking).
        seed: of this sequence's own random stream; None takes one from torch's global generator.
        early_stop: finish once a token that ends answers stands with no mask before it.
        end_ids: these tokens; None is what the config says alone.
        align_blocks: begin blocks at multiples of their width, so that the first one overlaps the prompt,
            instead of where the prompt ends.
        whole_blocks: give the last block its full width too; what is behind the answer is decoded with it as
            far as needed, and then cut.
        answer: ``gen_length`` ids or None: ids stand in the answer from the beginning and never change, the
            others are masks. None is masks only.
        idle_limit: forwards in a row that may fill nothing; None is two a column of a block, and 16.
        forward_limit: forwards after which the sequence counts as one without end; None is eight a column of
            its blocks, and 64.

    Raises:
        PromptError, ParameterError: the prompt or the lengths do not fit the model.
        ContractError: an answer that may grow has whole blocks or fixed text.

    Attributes:
        canvas: prompt and answer, then what whole blocks have behind it; the mask's id where a mask stands.
        eos_ids: what the config calls the end of sequence, whatever else ``end_ids`` has.
        block, block_start, block_end: index and columns of the current block.
        block_nfe, block_open: forwards that may fill masks since the block's schedule began, and masks that
            it began with.
        chosen: columns that the forward in work fills, while its rule is asked what it revokes or replaces.
        nfe, idle: forwards that the sequence has taken part in, and those since one last wrote something.
        computed: what these forwards computed, by kind.
        settled: how many leading positions of the answer no later step can change.
        cached_block: the block for which the whole canvas was last cached.
        cached: for each column 1 where a forward has written its keys and values to the cache; empty where
            nothing is cached.
        longest: positions that the answer may have; of one that does not grow, those that it has.
        inserted: pairs of a column and of how many masks `insert` has put in there since the last forward.
        overwritten: columns that `end_answer` has changed since the last forward, and what stood there.
        policy_state, rule_state: what its policy and its rule remember of it.
        ticket: the handle that its steps carry.
        alternatives: how many of the likeliest tokens its steps tell of each position, 0 unless somebody
            asks.
        traced: whether its steps tell the log-probabilities of a `Trajectory`.
    """

    warnings: tuple[str, ...] = ()

    def __init__(
        self,
        prompt: Iterable[int],
        config: TokenIds,
        *,
        gen_length: int,
        longest: int | None = None,
        block_length: int,
        policy: Planner[Sequence],
        rule: Selector[Sequence],
        temperature: float = 0.0,
        filters: Filters | None = None,
        random_order: bool = False,
        seed: int | None = None,
        early_stop: bool = True,
        end_ids: Iterable[int] | None = None,
        align_blocks: bool = False,
        whole_blocks: bool = False,
        answer: Iterable[int | None] | None = None,
        idle_limit: int | None = None,
        forward_limit: int | None = None,
    ) -> None:
        ids = list(prompt)
        check_length("gen_length", gen_length)
        check_length("block_length", block_length)
        limits = Limits.of(config)
        self.longest = gen_length if longest is None else longest
        check_prompt(ids, limits, gen_length=self.longest)
        self.prompt_length, self.gen_length, self.block_length = len(ids), gen_length, block_length
        self.mask_id, self.eos_ids = config.mask_token_id, frozenset(config.eos_ids)
        self.end_ids = frozenset(config.eos_ids if end_ids is None else end_ids)
        self.canvas = ids + self._begin(opening(answer, gen_length, limits))
        check_growth(self.room, fixed=bool(self._fixed), whole_blocks=whole_blocks)
        origin = len(ids) // block_length * block_length if align_blocks else len(ids)
        if whole_blocks:
            check_width(block_length, limits)
            self.canvas += [self.mask_id] * (-(len(self.canvas) - origin) % block_length)
        self.policy, self.rule = policy, rule
        self.rescores, self.revokes = bool(rule.rescores), bool(rule.revokes)
        self.temperature, self.random_order, self.early_stop = temperature, random_order, early_stop
        self.filters, self.seed = filters, seed
        # An unrolled loop runs up to a forward and a refresh a position of a block that is full.
        self.idle_limit = 2 * block_length + 16 if idle_limit is None else idle_limit
        most = self.length + self.room - origin
        self.forward_limit = 8 * most + 64 if forward_limit is None else forward_limit
        self.ticket = Ticket(self)
        self.alternatives, self.traced = 0, False
        self._start(origin)

    def _start(self, origin: int) -> None:
        """Be as before the first forward; the first block begins at column ``origin``."""
        self.nfe = self.idle = self.settled = 0
        self.computed = Computed()
        self.cancelled = self._complete = False
        self.chosen: list[int] = []
        self.inserted, self.overwritten = [], {}
        self.cached_block: int | None = None
        self.cached = bytearray(self.length if self.policy.caches else 0)
        self._generator: torch.Generator | None = None
        self.policy_state: Any = self.policy.begin()
        self.rule_state: Any = self.rule.begin()
        self._enter(0, origin)
        self._settle()

    @property
    def length(self) -> int:
        """Columns of the canvas: prompt, answer, and what whole blocks have behind it."""
        return len(self.canvas)

    @property
    def columns(self) -> int:
        """Cached columns that the sequence needs while it is in flight."""
        return self.length + self.room if self.policy.caches else 0

    @property
    def answer_end(self) -> int:
        """Column after the answer's last."""
        return self.prompt_length + self.gen_length

    @property
    def finished(self) -> bool:
        """Whether no further forward is wanted: complete or cancelled."""
        return self._complete or self.cancelled

    @property
    def open_columns(self) -> list[int]:
        """Columns of the current block that still hold the mask."""
        return [c for c in range(self.block_start, self.block_end) if self.canvas[c] == self.mask_id]

    def generator(self, device: torch.device) -> torch.Generator:
        """This sequence's random stream, so that its draws do not depend on its neighbours."""
        if self._generator is None:
            seed = int(torch.randint(2**62, ())) if self.seed is None else self.seed
            self._generator = torch.Generator(device).manual_seed(seed)
        return self._generator

    def cancel(self) -> None:
        """Make this sequence leave before the next forward; what it has is kept."""
        self.cancelled = True

    def commit(
        self, columns: list[int], tokens: list[int], revoked: Iterable[int] = (), *, decides: bool = True
    ) -> None:
        """Count a forward that wrote ``tokens`` at masked ``columns`` and gave ``revoked`` ones back to the
        mask.

        Only a rule that ``revokes`` may take back what stands, in the current block. A forward that decides
        nothing takes no step of the block's schedule.
        """
        given_back = frozenset(revoked)
        assert all(self.may_revoke(column) for column in given_back)
        assert all(column in given_back or self.canvas[column] == self.mask_id for column in columns)
        assert self.mask_id not in tokens
        for column in given_back:
            self.canvas[column] = self.mask_id
        for column, token in zip(columns, tokens, strict=True):
            self.canvas[column] = token
        self.inserted, self.overwritten = [], {}
        self.nfe += 1
        self.block_nfe += decides
        self.idle = 0 if columns else self.idle + 1
        self._settle()

    def is_given(self, column: int) -> bool:
        """Whether what stands there does so from the beginning: the prompt, and fixed text of the answer."""
        return column < self.prompt_length or column in self._fixed

    def may_revoke(self, column: int) -> bool:
        """Whether a token of the current block stands there that was generated."""
        inside = self.block_start <= column < self.block_end
        return inside and not self.is_given(column) and self.canvas[column] != self.mask_id

    def advance(self) -> None:
        """Stop at an end-of-sequence token, or go on to the next block if this one is full and left.

        Raises:
            NoProgress: forward after forward nothing is filled, or there is no end of forwards.
        """
        if not self.policy.stays(self):
            full = self._full
            if full:
                self._settle(full=True)
            if self.early_stop and self._stopped and (full or not self.revokes):
                self._stop()
            elif full and self.block_end < self.length:
                self._enter(self.block + 1, self.block_end)
            elif full:
                self._finish()
        if not self.finished and (self.idle > self.idle_limit or self.nfe >= self.forward_limit):
            raise no_progress(idle=self.idle, idle_limit=self.idle_limit, block=self.block, nfe=self.nfe)

    def end_block(self, column: int) -> None:
        """Let the current block end before ``column``, and begin its schedule anew.

        For a policy or rule that sees where a block should end from its logits. Raises ``ContractError`` for
        a column that is not behind its start and on the canvas.
        """
        check_block_end(column, self.block_start, self.length)
        self.block_end = column
        self.begin_schedule()

    def forget(self) -> None:
        """Let go of what only decoding needs; the canvas stays."""
        self.policy_state = self.rule_state = self._generator = None

    def begin_schedule(self) -> None:
        """Spread what is open in the current block over its steps afresh, from the next forward on."""
        self.block_nfe = 0
        self.block_open = len(self.open_columns)

    def _begin(self, given: list[int | None]) -> list[int]:
        """The answer's columns as they are before the first forward; what stands in ``given`` is fixed."""
        places = [self.prompt_length + at for at, token in enumerate(given) if token is not None]
        self._fixed, self._fixed_end = frozenset(places), max(places, default=-1) + 1
        return [self.mask_id if token is None else token for token in given]

    def _enter(self, block: int, start: int) -> None:
        """Begin the first block from ``start`` on that holds a mask of the answer; finish where none does."""
        while True:
            self.block, self.block_start = block, start
            self.block_end = min(start + self.block_length, self.length)
            self.end_block(column_of(self.policy, self.policy.block_end(self) or self.block_end))
            if not self._full:
                return None
            if self.block_end == self.length:
                return self._finish()
            block, start = block + 1, self.block_end

    @property
    def _full(self) -> bool:
        """Whether no mask of the answer is left in the current block."""
        return self.mask_id not in self.canvas[self.block_start : min(self.block_end, self.answer_end)]

    def _settle(self, *, full: bool = False) -> None:
        """Move on to the first mask, or behind an end-of-sequence token that ends the answer."""
        end = self.answer_end
        if self.revokes:  # which may look beyond its block
            end = min(end, self.block_end if full else max(self.block_start, self.prompt_length))
        while self.prompt_length + self.settled < end and not self._stopped:
            if self.canvas[self.prompt_length + self.settled] == self.mask_id:
                return
            self.settled += 1

    def _stop(self) -> None:
        """Make the rest of the canvas the end-of-sequence token that settled last."""
        last = self.prompt_length + self.settled - 1
        self.canvas[last:] = [self.canvas[last]] * (self.length - last)
        self._finish()

    def _finish(self) -> None:
        del self.canvas[self.answer_end :]
        self.settled = self.gen_length
        self._complete = True
