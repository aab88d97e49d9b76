"""Wheels that are known and not installed: what is published with core, and what plugins add."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llada_core import Detection, PluginConflict, PluginStatus, UnknownEngine, UnsupportedModel, detect
from llada_core.registry import using
from llada_core.registry.registry import Registry
from llada_core.registry.wheels import published

Site = Any
Detect = Callable[..., Detection]


def wheels(*rows: str) -> str:
    """A plugin that contributes these rows, written as arguments of ``WheelSpec``."""
    listed = ", ".join(f"WheelSpec({row})" for row in rows)
    return f"""
        from llada_core import StrangerSpec, WheelSpec, hookimpl

        @hookimpl
        def llada_wheels():
            return [{listed}]
    """


def row(distribution: str = "llada-far", engine: str = "far", **more: object) -> str:
    given = {"distribution": distribution, "engine": engine, "summary": "A far engine.", **more}
    return ", ".join(f"{name}={value!r}" for name, value in given.items())


def status_of(registry: Registry, distribution: str) -> PluginStatus:
    (status,) = [each for each in registry.statuses() if each.distribution == distribution]
    return status


@pytest.fixture
def detected(site: Site, tmp_path: Path) -> Detect:
    """A function that says what is detected, on the site as it is, of a model with this config."""

    def detect_with(**config: Any) -> Detection:
        (tmp_path / "config.json").write_text(json.dumps(config))
        with using(site.registry()):
            return detect(tmp_path)

    return detect_with


@pytest.mark.parametrize(
    ("fields", "config"),
    [
        ({"model_types": ("far_model",)}, {"model_type": "far_model"}),
        ({"architectures": ("FarLM",)}, {"architectures": ["FarLM"]}),
        ({"modules": ("*_far",)}, {"auto_map": {"AutoModel": "somebody/model--modeling_far.Tuned"}}),
        ({"fields": ("far_noise", "far_id")}, {"far_noise": "cosine", "far_id": 3}),
    ],
)
def test_a_row_of_a_plugin_is_advice_where_its_engine_is_not_installed(
    site: Site, detected: Detect, fields: dict[str, Any], config: dict[str, Any]
) -> None:
    site.add("llada-hints", plugin=wheels(row(**fields)))
    found = detected(**config)
    assert isinstance(found.refusal, UnsupportedModel)
    assert str(found.refusal).endswith("; pip install llada-far")
    (candidate,) = found.candidates
    assert candidate.as_dict() == {
        "engine": "far",
        "available": False,
        "reason": "the engine far is not installed; pip install llada-far",
        "priority": 0,
        "distribution": "llada-far",
        "installed": False,
        "summary": "A far engine.",
    }


def test_an_engine_that_is_not_installed_is_known_by_its_other_names(site: Site) -> None:
    site.add("llada-hints", plugin=wheels(row(aliases=("distant",))))
    with pytest.raises(UnknownEngine, match=r"^the engine distant is not installed; pip install llada-far$"):
        site.registry().engine("distant")


def test_a_field_that_is_negative_says_nothing(site: Site, detected: Detect) -> None:
    site.add("llada-hints", plugin=wheels(row(fields=("far_noise", "far_id"))))
    assert detected(far_noise="cosine", far_id=-1).candidates == ()


def test_a_guest_of_a_known_engine_says_how_to_get_it(site: Site) -> None:
    guest = """
        from llada_core import AlgorithmSpec, hookimpl

        @hookimpl
        def llada_algorithms():
            yield AlgorithmSpec(name="guest", engine="far", target="llada_guest:Guest", summary="A guest.")
    """
    site.add("llada-guest", plugin=guest)
    site.add("llada-hints", plugin=wheels(row()))
    registry = site.registry()
    assert registry.algorithm("guest").reason == "the engine far is not installed; pip install llada-far"
    with pytest.raises(UnknownEngine, match="the engine far is not installed; pip install llada-far"):
        registry.engine("far")


@pytest.mark.parametrize("installed", ["far", "another"])
def test_a_row_never_overrides_the_word_of_an_installed_engine(
    site: Site, detected: Detect, installed: str
) -> None:
    """The engine takes ``mine``; the row claims more models for it. An alias counts as its name."""
    site.add("llada-hints", plugin=wheels(row(model_types=("mine", "more"), priority=99)))
    site.add_engine(installed, algorithms={"echo": ()}, aliases=("far",) if installed != "far" else (),
                    model_types=("mine",), distribution="llada-mine")  # fmt: skip
    assert [each.engine for each in detected(model_type="mine").candidates] == [installed]
    refused = detected(model_type="more")
    assert refused.candidates == ()
    assert "no known engine takes" in (refused.reason or "")
    assert status_of(site.registry(), "llada-hints").reason is None


def test_the_first_row_for_an_engine_stays_and_the_other_is_told(site: Site, detected: Detect) -> None:
    site.add("llada-a", plugin=wheels(row(model_types=("far_model",))))
    site.add("llada-b", plugin=wheels(row("llada-nearer", model_types=("far_model",)), row("llada-c", "c")))
    assert [each.distribution for each in detected(model_type="far_model").candidates] == ["llada-far"]
    registry = site.registry()
    assert status_of(registry, "llada-a").reason is None
    told = status_of(registry, "llada-b")
    assert told.status == "loaded"
    assert told.reason == (
        "the wheel llada-nearer that llada-b names for the engine far is dropped, because llada-far is known "
        "to bring it; take the row out, or rename the engine"
    )
    with pytest.raises(PluginConflict) as raised:
        site.registry(strict_plugins=True)
    assert (raised.value.name, raised.value.dist, raised.value.other) == ("far", "llada-b", "llada-far")


def test_what_is_published_comes_before_what_plugins_say(site: Site) -> None:
    known = published().rows[0]
    site.add("llada-a", plugin=wheels(row("llada-other", known.engine)))
    status = status_of(site.registry(), "llada-a")
    assert f"because {known.distribution} is known to bring it" in (status.reason or "")


def test_two_plugins_may_say_the_same(site: Site) -> None:
    for name in ("llada-a", "llada-b"):
        site.add(name, plugin=wheels(row("llada_far" if name == "llada-b" else "llada-far")))
    statuses = site.registry(strict_plugins=True).statuses()
    assert [(each.status, each.reason) for each in statuses] == [("loaded", None)] * 2


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (wheels(row(model_types="far_model")), "InvalidSpec: wheel 'llada-far': model_types must be a tuple"),
        (wheels("engine='far'"), "llada_wheels failed: TypeError"),
        (
            "from llada_core import hookimpl\n@hookimpl\ndef llada_wheels(): return ['llada-far']",
            "llada_wheels yielded 'llada-far', which is no WheelSpec",
        ),
        (
            "from llada_core import hookimpl\n@hookimpl\ndef llada_wheels(): return {'far': 'llada-far'}",
            "llada_wheels yielded 'far', which is no WheelSpec",
        ),
    ],
)
def test_malformed_rows_are_their_plugins_problem(site: Site, plugin: str, reason: str) -> None:
    site.add("llada-hints", plugin=plugin)
    site.add_engine("good", algorithms={"echo": ()})
    registry = site.registry()
    status = status_of(registry, "llada-hints")
    assert status.status == "broken"
    assert reason in (status.reason or "")
    assert registry.algorithms(available=True) == ["echo"]


STRANGER = "(StrangerSpec(patterns=('*farcry*',), kind='a game, which fills no masks'),)"


@pytest.mark.parametrize("config", [{"model_type": "FarCry"}, {"model_type": "far_model",
                                    "auto_map": {"AutoModel": "modeling_farcry.FarCry"}}])  # fmt: skip
def test_a_stranger_of_a_row_is_told_what_it_is_and_gets_no_advice(
    site: Site, detected: Detect, config: dict[str, Any]
) -> None:
    rows = row(model_types=("far_model",)) + f", strangers={STRANGER}"
    site.add("llada-hints", plugin=wheels(rows))
    found = detected(**config)
    assert found.candidates == ()
    assert " is a game, which fills no masks; choose a model of a known type (" in (found.reason or "")
    assert (found.reason or "").endswith("; no plugin brought an engine; `llada plugins` tells why")


def engine_with_a_stranger(site: Site) -> None:
    site.add_engine("far", algorithms={"echo": ()}, model_types=("far_model",))
    module = site.folder / "llada_far.py"
    source = module.read_text().replace("hookimpl, standard", "StrangerSpec, hookimpl, standard")
    module.write_text(source.replace("EngineSpec(name=", f"EngineSpec(strangers={STRANGER}, name="))


def test_a_stranger_of_an_installed_engine_is_told_what_it_is(site: Site, detected: Detect) -> None:
    engine_with_a_stranger(site)
    reason = detected(model_type="farcry").reason or ""
    assert " is a game, which fills no masks; choose a model of an installed engine: far takes" in reason


def test_a_stranger_that_another_engine_lists_is_that_engines_model(site: Site, detected: Detect) -> None:
    engine_with_a_stranger(site)
    site.add_engine("games", algorithms={"play": ()}, model_types=("farcry",))
    assert detected(model_type="farcry").engine == "games"


def test_a_stranger_that_another_wheel_takes_gets_the_advice(site: Site, detected: Detect) -> None:
    engine_with_a_stranger(site)
    site.add("llada-hints", plugin=wheels(row("llada-games", "games", model_types=("farcry",))))
    assert (detected(model_type="farcry").reason or "").endswith("; pip install llada-games")


def test_the_data_are_read_when_somebody_asks_and_once() -> None:
    code = (
        "import pkgutil, llada_core\n"
        "read, get = [], pkgutil.get_data\n"
        "pkgutil.get_data = lambda *a: read.append(a) or get(*a)\n"
        "llada_core.list_algorithms(); llada_core.list_engines(); llada_core.plugin_statuses()\n"
        "before = len(read)\n"
        "for name in ('x', 'y'):\n"
        "    try: llada_core.get_engine(name)\n"
        "    except llada_core.UnknownEngine: pass\n"
        "print(before, len(read))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0 1\n"
