"""The long tasks: what is held out, which answers are right, how long they are."""

from __future__ import annotations

import importlib
import pkgutil
import re
from itertools import islice, pairwise
from statistics import median
from typing import Any

import pytest

import llada_tiny
from llada_tiny.tasks import FAMILIES as SHORT_FAMILIES
from llada_tiny.tasks.world import Wordings
from llada_tiny_long import tasks
from llada_tiny_long.tasks import FAMILIES, Instance, held_out, training_stream

each_family = pytest.mark.parametrize("family", FAMILIES)
LONGEST = 448  # the room that the model card names, the end marker included


@pytest.fixture(scope="module")
def trained() -> list[Instance]:
    return list(islice(training_stream(seed=11), 3000))


@pytest.fixture(scope="module")
def lengths() -> dict[str, list[int]]:
    """Tokens of 150 answers of each family."""
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer: Any = tokenizers.Tokenizer.from_file(str(llada_tiny.model_path() / "tokenizer.json"))
    answers = {family: [each.reference for each in held_out(family, 150, seed=2026)] for family in FAMILIES}
    return {
        name: [len(each.ids) for each in tokenizer.encode_batch(texts)] for name, texts in answers.items()
    }


@each_family
def test_the_same_seed_gives_the_same_instances(family: str) -> None:
    assert held_out(family, 10, seed=3) == held_out(family, 10, seed=3)
    assert held_out(family, 10, seed=3) != held_out(family, 10, seed=4)


def test_training_meets_every_family_and_those_of_the_short_tasks(trained: list[Instance]) -> None:
    assert {instance.family for instance in trained} == {*FAMILIES, *SHORT_FAMILIES}
    assert list(islice(training_stream(1), 50)) == list(islice(training_stream(1), 50))


@each_family
@pytest.mark.parametrize("phrasings", ["seen", "unseen"])
def test_the_reference_answer_is_right_and_no_other_digit(family: str, phrasings: Any) -> None:
    for instance in held_out(family, 20, 5, phrasings):
        text = instance.reference
        assert instance.accepts(f"\n{text} ")
        assert not instance.accepts(text[1:])
        for at in [at for at, letter in enumerate(text) if letter.isdigit()][::9]:
            assert not instance.accepts(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :])


@each_family
def test_every_calculation_in_an_answer_is_right(family: str) -> None:
    sums = re.compile(r"(?<![\w.])-?\d+(?: [-+*/] \d+)+ = -?\d+")
    found = 0
    for instance in held_out(family, 60, seed=6):
        for calculation in sums.findall(instance.reference):
            left, _, right = calculation.partition(" = ")
            assert eval(left) == int(right), calculation
            found += 1
    assert found or family in ("lists", "programs")


def test_the_result_of_a_chain_is_that_of_its_operations() -> None:
    words = {"add": "+", "subtract": "-", "multiply": "*", "divide": "//"}
    for instance in held_out("chains", 60, seed=7):
        asked = instance.messages[-1]["content"]
        operations = re.findall(r"(add|subtract|multiply|divide)(?: by)? (\d+)", asked, flags=re.IGNORECASE)
        value = int(re.findall(r"\d+", asked)[0])
        for word, number in operations:
            value = eval(f"{value} {words[word.lower()]} {number}")
        assert instance.reference.endswith(f"The answer is {value}.")
        assert len(operations) == instance.reference.count("\n")


def test_columns_give_the_whole_result() -> None:
    for instance in held_out("columns", 80, seed=8):
        a, b = map(int, re.findall(r"\d+", instance.messages[-1]["content"]))
        result = int(re.findall(r"\d+", instance.reference)[-1])
        assert (
            result
            == {
                "addition": a + b,
                "subtraction": abs(a - b),
                "one_digit": a * b,
                "two_digits": a * b,
            }[instance.kind]
        )


def test_equations_hold_for_the_x_that_is_found() -> None:
    for instance in held_out("equations", 60, seed=9):
        asked = re.findall(r"\d\) ([-+=x \d]+\d|[-+=x \d]+x)(?=[,;.\n]|$)", instance.messages[-1]["content"])
        found = re.findall(r"^x = .* = (\d+)$", instance.reference, flags=re.MULTILINE)
        assert len(asked) == len(found) >= 3
        for equation, x in zip(asked, found, strict=True):
            left, right = re.sub(r"(\d)x", rf"\1*{x}", equation).split("=")
            assert eval(left) == eval(right), equation


def test_lists_hold_what_was_asked_in_the_order_that_was_asked() -> None:
    for instance in held_out("lists", 120, seed=10):
        asked = instance.messages[-1]["content"]
        numbers = [int(n) for n in re.findall(r"\d+", asked)]
        items = re.findall(r"^\d+\. (.*)$", instance.reference, flags=re.MULTILINE)
        if instance.kind == "reversed":
            assert ", ".join(reversed(items)) in asked
            continue
        listed = [int(re.findall(r"\d+", item)[instance.kind == "totals"]) for item in items]
        assert (
            listed
            == {
                "sort_with_gaps": sorted(numbers),
                "sort_with_parity": sorted(numbers),
                "totals": numbers,
                "tally": numbers,
                "ranking": sorted(numbers, reverse=True),
            }[instance.kind]
        )


def test_a_day_has_no_gap_and_a_bill_adds_up() -> None:
    for instance in held_out("plans", 80, seed=11):
        if instance.kind == "day":
            spans = re.findall(r"(\d+):(\d\d) to (\d+):(\d\d)", instance.reference)
            minutes = [(int(a) * 60 + int(b), int(c) * 60 + int(d)) for a, b, c, d in spans]
            asked = [int(n) for n in re.findall(r"(\d+) minutes", instance.messages[-1]["content"])]
            assert [end - start for start, end in minutes] == asked
            assert all(end == start for (_, end), (start, _) in pairwise(minutes))
        else:
            orders = re.findall(r"(\d+) at (\d+)", instance.messages[-1]["content"])
            assert instance.reference.endswith(f"is {sum(int(n) * int(p) for n, p in orders)} coins.")


def test_a_table_ends_where_its_lines_tell() -> None:
    for instance in held_out("tables", 80, seed=13):
        if instance.kind == "with_a_word":
            assert re.search(r", 1\. That (is all|was it)\.$", instance.reference)
            continue
        lines = instance.reference.split("\n")
        if instance.kind == "multiples":
            assert [int(line.partition(" ")[0]) for line in lines] == list(range(len(lines), 0, -1))
            continue
        left = [int(line.split()[-2]) for line in lines]
        assert left == list(range(len(lines) - 1, -1, -1))
        assert str(len(lines)) in re.findall(r"\d+", instance.messages[-1]["content"])


def test_programs_pass_their_own_tests() -> None:
    for instance in held_out("programs", 60, seed=12):
        code, _, calls = instance.reference.partition("\n\n")
        names: dict[str, Any] = {}
        exec(code, names)
        if calls.startswith("assert"):
            exec(calls, names)
            continue
        for call, result in re.findall(r">>> (.*)\n(.*)", calls):
            assert repr(eval(call, names)) == result


@each_family
def test_held_out_instances_are_not_trained_on(family: str, trained: list[Instance]) -> None:
    met = {each.reference for each in trained}
    assert not met & {each.reference for each in held_out(family, 150, seed=8)}


@each_family
def test_unseen_phrasings_are_new_questions(family: str, trained: list[Instance]) -> None:
    met = {each.messages[-1]["content"] for each in trained}
    assert not met & {each.messages[-1]["content"] for each in held_out(family, 100, 9, "unseen")}


def test_seen_and_unseen_wordings_are_disjoint() -> None:
    names = [found.name for found in pkgutil.walk_packages(tasks.__path__, f"{tasks.__name__}.")]
    members = [member for name in names for member in vars(importlib.import_module(name)).values()]
    tables = [member for member in members if isinstance(member, Wordings)]
    assert len(tables) > 15
    assert not [each.unseen for each in tables if set(each.seen) & set(each.unseen) or not each.unseen]


def test_answers_are_as_long_as_the_card_says(lengths: dict[str, list[int]]) -> None:
    every = [length for each in lengths.values() for length in each]
    assert min(every) >= 100
    assert max(every) < LONGEST
    assert 220 <= median(every) <= 290
    assert sum(length >= 256 for length in every) > 0.4 * len(every)


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown family 'poems'; known are chains, "):
        held_out("poems", 1)
