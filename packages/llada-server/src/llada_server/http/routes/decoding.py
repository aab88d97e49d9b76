"""What chat, completions and infilling have in common: from a request to what its client is told."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llada_core.generation.results import GenerationRequest, GenerationResult
from llada_core.generation.steps import Step
from llada_core.parameters import parameters_of_row
from llada_server.http.served import Asked, Served
from llada_server.http.wire.base import DecodingRequest
from llada_server.http.wire.denoise import DenoiseFrame
from llada_server.http.wire.usage import FinishReason, Generation, Usage

__all__ = [
    "Identity",
    "Logprob",
    "asked",
    "denoise_frame",
    "finish_reason",
    "generation",
    "least",
    "logprobs",
    "repeated",
    "usage",
]

_LEAST = -9999.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What all chunks of an answer repeat."""

    id: str
    created: int
    model: str

    @classmethod
    def new(cls, prefix: str, model: str) -> Identity:
        return cls(id=f"{prefix}-{uuid.uuid4().hex}", created=int(time.time()), model=model)

    @property
    def fields(self) -> dict[str, Any]:
        """By name."""
        return {"id": self.id, "created": self.created, "model": self.model}


def asked(served: Served, body: DecodingRequest, *, prompts: int = 1) -> Asked:
    """How the ``n`` answers to each of so many prompts are wanted; refuses too many of them."""
    served.check_count(prompts * body.n)
    seed = {} if body.seed is None else {"seed": body.seed}
    return served.asked(body.chosen_algorithm, {**body.parameters, **seed})


def repeated(
    served: Served, body: DecodingRequest, how: Asked, parameters: Mapping[str, object], **fields: Any
) -> list[GenerationRequest]:
    """The ``n`` requests of one prompt; answer k draws from seed + k. ``fields`` are those of all."""
    return [served.request(how, parameters_of_row(parameters, index), **fields) for index in range(body.n)]


def usage(prompt_tokens: Sequence[int], results: Sequence[GenerationResult]) -> Usage:
    """Tokens of all prompts, each counted once, and of all answers."""
    prompts, answers = sum(prompt_tokens), sum(result.completion_tokens for result in results)
    return Usage(prompt_tokens=prompts, completion_tokens=answers, total_tokens=prompts + answers)


def generation(results: Sequence[GenerationResult]) -> Generation:
    """How the answers were decoded; of several, the sums, and the longest times."""
    first, nfe = results[0], sum(result.nfe for result in results)
    tokens = sum(result.completion_tokens for result in results)
    return Generation(
        engine=first.engine,
        algorithm=first.algorithm,
        parameters=dict(first.parameters),
        nfe=nfe,
        tokens_per_forward=tokens / nfe if nfe else 0.0,
        queue_ms=_ms(max(result.queue_seconds for result in results)),
        generate_ms=_ms(max(result.seconds for result in results)),
        warnings=list(dict.fromkeys(warning for result in results for warning in result.warnings)),
    )


def finish_reason(result: GenerationResult) -> FinishReason:
    """Why an answer ended, in OpenAI's words."""
    return "length" if result.finish_reason == "length" else "stop"


@dataclass(frozen=True, slots=True)
class Logprob:
    """A token's text and the natural log of its probability; ``likeliest`` are those in its place."""

    text: str
    value: float
    likeliest: tuple[Logprob, ...] = ()


def logprobs(served: Served, result: GenerationResult) -> list[Logprob] | None:
    """What is told of each token of the answer, as of when it was committed; None where nobody asked."""
    if result.confidence is None:
        return None
    likeliest = result.alternatives or [()] * len(result.token_ids)
    return [
        Logprob(
            served.token_text(token),
            _log(sure),
            tuple(Logprob(served.token_text(other), _log(chance)) for other, chance in others or ()),
        )
        for token, sure, others in zip(result.token_ids, result.confidence, likeliest, strict=True)
    ]


def denoise_frame(identity: Identity, index: int, step: Step, served: Served) -> DenoiseFrame:
    """What one forward changed, as a frame."""
    return DenoiseFrame(
        **identity.fields,
        index=index,
        nfe=step.nfe,
        block=step.block,
        gen_length=step.ticket.row.gen_length if step.gen_length is None else step.gen_length,
        inserted=list(step.inserted),
        positions=list(step.positions),
        tokens=list(step.tokens),
        texts=[served.token_text(token) for token in step.tokens],
        confidence=[_finite(sure) for sure in step.confidence],
        revoked=list(step.revoked),
        settled=step.settled,
    )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _log(sure: float | None) -> float:
    return least(math.log(sure) if sure else -math.inf)


def least(log: float) -> float:
    """JSON has no infinity; what is not told counts as impossible, as in OpenAI's answers."""
    return max(log, _LEAST)


def _finite(value: float) -> float:
    return value if math.isfinite(value) else 0.0
