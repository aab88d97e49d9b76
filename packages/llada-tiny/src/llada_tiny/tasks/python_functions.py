"""Short Python functions from a description, with either of two names for the arguments."""

from __future__ import annotations

from .answers import Node, prefer
from .instance import Draft
from .python_catalogue import FUNCTIONS, Function
from .world import World, wordings

_NAMED = wordings(
    "Write a Python function {f} that {w}.",
    "Write a function called {f} that {w}.",
    "Define a Python function named {f} which {w}.",
    "In Python, write {f}, a function that {w}.",
    "Please write {f} in Python. It {w}.",
    "I need a Python function {f} that {w}.",
    "Give me a Python function called {f} that {w}.",
    "Implement {f} in Python: it {w}.",
    "Code a function {f} that {w}.",
    "Create a Python function with the name {f} that {w}.",
    "Python: a function {f} that {w}.",
    "Show me a Python function {f} that {w}.",
    "How do I write a Python function {f} that {w}?",
    "Can you write a function {f} that {w}?",
    "The function {f} {w}. Write it in Python.",
    "Make a function {f} which {w}.",
    "Define {f} so that it {w}.",
    "A Python function that {w}; call it {f}.",
    "Write Python code for {f}, which {w}.",
    "Program a function {f} that {w}.",
    "Could you write {f}, a Python function which {w}?",
    "I want a function in Python called {f} that {w}.",
    "Please code {f} in Python: it {w}.",
    "Let me see a function {f} that {w}.",
    unseen=(
        "Write a Python function that {w} and call it {f}.",
        "Can you define a function named {f} which {w}?",
        "Please implement a Python function {f} that {w}.",
        "In Python, define {f}. It {w}.",
    ),
)
_UNNAMED = wordings(
    "Write a Python function that {w}.",
    "Write a function that {w}.",
    "I need a Python function which {w}.",
    "Give me a short Python function that {w}.",
    "How do I write a function that {w}?",
    "In Python, define a function that {w}.",
    "Code a Python function that {w}.",
    "Show me a function that {w} in Python.",
    "Can you write Python code that {w}?",
    "Implement a function that {w}.",
    "Create a Python function that {w}.",
    "Python function that {w}, please.",
    "Could you write a function which {w}?",
    "I want a function in Python that {w}.",
    "Please program a function in Python that {w}.",
    "Let me see a Python function that {w}.",
    "A function that {w}, in Python.",
    "Please give me Python code for a function that {w}.",
    "Define a function in Python which {w}.",
    "Can you show me how to write a function that {w}?",
    unseen=(
        "Show me a short Python function that {w}.",
        "Can you define a function that {w}?",
        "Please code a function in Python that {w}.",
    ),
)
_LETTERS = "abcdefghijklmnoprstuvwz"
_SEPARATORS = (",", ";", "-", ":", "+", "/", "_", "#")


def make(world: World) -> Draft:
    """A description of one of the functions, with or without a wanted name."""
    function = world.rng.choice(FUNCTIONS)
    values = _constants(world, function)
    name = _name(world, function)
    question = world.say(_NAMED if name else _UNNAMED, f=name, w=world.say(function.what, **values))
    return Draft(kind=function.name, question=question, answer=_code(function, name or function.name, values))


def _constants(world: World, function: Function) -> dict[str, object]:
    n, m = world.draw(lambda rng: (rng.randint(2, 99), rng.randint(2, 99)))
    separator = function.name in ("split_at", "glue")
    letter = world.rng.choice(_SEPARATORS if separator else _LETTERS)
    quoted = f'"{letter}"'
    return {"n": n, "m": m, "s": quoted if separator or world.chance(0.5) else letter, "q": quoted}


def _name(world: World, function: Function) -> str:
    style = world.rng.random()
    if style < 0.35:
        return ""
    if style < 0.5:
        return function.name
    if style < 0.75:
        return f"{function.name}_{world.word()}"
    return world.word() if style < 0.9 else f"{world.word()}_{world.word()}"


def _code(function: Function, name: str, values: dict[str, object]) -> Node:
    return prefer(*[_version(function, name, arguments, values) for arguments in function.arguments])


def _version(function: Function, name: str, arguments: str, values: dict[str, object]) -> str:
    a, _, b = arguments.partition(", ")
    body = function.body.replace("NAME", name).format(a=a, b=b, **values)
    return f"def {name}({arguments}):\n{body}"
