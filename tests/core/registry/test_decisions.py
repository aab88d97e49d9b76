"""Detection hooks are asked one by one, before there is a model for them; what they do wrong is told."""

from __future__ import annotations

from typing import Any

import pytest

from llada_core import PluginStatus
from llada_core.registry.registry import Registry

Site = Any


def status_of(registry: Registry, distribution: str) -> PluginStatus:
    (status,) = [each for each in registry.statuses() if each.distribution == distribution]
    return status


DECIDING = "from llada_core import hookimpl\n@hookimpl\ndef llada_detect_engine(config, engines): {}"
WRONG_ANSWERS = {
    "raises": (
        "return config['model_type_']",
        "llada_detect_engine failed for an invented model: KeyError: 'model_type_'",
    ),
    "changes what it is asked": ("config['x'] = 1", "failed for an invented model: TypeError: "),
    "exits": ("exit(3)", "failed for an invented model: SystemExit: 3"),
    "panics": ("raise BaseException('gone')", "failed for an invented model: BaseException: gone"),
    "answers an engine that nobody has": (
        "return 'nobody'",
        "answered 'nobody' for an invented model, which",
    ),
    "answers what is no name": (
        "return True",
        "llada_detect_engine answered True for an invented model, which is no engine's name",
    ),
    "answers facts": ("return engines", "llada_detect_engine answered [EngineInfo("),
}


@pytest.mark.parametrize(("body", "reason"), WRONG_ANSWERS.values(), ids=WRONG_ANSWERS.keys())
def test_a_detection_hook_that_fails_shows_in_the_list_of_plugins(site: Site, body: str, reason: str) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    site.add("llada-bad", plugin=DECIDING.format(body))
    registry = site.registry()
    status = status_of(registry, "llada-bad")
    assert status.status == "loaded"  # with another model it may do better
    assert reason in (status.reason or "")
    assert len(registry.decisions()) == 1
    assert status_of(registry, "llada-bad") == status


def test_what_hooks_decide_is_told_one_by_one(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()}, aliases=("fine",))
    site.add("llada-a", plugin=DECIDING.format("return 'fine' if config.get('mine') else None"))
    site.add("llada-b", plugin=DECIDING.format("return 1 / 0"))
    site.add("llada-c", plugin=DECIDING.format("return 'good'"))
    found = {each.plugin: each for each in site.registry().decisions({"mine": True})}
    assert {name: each.answer for name, each in found.items()} == {"a": "fine", "b": None, "c": "good"}
    assert "ZeroDivisionError" in (found["b"].reason or "")
    assert found["a"].reason is None
    assert found["a"].as_dict()["hook"] == "llada_detect_engine"


def test_of_each_question_only_what_went_wrong_with_it_is_told(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    site.add("llada-a", plugin=DECIDING.format("return config['mine']"))
    registry = site.registry()
    (invented,) = registry.decisions()
    (mine,) = registry.decisions({"mine": "good", "model_type": "m"})
    (other,) = registry.decisions({"mine": "bad", "model_type": "m"})
    assert invented.about == "an invented model"
    assert "KeyError: 'mine'" in (invented.reason or "")
    assert (mine.about, mine.answer, mine.reason) == ("a model of type 'm'", "good", None)
    assert (other.reason or "").startswith(
        "llada_detect_engine answered 'bad' for a model of type 'm', which"
    )


def test_a_plugin_that_decides_for_a_model_is_loaded_whatever_it_says_of_others(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    site.add("llada-a", plugin=DECIDING.format("return config['mine']"))
    registry = site.registry()
    assert registry.detect_by_hook({"mine": "good"}) == "good"
    assert registry.detect_by_hook({}) is None
    status = status_of(registry, "llada-a")
    assert (status.status, (status.reason or "").count("failed for")) == ("loaded", 1)


def test_the_list_of_plugins_asks_about_no_invented_model_where_a_real_one_was(site: Site) -> None:
    site.add_engine("good", algorithms={"echo": ()})
    site.add("llada-a", plugin=DECIDING.format("return config['mine']"))
    registry = site.registry()
    registry.decisions({"mine": "good"})
    assert status_of(registry, "llada-a").reason is None
