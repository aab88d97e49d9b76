"""From a prompt to token ids, and what makes a prompt impossible to decode.

Works on any tokenizer with the interface of ``transformers``; knows nothing of networks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from llada_core.errors import ParameterError, PromptError
from llada_core.imports import load_target

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = [
    "NO_VARIABLES",
    "Limits",
    "Message",
    "Prompt",
    "Prompts",
    "check_prompt",
    "encode_prompt",
    "holds_ids",
    "is_batch",
    "why_unread",
]

Message: TypeAlias = Mapping[str, Any]
Prompt: TypeAlias = str | Sequence[Message] | Sequence[int]
Prompts: TypeAlias = list[str] | Sequence[Sequence[Message]] | Sequence[Sequence[int]]

NO_VARIABLES: Mapping[str, object] = MappingProxyType({})
_EMPTY = "the prompt is empty; write what is to be answered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a network can take: None where its config does not say."""

    max_length: int | None = None
    vocab_size: int | None = None
    mask_id: int | None = None

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


def is_batch(prompt: Prompt | Prompts) -> bool:
    """Whether this is a list of prompts, and not one prompt of messages or ids."""
    return not isinstance(prompt, str) and bool(prompt) and isinstance(prompt[0], str | list | tuple)


def holds_ids(prompt: Prompt) -> TypeIs[Sequence[int]]:
    """Whether this prompt consists of token ids; an empty sequence does."""
    return not isinstance(prompt, str) and all(isinstance(part, int) for part in prompt)


def encode_prompt(
    tokenizer: Any,
    prompt: str | Sequence[Message],
    *,
    raw: bool = False,
    variables: Mapping[str, object] = NO_VARIABLES,
) -> list[int]:
    """The token ids of text or messages, with special tokens added exactly once.

    Text becomes one user message of the tokenizer's chat template; ``raw``, or a tokenizer without a
    template, takes it as it stands. ``variables`` are handed to the template, but for those that are None;
    ``why_unread`` tells whether one has an effect. Raises ``PromptError`` for an empty prompt,
    malformed messages, and messages that no template takes.
    """
    if isinstance(prompt, str):
        if raw or not tokenizer.chat_template:
            return _encode_text(tokenizer, prompt)
        prompt = [{"role": "user", "content": prompt}]
    elif raw:
        raise PromptError("messages need the chat template; leave raw out, or give the prompt as text")
    _check_messages(prompt)
    if not tokenizer.chat_template:
        raise PromptError("this model's tokenizer has no chat template; give the prompt as text")
    return _encode_messages(tokenizer, prompt, variables)


def why_unread(tokenizer: Any, prompt: Prompt, name: str, *, raw: bool) -> str | None:
    """Why no chat template reads the variable ``name`` for this prompt, with the remedy; None where one does.

    ``tokenizer`` may be None where the prompt is ids.
    """
    if holds_ids(prompt):
        return f"the prompt is token ids; give text or messages, or leave {name} out"
    if raw:
        return f"raw leaves the chat template out; give only one of raw and {name}"
    if not tokenizer.chat_template:
        return f"this model's tokenizer has no chat template; leave {name} out"
    if not re.search(rf"\b{name}\b", _template(tokenizer)):
        return f"this model's chat template does not use it; leave {name} out"
    return None


def _template(tokenizer: Any) -> str:
    """The text of the template in use; a tokenizer may hold several by name."""
    template = tokenizer.chat_template
    return template if isinstance(template, str) else str(tokenizer.get_chat_template())


def _encode_text(tokenizer: Any, text: str) -> list[int]:
    plain = _ids(tokenizer, text, add_special_tokens=False)
    if plain and plain[0] == tokenizer.bos_token_id:
        return plain
    return _ids(tokenizer, text, add_special_tokens=True) if text else []


def _encode_messages(
    tokenizer: Any, messages: Sequence[Message], variables: Mapping[str, object]
) -> list[int]:
    conversation = [dict(message) for message in messages]
    given = {name: value for name, value in variables.items() if value is not None}
    try:
        text = tokenizer.apply_chat_template(
            conversation, add_generation_prompt=True, tokenize=False, **given
        )
    except load_target("jinja2:TemplateError") as exc:
        raise PromptError(f"the chat template refuses these messages: {exc}; rearrange them") from exc
    return _ids(tokenizer, text, add_special_tokens=False)


def _ids(tokenizer: Any, text: str, *, add_special_tokens: bool) -> list[int]:
    return cast("list[int]", tokenizer(text, add_special_tokens=add_special_tokens)["input_ids"])


def _check_messages(messages: Sequence[Message]) -> None:
    for message in messages:
        fields = [message.get("role"), message.get("content")] if isinstance(message, Mapping) else [None]
        if not all(isinstance(text, str) for text in fields):
            raise PromptError(f"a message needs a role and a content, both text, not {message!r}")
    if not any(message["content"].strip() for message in messages):
        raise PromptError(_EMPTY)


def check_prompt(ids: Sequence[int], limits: Limits, *, gen_length: int | None) -> None:
    """Refuse ``ids`` after which a network of these limits cannot decode ``gen_length`` tokens.

    Raises ``PromptError`` for a prompt that is empty, out of the vocabulary, too long or holds the mask
    token, and ``ParameterError`` where the prompt fits but the answer does not.
    """
    if not ids:
        raise PromptError(_EMPTY)
    _check_vocabulary(ids, limits.vocab_size)
    if limits.mask_id is not None and limits.mask_id in ids:
        position = list(ids).index(limits.mask_id)
        raise PromptError(
            f"the prompt holds the mask token (id {limits.mask_id}) at position {position}; remove it: "
            "masks stand only where the answer is written"
        )
    if limits.max_length is not None:
        _check_length(len(ids), gen_length, limits.max_length)


def _check_vocabulary(ids: Sequence[int], vocab_size: int | None) -> None:
    for position, token in enumerate(ids):
        if not isinstance(token, int) or isinstance(token, bool):
            raise PromptError(f"position {position} of the prompt is {token!r}; give token ids as integers")
        if token < 0 or (vocab_size is not None and token >= vocab_size):
            upper = "" if vocab_size is None else f" to {vocab_size - 1}"
            where = f"id {token} at position {position} of the prompt"
            raise PromptError(f"{where} is out of the vocabulary; give ids from 0{upper}")


def _check_length(prompt: int, gen_length: int | None, limit: int) -> None:
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
