"""A loaded network with its tokenizer, and what they imply: where an answer ends, what fits, what ids say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llada_core.errors import TokenizerMissing
from llada_core.generation.prompts import NO_VARIABLES, Limits, Prompt, encode_prompt, holds_ids, why_unread

__all__ = ["Model"]

_TURN_END = "<|eot_id|>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A network and its tokenizer, None where the folder has none; ``path`` is what was asked for.

    ``end_ids`` end an answer. ``pad_id`` fills the left of short rows: the tokenizer's, else an end id.
    """

    path: str
    network: Any
    tokenizer: Any
    end_ids: frozenset[int]
    pad_id: int
    limits: Limits

    @classmethod
    def of(cls, network: Any, tokenizer: Any = None, *, path: str = "the model") -> Model:
        """The checkpoint of a network with a ``transformers`` config (or None) and a tokenizer (or None)."""
        config = getattr(network, "config", None)
        eos = getattr(config, "eos_token_id", None)
        if eos is None:
            eos = getattr(tokenizer, "eos_token_id", None)
        ends = [*_ids(eos), *_turn_end(tokenizer)]
        pad = getattr(tokenizer, "pad_token_id", None)
        return cls(
            path=path,
            network=network,
            tokenizer=tokenizer,
            end_ids=frozenset(ends),
            pad_id=pad if pad is not None else next(iter(ends), 0),
            limits=Limits.of(config),
        )

    def encode(
        self, prompt: Prompt, *, raw: bool = False, variables: Mapping[str, object] = NO_VARIABLES
    ) -> list[int]:
        """The ids of text, messages or ids; ``variables`` are those of the chat template.

        Raises ``TokenizerMissing`` and ``PromptError``.
        """
        if holds_ids(prompt):
            return list(prompt)
        return encode_prompt(self._tokenizer("encoded"), prompt, raw=raw, variables=variables)

    def unread(self, prompt: Prompt, names: Iterable[str], *, raw: bool = False) -> dict[str, str]:
        """Those of ``names`` that no chat template reads when ``encode`` writes the prompt, and why.

        Raises ``TokenizerMissing`` for a prompt that needs a tokenizer.
        """
        tokenizer = None if holds_ids(prompt) else self._tokenizer("encoded")
        reasons = {name: why_unread(tokenizer, prompt, name, raw=raw) for name in names}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def decode(self, ids: Sequence[int]) -> str:
        """The text of an answer up to its first end id. Raises ``TokenizerMissing``."""
        tokenizer = self._tokenizer("decoded")
        kept, _ = self.cut(ids)
        # Clean-up would rewrite spaces before punctuation, which the model wrote on purpose.
        text: str = tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    def cut(self, ids: Sequence[int]) -> tuple[tuple[int, ...], bool]:
        """``ids`` before the first end id, and whether there was one."""
        for position, token in enumerate(ids):
            if token in self.end_ids:
                return tuple(ids[:position]), True
        return tuple(ids), False

    def through_end(self, ids: Sequence[int]) -> tuple[int, ...]:
        """``ids`` up to and with the first end id; all of them where there is none."""
        kept, stopped = self.cut(ids)
        return tuple(ids[: len(kept) + stopped])

    def _tokenizer(self, verb: str) -> Any:
        if self.tokenizer is None:
            raise TokenizerMissing(
                f"{self.path} has no tokenizer, so text cannot be {verb}; give token ids, "
                "or add tokenizer.json and tokenizer_config.json to its folder",
                path=self.path,
            )
        return self.tokenizer


def _turn_end(tokenizer: Any) -> list[int]:
    if tokenizer is None:
        return []
    found = tokenizer.convert_tokens_to_ids(_TURN_END)
    # An unknown token maps to the id of the unknown token, or to None.
    known = found is not None and tokenizer.convert_ids_to_tokens(found) == _TURN_END
    return [found] if known else []


def _ids(value: int | Iterable[int] | None) -> list[int]:
    if value is None:
        return []
    return [value] if isinstance(value, int) else list(value)
