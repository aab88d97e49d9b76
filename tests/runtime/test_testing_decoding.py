"""``check_rule``, ``check_policy``, ``algorithm_checks``: good ones pass, each way of being bad is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

import llada_core
from llada_core.testing import ConformanceError, NotRun, check_algorithm
from llada_runtime import (
    BestFirst,
    DualCache,
    Factor,
    NoCache,
    Plan,
    Policy,
    PrefixCache,
    Quota,
    Rule,
    Sequence,
    StepAlgorithm,
    Threshold,
)
from llada_runtime.testing import algorithm_checks, check_policy, check_rule, small_llada


def failures(check: Callable[[Any], Any], subject: Any) -> list[str]:
    with pytest.raises(ConformanceError) as caught:
        check(subject)
    return [failure.check for failure in caught.value.failures]


@pytest.mark.parametrize("rule", [Quota(1), Quota(3), Threshold(0.0), Threshold(0.9), Factor(1.0)], ids=repr)
def test_our_rules_pass(rule: Rule) -> None:
    assert len(check_rule(rule)) == 7


@pytest.mark.parametrize("policy", [NoCache(), PrefixCache(), DualCache()])
def test_our_policies_pass(policy: Policy) -> None:
    assert len(check_policy(policy)) == 3


class Drawing(StepAlgorithm):
    """It takes what is said of drawing."""

    name = "drawing"
    parameters = (llada_core.standard("gen_length"), *llada_core.SAMPLING)

    def policy(self, params):
        return NoCache()

    def rule(self, params):
        return Threshold(0.9)


class Unfiltered(Drawing):
    """It makes its sequences itself, and forgets a part of it."""

    def sequence(self, model, prompt_ids, params):
        heat = params["temperature"]
        return Sequence(
            prompt_ids, model.config, gen_length=params["gen_length"], block_length=4,
            policy=NoCache(), rule=Threshold(0.9), temperature=heat, early_stop=False,
        )  # fmt: skip


class Otherwise(Unfiltered):
    """It does with them what its own published sampler does."""

    def filters(self, params):
        return None


FILTERS = "its sequence has the filters that it takes"


@pytest.mark.parametrize("kind", [Drawing, Otherwise])
def test_what_filters_or_says_that_it_does_not_passes(kind: type[StepAlgorithm]) -> None:
    dict(algorithm_checks(kind()))[FILTERS]()  # type: ignore[abstract]


def test_filters_that_are_taken_and_forgotten_are_found() -> None:
    told = r"make it with filters=self.filters\(params\), which is Filters\(top_k=2, "
    with pytest.raises(AssertionError, match=told):
        dict(algorithm_checks(Unfiltered()))[FILTERS]()  # type: ignore[abstract]


class Nothing(Rule):
    """It waits for certainty."""

    @classmethod
    def choose(cls, parameters, scores, open_):
        return (scores >= 1.0) & open_


class Late(Rule):
    """It keeps all that is open from the forward on that ``first`` says, and nothing before."""

    idles = True

    def __init__(self, first: int) -> None:
        self.first = first

    @classmethod
    def parameters(cls, sequences):
        late = [[sequence.block_nfe >= sequence.rule.first] for sequence in sequences]
        return torch.tensor(late, dtype=torch.float64)

    @classmethod
    def choose(cls, parameters, scores, open_):
        return (parameters > 0) & open_


def test_a_rule_may_let_as_many_forwards_pass_as_its_sequence_lets_it() -> None:
    # A block of one column may have 18 forwards in a row that fill nothing.
    for first in (0, 1, 18):
        assert len(check_rule(Late(first))) == 7
    assert failures(check_rule, Late(40)) == ["its rule keeps an open position of every row"]


def test_a_rule_that_does_not_say_so_may_let_none_pass() -> None:
    class Silent(Late):
        idles = False

    assert failures(check_rule, Silent(2)) == ["its rule keeps an open position of every row"]


class Everything(Rule):
    """It keeps what is closed, too."""

    @classmethod
    def choose(cls, parameters, scores, open_):
        return torch.ones_like(open_)


class Scores(Rule):
    """It returns numbers."""

    @classmethod
    def choose(cls, parameters, scores, open_):
        return open_.double()


class Consuming(Rule):
    """It marks in the scores what it has kept."""

    @classmethod
    def choose(cls, parameters, scores, open_):
        best = scores == scores.amax(-1, keepdim=True)
        scores.masked_fill_(best, 0.0)
        return best & open_


class Remembering(Rule):
    """It keeps all positions or one, in turn."""

    turn = 0

    @classmethod
    def choose(cls, parameters, scores, open_):
        Remembering.turn += 1
        return open_ if Remembering.turn % 2 else (scores == scores.amax(-1, keepdim=True)) & open_


class Jealous(Rule):
    """The surest of the whole call decides for all rows."""

    @classmethod
    def choose(cls, parameters, scores, open_):
        best = scores == scores.amax(-1, keepdim=True)
        return (best | (scores >= scores.max() / 2)) & open_


class Proportional(BestFirst):
    """So many as the tensor is wide."""

    @classmethod
    def counts(cls, parameters, ranked, open_counts):
        return torch.full_like(open_counts, ranked.shape[-1] // 2)


class AtHome(BestFirst):
    """It makes tensors on the CPU."""

    @classmethod
    def counts(cls, parameters, ranked, open_counts):
        return open_counts.minimum(torch.tensor([2]))


@pytest.mark.parametrize(
    ("rule", "check"),
    [
        (Nothing(), "its rule keeps an open position of every row"),
        (Everything(), "its rule keeps nothing that is not open"),
        (Scores(), "its rule returns a choice, bool [R, L]"),
        (Consuming(), "its rule changes nothing when it chooses"),
        (Remembering(), "its rule changes nothing when it chooses"),
        (Jealous(), "its rule chooses for each row as if it were alone"),
        (Proportional(), "its rule chooses the same whatever the padding"),
        (AtHome(), "its rule works on any device"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Rule) else "",
)
def test_a_rule_that_breaks_its_promise_is_found(rule: Rule, check: str) -> None:
    assert check in failures(check_rule, rule)


def test_a_rule_that_reads_values_is_no_failure_of_a_machine_without_a_gpu() -> None:
    class Reading(Rule):
        @classmethod
        def choose(cls, parameters, scores, open_):
            best = torch.zeros_like(open_)
            best[range(len(scores)), scores.argmax(-1).tolist()] = True
            return best

    held = check_rule(Reading())
    assert len(held) == 6
    assert "its rule works on any device" not in held


class Outside(NoCache):
    """It covers columns behind the canvas."""

    def plan(self, sequence):
        return replace(super().plan(sequence), hi=sequence.length + 1)


class Idle(NoCache):
    """It decides nothing, ever."""

    def plan(self, sequence):
        return replace(super().plan(sequence), targets=(sequence.length, sequence.length))


class Counting(NoCache):
    """Planning counts."""

    def begin(self):
        return [0]

    def plan(self, sequence):
        sequence.policy_state[0] += 1
        return super().plan(sequence)


class Alternating(DualCache):
    """What it plans depends on how often it was asked, by whomever."""

    asked = 0

    def plan(self, sequence: Any) -> Plan:
        self.asked += 1
        return super().plan(sequence) if self.asked % 2 else Plan(lo=0, hi=sequence.length, writes=True)


class Shared(NoCache):
    """It looks further where the row that it met last is long."""

    last = 0

    def after(self, sequence, plan, logits, network):
        self.last = sequence.length

    def plan(self, sequence):
        return replace(super().plan(sequence), targets=self.targets(sequence))

    def targets(self, sequence):
        end = sequence.block_end if self.last > 9 else sequence.block_start + 1
        start = min(sequence.open_columns)
        return (start, max(end, start + 1))


@pytest.mark.parametrize(
    ("policy", "check"),
    [
        (Outside(), "its policy plans what can be run, until nothing is masked"),
        (Idle(), "its policy plans what can be run, until nothing is masked"),
        (Counting(), "its policy changes nothing when it plans"),
        (Alternating(), "its policy changes nothing when it plans"),
        (Shared(), "its policy serves rows as if each were alone"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Policy) else "",
)
def test_a_policy_that_breaks_its_promise_is_found(policy: Policy, check: str) -> None:
    assert check in failures(check_policy, policy)


class Pairs(StepAlgorithm):
    name, engine = "pairs", "fast-dllm"
    parameters = tuple(map(llada_core.standard, ("gen_length", "block_length")))

    def policy(self, params):
        return DualCache()

    def rule(self, params):
        return Quota(2)


def test_a_step_algorithm_brings_the_checks_of_its_rule_and_policy() -> None:
    held = check_algorithm(Pairs(), model=small_llada())
    assert "its rule keeps an open position of every row" in held
    assert "its policy serves rows as if each were alone" in held
    assert "a batch is its rows alone" in held


def test_a_faulty_rule_or_policy_of_an_algorithm_is_found() -> None:
    class Mine(Pairs):
        def policy(self, params):
            return Counting()

        def rule(self, params):
            return AtHome()

    with pytest.raises(ConformanceError) as caught:
        check_algorithm(Mine(), model=small_llada())
    found = {failure.check for failure in caught.value.failures}
    assert found == {"its rule works on any device", "its policy changes nothing when it plans"}


def test_an_algorithm_for_networks_of_its_own_has_its_rule_checked_on_its_model() -> None:
    class Mine(Pairs):
        def unfit_reason(self, model):
            return None if hasattr(model, "tensors") else "it needs weights; give it a model"

    held = check_algorithm(Mine(), model=small_llada())
    assert "its rule keeps an open position of every row" in held
    assert "its policy changes nothing when it plans" not in held
    with pytest.raises(NotRun, match="it has loaded no model that it runs on; give one"):
        dict(algorithm_checks(Mine()))["its rule keeps an open position of every row"]()


class OnceMore(NoCache):
    """A block that was filled at once is run so many times more."""

    def __init__(self, surplus: int) -> None:
        self.surplus = surplus

    def begin(self) -> list[int]:
        return [0]

    def after(self, sequence, plan, logits, network):
        if sequence.block_nfe == 1:
            sequence.policy_state[0] = 0 if sequence.open_columns else self.surplus + 1
        sequence.policy_state[0] = max(sequence.policy_state[0] - 1, 0)

    def stays(self, sequence: Sequence) -> bool:
        return sequence.policy_state[0] > 0


def test_what_acts_where_a_block_is_filled_at_once_is_seen_to_act() -> None:
    class Mine(Pairs):
        parameters = (*Pairs.parameters, llada_core.Parameter(name="surplus", kind=int, minimum=0, default=0))

        def policy(self, params):
            return OnceMore(params["surplus"])

        def rule(self, params):
            return Threshold(0.9)

    dict(algorithm_checks(Mine()))["each parameter changes something, or is declared neutral"]()


class OfAnotherModel:
    """A tokenizer of a model with more ids than the networks of the checks have."""

    eos_token_id = 151643
    pad_token_id = 151643


def test_a_tokenizer_that_was_loaded_says_nothing_of_the_networks_of_the_checks() -> None:
    algorithm = Drawing()  # type: ignore[abstract]
    algorithm.tokenizer = OfAnotherModel()
    checks = dict(algorithm_checks(algorithm))
    for name in (
        FILTERS,
        "its rule returns a choice, bool [R, L]",
        "it comes to an end at each default, choice and bound",
    ):
        checks[name]()  # a warning would be an error here


class ByChance(Drawing):
    """It fills positions in a random order, unless somebody seeds it in another one every time."""

    name, engine = "by_chance", "fast-dllm"
    parameters = (
        *map(llada_core.standard, ("gen_length", "block_length", "seed", "early_stop")),
        llada_core.standard(
            "remasking", default="random", choices=("random",), coerce={}, neutral=("random",)
        ),
    )

    def rule(self, params):
        return Quota(3)


def test_an_algorithm_that_draws_at_its_defaults_is_compared_under_a_seed() -> None:
    held = check_algorithm(ByChance(), model=small_llada())  # type: ignore[abstract]
    assert {"a batch is its rows alone", "its policy serves rows as if each were alone"} <= set(held)
