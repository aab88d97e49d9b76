"""What can be asked only of an algorithm that runs its network itself. Here each is refused.

How to run a network, a runtime knows, whose base class answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn

from llada_core.errors import AlgorithmUnavailable
from llada_core.generation.odds import Look, Odds
from llada_core.generation.results import Answer

__all__ = ["RunsNetworks"]

_SCORE = "it does not run the network itself; take an algorithm that works step by step"
_WEIGHTS = "how its engine keeps the weights, nobody here knows; close the model and load it again"
_REFERENCE = (
    "it has no reference to be held to; let it define reference_answer, or make it a decoder that works step "
    "by step"
)


class RunsNetworks:
    """Questions that need forwards of the network, each with the refusal of who cannot answer."""

    name: str

    def log_probabilities(
        self, model: Any, canvas: Sequence[int], blank: tuple[int, int], candidates: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """Natural log of the probability of each token of each candidate in the masks ``[lo, hi)`` of
        ``canvas``, by one forward.

        This one refuses, as ``AlgorithmUnavailable``.
        """
        self._cannot("score", _SCORE)

    def token_odds(self, model: Any, looks: Sequence[Look], *, likeliest: int = 1) -> list[list[Odds]]:
        """The odds of the tokens of each look in their order, by one forward of all canvases; none depends
        on the others. So many of the ``likeliest`` are told, fewer where the vocabulary has no more.

        ``MemoryError`` says that there is no memory for so many: fewer are asked of then. This one refuses,
        as ``AlgorithmUnavailable``.
        """
        self._cannot("tell a likelihood", _SCORE)

    def reference_answer(self, model: Any, prompt_ids: Sequence[int], params: Mapping[str, object]) -> Answer:
        """The answer to one prompt by the plainest way there is of decoding it, for ``llada verify``.

        It is what the fast path is held to: no batch, no kernels or graphs of the fast path, as little shared
        code as can be. ``params`` are effective. The ``token_ids`` are all of the answer's, also behind an
        end token. This one refuses, as ``AlgorithmUnavailable``.
        """
        self._cannot("be held to a reference", _REFERENCE)

    def exchange_weights(
        self,
        model: Any,
        weights: Mapping[str, Any] | Iterable[tuple[str, Any]],
        *,
        partial: bool,
        begun: Callable[[], None],
    ) -> None:
        """Give the network that this class has loaded other ``weights``, by the names of the checkpoint.

        In place, so that what holds the network goes on with them. With ``partial`` some may be missing. Of a
        mapping nothing is written unless all of it is right. ``begun`` is called once, before the first is
        written: if it fails after that, the model has weights of two rounds. Raises ``CheckpointError`` for
        one that is not right, and ``UsageError``. This one refuses, as ``AlgorithmUnavailable``.
        """
        self._cannot("exchange weights", _WEIGHTS)

    def release_memory(self, model: Any, level: int) -> None:
        """Free the device's memory that the network and what stands around it hold; no request is in work.

        At ``level`` 1 the weights go to the host's memory, at 2 they are dropped. Raises ``UsageError``. This
        one refuses, as ``AlgorithmUnavailable``.
        """
        self._cannot("release memory", _WEIGHTS)

    def take_memory(self, model: Any) -> None:
        """Have the network on its device again after ``release_memory``; its weights say nothing where they
        were dropped. This one refuses, as ``AlgorithmUnavailable``."""
        self._cannot("take memory again", _WEIGHTS)

    def _cannot(self, what: str, reason: str) -> NoReturn:
        raise AlgorithmUnavailable(f"{self.name} cannot {what}: {reason}", name=self.name, reason=reason)
