"""The stand-in for an algorithm that is registered and cannot be imported."""

from __future__ import annotations

from typing import Any, NoReturn

from llada_core.errors import AlgorithmUnavailable
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.plugins.info import AlgorithmInfo

__all__ = ["UnavailableAlgorithm"]


class UnavailableAlgorithm(GenerationAlgorithm):
    """Stands for a registered algorithm whose code cannot be imported: it answers questions and refuses work.

    Loading and generating raise ``AlgorithmUnavailable`` with ``unavailable_reason``.
    """

    def __init__(self, info: AlgorithmInfo) -> None:
        self._bind(info)

    def is_available(self) -> bool:
        return False

    def load_model_class(self) -> NoReturn:
        self._refuse()

    def load_model_from_hf(self, *args: Any, **options: Any) -> NoReturn:
        self._refuse()

    def load_model_from_dcp(self, *args: Any, **options: Any) -> NoReturn:
        self._refuse()

    def load_checkpoint(self, *args: Any, **options: Any) -> NoReturn:
        self._refuse()

    def generate(self, *args: Any, **params: Any) -> NoReturn:
        self._refuse()

    def answers(self, *args: Any, **params: Any) -> NoReturn:
        self._refuse()

    def generate_batch(self, *args: Any, **params: Any) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        reason = self.unavailable_reason or "its code cannot be imported"
        raise AlgorithmUnavailable(f"{self.name} cannot run here: {reason}", name=self.name, reason=reason)
