"""Loading asks each question once, and a wrong call is refused before anything is loaded."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llada_core import (
    EngineUnavailable,
    GenerationAlgorithm,
    ParameterError,
    load_model,
    register_algorithm,
    registry,
)
from llada_core.checkpoints import hub
from llada_core.cli.program import run
from llada_core.environment import Environment
from llada_core.loading import load
from llada_core.plugins.installed import Installed
from llada_core.registry.registry import Registry

Count = Callable[[Any, str], list[Any]]

in_the_world = pytest.mark.usefixtures("world")


@pytest.fixture
def count(monkeypatch: pytest.MonkeyPatch) -> Count:
    """A function that lists the calls of an attribute from now on."""

    def start(owner: Any, name: str) -> list[Any]:
        calls: list[Any] = []
        original = getattr(owner, name)

        def counted(*args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)
        return calls

    return start


@pytest.fixture
def loads(count: Count) -> list[Any]:
    """The loads of any model, by whatever algorithm."""
    return count(GenerationAlgorithm, "load_checkpoint")


@in_the_world
def test_the_config_is_read_and_the_engines_are_asked_once(folder: Path, count: Count) -> None:
    reads, questions = count(hub, "read_fields"), count(Registry, "detect_by_hook")
    load_model(folder).close()
    assert (len(reads), len(questions)) == (1, 1)


@in_the_world
@pytest.mark.parametrize("arguments", [(), ("--algorithm", "singles", "--algorithm", "opaque")])
def test_so_they_are_by_the_program(folder: Path, count: Count, arguments: tuple[str, ...]) -> None:
    reads, questions = count(hub, "read_fields"), count(Registry, "detect_by_hook")
    assert run(["generate", "Hello", "--model", str(folder), *arguments]) == 0
    assert (len(reads), len(questions)) == (1, 1)


@in_the_world
def test_so_they_are_by_the_doctor(folder: Path, count: Count) -> None:
    reads, questions = count(hub, "read_fields"), count(Registry, "detect_by_hook")
    run(["doctor", "--model", str(folder)])
    assert (len(reads), len(questions)) == (1, 1)


@in_the_world
def test_the_program_passes_on_how_to_load(
    folder: Path, loads: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(folder))
    options = ("--dtype", "bfloat16", "--device", "cpu", "--trust-remote-code", "--revision", "v2")
    assert run(["generate", "Hello", "--model", "owner/name", *options]) == 0
    assert run(["generate", "Hello", "--model", "owner/name", "--tensor-parallel-size", "3"]) == 2
    (_, path, given), (_, _, split) = loads
    assert (given.tensor_parallel, split.tensor_parallel) == (1, 3)  # which the engine knows nothing of
    assert path == "owner/name"
    assert (given.dtype, given.device, given.trust_remote_code, given.revision) == (
        "bfloat16", "cpu", True, "v2",
    )  # fmt: skip


PLUGIN = """
from llada_core import AlgorithmSpec, EngineSpec, hookimpl

def spec(name):
    return AlgorithmSpec(name=name, engine="apart", target=f"apart_{name}:Echo", summary="An echo.")

@hookimpl
def llada_engines():
    yield EngineSpec(
        name="apart",
        target="apart_second:Echo",
        default_algorithm="second",
        algorithms=tuple(map(spec, ("first", "second", "third"))),
        model_types=("apart",),
    )
"""
DECODER = """
from llada_core import GenerationAlgorithm

class Network:
    config = device = None

    @classmethod
    def from_pretrained(cls, folder, *, device=None, dtype=None):
        return cls()

class Echo(GenerationAlgorithm):
    def load_model_class(self):
        return Network

    def generate(self, model, prompt, **params):
        return prompt, 0
"""


@pytest.fixture
def apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A model whose engine has three algorithms, each in a module of its own; the second is its default."""
    site = tmp_path / "site"
    info = site / "llada_apart-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: llada-apart\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[llada.engines]\napart = apart_plugin\n")
    (site / "apart_plugin.py").write_text(PLUGIN)
    for name in ("first", "second", "third"):
        (site / f"apart_{name}.py").write_text(DECODER)
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"model_type": "apart", "eos_token_id": 1}))
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    with registry.using(Registry(Installed([str(site)]), Environment())):
        yield model
    for name in [name for name in sys.modules if name.startswith("apart_")]:
        del sys.modules[name]


def imported() -> set[str]:
    return {name.removeprefix("apart_") for name in sys.modules if name.startswith("apart_")} - {"plugin"}


def test_only_the_algorithm_that_loads_is_imported(apart: Path) -> None:
    load_model(apart).close()
    assert imported() == {"second"}


def test_one_that_cannot_be_imported_leaves_loading_to_the_next(apart: Path) -> None:
    (apart.parent / "site" / "apart_second.py").write_text("raise RuntimeError('broken')")
    with load_model(apart, engine="apart") as lm:
        assert lm.engine.name == "apart"
    assert "third" not in imported()


def test_where_none_can_the_reason_of_the_default_is_told(apart: Path) -> None:
    for name in ("first", "second", "third"):
        (apart.parent / "site" / f"apart_{name}.py").write_text(f"raise RuntimeError({name!r})")
    with pytest.raises(EngineUnavailable, match=r"the engine apart cannot run here: .*RuntimeError: second"):
        load.load_on(registry.get_engine("apart"), str(apart), load.LoadOptions())


# -- wrong calls


@pytest.fixture
def picky(folder: Path, world: None) -> Iterator[str]:
    """An algorithm whose parameters are right one by one, and wrong together."""
    pairs = type(registry.get_algorithm("pairs"))

    class Picky(pairs):  # type: ignore[misc, valid-type]
        name, engine, parameters = (
            "picky",
            "fake",
            pairs.parameters or registry.get_algorithm("pairs").parameters,
        )

        def validate_args(self, **params: Any) -> dict[str, object]:
            values = super().validate_args(**params)
            if values["seed"] is not None and values["threshold"] == 1:
                raise ParameterError("seed has no effect with threshold=1; leave it out", parameter="seed")
            return values

    undo = register_algorithm(Picky)
    yield "picky"
    undo()


WRONG = [
    (("-p", "threshold=2"), "threshold=2 is out of range"),
    (("-p", "nothing=2"), "does not take nothing"),
    (("-p", "threshold=1", "-p", "seed=3"), "seed has no effect with threshold=1; leave it out"),
]


@pytest.mark.parametrize(("parameters", "said"), WRONG)
@pytest.mark.parametrize("command", ["generate", "chat", "generate, named second", "generate, by default"])
def test_wrong_parameters_are_refused_before_anything_is_loaded(
    picky: str,
    folder: Path,
    loads: list[Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    parameters: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("Hello\n"))
    monkeypatch.setenv("LLADA_ALGORITHM", picky)
    calls = {
        "generate": ("generate", "Hello", "--algorithm", picky),
        "generate, named second": ("generate", "Hello", "--algorithm", "pairs", "--algorithm", picky),
        "generate, by default": ("generate", "Hello"),
        "chat": ("chat", "--algorithm", picky),
    }
    assert run([*calls[command], "--model", str(folder), *parameters]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
    assert loads == []
    assert run([*calls[command], "--model", str(folder)]) == 0
    assert len(loads) == 1


def test_an_algorithm_that_cannot_run_is_refused_before_anything_is_loaded(
    world: None, folder: Path, loads: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (("generate", "Hello"), ("chat",)):
        assert run([*command, "--model", str(folder), "--algorithm", "broken"]) == 1
        assert "broken cannot run here" in capsys.readouterr().err
    assert loads == []


def test_options_of_loading_that_cannot_be_are_refused_with_status_2(
    world: None, folder: Path, loads: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["generate", "Hello", "--model", str(folder), "--device", ""]) == 2
    assert "device='' is not accepted" in capsys.readouterr().err
    assert loads == []
