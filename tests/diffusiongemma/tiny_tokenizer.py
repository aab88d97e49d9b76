"""The tokenizer of the tiny model: a token a character, turns as Gemma writes them, an image token."""

from __future__ import annotations

import json
import string
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, processors

__all__ = ["BOS", "EOS", "IMAGE", "PAD", "TURN_END", "VOCABULARY", "write_tokenizer"]

PAD, EOS, BOS, TURN, TURN_END, IMAGE = 0, 1, 2, 105, 106, 120
VOCABULARY = 128

_NAMED = {
    PAD: "<pad>",
    EOS: "<eos>",
    BOS: "<bos>",
    3: "<unk>",
    TURN: "<|turn>",
    TURN_END: "<turn|>",
    IMAGE: "<|image|>",
    121: "<|image>",
    122: "<image|>",
}
_CHARACTERS = " \n" + string.ascii_letters + string.digits + string.punctuation + "äöüßéèêàçñåøæœíóúâîôûÄÖÜÉÇ"
_CHAT_TEMPLATE = """\
{{- bos_token }}
{%- if enable_thinking is defined and enable_thinking %}{{ '<|turn>system\\nthink<turn|>\\n' }}{% endif %}
{%- for turn in messages %}
{{- '<|turn>' ~ turn.role ~ '\\n' ~ turn.content ~ '<turn|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|turn>model\\n' }}{%- endif %}
"""


def vocabulary() -> dict[str, int]:
    """The id of each of the 128 tokens; those without a name of their own are characters."""
    characters = iter(_CHARACTERS)
    return {_NAMED.get(index) or next(characters): index for index in range(VOCABULARY)}


def write_tokenizer(folder: Path) -> None:
    """``tokenizer.json`` and ``tokenizer_config.json`` in ``folder``."""
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary(), merges=[], unk_token="<unk>"))
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in _NAMED.values()])
    tokenizer.decoder = decoders.Fuse()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<bos> $A", pair="<bos> $A <bos> $B", special_tokens=[("<bos>", BOS)]
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
        "chat_template": _CHAT_TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
