"""The task generator: what is held out, which answers are right."""

from __future__ import annotations

import importlib
import pkgutil
import random
from itertools import islice

import pytest

from llada_tiny import tasks
from llada_tiny.tasks import FAMILIES, Instance, held_out, training_stream
from llada_tiny.tasks.answers import accepts, either, prefer, sample, seq
from llada_tiny.tasks.world import Wordings, World, is_held_out

each_family = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def trained() -> list[Instance]:
    return list(islice(training_stream(seed=11), 4000))


def question(instance: Instance) -> str:
    return instance.messages[-1]["content"]


@each_family
def test_the_same_seed_gives_the_same_instances(family: str) -> None:
    assert held_out(family, 20, seed=3) == held_out(family, 20, seed=3)
    assert held_out(family, 20, seed=3) != held_out(family, 20, seed=4)


def test_the_same_seed_gives_the_same_training_stream() -> None:
    assert list(islice(training_stream(1), 50)) == list(islice(training_stream(1), 50))


def test_training_meets_every_family(trained: list[Instance]) -> None:
    assert {instance.family for instance in trained} == set(FAMILIES)


@each_family
@pytest.mark.parametrize("phrasings", ["seen", "unseen"])
def test_the_reference_answer_is_right(family: str, phrasings: str) -> None:
    for instance in held_out(family, 100, 5, phrasings):  # type: ignore[arg-type]
        assert instance.accepts(instance.reference)
        assert instance.accepts(f"\n{instance.reference} ")


@each_family
def test_a_corrupted_answer_is_wrong(family: str) -> None:
    for instance in held_out(family, 100, seed=6):
        text = instance.reference
        middle = len(text) // 2
        assert not instance.accepts("")
        assert not instance.accepts(text + text)
        assert not instance.accepts(text[:middle] + "§" + text[middle + 1 :])
        assert not instance.accepts(text[1:])


@each_family
def test_a_wrong_digit_makes_an_answer_wrong(family: str) -> None:
    for instance in held_out(family, 100, seed=7):
        digits = [at for at, letter in enumerate(instance.reference) if letter.isdigit()]
        for at in digits:
            text = instance.reference
            assert not instance.accepts(text[:at] + str((int(text[at]) + 1) % 10) + text[at + 1 :])


@each_family
def test_held_out_instances_are_not_trained_on(family: str, trained: list[Instance]) -> None:
    if family == "small_talk":
        pytest.skip("a greeting without a name has nothing to hold out but its wording")
    met = {repr(instance.messages) for instance in trained if instance.kind != "task_later"}
    assert not met & {repr(instance.messages) for instance in held_out(family, 200, seed=8)}


@pytest.mark.parametrize("held", [True, False])
def test_names_and_numbers_come_from_one_side_of_the_split(held: bool) -> None:
    world = World(random.Random(1), held_out=held, unseen_phrasings=False)
    assert all(is_held_out(name) is held for name in world.names(50))
    assert all(is_held_out(world.town()) is held for _ in range(50))
    pairs = [world.draw(lambda rng: (rng.randint(1, 99), rng.randint(1, 99))) for _ in range(50)]
    assert all(is_held_out(repr(pair)) is held for pair in pairs)


def test_names_of_one_instance_differ() -> None:
    names = World(random.Random(2), held_out=False, unseen_phrasings=False).names(100)
    assert len(set(names)) == 100


def test_unseen_wordings_are_drawn_only_where_asked_for() -> None:
    choice = Wordings(seen=("a", "b"), unseen=("c",))
    seen, unseen = (World(random.Random(3), held_out=True, unseen_phrasings=asked) for asked in (False, True))
    assert {seen.say(choice) for _ in range(40)} == {"a", "b"}
    assert {unseen.say(choice) for _ in range(40)} == {"c"}


def test_seen_and_unseen_wordings_are_disjoint() -> None:
    for table in _all_wordings():
        assert not set(table.seen) & set(table.unseen), table.unseen


@each_family
def test_unseen_phrasings_are_new_questions(family: str, trained: list[Instance]) -> None:
    met = {question(instance) for instance in trained}
    assert not met & {question(instance) for instance in held_out(family, 100, 9, "unseen")}


def test_an_unknown_family_is_refused() -> None:
    with pytest.raises(ValueError, match=r"unknown family 'poems'; known are word_problems, "):
        held_out("poems", 1)


def test_an_answer_may_not_mix_two_wordings() -> None:
    node = seq("It is ", either("12 + 7", "7 + 12"), prefer(".", "!"))
    assert accepts(node, "It is 12 + 7.")
    assert accepts(node, "It is 7 + 12!")
    assert not accepts(node, "It is 12 + 12.")
    assert all(accepts(node, sample(node, random.Random(seed))) for seed in range(20))


def _all_wordings() -> list[Wordings]:
    names = [found.name for found in pkgutil.walk_packages(tasks.__path__, f"{tasks.__name__}.")]
    members = [member for name in names for member in vars(importlib.import_module(name)).values()]
    return [member for member in members if isinstance(member, Wordings)]
