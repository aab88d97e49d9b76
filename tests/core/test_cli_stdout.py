"""stdout holds the answer alone, whatever algorithms and the code of models print while they work."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llada_core.cli import diversion
from llada_core.testing import FakeSite
from tests.support.program import Llada

NOISY = """
import atexit
import os
import subprocess

from fake_engine import *

print("NOISE import")


class NoisyNetwork(FakeNetwork):
    @classmethod
    def from_pretrained(cls, folder, **options):
        print("NOISE of the code that comes with a model")
        return super().from_pretrained(folder, **options)


class Noisy(Opaque):
    def __init__(self):
        print("NOISE init")
        os.write(1, b"NOISE below Python\\n")
        subprocess.run(["echo", "NOISE of a child"])
        atexit.register(print, "NOISE at the end")

    def load_model_class(self):
        return NoisyNetwork

    def generate(self, model, prompt, **params):
        print("NOISE generate", end="")
        return super().generate(model, prompt, **params)


class NoisyRow(Row):
    def step(self):
        print("NOISE rule")
        return super().step()


class NoisySteps(Pairs):
    def load_model_class(self):
        return NoisyNetwork

    def sequence(self, model, prompt_ids, params):
        print("NOISE policy")
        return NoisyRow(model, prompt_ids, params, self.width)
"""
PLUGIN = """
from llada_core import AlgorithmSpec, EngineSpec, hookimpl, standard

PARAMETERS = tuple(map(standard, ("gen_length", "seed")))


def algorithm(name, target):
    return AlgorithmSpec(
        name=name, engine="noisy", target=f"noisy_code:{target}", summary="", parameters=PARAMETERS
    )


@hookimpl
def llada_engines():
    print("NOISE hook")
    algorithms = (algorithm("noisy", "Noisy"), algorithm("noisy_steps", "NoisySteps"))
    yield EngineSpec(
        name="noisy", target="noisy_code:Noisy", default_algorithm="noisy", algorithms=algorithms,
        model_types=("noisy",),
    )
"""


@pytest.fixture
def noisy(world: FakeSite, make_folder: Callable[..., Path]) -> Path:
    """A checkpoint of an engine that prints wherever it can."""
    world.add("noisy-engine", modules={"noisy_code": NOISY}, entry_points={"noisy": "noisy_plugin"})
    (world.folder / "noisy_plugin.py").write_text(PLUGIN)
    return make_folder(model_type="noisy")


@pytest.fixture
def again(noisy: Path, world: FakeSite, capsys: pytest.CaptureFixture[str]) -> Any:
    """The registry, with the engine that was added after the world was made."""
    with world.shared():
        capsys.readouterr()
        yield noisy


@pytest.mark.parametrize("name", ["noisy", "noisy_steps"])
def test_an_answer_is_alone(llada: Llada, again: Path, name: str) -> None:
    ran = llada("generate", "hi", "--model", str(again), "--algorithm", name, "--max-tokens", "32")
    assert (ran.status, ran.out) == (0, "Hi there.\n")
    assert "NOISE of the code" in ran.err
    assert ("NOISE generate" if name == "noisy" else "NOISE rule") in ran.err


def test_json_of_several_settings_is_alone(llada: Llada, again: Path) -> None:
    settings = ("--algorithm", "noisy", "--algorithm", "noisy_steps", "--json")
    ran = llada("generate", "hi", "--model", str(again), *settings)
    assert [each["text"] for each in json.loads(ran.out)["results"]] == ["Hi there."] * 2


def test_the_answers_of_a_chat_are_alone(llada: Llada, again: Path) -> None:
    typed = "Hello\n/algorithm noisy_steps\nHello\n"
    ran = llada("chat", "--model", str(again), "--max-tokens", "32", typed=typed)
    assert (ran.status, ran.out) == (0, "Hi there.\n" * 2)


def test_what_prints_below_python_or_at_the_end_joins_no_answer(world: FakeSite, noisy: Path) -> None:
    path = os.pathsep.join(filter(None, (str(world.folder), os.environ.get("PYTHONPATH"))))
    env = {**os.environ, "PYTHONPATH": path, "LLADA_LOAD_PLUGINS": "noisy"}
    command = [sys.executable, "-m", "llada_core", "generate", "hi", "--model", str(noisy)]
    done = subprocess.run([*command, "--max-tokens", "32"], env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "Hi there.\n")
    assert {"NOISE below Python", "NOISE of a child", "NOISE at the end"} <= set(done.stderr.splitlines())


def test_an_answer_is_alone_where_stderr_is_closed(
    llada: Llada, again: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert llada("generate", "hi", "--model", str(again), "--max-tokens", "32").out == "Hi there.\n"
    assert sys.stderr is None


def test_stdout_is_as_before_once_a_command_has_ended(llada: Llada, again: Path) -> None:
    before = sys.stdout
    llada("generate", "hi", "--model", str(again), "--algorithm", "nobody")
    assert sys.stdout is before
    assert diversion.stdout() is before


def test_stdout_can_be_given_back_and_diverted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", own := io.StringIO())
    monkeypatch.setattr(sys, "stderr", other := io.StringIO())
    with diversion.answers_alone(), diversion.answers_alone():
        print("noise")
        with diversion.stdout_given_back():
            print("ours")
        print("noise")
        print("an answer", file=diversion.stdout())
    assert (own.getvalue(), other.getvalue()) == ("ours\nan answer\n", "noise\nnoise\n")
