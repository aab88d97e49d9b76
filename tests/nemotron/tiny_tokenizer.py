"""The tokenizer of the tiny models: a token a character, BOS added by itself, and no padding token."""

from __future__ import annotations

import json
import string
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, processors

BOS, IM_START, EOS, THINK, END_THINK, MASK = 1, 10, 11, 12, 13, 100
VOCABULARY = 128

_NAMED = {
    0: "<unk>",
    BOS: "<s>",
    IM_START: "<|im_start|>",
    EOS: "<|im_end|>",
    THINK: "<think>",
    END_THINK: "</think>",
    MASK: "<SPECIAL_100>",
}
_CHARACTERS = (
    " \n" + string.ascii_letters + string.digits + string.punctuation + "äöüßéèêàçñåøæœíóúâîôûÄÖÜÉÇÑÅØ"
)
_CHAT_TEMPLATE = """\
{{- bos_token }}
{%- set turns = messages %}
{%- set system = '' %}
{%- if messages and messages[0].role == 'system' %}
{%- set system = messages[0].content %}
{%- set turns = messages[1:] %}
{%- endif %}
{{- '<|im_start|>system\\n' ~ system ~ '<|im_end|>\\n' }}
{%- for turn in turns %}
{{- '<|im_start|>' ~ turn.role ~ '\\n' ~ turn.content ~ '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n' }}
{{- '<think>\\n' if enable_thinking is defined and enable_thinking else '<think></think>' }}
{%- endif %}
"""


def vocabulary() -> dict[str, int]:
    """The id of each of the 128 tokens; those without a name of their own are characters."""
    characters = iter(_CHARACTERS)
    return {_NAMED.get(index) or next(characters): index for index in range(VOCABULARY)}


def write_tokenizer(folder: Path) -> None:
    """``tokenizer.json`` and ``tokenizer_config.json``. The thinking tokens are added, but not special."""
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary(), merges=[], unk_token="<unk>"))
    thinking = (_NAMED[THINK], _NAMED[END_THINK])
    special = [AddedToken(name, special=True) for name in _NAMED.values() if name not in thinking]
    tokenizer.add_special_tokens(special)
    tokenizer.add_tokens([AddedToken(name, special=False, normalized=False) for name in thinking])
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", BOS)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": "<|im_end|>",
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
        "chat_template": _CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
