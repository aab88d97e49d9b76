"""Functions of one or two numbers."""

from __future__ import annotations

from ..world import wordings
from .function import Function

_ONE_NUMBER = ("n", "x")

OF_NUMBERS = (
    Function(
        wordings(
            "adds {n} to a number",
            "returns a number plus {n}",
            "increases its argument by {n}",
            unseen=("increases a number by {n}", "returns its argument plus {n}"),
        ),
        "add",
        _ONE_NUMBER,
        "    return {a} + {n}",
    ),
    Function(
        wordings(
            "multiplies a number by {n}",
            "returns {n} times a number",
            "scales its argument by {n}",
            unseen=("scales a number by {n}", "returns {n} times its argument"),
        ),
        "scale",
        _ONE_NUMBER,
        "    return {a} * {n}",
    ),
    Function(
        wordings(
            "multiplies a number by {n} and then adds {m}",
            "returns {n} times a number plus {m}",
            "computes {n} * x + {m}",
            unseen=("computes {n} times a number plus {m}", "multiplies its argument by {n} and adds {m}"),
        ),
        "line",
        _ONE_NUMBER,
        "    return {n} * {a} + {m}",
    ),
    Function(
        wordings(
            "adds two numbers",
            "returns the sum of two numbers",
            "takes two numbers and returns their sum",
            unseen=("takes two numbers and adds them", "computes the sum of two numbers"),
        ),
        "add",
        ("a, b", "x, y"),
        "    return {a} + {b}",
    ),
    Function(
        wordings(
            "multiplies two numbers",
            "returns the product of two numbers",
            "takes two numbers and returns their product",
            unseen=("takes two numbers and multiplies them", "computes the product of two numbers"),
        ),
        "multiply",
        ("a, b", "x, y"),
        "    return {a} * {b}",
    ),
    Function(
        wordings(
            "returns the larger of two numbers",
            "gives the maximum of two numbers",
            "takes two numbers and returns the larger one",
            unseen=("takes two numbers and gives the maximum", "returns the maximum of two numbers"),
        ),
        "larger",
        ("a, b", "x, y"),
        "    return max({a}, {b})",
    ),
    Function(
        wordings(
            "returns the difference of two numbers without a sign",
            "gives the absolute difference of two numbers",
            "computes how far two numbers are apart",
            unseen=(
                "returns the absolute difference of two numbers",
                "returns how far two numbers are apart",
            ),
        ),
        "distance",
        ("a, b", "x, y"),
        "    return abs({a} - {b})",
    ),
    Function(
        wordings(
            "checks whether a number is even",
            "returns True if a number is even",
            "tells if a number is even",
            unseen=("returns whether a number is even", "checks if its argument is even"),
        ),
        "is_even",
        _ONE_NUMBER,
        "    return {a} % 2 == 0",
    ),
    Function(
        wordings(
            "checks whether a number is odd",
            "returns True if a number is odd",
            "tells if a number is odd",
            unseen=("returns whether a number is odd", "checks if its argument is odd"),
        ),
        "is_odd",
        _ONE_NUMBER,
        "    return {a} % 2 == 1",
    ),
    Function(
        wordings(
            "checks whether a number is divisible by {n}",
            "returns True if {n} divides a number",
            "tells if a number is a multiple of {n}",
            unseen=("returns True if a number is a multiple of {n}", "checks if {n} divides its argument"),
        ),
        "divisible",
        _ONE_NUMBER,
        "    return {a} % {n} == 0",
    ),
    Function(
        wordings(
            "checks whether a number is greater than {n}",
            "returns True if a number is above {n}",
            "tells if a number is larger than {n}",
            unseen=("returns True if a number is larger than {n}", "checks if its argument is above {n}"),
        ),
        "is_large",
        _ONE_NUMBER,
        "    return {a} > {n}",
    ),
    Function(
        wordings(
            "returns the square of a number",
            "squares a number",
            "multiplies a number by itself",
            unseen=("returns a number multiplied by itself", "computes the square of a number"),
        ),
        "square",
        _ONE_NUMBER,
        "    return {a} * {a}",
    ),
    Function(
        wordings(
            "computes the factorial of a number",
            "returns n factorial",
            "multiplies all numbers from 1 to n",
            unseen=("returns the factorial of a number", "computes n factorial"),
        ),
        "factorial",
        ("n", "number"),
        "    result = 1\n    for i in range(2, {a} + 1):\n        result *= i\n    return result",
    ),
    Function(
        wordings(
            "adds all numbers from 1 to n",
            "returns the sum of the numbers from 1 to n",
            "sums the integers up to n",
            unseen=("returns the sum of the integers up to n", "computes the sum of the numbers from 1 to n"),
        ),
        "sum_to",
        ("n", "number"),
        "    return sum(range(1, {a} + 1))",
    ),
)
