"""What the caller of a row wants to know or to happen while it is decoded."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from llada_core.errors import ContractError
from llada_core.faults import fault_of
from llada_core.generation.jobs import Job
from llada_core.generation.model import Model
from llada_core.generation.moved import follow
from llada_core.generation.results import Likeliest, Trajectory
from llada_core.generation.steps import Step
from llada_core.generation.stops import INCOMPLETE, place_of

__all__ = ["Commits", "Watch"]


class Commits:
    """What stands at each position of an answer, since when, and how probable it was then."""

    def __init__(self) -> None:
        self._tokens: dict[int, int] = {}
        self._at: dict[int, int] = {}
        self._log: dict[int, float] = {}
        self._drawn: dict[int, float] = {}
        self._replaced = 0

    def see(self, step: Step) -> None:
        """Take note of what a step took back and wrote."""
        if step.inserted:
            for told in (self._tokens, self._at, self._log, self._drawn):
                _follow(told, step)
        gone = {*step.revoked, *step.positions} & self._tokens.keys()
        self._replaced += len(gone)
        for position in step.revoked:
            for told in (self._tokens, self._at, self._log, self._drawn):
                told.pop(position, None)
        self._tokens.update(zip(step.positions, step.tokens, strict=True))
        self._at.update(dict.fromkeys(step.positions, step.nfe))
        self._log.update(zip(step.positions, step.log_probabilities, strict=False))
        self._drawn.update(zip(step.positions, step.drawn_log_probabilities, strict=False))

    def trajectory(self, prompt_ids: tuple[int, ...], length: int, counted: Collection[int]) -> Trajectory:
        """That of an answer of so many positions, of which the offsets ``counted`` are the answer's.

        Raises ``ContractError`` where no step has told of one of these.
        """
        untold = next((place for place in counted if place not in self._at), None)
        if untold is not None:
            raise ContractError(
                f"its steps told nothing of position {untold}, where a token stands; tell every token that "
                "is written"
            )
        places, counts = sorted(self._tokens), frozenset(counted)
        return Trajectory(
            prompt_ids=prompt_ids,
            length=length,
            positions=tuple(places),
            token_ids=tuple(self._tokens[place] for place in places),
            in_answer=tuple(place in counts for place in places),
            committed_at=tuple(self._at[place] for place in places),
            replaced=self._replaced,
            log_probabilities=_of(self._log, places),
            drawn_log_probabilities=_of(self._drawn, places),
        )


def _follow(told: dict[int, Any], step: Step) -> None:
    """Change what is known by offset as the step has moved it."""
    assert step.gen_length is not None
    follow(told, step.inserted, step.gen_length)


def _of(told: Mapping[int, float], places: Sequence[int]) -> tuple[float, ...] | None:
    """What was told of each of the places; None where that was not told of all."""
    return tuple(told[place] for place in places) if all(place in told for place in places) else None


class Watch:
    """The texts that end a row, how probable each token was, and when it was committed.

    Attributes:
        stopped: whether the row was ended by one of the texts.
        fault: what the tokenizer raised while they were looked for; the row ends by it.
    """

    def __init__(self, stop: Sequence[str], *, logprobs: int | None, commits: Commits | None = None) -> None:
        self._stop, self._commits = tuple(stop), commits
        self._sure: dict[int, float] | None = None if logprobs is None else {}
        self._others: dict[int, Likeliest] | None = {} if logprobs else None
        self._settled = self._known = 0
        self.stopped = False
        self.fault: Exception | None = None

    @classmethod
    def of(cls, job: Job) -> Watch | None:
        """What the job asks for; None where that is nothing."""
        if not job.stop and job.logprobs is None and not job.trajectory:
            return None
        return cls(job.stop, logprobs=job.logprobs, commits=Commits() if job.trajectory else None)

    def see(self, step: Step) -> bool:
        """Take note of a step; whether the row is to end now, because a text that ends it cannot change any
        more."""
        if step.inserted:
            _follow(self._sure or {}, step)
            _follow(self._others or {}, step)
        if self._sure is not None:
            self._sure.update(zip(step.positions, step.confidence, strict=False))
        if self._others is not None:
            self._others.update(zip(step.positions, step.alternatives, strict=False))
        if self._commits is not None:
            self._commits.see(step)
        if not self._stop or step.finished or step.settled <= self._settled:
            return False
        self._settled = step.settled
        try:
            self.stopped = self.stopped or self._is_in(step.ticket.text_before(step.settled))
        except BaseException as exc:  # a tokenizer may raise anything for ids that it does not know
            self.fault = fault_of(exc)
        return self.stopped or self.fault is not None

    def cut(self, ids: tuple[int, ...], model: Model) -> tuple[str, tuple[int, ...]]:
        """Text and ids of an answer up to the one of the texts that ends it."""
        text = model.decode(ids)
        place = place_of(text, self._stop)
        if place is None:
            return text, ids
        self.stopped = True
        # The shortest beginning that tells all of it: a token may reach into the text that ends it.
        count = bisect_left(range(len(ids)), place, key=lambda count: len(model.decode(ids[:count])))
        return text[:place], ids[:count]

    def confidence(self, places: Sequence[int]) -> tuple[float | None, ...] | None:
        """Of the tokens at these offsets of the answer; None where nobody asked."""
        return None if self._sure is None else tuple(map(self._sure.get, places))

    def alternatives(self, places: Sequence[int]) -> tuple[Likeliest | None, ...] | None:
        """The likeliest tokens at these offsets of the answer; None where nobody asked."""
        return None if self._others is None else tuple(map(self._others.get, places))

    def trajectory(
        self, prompt_ids: tuple[int, ...], length: int, counted: Collection[int]
    ) -> Trajectory | None:
        """As ``Commits.trajectory``; None where nobody asked."""
        return None if self._commits is None else self._commits.trajectory(prompt_ids, length, counted)

    def _is_in(self, text: str) -> bool:
        """Whether one of the texts is in this one, which has grown since the last time."""
        place = place_of(text, self._stop, known=self._known)
        self._known = len(text.rstrip(INCOMPLETE))
        return place is not None
