"""What goes into a generation and what comes out of it, as facts.

Knows nothing of networks: the figures are counted by ``execution``.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llada_core.errors import UsageError
from llada_core.generation.prompts import IdArray, Prompt
from llada_core.values import shown

__all__ = [
    "Answer",
    "Canvas",
    "FinishReason",
    "GenerationRequest",
    "GenerationResult",
    "check_raw",
    "check_request",
    "requests_of",
]

FinishReason = Literal["stop", "length", "cancelled"]
Canvas = tuple["int | None", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One prompt and how it is to be decoded.

    ``prompt`` is text, chat messages or token ids (a list, array or integer tensor ``[P]``); ``raw`` leaves
    the chat template out; ``algorithm`` None means the default; ``parameters`` are checked when the request
    is run, under canonical names or aliases.
    """

    prompt: Prompt | IdArray
    algorithm: str | None = None
    raw: bool = False
    parameters: Mapping[str, object] = field(default_factory=dict)


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
    return given


def check_raw(raw: object) -> None:
    """Refuse what does not say whether text is taken as it stands. Raises ``UsageError``."""
    if not isinstance(raw, bool):
        raise UsageError(f"raw={shown(raw)} is neither; give True to take text as it stands, or False")


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
class GenerationResult:
    """One answer and what it cost.

    ``text`` and ``token_ids`` end before the first end token (``Model.end_tokens``);
    ``finish_reason`` is ``"stop"`` if there was one, ``"length"`` if not. Where it is ``"cancelled"``, they
    are what stood before the first mask. ``text`` is empty where the checkpoint has no tokenizer. ``nfe``
    counts the forward passes of this row. ``arrived``, ``admitted`` and ``finished`` are the row's own clock,
    in seconds of ``time.perf_counter``: when it was submitted, first took part, and ended; a row that was
    cancelled while it waited was admitted when it ended. ``parameters`` are the effective values.
    ``warnings`` are what the algorithm tells of this answer.
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
        }
