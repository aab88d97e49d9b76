"""The tokenizer of the tiny models: a token a character, Qwen3's marks of turns, and no BOS."""

from __future__ import annotations

import json
import string
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models

__all__ = ["END_OF_TEXT", "IM_END", "MASK", "VOCABULARY", "write_tokenizer"]

END_OF_TEXT, IM_START, IM_END, THINK, END_THINK, MASK = 8, 9, 10, 11, 12, 125
VOCABULARY = 128

_NAMED = {
    END_OF_TEXT: "<|endoftext|>",
    IM_START: "<|im_start|>",
    IM_END: "<|im_end|>",
    THINK: "<think>",
    END_THINK: "</think>",
    MASK: "<|MASK|>",
}
_CHARACTERS = " \n" + string.ascii_letters + string.digits + string.punctuation + "äöüßéèêàçñåøæœíóúâîôûÄÖÜÉÇ"
_CHAT_TEMPLATE = """\
{%- for turn in messages %}
{{- '<|im_start|>' ~ turn.role ~ '\\n' ~ turn.content ~ '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{%- if enable_thinking is defined and enable_thinking is false %}
{{- '<think>\\n\\n</think>\\n\\n' }}
{%- endif %}
{%- endif %}
"""


def write_tokenizer(folder: Path) -> None:
    """``tokenizer.json`` and ``tokenizer_config.json``. The thinking tokens are added, but not special."""
    characters = iter(_CHARACTERS)
    vocabulary = {_NAMED.get(index) or next(characters): index for index in range(VOCABULARY)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    thinking = (_NAMED[THINK], _NAMED[END_THINK])
    special = [AddedToken(name, special=True) for name in _NAMED.values() if name not in thinking]
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in thinking])
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "mask_token": "<|MASK|>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
        "chat_template": _CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
