"""``llada tune``, on answers that are known beforehand."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from llada_core import LoadedModel, list_algorithms, load_model
from llada_decoders.tuning import asking, command
from tests.decoders.tuning_oracle import Oracle
from tests.support.program import Llada, Ran, error

Tune = Callable[..., Ran]
FAST = ("--algorithm", "dual_cache", "-p", "threshold=0.4,0.5,0.6,0.7,0.8,0.9", "-p", "block_length=32")


@pytest.fixture(scope="module")
def lm() -> Iterator[LoadedModel]:
    with load_model(device="cpu") as loaded:
        yield loaded


@pytest.fixture
def oracle(monkeypatch: pytest.MonkeyPatch) -> Oracle:
    found = Oracle()
    monkeypatch.setattr(asking, "measure", found)
    return found


@pytest.fixture
def tune(llada: Llada, lm: LoadedModel, oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> Tune:
    """A function that runs ``llada tune`` on the small model, whose answers are the oracle's."""
    monkeypatch.setattr(command, "opened_model", lambda choice, settings: nullcontext(lm))
    return lambda *arguments: llada("tune", *arguments)


def found(ran: Ran, *, status: int = 0) -> dict[str, Any]:
    assert ran.status == status, ran.err
    told: dict[str, Any] = json.loads(ran.out)
    return told


def row(ran: Ran, label: str) -> str:
    """The line of the table that begins with a label."""
    (line,) = [line for line in ran.out.splitlines() if line.startswith(f"{label} ")]
    return line


def test_people_get_a_table_and_the_flags_to_use(tune: Tune) -> None:
    ran = tune("--tasks", "lists", "-n", "64", "--floor", "0.85", *FAST)
    assert (ran.status, ran.err) == (0, "")
    assert row(ran, "dual_cache threshold=0.7").endswith("take it")
    assert row(ran, "dual_cache threshold=0.4").endswith("may be below")
    assert row(ran, "one token a step: basic").endswith("the baseline")
    assert "64 question(s): tasks of the embedded model, lists; " in ran.out
    assert "the floor is 85.0 %" in ran.out
    assert "too few" not in ran.out
    *_, told, flags = ran.out.splitlines()
    assert told.startswith(
        "dual_cache: 2.9 times as fast as one token a step, with 100.0 % of its right answers"
    )
    assert "not shown" not in told
    assert flags.strip() == "--algorithm dual_cache -p block_length=32 -p threshold=0.7"


def test_programs_get_all_trials(tune: Tune) -> None:
    told = found(tune("--tasks", "lists", "-n", "32", "--floor", "0.9", "--json", *FAST))
    assert list(told) == ["about", "method", "baseline", "trials", "best", "fastest"]
    assert told["method"]["stages"] == [8, 16, 32]
    assert told["baseline"]["asked"] == 32
    assert [each["parameters"]["threshold"] for each in told["trials"]] == [0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    for each in told["trials"]:
        assert each["asked"] == len(each["answers"]) <= 32
        assert each["right"] == sum(answer["right"] for answer in each["answers"])
        assert each["right"] == each["right_by_both"] + each["right_by_this_alone"]
        assert each["share_interval"][0] <= each["share"] <= each["share_interval"][1]
    (best,) = told["best"]
    assert (best["algorithm"], best["passes"], best["flags"]) == ("dual_cache", True, told["fastest"])


def test_nobody_is_asked_twice_and_all_are_asked_the_same(tune: Tune, oracle: Oracle) -> None:
    tune("--tasks", "lists,json", "-n", "40", "--algorithm", "dual_cache", "--algorithm", "wino")
    (first, *others) = oracle.asked.values()
    assert len(first) == 40
    for questions in others:
        assert questions == first[: len(questions)]
        assert len({id(each) for each in questions}) == len(questions) in (8, 16, 32, 40)


def test_families_are_asked_in_turn_and_the_seed_says_which_questions(tune: Tune, oracle: Oracle) -> None:
    asked = []
    for seed in ("1", "1", "2"):
        oracle.asked.clear()
        tune("--tasks", "lists,json", "-n", "8", "--seed", seed, *FAST)
        asked.append([each.prompt for each in next(iter(oracle.asked.values()))])
    assert asked[0] == asked[1] != asked[2]
    assert [each.group for each in next(iter(oracle.asked.values()))] == ["lists", "json"] * 4


def test_where_nothing_passes_one_token_a_step_is_what_to_use(tune: Tune) -> None:
    ran = tune("--tasks", "lists", "-n", "64", "--algorithm", "dual_cache", "-p", "threshold=0.3,0.5,0.6")
    assert ran.status == 1
    *_, told, flags = ran.out.splitlines()
    assert told == "dual_cache: nothing that is faster passes; take one token a step"
    assert flags.strip() == "--algorithm basic -p steps=128"


def test_who_cannot_reach_the_floor_any_more_is_asked_no_more(tune: Tune) -> None:
    ran = tune("--tasks", "lists", "-n", "24", "--floor", "0.94", *FAST)
    assert row(ran, "dual_cache threshold=0.4").split()[2] == "16"
    assert row(ran, "dual_cache threshold=0.4").endswith("out of reach")
    assert row(ran, "dual_cache threshold=0.7").endswith("take it, not shown")
    assert row(ran, "dual_cache threshold=0.9").endswith("slower, asked no more")


def test_too_few_questions_are_said_to_be_too_few(tune: Tune) -> None:
    ran = tune("--tasks", "lists", "-n", "16", *FAST)
    assert ran.status == 0
    assert "too few questions to show such a share: without gains it takes 189 right answers of" in ran.out
    assert row(ran, "dual_cache threshold=0.7").endswith("take it, not shown")
    assert "; that it passes is not shown" in ran.out
    assert (
        "without gains no number of questions shows"
        in tune("--tasks", "lists", "-n", "8", "--floor", "1", *FAST).out
    )


def test_what_is_as_fast_is_said_to_be(tune: Tune) -> None:
    ran = tune("--tasks", "lists", "-n", "8", "--algorithm", "dual_cache", "-p", "threshold=0.70,0.71")
    assert ran.out.count("passes, as fast") == 3, "two thresholds, two lengths of blocks"
    assert "; 3 more as fast" in ran.out


def test_only_what_runs_on_a_network_without_a_cache_is_tuned(
    tune: Tune, lm: LoadedModel, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(lm.model.network), "caches", False)
    asked = ("--tasks", "lists", "-n", "8", "--algorithm", "compose", "-p", "threshold=0.7,0.9")
    told = found(tune(*asked, "-p", "cache=dual,none", "--json"))
    assert {each["parameters"]["cache"] for each in told["trials"]} == {"none"}
    before = {name: len(each) for name, each in oracle.asked.items()}
    assert "give cache='none'" in error(tune(*asked), status=2)
    now = {name: len(each) for name, each in oracle.asked.items()}
    assert now == before, "the baseline was asked"


def test_what_the_default_parts_do_not_read_leaves_compose_out(tune: Tune) -> None:
    ran = tune("--tasks", "lists", "-n", "8", "-p", "refresh_every=2,4")
    assert ran.status == 2
    assert "error: no algorithm for this model takes refresh_every; give --algorithm NAME" in ran.err
    ran = tune("--tasks", "lists", "-n", "8", "-p", "cache=frozen", "-p", "refresh_every=2,4", "--json")
    assert {each["parameters"]["refresh_every"] for each in found(ran)["trials"]} == {2, 4}


def test_every_algorithm_that_can_be_tuned_is_where_none_is_named(tune: Tune, oracle: Oracle) -> None:
    told = found(tune("--tasks", "lists", "-n", "8", "--json"))
    names = [each["algorithm"] for each in told["best"]]
    assert (
        {"basic", "dual_cache", "wino", "eb_sampler", "klass", "llada"}
        <= set(names)
        <= set(list_algorithms())
    )
    ran = tune("--tasks", "lists", "-n", "8", "-p", "threshold=0.7,0.9", "-p", "gen_length=64", "--json")
    left = next(
        line for line in ran.err.splitlines() if line.startswith("left out, as they do not take all of")
    )
    assert "threshold, gen_length: " in left
    assert {"eb_sampler", "daedal", "llada"} <= set(left.split(": ")[1].split(", "))
    given = [each["parameters"] for each in found(ran)["trials"]]
    assert {each.get("threshold", each.get("conf_threshold")) for each in given} == {0.7, 0.9}
    assert found(ran)["baseline"]["parameters"] == {"gen_length": 64, "steps": 64}, (
        "a pace is none of the baseline's"
    )


def test_files_have_questions_too(tune: Tune, tmp_path: Path) -> None:
    lines = [json.dumps({"prompt": f"Say {number}.", "expected": str(number)}) for number in range(12)]
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(lines))
    assert found(tune("--prompts", str(path), "--json", *FAST))["method"]["questions"] == 12
    assert found(tune("--prompts", str(path), "-n", "9", "--json", *FAST))["method"]["questions"] == 9
    told = error(tune("--prompts", str(path), "-n", "13", *FAST), status=2)
    assert "has 12 question(s), fewer than 13; give a smaller --budget" in told
    path.write_text("\n".join([*lines, '{"prompt": "Who knows?"}', '{"prompt": "Who?"}']))
    told = error(tune("--prompts", str(path), *FAST), status=2)
    assert "line 13 and of 1 more: which answers are right is not known" in told


def test_files_are_written_where_they_are_named(tune: Tune, tmp_path: Path) -> None:
    path = tmp_path / "tuned.json"
    ran = tune("--tasks", "lists", "-n", "8", "--json-file", str(path), *FAST)
    assert "take it" in ran.out
    assert json.loads(path.read_text())["method"]["questions"] == 8
    assert "is there already" in error(tune("--tasks", "lists", "--json-file", str(path)), status=2)


def test_ctrl_c_keeps_what_was_found(tune: Tune, oracle: Oracle) -> None:
    oracle.ends = 16 + 6 * 8 + 6
    ran = tune("--tasks", "lists", "-n", "16", "-p", "block_length=32", *FAST[:4], "--algorithm", "wino")
    assert ran.status == 130
    assert "interrupted: what was asked by then is told" in ran.out
    assert row(ran, "dual_cache threshold=0.9").endswith("interrupted")
    assert "not asked" in next(line for line in ran.out.splitlines() if line.startswith("wino "))
    assert "interrupted before anything passed" in ran.out
    oracle.asked.clear()
    oracle.ends = 3
    status, out, err = tune("--tasks", "lists", "-n", "16", *FAST)
    assert (status, out) == (130, "")
    assert "ended before one token a step was asked all questions" in err


def test_a_setting_that_fails_costs_the_others_nothing(tune: Tune, oracle: Oracle) -> None:
    oracle.fails = ("threshold=0.7",)
    ran = tune("--tasks", "lists", "-n", "16", *FAST)
    assert ran.status == 1
    assert row(ran, "dual_cache threshold=0.7").endswith("failed")
    assert row(ran, "dual_cache threshold=0.8").endswith("take it, not shown")
    assert "error: dual_cache block_length=32 threshold=0.7: it fails" in ran.err
    oracle.fails = ("basic",)
    assert "it fails" in error(tune("--tasks", "lists", "-n", "8", *FAST), status=1)


def test_without_a_right_answer_there_is_nothing_to_keep(tune: Tune, oracle: Oracle) -> None:
    oracle.knows = False
    told = error(tune("--tasks", "lists", "-n", "8", *FAST), status=2)
    assert "one token a step (basic block_length=32 steps=128) has none of 8 questions right" in told
    assert "give questions that the model can answer" in told


def test_answers_that_their_length_cut_are_told_with_the_flag_to_raise(tune: Tune, oracle: Oracle) -> None:
    oracle.finish = "length"
    ran = tune("--tasks", "lists", "-n", "8", *FAST, "--json")
    assert (
        "8 of 8 answers of one token a step have no end within 128 tokens; raise -p gen_length=N" in ran.err
    )
    told = json.loads(ran.out)
    assert {each["cut"] - each["asked"] for each in (told["baseline"], *told["trials"])} == {0}


def test_a_baseline_can_be_named(tune: Tune, oracle: Oracle) -> None:
    told = found(tune("--tasks", "lists", "-n", "8", "--baseline", "dual_cache steps=128", "--json", *FAST))
    assert told["baseline"]["parameters"] == {"block_length": 32, "steps": 128}
    ran = tune("--tasks", "lists", "-n", "8", "--baseline", "dual_cache threshold=0.8", *FAST)
    assert "dual_cache block_length=32 threshold=0.8 keeps 2.50 tokens a forward, which is not one" in ran.err


def test_time_counts_where_it_is_asked_for(
    tune: Tune, oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    warmed: list[str] = []
    monkeypatch.setattr(asking, "warm_case", lambda lm, case, questions, raw: warmed.append(case.label))
    told = found(tune("--tasks", "lists", "-n", "16", "--speed", "tokens-per-second", "--json", *FAST))
    assert told["method"]["speed"] == "tokens_per_second"
    assert sorted(warmed) == sorted(oracle.asked), "each once"


WRONG = [
    ("--floor 0", "--floor 0 is no share of right answers; give one above 0 and at most 1"),
    ("--floor 1.01", "give one above 0 and at most 1"),
    ("--floor nan", "give one above 0 and at most 1"),
    ("--algorithm dual_cach", "did you mean dual_cache"),
    ("--algorithm dual_cache -p gamma=1", "dual_cache does not take gamma; it takes gen_length"),
    (
        "--algorithm dual_cache -p threshold=0.5,1.5",
        "threshold=1.5 is out of range; give a number from 0 to 1",
    ),
    ("--algorithm dual_cache -p threshold=0.5,", "threshold='' has the wrong type"),
    ("-p thresold=0.5", "no algorithm here takes thresold; did you mean threshold?"),
    ("--algorithm wino --algorithm wino", "--algorithm wino is given twice; give it once"),
    (
        "--algorithm wino -p threshold=0.5 -p confidence_threshold=0.7",
        "is given under two names; give it once",
    ),
    ("--algorithm wino -p gen_length=32,64", "give one -p gen_length=N before any --algorithm"),
    ("--algorithm basic -p threshold=none -p block_length=32", "all that is to be tried is the baseline"),
    ("--tasks list", "did you mean lists?"),
    ("--tasks lists --prompts questions.jsonl", "are both given; give one of them"),
    ("--baseline ''", "--baseline names no algorithm; give --baseline 'NAME NAME=VALUE …'"),
    ("--baseline basik", "did you mean basic"),
    (
        "-p block_length=32 --algorithm compose -p rule=klass -p conf_threshold=0.9 -p kl_threshold=0.1 "
        "-p low_threshold=none -p gamma=none -p cont_weight=none",
        "rule='klass' does not go with cache='dual'",
    ),
    ("owner/name", "nothing is asked; give --prompts FILE, or --tasks all"),
    ("--overwrite", "--overwrite is of a file; give --json-file FILE"),
    ("--json-file -", "give --json for JSON on stdout"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=[arguments for arguments, _ in WRONG])
def test_wrong_calls_are_told_with_the_remedy(tune: Tune, oracle: Oracle, arguments: str, said: str) -> None:
    assert said in error(tune(*shlex.split(arguments)), status=2)
    assert oracle.asked == {}, "before anything is asked"


def test_a_model_that_is_not_there_is_told_before_families_that_it_may_have(tune: Tune) -> None:
    said = error(tune("llada_tiny_long", "--tasks", "chains"), status=1)
    assert "there is no folder llada_tiny_long; did you mean llada-tiny-long?" in said
