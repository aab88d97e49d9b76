"""What an algorithm offers that yields its steps, as structure: core does not import the runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

__all__ = ["RowSequence", "RowStep", "SupportsSteps"]


class RowSequence(Protocol):
    """One row in work. ``canvas`` is prompt and answer, with the mask's id where a mask still stands.

    What follows the ``gen_length`` columns of the answer is the row's own business.
    """

    @property
    def prompt_length(self) -> int: ...
    @property
    def gen_length(self) -> int: ...
    @property
    def nfe(self) -> int: ...
    @property
    def finished(self) -> bool: ...
    @property
    def canvas(self) -> Sequence[int]: ...
    def cancel(self) -> None:
        """Make the row leave after the step in flight."""


class RowStep(Protocol):
    """What one forward committed to one row; ``positions`` are offsets into the answer, below its length."""

    @property
    def sequence(self) -> Any: ...
    @property
    def block(self) -> int: ...
    @property
    def positions(self) -> Sequence[int]: ...
    @property
    def tokens(self) -> Sequence[int]: ...
    @property
    def confidence(self) -> Sequence[float]: ...
    @property
    def nfe(self) -> int: ...
    @property
    def finished(self) -> bool: ...


@runtime_checkable
class SupportsSteps(Protocol):
    """An algorithm whose rows can share forwards, be watched and be cancelled.

    Rows of different algorithms may share one call of ``steps`` where their classes share that function.
    """

    def sequence(self, model: Any, prompt_ids: list[int], params: Mapping[str, object]) -> Any:
        """A row ready to run: ``params`` are effective values; no forward is run."""

    def steps(self, model: Any, sequences: list[Any]) -> Iterator[Any]:
        """The steps of all rows until each is finished; closing the iterator stops the work."""
