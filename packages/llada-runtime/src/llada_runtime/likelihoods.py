"""How likely texts are to the network of an algorithm: by one forward, read as the algorithm reads it."""

from __future__ import annotations

from collections.abc import Sequence as Ids
from typing import ClassVar

from llada_core.generation.odds import Look, Odds
from llada_runtime.loading import OnTheRuntime
from llada_runtime.network.protocol import Network
from llada_runtime.network.reading import Reading
from llada_runtime.scoring import log_probabilities, token_odds

__all__ = ["TellsLikelihoods"]

_BEHIND = "its network sees nothing behind the block in work; take a model that sees both sides"


class TellsLikelihoods(OnTheRuntime):
    """One that tells likelihoods by its `reading`, and refuses what needs a network that sees both sides."""

    reading: ClassVar[Reading]

    def log_probabilities(
        self, model: Network, canvas: Ids[int], blank: tuple[int, int], candidates: Ids[Ids[int]]
    ) -> list[list[float]]:
        """Natural log of the probability of each candidate's tokens in the masks of ``canvas``, by one
        forward of it.

        Each is told by the logits that `reading` says. Raises AlgorithmUnavailable where that says that a
        column sees nothing behind its block.
        """
        if self.reading.attention == "blocks":
            self._cannot("score", _BEHIND)
        return log_probabilities(model, canvas, blank, candidates, shift=self.reading.shift)

    def token_odds(self, model: Network, looks: Ids[Look], *, likeliest: int = 1) -> list[list[Odds]]:
        """The odds of the tokens of each look, by one forward of all, told by the logits that `reading` says.

        Raises AlgorithmUnavailable as `log_probabilities`, and MemoryError.
        """
        if self.reading.attention == "blocks":
            self._cannot("tell a likelihood", _BEHIND)
        return token_odds(model, looks, likeliest=likeliest, shift=self.reading.shift)

    def infill_reason(self) -> str | None:
        """Why no blank is filled: one answers in one call, or what is behind a blank is not seen."""
        return _BEHIND if self.reading.attention == "blocks" else super().infill_reason()
