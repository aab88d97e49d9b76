"""What goes into a generation and what comes out of it, as facts.

Knows nothing of networks: the figures are counted by ``execution``.
"""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from llada_core.errors import PromptError, UsageError
from llada_core.generation.prompts import IdArray, Prompt
from llada_core.generation.templates import Template
from llada_core.values import shown

__all__ = [
    "Answer",
    "Canvas",
    "FinishReason",
    "GenerationRequest",
    "GenerationResult",
    "Likeliest",
    "Score",
    "Trajectory",
    "check_raw",
    "check_request",
    "requests_of",
]

FinishReason = Literal["stop", "length", "cancelled"]
Canvas = tuple["int | None", ...]
Likeliest = tuple[tuple[int, float], ...]
"""The likeliest tokens of a position and their probabilities, likeliest first."""

_MOST_LOGPROBS = 20  # as in OpenAI's requests


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One prompt and how it is to be decoded.

    ``prompt`` is text, chat messages or token ids (a list, array or integer tensor ``[P]``); ``raw`` leaves
    the chat template out; ``algorithm`` None means the default; ``parameters`` are checked when the request
    is run, under canonical names or aliases.

    ``template`` is the answer with blanks that are to be filled, or, without a prompt, a whole text with
    blanks. ``stop`` are texts that end the answer and are no part of it. ``logprobs`` asks how probable each
    token was when it was kept, and so many of the likeliest tokens there, 0 to 20.

    ``max_length`` bounds the tokens of prompt and answer together, where that is less than the model takes.
    With ``shorten`` the answer has as many tokens as fit, where its ``gen_length`` is more.

    ``trajectory`` asks for the `Trajectory` of the answer: which forward wrote each token, and how probable
    the token was.
    """

    prompt: Prompt | IdArray | None = None
    algorithm: str | None = None
    raw: bool = False
    parameters: Mapping[str, object] = field(default_factory=dict)
    template: Template | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    max_length: int | None = None
    shorten: bool = False
    trajectory: bool = False


def check_request(given: object) -> GenerationRequest:
    """``given``, which is a request with fields of their kinds; its prompt and the values of its parameters
    are not looked at. Raises ``UsageError`` for anything else."""
    if not isinstance(given, GenerationRequest):
        raise UsageError(f"{reprlib.repr(given)} is no request; give GenerationRequest(prompt=...)")
    if given.algorithm is not None and not isinstance(given.algorithm, str):
        raise UsageError(
            f"algorithm={shown(given.algorithm)} is no name of one; give a name, or None for the default"
        )
    check_raw(given.raw)
    named = isinstance(given.parameters, Mapping) and all(isinstance(name, str) for name in given.parameters)
    if not named:
        raise UsageError(
            f"parameters={shown(given.parameters)} are no parameters by name; give a dict, such as "
            "{'gen_length': 32}"
        )
    if given.prompt is None and given.template is None:
        raise PromptError("the prompt is None; give text, a list of messages or token ids, or a template")
    stop = given.stop
    if not isinstance(stop, tuple | list) or not all(isinstance(text, str) and text for text in stop):
        raise UsageError(f"stop={reprlib.repr(stop)} is no list of texts; give one, such as stop=('.',)")
    if stop and given.template is not None:
        raise UsageError("stop ends an answer, and the length of blanks is given; leave one of them out")
    _check_logprobs(given.logprobs)
    _check_bounds(given.max_length, given.shorten)
    if not isinstance(given.trajectory, bool):
        raise UsageError(f"trajectory={shown(given.trajectory)} is neither; give True or False")
    return given


def check_raw(raw: object) -> None:
    """Refuse what does not say whether text is taken as it stands. Raises ``UsageError``."""
    if not isinstance(raw, bool):
        raise UsageError(f"raw={shown(raw)} is neither; give True to take text as it stands, or False")


def _check_logprobs(count: object) -> None:
    if count is None:
        return
    if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MOST_LOGPROBS:
        raise UsageError(
            f"logprobs={shown(count)} is no number of tokens; give 0 for the probability of each token that "
            f"was kept, up to {_MOST_LOGPROBS} for the likeliest ones there too, or None"
        )


def _check_bounds(most: object, shorten: object) -> None:
    if most is not None and (not isinstance(most, int) or isinstance(most, bool) or most < 1):
        raise UsageError(f"max_length={shown(most)} is no length; give an integer from 1 on, or None")
    if not isinstance(shorten, bool):
        raise UsageError(f"shorten={shown(shorten)} is neither; give True or False")


def requests_of(given: Iterable[object]) -> list[GenerationRequest]:
    """The requests in ``given``. Raises ``UsageError`` where it holds anything else."""
    if isinstance(given, str | bytes | Mapping | GenerationRequest) or not isinstance(given, Iterable):
        remedy = "give a list of them, or take generate, which takes prompts"
        raise UsageError(f"{reprlib.repr(given)} is no list of requests; {remedy}")
    return [check_request(each) for each in given]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an opaque algorithm made of one prompt.

    ``token_ids`` are what follows the prompt, with the end token where there is one, and never a mask's id.
    ``nfe`` counts the forward passes of this row. ``warnings`` are sentences for the caller: what is not as
    one would expect of this answer.
    """

    token_ids: tuple[int, ...]
    nfe: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What could stand in a blank, and how probable that is.

    ``log_probability`` is the natural logarithm of the product of its tokens' probabilities, each in its
    place with masks in all others, as a decoder sees them at its first step. Texts of one number of tokens
    can be compared; of several, the mean a token (``per_token``) tells more.
    """

    text: str
    token_ids: tuple[int, ...]
    log_probability: float

    @property
    def probability(self) -> float:
        """The product of its tokens' probabilities."""
        return math.exp(self.log_probability)

    @property
    def per_token(self) -> float:
        """The mean of the logarithms."""
        return self.log_probability / len(self.token_ids)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """How an answer came to be, token by token: what training by its reward needs.

    All but the first two have an entry for each token that the row wrote and did not take back, by position.
    What the network was asked in forward f can be put together again where ``replaced`` is 0: the prompt, and
    of ``length`` positions those that were written before f, with masks in the others. Not where tokens were
    taken back or replaced, which stood in forwards that nothing here tells of; of a template, whose fixed
    tokens are not told; where a decoder of whole blocks has a ``length`` that is no multiple of its block, as
    its canvas was longer; and where a decoder feeds the network embeddings. What is fixed has no entry;
    neither has what a decoder of whole blocks writes behind the answer, nor the end tokens that fill up the
    answer of a row that has stopped.

    Attributes:
        prompt_ids: what stood before the answer.
        length: how many positions the answer has.
        positions: where in the answer the tokens are, as offsets, ascending.
        token_ids: the tokens.
        in_answer: whether each counts: it is among the ``token_ids`` of the result, or an end token behind
            these. What else was written stands behind an end, or behind a mask of a row that was cancelled.
        committed_at: the forward of the row that wrote each, counted from 1 as in its ``nfe``. Where an
            algorithm has replaced a token it is the last one that wrote there.
        replaced: how many tokens that stood have been taken back or replaced.
        log_probabilities: natural logarithm of the token's probability under the network in that forward, to
            the precision of float32: at temperature 1, without filters, and without what a rule makes of the
            logits. The mask, which is never written, is left out. None where the algorithm does not tell.
        drawn_log_probabilities: the same under what the token was drawn from: with the rule's changes, the
            temperature and the filters. 0.0 where the likeliest token was taken, as at temperature 0.
    """

    prompt_ids: tuple[int, ...]
    length: int
    positions: tuple[int, ...]
    token_ids: tuple[int, ...]
    in_answer: tuple[bool, ...]
    committed_at: tuple[int, ...]
    replaced: int
    log_probabilities: tuple[float, ...] | None = None
    drawn_log_probabilities: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationResult:
    """One answer and what it cost.

    ``text`` and ``token_ids`` end before the first end token (``Model.end_tokens``);
    ``finish_reason`` is ``"stop"`` if there was one, ``"length"`` if not. Where it is ``"cancelled"``, they
    are what stood before the first mask. ``text`` is empty where the checkpoint has no tokenizer. ``nfe``
    counts the forward passes of this row. ``arrived``, ``admitted`` and ``finished`` are the row's own clock,
    in seconds of ``time.perf_counter``: when it was submitted, first took part, and ended; a row that was
    cancelled while it waited was admitted when it ended. ``parameters`` are the effective values.
    ``warnings`` are what the algorithm tells of this answer.

    Of a template, ``text`` is the whole text, ``blanks`` what the blanks say, and ``token_ids`` are the ids
    in these. ``confidence`` and ``alternatives``, where ``logprobs`` asked for them, are the probability of
    each of ``token_ids`` when it was kept, and the likeliest tokens there with theirs, likeliest first; None
    where the algorithm does not tell. ``trajectory`` is there where the request asked for it and the
    algorithm works step by step.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    nfe: int
    arrived: float
    admitted: float
    finished: float
    engine: str
    algorithm: str
    parameters: Mapping[str, object]
    warnings: tuple[str, ...] = ()
    blanks: tuple[str, ...] = ()
    confidence: tuple[float | None, ...] | None = None
    alternatives: tuple[Likeliest | None, ...] | None = None
    trajectory: Trajectory | None = None

    @property
    def seconds(self) -> float:
        """Seconds of wall-clock time from the row's first step to its last."""
        return self.finished - self.admitted

    @property
    def queue_seconds(self) -> float:
        """Seconds that the row waited for room."""
        return self.admitted - self.arrived

    @property
    def completion_tokens(self) -> int:
        """The length of the answer, without the end token and what follows it."""
        return len(self.token_ids)

    @property
    def tokens_per_forward(self) -> float:
        """Answer tokens per forward pass; 0.0 where no forward was run."""
        return self.completion_tokens / self.nfe if self.nfe else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Answer tokens per second of wall-clock time; 0.0 where none was measured."""
        return self.completion_tokens / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """The result as ``llada generate --json`` prints it."""
        return {
            "text": self.text,
            "finish_reason": self.finish_reason,
            "usage": {
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.completion_tokens,
            },
            "nfe": self.nfe,
            "tokens_per_forward": self.tokens_per_forward,
            "seconds": self.seconds,
            "queue_seconds": self.queue_seconds,
            "engine": self.engine,
            "algorithm": self.algorithm,
            "parameters": dict(self.parameters),
            "warnings": list(self.warnings),
            **({"blanks": list(self.blanks)} if self.blanks else {}),
            **({} if self.confidence is None else {"confidence": list(self.confidence)}),
            **({} if self.alternatives is None else {"alternatives": list(self.alternatives)}),
            **({} if self.trajectory is None else {"trajectory": _listed(self.trajectory)}),
        }


def _listed(trajectory: Trajectory) -> dict[str, Any]:
    """Its fields by name, as lists."""
    facts = asdict(trajectory)
    return {name: [*value] if isinstance(value, tuple) else value for name, value in facts.items()}
