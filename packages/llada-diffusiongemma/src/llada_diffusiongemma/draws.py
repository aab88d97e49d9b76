"""A row's own random numbers, where code draws from torch's own generators."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

__all__ = ["Stream"]

# Torch's generators belong to the process: a draw of one row would shift those of another.
_drawing = threading.Lock()


class Stream:
    """What torch's generators would give if they were seeded for one row alone.

    ``seed`` None takes one from torch's own generator, at the first draw.
    """

    def __init__(self, seed: int | None, device: torch.device) -> None:
        self._seed = seed
        self._gpus = [_index(device)] if device.type == "cuda" else []
        self._states: list[Tensor] | None = None

    @contextmanager
    def drawn_from(self) -> Iterator[None]:
        """Within it torch's generators are where this stream stands; then they are put back as they were.

        The stream goes on only where nothing is raised. One thread at a time.
        """
        with _drawing:
            if self._seed is None:
                self._seed = int(torch.randint(2**62, ()))
            with torch.random.fork_rng(devices=self._gpus):
                self._put()
                yield
                self._states = [torch.get_rng_state(), *map(torch.cuda.get_rng_state, self._gpus)]

    def _put(self) -> None:
        if self._states is not None:
            first, *others = self._states
            torch.set_rng_state(first)
            for gpu, state in zip(self._gpus, others, strict=True):
                torch.cuda.set_rng_state(state, gpu)
            return
        assert self._seed is not None
        torch.default_generator.manual_seed(self._seed)
        for gpu in self._gpus:
            torch.cuda.default_generators[gpu].manual_seed(self._seed)


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index
