"""What a passage can say: five kinds of facts, their statements, and the questions that they answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .nouns import ACTIVITIES, COLOURS, DAYS, JOBS, PETS, PLACES, WARES
from .world import Wordings, World, wordings


@dataclass(frozen=True, slots=True)
class Fact:
    """One sentence's content, with the questions that it answers."""

    statement: Wordings
    questions: tuple[tuple[Wordings, str], ...]  # wordings of a question, and its answer
    fields: dict[str, str]


_LIVES = wordings(
    "{name} lives in {town}.",
    "{name} comes from the town of {town}.",
    "{town} is the home of {name}.",
    "The home of {name} is in {town}.",
    "{name} has a house in {town}.",
    "{name} lives in a small house in {town}.",
    "In {town} lives {name}.",
    unseen=(
        "{name} lives in the town of {town}.",
        "{name} has a small house in {town}.",
        "The house of {name} is in {town}.",
    ),
)
_WORKS = wordings(
    "{name} works as a {job}.",
    "{name} is a {job}.",
    "The {job} is called {name}.",
    "{name} has worked as a {job} for years.",
    "The name of the {job} is {name}.",
    "{name}, a {job}, gets up early.",
    "{name} is the {job} here.",
    "Our {job} is {name}.",
    "The {job}'s name is {name}.",
    "The work of {name} is that of a {job}.",
    "As a {job}, {name} is always busy.",
    unseen=(
        "{name} is a busy {job}.",
        "For years {name} has worked as a {job}.",
        "{name} is the name of the {job}.",
    ),
)
_KEEPS = wordings(
    "{name} keeps a {colour} {ware} in the {place}.",
    "In the {place} {name} has a {colour} {ware}.",
    "There is a {colour} {ware} in the {place}; it belongs to {name}.",
    "{name}'s {ware} is {colour} and stands in the {place}.",
    "The {colour} {ware} in the {place} belongs to {name}.",
    "{name} left a {colour} {ware} in the {place}.",
    "The {place} of {name} has a {colour} {ware} in it.",
    "A {colour} {ware} belongs to {name}; it is in the {place}.",
    "{name} owns a {colour} {ware}. It is in the {place}.",
    "{name} put the {colour} {ware} in the {place}.",
    unseen=(
        "{name} has a {colour} {ware} in the {place}.",
        "A {colour} {ware} stands in the {place}; it belongs to {name}.",
        "In the {place} {name} keeps a {colour} {ware}.",
    ),
)
_PET = wordings(
    "{name} has a {pet} called {other}.",
    "{name}'s {pet} is called {other}.",
    "The {pet} of {name} is called {other}.",
    "{name} owns a {pet} named {other}.",
    "{other} is the {pet} of {name}.",
    "{name} feeds a {pet}. Its name is {other}.",
    "A {pet} called {other} belongs to {name}.",
    "The name of the {pet} of {name} is {other}.",
    "{name} lives with a {pet}, and its name is {other}.",
    "{name} loves {other}, a {pet}.",
    "{other}, the {pet}, belongs to {name}.",
    "{name}'s {pet} has the name {other}.",
    unseen=(
        "{name} has a {pet}. It is called {other}.",
        "A {pet} named {other} belongs to {name}.",
        "The name of {name}'s {pet} is {other}.",
    ),
)
_DOES = wordings(
    "On {day} {name} {activity}.",
    "{name} {activity} every {day}.",
    "Every {day} {name} {activity}.",
    "{name} {activity} on {day}.",
    "When it is {day}, {name} {activity}.",
    "Each {day} {name} {activity}.",
    "Every week, on {day}, {name} {activity}.",
    "{day} is the day when {name} {activity}.",
    unseen=("{name} {activity} each {day}.", "Each week on {day} {name} {activity}."),
)


def _lives(world: World) -> Fact:
    where = wordings(
        "Where does {name} live?",
        "In which town does {name} live?",
        "In what town is {name}'s home?",
        "What is the name of the town where {name} lives?",
        "Which town does {name} live in?",
        "Tell me where {name} lives.",
        unseen=(
            "Which town is the home of {name}?",
            "Tell me in which town {name} lives.",
            "What town does {name} live in?",
        ),
    )
    who = wordings(
        "Who lives in {town}?",
        "Which person lives in {town}?",
        "Who has a home in {town}?",
        "Tell me who lives in {town}.",
        unseen=("Which person has a home in {town}?", "Who is it that lives in {town}?"),
    )
    said = "{name} lives in {town}."
    return Fact(_LIVES, ((where, said), (who, said)), {"name": world.name(), "town": world.town()})


def _works(world: World) -> Fact:
    what = wordings(
        "What is {name}'s job?",
        "What does {name} do for a living?",
        "What work does {name} do?",
        "What is the job of {name}?",
        "As what does {name} work?",
        "Tell me {name}'s job.",
        "What does {name} work as?",
        unseen=("Tell me what work {name} does.", "What job does {name} have?", "Tell me the job of {name}."),
    )
    who = wordings(
        "Who is the {job}?",
        "Who works as a {job}?",
        "What is the {job} called?",
        "What is the name of the {job}?",
        "Which person is a {job}?",
        unseen=(
            "Tell me who works as a {job}.",
            "Which person works as a {job}?",
            "Tell me the name of the {job}.",
        ),
    )
    said = "{name} works as a {job}."
    return Fact(_WORKS, ((what, said), (who, said)), {"name": world.name(), "job": world.rng.choice(JOBS)})


def _keeps(world: World) -> Fact:
    where = wordings(
        "Where is the {ware}?",
        "Where is {name}'s {ware}?",
        "In which place is the {ware}?",
        "Where can I find the {ware}?",
        "In which room is the {ware}?",
        "Tell me where the {ware} is.",
        unseen=(
            "Where can I find {name}'s {ware}?",
            "In which place can I find the {ware}?",
            "Tell me where {name}'s {ware} is.",
        ),
    )
    colour = wordings(
        "What colour is the {ware}?",
        "Which colour does the {ware} have?",
        "What is the colour of the {ware}?",
        "Tell me the colour of the {ware}.",
        "What colour is {name}'s {ware}?",
        unseen=(
            "Tell me which colour the {ware} has.",
            "What is the colour of {name}'s {ware}?",
            "Which colour is the {ware}?",
        ),
    )
    owner = wordings(
        "Who owns the {ware}?",
        "Whose is the {ware}?",
        "To whom does the {ware} belong?",
        "Who has a {ware}?",
        "Whose {ware} is it?",
        "Tell me who owns the {ware}.",
        unseen=(
            "Tell me whose the {ware} is.",
            "Who is the owner of the {ware}?",
            "Which person owns the {ware}?",
        ),
    )
    fields = {
        "name": world.name(),
        "ware": world.rng.choice(WARES),
        "colour": world.rng.choice(COLOURS),
        "place": world.rng.choice(PLACES),
    }
    answers = "The {ware} is in the {place}.", "The {ware} is {colour}.", "The {ware} belongs to {name}."
    return Fact(_KEEPS, tuple(zip((where, colour, owner), answers, strict=True)), fields)


def _pet(world: World) -> Fact:
    called = wordings(
        "What is {name}'s {pet} called?",
        "What is the name of the {pet}?",
        "What is the {pet} called?",
        "How is the {pet} of {name} called?",
        "Tell me the name of {name}'s {pet}.",
        unseen=(
            "What is the name of {name}'s {pet}?",
            "Tell me what the {pet} is called.",
            "How is {name}'s {pet} called?",
        ),
    )
    owner = wordings(
        "Who owns {other}?",
        "To whom does {other} belong?",
        "Who has a {pet}?",
        "Who is the owner of the {pet}?",
        "Who owns the {pet}?",
        "Whose {pet} is {other}?",
        unseen=(
            "Tell me who owns the {pet}.",
            "Who is the owner of {other}?",
            "To whom does the {pet} belong?",
        ),
    )
    answers = "The {pet} is called {other}.", "The {pet} belongs to {name}."
    return Fact(
        _PET,
        tuple(zip((called, owner), answers, strict=True)),
        {"name": world.name(), "other": world.name(), "pet": world.rng.choice(PETS)},
    )


def _does(world: World) -> Fact:
    day = wordings(
        "On which day is it that {name} {activity}?",
        "When does it happen that {name} {activity}?",
        "On what day is {name} busy?",
        "When does {name} do something?",
        "On which day is {name} busy?",
        "When is it that {name} {activity}?",
        "Which day is it when {name} {activity}?",
        unseen=("On what day is it that {name} {activity}?", "When is {name} busy?"),
    )
    what = wordings(
        "What does {name} do on {day}?",
        "What happens on {day}?",
        "What does {name} do every {day}?",
        "Tell me what {name} does on {day}.",
        unseen=("Tell me what happens on {day}.", "What does {name} do each {day}?"),
    )
    said = "On {day} {name} {activity}."
    return Fact(
        _DOES,
        ((day, said), (what, said)),
        {"name": world.name(), "activity": world.rng.choice(ACTIVITIES), "day": world.rng.choice(DAYS)},
    )


FACTS: tuple[Callable[[World], Fact], ...] = (_lives, _works, _keeps, _pet, _does)
