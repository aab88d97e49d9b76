"""What is measured: questions, samples and their figures, of an engine that is known through and through."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from llada_core import LoadedModel, load_model
from llada_core.bench import (
    FIGURES,
    Case,
    Question,
    accepting,
    families,
    measure,
    rounds,
    spread,
    surroundings,
    tasks,
    warm_case,
)
from llada_core.bench import memory as memories
from llada_core.bench.devices import place_of
from llada_core.bench.memory import PeakMemory, why_no_peak
from llada_core.errors import ModelNotFound, ParameterError, UsageError
from llada_core.generation.computed import Computed

pytestmark = pytest.mark.usefixtures("world")

HI = [Question(prompt=f"Hello {number}") for number in range(5)]


@pytest.fixture
def lm(folder: Path) -> Iterator[LoadedModel]:
    with load_model(folder) as model:
        yield model


def case(algorithm: str = "pairs", rows: int = 1, **parameters: object) -> Case:
    given = {"gen_length": 32, **parameters}
    return Case(label=algorithm, algorithm=algorithm, parameters=given, rows=rows)


def figure(name: str, lm: LoadedModel, of: Case) -> float | None:
    return FIGURES[name].of(measure(lm, of, HI))


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_forwards_are_those_that_the_network_ran(lm: LoadedModel, rows: int) -> None:
    sample = measure(lm, case(rows=rows), HI)
    assert sample.forwards == len(lm.model.network.calls)
    assert sample.row_forwards == len(HI) * 16
    assert sample.rows == rows
    assert FIGURES["rows_in_flight"].of(sample) == len(HI) / -(-len(HI) // rows)


def test_forwards_of_an_opaque_algorithm_are_those_it_counts_for_each_call(lm: LoadedModel) -> None:
    sample = measure(lm, case("opaque", rows=2), HI)
    assert sample.forwards == 7 * len(lm.model.network.calls) == 7 * 3
    assert sample.row_forwards == 7 * 5


def test_what_forwards_computed_is_told_where_every_row_tells_it(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert measure(lm, case(), HI[:2]).computed is None
    monkeypatch.setattr(
        sys.modules["fake_engine"].Row, "computed", Computed(block=3, columns=7), raising=False
    )
    assert measure(lm, case(), HI[:2]).computed == Computed(block=6, columns=14)


def test_answers_stand_in_the_order_of_the_questions(lm: LoadedModel) -> None:
    sample = measure(lm, case(rows=2), HI)
    assert [answer.question for answer in sample.answers] == HI


def test_fewer_questions_than_rows_are_all_asked_again(lm: LoadedModel) -> None:
    assert len(measure(lm, case(rows=7), HI).answers) == 10
    assert lm.model.network.calls[0] == "step of 7"


def test_tokens_end_before_the_first_end_token_and_committed_positions_do_not(lm: LoadedModel) -> None:
    sample = measure(lm, case(), HI[:1])
    assert (sample.tokens, sample.committed) == (len("Hi there."), 32)
    assert FIGURES["tokens_per_forward"].of(sample) == 9 / 16
    assert FIGURES["committed_per_forward"].of(sample) == 2
    assert FIGURES["nfe"].of(sample) == 16


def test_a_position_that_was_taken_back_is_committed_once(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = sys.modules["fake_engine"].Row
    step = row.step

    def stepping(self: Any) -> Any:
        made = step(self)
        return replace(made, revoked=made.positions[:1]) if made.nfe > 1 else made

    monkeypatch.setattr(row, "step", stepping)
    assert measure(lm, case(), HI[:1]).committed == 32 - 15


def test_first_text_is_timed_and_an_empty_answer_has_none(
    lm: LoadedModel, make_folder: Callable[..., Path]
) -> None:
    sample = measure(lm, case(), HI)
    assert sample.first_text is not None
    assert 0 < sample.first_text < sample.seconds
    with load_model(make_folder(reply="")) as silent:
        empty = measure(silent, case(), HI[:1])
    assert (empty.first_text, empty.tokens) == (None, 0)
    assert spread([empty], FIGURES["first_text"]) is None


def test_the_clock_stands_still_while_progress_is_told(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(at=0.0)
    ended = []

    def now() -> float:
        clock.at += 0.001
        return clock.at

    def told(count: int) -> None:
        ended.append(count)
        clock.at += 1000

    monkeypatch.setattr("llada_core.bench.measuring.time", SimpleNamespace(perf_counter=now))
    assert measure(lm, case(rows=2), HI, told=told).seconds < 1000
    assert sum(ended) == len(HI)


def test_accuracy_is_of_the_questions_whose_answers_are_known(lm: LoadedModel) -> None:
    right, wrong = accepting([" Hi there.\n", "Hello."]), accepting(["No."])
    asked = [
        Question(prompt="a", accepts=right, group="greetings"),
        Question(prompt="b", accepts=wrong, group="greetings"),
        Question(prompt="c", accepts=right, group="others"),
        Question(prompt="d", accepts=right),
        Question(prompt="e"),
    ]
    sample = measure(lm, case(rows=2), asked)
    assert sample.accuracy == 75
    assert sample.accuracies() == {"greetings": 50, "others": 100}
    assert measure(lm, case(), HI).accuracy is None


def test_rows_draw_from_seeds_of_their_own() -> None:
    requests = [case(seed=3).request(HI[0], number) for number in range(2)]
    assert [request.parameters["seed"] for request in requests] == [3, 4]


def test_a_row_that_fails_ends_the_sample_with_its_error(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: Any, *args: Any, **params: Any) -> Any:
        raise RuntimeError("no")

    with monkeypatch.context() as patched:
        patched.setattr(sys.modules["fake_engine"].Opaque, "generate", failing)
        with pytest.raises(Exception, match="no"):
            measure(lm, case("opaque"), HI)
    with pytest.raises(ParameterError, match="exceeds the 200 tokens"):
        measure(lm, case(gen_length=1000), HI)
    assert measure(lm, case(), HI).tokens == 45, "the model is as usable as before"


def test_a_batch_of_no_rows_is_refused() -> None:
    with pytest.raises(UsageError, match=r"rows=0 \(int\) is no count of rows"):
        case(rows=0)


def test_warming_up_answers_a_batch_each_time(lm: LoadedModel) -> None:
    warm_case(lm, case("opaque", rows=3), HI, times=2)
    assert lm.model.network.calls == ["generate of 3 with gen_length 32"] * 2


def test_rounds_go_forth_and_back() -> None:
    cases = [case("pairs"), case("singles")]
    names = [[each.label for each in once] for once in rounds(cases, 3)]
    assert names == [["pairs", "singles"], ["singles", "pairs"], ["pairs", "singles"]]


def test_surroundings_name_the_machine_and_what_ran_on_it(lm: LoadedModel, folder: Path) -> None:
    about = surroundings(lm, ["fake-engine", "nobody-has-this"])
    assert (about["model"], about["engine"], about["device"]) == (str(folder), "fake", "cpu")
    assert about["processor"]
    assert {"llada-core", "torch", "fake-engine"} <= set(about["packages"])
    assert "nobody-has-this" not in about["packages"]


# -- the tasks of the embedded model


def test_the_tasks_are_those_of_the_model_and_the_same_each_time() -> None:
    asked = tasks(2, ["lists", "json"])
    assert [question.group for question in asked] == ["lists", "lists", "json", "json"]
    assert [question.prompt for question in tasks(2, ["lists", "json"])] == [each.prompt for each in asked]
    for question in tasks(1):
        assert question.accepts is not None
        assert question.expected is not None
        assert question.accepts(question.expected)
        assert not question.accepts(question.expected + " And more.")
    assert len(tasks(1)) == len(families())


def test_a_family_that_the_model_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="no family of tasks is called 'list'; did you mean lists"):
        tasks(1, ["list"])


def test_without_the_model_there_are_no_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llada_tiny.tasks", None)
    with pytest.raises(ModelNotFound, match="pip install llada-tiny, or give prompts of your own"):
        tasks(1)


def test_another_wheel_brings_the_tasks_of_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def held_out(family: str, count: int, seed: int, phrasings: str) -> list[Any]:
        said = f"{family} {seed} {phrasings}"
        return [SimpleNamespace(messages=[], reference=said, accepts=said.__eq__) for _ in range(count)]

    brought = SimpleNamespace(FAMILIES=("sums", "tables"), held_out=held_out)
    monkeypatch.setitem(sys.modules, "some_model", SimpleNamespace(tasks=brought))
    monkeypatch.setitem(sys.modules, "some_model.tasks", brought)
    assert families("some-model") == ("sums", "tables")
    asked = tasks(2, ["tables"], wheel="some-model", seed=7, phrasings="unseen")
    assert [(each.group, each.expected) for each in asked] == [("tables", "tables 7 unseen")] * 2


@pytest.mark.parametrize("wheel", ["no-such-model", "llada-core", "..", "a b", ""])
def test_a_wheel_without_tasks_is_refused(wheel: str) -> None:
    with pytest.raises(ModelNotFound, match=rf"whose wheel '{wheel}' is not installed; pip install "):
        families(wheel)


# -- memory


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files in which the system tells of a process."""
    (tmp_path / "status").write_text("Name: x\nVmHWM:  5 kB\nVmRSS: 4 kB\n")
    (tmp_path / "clear_refs").write_text("")
    monkeypatch.setattr(memories, "_STATUS", tmp_path / "status")
    monkeypatch.setattr(memories, "_CLEAR", tmp_path / "clear_refs")
    return tmp_path


def test_the_peak_of_a_process_counts_from_the_beginning_of_a_sample(process: Path) -> None:
    memory = PeakMemory(SimpleNamespace(device="cpu"))
    memory.begin()
    assert (process / "clear_refs").read_text() == "5"
    memory.settle()
    assert memory.peak() == 5 * 1024


def test_a_peak_that_the_system_does_not_tell_is_none_and_has_a_reason(process: Path) -> None:
    (process / "status").write_text("Name: x\n")
    memory = PeakMemory(SimpleNamespace(device="cpu"))
    memory.begin()
    assert memory.peak() is None
    assert why_no_peak() is not None


def test_the_peak_of_a_gpu_is_what_its_tensors_took_since_the_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = list[str]()

    def noting(name: str, answer: int | None = None) -> Callable[..., int | None]:
        return lambda device: asked.append(f"{name} {device}") or answer

    for name, answer in (
        ("synchronize", None),
        ("reset_peak_memory_stats", None),
        ("max_memory_allocated", 7),
    ):
        monkeypatch.setattr(f"torch.cuda.{name}", noting(name, answer))
    memory = PeakMemory(SimpleNamespace(device="cuda:1"))
    memory.begin()
    memory.settle()
    assert memory.peak() == 7
    assert asked == [
        "synchronize cuda:1",
        "reset_peak_memory_stats cuda:1",
        "synchronize cuda:1",
        "max_memory_allocated cuda:1",
    ]


def test_a_network_that_tells_no_device_is_where_its_weights_are() -> None:
    network = torch.nn.Linear(2, 2)
    about = place_of(network)
    assert (about["device"], about["device_name"], about["dtype"]) == ("cpu", None, None)
    assert place_of(network.to("meta"))["device"] == "meta"
    assert place_of(object())["device"] == "cpu"
