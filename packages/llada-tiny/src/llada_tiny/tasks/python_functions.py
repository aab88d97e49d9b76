"""Short Python functions from a description, with either of two names for the arguments."""

# ruff: noqa: E501 - a wording is easier to read on one line
from __future__ import annotations

from dataclasses import dataclass

from .answers import Node, prefer
from .instance import Draft
from .world import Wordings, World, wordings


@dataclass(frozen=True, slots=True)
class Function:
    """What is asked for, the usual name, and the code that does it."""

    what: Wordings
    name: str
    arguments: tuple[str, str]  # the usual argument list and another one
    body: str  # `{a}` and `{b}` are the arguments, `{n}`, `{m}` and `{q}` the constants


_ONE_LIST = ("values", "items")
_ONE_NUMBER = ("n", "x")
_ONE_TEXT = ("text", "word")

_FUNCTIONS = (
    Function(wordings("adds {n} to a number", "returns a number plus {n}", "increases its argument by {n}", unseen=("increases a number by {n}", "returns its argument plus {n}")), "add", _ONE_NUMBER, "    return {a} + {n}"),
    Function(wordings("multiplies a number by {n}", "returns {n} times a number", "scales its argument by {n}", unseen=("scales a number by {n}", "returns {n} times its argument")), "scale", _ONE_NUMBER, "    return {a} * {n}"),
    Function(wordings("multiplies a number by {n} and then adds {m}", "returns {n} times a number plus {m}", "computes {n} * x + {m}", unseen=("computes {n} times a number plus {m}", "multiplies its argument by {n} and adds {m}")), "line", _ONE_NUMBER, "    return {n} * {a} + {m}"),
    Function(wordings("adds two numbers", "returns the sum of two numbers", "takes two numbers and returns their sum", unseen=("takes two numbers and adds them", "computes the sum of two numbers")), "add", ("a, b", "x, y"), "    return {a} + {b}"),
    Function(wordings("multiplies two numbers", "returns the product of two numbers", "takes two numbers and returns their product", unseen=("takes two numbers and multiplies them", "computes the product of two numbers")), "multiply", ("a, b", "x, y"), "    return {a} * {b}"),
    Function(wordings("returns the larger of two numbers", "gives the maximum of two numbers", "takes two numbers and returns the larger one", unseen=("takes two numbers and gives the maximum", "returns the maximum of two numbers")), "larger", ("a, b", "x, y"), "    return max({a}, {b})"),
    Function(wordings("returns the difference of two numbers without a sign", "gives the absolute difference of two numbers", "computes how far two numbers are apart", unseen=("returns the absolute difference of two numbers", "returns how far two numbers are apart")), "distance", ("a, b", "x, y"), "    return abs({a} - {b})"),
    Function(wordings("checks whether a number is even", "returns True if a number is even", "tells if a number is even", unseen=("returns whether a number is even", "checks if its argument is even")), "is_even", _ONE_NUMBER, "    return {a} % 2 == 0"),
    Function(wordings("checks whether a number is odd", "returns True if a number is odd", "tells if a number is odd", unseen=("returns whether a number is odd", "checks if its argument is odd")), "is_odd", _ONE_NUMBER, "    return {a} % 2 == 1"),
    Function(wordings("checks whether a number is divisible by {n}", "returns True if {n} divides a number", "tells if a number is a multiple of {n}", unseen=("returns True if a number is a multiple of {n}", "checks if {n} divides its argument")), "divisible", _ONE_NUMBER, "    return {a} % {n} == 0"),
    Function(wordings("checks whether a number is greater than {n}", "returns True if a number is above {n}", "tells if a number is larger than {n}", unseen=("returns True if a number is larger than {n}", "checks if its argument is above {n}")), "is_large", _ONE_NUMBER, "    return {a} > {n}"),
    Function(wordings("returns the square of a number", "squares a number", "multiplies a number by itself", unseen=("returns a number multiplied by itself", "computes the square of a number")), "square", _ONE_NUMBER, "    return {a} * {a}"),
    Function(wordings("computes the factorial of a number", "returns n factorial", "multiplies all numbers from 1 to n", unseen=("returns the factorial of a number", "computes n factorial")), "factorial", ("n", "number"), "    result = 1\n    for i in range(2, {a} + 1):\n        result *= i\n    return result"),
    Function(wordings("adds all numbers from 1 to n", "returns the sum of the numbers from 1 to n", "sums the integers up to n", unseen=("returns the sum of the integers up to n", "computes the sum of the numbers from 1 to n")), "sum_to", ("n", "number"), "    return sum(range(1, {a} + 1))"),
    Function(wordings("counts the items of a list that are greater than {n}", "returns how many numbers in a list are above {n}", "counts how many values exceed {n}", unseen=("returns how many items of a list are greater than {n}", "counts the numbers in a list that are above {n}")), "count_large", _ONE_LIST, "    count = 0\n    for v in {a}:\n        if v > {n}:\n            count += 1\n    return count"),
    Function(wordings("keeps only the even numbers of a list", "returns the even numbers in a list", "filters a list for even numbers", unseen=("filters the even numbers of a list", "returns only the even numbers in a list")), "evens", _ONE_LIST, "    return [v for v in {a} if v % 2 == 0]"),
    Function(wordings("keeps only the numbers of a list below {n}", "returns all items of a list smaller than {n}", "filters a list for values less than {n}", unseen=("returns the numbers of a list below {n}", "filters a list for items smaller than {n}")), "small_ones", _ONE_LIST, "    return [v for v in {a} if v < {n}]"),
    Function(wordings("multiplies every item of a list by {n}", "returns a list with each value times {n}", "scales all values of a list by {n}", unseen=("returns a list with every item times {n}", "multiplies all values of a list by {n}")), "scale_all", _ONE_LIST, "    return [v * {n} for v in {a}]"),
    Function(wordings("adds up the items of a list", "returns the sum of a list", "computes the total of a list of numbers", unseen=("computes the sum of a list of numbers", "returns the total of a list")), "total", _ONE_LIST, "    total = 0\n    for v in {a}:\n        total += v\n    return total"),
    Function(wordings("returns the average of a list", "computes the mean of a list of numbers", "gives the average of some numbers", unseen=("returns the mean of a list", "computes the average of a list of numbers")), "average", _ONE_LIST, "    return sum({a}) / len({a})"),
    Function(wordings("finds the largest item of a list", "returns the maximum of a list", "gives the biggest number in a list", unseen=("finds the maximum of a list", "returns the biggest item of a list")), "largest", _ONE_LIST, "    return max({a})"),
    Function(wordings("finds the smallest item of a list", "returns the minimum of a list", "gives the least number in a list", unseen=("finds the minimum of a list", "returns the least item of a list")), "smallest", _ONE_LIST, "    return min({a})"),
    Function(wordings("returns the first {n} items of a list", "takes the first {n} elements of a list", "gives the {n} leading items of a list", unseen=("returns the first {n} elements of a list", "takes the {n} leading items of a list")), "first", _ONE_LIST, "    return {a}[:{n}]"),
    Function(wordings("returns the last {n} items of a list", "takes the last {n} elements of a list", "gives the {n} trailing items of a list", unseen=("returns the last {n} elements of a list", "takes the {n} trailing items of a list")), "last", _ONE_LIST, "    return {a}[-{n}:]"),
    Function(wordings("reverses a string", "returns a string backwards", "turns a text around", unseen=("returns a text backwards", "turns a string around")), "reverse", _ONE_TEXT, "    return {a}[::-1]"),
    Function(wordings("checks whether a string is a palindrome", "tells if a word reads the same backwards", "returns True for palindromes", unseen=("returns True if a word reads the same backwards", "tells if a string is a palindrome")), "is_palindrome", _ONE_TEXT, "    return {a} == {a}[::-1]"),
    Function(wordings("counts the letter {s} in a string", "returns how often {s} occurs in a text", "counts how many times {s} appears", unseen=("returns how often the letter {s} appears in a string", "counts how many times {s} occurs in a text")), "count_letter", _ONE_TEXT, "    return {a}.count({q})"),
    Function(wordings("checks whether a string starts with {s}", "tells if a text begins with {s}", "returns True if a word starts with {s}", unseen=("returns True if a text begins with {s}", "checks whether a word starts with {s}")), "starts", _ONE_TEXT, "    return {a}.startswith({q})"),
    Function(wordings("counts the vowels in a string", "returns the number of vowels in a text", "counts how many vowels a word has", unseen=("returns the number of vowels in a string", "counts how many vowels a text has")), "count_vowels", _ONE_TEXT, '    return sum(1 for c in {a} if c in "aeiou")'),
    Function(wordings("repeats a string {n} times", "returns a text {n} times in a row", "writes a word {n} times", unseen=("returns a string {n} times in a row", "repeats a text {n} times")), "repeat", _ONE_TEXT, "    return {a} * {n}"),
    Function(wordings("makes a string upper case", "returns a text in capital letters", "turns a word into capitals", unseen=("returns a string in upper case", "turns a text into capital letters")), "shout", _ONE_TEXT, "    return {a}.upper()"),
    Function(wordings("splits a text at {s}", "returns the parts of a string between each {s}", "cuts a string at every {s}", unseen=("splits a string at every {s}", "cuts a text at each {s}")), "split_at", _ONE_TEXT, "    return {a}.split({q})"),
    Function(wordings("joins a list of words with {s}", "puts {s} between the words of a list", "glues words together with {s}", unseen=("joins words with {s}", "puts the words of a list together with {s}")), "glue", ("words", "parts"), "    return {q}.join({a})"),
    Function(wordings("sorts a list", "returns a sorted copy of a list", "puts the items of a list in order", unseen=("returns the items of a list in order", "sorts the items of a list")), "in_order", _ONE_LIST, "    return sorted({a})"),
)  # fmt: skip

_NAMED = wordings(
    "Write a Python function {f} that {w}.", "Write a function called {f} that {w}.", "Define a Python function named {f} which {w}.", "In Python, write {f}, a function that {w}.", "Please write {f} in Python. It {w}.", "I need a Python function {f} that {w}.", "Give me a Python function called {f} that {w}.", "Implement {f} in Python: it {w}.", "Code a function {f} that {w}.", "Create a Python function with the name {f} that {w}.",
    "Python: a function {f} that {w}.", "Show me a Python function {f} that {w}.", "How do I write a Python function {f} that {w}?", "Can you write a function {f} that {w}?", "The function {f} {w}. Write it in Python.", "Make a function {f} which {w}.", "Define {f} so that it {w}.", "A Python function that {w}; call it {f}.", "Write Python code for {f}, which {w}.", "Program a function {f} that {w}.", "Could you write {f}, a Python function which {w}?", "I want a function in Python called {f} that {w}.", "Please code {f} in Python: it {w}.", "Let me see a function {f} that {w}.",
    unseen=("Write a Python function that {w} and call it {f}.", "Can you define a function named {f} which {w}?", "Please implement a Python function {f} that {w}.", "In Python, define {f}. It {w}."),
)  # fmt: skip
_UNNAMED = wordings(
    "Write a Python function that {w}.", "Write a function that {w}.", "I need a Python function which {w}.", "Give me a short Python function that {w}.", "How do I write a function that {w}?", "In Python, define a function that {w}.", "Code a Python function that {w}.", "Show me a function that {w} in Python.", "Can you write Python code that {w}?", "Implement a function that {w}.", "Create a Python function that {w}.", "Python function that {w}, please.", "Could you write a function which {w}?", "I want a function in Python that {w}.", "Please program a function in Python that {w}.", "Let me see a Python function that {w}.", "A function that {w}, in Python.", "Please give me Python code for a function that {w}.", "Define a function in Python which {w}.", "Can you show me how to write a function that {w}?",
    unseen=("Show me a short Python function that {w}.", "Can you define a function that {w}?", "Please code a function in Python that {w}."),
)  # fmt: skip
_LETTERS = "abcdefghijklmnoprstuvwz"
_SEPARATORS = (",", ";", "-", ":", "+", "/", "_", "#")


def make(world: World) -> Draft:
    """A description of one of the functions, with or without a wanted name."""
    function = world.rng.choice(_FUNCTIONS)
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
