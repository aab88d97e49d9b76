"""The stand-in for an algorithm that is registered and cannot run here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from llada_core.errors import AlgorithmUnavailable
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.plugins.info import AlgorithmInfo

__all__ = ["UnavailableAlgorithm"]


class UnavailableAlgorithm(GenerationAlgorithm):
    """Stands for a registered algorithm that cannot run here: it answers questions and refuses work.

    Loading and generating raise ``AlgorithmUnavailable`` with ``unavailable_reason``.
    """

    parameters = ()

    def __init__(self, info: AlgorithmInfo, networks: Callable[[], Any] | None = None) -> None:
        """``networks`` tells the class of networks that it would run on; None where nobody knows."""
        self._bind(info)
        self._networks = networks

    def is_available(self) -> bool:
        return False

    def network_class(self) -> Any:
        return None if self._networks is None else self._networks()

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
