"""From a prompt to token ids, with special tokens added exactly once.

Works on any tokenizer with the interface of ``transformers``; knows nothing of networks.
"""

from __future__ import annotations

import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

from llada_core.checkpoints.chat_template import NO_VARIABLES, render, template_of
from llada_core.checkpoints.guard import raised_as
from llada_core.errors import PromptError
from llada_core.faults import one_line
from llada_core.generation.prompt_kinds import Plain, holds_ids
from llada_core.generation.prompts import EMPTY, Message
from llada_core.names import closest

__all__ = ["NO_VARIABLES", "NoChatTemplate", "encode_fixed", "encode_prompt", "why_unread"]

_HEAD = 256  # characters that show whether text begins with the BOS token
_ROLES = ("system", "developer", "user", "assistant", "tool", "function")


class NoChatTemplate(UserWarning):
    """Text is taken as it stands, because the tokenizer has no chat template."""


def encode_prompt(
    tokenizer: Any,
    prompt: str | Sequence[Message],
    *,
    raw: bool = False,
    variables: Mapping[str, object] = NO_VARIABLES,
    path: str = "the model",
    most: int | None = None,
) -> list[int]:
    """The token ids of text or messages, with special tokens added exactly once.

    Text becomes one user message of the tokenizer's chat template; ``raw``, or a tokenizer without a
    template, takes it as it stands. ``variables`` are handed to the template, but for those that are None;
    ``why_unread`` tells whether one has an effect. Raises ``PromptError`` for an empty prompt, malformed
    messages, text that is none, and messages that no template takes; and ``ModelError`` for a template that
    cannot be used. Text whose beginning has far more than ``most`` tokens already is refused without encoding
    the rest, which may take seconds.
    """
    if isinstance(prompt, str):
        _check_text(prompt, "the prompt")
        if raw or template_of(tokenizer, path=path) is None:
            return _encode_text(tokenizer, prompt, most)
        prompt = [{"role": "user", "content": prompt}]
    elif raw:
        raise PromptError("messages need the chat template; leave raw out, or give the prompt as text")
    template = template_of(tokenizer, path=path)
    _check_messages(prompt, template or "")
    if template is None:
        raise PromptError("this model's tokenizer has no chat template; give the prompt as text")
    text = render(tokenizer, prompt, variables, path=path)
    _check_text(text, "the prompt, as the chat template writes it,")
    _check_beginning(tokenizer, text, most, "the prompt")
    return _ids(tokenizer, text, add_special_tokens=False)


def encode_fixed(
    tokenizer: Any, text: str, *, most: int | None = None, where: str = "the template"
) -> list[int]:
    """The token ids of a part of a text, without special tokens; ``most`` as of ``encode_prompt``, and
    ``where`` it stands, for errors. Raises ``PromptError``."""
    _check_text(text, where)
    _check_beginning(tokenizer, text, most, "a text of the template" if where == "the template" else where)
    return _ids(tokenizer, text, add_special_tokens=False)


def why_unread(tokenizer: Any, prompt: Plain, name: str, *, raw: bool) -> str | None:
    """Why no chat template reads the variable ``name`` for this prompt, with the remedy; None where one does.

    ``tokenizer`` may be None where the prompt is ids. Raises ``ModelError`` for a template that cannot be
    used.
    """
    if holds_ids(prompt):
        return f"the prompt is token ids; give text or messages, or leave {name} out"
    if raw:
        return f"raw leaves the chat template out; give only one of raw and {name}"
    template = template_of(tokenizer)
    if template is None:
        return f"this model's tokenizer has no chat template; leave {name} out"
    if not re.search(rf"\b{name}\b", template):
        return f"this model's chat template does not use it; leave {name} out"
    return None


def _encode_text(tokenizer: Any, text: str, most: int | None) -> list[int]:
    if not text:
        return []
    _check_beginning(tokenizer, text, most, "the prompt")
    head = _ids(tokenizer, text[:_HEAD], add_special_tokens=False)
    has_bos = bool(head) and head[0] == tokenizer.bos_token_id
    return _ids(tokenizer, text, add_special_tokens=not has_bos)


def _check_beginning(tokenizer: Any, text: str, most: int | None, where: str) -> None:
    """Refuse text whose beginning has so many tokens that all of it has more than ``most``.

    Where a text is cut, the tokens around the cut are others than in the whole, and there may be some more
    of them; twice as many there are not. The beginning doubles until it is the whole, so that text of few
    tokens, as a run of blanks, is taken however many characters it has.
    """
    if most is None:
        return
    size = 8 * (most + _HEAD)
    while size < len(text):
        if len(_ids(tokenizer, text[:size], add_special_tokens=False)) > 2 * (most + _HEAD):
            raise PromptError(
                f"{where} has more than {most} tokens and the model takes {most}, answer included; shorten it"
            )
        size *= 2


def _ids(tokenizer: Any, text: str, *, add_special_tokens: bool) -> list[int]:
    with raised_as(_not_encoded):
        # Without verbose=False it says of a long text what it would do to a model.
        found = tokenizer(text, add_special_tokens=add_special_tokens, verbose=False)["input_ids"]
    return cast("list[int]", found)


def _not_encoded(exc: BaseException) -> PromptError:
    return PromptError(
        f"the tokenizer cannot encode this prompt ({one_line(exc)}); "
        "give other text, token ids, or another tokenizer"
    )


def _check_text(text: str, where: str) -> None:
    """Refuse text that holds half a character: a surrogate, which no encoding of text has."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as exc:
        code = ord(text[exc.start])
        raise PromptError(
            f"{where} is no text at position {exc.start}: a lone surrogate stands there (U+{code:04X}), as "
            "cut emoji and bytes of another encoding leave it; decode the text anew, or take it out"
        ) from exc


def _check_messages(messages: Sequence[Message], template: str) -> None:
    for number, message in enumerate(messages):
        fields = [message.get("role"), message.get("content")] if isinstance(message, Mapping) else [None]
        if not all(isinstance(text, str) for text in fields):
            shown = reprlib.repr(message)
            raise PromptError(f"a message needs a role and a content, both text, not {shown}")
        _check_role(message["role"], template)
        _check_text(message["content"], f"the content of message {number}")
    if not any(message["content"].strip() for message in messages):
        raise PromptError(EMPTY)


def _check_role(role: str, template: str) -> None:
    """Refuse a role that is none of chats and that the template does not name either."""
    if role in _ROLES or (role and re.search(rf"\b{re.escape(role)}\b", template)):
        return
    meant = closest(role, _ROLES, limit=1)
    remedy = f"did you mean {meant[0]!r}?" if meant else f"give one of {', '.join(_ROLES)}"
    raise PromptError(f"the role {role!r} is unknown, and the chat template does not name it; {remedy}")
