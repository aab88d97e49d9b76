"""A loaded model that decodes by its own code, made safe to call.

That code keeps state on the model (how its layers attend), so a model runs one call at a time, with the state
set before it and put back after it. This module knows how to make a call, not what to ask for.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from llada_core.faults import fault_of, one_line

from .errors import NativeCodeError
from .signature import Entry, Mode, entry_of, unfit_reason

__all__ = ["NativeModel"]

_FLAG = "diffusion_lm"
_ADAPTERS_OFF = "_disable_adapters"  # PEFT's switch, which drafting by LoRA leaves as it needed it last
_TRAINING = ("block_diff", "sbd_block_diff")


class _Locks:
    """One lock a model, shared by all who wrap it, and gone with it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: WeakKeyDictionary[Any, threading.Lock] = WeakKeyDictionary()

    def of(self, model: Any) -> threading.Lock:
        with self._guard:
            return self._locks.setdefault(model, threading.Lock())


_locks = _Locks()
# Torch's generators belong to the process: a draw of one model would shift those of another.
_drawing = threading.Lock()


class NativeModel:
    """A model with its own decoding code, whoever loaded it; a PEFT wrapper is taken off.

    Attributes:
        model: the model itself.
        mask_id: what its config says; None where it says nothing.
    """

    def __init__(self, model: Any) -> None:
        self.model = _unwrapped(model)
        config = getattr(self.model, "config", None)
        given = (_mask(config), _mask(self.model))
        self.mask_id = next((mask for mask in given if mask is not None), None)
        self._paradigm = getattr(config, "dlm_paradigm", None)

    @property
    def device(self) -> torch.device:
        """Where prompts are to be put."""
        return torch.device(getattr(self.model, "device", "cpu"))

    def entry(self, mode: Mode) -> Entry | None:
        """The method for ``mode``, or None; ``unfit_reason`` says why there is none."""
        return entry_of(self.model, mode)

    def unfit_reason(self, mode: Mode) -> str | None:
        """Why the model cannot decode in this mode, ending with the remedy; None where it can."""
        if self._paradigm in _TRAINING:
            return (
                f"it was loaded with dlm_paradigm={self._paradigm!r}, whose attention is for training only; "
                "load it with dlm_paradigm='bidirectional'"
            )
        return unfit_reason(self.model, mode)

    def call(
        self,
        entry: Entry,
        ids: Tensor,
        keywords: Mapping[str, object],
        *,
        bidirectional: bool,
        draws: bool = False,
        seed: int | None = None,
    ) -> Any:
        """What the method returns for prompts ``ids [B, P]``, alone on the model and in inference mode.

        ``draws`` says that it will take random numbers: from a generator of this ``seed``, or where that is
        None from torch's own. Raises ``NativeCodeError`` for whatever the method raises, except that the
        memory is full.
        """
        method: Callable[..., Any] = getattr(self.model, entry.method)
        before = (self.model,) if entry.wants_model else ()
        with (
            _locks.of(self.model),
            self._ready(bidirectional),
            self._random(draws, seed),
            torch.autocast(self.device.type, enabled=False),  # as for a network of ours
            torch.inference_mode(),
        ):
            try:
                return method(*before, ids.to(self.device), **keywords)
            except torch.OutOfMemoryError:
                raise
            except BaseException as exc:  # the model's own code may raise anything
                raise NativeCodeError(
                    f"the model's own {entry.method} failed ({one_line(fault_of(exc))}); "
                    "see its model card for what it takes"
                ) from exc

    @contextlib.contextmanager
    def _ready(self, bidirectional: bool) -> Iterator[None]:
        """Evaluation mode, and each layer attending as asked; put back as it was, adapters too."""
        module = isinstance(self.model, torch.nn.Module)
        switches = ("training", _FLAG, _ADAPTERS_OFF) if module else (_FLAG,)
        before = [
            (part, name, getattr(part, name))
            for part in (self.model.modules() if module else [self.model])
            for name in switches
            if isinstance(getattr(part, name, None), bool)
        ]
        needed = {"training": False, _FLAG: bidirectional}
        for part, name, value in before:
            setattr(part, name, needed.get(name, value))
        try:
            yield
        finally:
            for part, name, value in before:
                setattr(part, name, value)

    @contextlib.contextmanager
    def _random(self, draws: bool, seed: int | None) -> Iterator[None]:
        """Torch's generators to itself, and with a ``seed`` as if newly seeded; put back as they were."""
        if not draws:
            yield
            return
        with _drawing:
            if seed is None:
                yield
                return
            devices = self._cuda_devices()
            with torch.random.fork_rng(devices=devices):
                torch.default_generator.manual_seed(seed)
                for index in devices:
                    torch.cuda.default_generators[index].manual_seed(seed)
                yield

    def _cuda_devices(self) -> list[int]:
        if not isinstance(self.model, torch.nn.Module):
            return []
        return sorted({each.device.index for each in self.model.parameters() if each.is_cuda})


def _unwrapped(model: Any) -> Any:
    """The model inside a PEFT wrapper, whose adapters stay in it; any other as it is."""
    inner = getattr(model, "get_base_model", None)
    return inner() if callable(inner) else model


def _mask(holder: Any) -> int | None:
    """Its mask id; a config class says "none" by a negative one."""
    value = getattr(holder, "mask_token_id", None)
    return value if isinstance(value, int) and value >= 0 else None
