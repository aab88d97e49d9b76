"""Every error this project raises for a caller's mistake or a missing part, as one tree.

    LladaError
    ├── UsageError (also ValueError)            the call itself is wrong; exit status 2
    │   ├── UnknownAlgorithm (also KeyError)      .name .candidates
    │   ├── UnknownEngine (also KeyError)         .name .candidates
    │   ├── ParameterError                        .parameter .value
    │   └── PromptError                           empty, too long, or holds the mask token
    ├── Unavailable                             it exists but cannot run here; .name .reason
    │   ├── AlgorithmUnavailable
    │   └── EngineUnavailable
    ├── ModelError                              .path
    │   ├── ModelNotFound                         no such folder, hub id or config.json
    │   ├── ModelLoadError                        .reason; the files are there and wrong
    │   ├── UnsupportedModel                      .model_type .candidates; no engine takes it
    │   ├── IncompatibleEngine                    .engine .candidates; that engine does not take it
    │   └── TokenizerMissing                      ids can be decoded, text cannot
    ├── PluginError                             .plugin .reason .dist; raised only under LLADA_STRICT_PLUGINS
    │   └── PluginConflict                        .name .dist .other: two claim one name
    └── InvalidSpec (also ValueError)           a spec that contradicts itself

Each message ends with what to do next. The runtime, which does not know this package, has a small tree of its
own, ``llada_runtime.RuntimeFault``: callers of ``algorithm.generate`` see it if they pass tensors that do not
fit. ``load_model`` and ``LoadedModel`` check before, and raise errors of this tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = [
    "AlgorithmUnavailable",
    "EngineUnavailable",
    "IncompatibleEngine",
    "InvalidSpec",
    "LladaError",
    "ModelError",
    "ModelLoadError",
    "ModelNotFound",
    "ParameterError",
    "PluginConflict",
    "PluginError",
    "PromptError",
    "TokenizerMissing",
    "Unavailable",
    "UnknownAlgorithm",
    "UnknownEngine",
    "UnsupportedModel",
    "UsageError",
]


class LladaError(Exception):
    """The root of the tree: catch it to catch everything this project raises on purpose."""


class UsageError(LladaError, ValueError):
    """The call is wrong and another call would be right."""


class _UnknownName(UsageError, KeyError):
    def __init__(self, message: str, *, name: str, candidates: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.name = name
        self.candidates = tuple(candidates)

    __str__ = Exception.__str__  # KeyError would print the repr


class UnknownAlgorithm(_UnknownName):
    """No algorithm or alias has this name; ``candidates`` are the closest that do."""


class UnknownEngine(_UnknownName):
    """No engine or alias has this name; ``candidates`` are the closest that do."""


class ParameterError(UsageError):
    """A decoding parameter is unknown to the algorithm, of the wrong type or out of range."""

    def __init__(self, message: str, *, parameter: str, value: Any = None) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.value = value


class PromptError(UsageError):
    """The prompt is empty, longer than the model allows, or contains the mask token."""


class Unavailable(LladaError):
    """Known here, and unable to run here; ``reason`` says why and ends with the remedy."""

    def __init__(self, message: str, *, name: str, reason: str) -> None:
        super().__init__(message)
        self.name = name
        self.reason = reason


class AlgorithmUnavailable(Unavailable):
    """The algorithm is registered but something it needs is missing."""


class EngineUnavailable(Unavailable):
    """The engine is registered but something it needs is missing."""


class ModelError(LladaError):
    """A checkpoint cannot be used; ``path`` is the folder or hub id that was asked for."""

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class ModelNotFound(ModelError):
    """There is no such folder or hub id, or it holds no ``config.json``."""


class ModelLoadError(ModelError):
    """The checkpoint was found and could not be loaded."""

    def __init__(self, message: str, *, path: str, reason: str) -> None:
        super().__init__(message, path=path)
        self.reason = reason


class UnsupportedModel(ModelError):
    """No installed engine takes this kind of model; ``candidates`` are engines or wheels that might."""

    def __init__(
        self, message: str, *, path: str, model_type: str | None, candidates: Iterable[str] = ()
    ) -> None:
        super().__init__(message, path=path)
        self.model_type = model_type
        self.candidates = tuple(candidates)


class IncompatibleEngine(ModelError):
    """The engine that was asked for does not take this model; ``candidates`` are those that do."""

    def __init__(self, message: str, *, path: str, engine: str, candidates: Iterable[str] = ()) -> None:
        super().__init__(message, path=path)
        self.engine = engine
        self.candidates = tuple(candidates)


class TokenizerMissing(ModelError):
    """The checkpoint has no tokenizer: generate from token ids, or add the tokenizer's files."""


class PluginError(LladaError):
    """A plugin could not be used; raised only when ``LLADA_STRICT_PLUGINS`` is set."""

    def __init__(self, message: str, *, plugin: str, reason: str, dist: str | None = None) -> None:
        super().__init__(message)
        self.plugin = plugin
        self.reason = reason
        self.dist = dist


class PluginConflict(PluginError):
    """Two plugins claim one engine or algorithm name; the newcomer (``dist``) is dropped."""

    def __init__(self, message: str, *, plugin: str, name: str, dist: str | None, other: str) -> None:
        super().__init__(message, plugin=plugin, reason=message, dist=dist)
        self.name = name
        self.other = other


class InvalidSpec(LladaError, ValueError):
    """An ``EngineSpec``, ``AlgorithmSpec`` or ``Parameter`` contradicts itself."""


def one_line(exc: BaseException) -> str:
    """``exc`` as one line of at most 300 characters: its type and what it says."""
    said = " ".join(str(exc).split())
    return f"{type(exc).__name__}: {said}"[:300] if said else type(exc).__name__
