"""How probable the prompts were that answers begin with: ``echo`` together with ``logprobs``.

A model that fills masks has no such probability of its own. What is told is that of each token given those
before it, with masks in all places from it to the end of the prompt: ``log_likelihood`` by the chain from
left to right, a forward a token. So clients have what they want that sum the values of the last tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import TypeAlias

from llada_core.generation.likelihood import LogLikelihood
from llada_core.generation.odds import Odds
from llada_core.generation.results import GenerationResult
from llada_server.http.routes.decoding import Logprob, least
from llada_server.http.served import Served

__all__ = ["Echoed"]

_Ids: TypeAlias = Sequence[int]


class Echoed:
    """The tokens of prompts, and the tokens that ended the answers to them.

    Args:
        prompts: text, which is taken as it stands, or ids. n: answers to each.
        algorithm: by which the network is asked.
        likeliest: how many of the likeliest tokens are told in each place.
        ends: whether answers are ended by end tokens alone. Clients count on a token for each that they asked
            for; an end token is told behind an answer that it ended, as likely as it is there alone.
    """

    def __init__(
        self,
        served: Served,
        prompts: Sequence[str | list[int]],
        *,
        n: int,
        algorithm: str,
        likeliest: int,
        ends: bool,
    ) -> None:
        self._served, self._prompts, self._n = served, prompts, n
        self._algorithm, self._likeliest, self._ends = algorithm, likeliest, ends
        self._told: list[list[Logprob]] = []
        self._ended: dict[int, Logprob] = {}

    async def ask(self, results: Sequence[GenerationResult]) -> None:
        """Find all of it out, in one question to the model's thread. Raises as ``Served.likelihoods``."""
        ids = [self._served.ids_of(prompt) for prompt in self._prompts]
        ends = self._ends_of(ids, results)
        pairs = [*(([], each) for each in ids), *chain.from_iterable(ends.values())]
        found = await self._served.likelihoods(
            pairs, algorithm=self._algorithm, likeliest=max(self._likeliest, 1)
        )
        self._told = [self._all(each, told) for each, told in zip(ids, found, strict=False)]
        self._keep_ends(ends, found[len(ids) :])

    def before(self, index: int) -> list[Logprob]:
        """The tokens of the prompt of answer ``index``."""
        return self._told[index // self._n]

    def behind(self, index: int) -> list[Logprob]:
        """The token that ended answer ``index``, if one did."""
        return [self._ended[index]] if index in self._ended else []

    def _ends_of(
        self, ids: Sequence[_Ids], results: Sequence[GenerationResult]
    ) -> dict[int, list[tuple[_Ids, _Ids]]]:
        """For each answer that an end token ended, what to ask of each token that may have been it."""
        ended = {
            index: [*ids[index // self._n], *result.token_ids]
            for index, result in enumerate(results)
            if self._ends and result.finish_reason == "stop"
        }
        return {
            index: [(text, [end]) for end in sorted(self._served.end_ids)] for index, text in ended.items()
        }

    def _keep_ends(self, asked: dict[int, list[tuple[_Ids, _Ids]]], found: Sequence[LogLikelihood]) -> None:
        """Take the likeliest token of each answer to be the one that ended it."""
        told = iter(found)
        for index, pairs in asked.items():
            (_, token), best = max(((pair, next(told)) for pair in pairs), key=lambda each: each[1].value)
            self._ended[index] = self._all(token, best)[0]

    def _all(self, ids: _Ids, found: LogLikelihood) -> list[Logprob]:
        assert found.conditionals is not None, "a chain tells of each token"
        return [self._one(token, odds) for token, odds in zip(ids, found.conditionals, strict=True)]

    def _one(self, token: int, odds: Odds) -> Logprob:
        others = odds.likeliest[: self._likeliest]
        return Logprob(
            self._served.token_text(token),
            least(odds.log_probability),
            tuple(Logprob(self._served.token_text(other), least(log)) for other, log in others),
        )
