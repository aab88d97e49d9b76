"""What ``llada tune`` tries: the grids, what a call makes of them, and the flags that come of it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from llada_core import get_algorithm_info, list_available_algorithms, load_model
from llada_core.bench import Case, measure, tasks
from llada_core.cli.generate import generate
from llada_core.cli.settings import settings_of
from llada_core.loading import check_call
from llada_decoders.tuning.baselines import BASELINES, decoding
from llada_decoders.tuning.candidates import Candidate, candidates_of, is_tunable
from llada_decoders.tuning.grids import AXES, axis_of
from llada_decoders.tuning.values import given_values
from tests.support.program import Llada

NAMES = [name for name in list_available_algorithms() if is_tunable(get_algorithm_info(name))]


def tried(name: str, **given: object) -> list[dict[str, Any]]:
    info = get_algorithm_info(name)
    return [dict(each.parameters) for each in candidates_of(info, given_values(info, given))]


@pytest.mark.parametrize("name", NAMES)
def test_the_flags_of_every_candidate_are_what_generate_takes(name: str) -> None:
    for each in candidates_of(get_algorithm_info(name), {}):
        with generate.make_context("generate", ["Hello", *shlex.split(each.flags)]) as ctx:
            (setting,) = settings_of(ctx)
        assert (setting.algorithm, setting.parameters) == (each.algorithm, each.parameters)
        check_call(each.algorithm, setting.parameters)


@pytest.mark.parametrize("name", NAMES)
def test_candidates_differ_and_their_number_is_one_that_can_be_asked(name: str) -> None:
    found = candidates_of(get_algorithm_info(name), {})
    assert 2 <= len(found) <= 40
    for number, each in enumerate(found):
        assert not any(each.decodes_as(other) for other in found[:number])


@pytest.mark.parametrize("name", NAMES)
def test_the_defaults_are_among_them_unless_they_keep_one_token_a_step(name: str) -> None:
    default = Candidate.checked(name, {})
    found = candidates_of(get_algorithm_info(name), {})
    assert any(default.decodes_as(each) for each in found) or name in ("basic", "llada", "dream")


def test_values_of_a_grid_are_in_the_range_of_what_they_are_for() -> None:
    for name in list_available_algorithms():
        for parameter in get_algorithm_info(name).parameters:
            axis = axis_of(parameter)
            if axis is not None and not axis.of_the_length:
                assert all(map(parameter.accepts, axis.values)), f"{name}: {parameter.name}"
    assert all(axis.reason for axis in AXES)


def test_a_probability_and_an_entropy_of_one_name_have_grids_of_their_own() -> None:
    probabilities = {each["threshold"] for each in tried("dual_cache") if "threshold" in each}
    nats = {each["threshold"] for each in tried("multiblock")}
    assert max(probabilities) == 0.95
    assert min(nats) == 0.1


def test_rules_of_which_one_holds_are_tried_one_at_a_time() -> None:
    assert all(("threshold" in each) != ("factor" in each) for each in tried("dual_cache"))
    assert {name for each in tried("dual_cache", factor=1.0) for name in each} == {"factor", "block_length"}
    both = tried("dual_cache", factor="0.5,1", threshold=0.9, block_length=32)
    assert both == [
        {"block_length": 32, "threshold": 0.9},
        {"block_length": 32, "factor": 0.5},
        {"block_length": 32, "factor": 1.0},
    ]


def test_given_values_take_the_place_of_a_grid_and_others_are_kept() -> None:
    found = tried("wino", threshold="0.5,0.55", block_length=16, temperature=0.2)
    assert {each["threshold"] for each in found} == {0.5, 0.55}
    assert {each["threshold_back"] for each in found} == {0.9, 0.7}
    assert {(each["block_length"], each["temperature"]) for each in found} == {(16, 0.2)}
    assert tried("adablock", threshold=0.9, block_length=32, delimiter_ids="198,13") == [
        {"block_length": 32, "delimiter_ids": "198,13", "threshold": 0.9}
    ], "text may have commas in it"
    assert {each["cache"] for each in tried("freedave", cache="prefix,dual")} == {"prefix", "dual"}


def test_schedules_are_shares_of_the_length_and_only_where_nothing_else_sets_the_pace() -> None:
    assert {each["steps"] for each in tried("llada")} == {64, 32, 16}
    assert {each["steps"] for each in tried("llada", gen_length=32)} == {16, 8, 4}
    assert not any("steps" in each for each in tried("klass"))


def test_blocks_that_hold_the_whole_answer_are_tried_once() -> None:
    assert {each["block_length"] for each in tried("wino")} == {32, 64}
    assert {each["block_length"] for each in tried("wino", gen_length=48)} == {32, 64}
    assert {each["block_length"] for each in tried("wino", gen_length=32)} == {32}
    assert {each["block_length"] for each in tried("wino", gen_length=8, block_length="16,32")} == {16, 32}


def test_baselines_can_be_called_and_take_no_pace_from_what_all_share() -> None:
    for baseline in BASELINES:
        if baseline.algorithm in list_available_algorithms():
            found = decoding(
                baseline, {"gen_length": 64, "threshold": 0.5, "block_length": "16,32", "gamma": 1}
            )
            assert found.effective["gen_length"] == 64
            assert found.parameters.get("threshold") is None
            assert "block_length" not in found.parameters


def test_a_last_block_that_is_short_has_a_step_for_each_of_its_tokens() -> None:
    shapes = {(12, 8): 16, (16, 8): 16, (8, 32): 32}
    with load_model(device="cpu") as lm:
        for (length, block), steps in shapes.items():
            given = {"gen_length": length, "block_length": block, "early_stop": False}
            found = decoding(BASELINES[0], given)
            assert found.parameters == {**given, "steps": steps}
            case = Case(label="", algorithm=found.algorithm, parameters=found.parameters, rows=1)
            sample = measure(lm, case, tasks(1, ["lists"]))
            assert sample.committed == sample.forwards == length


@pytest.mark.timeout(120)
def test_it_tunes_the_small_model(llada: Llada, tmp_path: Path) -> None:
    given = (
        "-p",
        "gen_length=32",
        "--algorithm",
        "dual_cache",
        "-p",
        "threshold=0.5,0.9",
        "-p",
        "block_length=32",
    )
    ran = llada("tune", "--device", "cpu", "--tasks", "lists", "-n", "4", *given)
    assert ran.status == 0, ran.err
    flags = shlex.split(ran.out.splitlines()[-1])
    assert flags[:2] == ["--algorithm", "dual_cache"]
    answered = llada("generate", "Sort the list 9, 4, 7, 1.", "--device", "cpu", *flags)
    assert (answered.status, answered.out) == (0, "Sorted: 1, 4, 7, 9.\n")
