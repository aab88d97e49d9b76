"""A row's own random numbers, where code draws from torch's global generators."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

__all__ = ["Stream"]

_TENSORS = (
    "bernoulli", "bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "multinomial",
    "normal_", "random_", "uniform_",
)  # fmt: skip
_FUNCTIONS = (
    "bernoulli", "multinomial", "normal", "poisson", "rand", "rand_like", "randint", "randint_like",
    "randn", "randn_like", "randperm",
)  # fmt: skip
# Those that draw and say by `generator` from what; an older torch refuses it for some, and that is an error.
_DRAWING: frozenset[Any] = frozenset(
    chain(
        (getattr(Tensor, name) for name in _TENSORS),
        (getattr(torch, name) for name in _FUNCTIONS),
    )
)


class Stream:
    """What torch's generators would give if they were seeded for one row alone.

    The generators are the row's own: they give what global ones give that are seeded alike, and no other
    thread draws from them or is drawn beside. ``seed`` None takes one from torch's own generator, at the
    first draw.
    """

    def __init__(self, seed: int | None) -> None:
        self._seed = seed
        self._states: dict[torch.device, Tensor] = {}

    @contextmanager
    def drawn_from(self) -> Iterator[None]:
        """Within it whatever this thread draws by torch's functions is of this stream.

        The stream goes on only where nothing is raised. Torch's global generators are left as they are.
        """
        if self._seed is None:
            self._seed = int(torch.randint(2**62, ()))
        drawing = _Drawing(self._seed, self._states)
        with drawing:
            yield
        self._states = drawing.states()


class _Drawing(TorchFunctionMode):
    """Gives functions that draw a generator of their device. Torch keeps it for the thread that enters it."""

    def __init__(self, seed: int, states: Mapping[torch.device, Tensor]) -> None:
        super().__init__()
        self._seed, self._begun = seed, states
        self._generators: dict[torch.device, torch.Generator] = {}

    def states(self) -> dict[torch.device, Tensor]:
        """Where each generator stands now, also those that nothing was drawn from this time."""
        return {**self._begun, **{at: each.get_state() for at, each in self._generators.items()}}

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if func in _DRAWING and given.get("generator") is None:
            given["generator"] = self._generator(_device_of(args, given))
        return func(*args, **given)

    def _generator(self, device: torch.device) -> torch.Generator:
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", torch.cuda.current_device())
        if device not in self._generators:
            generator = torch.Generator(device).manual_seed(self._seed)
            if device in self._begun:
                generator.set_state(self._begun[device])
            self._generators[device] = generator
        return self._generators[device]


def _device_of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> torch.device:
    """Where a function draws: on the device that it is told, or that of what it is given."""
    if kwargs.get("device") is not None:
        return torch.device(kwargs["device"])
    given = (each for each in (*args, *kwargs.values()) if isinstance(each, Tensor))
    first = next(given, None)
    return torch.get_default_device() if first is None else first.device
