"""What routes know of the model that is served: facts, and the thread that decodes on it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from llada_core import registry
from llada_core.errors import ModelError, PromptError, TokenizerMissing, UsageError
from llada_core.generation.likelihood import LogLikelihood
from llada_core.generation.results import GenerationRequest, Score
from llada_core.parameters import STANDARD, Parameter, beside, called, once, resolve
from llada_server.http.answers import Answers
from llada_server.http.problems import HttpProblem, Late
from llada_server.http.wire.chat import Message
from llada_server.http.wire.infill import InfillRequest, ScoreRequest
from llada_server.http.wire.neutral import asks_for_nothing
from llada_server.scheduler.worker import Worker
from llada_server.settings import ServerSettings

__all__ = ["Asked", "Reader", "Served"]

_Told = TypeVar("_Told")
_log = logging.getLogger(__name__)


class Reader(Protocol):
    """Text and ids by the served model's tokenizer; called in the event loop and beside it."""

    def encode(self, prompt: Any, *, raw: bool = False) -> list[int]: ...
    def decode(self, ids: Sequence[int]) -> str: ...
    def check(self, ids: Sequence[int]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How a request wants its answers, resolved once for all of them.

    Attributes:
        algorithm: by name. declared: the parameters that it takes.
        parameters: those that are given, and the server's defaults that hold beside them.
        shorten: whether nobody gave a length, so that an answer may be as long as fits.
    """

    algorithm: str
    declared: tuple[Parameter, ...]
    parameters: Mapping[str, object]
    shorten: bool

    @property
    def length(self) -> int:
        """How many tokens an answer may have. Raises ``ParameterError`` for what is no length."""
        parameter = _length_of(self.declared)
        given = {name: value for name, value in self.parameters.items() if name in parameter.names}
        length: Any = resolve((parameter,), given, algorithm=self.algorithm)[parameter.name]
        return int(length)


def _length_of(declared: Sequence[Parameter]) -> Parameter:
    """The parameter that says how many tokens an answer may have."""
    return called("gen_length", declared) or STANDARD["gen_length"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Served:
    """One model as clients see it.

    Attributes:
        name: what clients call it. root: the path or hub id that it came from.
        created: when it was loaded, in seconds since 1970.
        engine: the engine that it is loaded with.
        max_model_len: tokens of prompt and answer together; None where nothing bounds them.
        default_algorithm: what decodes requests that name none.
        algorithms: by name, why each cannot run on it, or None.
        end_ids: the tokens that end an answer.
        score: as of ``LoadedModel``, forward by forward; called in the model's thread.
        likelihood: the same by the chain from left to right, of pairs of ids.
        ready: as of ``LoadedModel``; called in any thread. It raises where the model cannot be asked now.
    """

    settings: ServerSettings
    worker: Worker
    reader: Reader
    name: str
    root: str
    created: int
    engine: str
    max_model_len: int | None
    default_algorithm: str
    algorithms: Callable[[], Mapping[str, str | None]]
    end_ids: frozenset[int]
    score: Callable[..., Generator[None, None, list[Score]]]
    likelihood: Callable[..., Generator[None, None, list[LogLikelihood]]]
    ready: Callable[[], object]
    _texts: dict[int, str] = field(default_factory=dict, init=False, repr=False)

    @property
    def takes_requests(self) -> bool:
        """Whether a request that came now would be answered, as far as the model and its thread go."""
        try:
            self.ready()
        except UsageError:
            return False
        return self.worker.alive and not self.worker.closing

    def check_name(self, asked: str | None) -> None:
        """Refuse a request for another model."""
        if asked is not None and asked != self.name:
            raise HttpProblem(
                404,
                f"the model {asked!r} is not served here; ask for {self.name!r}",
                param="model",
                code="model_not_found",
            )

    def asked(self, algorithm: str | None, parameters: Mapping[str, object]) -> Asked:
        """How to decode, with the server's defaults for what the client leaves open: they are those of the
        default algorithm. Raises ``UnknownAlgorithm``."""
        name = self.default_algorithm if algorithm is None else algorithm
        info = registry.get_algorithm_info(name)
        wanted = {
            key: value
            for key, value in parameters.items()
            if called(key, info.parameters) or not asks_for_nothing(key, value)
        }
        given = once(wanted, (*info.parameters, *STANDARD.values()))
        ours = self.settings.parameters if info.name == self.default_algorithm else {}
        return Asked(
            algorithm=name,
            declared=info.parameters,
            parameters=beside(given, ours, info.parameters),
            shorten=given.keys().isdisjoint(_length_of(info.parameters).names),
        )

    def request(self, asked: Asked, parameters: Mapping[str, object], **fields: Any) -> GenerationRequest:
        """A request to the model's thread; ``parameters`` are those of ``asked``, or some of them.

        ``fields`` are the others of ``GenerationRequest``.
        """
        return GenerationRequest(
            algorithm=asked.algorithm,
            parameters=parameters,
            max_length=self.max_model_len,
            shorten=asked.shorten,
            **fields,
        )

    def check_count(self, count: int) -> None:
        """Refuse so many answers to one request where so many are never taken at a time, and to try again
        later would not help; called before anything is made for each of them."""
        most = self.settings.max_num_seqs + self.settings.max_queue
        if count > most:
            raise HttpProblem(
                400,
                f"the request asks for {count} answers, and this server takes {most} at a time; give fewer "
                "prompts, or a smaller n",
                param="n",
                code="too_many_answers",
            )

    def conversation(self, messages: Sequence[Message]) -> str | list[dict[str, Any]]:
        """Messages as the model takes them: for its chat template, or their text as it stands."""
        if self.settings.use_chat_template:
            return [message.as_prompt for message in messages]
        return "\n".join(str(message.as_prompt["content"]) for message in messages)

    def context(self, body: InfillRequest | ScoreRequest) -> dict[str, Any]:
        """What the template of ``body`` is the answer to, as ``prompt`` and ``raw`` of the library."""
        prompt = body.prompt if body.messages is None else self.conversation(body.messages)
        return {"prompt": prompt, "raw": not self.settings.use_chat_template}

    def text_of(self, ids: Sequence[int], *, field: str) -> str:
        """The text of ids that the client gave in ``field``. Refuses those that no tokenizer has."""
        try:
            self.reader.check(ids)
            return self.reader.decode(ids)
        except TokenizerMissing:
            raise
        except (ModelError, OverflowError, PromptError) as exc:
            raise HttpProblem(
                400,
                f"{field} holds ids that are none of this model's; give ids as /tokenize returns them",
                param=field,
                code="invalid_prompt",
            ) from exc

    def answers(self, requests: Sequence[GenerationRequest], *, follow: bool) -> Answers:
        """The answers to ``requests``, not posted yet, within the time that the server allows.

        With ``follow`` they tell what changes, too, and not only how each ended.
        """
        return Answers(
            self.worker,
            requests,
            timeout=self.settings.request_timeout,
            follow=follow,
            told=self.settings.log_prompts,
        )

    def token_text(self, token: int) -> str:
        """One token by itself; what is no whole character is shown as U+FFFD, and ``token_id:7`` stands where
        the model has no tokenizer."""
        if token not in self._texts:
            try:
                self._texts[token] = self.reader.decode([token])
            except TokenizerMissing:
                return f"token_id:{token}"
        return self._texts[token]

    async def scores(self, body: ScoreRequest) -> list[Score]:
        """What each candidate has, asked in the model's thread when its turn has come.

        Raises ``Full``, ``Closing`` and ``Late``. Cancelled before its turn, it is not asked.
        """
        context = self.context(body)
        if self.settings.log_prompts:
            told = context["prompt"], body.template, body.candidates
            _log.info("prompt %r, template %r, candidates %r", *told)
        asked = partial(
            self.score,
            body.template,
            body.candidates,
            **context,
            algorithm=self.default_algorithm if body.chosen_algorithm is None else body.chosen_algorithm,
        )
        return await self._told(asked, "the scores were not there within {:g} s; give fewer candidates")

    def ids_of(self, prompt: str | Sequence[int]) -> list[int]:
        """The ids of a prompt, of text as it stands. Raises ``PromptError`` and ``TokenizerMissing``."""
        return self.reader.encode(prompt, raw=True)

    async def likelihoods(
        self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], *, algorithm: str, likeliest: int
    ) -> list[LogLikelihood]:
        """What each text has behind its context, both ids, with so many of the ``likeliest`` in each place.

        Asked and raised as ``scores``.
        """
        asked = partial(
            self.likelihood,
            pairs,
            algorithm=algorithm,
            likeliest=likeliest,
            batch_size=self.settings.max_num_seqs,
        )
        late = "the logprobs of the prompts were not there within {:g} s; shorten them, or leave echo out"
        return await self._told(asked, late)

    async def _told(self, asked: Callable[[], Generator[None, None, _Told]], late: str) -> _Told:
        timeout = self.settings.request_timeout
        try:
            return await asyncio.wait_for(asyncio.wrap_future(self.worker.ask(asked)), timeout)
        except TimeoutError as exc:
            raise Late(late.format(timeout)) from exc
