"""Text as bytes: a tokenizer with as much of the usual interface as llada-core asks for."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["END", "MASK", "VOCABULARY", "Bytes"]

END, MASK = 256, 257
VOCABULARY = 258


class Bytes:
    """Ids are the bytes of UTF-8; one more ends a text."""

    bos_token_id = None
    eos_token_id = pad_token_id = END

    def __len__(self) -> int:
        return END + 1

    def __call__(self, text: str, *, add_special_tokens: bool, verbose: bool) -> dict[str, list[int]]:
        """The ids of ``text``; there are no special tokens to be added, and nothing to be told."""
        return {"input_ids": list(text.encode("utf-8"))}

    def decode(
        self, ids: Sequence[int], *, skip_special_tokens: bool, clean_up_tokenization_spaces: bool
    ) -> str:
        """The text of ``ids``; what is no UTF-8 is shown as such. Nothing is cleaned up."""
        shown = b"" if skip_special_tokens else b"<end>"
        parts = (shown if token == END else bytes([token]) for token in ids)
        return b"".join(parts).decode("utf-8", errors="replace")

    def convert_ids_to_tokens(self, token: int) -> str:
        """How one id is called in messages."""
        return "<end>" if token == END else f"<0x{token:02X}>"
