"""What can be asked of a loaded model about texts that are there: how probable they are."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterable, Iterator
from itertools import chain
from typing import Any, TypeVar

from llada_core.errors import ModelNotReady
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.likelihood import Estimate, LogLikelihood
from llada_core.generation.likelihoods import Continuation, likelihoods, texts_of
from llada_core.generation.model import Model
from llada_core.generation.prompts import Prompt
from llada_core.generation.results import Score
from llada_core.generation.scores import score_steps
from llada_core.generation.templates import Template
from llada_core.loading.resting import Resting

__all__ = ["Measures"]

_OTHER = "this model has been given other weights since this was asked; ask it again"
_Part = TypeVar("_Part")
_Whole = TypeVar("_Whole")


class Measures:
    """Scores and likelihoods, of whoever has a model and its algorithms."""

    _resting: Resting

    @abstractmethod
    def ready(self) -> Model:
        """The network and its tokenizer, which can be asked now. Raises ``ModelNotReady``, ``UsageError``."""

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
        chosen, model = self.algorithm(algorithm), self.ready()
        steps = score_steps(chosen, model, template, candidates, prompt=prompt, raw=raw)
        return _value(self.while_ready(steps))

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
        ``AlgorithmUnavailable``, as it is asked; and ``ModelNotReady`` between two forwards, where the model
        can no longer be asked or has been given other weights.
        """
        estimate = Estimate.of(how)
        chosen, model = self.algorithm(algorithm), self.ready()
        found = likelihoods(chosen, model, texts_of(chosen, model, pairs, raw=raw), estimate)
        return chain.from_iterable(self.while_ready(found))

    def while_ready(self, parts: Generator[_Part, None, _Whole]) -> Generator[_Part, None, _Whole]:
        """What ``parts`` yields and returns: a question to the network, of which each part runs forwards of
        its own, as those of ``score`` and ``log_likelihoods`` do.

        While a part runs, who would exchange the weights or have the model sleep is refused, in other threads
        too. Raises ``ModelNotReady`` before a part for which the model cannot be asked, or has been given
        other weights since this call; and ``UsageError`` once it is closed.
        """
        return self._by_one_round(parts, self._resting.round)

    def _by_one_round(
        self, parts: Generator[_Part, None, _Whole], begun: int
    ) -> Generator[_Part, None, _Whole]:
        while True:
            with self.ready().executions.asking():
                if self._resting.round != begun:
                    raise ModelNotReady(_OTHER)
                try:
                    part = next(parts)
                except StopIteration as end:
                    whole: _Whole = end.value
                    return whole
            yield part


def _value(parts: Generator[object, None, _Whole]) -> _Whole:
    """What a generator returns, once it has ended."""
    while True:
        try:
            next(parts)
        except StopIteration as end:
            whole: _Whole = end.value
            return whole
