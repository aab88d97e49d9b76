"""``llada eval``: lm-eval's own command line, which knows the model ``llada`` and our tasks."""

from __future__ import annotations

import json
import runpy
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import lm_eval.tasks
import pytest
from lm_eval.tasks import TaskManager

from tests.support.program import Llada, Ran

pytestmark = pytest.mark.alone

ASKED = ["--tasks", "llada_tiny_lists", "--apply_chat_template", "--limit", "2"]
SAID = "algorithm=dual_cache,block_length=32,threshold=0.9"


def last_line(ran: Ran) -> str:
    """What a run that failed said last, behind what lm-eval logs."""
    assert ran.status == 1
    assert "Traceback" not in ran.err
    return ran.err.splitlines()[-1]


def few_tasks(*, include_path: Sequence[Path], include_defaults: bool = True, **options: Any) -> TaskManager:
    """lm-eval's tasks, of which its own are those of one folder: all of them take it many seconds."""
    own = [Path(lm_eval.tasks.__file__).parent / "gsm8k"] if include_defaults else []
    return TaskManager(include_path=[*own, *include_path], include_defaults=False, **options)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """lm-eval sets up no logging here, and reads few tasks."""
    monkeypatch.setattr("llada_eval.command.setup_logging", lambda: None)
    monkeypatch.setattr("lm_eval.tasks.TaskManager", few_tasks)


@pytest.mark.usefixtures("alone")
def test_a_task_is_run_without_a_network_and_its_results_are_written(llada: Llada, tmp_path: Path) -> None:
    ran = llada("eval", *ASKED, "--model_args", SAID, "--output_path", str(tmp_path), "--log_samples")
    assert ran.status == 0
    assert "|llada_tiny_lists|" in ran.out
    (written,) = tmp_path.glob("**/results_*.json")
    results = json.loads(written.read_text())
    assert results["results"]["llada_tiny_lists"]["exact,none"] == 1.0
    assert results["config"]["model"] == "llada"
    assert results["config"]["llada"]["algorithm"] == "dual_cache"
    assert results["config"]["llada"]["rows"] == 32
    (samples,) = tmp_path.glob("**/samples_*.jsonl")
    assert len(samples.read_text().splitlines()) == 2


def test_tasks_of_somebody_else_stand_beside_ours(llada: Llada, tmp_path: Path) -> None:
    (tmp_path / "theirs.yaml").write_text(
        "task: theirs_alone\ndataset_path: json\noutput_type: generate_until\n"
    )
    ran = llada("eval", "ls", "tasks", "--include_path", str(tmp_path))
    assert ran.status == 0
    for name in ("theirs_alone", "llada_tiny_unseen_chat", "gsm8k"):
        assert name in ran.out


CHOICES = """\
task: sums
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{question}}}}"
target_delimiter: ""
doc_to_choice: "{{{{choices}}}}"
doc_to_target: "{{{{answer}}}}"
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""


@pytest.mark.slow
def test_choices_are_told_with_their_errors_and_a_run_goes_on_from_its_cache(
    llada: Llada, tmp_path: Path
) -> None:
    sums = [(12, 30, 1), (7, 5, 0)]
    documents = [
        {
            "question": f"What is {left} + {right}?",
            "choices": [f"{left} + {right} = {left + right + off}." for off in (index, index - 1)],
            "answer": index,
        }
        for left, right, index in sums
    ]
    (tmp_path / "sums.jsonl").write_text("".join(json.dumps(each) + "\n" for each in documents))
    (tmp_path / "sums.yaml").write_text(CHOICES.format(file=tmp_path / "sums.jsonl"))
    asked = ["--tasks", "sums", "--include_path", str(tmp_path), "--apply_chat_template"]
    asked += ["--model_args", "mc_samples=8", "--use_cache", str(tmp_path / "cache")]
    told = []
    for limit in ("1", "2"):
        out = tmp_path / limit
        assert llada("eval", *asked, "--limit", limit, "--output_path", str(out)).status == 0
        (written,) = out.glob("**/results_*.json")
        told.append(json.loads(written.read_text()))
    assert [each["results"]["sums"]["acc,none"] for each in told] == [1.0, 1.0]
    assert [each["results"]["sums"]["acc_norm,none"] for each in told] == [1.0, 1.0]
    likelihoods = [each["config"]["llada"]["likelihoods"] for each in told]
    assert [each["count"] for each in likelihoods] == [2, 2], "those of the first run are asked once"
    assert all(each["standard_error"]["greatest"] > 0 for each in likelihoods)


def test_a_task_that_is_none_is_an_error_without_a_traceback(llada: Llada) -> None:
    assert "Tasks not found: no_such" in last_line(llada("eval", "--tasks", "no_such"))


def test_a_conversation_without_its_template_is_refused(llada: Llada) -> None:
    ran = llada("eval", "--tasks", "llada_tiny_chat", "--limit", "1")
    assert "give --apply_chat_template" in last_line(ran)


def test_what_a_config_says_is_not_overruled_by_our_defaults(llada: Llada, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "mine.yaml").write_text("group: mine\ntask:\n  - llada_tiny_lists\n")
    config = tmp_path / "run.yaml"
    config.write_text(f"model: dummy\ntasks: mine\nlimit: 1\ninclude_path: {tmp_path / 'theirs'}\n")
    with mock.patch("lm_eval.simple_evaluate", return_value=None) as asked:
        assert llada("eval", "--config", str(config)).status == 0
        assert llada("eval", "--config", str(config), "--model", "llada").status == 0
    assert [call.kwargs["model"] for call in asked.call_args_list] == ["dummy", "llada"]
    assert [call.kwargs["batch_size"] for call in asked.call_args_list] == [1, "auto"]
    assert asked.call_args.kwargs["tasks"] == ["mine"]


def test_the_module_is_the_command() -> None:
    with mock.patch("llada_core.cli.main") as main, mock.patch("sys.argv", ["llada_eval", "ls", "tasks"]):
        runpy.run_module("llada_eval", run_name="__main__")
    main.assert_called_once_with(["eval", "ls", "tasks"])
