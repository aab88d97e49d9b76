"""A loaded network with its tokenizer, and what they imply: where an answer ends, what fits, what ids say."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from llada_core.checkpoints.chat_template import NO_VARIABLES, template_of
from llada_core.checkpoints.ends import (
    Declared,
    EndToken,
    EndTokenWarning,
    declared_before,
    declared_by_files,
    declared_by_network,
    declared_by_tokenizer,
    end_tokens,
    vocabulary_of,
)
from llada_core.checkpoints.guard import raised_as
from llada_core.errors import ModelError, ParameterError, PromptError, TokenizerMissing
from llada_core.faults import one_line
from llada_core.generation.encoding import NoChatTemplate, encode_fixed, encode_prompt, why_unread
from llada_core.generation.executions import Executions
from llada_core.generation.prompt_kinds import holds_ids, one_prompt
from llada_core.generation.prompts import IdArray, Limits, Prompt, check_vocabulary
from llada_core.generation.templates import Cloze, Template, cloze_of

__all__ = ["Model", "note_end_tokens"]

_ADD = "add eos_token_id to its generation_config.json"
_LET = "let its class have attributes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A network and its tokenizer, None where the folder has none; ``path`` is what was asked for.

    ``end_tokens`` end an answer: all that the checkpoint declares. ``pad_id`` fills the left of short rows:
    the tokenizer's, else an end id. ``executions`` are what runs requests on it, for as long as they last.
    """

    path: str
    network: Any
    tokenizer: Any
    end_tokens: tuple[EndToken, ...]
    pad_id: int
    limits: Limits
    executions: Executions = field(default_factory=Executions, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        network: Any,
        tokenizer: Any = None,
        *,
        path: str = "the model",
        executions: Executions | None = None,
    ) -> Model:
        """The checkpoint of a network with a ``transformers`` config (or None) and a tokenizer (or None).

        Its end tokens are those that were noted when it was loaded, else what its configs and ``tokenizer``
        declare. ``executions`` are those that it has already; None where nobody runs anything on it.
        """
        limits = Limits.of(getattr(network, "config", None))
        ends = _end_tokens(network, tokenizer)
        pad = getattr(tokenizer, "pad_token_id", None)
        if pad is None or (limits.vocab_size is not None and pad >= limits.vocab_size):
            pad = next((end.id for end in ends), 0)
        return cls(
            path=path,
            network=network,
            tokenizer=tokenizer,
            end_tokens=ends,
            pad_id=pad,
            limits=limits,
            executions=Executions() if executions is None else executions,
        )

    def within(self, length: int | None) -> Model:
        """The same model, taking at most so many tokens of prompt and answer together."""
        return replace(self, limits=self.limits.within(length))

    @property
    def end_ids(self) -> frozenset[int]:
        """The ids of the end tokens."""
        return frozenset(end.id for end in self.end_tokens)

    def encode(
        self, prompt: Prompt | IdArray, *, raw: bool = False, variables: Mapping[str, object] = NO_VARIABLES
    ) -> list[int]:
        """The ids of text, messages or ids; ``variables`` are those of the chat template.

        Text without a chat template is taken as it stands, with the warning ``NoChatTemplate``. Raises
        ``TokenizerMissing``, ``PromptError``, and ``ModelError`` for a chat template that cannot be used.
        """
        plain = one_prompt(prompt)
        if holds_ids(plain):
            check_vocabulary(plain, self.limits.vocab_size)
            return list(plain)
        tokenizer = self.reads_text("encoded")
        if isinstance(plain, str) and not raw and template_of(tokenizer, path=self.path) is None:
            self._warn_of_no_template()
        most = self.limits.max_length
        ids = encode_prompt(tokenizer, plain, raw=raw, variables=variables, path=self.path, most=most)
        check_vocabulary(ids, self.limits.vocab_size, tokenizer)
        return ids

    def cloze(self, template: Template, *, in_prompt: bool) -> Cloze:
        """The template as ids; with ``in_prompt``, text at its beginning is left to the prompt.

        Raises ``TokenizerMissing`` and ``PromptError``, and ``ParameterError`` for blanks of more tokens than
        the model takes.
        """
        most = self.limits.max_length
        encode = partial(encode_fixed, self.reads_text("encoded"), most=most)
        return cloze_of(template, encode, in_prompt=in_prompt, limit=most)

    def encode_before(self, cloze: Cloze) -> list[int]:
        """The ids of a prompt that is the beginning of a template: its text, or the token that begins texts.

        Raises ``PromptError`` where there is neither.
        """
        if cloze.before:
            return self.encode(cloze.before, raw=True)
        first = getattr(self.reads_text("encoded"), "bos_token_id", None)
        if first is None:
            raise PromptError(
                "the template begins with a blank, and this model's tokenizer has no token that begins "
                "texts; begin with text, or give a prompt"
            )
        return [first]

    def unread(self, prompt: Prompt | IdArray, names: Iterable[str], *, raw: bool = False) -> dict[str, str]:
        """Those of ``names`` that no chat template reads when ``encode`` writes the prompt, and why.

        Raises ``TokenizerMissing`` for a prompt that needs a tokenizer, ``PromptError`` and ``ModelError``.
        """
        plain = one_prompt(prompt)
        tokenizer = None if holds_ids(plain) else self.reads_text("encoded")
        reasons = {name: why_unread(tokenizer, plain, name, raw=raw) for name in names}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def decode(self, ids: Sequence[int]) -> str:
        """The text of an answer up to its first end id. Raises ``TokenizerMissing``, and ``ModelError`` where
        the tokenizer fails."""
        tokenizer = self.reads_text("decoded")
        kept, _ = self.cut(ids)
        with raised_as(partial(self._not_decoded, kept)):
            # Clean-up would rewrite spaces before punctuation, which the model wrote on purpose.
            text: str = tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def _not_decoded(self, ids: Sequence[int], exc: BaseException) -> ModelError:
        return ModelError(
            f"the tokenizer of {self.path} cannot decode {reprlib.repr(ids)} ({one_line(exc)}); "
            "take the tokenizer that was published with the weights, or read the token_ids",
            path=self.path,
        )

    def stops(self, texts: Sequence[str]) -> tuple[str, ...]:
        """Texts that are to end answers. Raises ``ParameterError`` where answers have no text."""
        if texts and self.tokenizer is None:
            message = "the model has no tokenizer, so no text can end its answers; leave stop out"
            raise ParameterError(message, parameter="stop", value=texts)
        return tuple(texts)

    def cut(self, ids: Sequence[int]) -> tuple[tuple[int, ...], bool]:
        """``ids`` before the first end id, and whether there was one."""
        kept = tuple(ids)
        ends = [kept.index(end) for end in self.end_ids if end in kept]
        return kept[: min(ends)] if ends else kept, bool(ends)

    def through_end(self, ids: Sequence[int]) -> tuple[int, ...]:
        """``ids`` up to and with the first end id; all of them where there is none."""
        kept, stopped = self.cut(ids)
        return tuple(ids[: len(kept) + stopped])

    def reads_text(self, verb: str) -> Any:
        """The tokenizer, by which text is to be ``verb``: encoded or decoded. Raises ``TokenizerMissing``."""
        if self.tokenizer is None:
            raise TokenizerMissing(
                f"{self.path} has no tokenizer, so text cannot be {verb}; give token ids, "
                "or add tokenizer.json and tokenizer_config.json to its folder",
                path=self.path,
            )
        return self.tokenizer

    def _warn_of_no_template(self) -> None:
        message = (
            f"{self.path} has no chat template, so text is given to the model as it stands and not as a turn "
            "of a conversation; say raw=True (--raw) if that is meant, or add chat_template.jinja to its "
            "folder"
        )
        warnings.warn(message, NoChatTemplate, stacklevel=2)


def note_end_tokens(network: Any, folder: Path, tokenizer: Any) -> None:
    """Write on a network that was just loaded, as ``end_tokens``, what its checkpoint declares.

    So every algorithm on it ends answers alike, whichever loaded it. Raises ``ModelLoadError`` for files that
    say nothing sensible. Warns with ``EndTokenWarning`` where nothing is declared, and of a network that
    takes no attribute, whose config then speaks alone.
    """
    declared = list(declared_by_files(folder))
    known = {token for _, token in declared}
    declared += [each for each in declared_by_network(network) if each[1] not in known]  # of its config class
    ends = _merged([*declared, *declared_by_tokenizer(tokenizer)], network, tokenizer)
    if not ends:
        _warn(f"{folder} declares no end token, so every answer is as long as gen_length says; {_ADD}")
    try:
        network.end_tokens = ends
    except (AttributeError, TypeError):
        kind = type(network).__name__
        _warn(f"{kind} takes no attribute end_tokens, so only its config says what ends an answer; {_LET}")


def _warn(message: str) -> None:
    warnings.warn(message, EndTokenWarning, stacklevel=3)


def _end_tokens(network: Any, tokenizer: Any) -> tuple[EndToken, ...]:
    noted: tuple[EndToken, ...] | None = getattr(network, "end_tokens", None)
    if noted is not None and (tokenizer is None or any(end.by_tokenizer for end in noted)):
        return noted
    known = declared_by_network(network) if noted is None else declared_before(noted)
    return _merged([*known, *declared_by_tokenizer(tokenizer)], network, tokenizer)


def _merged(declared: Iterable[Declared], network: Any, tokenizer: Any) -> tuple[EndToken, ...]:
    config = getattr(network, "config", None)
    return end_tokens(
        declared,
        tokenizer,
        vocabulary=vocabulary_of(partial(getattr, config)),
        mask_id=Limits.of(config).mask_id,
    )
