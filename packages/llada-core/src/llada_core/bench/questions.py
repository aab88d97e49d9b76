"""What is asked, and which answers are right: prompts of anybody, or the tasks of a wheel that holds a model.

The tasks of the wheel ``a-model`` are its module ``a_model.tasks``: that names its ``FAMILIES`` and makes
instances of each by ``held_out``. It is found as the embedded model itself is, by name and when it is needed;
nothing here depends on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llada_core.errors import ModelNotFound, UsageError
from llada_core.generation.prompts import Prompt
from llada_core.imports import load_target
from llada_core.names import closest

__all__ = ["EMBEDDED", "Question", "accepting", "families", "tasks"]

EMBEDDED = "llada-tiny"
"""The wheel whose tasks are asked where nobody names another: that of the embedded model."""
SEED = 2026
"""Of the instances that are drawn where nobody says otherwise: everybody is asked the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A prompt. ``accepts`` says whether a text is a right answer to it, None where nobody knows;
    ``expected`` is one right answer, ``group`` the family that it is of, and ``source`` where it stands, in
    words, for errors."""

    prompt: Prompt
    expected: str | None = None
    accepts: Callable[[str], bool] | None = None
    group: str | None = None
    source: str = ""


class Task(Protocol):
    """What an instance of a model's tasks has."""

    @property
    def messages(self) -> Sequence[Mapping[str, str]]: ...
    @property
    def reference(self) -> str: ...
    def accepts(self, text: str) -> bool: ...


def accepting(texts: Iterable[str]) -> Callable[[str], bool]:
    """Whether a text is one of ``texts``, white space at both ends aside."""
    right = frozenset(text.strip() for text in texts)
    return lambda text: text.strip() in right


def families(wheel: str = EMBEDDED) -> tuple[str, ...]:
    """The families of the tasks that ``wheel`` brings. Raises ``ModelNotFound`` where it is not installed."""
    return tuple(_of_the_wheel(wheel, "FAMILIES"))


def tasks(
    count: int,
    of: Sequence[str] = (),
    *,
    wheel: str = EMBEDDED,
    seed: int = SEED,
    phrasings: str = "seen",
) -> list[Question]:
    """``count`` held-out instances of each family ``of`` the tasks that ``wheel`` brings; none named: of all.

    The same arguments give the same instances everywhere. ``phrasings`` "unseen" words them as training never
    does. Raises ``ModelNotFound`` where no wheel of this name with tasks is installed, and ``UsageError`` for
    a family that it does not have.
    """
    known = families(wheel)
    for name in of:
        if name not in known:
            near = closest(name, known)
            hint = f"did you mean {near[0]}?" if near else f"give some of {', '.join(known)}"
            raise UsageError(f"no family of tasks is called {name!r}; {hint}")
    held_out = _of_the_wheel(wheel, "held_out")
    return [
        _question(task, family)
        for family in dict.fromkeys(of or known)
        for task in held_out(family, count, seed, phrasings)
    ]


def _question(task: Task, family: str) -> Question:
    messages = [dict(each) for each in task.messages]
    return Question(prompt=messages, expected=task.reference, accepts=task.accepts, group=family)


def _of_the_wheel(wheel: str, name: str) -> Any:
    package = wheel.replace("-", "_")
    try:
        if not package.isidentifier():
            raise ImportError(f"{wheel!r} is no wheel's name")
        return load_target(f"{package}.tasks:{name}")
    except (ImportError, AttributeError) as exc:
        model = "the embedded model" if wheel == EMBEDDED else "a model"
        raise ModelNotFound(
            f"the tasks are those of {model}, whose wheel {wheel!r} is not installed; pip install "
            f"{wheel or EMBEDDED}, or give prompts of your own",
            path=wheel,
        ) from exc
