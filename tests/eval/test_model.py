"""The model ``llada``: what tasks ask of it becomes requests of the registry, and comes back in order."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lm_eval.api.instance import Instance

from llada_core import Session
from llada_core.errors import ParameterError, UsageError
from llada_core.generation.likelihood import Estimate, LogLikelihood
from llada_eval.asking import numbers_of
from llada_eval.model import LladaLM
from llada_eval.reported import Reported
from tests.eval.conftest import SETTINGS, asks

pytestmark = pytest.mark.alone

QUESTIONS = ["What is 12 + 30?", "Say hello.", "Sort the numbers 3, 1, 2.", "What is 7 + 5?"]
GREEDY: dict[str, Any] = {"until": [], "do_sample": False, "temperature": 0.0, "max_gen_toks": 48}


def contexts(small: LladaLM) -> list[str]:
    return [small.apply_chat_template([{"role": "user", "content": each}]) for each in QUESTIONS]


def test_answers_are_those_of_generate_in_the_order_of_the_requests(small: LladaLM) -> None:
    requests = asks("generate_until", *[(each, GREEDY) for each in contexts(small)])
    wanted = small.lm.generate(list(QUESTIONS), gen_length=48, **SETTINGS)
    assert small.generate_until(requests, disable_tqdm=True) == [each.text for each in wanted]
    assert wanted[0].text == "12 + 30 = 42."


def test_an_answer_ends_before_the_first_of_its_texts(small: LladaLM) -> None:
    (context, *_) = contexts(small)
    asked = [{**GREEDY, "until": until} for until in ("= 4", ["42", " ="], ["", "never"])]
    found = small.generate_until(asks("generate_until", *[(context, each) for each in asked]), True)
    assert found == ["12 + 30 ", "12 + 30", "12 + 30 = 42."]


def test_what_the_arguments_say_wins_over_the_task(small: LladaLM, monkeypatch: pytest.MonkeyPatch) -> None:
    model = LladaLM(**SETTINGS, device="cpu", gen_length=3)
    monkeypatch.setattr(model, "lm", small.lm)
    (text,) = model.generate_until(asks("generate_until", (contexts(small)[0], GREEDY)), True)
    assert len(small.tok_encode(text, add_special_tokens=False)) == 3
    (longer,) = small.generate_until(
        asks("generate_until", (contexts(small)[0], {"until": [], "max_new_tokens": 5})), True
    )
    assert len(small.tok_encode(longer, add_special_tokens=False)) == 5


def test_a_generation_argument_that_the_algorithm_does_not_take_is_refused(small: LladaLM) -> None:
    with pytest.raises(ParameterError, match="num_beams"):
        small.generate_until(asks("generate_until", (QUESTIONS[0], {**GREEDY, "num_beams": 4})), True)


def test_an_argument_that_changes_nothing_is_none(small: LladaLM) -> None:
    neutral = {"num_beams": 1, "repetition_penalty": 1.0, "length_penalty": 1, "early_stopping": False}
    requests = asks("generate_until", *[(QUESTIONS[0], {**GREEDY, **more}) for more in ({}, neutral)])
    plain, same = (small._request(number, each) for number, each in enumerate(requests))
    assert same.parameters == plain.parameters
    with pytest.raises(ParameterError, match="repetition_penalty"):
        small.generate_until(asks("generate_until", (QUESTIONS[0], {"repetition_penalty": 1.1})), True)


def test_who_wants_answers_drawn_says_how(small: LladaLM) -> None:
    def parameters(**how: Any) -> Any:
        return small._request(0, *asks("generate_until", (QUESTIONS[0], how))).parameters

    with pytest.raises(UsageError, match="give temperature"):
        parameters(do_sample=True)
    assert parameters(do_sample=True, temperature=0.5)["temperature"] == 0.5
    assert "temperature" not in parameters(do_sample=True, temperature=0.0)
    assert "temperature" not in parameters(do_sample=False, temperature=0.5)


def test_an_answer_is_drawn_by_what_it_is_of_and_not_by_its_place_in_the_call(small: LladaLM) -> None:
    """So a run that goes on, whose first answers are in a cache, draws what it would have."""
    several = asks("generate_until", *[(each, GREEDY) for each in QUESTIONS])
    other = Instance("generate_until", {}, (QUESTIONS[0], GREEDY), 0, metadata=("another", 0, 1))
    numbers = numbers_of([*several, other])
    assert numbers_of(several[2:]) == numbers[2:4]
    assert numbers_of([other, *several]) == [numbers[4], *numbers[:4]]
    repeated = numbers_of([several[0]] * 3)
    assert repeated[0] == numbers[0]
    assert len({*numbers, *repeated}) == 7, "each has its own"
    model = LladaLM(**SETTINGS, device="cpu", temperature=1.0, seed=5)
    assert model._request(numbers[1], several[1]).parameters["seed"] == 5 + numbers[1]


def test_likelihoods_are_those_of_the_registry_and_their_errors_are_reported(
    small: LladaLM, tmp_path: Path
) -> None:
    log = tmp_path / "likelihoods.jsonl"
    model = LladaLM(**SETTINGS, device="cpu", mc_samples=8, mc_seed=3, mc_batch=5, likelihood_log=str(log))
    context = contexts(small)[0]
    texts = [(context, "12 + 30 = 42."), (context, "12 + 30 = 43."), ("", "12 + 30")]
    found = model.loglikelihood(asks("loglikelihood", *texts), disable_tqdm=True)
    for (before, behind), (value, is_greedy) in zip(texts, found, strict=True):
        pair = model._encode_pair(before, behind) if before else ([0], model.tok_encode(behind, False))
        alone = model.lm.log_likelihood(*pair, samples=8, seed=3)
        assert (value, is_greedy) == (alone.value, alone.is_greedy)
    assert [is_greedy for _, is_greedy in found] == [True, False, False]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert {(line["context"], line["continuation"]): line["value"] for line in lines} == {
        each: value for each, (value, _) in zip(texts, found, strict=True)
    }
    told = model.get_model_info()["llada"]["likelihoods"]
    assert told["standard_error"]["greatest"] == max(line["standard_error"] for line in lines)
    assert (told["count"], told["nfe"]) == (3, sum(line["nfe"] for line in lines))


def test_white_space_before_a_text_is_masked_only_where_it_is_of_its_first_token(small: LladaLM) -> None:
    context = contexts(small)[0]
    assert context.endswith("\n\n")
    assert small._encode_pair(context, "12") == (small.tok_encode(context), small.tok_encode("12", False))
    assert small._encode_pair("Ann has ", "apples") == small._encode_pair("Ann has", " apples")


def test_likelihoods_by_the_chain_where_asked(small: LladaLM) -> None:
    model = LladaLM(**SETTINGS, device="cpu", likelihood="chain", chain_order="most_confident")
    context = contexts(small)[0] + "12 +"
    ((value, is_greedy),) = model.loglikelihood(asks("loglikelihood", (context, " 30 = 42.")), True)
    pair = model._encode_pair(context, " 30 = 42.")
    assert value == model.lm.log_likelihood(*pair, method="chain", order="most_confident").value
    assert is_greedy


def test_a_whole_text_is_the_sum_of_its_windows(small: LladaLM) -> None:
    model = LladaLM(**SETTINGS, device="cpu", likelihood="chain", max_length=9)
    text = "Ann has 3 apples and Bob has 4."
    ids = model.tok_encode(text, add_special_tokens=False)
    assert len(ids) > 9
    (found,) = model.loglikelihood_rolling(asks("loglikelihood_rolling", (text,)), disable_tqdm=True)
    before = [model.prefix_token_id, *ids]
    firsts = range(0, len(ids), 8)
    parts = [(before[first : first + 1], ids[first : first + 8]) for first in firsts]
    last = len(ids) - 8  # the last window is as long as the others, with more before it
    parts[-1] = (before[last : firsts[-1] + 1], ids[firsts[-1] :])
    wanted = [model.lm.log_likelihood(*part, method="chain").value for part in parts]
    assert found == pytest.approx(sum(wanted), abs=1e-4)
    model.settings = replace(model.settings, estimate=Estimate(samples=6, seed=2))
    before_that = model.reported.summary["nfe"]
    (found,) = model.loglikelihood_rolling(asks("loglikelihood_rolling", (text,)), disable_tqdm=True)
    each = [model.lm.log_likelihood(*part, samples=6, seed=2, paired=False, greedy=False) for part in parts]
    assert found == pytest.approx(sum(part.value for part in each), abs=1e-4)
    asked = model.reported.summary["nfe"] - before_that
    assert asked == sum(part.nfe for part in each), "and nothing of what the model writes"


def test_a_prompt_that_does_not_fit_is_refused_or_loses_its_beginning(small: LladaLM) -> None:
    long = ("word " * 400) + QUESTIONS[0]
    requests = asks("generate_until", (long, {**GREEDY, "max_gen_toks": 900}))
    with pytest.raises(ParameterError, match=r"of a task, document 0, .* truncate=True.*shorter answers"):
        small.generate_until(requests, True)
    with pytest.raises(ParameterError, match=r"the context of ' an apple' .* fewer examples"):
        small.loglikelihood(asks("loglikelihood", ("word " * 1200, " an apple")), True)
    model = LladaLM(**SETTINGS, device="cpu", truncate=True, max_length=64)
    ids = model.tok_encode(long)
    (text,) = model.generate_until(asks("generate_until", (long, GREEDY)), True)
    assert text == model.lm.generate(ids[-16:], gen_length=48, **SETTINGS).text


def test_a_template_is_chosen_by_its_name_where_there_are_several(
    small: LladaLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = [{"role": "user", "content": "Hello"}]
    monkeypatch.setattr(small, "_template", None)
    with pytest.raises(UsageError, match="give it alone"):
        small.chat_template("terse")
    usual = small.apply_chat_template(said)
    assert small.chat_template(True) == small.tokenizer.chat_template
    assert small.apply_chat_template(said) == usual
    several = {"default": small.tokenizer.chat_template, "terse": "{{ messages[0]['content'] }}!"}
    monkeypatch.setattr(small.tokenizer, "chat_template", several)
    small.chat_template("terse")
    assert small.apply_chat_template(said) == "Hello!"


class Kept:
    """A cache of the harness, and how many were in it when the one after each was to be found."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, Any, Any]] = []
        self.counts: list[int] = []

    def add_partial(self, kind: str, arguments: Any, found: Any) -> None:
        self.entries.append((kind, arguments, found))

    def counted(self, found: Iterable[Any]) -> Iterator[Any]:
        for each in found:
            yield each
            self.counts.append(len(self.entries))


@pytest.fixture
def kept(small: LladaLM, monkeypatch: pytest.MonkeyPatch) -> Kept:
    kept = Kept()
    monkeypatch.setattr(small, "cache_hook", kept)
    return kept


def test_a_likelihood_is_in_the_cache_as_soon_as_it_is_known(
    small: LladaLM, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = small.lm.log_likelihoods
    monkeypatch.setattr(small.lm, "log_likelihoods", lambda *pairs, **how: kept.counted(tell(*pairs, **how)))
    texts = [(contexts(small)[0], each) for each in ("12", "13")]
    found = small.loglikelihood(asks("loglikelihood", *texts), True)
    assert sorted(kept.entries) == sorted(
        ("loglikelihood", text, each) for text, each in zip(texts, found, strict=True)
    )
    assert kept.counts == [1, 2]


def test_an_answer_is_in_the_cache_as_soon_as_it_is_known(
    small: LladaLM, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps = Session.__iter__
    monkeypatch.setattr(Session, "__iter__", lambda session: kept.counted(steps(session)))
    asked = [(contexts(small)[0], {**GREEDY, "max_gen_toks": length}) for length in (4, 40)]
    found = small.generate_until(asks("generate_until", *asked), True)
    assert kept.entries == [("generate_until", *each) for each in zip(asked, found, strict=True)]
    assert 1 in kept.counts, "while the second was still in work"


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"treshold": 0.5}, ParameterError, "threshold"),
        ({"threshold": 7}, ParameterError, "threshold"),
        ({"likelihood": "exact"}, UsageError, "method='exact'"),
        ({"likelihood": "chain", "mc_samples": 4}, UsageError, "samples is of"),
        ({"batch_size": "many"}, UsageError, "batch_size='many'"),
        ({"max_length": 1}, UsageError, "max_length=1 .* from 2 on"),
        ({"truncate": "left"}, UsageError, "truncate='left'"),
        ({"likelihood_log": "/nowhere/to/be/found"}, UsageError, "cannot be written"),
    ],
)
def test_what_no_argument_can_be_is_refused(given: dict[str, Any], error: Any, said: str) -> None:
    with pytest.raises(error, match=said):
        LladaLM(device="cpu", **given)


def test_a_file_of_likelihoods_is_gone_on_with_and_refused_before_a_model_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "likelihoods.jsonl"
    log.write_text("{}\n")
    Reported(str(log))
    assert log.read_text() == "{}\n"
    monkeypatch.setattr("llada_core.load_model", lambda *_, **__: pytest.fail("it is loaded"))
    with pytest.raises(UsageError, match="cannot be written"):
        LladaLM(device="cpu", likelihood_log=str(tmp_path / "none" / "at all"))


def test_a_file_of_likelihoods_is_json_where_a_text_is_ruled_out(tmp_path: Path) -> None:
    log = tmp_path / "likelihoods.jsonl"
    reported = Reported(str(log))
    for value in (-math.inf, -2.5):
        found = LogLikelihood(value=value, standard_error=0.0, samples=8, tokens=2, is_greedy=False, nfe=3)
        reported.take(("a", "b"), found)

    def refused(constant: str) -> None:
        pytest.fail(f"{constant} is no JSON")

    lines = [json.loads(line, parse_constant=refused) for line in log.read_text().splitlines()]
    assert [line["value"] for line in lines] == [None, -2.5]


def test_model_args_fill_what_the_options_leave_open() -> None:
    options = {"batch_size": "auto", "max_batch_size": None, "device": "auto"}
    model = LladaLM.create_from_arg_string("device=cpu,batch_size=4", options)
    assert model.settings.rows == 4
    assert model.settings.loading == {"device": "cpu"}
    with pytest.raises(UsageError, match="device is 'cpu' in model_args and 'cuda:0' as an option"):
        LladaLM.create_from_arg_obj({"device": "cpu"}, {**options, "device": "cuda:0"})


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="start one"):
        LladaLM(device="cpu")
