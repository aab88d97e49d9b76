"""``drain``: a loop for a program that has all its sequences at once, and wants their steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from llada_core.errors import PromptError
from llada_core.generation.steps import Step
from llada_runtime.decoding.loop import Loop
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.network.protocol import Network

__all__ = ["drain"]


def drain(model: Network, sequences: Iterable[Sequence], *, rows: int) -> Iterator[Step]:
    """Run ``sequences`` to their end, at most ``rows`` at a time, emitting steps as they happen.

    A finished sequence makes room for the next one at once. Closing the iterator stops the work.

    Raises:
        PromptError: a sequence needs more cached columns than there is memory for.
    """
    loop, waiting = Loop(model, rows=rows), deque(sequences)
    while waiting or loop.active:
        while waiting and loop.admit(waiting[0]):
            waiting.popleft()
        if not loop.active:
            raise PromptError(loop.refusal(waiting[0]) or f"rows={rows} leaves no place for a sequence")
        yield from loop.step()
