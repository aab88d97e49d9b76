"""A tiny Dream checkpoint with a tokenizer, written anew for each test that wants one.

The weights are one of the golden models' own, so that decoding is eventful; the tokenizer has a token a
character, the ids and names of Dream's special tokens but for their size, and its chat template.
"""

from __future__ import annotations

import json
import shutil
import string
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models

from tests.dream.dream_data import GOLDENS

__all__ = ["EOS", "IM_END", "MASK", "write_model", "write_tokenizer"]

EOS, MASK = 261, 266
IM_START, IM_END, BOS = 262, 263, 264
_VOCABULARY = 272
_NAMED = {
    EOS: "<|endoftext|>",
    IM_START: "<|im_start|>",
    IM_END: "<|im_end|>",
    BOS: "<|beginoftext|>",
    MASK: "<|mask|>",
}
_CHARACTERS = " \n" + string.ascii_letters + string.digits + string.punctuation
_CHAT_TEMPLATE = """\
{%- if messages[0].role != 'system' %}
{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for turn in messages %}
{{- '<|im_start|>' ~ turn.role ~ '\\n' ~ turn.content ~ '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}
"""


def write_model(folder: Path, *, tokenizer: bool = True, **changes: Any) -> Path:
    """``folder`` with the checkpoint; fields of config.json are replaced or added by ``changes``, and one
    given as ``...`` is left out."""
    folder.mkdir(parents=True, exist_ok=True)
    source = GOLDENS / "models" / "dream-80"
    fields = {**json.loads((source / "config.json").read_text()), **changes}
    kept = {name: value for name, value in fields.items() if value is not ...}
    (folder / "config.json").write_text(json.dumps(kept, indent=2))
    shutil.copy(source / "model.safetensors", folder)
    if tokenizer:
        write_tokenizer(folder)
    return folder


def write_tokenizer(folder: Path) -> None:
    """``tokenizer.json`` and ``tokenizer_config.json``; ids that are no character and no name are words."""
    characters = dict(enumerate(_CHARACTERS))
    words = {_NAMED.get(index) or characters.get(index) or f"w{index}": index for index in range(_VOCABULARY)}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[], unk_token=_NAMED[EOS]))
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in _NAMED.values()])
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": _NAMED[BOS],
        "eos_token": _NAMED[EOS],
        "pad_token": _NAMED[EOS],
        "mask_token": _NAMED[MASK],
        "clean_up_tokenization_spaces": False,
        "model_max_length": 4096,
        "chat_template": _CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
