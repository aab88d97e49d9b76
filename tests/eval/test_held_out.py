"""Our tasks ask what ``llada bench`` asks, and count what it counts.

The scores of ``benchmarks/evaluate.py`` come of the same ``measure`` and ``tasks``; the script is not run.
"""

from __future__ import annotations

from typing import Any

import lm_eval
import pytest
from lm_eval.tasks import TaskManager

from llada_core.bench import Case, families, measure, tasks
from llada_core.bench.questions import EMBEDDED
from llada_eval.held_out import exact
from llada_eval.model import LladaLM
from llada_eval.registering import TASKS, register
from tests.eval.conftest import SETTINGS

pytestmark = pytest.mark.alone

LONG = "llada-tiny-long"


@pytest.fixture(scope="module")
def manager() -> TaskManager:
    register()
    return TaskManager(include_path=[TASKS], include_defaults=False)


def evaluated(small: LladaLM, manager: TaskManager, *names: str, limit: int) -> dict[str, Any]:
    found: dict[str, Any] = lm_eval.simple_evaluate(
        small, tasks=[*names], task_manager=manager, limit=limit, apply_chat_template=True, bootstrap_iters=0
    )
    return found


def agree(
    small: LladaLM, found: dict[str, Any], *, limit: int, phrasings: str, names: dict[str, str]
) -> None:
    """What the tasks ``names``, by family, ``found`` are the answers and scores of a measurement."""
    parameters = {**SETTINGS, "gen_length": 128}
    case = Case(label="", algorithm=parameters.pop("algorithm"), parameters=parameters, rows=8)
    for family, name in names.items():
        sample = measure(small.lm, case, tasks(limit, [family], phrasings=phrasings))
        told = sorted(found["samples"][name], key=lambda each: each["doc_id"])
        assert [each["filtered_resps"] for each in told] == [[each.result.text] for each in sample.answers]
        assert 100 * found["results"][name]["exact,none"] == pytest.approx(sample.accuracy)


def test_the_score_of_a_task_is_that_of_a_measurement(small: LladaLM, manager: TaskManager) -> None:
    name = "llada_tiny_unseen_lists"
    found = evaluated(small, manager, name, limit=8)
    agree(small, found, limit=8, phrasings="unseen", names={"lists": name})


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("phrasings", ["seen", "unseen"])
def test_all_scores_are_those_of_a_measurement(small: LladaLM, manager: TaskManager, phrasings: str) -> None:
    prefix = "llada_tiny_unseen" if phrasings == "unseen" else "llada_tiny"
    names = {family: f"{prefix}_{family}" for family in families()}
    found = evaluated(small, manager, prefix, limit=8)
    agree(small, found, limit=8, phrasings=phrasings, names=names)
    alone = [found["results"][name]["exact,none"] for name in names.values()]
    assert found["groups"][prefix]["exact,none"] == pytest.approx(sum(alone) / len(alone))


def test_every_family_is_a_task_in_both_wordings(manager: TaskManager) -> None:
    groups = {
        prefix + suffix: families(wheel)
        for prefix, wheel in (("llada_tiny", EMBEDDED), ("llada_tiny_long", LONG))
        for suffix in ("", "_unseen")
    }
    assert set(manager.all_groups) == set(groups)
    assert set(manager.all_subtasks) == {f"{group}_{family}" for group, of in groups.items() for family in of}


@pytest.mark.parametrize("phrasings", ["seen", "unseen"])
def test_tasks_of_long_answers_are_those_of_their_wheel(manager: TaskManager, phrasings: str) -> None:
    group = "llada_tiny_long_unseen" if phrasings == "unseen" else "llada_tiny_long"
    for family in families(LONG):
        task = manager.load(f"{group}_{family}")["tasks"][f"{group}_{family}"]
        docs = list(task.test_docs())
        asked = tasks(500, [family], wheel=LONG, phrasings=phrasings)
        assert [(doc["messages"], doc["reference"]) for doc in docs] == [
            (each.prompt, each.expected) for each in asked
        ]
        assert exact(docs[0], [docs[0]["reference"]]) == {"exact": 1.0}
        assert exact(docs[0], ["Something else."]) == {"exact": 0.0}
        assert task.config.generation_kwargs["max_gen_toks"] == 448
