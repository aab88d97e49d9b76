"""``llada verify``: sound algorithms pass, each fault fails the check that is there for it."""

from __future__ import annotations

import json
import re
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from unittest import mock

import pytest
import torch
from torch import Tensor

from llada_core import (
    GenerationAlgorithm,
    LoadedModel,
    Parameter,
    ParameterError,
    UsageError,
    standard,
)
from llada_core.environment import read_environment
from llada_dev.verify import command, graphs
from llada_dev.verify.differences import agreement, first_difference
from llada_dev.verify.promises import CHECKS, Conditions
from llada_fastdllm import BasicGeneration, DualCacheGeneration
from llada_runtime import BestFirst, LLaDAModel, NoCache, Policy, Rule, Sequence
from llada_runtime.network import attention
from llada_runtime.network.graphs import Graphed
from tests.dev.verifying import SHORT, findings, registered, small_model, verified
from tests.support.graphing import AsCaptured, FakeGraphs

pytestmark = pytest.mark.alone

NAMES = ("basic", "prefix_cache", "dual_cache")
OURS = [word for name in NAMES for word in ("--algorithm", name)]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("model"))


@dataclass(frozen=True, slots=True)
class Crowded(BestFirst):
    """Keeps more where rows share the call: what no rule may do."""

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return open_counts.clamp(max=1 if len(ranked) == 1 else 3)


class Worse(DualCacheGeneration):
    """A decoder of this repository with one fault."""

    name = "worse"
    description = "One fault."
    parameters = tuple(map(standard, ("gen_length", "block_length", "temperature", "seed", "early_stop")))

    def rule(self, params: Mapping[str, Any]) -> Rule:
        return Crowded()


class Moody(Worse):
    """Keeps more in every answer than in the one before."""

    asked: ClassVar[list[int]] = []

    def rule(self, params: Mapping[str, Any]) -> Rule:
        self.asked.append(1)
        return OneOf(len(self.asked))


@dataclass(frozen=True, slots=True)
class OneOf(BestFirst):
    width: int

    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return open_counts.minimum(parameters[:, 0].long())

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        return torch.tensor([[each.rule.width] for each in sequences])  # type: ignore[attr-defined]


def test_our_decoders_pass(model: Path) -> None:
    told = verified(model, *SHORT, *OURS, "--json")
    assert told.exit_code == 0
    found = json.loads(told.stdout)
    assert found["passed"]
    verdicts = {(each["algorithm"], each["check"]): each["verdict"] for each in found["findings"]}
    for name in NAMES:
        for check in ("reference", "batch", "mixed", "repeat", "seed"):
            assert verdicts[name, check] == "passed"
        assert verdicts[name, "graphs"] == "not run"
    assert verdicts["basic", "cached"] == "not run"
    assert verdicts["dual_cache", "cached"] == "told"
    assert (found["device"], found["dtype"]) == ("cpu", "float32")


def test_the_table_says_the_same(model: Path) -> None:
    told = verified(model, *SHORT, "--algorithm", "dual_cache")
    assert told.exit_code == 0
    assert "dual_cache  reference  passed   4 of 4 answers are the same" in told.stdout
    assert "expected to hold: reference, batch, mixed, repeat, seed, graphs" in told.stderr
    assert "CUDA graphs are of a GPU, and the model runs on cpu" in told.stdout
    assert "it is the only algorithm of this call" in told.stdout
    assert "it is the only algorithm of this call that decodes" not in told.stdout


def test_a_rule_that_looks_at_its_neighbours_fails_where_rows_are_together(model: Path) -> None:
    with registered(Worse()):
        found = findings(model, *SHORT, "--algorithm", "worse", "--algorithm", "dual_cache")
    assert found["worse", "batch"]["verdict"] == "failed"
    assert "prompt 0" in found["worse", "batch"]["detail"]
    assert found["worse", "reference"]["verdict"] == "passed"
    assert found["worse", "repeat"]["verdict"] == "passed"
    assert found["dual_cache", "batch"]["verdict"] == "passed"


def test_a_decoder_that_remembers_the_last_request_fails_when_it_is_repeated(model: Path) -> None:
    Moody.asked.clear()
    with registered(Moody(name="moody")):
        found = findings(model, *SHORT, "--algorithm", "moody")
    assert found["moody", "repeat"]["verdict"] == "failed"


def test_a_fault_of_the_fast_path_is_named_by_its_first_difference(model: Path) -> None:
    kept = attention._keep

    def spoiled(pool: Any, k: Tensor, v: Tensor, layout: Any) -> None:
        kept(pool, k, -v, layout)

    with mock.patch.object(attention, "_keep", spoiled):
        told = verified(model, *SHORT, "--algorithm", "prefix_cache", "-p", "threshold=1")
    assert told.exit_code == 1
    where = r"prefix_cache  reference  FAILED   .* prompt \d, position \d: \d+ where \d+ is expected"
    assert re.search(where, told.stdout)


def test_basic_is_held_to_rules_that_are_not_its_own(model: Path) -> None:
    """A wrong rule of `basic` shows: its reference has rules of its own."""
    with mock.patch.object(BasicGeneration, "rule", return_value=OneOf(3)):
        found = findings(model, *SHORT, "--algorithm", "basic")
    assert found["basic", "reference"]["verdict"] == "failed"
    assert found["basic", "repeat"]["verdict"] == "passed"


class Opaque(GenerationAlgorithm):
    """An algorithm of one call that has no reference."""

    name, description, engine = "opaque", "The prompt's last token, over and over.", "fast-dllm"
    parameters = (standard("gen_length", default=8),)

    def load_model_class(self) -> Any:
        return DualCacheGeneration().load_model_class()

    def generate(
        self, model: Any, prompt: Tensor, *, attention_mask: Tensor | None = None, **params: Any
    ) -> tuple[Tensor, int]:
        length = self.validate_args(**params)["gen_length"]
        return torch.cat((prompt, prompt[:, -1:].repeat(1, int(str(length)))), dim=1), 1


def test_what_has_no_reference_is_said_and_not_passed(model: Path) -> None:
    with registered(Opaque()):
        found = findings(model, "--algorithm", "opaque", "--gen-length", 8)
    assert found["opaque", "reference"]["verdict"] == "not run"
    assert "let it define reference_answer" in found["opaque", "reference"]["detail"]
    assert found["opaque", "batch"]["verdict"] == "passed"
    assert found["opaque", "seed"]["detail"] == "it takes no seed"


class AlwaysWarm(BasicGeneration):
    """Draws whatever it is given, so that it has no temperature to be asked for."""

    name = "always_warm"
    description = "Draws at 0.8."
    parameters = tuple(map(standard, ("gen_length", "block_length", "seed")))

    def sequence(self, model: Any, prompt_ids: Any, params: Any, **fixed: Any) -> Any:
        return super().sequence(model, prompt_ids, {**params, "temperature": 0.8}, **fixed)


def test_what_takes_no_temperature_is_drawn_twice_as_it_is(model: Path) -> None:
    with registered(AlwaysWarm()):
        found = findings(model, *SHORT, "--algorithm", "always_warm")
    assert found["always_warm", "seed"]["verdict"] == "passed"


class OwnLoop(Opaque):
    """An algorithm on a loop that is its own: it says nothing of a policy or a rule."""

    name, within = "own_loop", DualCacheGeneration()
    parameters, loop_class = within.parameters, within.loop_class

    def open_loop(self, model: Any, **room: Any) -> Any:
        return self.within.open_loop(model, **room)

    def sequence(self, model: Any, prompt_ids: Any, params: Any) -> Any:
        return self.within.sequence(model, prompt_ids, params)

    def generate(self, model: Any, prompt: Tensor, **params: Any) -> tuple[Tensor, int]:
        raise NotImplementedError


def test_what_runs_on_a_loop_of_its_own_is_checked_as_far_as_it_says(model: Path) -> None:
    with registered(OwnLoop()):
        found = findings(model, *SHORT, "--algorithm", "own_loop", "--algorithm", "prefix_cache")
    cached = found["own_loop", "cached"]
    assert (cached["verdict"], cached["detail"]) == ("not run", "what it runs is its own: it does not say")
    for check in ("batch", "mixed", "repeat", "seed"):
        assert found["own_loop", check]["verdict"] == "passed"
    assert found["prefix_cache", "cached"]["verdict"] == "told"


class Failing(Opaque):
    name = "failing"

    def generate(self, model: Any, prompt: Tensor, **params: Any) -> tuple[Tensor, int]:
        raise RuntimeError("out of ideas")


def test_an_algorithm_that_raises_fails_and_the_others_are_checked(model: Path) -> None:
    with registered(Failing()):
        told = verified(model, "--algorithm", "failing", "--algorithm", "basic", "--gen-length", 4)
    assert told.exit_code == 1
    assert "out of ideas" in told.stdout
    assert re.search("basic +batch +passed", told.stdout)


def test_a_cache_is_compared_with_the_same_rule_without_one(model: Path) -> None:
    with registered(Worse()):
        found = findings(model, *SHORT, "--algorithm", "worse", "--algorithm", "prefix_cache")
    assert found["worse", "cached"]["detail"] == "no algorithm decodes the same without a cache"
    told = found["prefix_cache", "cached"]
    assert (told["verdict"], told["answers"]) == ("told", 4)
    assert 0 < told["agreement"] <= 1


class More(DualCacheGeneration):
    """It takes all that the others of its engine take, and relies on one more."""

    name = "more"
    parameters = (*DualCacheGeneration.parameters, Parameter(name="more", kind=int, minimum=1, default=1))

    def policy(self, params: Any) -> Policy:
        assert params["more"] == 1
        return super().policy(params)


class MoreThanThat(More):
    """One that refuses what the others take."""

    name = "more_than_that"

    def validate_args(self, **params: Any) -> dict[str, Any]:
        if params.get("gen_length") == 8:
            raise ParameterError("gen_length=8 is too short; give more", parameter="gen_length", value=8)
        return super().validate_args(**params)


def test_an_algorithm_that_takes_more_is_asked_with_parameters_of_its_own(model: Path) -> None:
    with registered(Worse()), registered(More()), registered(MoreThanThat()):
        found = findings(model, *SHORT, "--algorithm", "worse")
    assert found["worse", "cached"]["detail"] == "no algorithm decodes the same without a cache"


def test_in_16_bits_only_what_repeats_the_same_sums_is_promised() -> None:
    coarse, exact = Conditions(device="cuda:0", dtype="bfloat16"), Conditions(device="cpu", dtype="float32")
    assert [check for check in CHECKS if coarse.promises(check)] == ["repeat", "seed"]
    assert [check for check in CHECKS if not exact.promises(check)] == ["cached"]


def test_on_a_cpu_company_changes_nothing_in_bfloat16() -> None:
    on_cpu = Conditions(device="cpu", dtype="bfloat16")
    assert [check for check in CHECKS if on_cpu.promises(check)] == ["batch", "mixed", "repeat", "seed"]
    half = Conditions(device="cpu", dtype="float16")
    assert [check for check in CHECKS if half.promises(check)] == ["repeat", "seed"]


def test_in_16_bits_differences_are_told(model: Path) -> None:
    told = verified(model, *SHORT, *OURS[2:], "--dtype", "bfloat16")
    assert told.exit_code == 0
    assert re.search("dual_cache +reference +told", told.stdout)
    assert len(re.findall("(?:batch|mixed) +passed", told.stdout)) == 4
    assert "in bfloat16 sums in another order may decide" in told.stderr


def test_graphs_are_compared_where_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLADA_GRAPHS", raising=False)
    there = Conditions(device="cuda:0", dtype="float32")
    assert graphs.why_not(there) is None
    assert "runs on cpu" in str(graphs.why_not(Conditions(device="cpu", dtype="float32")))
    monkeypatch.setenv("LLADA_GRAPHS", "0")
    assert graphs.why_not(there) == "LLADA_GRAPHS is off; unset it to compare"


@pytest.fixture
def captured(monkeypatch: pytest.MonkeyPatch) -> Capturing:
    """Networks on the CPU capture their steps, too, unless graphs are off when they are loaded."""
    capturing = Capturing()
    monkeypatch.delenv("LLADA_GRAPHS", raising=False)
    monkeypatch.setattr(graphs, "why_not", lambda conditions: None)
    monkeypatch.setattr(LLaDAModel, "_turn_at", AsCaptured._turn_at)
    monkeypatch.setattr("llada_runtime.network.graphs.graphed", capturing)
    return capturing


@dataclass
class Capturing:
    """Stands for ``graphed``. ``record`` captures; ``switched`` is whether graphs were on, load by load."""

    record: FakeGraphs = field(default_factory=FakeGraphs)
    switched: list[bool] = field(default_factory=list)

    def __call__(self, network: Any) -> Any:
        self.switched.append(read_environment().graphs)
        return Graphed(network, record=self.record, after=1) if self.switched[-1] else network


def test_what_was_decoded_in_graphs_is_compared_with_the_same_without_them(
    model: Path, captured: Capturing
) -> None:
    found = findings(model, *SHORT, "-p", "threshold=1", *OURS)
    for name in ("prefix_cache", "dual_cache"):
        assert (found[name, "graphs"]["verdict"], found[name, "graphs"]["answers"]) == ("passed", 4)
    assert captured.record.replayed
    assert captured.switched == [True, False]
    assert read_environment().graphs
    basic = found["basic", "graphs"]
    assert (basic["verdict"], basic["detail"]) == ("not run", "nothing of it is captured")


def test_where_nothing_is_captured_no_model_is_loaded_for_it(model: Path, captured: Capturing) -> None:
    found = findings(model, *SHORT, "--algorithm", "basic")
    assert found["basic", "graphs"]["verdict"] == "not run"
    assert captured.switched == [True]


def test_a_graph_that_computes_something_else_fails(model: Path, captured: Capturing) -> None:
    def once(work: Callable[[], object]) -> Callable[[], None]:
        work()
        return lambda: None

    captured.record.capture = once  # type: ignore[method-assign]
    found = findings(model, *SHORT, "-p", "threshold=1", "--algorithm", "dual_cache")
    assert found["dual_cache", "graphs"]["verdict"] == "failed"


@pytest.mark.filterwarnings("ignore:a block step cannot be captured")
def test_a_capture_that_fails_is_a_failure(model: Path, captured: Capturing) -> None:
    captured.record.failure = RuntimeError("no room for it")
    told = verified(model, *SHORT, "-p", "threshold=1", "--algorithm", "dual_cache")
    assert told.exit_code == 1
    assert "a block step cannot be captured: RuntimeError: no room for it" in told.stdout


@pytest.mark.filterwarnings("ignore:a block step cannot be captured")
@pytest.mark.parametrize("failure", [None, RuntimeError("no room for it")])
def test_the_first_model_is_gone_before_the_other_is_loaded(
    model: Path, captured: Capturing, monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    captured.record.failure, networks, opened = failure, list[Any](), command.opened_model

    def opening(*asked: Any) -> LoadedModel:
        assert [each() for each in networks] == [None] * len(networks)
        lm = opened(*asked)
        networks.append(weakref.ref(lm.model.network))
        return lm

    monkeypatch.setattr(command, "opened_model", opening)
    with registered(Failing()):
        told = verified(model, "--gen-length", 8, *OURS[-2:], "--algorithm", "failing")
    assert isinstance(told.exception, SystemExit), told.exception
    assert "out of ideas" in told.stdout
    assert len(networks) == (2 if failure is None else 1)


@pytest.mark.gpu
def test_graphs_pass_on_a_gpu(model: Path) -> None:
    steps = ("-p", "block_length=8", "-p", "threshold=1", "--gen-length", 16)  # enough of one kind
    found = findings(model, *steps, *OURS, "--device", "cuda", "--dtype", "float32")
    assert [found[name, "graphs"]["verdict"] for name in NAMES] == ["not run", "passed", "passed"]


def test_prompts_of_a_file_may_be_ids(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": [1, 2, 3]}\n{"prompt": [4]}\n')
    found = findings(model, *SHORT, "--algorithm", "basic", "--prompts", file)
    assert found["basic", "batch"]["answers"] == 2


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("--gen-length", "8", "-p", "max_tokens=8"), UsageError, "given by -p and by --gen-length"),
        (("--repeat", "2"), UsageError, "give --upstream too"),
        (("-p", "widht=2"), ParameterError, "widht"),
        (("--algorithm", "none_such"), UsageError, "none_such"),
    ],
)
def test_wrong_calls_are_refused(
    model: Path, arguments: tuple[str, ...], error: type[Exception], said: str
) -> None:
    told = verified(model, *arguments)
    assert isinstance(told.exception, error)
    assert said in str(told.exception)


def test_where_answers_part_is_told_with_both_ids() -> None:
    found = first_difference([[1, 2], [3, 4]], [[1, 2], [3, 5]])
    assert str(found) == "prompt 1, position 1: 4 where 5 is expected"
    assert str(first_difference([[1]], [[1, 2]])) == "prompt 0, position 1: nothing where 2 is expected"
    assert first_difference([[1, 2]], [[1, 2]]) is None
    assert agreement([[1, 2], [3, 4]], [[1, 2], [3, 5]]) == 0.75
    assert agreement([[1]], [[1, 2]]) == 0.5


class OfWidth(Worse):
    """Keeps ``width``, or what a fault makes of it."""

    parameters = (*Worse.parameters, Parameter(name="width", kind=int, minimum=1, default=1))
    kind: ClassVar[type[OneOf]] = OneOf

    def rule(self, params: Mapping[str, Any]) -> Rule:
        return self.kind(params["width"])


class OfTheFirst(OneOf):
    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        return super().parameters(sequences)[:1].repeat(len(sequences), 1)


class OfTheWidest(OneOf):
    @classmethod
    def counts(cls, parameters: Tensor, ranked: Tensor, open_counts: Tensor) -> Tensor:
        return open_counts.minimum(parameters[:, 0].long().max())


@pytest.mark.parametrize("kind", [OfTheFirst, OfTheWidest])
def test_a_rule_that_gives_rows_the_parameters_of_others_fails_in_company(
    model: Path, kind: type[OneOf], tmp_path: Path
) -> None:
    algorithm = type("Own", (OfWidth,), {"kind": kind, "name": "own"})()
    with registered(algorithm):
        found = findings(model, *SHORT, "--algorithm", "own", "--algorithm", "basic")
        assert {found["own", check]["verdict"] for check in ("batch", "mixed")} == {"failed"}
        assert found["own", "repeat"]["verdict"] == "passed"
        prompts = tmp_path / "one.jsonl"
        prompts.write_text('{"prompt": [5, 6, 7]}\n')
        (batch,) = [
            each
            for (_, check), each in findings(
                model, *SHORT, "--algorithm", "own", "--prompts", prompts
            ).items()
            if check == "batch"
        ]
        assert batch["verdict"] == "failed"  # one prompt has neighbours of other parameters


def test_one_prompt_that_shares_no_forward_is_not_said_to_pass(model: Path, tmp_path: Path) -> None:
    class Opaque(GenerationAlgorithm):
        name, engine = "alone", "fast-dllm"
        parameters = (standard("gen_length"), standard("block_length"))

        def load_model_class(self) -> Any:
            return LLaDAModel

        def generate(self, model: Any, prompt: Any, *, attention_mask: Any = None, **params: Any) -> Any:
            return torch.cat((prompt, torch.full((len(prompt), params["gen_length"]), 5)), dim=1), 1

    prompts = tmp_path / "one.jsonl"
    prompts.write_text('{"prompt": [5, 6, 7]}\n')
    with registered(Opaque()):
        found = findings(model, *SHORT, "--algorithm", "alone", "--prompts", prompts)
    assert found["alone", "batch"]["verdict"] == "not run"
    assert "give several" in found["alone", "batch"]["detail"]


def test_an_algorithm_that_stands_by_breaks_no_check(model: Path) -> None:
    class Aside(OfWidth):
        name = "aside"  # asked before basic, and unable to make a rule
        parameters = (*DualCacheGeneration.parameters, OfWidth.parameters[-1])

        def policy(self, params: Mapping[str, Any]) -> Any:
            return NoCache()

        def rule(self, params: Mapping[str, Any]) -> Rule:
            return OneOf(params["width"] // 0 if params["gen_length"] == 8 else 1)

    aside = Aside()
    aside.parameters = (*DualCacheGeneration().parameters, OfWidth.parameters[-1])
    with registered(aside):
        found = findings(model, *SHORT, "--algorithm", "dual_cache")
    assert found["dual_cache", "cached"]["verdict"] == "told"


@pytest.mark.parametrize(("answer", "shown"), [(None, "it returned None"), (([5], 1), "a tuple")])
def test_a_reference_that_is_no_answer_is_named_and_the_rest_is_checked(
    model: Path, answer: Any, shown: str
) -> None:
    class Odd(Worse):
        name = "odd"

        def reference_answer(self, model: Any, prompt_ids: Any, params: Any) -> Any:
            return answer

    with registered(Odd()):
        found = findings(model, *SHORT, "--algorithm", "odd")
    assert found["odd", "reference"]["verdict"] == "failed"
    assert shown in found["odd", "reference"]["detail"]
    assert "return an Answer" in found["odd", "reference"]["detail"]
    assert found["odd", "repeat"]["verdict"] == "passed"


def test_a_prompt_that_cannot_be_read_is_told_with_its_file_and_line(model: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "some.jsonl"
    for bad in ("[]", str([5] * 900)):
        prompts.write_text(f'{{"prompt": [5, 6, 7]}}\n{{"prompt": {bad}}}\n')
        told = verified(model, *SHORT, "--algorithm", "basic", "--prompts", prompts)
        assert str(told.exception).startswith(f"{prompts}, line 2: ")
