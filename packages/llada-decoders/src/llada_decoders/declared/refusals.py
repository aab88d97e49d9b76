"""Which choices of ``compose`` contradict each other, and why: data, which its documentation shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["RANKS", "REFUSALS", "Choice", "Refusal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One of some values of a parameter, or any but ``others``; without either any that is given."""

    name: str
    values: tuple[str | bool, ...] = ()
    others: tuple[str, ...] = ()

    def is_made(self, params: Mapping[str, object]) -> bool:
        """Whether effective ``params`` hold such a value."""
        value = params.get(self.name)
        return value in self.values if self.values else value is not None and value not in self.others

    def __str__(self) -> str:
        if self.others:
            return f"{self.name} other than {' or '.join(self.others)}"
        if not self.values:
            return self.name
        told = (str(value).lower() if isinstance(value, bool) else str(value) for value in self.values)
        return f"{self.name}={' or '.join(told)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Two choices that are refused together; ``why`` is a sentence without its subject."""

    one: Choice
    other: Choice
    why: str


RANKS = "the rule ranks positions by a measure of its own, which chance would take the place of"

_SCHEDULED = ("quota", "entropy", "margin", "klass")
_ADAPTIVE = Choice(name="schedule", values=("adaptive",))
_ALIGNED = Choice(name="start_block_align", values=(True,))
_RANDOM = Choice(name="remasking", values=("random",))
_STEPS = Choice(name="steps")

REFUSALS = (
    Refusal(
        one=Choice(name="horizon", values=("window_far",)),
        other=Choice(name="cache", values=("dual", "vicinity", "frozen")),
        why="the last column has no place of its own in a cache that is read behind the block",
    ),
    Refusal(
        one=Choice(name="horizon", values=("window",)),
        other=Choice(name="cache", values=("vicinity",)),
        why="both say what is computed behind the block, the window and after_look",
    ),
    Refusal(
        one=Choice(name="rule", values=("klass",)),
        other=Choice(name="cache", values=("dual", "vicinity", "frozen")),
        why="the rule compares with what was said of its block before that began, which is not computed",
    ),
    Refusal(
        one=Choice(name="rule", values=("klass",)),
        other=Choice(name="horizon", values=("window", "window_far")),
        why="the rule looks at the next block that holds masks, which may lie behind the window",
    ),
    Refusal(
        one=_ADAPTIVE,
        other=Choice(name="rule", values=_SCHEDULED),
        why="a schedule of steps is spread over blocks whose number is known before",
    ),
    Refusal(
        one=_ADAPTIVE,
        other=_STEPS,
        why="a schedule of steps is spread over blocks whose number is known before",
    ),
    Refusal(
        one=_ADAPTIVE,
        other=_ALIGNED,
        why="blocks cannot end at delimiters and at multiples of a width",
    ),
    Refusal(
        one=_ALIGNED,
        other=Choice(name="rule", values=_SCHEDULED),
        why="the number of blocks depends on the prompt then, and a schedule of steps is spread over it",
    ),
    Refusal(
        one=_ALIGNED,
        other=_STEPS,
        why="the number of blocks depends on the prompt then, and a schedule of steps is spread over it",
    ),
    Refusal(
        one=_RANDOM,
        other=Choice(name="rule", values=("entropy", "margin", "entropy_budget", "klass")),
        why=RANKS,
    ),
    Refusal(
        one=_RANDOM,
        other=Choice(name="rule", values=("hierarchy", "credit")),
        why="the rule goes by confidences, which chance would take the place of",
    ),
    Refusal(
        one=Choice(name="threshold_decay"),
        other=Choice(name="rule", others=("near_tie", "hierarchy", "credit")),
        why="only near_tie, hierarchy and credit have a threshold that smoothing lowers",
    ),
    Refusal(
        one=Choice(name="threshold_decay"),
        other=_STEPS,
        why="a schedule of steps has no threshold that smoothing could lower",
    ),
)
"""All pairs of choices that are refused; every other pair of parts of these names can be composed."""
