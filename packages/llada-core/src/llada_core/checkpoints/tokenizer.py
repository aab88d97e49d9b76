"""The tokenizer of a checkpoint's folder, by the class that reads its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llada_core.errors import ModelLoadError, one_line
from llada_core.imports import load_target

__all__ = ["load_tokenizer"]

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt")
# Names for a tokenizer that is all in tokenizer.json; the last is what transformers 5 writes.
_PLAIN_CLASSES = (None, "PreTrainedTokenizerFast", "TokenizersBackend")


def load_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """The tokenizer in ``folder``, or None where it has no tokenizer files. Raises ``ModelLoadError``."""
    if not any((folder / name).is_file() for name in _TOKENIZER_FILES):
        return None
    try:
        # AutoTokenizer looks into config.json too, and the config of a diffusion model means nothing to it.
        if (folder / "tokenizer.json").is_file() and _class_name(folder) in _PLAIN_CLASSES:
            _read_json(folder / "tokenizer.json")  # of a truncated one, transformers 4 says to get protobuf
            return load_target("transformers:PreTrainedTokenizerFast").from_pretrained(str(folder))
        auto = load_target("transformers:AutoTokenizer")
        return auto.from_pretrained(str(folder), trust_remote_code=trust_remote_code)
    except Exception as exc:  # the Rust tokenizer raises bare Exceptions for files that it cannot read
        remedy = "replace its files, or remove them to use ids"
        reason = f"its tokenizer cannot be loaded ({one_line(exc)}); {remedy}"
        raise ModelLoadError(f"{folder}: {reason}", path=str(folder), reason=reason) from exc


def _class_name(folder: Path) -> str | None:
    file = folder / "tokenizer_config.json"
    settings = _read_json(file) if file.is_file() else {}
    return settings.get("tokenizer_class") if isinstance(settings, dict) else None


def _read_json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))
