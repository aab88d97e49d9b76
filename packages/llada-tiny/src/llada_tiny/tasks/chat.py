"""Conversations: a system line, an earlier turn, and a question that needs one of them."""

from __future__ import annotations

from . import json_extraction, lists, python_functions, reading, small_talk, word_problems
from .answers import minus, plus, prefer, sample, times
from .dressing import SYSTEM_LINES, small_context
from .instance import Draft, Message, assistant, system, user
from .nouns import COLOURS, COUNTABLES, PETS
from .world import World, wordings

_NAMED_SYSTEM = wordings(
    "You are {name}, a helpful assistant.",
    "Your name is {name}.",
    "You are {name}, a patient tutor.",
    "You are called {name}. Be polite.",
    "Act as {name}, a friendly helper.",
    "You are an assistant with the name {name}.",
    "{name} is your name. Answer the user's questions.",
    "Your name is {name} and you help children.",
    unseen=(
        "You are a friendly helper called {name}.",
        "You are {name}. Answer the user's questions.",
        "Your name is {name}, a patient assistant.",
    ),
)
_WHO = wordings(
    "What is your name?",
    "Who are you?",
    "How are you called?",
    "Tell me your name.",
    "Do you have a name?",
    "What should I call you?",
    "Who am I talking to?",
    "May I ask your name?",
    "And you are?",
    "What do people call you?",
    unseen=("Tell me who you are.", "May I know your name?", "What name do you have?"),
)
_TOLD_NAME = wordings(
    "Hi, I am {name}.",
    "My name is {name}.",
    "Hello, this is {name}.",
    "I'm {name}, nice to meet you.",
    "You can call me {name}.",
    "Good morning, {name} here.",
    "Please remember that my name is {name}.",
    "I am called {name}.",
    unseen=("Hello, my name is {name}.", "Hi, you can call me {name}.", "Please remember: I am {name}."),
)
_ASK_NAME = wordings(
    "What is my name?",
    "Who am I?",
    "Do you remember my name?",
    "Can you tell me my name?",
    "What did I say my name was?",
    "How am I called?",
    "Say my name.",
    "Tell me my name, please.",
    "What was my name again?",
    "Do you know who I am?",
    unseen=("Tell me who I am.", "Can you say my name again?", "Do you remember who I am?"),
)
_TOLD_THING = wordings(
    "My favourite colour is {colour} and I have a {pet}.",
    "I have a {pet} and I like {colour}.",
    "I like the colour {colour}. My pet is a {pet}.",
    "There is a {pet} in my home. My colour is {colour}.",
    "My pet is a {pet}, and the colour I like best is {colour}.",
    unseen=(
        "I have a {pet}. My favourite colour is {colour}.",
        "The colour I like is {colour}, and my pet is a {pet}.",
    ),
)
_NOTED = ("Thank you, I will remember that.", "Noted.", "Good to know!", "Okay!")
_ASK_COLOUR = wordings(
    "Which colour do I like?",
    "What is my favourite colour?",
    "What colour did I name?",
    "Tell me my favourite colour.",
    "Do you remember which colour I like?",
    unseen=("Which colour did I say I like?", "Do you remember my favourite colour?"),
)
_ASK_PET = wordings(
    "Which pet do I have?",
    "What animal do I have?",
    "What is my pet?",
    "Tell me which pet I have.",
    "Do you remember my pet?",
    unseen=("Tell me what my pet is.", "Do you remember which animal I have?"),
)
_FIRST = wordings(
    "{name} has {n} {items}. How many {items} are that?",
    "{name} owns {n} {items}.",
    "Remember this: {name} has {n} {items}.",
    "{name} bought {n} {items}.",
    "There are {n} {items} in {name}'s bag.",
    unseen=("Remember that {name} owns {n} {items}.", "{name} has a bag with {n} {items}."),
)
_HAS = ("{name} has {n} {items}.", "That is {n} {items}.", "Okay, {n} {items}.")
_THEN = {
    "+": wordings(
        "And if {name} gets {k} more?",
        "Now {name} finds {k} more. How many are there?",
        "Then {name} buys another {k}. How many now?",
        "What if {k} more are added?",
        "Add {k} to that.",
        "How many are there after {name} gets {k} more?",
        unseen=(
            "And if {name} finds another {k}?",
            "Now {k} more are added. How many are there?",
            "What if {name} buys {k} more?",
        ),
    ),
    "-": wordings(
        "And if {name} gives away {k}?",
        "Now {name} loses {k}. How many are left?",
        "Then {name} sells {k}. How many now?",
        "What if {k} are taken away?",
        "Take {k} from that.",
        "How many are left after {name} sells {k}?",
        unseen=(
            "And if {name} sells {k} of them?",
            "Now {k} are taken away. How many are left?",
            "What if {name} loses {k}?",
        ),
    ),
    "*": wordings(
        "And {k} times as many?",
        "What if {name} had {k} times as many?",
        "Now multiply that by {k}.",
        "How many are {k} times as many?",
        unseen=("What are {k} times as many?", "Now {name} has {k} times as many. How many is that?"),
    ),
}
_AGAIN = {
    "up": wordings(
        "Now from smallest to largest.",
        "And in ascending order?",
        "Sort it the other way, from small to large.",
        "Now sort them from low to high.",
        unseen=("And from low to high?", "Now in ascending order."),
    ),
    "down": wordings(
        "Now from largest to smallest.",
        "And in descending order?",
        "Sort it the other way, from large to small.",
        "Now sort them from high to low.",
        unseen=("And from high to low?", "Now in descending order."),
    ),
}
_TASKS = (word_problems, lists, reading, json_extraction, python_functions, small_talk)


def make(world: World) -> Draft:
    """A question that needs the system line or an earlier turn, or a task after some other turn."""
    return world.rng.choice(
        (_own_name, _users_name, _preference, _follow_up, _follow_up, _resort, _task_later, _task_later)
    )(world)


def _system(world: World, probability: float = 0.6) -> tuple[Message, ...]:
    return (system(world.say(SYSTEM_LINES)),) if world.chance(probability) else ()


def _own_name(world: World) -> Draft:
    name = world.name()
    context: tuple[Message, ...] = (system(world.say(_NAMED_SYSTEM, name=name)),)
    if world.chance(0.3):
        context += (user("Hello!"), assistant("Hello! How can I help you?"))
    return Draft(kind="own_name", question=world.say(_WHO), answer=f"My name is {name}.", earlier=context)


def _users_name(world: World) -> Draft:
    name = world.name()
    greeting = assistant(
        world.rng.choice(
            (
                f"Hello {name}! How can I help you?",
                f"Hi {name}! What can I do for you?",
                f"Nice to meet you, {name}! How can I help you?",
                "Hello! What can I do for you?",
            )
        )
    )
    context = (*_system(world), user(world.say(_TOLD_NAME, name=name)), greeting)
    return Draft(
        kind="users_name", question=world.say(_ASK_NAME), answer=f"Your name is {name}.", earlier=context
    )


def _preference(world: World) -> Draft:
    colour, pet = world.rng.choice(COLOURS), world.rng.choice(PETS)
    context = (
        *_system(world),
        user(world.say(_TOLD_THING, colour=colour, pet=pet)),
        assistant(world.rng.choice(_NOTED)),
    )
    if world.chance(0.5):
        return Draft(
            kind="preference", question=world.say(_ASK_COLOUR), answer=f"You like {colour}.", earlier=context
        )
    return Draft(
        kind="preference", question=world.say(_ASK_PET), answer=f"You have a {pet}.", earlier=context
    )


def _follow_up(world: World) -> Draft:
    n, k = world.draw(lambda rng: (rng.randint(10, 400), rng.randint(2, 300)))
    operation = world.rng.choice("+-*" if k <= 9 else "+-" if k < n else "+")
    name, items = world.name(), world.rng.choice(COUNTABLES)
    said = world.rng.choice(_HAS).format(name=name, n=n, items=items)
    context = (*_system(world), user(world.say(_FIRST, name=name, n=n, items=items)), assistant(said))
    work = {"+": plus, "-": minus, "*": times}[operation](n, k)
    answer = prefer(f"Then it is {work}.", f"Now that makes {work}.")
    return Draft(
        kind="follow_up", question=world.say(_THEN[operation], name=name, k=k), answer=answer, earlier=context
    )


def _resort(world: World) -> Draft:
    numbers = world.draw(lambda rng: tuple(rng.sample(range(1, 100), rng.randint(4, 7))))
    down = world.chance(0.5)
    asked, ordered = ", ".join(map(str, numbers)), ", ".join(map(str, sorted(numbers, reverse=not down)))
    first = f"Sort these numbers from {'smallest to largest' if down else 'largest to smallest'}: {asked}"
    context = (*_system(world), user(first), assistant(f"Sorted: {ordered}."))
    result = ", ".join(map(str, sorted(numbers, reverse=down)))
    return Draft(
        kind="resort",
        question=world.say(_AGAIN["down" if down else "up"]),
        answer=prefer(f"Sorted: {result}.", f"Ordered: {result}."),
        earlier=context,
    )


def _task_later(world: World) -> Draft:
    """A task of another family after a short exchange or another small task."""
    task = world.rng.choice(_TASKS).make(world)
    if world.chance(0.5):
        return Draft(
            kind="task_later", question=task.question, answer=task.answer, earlier=small_context(world)
        )
    first = world.rng.choice((small_talk, lists)).make(world)
    reply = sample(first.answer, world.rng)
    return Draft(
        kind="task_later",
        question=task.question,
        answer=task.answer,
        earlier=(*_system(world), user(first.question), assistant(reply)),
    )
