"""Which tokens end an answer: all that the parts of a checkpoint declare, each with its source.

Four parts may declare one: ``config.json``, ``generation_config.json``, the tokenizer's ``eos_token``, and
the chat template, by the special token that it writes right behind what the assistant said.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llada_core.checkpoints.chat_template import render, templates_of
from llada_core.checkpoints.config import read_fields
from llada_core.checkpoints.hub import resolve_model
from llada_core.checkpoints.tokenizer import load_tokenizer
from llada_core.errors import CheckpointError, LladaError, ModelLoadError

__all__ = [
    "Declared",
    "EndToken",
    "EndTokenWarning",
    "declared_before",
    "declared_by_files",
    "declared_by_network",
    "declared_by_tokenizer",
    "end_tokens",
    "end_tokens_of",
    "vocabulary_of",
]

TOKENIZER, CHAT_TEMPLATE = "the tokenizer's eos_token", "the chat template"
_FILES = ("config.json", "generation_config.json")

Declared = tuple[str, int]
"""A source, and an id that it declares."""

_SAID = ("saidfirst", "saidlast")
_TURNS = tuple(({"role": "user", "content": "ask"}, {"role": "assistant", "content": said}) for said in _SAID)
# Some templates end the last turn in another way than others; some take no more than one.
_CONVERSATIONS = ((*_TURNS[0], *_TURNS[1]), _TURNS[1])


class EndTokenWarning(UserWarning):
    """An answer may not end where one would expect: an end token is ignored, or there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndToken:
    """A token that ends an answer; ``text`` is None where there is no tokenizer that knows it."""

    id: int
    text: str | None
    sources: tuple[str, ...]

    def __str__(self) -> str:
        name = str(self.id) if self.text is None else f"{self.text} (id {self.id})"
        return f"{name}, by {' and '.join(self.sources)}"

    @property
    def by_tokenizer(self) -> bool:
        """Whether the tokenizer or its chat template declares it."""
        return not {TOKENIZER, CHAT_TEMPLATE}.isdisjoint(self.sources)

    def as_dict(self) -> dict[str, Any]:
        """The token as ``llada doctor --json`` prints it."""
        return {"id": self.id, "text": self.text, "sources": list(self.sources)}


def end_tokens(
    declared: Iterable[Declared], tokenizer: Any, *, vocabulary: int | None, mask_id: int | None
) -> tuple[EndToken, ...]:
    """The tokens that are ``declared``, each once, in the order of their declaration.

    An id that the network can never write, out of its ``vocabulary`` or its mask, is left out, with the
    warning ``EndTokenWarning``.
    """
    sources: dict[int, list[str]] = {}
    for source, token in declared:
        if token < 0 or token == mask_id or (vocabulary is not None and token >= vocabulary):
            _warn_of(source, token, vocabulary, mask_id)
        elif source not in sources.setdefault(token, []):
            sources[token].append(source)
    return tuple(
        EndToken(id=token, text=_text(tokenizer, token), sources=tuple(named))
        for token, named in sources.items()
    )


def declared_by_files(folder: Path) -> Iterator[Declared]:
    """What ``config.json`` and ``generation_config.json`` declare. Raises ``ModelLoadError``."""
    for name in _FILES:
        if not (folder / name).is_file():
            continue
        try:
            fields = read_fields(folder, name)
        except CheckpointError as exc:
            raise _refusal(folder, str(exc)) from exc
        ids = _ids(fields.get("eos_token_id"))
        if ids is None:
            given = fields["eos_token_id"]
            said = f"eos_token_id = {given!r} is neither an id nor a list of ids; correct it, or leave it out"
            raise _refusal(folder, f"{name}: {said}")
        yield from ((name, token) for token in ids)


def end_tokens_of(
    path_or_id: str, fields: Mapping[str, Any], *, revision: str | None = None
) -> tuple[EndToken, ...]:
    """The end tokens of a checkpoint that is not loaded; ``fields`` are those of its ``config.json``.

    Of a hub id, settings and tokenizer are fetched. Raises ``ModelError``.
    """
    folder = resolve_model(path_or_id, revision=revision, weights=False)
    tokenizer = load_tokenizer(folder)
    return end_tokens(
        [*declared_by_files(folder), *declared_by_tokenizer(tokenizer)],
        tokenizer,
        vocabulary=vocabulary_of(fields.get),
        mask_id=fields.get("mask_token_id"),
    )


def vocabulary_of(field: Callable[[str, None], Any]) -> int | None:
    """How many ids a network has, where its config, of which this tells a ``field``, says so.

    LLaDA's ``embedding_size`` is padded beyond its ``vocab_size``.
    """
    sizes = [field(name, None) for name in ("vocab_size", "embedding_size")]
    return max((size for size in sizes if type(size) is int), default=None)


def declared_by_network(network: Any) -> Iterator[Declared]:
    """What the configs of a network in memory declare, whatever folder it came from."""
    for holder in ("config", "generation_config"):
        config = getattr(network, holder, None)
        ids = getattr(config, "eos_ids", None)  # the runtime's word
        for token in _ids(getattr(config, "eos_token_id", None) if ids is None else ids) or ():
            yield f"the network's {holder}", token


def declared_before(ends: Iterable[EndToken]) -> Iterator[Declared]:
    """What ``ends`` were made of."""
    yield from ((source, end.id) for end in ends for source in end.sources)


def _ids(value: object) -> tuple[int, ...] | None:
    """The ids in a field that may hold none, one or several; None where it holds something else."""
    listed: list[Any] = list(value) if isinstance(value, list | tuple) else [] if value is None else [value]
    return tuple(listed) if all(type(each) is int for each in listed) else None


def declared_by_tokenizer(tokenizer: Any) -> Iterator[Declared]:
    """What the tokenizer and its chat template declare; nothing where there is no tokenizer."""
    token = getattr(tokenizer, "eos_token_id", None)
    if token is not None:
        yield TOKENIZER, token
    yield from ((CHAT_TEMPLATE, token) for token in _ends_of_turns(tokenizer))


def _ends_of_turns(tokenizer: Any) -> Iterator[int]:
    """The special tokens that the chat templates write right behind what the assistant said."""
    special = _special_tokens(tokenizer)
    for template in templates_of(tokenizer):
        text = _rendered(tokenizer, template)
        for said in _SAID:
            behind = text.rpartition(said)[2].lstrip() if said in text else ""
            names = [name for name in special if behind.startswith(name)]
            if names:
                yield special[max(names, key=len)]


def _rendered(tokenizer: Any, template: str) -> str:
    """A conversation as the template writes it; empty where it takes none, which is told when one is to be
    written."""
    for conversation in _CONVERSATIONS:
        with contextlib.suppress(LladaError):
            return render(tokenizer, conversation, template=template, answer_follows=False)
    return ""


def _special_tokens(tokenizer: Any) -> dict[str, int]:
    added = getattr(tokenizer, "added_tokens_decoder", {})
    special = {str(token): number for number, token in added.items() if getattr(token, "special", False)}
    named = list(getattr(tokenizer, "all_special_tokens", ()))
    return special | (dict(zip(named, tokenizer.convert_tokens_to_ids(named), strict=True)) if named else {})


def _text(tokenizer: Any, token: int) -> str | None:
    convert = getattr(tokenizer, "convert_ids_to_tokens", None)
    try:
        text = None if convert is None else convert(token)
    except Exception:  # some raise for an id that they do not know, each its own
        return None
    return text if isinstance(text, str) else None


def _warn_of(source: str, token: int, vocabulary: int | None, mask_id: int | None) -> None:
    if token == mask_id:
        reason = "is its mask token"
    else:
        reason = f"is none of its ids{'' if vocabulary is None else f' 0 to {vocabulary - 1}'}"
    message = (
        f"an end token of the model is ignored: {source} says {token}, which {reason}; check that the file "
        "belongs to this model"
    )
    warnings.warn(message, EndTokenWarning, stacklevel=2)


def _refusal(folder: Path, reason: str) -> ModelLoadError:
    return ModelLoadError(f"{folder}: {reason}", path=str(folder), reason=reason)
