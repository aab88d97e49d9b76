"""The chat template of a tokenizer: which is in use, a conversation written by it, and what is wrong with it.

Works on any tokenizer with the interface of ``transformers``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from llada_core.errors import ModelError, PromptError
from llada_core.faults import one_line

__all__ = ["NO_VARIABLES", "render", "template_of", "templates_of"]

NO_VARIABLES: Mapping[str, object] = MappingProxyType({})
_PLAIN = "or give the prompt as text with raw=True"
_CORRECT = f"correct chat_template.jinja in its folder, {_PLAIN}"
_IN_USE = "lm.model.tokenizer.chat_template"


def template_of(tokenizer: Any, *, path: str = "the model") -> str | None:
    """The text of the template in use: the only one, or the one called ``default``; None where there is none.

    Raises ``ModelError`` where there are several and none of that name, or what is there is no text.
    """
    held = getattr(tokenizer, "chat_template", None)
    if not held:
        return None
    if isinstance(held, Mapping) and "default" not in held:
        names = ", ".join(map(str, sorted(held)))
        raise ModelError(
            f"{path} has chat templates by name ({names}) and none called default; choose one by "
            f"{_IN_USE} = {_IN_USE}[{min(held)!r}], {_PLAIN}",
            path=path,
        )
    template = held["default"] if isinstance(held, Mapping) else held
    if not isinstance(template, str):
        kind = type(template).__name__
        raise ModelError(
            f"the chat template of {path} is of the type {kind}, not text; {_CORRECT}", path=path
        )
    return template


def templates_of(tokenizer: Any) -> tuple[str, ...]:
    """All templates that a tokenizer holds, whichever is in use."""
    held = getattr(tokenizer, "chat_template", None)
    listed = held.values() if isinstance(held, Mapping) else [held]
    return tuple(template for template in listed if isinstance(template, str) and template)


def render(
    tokenizer: Any,
    messages: Sequence[Mapping[str, Any]],
    variables: Mapping[str, object] = NO_VARIABLES,
    *,
    path: str = "the model",
    template: str | None = None,
    answer_follows: bool = True,
) -> str:
    """The conversation as text, by ``template`` or the one in use, opened for an answer where one follows.

    ``variables`` are handed to the template, but for those that are None. Raises ``PromptError`` for what the
    template itself refuses, and ``ModelError`` for a template that cannot be used.
    """
    chosen = template_of(tokenizer, path=path) if template is None else template
    given = {name: value for name, value in variables.items() if value is not None}
    try:
        text: str = tokenizer.apply_chat_template(
            [dict(message) for message in messages],
            chat_template=chosen,
            add_generation_prompt=answer_follows,
            tokenize=False,
            **given,
        )
    except Exception as exc:  # a template is a program, and its filters may raise anything
        raise _failure(exc, path) from exc
    if not text:
        raise ModelError(
            f"the chat template of {path} writes nothing for these messages; {_CORRECT}", path=path
        )
    return text


def _failure(exc: Exception, path: str) -> PromptError | ModelError:
    """What the caller is told of an error in a template, by whose fault it is."""
    kinds = [kind.__name__ for kind in type(exc).__mro__ if kind.__module__.partition(".")[0] == "jinja2"]
    if kinds[:1] == ["TemplateError"]:  # what raise_exception in a template raises; faults are of kinds below
        return PromptError(f"the chat template refuses these messages: {exc}; rearrange them")
    if "TemplateSyntaxError" in kinds:
        said = f"has a syntax error in line {getattr(exc, 'lineno', '?')} ({exc})"
    elif "UndefinedError" in kinds:
        said = f"needs what neither the messages nor a variable give ({exc})"
    else:
        said = f"fails on these messages ({one_line(exc)})"
    return ModelError(f"the chat template of {path} {said}; {_CORRECT}", path=path)
