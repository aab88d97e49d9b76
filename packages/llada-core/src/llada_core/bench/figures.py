"""The figures that are told of a case, and what its samples say of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

from llada_core.bench.samples import Sample

__all__ = ["FIGURES", "Figure", "Spread", "spread"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of a sample by its ``name``; ``heading`` is what stands over it in a table.

    ``better`` says which of two is the better one, None where neither is; ``of`` is None where a sample does
    not tell it.
    """

    name: str
    heading: str
    better: Literal["more", "less"] | None
    of: Callable[[Sample], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure over the samples of a case: in the middle, and how far it goes to both sides."""

    median: float
    least: float
    most: float

    def as_dict(self) -> dict[str, float]:
        return {"median": self.median, "least": self.least, "most": self.most}


def spread(samples: Sequence[Sample], figure: Figure) -> Spread | None:
    """What the samples say of the figure; None where one of them does not tell it, or there is none."""
    values = [figure.of(sample) for sample in samples]
    told = [value for value in values if value is not None]
    if not told or len(told) < len(values):
        return None
    return Spread(median=median(told), least=min(told), most=max(told))


def _ratio(count: float, of: float) -> float | None:
    return count / of if of else None


FIGURES: dict[str, Figure] = {
    figure.name: figure
    for figure in (
        Figure(
            name="tokens_per_second",
            heading="tokens/s",
            better="more",
            of=lambda sample: _ratio(sample.tokens, sample.seconds),
        ),
        Figure(
            name="nfe",
            heading="NFE",
            better="less",
            of=lambda sample: _ratio(sample.row_forwards, len(sample.answers)),
        ),
        Figure(
            name="tokens_per_forward",
            heading="tokens/forward",
            better="more",
            of=lambda sample: _ratio(sample.tokens, sample.row_forwards),
        ),
        Figure(
            name="committed_per_forward",
            heading="committed/forward",
            better="more",
            of=lambda sample: _ratio(sample.committed, sample.row_forwards),
        ),
        Figure(
            name="columns_per_token",
            heading="columns/token",
            better="less",
            of=lambda sample: (
                None if sample.computed is None else _ratio(sample.computed.columns, sample.tokens)
            ),
        ),
        Figure(
            name="ms_per_forward",
            heading="ms/forward",
            better="less",
            of=lambda sample: _ratio(1000 * sample.seconds, sample.forwards),
        ),
        Figure(
            name="rows_in_flight",
            heading="rows in flight",
            better=None,
            of=lambda sample: _ratio(sample.row_forwards, sample.forwards),
        ),
        Figure(
            name="first_text",
            heading="first text",
            better="less",
            of=lambda sample: sample.first_text,
        ),
        Figure(
            name="peak_memory",
            heading="peak memory",
            better="less",
            of=lambda sample: sample.peak_memory,
        ),
        Figure(
            name="accuracy",
            heading="right %",
            better="more",
            of=lambda sample: sample.accuracy,
        ),
    )
}
"""Over the answers of a sample: tokens per second, forwards an answer (NFE), tokens and committed positions
per forward of a row, columns computed per token, milliseconds per forward of the network and rows that take
part in one, median seconds to first text, bytes and percent."""
