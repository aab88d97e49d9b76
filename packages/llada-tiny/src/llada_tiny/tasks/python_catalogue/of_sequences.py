"""Functions of a list or a text."""

from __future__ import annotations

from ..world import wordings
from .function import Function

_ONE_LIST = ("values", "items")
_ONE_TEXT = ("text", "word")

OF_SEQUENCES = (
    Function(
        wordings(
            "counts the items of a list that are greater than {n}",
            "returns how many numbers in a list are above {n}",
            "counts how many values exceed {n}",
            unseen=(
                "returns how many items of a list are greater than {n}",
                "counts the numbers in a list that are above {n}",
            ),
        ),
        "count_large",
        _ONE_LIST,
        "    count = 0\n    for v in {a}:\n        if v > {n}:\n            count += 1\n    return count",
    ),
    Function(
        wordings(
            "keeps only the even numbers of a list",
            "returns the even numbers in a list",
            "filters a list for even numbers",
            unseen=("filters the even numbers of a list", "returns only the even numbers in a list"),
        ),
        "evens",
        _ONE_LIST,
        "    return [v for v in {a} if v % 2 == 0]",
    ),
    Function(
        wordings(
            "keeps only the numbers of a list below {n}",
            "returns all items of a list smaller than {n}",
            "filters a list for values less than {n}",
            unseen=("returns the numbers of a list below {n}", "filters a list for items smaller than {n}"),
        ),
        "small_ones",
        _ONE_LIST,
        "    return [v for v in {a} if v < {n}]",
    ),
    Function(
        wordings(
            "multiplies every item of a list by {n}",
            "returns a list with each value times {n}",
            "scales all values of a list by {n}",
            unseen=("returns a list with every item times {n}", "multiplies all values of a list by {n}"),
        ),
        "scale_all",
        _ONE_LIST,
        "    return [v * {n} for v in {a}]",
    ),
    Function(
        wordings(
            "adds up the items of a list",
            "returns the sum of a list",
            "computes the total of a list of numbers",
            unseen=("computes the sum of a list of numbers", "returns the total of a list"),
        ),
        "total",
        _ONE_LIST,
        "    total = 0\n    for v in {a}:\n        total += v\n    return total",
    ),
    Function(
        wordings(
            "returns the average of a list",
            "computes the mean of a list of numbers",
            "gives the average of some numbers",
            unseen=("returns the mean of a list", "computes the average of a list of numbers"),
        ),
        "average",
        _ONE_LIST,
        "    return sum({a}) / len({a})",
    ),
    Function(
        wordings(
            "finds the largest item of a list",
            "returns the maximum of a list",
            "gives the biggest number in a list",
            unseen=("finds the maximum of a list", "returns the biggest item of a list"),
        ),
        "largest",
        _ONE_LIST,
        "    return max({a})",
    ),
    Function(
        wordings(
            "finds the smallest item of a list",
            "returns the minimum of a list",
            "gives the least number in a list",
            unseen=("finds the minimum of a list", "returns the least item of a list"),
        ),
        "smallest",
        _ONE_LIST,
        "    return min({a})",
    ),
    Function(
        wordings(
            "returns the first {n} items of a list",
            "takes the first {n} elements of a list",
            "gives the {n} leading items of a list",
            unseen=("returns the first {n} elements of a list", "takes the {n} leading items of a list"),
        ),
        "first",
        _ONE_LIST,
        "    return {a}[:{n}]",
    ),
    Function(
        wordings(
            "returns the last {n} items of a list",
            "takes the last {n} elements of a list",
            "gives the {n} trailing items of a list",
            unseen=("returns the last {n} elements of a list", "takes the {n} trailing items of a list"),
        ),
        "last",
        _ONE_LIST,
        "    return {a}[-{n}:]",
    ),
    Function(
        wordings(
            "reverses a string",
            "returns a string backwards",
            "turns a text around",
            unseen=("returns a text backwards", "turns a string around"),
        ),
        "reverse",
        _ONE_TEXT,
        "    return {a}[::-1]",
    ),
    Function(
        wordings(
            "checks whether a string is a palindrome",
            "tells if a word reads the same backwards",
            "returns True for palindromes",
            unseen=("returns True if a word reads the same backwards", "tells if a string is a palindrome"),
        ),
        "is_palindrome",
        _ONE_TEXT,
        "    return {a} == {a}[::-1]",
    ),
    Function(
        wordings(
            "counts the letter {s} in a string",
            "returns how often {s} occurs in a text",
            "counts how many times {s} appears",
            unseen=(
                "returns how often the letter {s} appears in a string",
                "counts how many times {s} occurs in a text",
            ),
        ),
        "count_letter",
        _ONE_TEXT,
        "    return {a}.count({q})",
    ),
    Function(
        wordings(
            "checks whether a string starts with {s}",
            "tells if a text begins with {s}",
            "returns True if a word starts with {s}",
            unseen=("returns True if a text begins with {s}", "checks whether a word starts with {s}"),
        ),
        "starts",
        _ONE_TEXT,
        "    return {a}.startswith({q})",
    ),
    Function(
        wordings(
            "counts the vowels in a string",
            "returns the number of vowels in a text",
            "counts how many vowels a word has",
            unseen=("returns the number of vowels in a string", "counts how many vowels a text has"),
        ),
        "count_vowels",
        _ONE_TEXT,
        '    return sum(1 for c in {a} if c in "aeiou")',
    ),
    Function(
        wordings(
            "repeats a string {n} times",
            "returns a text {n} times in a row",
            "writes a word {n} times",
            unseen=("returns a string {n} times in a row", "repeats a text {n} times"),
        ),
        "repeat",
        _ONE_TEXT,
        "    return {a} * {n}",
    ),
    Function(
        wordings(
            "makes a string upper case",
            "returns a text in capital letters",
            "turns a word into capitals",
            unseen=("returns a string in upper case", "turns a text into capital letters"),
        ),
        "shout",
        _ONE_TEXT,
        "    return {a}.upper()",
    ),
    Function(
        wordings(
            "splits a text at {s}",
            "returns the parts of a string between each {s}",
            "cuts a string at every {s}",
            unseen=("splits a string at every {s}", "cuts a text at each {s}"),
        ),
        "split_at",
        _ONE_TEXT,
        "    return {a}.split({q})",
    ),
    Function(
        wordings(
            "joins a list of words with {s}",
            "puts {s} between the words of a list",
            "glues words together with {s}",
            unseen=("joins words with {s}", "puts the words of a list together with {s}"),
        ),
        "glue",
        ("words", "parts"),
        "    return {q}.join({a})",
    ),
    Function(
        wordings(
            "sorts a list",
            "returns a sorted copy of a list",
            "puts the items of a list in order",
            unseen=("returns the items of a list in order", "sorts the items of a list"),
        ),
        "in_order",
        _ONE_LIST,
        "    return sorted({a})",
    ),
)
