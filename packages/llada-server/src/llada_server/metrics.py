"""What the server counts, under the names that serving has for it, with the prefix ``llada_``.

Counted in the model's thread; read in the event loop. What is told by algorithm is counted when an answer
ends, with its result. There is no time of a prefill: the first forward of an answer denoises too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from llada_core.generation.results import GenerationResult
from llada_core.generation.steps import Step, Ticket
from llada_server.scheduler.work import Outcome

__all__ = ["Metrics"]

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
_SECONDS_A_TOKEN = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_PER_FORWARD = (0.5, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 32)
_FORWARDS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128)


class Metrics:
    """The figures of one served model.

    Args:
        model: its name, which all figures carry.
    """

    def __init__(self, model: str) -> None:
        self.registry = CollectorRegistry()
        self._model, self._last, self._columns = model, 0.0, 0
        self._rows: dict[Ticket, _Row] = {}
        self._gauges()
        self._counters()
        self._histograms()

    def watch(
        self, *, running: Callable[[], int], accepted: Callable[[], int], columns: int | None = None
    ) -> None:
        """Ask for the gauges whenever they are read.

        Args:
            running, accepted: how many requests are decoded now, and how many have not ended.
            columns: the budget of cached columns, without which their share in use is not known.
        """
        self._running.set_function(running)
        self._waiting.set_function(lambda: max(accepted() - running(), 0))
        if columns is not None:
            share = self._gauge("kv_cache_usage_perc", "Share of the cached columns in use, from 0 to 1.")
            share.set_function(lambda: self._columns / columns)

    def stepped(self, steps: Sequence[Step]) -> None:
        """Count one step of the session."""
        now = time.perf_counter()
        moved = [step for step in steps if step.positions or not step.finished]
        if moved:
            self._steps.inc()
            self._batch.observe(len(moved))
            self._filled.observe(sum(len(step.positions) for step in moved))
        if self._last:
            self._duration.observe(now - self._last)
        self._last = now
        for step in steps:
            row = self._rows.setdefault(step.ticket, _Row())
            row.see(step)
            if step.finished:
                self._end(step, self._rows.pop(step.ticket))
        self._columns = sum(ticket.columns for ticket in self._rows)

    def idle(self) -> None:
        """The model's thread sleeps from now on: the time until the next step is nobody's."""
        self._last = 0.0

    def first_text(self, ticket: Ticket, seconds: float) -> None:
        """Count how long a client waited for the first text of an answer."""
        self._first.labels(self._model, ticket.algorithm).observe(seconds)

    def freed(self, forwards: int) -> None:
        """Count how many more forwards a request took part in after its client had gone."""
        self._freed.observe(forwards)

    def answered(self, outcome: Outcome, seconds: float) -> None:
        """Count a request that was scored, or was not, and how long it took from its arrival."""
        self._scored.labels(self._model, outcome).inc()
        if outcome == "answered":
            self._score.observe(seconds)

    def refused(self, error: Exception) -> None:
        """Count a request that never was a row: it cannot be decoded, or there was no place for it."""
        self._refused.labels(self._model, type(error).__name__).inc()

    def left(self) -> None:
        """Count a request whose client had gone before it was a row."""
        self._ended.labels(self._model, "", "cancelled").inc()

    def over(self, lost: Sequence[Ticket], error: Exception | None) -> None:
        """The model's thread has ended, in the middle of ``lost`` where an ``error`` ended it: nothing is in
        the cache any more."""
        for ticket in lost if error is not None else ():
            self._failed.labels(self._model, ticket.algorithm, type(error).__name__).inc()
        self._rows.clear()
        self._columns = 0
        self.idle()

    def exposition(self) -> bytes:
        """All figures in Prometheus' text format."""
        return generate_latest(self.registry)

    def stats(self) -> dict[str, float]:
        """Every figure by name without prefix, summed over its labels; histograms by count and sum."""
        told: dict[str, float] = {}
        for family in self.registry.collect():
            if family.type == "counter":
                told[f"{family.name}_total"] = 0.0  # which has no sample before its first label
            for sample in family.samples:
                if not sample.name.endswith(("_created", "_bucket")):
                    told[sample.name] = told.get(sample.name, 0.0) + sample.value
        return {name.removeprefix("llada_"): value for name, value in told.items()}

    def _end(self, step: Step, row: _Row) -> None:
        if step.error is not None:
            kind = type(step.error).__name__
            self._failed.labels(self._model, step.ticket.algorithm, kind).inc()
        if step.result is not None:
            self._count(step.result, step, row)
            if step.result.finish_reason != "cancelled":  # those would make the times look short
                self._measure(step.result, row)

    def _count(self, result: GenerationResult, step: Step, row: _Row) -> None:
        model, algorithm = self._model, result.algorithm
        self._prompt.labels(model, algorithm).inc(result.prompt_tokens)
        self._tokens.labels(model, algorithm).inc(result.completion_tokens)
        self._ended.labels(model, algorithm, result.finish_reason).inc()
        self._forwards.labels(model, algorithm).inc(result.nfe)
        self._positions.labels(model, algorithm).inc(step.ticket.gen_length)
        self._committed.labels(model, algorithm).inc(row.committed)

    def _measure(self, result: GenerationResult, row: _Row) -> None:
        labels = (self._model, result.algorithm)
        self._queue.labels(*labels).observe(result.queue_seconds)
        self._decode.labels(*labels).observe(result.seconds)
        self._whole.labels(*labels).observe(result.finished - result.arrived)
        if result.completion_tokens:
            self._between.labels(*labels).observe(result.seconds / result.completion_tokens)
        if result.nfe:
            self._per_forward.labels(*labels).observe(result.tokens_per_forward)
        for forwards in row.forwards_of_blocks():
            self._per_block.labels(*labels).observe(forwards)

    def _gauges(self) -> None:
        self._running = self._gauge("num_requests_running", "Requests that are decoded now.")
        self._waiting = self._gauge("num_requests_waiting", "Requests that wait for room.")
        held = self._gauge("kv_cache_columns", "Cached columns of the requests that are decoded now.")
        held.set_function(lambda: self._columns)

    def _counters(self) -> None:
        many = self._counter
        self._prompt = many("prompt_tokens", "Tokens of prompts of answers.", "algorithm")
        self._tokens = many("generation_tokens", "Tokens of answers, end tokens left out.", "algorithm")
        self._ended = many(
            "request_success", "Answers, by why they ended: stop, length, cancelled.", "algorithm",
            "finished_reason",
        )  # fmt: skip
        self._failed = many(
            "request_failure", "Requests that failed in work, by error.", "algorithm", "error"
        )
        self._refused = many(
            "request_refused",
            "Requests that were refused before they were in work, by error; Full is for want of a place.",
            "error",
        )
        self._scored = many("score_requests", "Scores, by outcome: answered, failed, cancelled.", "outcome")
        self._forwards = many(
            "diffusion_num_denoising_steps", "Forwards of answers, each counted for itself.", "algorithm"
        )
        self._positions = many(
            "diffusion_num_canvas_positions", "Positions of the answers' canvases.", "algorithm"
        )
        self._committed = many(
            "diffusion_num_committed_tokens", "Tokens that forwards put into answers.", "algorithm"
        )
        self._steps = many("steps", "Steps of the model's thread, each shared by its rows.")

    def _histograms(self) -> None:
        many, name = self._histogram, "algorithm"
        self._batch = many("step_batch_size", "Rows of a step.", _ROWS)
        self._filled = many("step_committed_tokens", "Tokens that a step put into all its rows.", _ROWS)
        self._duration = many("step_duration_seconds", "From one step to the next.", _SECONDS)
        self._first = many(
            "time_to_first_token_seconds", "From arrival to the first final text.", _SECONDS, name
        )
        self._score = many("score_latency_seconds", "From arrival to the answer of scores.", _SECONDS)
        told = "Forwards that a request took part in after it was cancelled."
        self._freed = many("forwards_after_cancel", told, (0, 1, 2, 4, 8))
        self._queue = many("request_queue_time_seconds", "From arrival to the first step.", _SECONDS, name)
        self._decode = many("request_decode_time_seconds", "From the first step to the end.", _SECONDS, name)
        self._whole = many("e2e_request_latency_seconds", "From arrival to the end.", _SECONDS, name)
        self._between = many(
            "inter_token_latency_seconds",
            "From the first step to the end, by the tokens of the answer: a mean, as many come at once.",
            _SECONDS_A_TOKEN,
            name,
        )
        self._per_forward = many(
            "tokens_per_forward", "Tokens of an answer by its forwards.", _PER_FORWARD, name
        )
        self._per_block = many(
            "diffusion_forwards_per_block",
            "Forwards while a block was in work; opaque algorithms do not tell.",
            _FORWARDS,
            name,
        )

    def _gauge(self, name: str, told: str) -> Gauge:
        return Gauge(f"llada_{name}", told, ["model_name"], registry=self.registry).labels(self._model)

    def _counter(self, name: str, told: str, *labels: str) -> Counter:
        made = Counter(f"llada_{name}", told, ["model_name", *labels], registry=self.registry)
        return made if labels else made.labels(self._model)

    def _histogram(self, name: str, told: str, buckets: Sequence[float], *labels: str) -> Histogram:
        made = Histogram(
            f"llada_{name}", told, ["model_name", *labels], buckets=buckets, registry=self.registry
        )
        return made if labels else made.labels(self._model)


@dataclass(slots=True)
class _Row:
    """What the steps of one row told so far: how often, and its forwards up to the end of each block."""

    committed: int = 0
    steps: int = 0
    nfe_by_block: dict[int, int] = field(default_factory=dict)

    def see(self, step: Step) -> None:
        """Take in one step."""
        self.committed += len(step.positions)
        self.steps += 1
        if step.positions or not step.finished:  # else it only tells the end
            self.nfe_by_block[step.block] = step.nfe

    def forwards_of_blocks(self) -> list[int]:
        """The forwards of each block; none where one step tells of several forwards."""
        until = [0, *self.nfe_by_block.values()]
        if self.steps == 1 and until[-1] > 1:
            return []
        return [after - before for before, after in pairwise(until)]
