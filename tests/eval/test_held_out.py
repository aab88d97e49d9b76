"""Our tasks ask what ``llada bench`` asks, and count what it counts."""

from __future__ import annotations

from typing import Any

import lm_eval
import pytest
from lm_eval.tasks import TaskManager

from llada_core.bench import Case, families, measure, tasks
from llada_eval.model import LladaLM
from llada_eval.registering import TASKS, register
from tests.eval.conftest import SETTINGS

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    register()
    return TaskManager(include_path=[TASKS], include_defaults=False)


def evaluated(small: LladaLM, manager: TaskManager, *names: str, limit: int) -> dict[str, Any]:
    found: dict[str, Any] = lm_eval.simple_evaluate(
        small, tasks=[*names], task_manager=manager, limit=limit, apply_chat_template=True, bootstrap_iters=0
    )
    return found


def agree(small: LladaLM, manager: TaskManager, *, limit: int, phrasings: str, names: dict[str, str]) -> None:
    """The answers of the tasks ``names``, by family, and their scores are those of a measurement."""
    found = evaluated(small, manager, *names.values(), limit=limit)
    parameters = {**SETTINGS, "gen_length": 128}
    case = Case(label="", algorithm=parameters.pop("algorithm"), parameters=parameters, rows=8)
    for family, name in names.items():
        sample = measure(small.lm, case, tasks(limit, [family], phrasings=phrasings))
        told = sorted(found["samples"][name], key=lambda each: each["doc_id"])
        assert [each["filtered_resps"] for each in told] == [[each.result.text] for each in sample.answers]
        assert 100 * found["results"][name]["exact,none"] == pytest.approx(sample.accuracy)


def test_the_score_of_a_task_is_that_of_a_measurement(small: LladaLM, manager: TaskManager) -> None:
    agree(
        small,
        manager,
        limit=8,
        phrasings="unseen",
        names={"word_problems": "llada_tiny_unseen_word_problems"},
    )


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("phrasings", ["seen", "unseen"])
def test_all_scores_are_those_of_a_measurement(small: LladaLM, manager: TaskManager, phrasings: str) -> None:
    prefix = "llada_tiny_unseen" if phrasings == "unseen" else "llada_tiny"
    names = {family: f"{prefix}_{family}" for family in families()}
    agree(small, manager, limit=20, phrasings=phrasings, names=names)
    group = evaluated(small, manager, prefix, limit=2)
    alone = [group["results"][name]["exact,none"] for name in names.values()]
    assert group["groups"][prefix]["exact,none"] == pytest.approx(sum(alone) / len(alone))


def test_every_family_is_a_task_in_both_wordings(manager: TaskManager) -> None:
    wanted = {f"{prefix}_{family}" for prefix in ("llada_tiny", "llada_tiny_unseen") for family in families()}
    assert set(manager.all_subtasks) == wanted
    assert set(manager.all_groups) == {"llada_tiny", "llada_tiny_unseen"}
