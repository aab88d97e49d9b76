"""Every error of ours can be copied and sent to another process, with its message, data, notes and cause."""

from __future__ import annotations

import contextlib
import copy
import importlib
import multiprocessing
import pickle
import pkgutil
import reprlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

import llada_core
from llada_core import (
    GenerationError,
    LladaError,
    ModelLoadError,
    NumericalError,
    ParameterError,
    PluginConflict,
    UnknownAlgorithm,
)
from llada_core.testing import ConformanceError, Failure

PACKAGES = ("llada_core", "llada_runtime", "llada_fastdllm", "llada_dinfer", "llada_nemotron")


def of_the_tree(kind: type[LladaError] = LladaError) -> Iterator[type[LladaError]]:
    """The root and all that derives from it, in our packages, private ones too."""
    if kind.__module__.partition(".")[0] in PACKAGES:
        yield kind
    for below in kind.__subclasses__():
        yield from of_the_tree(below)


def import_all() -> None:
    """Import every module of ours that can be: an error may be defined anywhere."""
    for name in PACKAGES:
        with contextlib.suppress(ImportError):
            package = importlib.import_module(name)
            for module in pkgutil.walk_packages(package.__path__, f"{name}."):
                if not module.name.endswith("__main__"):
                    importlib.import_module(module.name)


@pytest.fixture(scope="module")
def every() -> list[type[LladaError]]:
    import_all()
    return sorted(set(of_the_tree()), key=lambda kind: kind.__qualname__)


WAYS: dict[str, Callable[[Any], Any]] = {
    "pickled": lambda error: pickle.loads(pickle.dumps(error)),
    "copied": copy.copy,
    "deeply copied": copy.deepcopy,
}


def made(kind: type[LladaError]) -> LladaError:
    """An error of this class with a message and data of every kind, whatever its ``__init__`` asks for."""
    error = kind.__new__(kind, "what is wrong; what to do")
    error.args = ("what is wrong; what to do",)
    error.__dict__.update(name="x", candidates=("a", "b"), row=3, value={"deep": [1, 2]}, results=(None, 1))
    error.add_note("2 of 3 rows failed")
    error.__cause__ = ValueError("why")
    return error


def facts(error: BaseException) -> Any:
    cause = error.__cause__
    return type(error), str(error), error.args, error.__dict__, type(cause), str(cause)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_every_error_survives(every: list[type[LladaError]], way: Callable[[Any], Any]) -> None:
    for error in map(made, every):
        assert facts(way(error)) == facts(error)
        assert facts(way(way(error))) == facts(error)


def test_the_tree_was_walked(every: list[type[LladaError]]) -> None:
    assert {"GenerationError", "NativeCodeError", "UnknownEngine"} <= {kind.__name__ for kind in every}
    assert {getattr(llada_core.errors, name) for name in llada_core.errors.__all__} <= set(every)


class Stubborn(Exception):
    """As those of many libraries: it cannot be made again from its ``args``."""

    def __init__(self, *, response: str) -> None:
        super().__init__(f"the server said {response}")


class Locked(Exception):
    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.lock = threading.Lock()


@pytest.mark.parametrize("cause", [Stubborn(response="no"), Locked("held")], ids=repr)
def test_a_cause_that_cannot_travel_is_a_note(cause: Exception) -> None:
    error = GenerationError("x failed", row=1)
    error.__cause__ = cause
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.row, again.__cause__) == ("x failed", 1, None)
    assert again.__notes__ == [f"caused by {type(cause).__name__}: {cause}"]
    assert copy.copy(error).__cause__ is copy.deepcopy(error).__cause__ is cause


@pytest.mark.parametrize(
    "value", [threading.Lock(), lambda: 1, (x for x in "a")], ids=lambda v: type(v).__name__
)
def test_a_value_that_cannot_travel_is_told(value: Any) -> None:
    error = ParameterError("threshold cannot be that", parameter="threshold", value=value)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.parameter) == ("threshold cannot be that", "threshold")
    assert again.value == reprlib.repr(value)
    assert copy.copy(error).value is value
    assert copy.deepcopy(error).parameter == "threshold"


def test_an_error_of_a_class_that_cannot_be_imported_arrives_as_its_base() -> None:
    class Local(NumericalError):
        """Defined in a function."""

    again = pickle.loads(pickle.dumps(Local("NaN", algorithm="x")))
    assert (type(again), str(again), again.algorithm) == (NumericalError, "NaN", "x")


def test_a_note_on_a_copy_is_none_on_the_original() -> None:
    error = made(GenerationError)
    copy.copy(error).add_note("more")
    assert error.__notes__ == ["2 of 3 rows failed"]


def test_the_findings_of_the_conformance_kit_survive() -> None:
    error = ConformanceError("widest", [Failure(check="it generates", problem="it does not; mend it")])
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.subject, again.failures) == (str(error), "widest", error.failures)


def raise_it(kind: str) -> None:
    if kind == "unknown":
        llada_core.get_algorithm("no_such_algorithm")
    if kind == "parameter":
        raise ParameterError("no; give 1", parameter="steps", value=-1)
    if kind == "model":
        raise ModelLoadError("no", path="p", reason="r") from Stubborn(response="404")
    if kind == "conflict":
        raise PluginConflict("two", plugin="p", name="n", dist=None, other="o")


def test_a_pool_of_processes_hands_errors_on() -> None:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        caught = {}
        for kind in ("unknown", "parameter", "model", "conflict"):
            with pytest.raises(LladaError) as raised:
                pool.submit(raise_it, kind).result(timeout=60)
            caught[kind] = raised.value
    assert isinstance(caught["unknown"], UnknownAlgorithm)
    assert (caught["parameter"].parameter, caught["parameter"].value) == ("steps", -1)  # type: ignore[attr-defined]
    assert "caused by Stubborn: the server said 404" in caught["model"].__notes__
    assert (caught["conflict"].plugin, caught["conflict"].other) == ("p", "o")  # type: ignore[attr-defined]
