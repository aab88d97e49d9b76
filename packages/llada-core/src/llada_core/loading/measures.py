"""What can be asked of a loaded model about texts that are there: how probable they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from llada_core.errors import UsageError
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.likelihood import Estimate, LogLikelihood
from llada_core.generation.likelihoods import Continuation, likelihoods, texts_of
from llada_core.generation.model import Model
from llada_core.generation.prompts import Prompt
from llada_core.generation.results import Score
from llada_core.generation.scores import scores
from llada_core.generation.templates import Template
from llada_core.loading.resting import Resting

__all__ = ["Measures"]

_OTHER = "this model has been given other weights since these likelihoods were asked for; ask for them again"


class Measures:
    """Scores and likelihoods, of whoever has a model and its algorithms."""

    _resting: Resting

    @abstractmethod
    def _awake(self) -> Model:
        """The network and its tokenizer. Raises ``UsageError`` where they cannot be asked now."""

    @abstractmethod
    def algorithm(self, name: str | None = None) -> GenerationAlgorithm:
        """The algorithm of this name, None for the default, holding the model."""

    def score(
        self,
        template: Template,
        candidates: Iterable[str],
        *,
        prompt: Prompt | None = None,
        algorithm: str | None = None,
        raw: bool = False,
    ) -> list[Score]:
        """How probable each candidate is in the one blank of the template, in their order.

        The blank gets the length of the candidate, so the number in the template does not matter; one forward
        is run for each length. Raises as ``infill``, and ``PromptError`` where there are several blanks, or a
        candidate is empty.
        """
        return scores(self.algorithm(algorithm), self._awake(), template, candidates, prompt=prompt, raw=raw)

    def log_likelihood(
        self,
        context: Prompt,
        continuation: Continuation,
        *,
        algorithm: str | None = None,
        raw: bool = False,
        **how: Any,
    ) -> LogLikelihood:
        """How probable the continuation, text or ids, is behind the context, a prompt as of ``generate``; or,
        behind an empty list, by itself.

        ``how`` is as of ``Estimate``: with ``method`` "monte_carlo", LLaDA's estimate by ``samples`` masks
        that are drawn by ``seed`` and the context; with "chain", the product of the tokens' probabilities as
        they are given in an ``order``. Raises as ``score``, ``UsageError`` for what cannot be asked,
        ``ParameterError`` for what does not fit, and ``GenerationError`` where the network tells NaN or has
        no memory for one canvas.
        """
        pairs = [(context, continuation)]
        ((_, found),) = self.log_likelihoods(pairs, algorithm=algorithm, raw=raw, **how)
        return found

    def log_likelihoods(
        self,
        pairs: Iterable[tuple[Prompt, Continuation]],
        *,
        algorithm: str | None = None,
        raw: bool = False,
        **how: Any,
    ) -> Iterator[tuple[int, LogLikelihood]]:
        """The same of pairs of a context and a continuation, each with its number, as they end.

        Up to ``batch_size`` masks share a forward, whosever they are, and no value depends on the others.
        Raises as ``log_likelihood``: what is of the call at once, and what is of the network, as
        ``AlgorithmUnavailable``, as it is asked; and ``UsageError`` between two of them, where the model can
        no longer be asked or has been given other weights.
        """
        estimate = Estimate.of(how)
        chosen, model = self.algorithm(algorithm), self._awake()
        found = likelihoods(chosen, model, texts_of(chosen, model, pairs, raw=raw), estimate)
        return self._by_one_round(found, self._resting.round)

    def _by_one_round(
        self, found: Iterator[list[tuple[int, LogLikelihood]]], begun: int
    ) -> Iterator[tuple[int, LogLikelihood]]:
        """What each forward has ``found``, all by the weights of the round that it was ``begun`` in."""
        while True:
            self._awake()
            if self._resting.round != begun:
                raise UsageError(_OTHER)
            ended = next(found, None)
            if ended is None:
                return
            yield from ended
