"""The tokenizer of the tiny models: a token a character, and turns as LLaDA2's template writes them."""

from __future__ import annotations

import json
import string
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models

__all__ = ["EOS", "MASK", "ROLE_END", "VOCABULARY", "write_tokenizer"]

ROLE_END, EOS, MASK = 10, 11, 100
VOCABULARY = 128

_NAMED = {
    0: "<unk>",
    ROLE_END: "<|role_end|>",
    EOS: "<|endoftext|>",
    12: "<role>",
    13: "</role>",
    MASK: "<|mask|>",
}
_CHARACTERS = (
    " \n" + string.ascii_letters + string.digits + string.punctuation + "äöüßéèêàçñåøæœíóúâîôûÄÖÜÉÇÑÅØ"
)
_CHAT_TEMPLATE = """\
{%- for turn in messages %}
{{- '<role>' ~ ('HUMAN' if turn.role == 'user' else turn.role | upper) ~ '</role>' }}
{{- turn.content ~ '<|role_end|>' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<role>ASSISTANT</role>' }}{%- endif %}
"""


def write_tokenizer(folder: Path, *, mask: bool = True) -> None:
    """``tokenizer.json`` and ``tokenizer_config.json``, which names the mask token where ``mask`` says so."""
    characters = iter(_CHARACTERS)
    vocabulary = {_NAMED.get(index) or next(characters): index for index in range(VOCABULARY)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in _NAMED.values()])
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
        "chat_template": _CHAT_TEMPLATE,
    }
    if mask:
        settings["mask_token"] = "<|mask|>"
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
