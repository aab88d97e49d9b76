"""What the caller of a row wants to know or to happen while it is decoded."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from llada_core.faults import fault_of
from llada_core.generation.jobs import Job
from llada_core.generation.model import Model
from llada_core.generation.results import Likeliest
from llada_core.generation.steps import Step
from llada_core.generation.stops import INCOMPLETE, place_of

__all__ = ["Watch"]


class Watch:
    """The texts that end a row, and how probable each token was.

    Attributes:
        stopped: whether the row was ended by one of the texts.
        fault: what the tokenizer raised while they were looked for; the row ends by it.
    """

    def __init__(self, stop: Sequence[str], *, logprobs: int | None) -> None:
        self._stop = tuple(stop)
        self._sure: dict[int, float] | None = None if logprobs is None else {}
        self._others: dict[int, Likeliest] | None = {} if logprobs else None
        self._settled = self._known = 0
        self.stopped = False
        self.fault: Exception | None = None

    @classmethod
    def of(cls, job: Job) -> Watch | None:
        """What the job asks for; None where that is nothing."""
        return cls(job.stop, logprobs=job.logprobs) if job.stop or job.logprobs is not None else None

    def see(self, step: Step) -> bool:
        """Take note of a step; whether the row is to end now, because a text that ends it cannot change any
        more."""
        if self._sure is not None:
            self._sure.update(zip(step.positions, step.confidence, strict=False))
        if self._others is not None:
            self._others.update(zip(step.positions, step.alternatives, strict=False))
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

    def _is_in(self, text: str) -> bool:
        """Whether one of the texts is in this one, which has grown since the last time."""
        place = place_of(text, self._stop, known=self._known)
        self._known = len(text.rstrip(INCOMPLETE))
        return place is not None
