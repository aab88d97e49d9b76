"""``llada doctor`` imports, asks and makes what plugins bring, and says what failed and what took long."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llada_core import registry
from llada_core.environment import read_environment
from llada_core.registry.registry import Registry
from tests.support.program import Llada

Site = Any
Doctor = Callable[..., tuple[int, dict[str, Any]]]

HOOKED = """
    from llada_core import CommandSpec, hookimpl

    @hookimpl
    def llada_detect_engine(config, engines):
        return config["mine"]

    @hookimpl
    def llada_commands():
        yield CommandSpec(name="absent", target="llada_hooked.absent:command", summary="")
"""
GUEST = """
    from llada_core import AlgorithmSpec, hookimpl

    @hookimpl
    def llada_algorithms():
        yield AlgorithmSpec(name="guest", engine="e", target="llada_guest_code:Guest", summary="A guest.")
"""


@pytest.fixture
def doctor(site: Site, llada: Llada) -> Doctor:
    """A function that returns the exit status and the report, as JSON and, joined, as lines."""

    def call(*arguments: str) -> tuple[int, dict[str, Any]]:
        with registry.using(Registry(site.installed(), read_environment())):
            status, lines, err = llada("doctor", *arguments)
            again, out, _ = llada("doctor", *arguments, "--json")
        assert (status, err) == (again, "")
        return status, json.loads(out) | {"lines": lines.splitlines()}

    return call


def test_every_target_is_imported_and_timed(site: Site, doctor: Doctor) -> None:
    site.add_engine(
        "e", algorithms={"echo": ()}, probe="llada_e_decoders:print", memory="gone.memory:estimate"
    )
    site.add("llada-guest", plugin=GUEST, modules={"llada_guest_code": "raise RuntimeError('no licence')"})
    site.add("llada-hooked", plugin=HOOKED)
    status, report = doctor()
    found = {each["target"]: each for each in report["imports"]}
    assert {name: (each["distribution"], bool(each["reason"])) for name, each in found.items()} == {
        "gone.memory:estimate": ("llada-e", True),
        "llada_e_decoders:Echo": ("llada-e", False),
        "llada_e_decoders:print": ("llada-e", True),
        "llada_guest_code:Guest": ("llada-guest", True),
        "llada_hooked.absent:command": ("llada-hooked", True),
    }
    assert all(isinstance(each["ms"], int) for each in report["imports"])
    assert "RuntimeError: no licence" in found["llada_guest_code:Guest"]["reason"]
    assert any(line.startswith("import llada_e_decoders:Echo: ") for line in report["lines"])
    assert status == 0  # nobody asked for any of them


def test_every_algorithm_is_made(site: Site, doctor: Doctor) -> None:
    site.add_engine("e", algorithms={"echo": ()})
    code = "from llada_e_decoders import *\nclass Guest(Echo):\n    def __init__(self, volume): pass"
    site.add("llada-guest", plugin=GUEST, modules={"llada_guest_code": code})
    _, report = doctor()
    found = {each["name"]: each["reason"] for each in report["algorithms"]}
    assert found["echo"] is None
    assert "making llada_guest_code:Guest failed: TypeError" in found["guest"]
    assert "algorithm echo: available yes" in report["lines"]


def test_every_detection_hook_is_asked(site: Site, doctor: Doctor) -> None:
    site.add_engine("e", algorithms={"echo": ()}, model_types=("m",))
    site.add("llada-hooked", plugin=HOOKED)
    _, report = doctor()
    (unknown,) = report["hooks"]
    assert unknown["about"] == "an invented model"
    assert "llada_detect_engine failed for an invented model: KeyError: 'mine'" in unknown["reason"]
    (plugin,) = [each for each in report["plugins"] if each["name"] == "hooked"]
    assert plugin["reason"] == unknown["reason"]


def test_with_a_model_detection_hooks_are_asked_about_that_alone(
    site: Site, doctor: Doctor, tmp_path: Path
) -> None:
    site.add_engine("e", algorithms={"echo": ()}, model_types=("m",))
    site.add("llada-hooked", plugin=HOOKED)
    (tmp_path / "config.json").write_text('{"model_type": "m", "mine": "e"}')
    _, report = doctor("--model", str(tmp_path))
    (asked,) = report["hooks"]
    assert (asked["about"], asked["answer"], asked["reason"]) == ("a model of type 'm'", "e", None)
    (line,) = [line for line in report["lines"] if line.startswith("hook ")]
    assert line.startswith("hook llada_detect_engine of hooked, asked about a model of type 'm': e (")
    (plugin,) = [each for each in report["plugins"] if each["name"] == "hooked"]
    assert (plugin["status"], plugin["reason"]) == ("loaded", None)


ASKED = {
    "an engine that is there": ("LLADA_ENGINE", "e", None),
    "an engine that nobody has": ("LLADA_ENGINE", "f", "no engine is called 'f'"),
    "an engine that cannot run": ("LLADA_ENGINE", "needy", "llada-needy needs absent"),
    "an algorithm that is there": ("LLADA_ALGORITHM", "say", None),
    "an algorithm that nobody has": ("LLADA_ALGORITHM", "echoo", "did you mean echo?"),
    "an algorithm that cannot run": ("LLADA_ALGORITHM", "need", "llada-needy needs absent"),
    "a plugin that is there": ("LLADA_LOAD_PLUGINS", "e, needy", None),
    "a plugin that is broken": ("LLADA_LOAD_PLUGINS", "llada_bad,e", "loading llada_bad failed"),
    "a plugin to be blocked": ("LLADA_BLOCK_PLUGINS", "bad", None),
}


@pytest.mark.parametrize(("variable", "value", "reason"), ASKED.values(), ids=ASKED.keys())
def test_what_a_variable_asks_for_decides_the_exit_status(
    site: Site, doctor: Doctor, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, reason: str | None
) -> None:
    site.add_engine("e", algorithms={"echo": ("say",)})
    site.add_engine("needy", algorithms={"need": ()}, requires=("absent",))
    site.add("llada-bad", plugin="raise RuntimeError")
    monkeypatch.setenv(variable, value)
    status, report = doctor()
    told = "; ".join(each["reason"] for each in report["asked"] if each["reason"])
    assert report["asked"]
    assert all(variable in each["what"] for each in report["asked"])
    if reason is None:
        assert (status, told) == (0, "")
    else:
        assert status == 1
        assert reason in told


@pytest.mark.filterwarnings("always::llada_core.plugins.status.PluginWarning")
@pytest.mark.parametrize("variable", ["LLADA_LOAD_PLUGINS", "LLADA_BLOCK_PLUGINS"])
def test_a_variable_that_names_what_is_not_installed_is_told_twice(
    site: Site, llada: Llada, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "absent")
    with registry.using(None):
        monkeypatch.setattr("llada_core.registry.registry.Installed", site.installed)
        status, out, err = llada("doctor", "--json")
    assert status == 1
    assert err == f"warning: {variable} names absent, which is not installed; " + (
        "install it or correct the variable\n" if "LOAD" in variable else "correct the variable\n"
    )
    (asked,) = json.loads(out)["asked"]
    assert asked["what"] == f"absent in {variable}"


def test_without_plugins_the_report_is_whole(doctor: Doctor) -> None:
    status, report = doctor()
    parts = ("plugins", "imports", "hooks", "engines", "algorithms", "asked")
    assert (status, [report[part] for part in parts]) == (0, [[]] * 6)


def test_how_long_a_plugin_took_is_listed(site: Site, llada: Llada) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    site.add("llada-slow", plugin="import time\ntime.sleep(0.51)\nfrom llada_good import *")
    with registry.using(site.registry()):
        status, out, err = llada("plugins")
    assert status == 0
    assert out.count(" ms") == 2
    assert "warning: slow: it takes 5" in err
    assert err.count("\n") == 1
