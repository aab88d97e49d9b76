"""What a call of ``bench`` asks: the prompts of a file, with the answers it expects, or the model's tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llada_core.bench import Question, accepting, tasks
from llada_core.bench.questions import EMBEDDED
from llada_core.checkpoints.embedded import embedded_names
from llada_core.checkpoints.places import local_folder, model_name
from llada_core.cli.prompts import Entry, prompts_of_file
from llada_core.errors import PromptError, UsageError

__all__ = ["asked_questions", "wheel_of", "whose_tasks"]

_FEW = 5  # instances a family where nobody says how many
_REMEDY = 'write "expected": "…", or a list of texts of which each is right'


def asked_questions(
    file: str | None, count: int | None, of: Sequence[str], *, model: str | None
) -> tuple[list[Question], str]:
    """The questions, and in words whose they are.

    Tasks are those of the wheel that ``model`` names, or of the embedded model. Without ``file`` and
    ``count`` a few of them are asked, unless a model is named that is no wheel's. Raises ``UsageError``,
    ``PromptError`` and ``ModelNotFound``.
    """
    if file is not None:
        if count is not None or of:
            raise UsageError("--prompts and tasks (--tasks, --family) are both given; give one of them")
        return [_question(entry) for entry in prompts_of_file(file)], "stdin" if file == "-" else file
    wheel = wheel_of(model)
    if count is None and model not in (None, wheel):
        raise UsageError(
            "nothing is asked; give --prompts FILE, or --tasks N for the tasks of the embedded model"
        )
    found = tasks(_FEW if count is None else count, of, wheel=wheel)
    return found, f"{whose_tasks(wheel)}, {', '.join(dict.fromkeys(of)) or 'all families'}"


def wheel_of(model: str | None) -> str:
    """Whose tasks a model is asked: the wheel of that name, or the embedded model's. Raises ``ModelNotFound``
    where no model can have this name, as what is asked would be told first."""
    if model is None:
        return EMBEDDED
    if model in embedded_names():
        return model
    local_folder(model_name(model))
    return EMBEDDED


def whose_tasks(wheel: str) -> str:
    """They in words."""
    return f"tasks of {'the embedded model' if wheel == EMBEDDED else wheel}"


def _question(entry: Entry) -> Question:
    given = {} if entry.given is None else entry.given
    if "expected" not in given:
        return Question(prompt=entry.prompt, source=entry.source)
    texts = _texts(given["expected"], entry.source)
    return Question(prompt=entry.prompt, expected=texts[0], accepts=accepting(texts), source=entry.source)


def _texts(expected: Any, source: str) -> list[str]:
    texts = [expected] if isinstance(expected, str) else expected
    if not isinstance(texts, list) or not texts or not all(isinstance(each, str) for each in texts):
        raise PromptError(f"{source}: expected is no answer; {_REMEDY}")
    return texts
