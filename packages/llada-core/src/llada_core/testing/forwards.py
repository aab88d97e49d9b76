"""How often a network is really asked, whatever is said of it; and an end to what asks it for ever. Torch is
not needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llada_core.faults import fault_of

__all__ = ["ENDS", "Counted", "Endless", "counted", "most_forwards"]

ENDS = "it ends within a bounded number of forwards"
_ASKED_BY = ("logits", "forward")
_OF_UNTOLD_LENGTH = 1024


class Endless(AssertionError):
    """It was stopped, as it asked its network more often than any answer needs; ends with what to do."""

    check = ENDS


def most_forwards(gen_length: int | None, *, rows: int = 1) -> int:
    """The forwards that as many answers of this length may take, one after the other."""
    return rows * (8 * (_OF_UNTOLD_LENGTH if gen_length is None else gen_length) + 64)


class Counted:
    """How often a network was asked: ``forwards``, 0 where nothing of it can be seen."""

    def __init__(self, most: int) -> None:
        self.forwards, self.most, self._depth = 0, most, 0

    def watching(self, method: Callable[..., Any]) -> Callable[..., Any]:
        """``method``, each call of which counts, but for those within another one's."""

        def asked(*arguments: Any, **keywords: Any) -> Any:
            self.forwards += self._depth == 0
            self.check()
            self._depth += 1
            try:
                return method(*arguments, **keywords)
            finally:
                self._depth -= 1

        return asked

    def check(self) -> None:
        """Raise ``Endless`` beyond ``most``."""
        if self.forwards > self.most:
            raise Endless(
                f"it was stopped after {self.most} forwards, more than each token's eight and 64; let each "
                "keep something"
            )


@contextmanager
def counted(network: Any, most: int) -> Iterator[Counted]:
    """Within it the calls of the network's ``logits`` and ``forward`` count, and more than ``most`` fail.

    Raises ``Endless`` then, whatever became of it on its way.
    """
    count, before = Counted(most), dict(getattr(network, "__dict__", {}))
    watched = [name for name in _ASKED_BY if _watch(network, name, count)]
    try:
        yield count
        count.check()
    except BaseException as exc:  # an algorithm may raise anything
        fault_of(exc)
        count.check()  # it is the reason of what is raised
        raise
    finally:
        for name in watched:
            if name in before:
                setattr(network, name, before[name])
            else:
                delattr(network, name)


def _watch(network: Any, name: str, count: Counted) -> bool:
    """Whether the method is there, and the object lets it be replaced."""
    method = getattr(network, name, None)
    if not callable(method):
        return False
    try:
        setattr(network, name, count.watching(method))
    except (AttributeError, TypeError):
        return False
    return True
