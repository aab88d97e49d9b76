"""The values that a row is decoded by, and what transformers' ``generate`` is given for them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from transformers.models.diffusion_gemma.generation_diffusion_gemma import EntropyBoundSamplerConfig

from llada_core import ParameterError

from .config import GemmaConfig
from .plugin import PUBLISHED
from .published import check_told

__all__ = ["canvas_of", "config_of", "defaults_of", "filled", "keywords"]

_guard = threading.Lock()  # of the two below
_usual: dict[int, int] = {}  # of models that write a canvas of another length now, by their ids
_writing: weakref.WeakKeyDictionary[Any, threading.Lock] = weakref.WeakKeyDictionary()


def config_of(model: Any) -> GemmaConfig:
    """What the config of a loaded model says, the length of its own canvases among it."""
    return GemmaConfig.from_dict({**model.config.to_dict(), "canvas_length": _usual_length(model)})


def defaults_of(model: Any) -> dict[str, Any]:
    """What holds on ``model`` where the caller says nothing, by the names of the parameters.

    The checkpoint's ``generation_config.json`` comes first, as for the class itself; the length of a canvas
    is the config's. Raises ``CheckpointError`` where the checkpoint says what no row could be decoded by.
    """
    config = model.generation_config
    told = {name: getattr(config, name, None) for name in PUBLISHED}
    told["gen_length"] = config.max_new_tokens
    told["entropy_bound"] = None if config.sampler_config is None else config.sampler_config.entropy_bound
    check_told(told)
    found = {name: PUBLISHED[name] if value is None else value for name, value in told.items()}
    return {**found, "canvas_length": _usual_length(model)}


def filled(params: Mapping[str, Any], model: Any, *, algorithm: str) -> dict[str, Any]:
    """Effective ``params`` with what ``model`` says where they say none.

    Raises ``ParameterError`` where the temperatures do not fall.
    """
    defaults = defaults_of(model)
    values = {
        name: defaults[name] if value is None and name in defaults else value
        for name, value in params.items()
    }
    if values["t_max"] <= values["t_min"]:
        raise ParameterError(
            f"{algorithm}: t_max={values['t_max']!r} is not above t_min={values['t_min']!r}, and the "
            "temperature falls from one to the other; give a higher t_max or a lower t_min",
            parameter="t_max" if params["t_max"] is not None else "t_min",
            value=values["t_max"] if params["t_max"] is not None else values["t_min"],
        )
    return values


def keywords(values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of ``generate`` for filled ``values``, without lengths and end tokens.

    Everything that a checkpoint's generation config could say is said here, so that nothing of it counts
    unseen: a ``max_length`` would take the place of 256 new tokens, a cache that stays on the model would be
    shared between rows, and padding behind an end is the registry's business.
    """
    return {
        "max_denoising_steps": values["max_denoising_steps"],
        "sampler_config": EntropyBoundSamplerConfig(entropy_bound=values["entropy_bound"]),
        "t_min": values["t_min"],
        "t_max": values["t_max"],
        "stability_threshold": values["stability_threshold"],
        "confidence_threshold": values["confidence_threshold"],
        "max_length": None,
        "pad_token_id": None,
        "cache_implementation": None,
        "return_dict_in_generate": True,
    }


@contextmanager
def canvas_of(model: Any, length: int) -> Iterator[None]:
    """Within it the model's canvases are of this length, which ``generate`` reads in its config; whoever asks
    for the model's own meanwhile, in another thread, is told that. Another thread that would write on the
    same model waits."""
    with _guard:
        alone = _writing.setdefault(model, threading.Lock())
    with alone:
        with _guard:
            before = _usual[id(model)] = model.config.canvas_length
            model.config.canvas_length = length
        try:
            yield
        finally:
            with _guard:
                model.config.canvas_length = _usual.pop(id(model), before)


def _usual_length(model: Any) -> int:
    """The length of the model's canvases, whatever is asked of it right now."""
    with _guard:
        return int(_usual.get(id(model), model.config.canvas_length))
