"""What can be asked only of an algorithm that runs its network itself. Here each is refused.

How to run a network, a runtime knows, whose base class answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from llada_core.errors import AlgorithmUnavailable
from llada_core.generation.results import Answer

__all__ = ["RunsNetworks"]

_SCORE = "it does not run the network itself; take an algorithm that works step by step"
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

    def reference_answer(self, model: Any, prompt_ids: Sequence[int], params: Mapping[str, object]) -> Answer:
        """The answer to one prompt by the plainest way there is of decoding it, for ``llada verify``.

        It is what the fast path is held to: no batch, no kernels or graphs of the fast path, as little shared
        code as can be. ``params`` are effective. The ``token_ids`` are all of the answer's, also behind an
        end token. This one refuses, as ``AlgorithmUnavailable``.
        """
        self._cannot("be held to a reference", _REFERENCE)

    def _cannot(self, what: str, reason: str) -> NoReturn:
        raise AlgorithmUnavailable(f"{self.name} cannot {what}: {reason}", name=self.name, reason=reason)
