"""Text and ids for the half that speaks HTTP, on a tokenizer of its own.

The model's thread uses the model's at the same time, and tokenizers are not made for two threads: those of
Hugging Face refuse to be set up while another thread encodes, and those of checkpoints may do anything.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from dataclasses import replace
from threading import Lock
from typing import Any

from llada_core.faults import fault_of, one_line
from llada_core.generation.model import Model
from llada_core.generation.prompts import check_vocabulary

__all__ = ["Reading"]

_log = logging.getLogger(__name__)


class Reading:
    """Encodes and decodes as ``model`` does, on a copy of its tokenizer.

    Texts are encoded one after the other. Nobody waits to decode: the event loop does so for every token.
    """

    def __init__(self, model: Model) -> None:
        self._model = replace(model, network=None, tokenizer=_copy(model.tokenizer))
        self._encoding = Lock()

    def encode(self, prompt: Any, *, raw: bool = False) -> list[int]:
        """The ids of text or messages. Raises as ``Model.encode``."""
        with self._encoding:
            return self._model.encode(prompt, raw=raw)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids up to the first end token. Raises as ``Model.decode``."""
        return self._model.decode(ids)

    def check(self, ids: Sequence[int]) -> None:
        """Refuse ids that the tokenizer does not have, which it would read as nothing. Raises
        ``PromptError``."""
        size = getattr(self._model.tokenizer, "__len__", None)
        check_vocabulary(ids, self._model.limits.vocab_size if size is None else size())


def _copy(tokenizer: Any) -> Any:
    try:
        return copy.deepcopy(tokenizer)
    except BaseException as exc:  # one that comes with a checkpoint may raise anything
        told = one_line(fault_of(exc))
        _log.warning("the tokenizer cannot be copied, so that two threads share it: %s", told)
        return tokenizer
