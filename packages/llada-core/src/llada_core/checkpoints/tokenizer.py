"""The tokenizer of a checkpoint's folder, by the class that reads its files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from llada_core.checkpoints.contents import how_to_get
from llada_core.checkpoints.guard import raised_as
from llada_core.errors import ModelLoadError
from llada_core.faults import one_line
from llada_core.imports import load_target

__all__ = ["load_tokenizer"]

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json", "vocab.txt")
_SETTINGS = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
# Names for a tokenizer that is all in tokenizer.json; the last is what transformers 5 writes.
_PLAIN_CLASSES = (None, "PreTrainedTokenizerFast", "TokenizersBackend")
_LIBRARIES = ("sentencepiece", "tiktoken", "protobuf")  # that some tokenizers are made with
_WITHOUT = "replace its files, or remove them to use ids"


def load_tokenizer(folder: Path, *, trust_remote_code: bool = False) -> Any:
    """The tokenizer in ``folder``, or None where it has no tokenizer files. Raises ``ModelLoadError``."""
    present = [name for name in _TOKENIZER_FILES if (folder / name).is_file()]
    if not present:
        return None
    settings = {name: _read(folder / name) for name in _SETTINGS if (folder / name).is_file()}
    _check_template(folder / "chat_template.jinja")
    files = ", ".join(str(folder / name) for name in present if name != "tokenizer_config.json")
    if not files:
        alone = folder / present[0]
        raise _cannot(folder, f"{alone} is there, and tokenizer.json beside it is missing", _again(alone))
    # The Rust tokenizer raises bare Exceptions for files that it cannot read, and panics at some.
    with raised_as(lambda exc: _refusal(folder, files, exc)):
        # AutoTokenizer looks into config.json too, and the config of a diffusion model means nothing to it.
        if "tokenizer.json" in settings and _class_name(settings) in _PLAIN_CLASSES:
            return load_target("transformers:PreTrainedTokenizerFast").from_pretrained(str(folder))
        auto = load_target("transformers:AutoTokenizer")
        return auto.from_pretrained(str(folder), trust_remote_code=trust_remote_code)


def _check_template(file: Path) -> None:
    """Refuse a chat template that is no text: its reader says of it that the tokenizer is none."""
    try:
        if file.is_file():
            file.read_text(encoding="utf-8")
    except (OSError, ValueError) as exc:
        raise _cannot(file.parent, f"{file} is no text in UTF-8: {one_line(exc)}", _again(file)) from exc


def _class_name(settings: dict[str, dict[str, Any]]) -> Any:
    return settings.get("tokenizer_config.json", {}).get("tokenizer_class")


def _read(file: Path) -> dict[str, Any]:
    """The object in a JSON file: of a truncated one, transformers 4 says to get protobuf."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as exc:
        raise _cannot(file.parent, f"{file} is no JSON: {one_line(exc)}", _again(file)) from exc
    if not isinstance(found, dict):
        raise _cannot(file.parent, f"{file} does not hold a JSON object", _again(file))
    return found


def _again(file: Path) -> str:
    return f"{how_to_get(file)}, or remove its files to use ids"


def _refusal(folder: Path, files: str, exc: BaseException) -> ModelLoadError:
    if isinstance(exc, ModuleNotFoundError) and exc.name == "transformers":  # as where no engine is installed
        return _cannot(folder, f"{files}: {one_line(exc)}", "pip install transformers, which reads them")
    said = str(exc).lower()
    missing = next((name for name in _LIBRARIES if name in said), None)
    if missing is not None and isinstance(exc, (ImportError, ValueError)):
        return _cannot(folder, f"{files}: {one_line(exc)}", f"pip install {missing}, or remove it to use ids")
    if "trust_remote_code" in said:
        remedy = "give trust_remote_code=True (--trust-remote-code) if you trust it, or remove it to use ids"
        return _cannot(folder, "it runs code that comes with the checkpoint", remedy)
    return _cannot(folder, f"{files}: {one_line(exc)}", _WITHOUT)


def _cannot(folder: Path, why: str, remedy: str) -> ModelLoadError:
    reason = f"its tokenizer cannot be loaded ({why}); {remedy}"
    return ModelLoadError(f"{folder}: {reason}", path=str(folder), reason=reason)
