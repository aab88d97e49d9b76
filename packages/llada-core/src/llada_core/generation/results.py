"""What goes into a generation and what comes out of it, as facts.

Knows nothing of networks: the figures are counted by ``execution``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from llada_core.generation.prompts import Prompt

__all__ = ["Answer", "Canvas", "FinishReason", "GenerationRequest", "GenerationResult", "Step"]

FinishReason = Literal["stop", "length"]
Canvas = tuple["int | None", ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """One prompt and how it is to be decoded.

    ``prompt`` is text, chat messages or token ids; ``raw`` leaves the chat template out; ``algorithm`` None
    means the default; ``parameters`` are checked when the request is run, under canonical names or aliases.
    """

    prompt: Prompt
    algorithm: str | None = None
    raw: bool = False
    parameters: Mapping[str, object] = field(default_factory=dict)


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

    ``text`` and ``token_ids`` end before the first end token (an EOS of the config, or ``<|eot_id|>``), and
    ``finish_reason`` is ``"stop"`` if there was one, ``"length"`` otherwise. ``text`` is empty where the
    checkpoint has no tokenizer. ``nfe`` counts forward passes and ``seconds`` the wall-clock time until this
    row was finished; in a batch both may include work for its neighbours. ``parameters`` are the effective
    values. ``warnings`` are what the algorithm tells of this answer; step algorithms tell nothing.
    """

    text: str
    token_ids: tuple[int, ...]
    finish_reason: FinishReason
    prompt_tokens: int
    nfe: int
    seconds: float
    engine: str
    algorithm: str
    parameters: Mapping[str, object]
    warnings: tuple[str, ...] = ()

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
            "engine": self.engine,
            "algorithm": self.algorithm,
            "parameters": dict(self.parameters),
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one forward pass committed to one answer.

    ``index`` tells the request of a batch, ``block`` the block in work; ``positions`` are offsets into the
    answer and run parallel to ``tokens`` and ``confidence``, which is empty where the algorithm does not
    tell. ``nfe`` counts this row's forward passes so far. ``canvas`` is the whole answer after the step, None
    where a mask still stands. The last step of a row has ``finished`` True and carries its ``result``.
    """

    index: int
    block: int
    positions: tuple[int, ...]
    tokens: tuple[int, ...]
    confidence: tuple[float, ...]
    nfe: int
    finished: bool
    canvas: Canvas = field(repr=False)
    decode: Callable[[Sequence[int]], str] = field(repr=False, compare=False)
    result: GenerationResult | None = None

    @property
    def text(self) -> str:
        """The answer so far: what stands before the first mask and the first end token."""
        return self.decode(self.settled)

    @property
    def settled(self) -> tuple[int, ...]:
        """The ids of the canvas before its first mask."""
        ids: list[int] = []
        for token in self.canvas:
            if token is None:
                break
            ids.append(token)
        return tuple(ids)
