"""What the forwards of a row have computed: how many there were of each kind, and of how many columns."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Computed"]


@dataclass(slots=True, kw_only=True)
class Computed:
    """The work of a row's forwards so far, which grows with each.

    Attributes:
        whole: forwards that read no keys from the cache: they compute every column that they attend to.
        block: forwards that compute the current block and read the others' keys from the cache.
        part: forwards that compute other columns than the block's, such as all from the block on, or a window
            around it, and read the others.
        columns: columns computed in all forwards, each as often as it was; those of further canvases and of
            shadows are among them, and what a device computes to fill a width is not.
    """

    whole: int = 0
    block: int = 0
    part: int = 0
    columns: int = 0

    @property
    def forwards(self) -> int:
        """Forwards of any kind."""
        return self.whole + self.block + self.part

    def count(self, columns: int, *, reads: bool, block: bool) -> None:
        """Count a forward of so many columns: whether it ``reads`` the cache, and whether the columns are
        the ``block``'s."""
        self.columns += columns
        if not reads:
            self.whole += 1
        elif block:
            self.block += 1
        else:
            self.part += 1

    def __add__(self, other: Computed) -> Computed:
        """The work of both."""
        return self._with(other, 1)

    def __sub__(self, other: Computed) -> Computed:
        """What came since ``other``."""
        return self._with(other, -1)

    def _with(self, other: Computed, times: int) -> Computed:
        return Computed(
            whole=self.whole + times * other.whole,
            block=self.block + times * other.block,
            part=self.part + times * other.part,
            columns=self.columns + times * other.columns,
        )
