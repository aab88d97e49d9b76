"""``Subject``: an algorithm that is checked, the model that it runs on, and what it decoded so far.

What several checks need is made once. Where that fails, the check whose business it is fails, and the others
are not run.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from llada_core import registry
from llada_core.checkpoints.hub import read_config
from llada_core.checkpoints.options import LoadOptions
from llada_core.detection import detect_config
from llada_core.errors import LladaError, UsageError
from llada_core.faults import fault_of, one_line
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.model import Model
from llada_core.imports import LazyModule
from llada_core.loading import embedded_model
from llada_core.plugins.info import EngineInfo
from llada_core.testing.checks import NotRun
from llada_core.testing.forwards import Endless

if TYPE_CHECKING:
    from llada_core.testing import decoding, runs, sharing
else:
    decoding = LazyModule("llada_core.testing.decoding")  # they need torch
    runs = LazyModule("llada_core.testing.runs")
    sharing = LazyModule("llada_core.testing.sharing")

__all__ = ["REPEATS", "Given", "Once", "Subject", "model_for", "object_of"]

REPEATS = "the same request twice has the same answer"

_T = TypeVar("_T")
Given = str | GenerationAlgorithm | type[GenerationAlgorithm]


class Once(Generic[_T]):
    """What ``make`` returns, or raises, made once; ``of`` says which check tells of a failure."""

    def __init__(self, make: Callable[[], _T], *, of: str) -> None:
        self._make, self._of = make, of
        self._made: list[_T] = []
        self._failure: Exception | None = None

    def check(self) -> _T:
        """It, or its failure: for the check whose business it is."""
        if self._failure is None and not self._made:
            try:
                self._made.append(self._make())
            except BaseException as exc:  # an algorithm may raise anything
                self._failure = fault_of(exc)
        if self._failure is not None:
            raise self._failure
        return self._made[0]

    @property
    def holds(self) -> bool:
        """Whether it is made, or cannot be told to fail."""
        try:
            self.check()
        except NotRun:
            return True
        except Exception:
            return False
        return True

    def get(self) -> _T:
        """It, for all other checks. Raises ``NotRun``."""
        try:
            return self.check()
        except NotRun:
            raise
        except Exception as exc:
            failed = exc.check if isinstance(exc, Endless) else self._of
            raise NotRun(f"it needs what failed: {failed}") from exc


class Subject:
    """An algorithm under test.

    Args:
        algorithm: the name of a registered one, an object, or a class, of which one is made.
        model: a loaded network, or the folder, hub id or wheel of a checkpoint. None is the model that the
            object has loaded, or else the embedded checkpoint (llada-tiny) where the engine takes it.
        prompts: token ids, some of different lengths; None makes three up.
        params: of ``generate``; where ``gen_length`` is taken and not given, it is 40, and a ``seed``
            is given where one is taken.
        trust_remote_code: run the code that comes with the checkpoint.

    Raises:
        UsageError: this is no algorithm, or no object of the class can be made.
        UnknownAlgorithm: there is none of this name.
    """

    def __init__(
        self,
        algorithm: Given,
        *,
        model: Any = None,
        prompts: Sequence[Sequence[int]] | None = None,
        params: Mapping[str, Any] | None = None,
        trust_remote_code: bool = False,
    ) -> None:
        self._algorithm, self.algorithm = algorithm, object_of(algorithm)
        self.registered = isinstance(algorithm, str)
        self.name = self.algorithm.name or type(self.algorithm).__name__
        self.prompts, self.params = prompts, dict(params or {})
        self._given, self._trust = model, trust_remote_code
        self.loading = Once(self._load, of="it loads its model")
        self.own: tuple[Once[Any], ...] = ()
        self.deciding = Once(self._decide, of="it generates")
        self.returning = Once(lambda: decoding.check_runs(self), of="what generate returns")
        self.repeating = Once(lambda: sharing.check_repeats(self), of=REPEATS)

    @property
    def info(self) -> Any:
        """What the registry says of it; None for one that is not registered."""
        return registry.get_algorithm_info(self.name) if self.registered else None

    @property
    def engine(self) -> EngineInfo | None:
        """Its engine, where the registry has it."""
        name = self.algorithm.engine
        return registry.get_engine(name) if name in registry.list_engines() else None

    @property
    def renewable(self) -> bool:
        """Whether another object can be made of what was given, a name or a class."""
        return isinstance(self._algorithm, str | type)

    def fresh(self) -> GenerationAlgorithm:
        """Another object of the same algorithm, holding the same model. Raises ``NotRun`` where an object
        was given."""
        if not self.renewable:
            raise NotRun("one object was given, and no other can be made of it; give its name, or its class")
        other, loaded = object_of(self._algorithm), self.model
        other.model, other.tokenizer, other.model_path = loaded.network, loaded.tokenizer, loaded.path
        return other

    @property
    def loaded(self) -> Any:
        """The network that it loaded, whether it runs on it or not. Raises ``NotRun``."""
        try:
            return self.loading.get()
        except NotRun as exc:
            raise NotRun("there is no model to run it on: see why at 'it loads its model'") from exc

    @property
    def network(self) -> Any:
        """The network that it runs on. Raises ``NotRun``."""
        reason = self.algorithm.why_unfit(self.loaded)
        if reason is not None:
            raise NotRun(f"it does not run on this model: {reason}")
        return self.loaded

    @property
    def model(self) -> Model:
        """The network with its tokenizer. Raises ``NotRun``."""
        return Model.of(self.network, self.algorithm.tokenizer, path=self.algorithm.model_path)

    def _decide(self) -> Any:
        """What it generates. Raises ``NotRun`` where it cannot, and a check of its ``own`` says why."""
        try:
            return runs.runs_of(self)
        except NotRun:
            raise
        except Exception:
            for check in self.own:
                if not check.holds:
                    check.get()
            raise

    def _load(self) -> Any:
        """The network. Raises ``NotRun`` where nothing says which, and what loading raises."""
        if not self.algorithm.is_available():
            raise NotRun("it cannot run here")
        given = self._given if self._given is not None else self.algorithm.model
        if given is not None and not isinstance(given, str | os.PathLike):
            return given
        path = model_for(self.engine) if given is None else given
        options = LoadOptions(device="cpu", dtype="float32", trust_remote_code=self._trust)
        try:
            return self.algorithm.load_checkpoint(path, options)
        except BaseException as exc:  # an algorithm may raise anything
            told = one_line(fault_of(exc))
            if given is None and (self.engine is None or not _declares(self.engine)):
                raise NotRun(f"the embedded model is none of its: {told}; give a model") from exc
            advice = "mend how it loads, or give model=, a network or the folder of a checkpoint"
            raise AssertionError(f"{told}; {advice}") from exc


def model_for(engine: EngineInfo | None) -> str:
    """The folder of the embedded model, where ``engine`` takes it (None: whatever takes it).

    Raises ``NotRun``.
    """
    try:
        path = embedded_model()
        if engine is not None:
            detect_config(read_config(path), engine=engine.name)
    except LladaError as exc:
        raise NotRun(f"no model is given, and {exc}; give a model (--model)") from exc
    return path


def _declares(engine: EngineInfo) -> bool:
    return bool(engine.spec.model_types or engine.spec.architectures)


def object_of(algorithm: object) -> GenerationAlgorithm:
    """The object that a name, a class or an object of an algorithm stands for. Raises ``UsageError``."""
    if isinstance(algorithm, str):
        return registry.get_algorithm(algorithm)
    made = algorithm
    if isinstance(algorithm, type):
        try:
            made = algorithm()
        except Exception as exc:
            raise UsageError(f"{algorithm.__name__}() failed: {one_line(exc)}; give an object of it") from exc
    if not isinstance(made, GenerationAlgorithm):
        raise UsageError(
            f"{reprlib.repr(algorithm)} is no algorithm; give a name, or a GenerationAlgorithm or its class"
        )
    return made
