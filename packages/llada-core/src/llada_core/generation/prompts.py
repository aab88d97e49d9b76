"""What a prompt is, and what makes one impossible to decode.

``kinds`` makes ids, text or messages of what callers give, ``encoding`` ids of text. Knows nothing of
networks, but for what their configs say of limits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

from llada_core.errors import ParameterError, PromptError

__all__ = [
    "EMPTY",
    "AnyPrompts",
    "IdArray",
    "Limits",
    "Message",
    "Prompt",
    "Prompts",
    "check_length",
    "check_prompt",
    "check_vocabulary",
]

EMPTY = "the prompt is empty; write what is to be answered"


class IdArray(Protocol):
    """A tensor or array of integers: ``[P]`` is one prompt, ``[B, P]`` several."""

    @property
    def dtype(self) -> Any: ...
    @property
    def shape(self) -> Any: ...
    def tolist(self) -> Any: ...


Message: TypeAlias = Mapping[str, Any]
Prompt: TypeAlias = str | Sequence[Message] | Sequence[int]
Prompts: TypeAlias = list[str] | Sequence[Sequence[Message]] | Sequence[Sequence[int]]
AnyPrompts: TypeAlias = Prompt | Prompts | IdArray | Mapping[str, Any] | Iterable[Any]
"""One prompt or several, by any of the kinds that are read: what it is shows when it is looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a network can take: None where its config does not say."""

    max_length: int | None = None
    vocab_size: int | None = None
    mask_id: int | None = None

    def within(self, length: int | None) -> Limits:
        """The same with at most so many tokens of prompt and answer together; None is no further bound."""
        known = [each for each in (self.max_length, length) if each is not None]
        return replace(self, max_length=min(known, default=None))

    @classmethod
    def of(cls, config: object) -> Limits:
        """What a network's config says, under the names that ``transformers`` or LLaDA give it."""
        return cls(
            max_length=_first(config, "max_sequence_length", "max_position_embeddings"),
            vocab_size=_first(config, "vocab_size", "embedding_size"),
            mask_id=_first(config, "mask_token_id"),
        )


def _first(config: object, *names: str) -> int | None:
    """The first of the fields that the config has."""
    found = (getattr(config, name, None) for name in names)
    return next((value for value in found if value is not None), None)


def check_prompt(ids: Sequence[int], limits: Limits, *, gen_length: int | None) -> None:
    """Refuse ``ids`` after which a network of these limits cannot decode ``gen_length`` tokens.

    Raises ``PromptError`` for a prompt that is empty, out of the vocabulary, too long or holds the mask
    token, and ``ParameterError`` where the prompt fits but the answer does not.
    """
    if not ids:
        raise PromptError(EMPTY)
    check_vocabulary(ids, limits.vocab_size)
    if limits.mask_id is not None and limits.mask_id in ids:
        position = list(ids).index(limits.mask_id)
        raise PromptError(
            f"the prompt holds the mask token (id {limits.mask_id}) at position {position}; remove it: "
            "masks stand only where the answer is written"
        )
    if limits.max_length is not None:
        check_length(len(ids), gen_length, limits.max_length)


def check_vocabulary(
    ids: Sequence[int], vocab_size: int | None, tokenizer: Any = None, *, what: str = "the prompt"
) -> None:
    """Refuse ids that are none of the vocabulary (None: of any size).

    ``tokenizer`` is the one that made them of text, if one did; ``what`` they are is for the message. Raises
    ``PromptError``.
    """
    for position, token in enumerate(ids):
        if not isinstance(token, int) or isinstance(token, bool):
            raise PromptError(f"position {position} of {what} is {token!r}; give token ids as integers")
        if token < 0 or (vocab_size is not None and token >= vocab_size):
            upper = "" if vocab_size is None else f" to {vocab_size - 1}"
            name = "" if tokenizer is None else f" ({tokenizer.convert_ids_to_tokens(token)!r})"
            remedy = f"give ids from 0{upper}"
            if tokenizer is not None:
                remedy = f"its ids are 0{upper}, and the tokenizer has more: leave that token out of {what}"
            where = f"id {token}{name} at position {position} of {what}"
            raise PromptError(f"{where} is out of the vocabulary; {remedy}")


def check_length(prompt: int, gen_length: int | None, limit: int) -> None:
    """Refuse an answer of ``gen_length`` (None: of any length) after a prompt of so many tokens where
    ``limit`` are taken in all. Raises ``PromptError`` and ``ParameterError``."""
    room = limit - prompt
    if room < 1:
        raise PromptError(
            f"the prompt has {prompt} tokens and the model takes {limit}, answer included; shorten the prompt"
        )
    if gen_length is not None and gen_length > room:
        raise ParameterError(
            f"gen_length {gen_length} after a prompt of {prompt} tokens exceeds the {limit} tokens that the "
            f"model takes; give a gen_length (max_tokens) of at most {room}, or shorten the prompt",
            parameter="gen_length",
            value=gen_length,
        )
