"""The tasks of wheels that hold a model as lm-eval asks them: instances and right answers are their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from datasets import Dataset
from lm_eval.api.task import ConfigurableTask

from llada_core.bench import Question, tasks
from llada_core.bench.questions import EMBEDDED

__all__ = ["HeldOut", "exact"]


class HeldOut(ConfigurableTask):
    """The held-out instances of one family, with all their turns.

    ``dataset_kwargs`` are ``family``, ``count``, ``seed`` and ``phrasings`` of ``llada_core.bench.tasks``,
    and its ``wheel`` where that is not the embedded model's.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__(config={name: value for name, value in config.items() if name != "class"})

    def download(self, dataset_kwargs: Mapping[str, Any] | None = None, **kwargs: Any) -> None:
        """Make the instances; nothing is fetched. Raises ``ModelNotFound`` where the wheel is not there."""
        which = {"wheel": EMBEDDED, **(dataset_kwargs or {})}
        docs = [
            {**which, "number": number, "messages": each.prompt, "reference": each.expected}
            for number, each in enumerate(_questions(**which))
        ]
        self.dataset = {"test": Dataset.from_list(docs)}

    def fewshot_context(
        self,
        doc: Mapping[str, Any],
        num_fewshot: int,
        system_instruction: str | None = None,
        apply_chat_template: bool = False,
        fewshot_as_multiturn: bool = False,
        chat_template: Callable[..., str] | None = None,
        gen_prefix: str | None = None,
    ) -> str:
        """The turns of the instance as the chat template writes them.

        Raises ``ValueError`` without one: some instances have several turns.
        """
        if not apply_chat_template or chat_template is None:
            raise ValueError(f"{self.config.task} is a conversation; give --apply_chat_template")
        system = [] if not system_instruction else [{"role": "system", "content": system_instruction}]
        return chat_template([*system, *doc["messages"]])


def exact(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
    """Whether the answer is, word for word, one that the task accepts."""
    which = {name: doc[name] for name in ("wheel", "family", "count", "seed", "phrasings")}
    accepts = _questions(**which)[doc["number"]].accepts
    assert accepts is not None, "tasks of a wheel know their right answers"
    return {"exact": float(accepts(results[0]))}


@lru_cache(maxsize=32)
def _questions(wheel: str, family: str, count: int, seed: int, phrasings: str) -> list[Question]:
    return tasks(count, [family], wheel=wheel, seed=seed, phrasings=phrasings)
