"""Every error this project raises for a caller's mistake or a missing part, as one tree.

    LladaError
    ├── UsageError (also ValueError)            the call itself is wrong; exit status 2
    │   ├── UnknownAlgorithm (also KeyError)      .name .candidates
    │   ├── UnknownEngine (also KeyError)         .name .candidates
    │   ├── UnknownPart (also KeyError)           .name .candidates .kind: "rule" or "policy"
    │   ├── IncompatibleAlgorithm                 .name .engine .candidates; it runs on other models
    │   ├── ModelNotReady                         for now: it sleeps, or its weights are being exchanged
    │   ├── ParameterError                        .parameter .value
    │   └── PromptError                           empty, too long, holds the mask token, or is of a wrong kind
    ├── Unavailable                             it exists but cannot run here; .name .reason
    │   ├── AlgorithmUnavailable
    │   ├── EngineUnavailable
    │   └── PartUnavailable                       .kind
    ├── ModelError                              .path
    │   ├── ModelNotFound                         no such folder, hub id or config.json
    │   ├── ModelLoadError                        .reason; the files are there and wrong
    │   ├── UnsupportedModel                      .model_type .candidates; no engine takes it
    │   ├── IncompatibleEngine                    .engine .candidates; that engine does not take it
    │   └── TokenizerMissing                      ids can be decoded, text cannot
    ├── CheckpointError (also ValueError)       config.json or weights that no network can be made of
    │   └── UnsupportedArchitecture               they describe a model that it does not implement
    ├── GenerationError                         .algorithm .distribution .row .results; a row failed in work
    │   ├── ContractError                         its algorithm returned what the contract does not allow
    │   ├── NoProgress                            it keeps nothing, forward after forward
    │   └── NumericalError (also ArithmeticError)  its logits are NaN
    ├── PluginError                             .plugin .reason .dist; raised only under LLADA_STRICT_PLUGINS
    │   └── PluginConflict                        .name .dist .other: two claim one name
    └── InvalidSpec (also ValueError)           a spec that contradicts itself

Each message ends with what to do next. ``load_model`` raises a ``CheckpointError`` of the network as
``ModelLoadError``, with the path that was asked for.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from llada_core.imports import LazyModule

if TYPE_CHECKING:
    from llada_core import portable
else:
    portable = LazyModule("llada_core.portable")  # it brings pickle along

__all__ = [
    "AlgorithmUnavailable",
    "CheckpointError",
    "ContractError",
    "EngineUnavailable",
    "GenerationError",
    "IncompatibleAlgorithm",
    "IncompatibleEngine",
    "InvalidSpec",
    "LladaError",
    "ModelError",
    "ModelLoadError",
    "ModelNotFound",
    "ModelNotReady",
    "NoProgress",
    "NumericalError",
    "ParameterError",
    "PartUnavailable",
    "PluginConflict",
    "PluginError",
    "PromptError",
    "TokenizerMissing",
    "Unavailable",
    "UnknownAlgorithm",
    "UnknownEngine",
    "UnknownPart",
    "UnsupportedArchitecture",
    "UnsupportedModel",
    "UsageError",
]


class LladaError(Exception):
    """The root of the tree: catch it to catch everything this project raises on purpose.

    Errors can be copied and pickled: message, data, notes and cause go along. What of these another process
    cannot hold arrives there as text.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        return portable.reduced(self, LladaError)

    def __copy__(self) -> Self:
        carried = dict(self.__dict__)
        if "__notes__" in carried:
            carried["__notes__"] = list(carried["__notes__"])  # a note on the one is none on the other
        return self._again(self.args, carried)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        carried = {name: _deep_copy(value, memo) for name, value in self.__dict__.items()}
        return self._again(tuple(_deep_copy(arg, memo) for arg in self.args), carried)

    def _again(self, args: tuple[Any, ...], carried: dict[str, Any]) -> Self:
        error = type(self).__new__(type(self), *args)
        error.args = args
        error.__dict__.update(carried)
        error.__cause__, error.__suppress_context__ = self.__cause__, self.__suppress_context__
        return error


def _deep_copy(value: object, memo: dict[int, Any]) -> object:
    """A copy of ``value``, or itself where it has none: that must not cost its error."""
    with contextlib.suppress(Exception):
        return copy.deepcopy(value, memo)
    return value


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


class UnknownPart(_UnknownName):
    """No rule, or no policy, as ``kind`` says, has this name or alias; ``candidates`` are the closest."""

    def __init__(self, message: str, *, name: str, kind: str, candidates: Iterable[str] = ()) -> None:
        super().__init__(message, name=name, candidates=candidates)
        self.kind = kind


class IncompatibleAlgorithm(UsageError):
    """The algorithm runs on models of its ``engine`` and not on this one; ``candidates`` do."""

    def __init__(self, message: str, *, name: str, engine: str, candidates: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.name = name
        self.engine = engine
        self.candidates = tuple(candidates)


class ModelNotReady(UsageError):
    """A loaded model takes no requests for now: it sleeps, or has no weights of one round."""


class ParameterError(UsageError):
    """A decoding parameter is unknown to the algorithm, of the wrong type or out of range."""

    def __init__(self, message: str, *, parameter: str, value: Any = None) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.value = value


class PromptError(UsageError):
    """The prompt is empty, longer than the model allows, contains the mask token, or is of a wrong kind."""

    @classmethod
    @contextlib.contextmanager
    def placed(cls, source: str) -> Iterator[None]:
        """Say of one that is raised inside where its prompt stands; an empty ``source`` is nowhere."""
        try:
            yield
        except cls as exc:
            if not source:
                raise
            raise cls(f"{source}: {exc}") from exc


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


class PartUnavailable(Unavailable):
    """The rule or policy, as ``kind`` says, is installed but something it needs is missing."""

    def __init__(self, message: str, *, name: str, reason: str, kind: str) -> None:
        super().__init__(message, name=name, reason=reason)
        self.kind = kind


class ModelError(LladaError):
    """A checkpoint cannot be used; ``path`` is what was asked for."""

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class ModelNotFound(ModelError):
    """There is no such folder, hub id or wheel, or it holds no ``config.json``."""


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


class CheckpointError(LladaError, ValueError):
    """No network can be made of these files; the message names the file, field or tensor and the remedy."""


class UnsupportedArchitecture(CheckpointError):
    """``config.json`` asks for an architecture, or a variant of one, that this network does not implement."""


class GenerationError(LladaError):
    """A row failed while it was decoded; its cause is chained, and its neighbours were not disturbed.

    ``algorithm`` and ``distribution`` say whose code it ran, ``row`` which prompt of the call it was, from 0;
    each is None where that is not known. ``results`` are those of all rows of a call that had several, None
    where a row failed.
    """

    def __init__(
        self,
        message: str,
        *,
        algorithm: str | None = None,
        distribution: str | None = None,
        row: int | None = None,
    ) -> None:
        super().__init__(message)
        self.algorithm = algorithm
        self.distribution = distribution
        self.row = row
        self.results: tuple[Any, ...] = ()


class ContractError(GenerationError):
    """An algorithm, rule or policy returned what its contract does not allow; the message says what and
    where."""


class NoProgress(GenerationError):
    """The row's rule or policy went on for many forwards and no position was filled."""


class NumericalError(GenerationError, ArithmeticError):
    """The network's logits are NaN, so no token can be chosen."""


class PluginError(LladaError):
    """A plugin could not be used; raised only when ``LLADA_STRICT_PLUGINS`` is set."""

    def __init__(self, message: str, *, plugin: str, reason: str, dist: str | None = None) -> None:
        super().__init__(message)
        self.plugin = plugin
        self.reason = reason
        self.dist = dist


class PluginConflict(PluginError):
    """Two plugins claim one name, or mean different things by a parameter's; the newcomer (``dist``) is
    dropped."""

    def __init__(self, message: str, *, plugin: str, name: str, dist: str | None, other: str) -> None:
        super().__init__(message, plugin=plugin, reason=message, dist=dist)
        self.name = name
        self.other = other


class InvalidSpec(LladaError, ValueError):
    """A spec, such as an ``EngineSpec`` or a ``RuleSpec``, or a ``Parameter`` contradicts itself."""
