"""The checks of an engine: it can run, loads its models, and its algorithms share them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from llada_core import registry
from llada_core.checkpoints.hub import read_config
from llada_core.checkpoints.options import LoadOptions
from llada_core.detection import detect_config
from llada_core.imports import LazyModule
from llada_core.loading import LoadedModel, load_on
from llada_core.plugins.info import EngineInfo
from llada_core.testing.checks import Check, NotRun
from llada_core.testing.subject import Once, model_for

if TYPE_CHECKING:
    from llada_core.testing import loaded
else:
    loaded = LazyModule("llada_core.testing.loaded")  # needs torch

__all__ = ["config_for", "engine_checks"]


def config_for(engines: list[str], model: str | None) -> Mapping[str, Any] | None:
    """The config of ``model``, or of the embedded one where the first of ``engines`` takes that; None where
    there is none."""
    if not engines:
        return None
    try:
        path = model if model is not None else model_for(registry.get_engine(engines[0]))
    except NotRun:
        return None
    return read_config(path).fields


def engine_checks(name: str, *, model: str | None = None, trust_remote_code: bool = False) -> Iterator[Check]:
    """The checks of the engine of this name. Raises ``UnknownEngine``."""
    info = registry.get_engine(name)
    options = LoadOptions(device="cpu", dtype="float32", trust_remote_code=trust_remote_code)
    path = Once(lambda: model_for(info) if model is None else model, of="a model is there")
    able = Once(lambda: _can_run(info.name), of="the engine can run here")
    lm = Once(lambda: _loaded(able, info, path.check(), options), of="the engine loads its model")
    running = Once(lambda: loaded.agrees(lm.get()), of="its algorithms run as lm.algorithms() says")
    yield "the engine can run here", able.check
    yield "its default algorithm is one of its own", lambda: _has_its_default(info.name)
    yield "its model is detected as its own", lambda: _is_detected(info.name, path.get())
    yield "the engine loads its model", lm.check
    yield "its algorithms run as lm.algorithms() says", running.check
    yield "rows of all its algorithms share a session", lambda: _shares(running, lm)
    yield (
        "a load_network that is overridden is what loads",
        lambda: loaded.honours_load(lm.get(), path.get(), options),
    )


def _loaded(able: Once[None], info: EngineInfo, path: str, options: LoadOptions) -> LoadedModel:
    able.get()
    return load_on(info, path, options)


def _shares(running: Once[None], lm: Once[LoadedModel]) -> None:
    running.get()
    loaded.shares(lm.get())


def _can_run(name: str) -> None:
    reason = registry.diagnose_engine(name)
    assert reason is None, reason


def _has_its_default(name: str) -> None:
    info = registry.get_engine(name)
    default = registry.get_algorithm_info(info.default_algorithm)
    assert default.engine == name, (
        f"its default {default.name} is an algorithm of {default.engine}; name one of its own"
    )
    assert default.default, (
        f"{default.name} is not known as the default of {name}; name it in default_algorithm"
    )


def _is_detected(name: str, path: str) -> None:
    found = detect_config(read_config(path), check=False)
    names = [each.engine for each in found.candidates if each.installed]
    spec = registry.get_engine(name).spec
    if not spec.model_types and not spec.architectures and name not in names:
        raise NotRun("it declares no models, and is taken at its user's word")
    assert name in names, (
        f"{path} is taken by {', '.join(names) or 'nobody'} and not by {name}; list its model_type in the "
        "spec, or answer for it in llada_detect_engine"
    )
