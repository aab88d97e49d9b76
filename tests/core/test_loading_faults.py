"""Whatever a loader, a model's code or a tokenizer's file raises is a ``ModelLoadError``; interrupts pass."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llada_core import (
    CheckpointError,
    GenerationAlgorithm,
    LoadOptions,
    ModelLoadError,
    UnsupportedArchitecture,
    UsageError,
    load_model,
)
from llada_core.checkpoints.guard import raised_as
from llada_core.checkpoints.tokenizer import load_tokenizer
from llada_core.faults import is_interrupt

pytestmark = pytest.mark.usefixtures("world")


class Panic(BaseException):
    """As those of other languages derive."""


def failing(fault: BaseException) -> GenerationAlgorithm:
    class Failing(GenerationAlgorithm):
        name, engine = "failing", "fake"

        def load_model_class(self) -> Any:
            raise AssertionError("not asked")

        def load_network(self, folder: Path, options: LoadOptions) -> Any:
            raise fault

        def generate(self, model: Any, prompt: Any, **params: Any) -> Any:
            return prompt, 0

    return Failing()


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (CheckpointError("no wte; get it"), "no wte; get it"),
        (UnsupportedArchitecture("of another kind; get it"), "of another kind; get it"),
        (OSError("disk on fire"), "disk on fire"),
        (ValueError("bad shape"), "bad shape"),
        (RuntimeError("device lost"), "device lost"),
        (
            TypeError("3 is no str"),
            "TypeError: 3 is no str; that is a fault of the code that loads it: report it",
        ),
        (KeyError("wte"), "KeyError: 'wte'; that is a fault of the code that loads it"),
        (ValueError(), "ValueError; that is a fault of the code that loads it"),
        (MemoryError(), "the memory does not hold it (MemoryError); free some"),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory"),
            "the memory does not hold it (RuntimeError: DefaultCPUAllocator: can't allocate memory); free",
        ),
        (torch.OutOfMemoryError("CUDA"), "the memory does not hold it (OutOfMemoryError: CUDA); free some"),
        (Panic("unwrap on None"), "Panic: unwrap on None; that is a fault of the code"),
        (SystemExit(3), "SystemExit: 3; that is a fault of the code"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_what_a_loader_raises_is_a_load_error(folder: Path, fault: BaseException, reason: str) -> None:
    with pytest.raises(ModelLoadError) as told:
        failing(fault).load_model_from_hf(folder)
    assert str(told.value).startswith(f"{folder} cannot be loaded: {reason}")
    assert (told.value.path, told.value.__cause__) == (str(folder), fault)
    assert told.value.reason.startswith(reason)
    again = pickle.loads(pickle.dumps(told.value))
    assert (str(again), again.path, again.reason) == (str(told.value), told.value.path, told.value.reason)


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), UsageError("no such device; use cpu")])
def test_an_interrupt_and_an_error_of_the_call_pass(folder: Path, fault: BaseException) -> None:
    with pytest.raises(type(fault)) as told:
        failing(fault).load_model_from_hf(folder)
    assert told.value is fault


def test_a_warning_that_is_an_error_here_is_the_warning(folder: Path) -> None:
    with pytest.raises(UserWarning, match="slow"):
        failing(UserWarning("slow")).load_model_from_hf(folder)


def test_an_error_of_ours_keeps_its_words_inside_a_guard() -> None:
    fault = CheckpointError("no wte; get it")
    with (
        pytest.raises(CheckpointError) as told,
        raised_as(lambda exc: ModelLoadError("x", path="x", reason="x")),
    ):
        raise fault
    assert told.value is fault


@pytest.mark.parametrize(
    ("exc", "interrupts"),
    [(KeyboardInterrupt(), True), (GeneratorExit(), False), (SystemExit(), False), (Panic(), False)],
)
def test_who_asks_the_program_to_stop(exc: BaseException, interrupts: bool) -> None:
    assert is_interrupt(exc) is interrupts


# -- tokenizers


def _charsmap(tokenizer: dict[str, Any]) -> None:
    tokenizer["normalizer"] = {"type": "Precompiled", "precompiled_charsmap": "AAAA"}


def _prefix(tokenizer: dict[str, Any]) -> None:
    tokenizer["model"].update(
        continuing_subword_prefix="héé", vocab={"a": 0, "b": 1, "ab": 2}, merges=[["a", "b"]]
    )


def _merge(tokenizer: dict[str, Any]) -> None:
    tokenizer["model"]["merges"] = [["zz", "qq"]]


def _dropout(tokenizer: dict[str, Any]) -> None:
    tokenizer["model"]["dropout"] = 3.0


@pytest.mark.parametrize("damage", [_charsmap, _prefix, _merge, _dropout])
def test_a_tokenizer_that_the_rust_side_cannot_read_is_a_load_error(
    folder: Path, damage: Callable[[dict[str, Any]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "tokenizer.json"
    tokenizer = copy.deepcopy(json.loads(file.read_text()))
    damage(tokenizer)
    file.write_text(json.dumps(tokenizer))
    with pytest.raises(ModelLoadError) as told:
        load_model(folder)
    assert f"its tokenizer cannot be loaded ({file}: " in str(told.value)
    assert str(told.value).endswith("; replace its files, or remove them to use ids")


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"{", "is no JSON: JSONDecodeError"),
        (b"", "is no JSON"),
        (b"[1]", "does not hold a JSON object"),
        (b"\xff\xfe", "is no JSON: UnicodeDecodeError"),
        (b"[" * 100_000, "is no JSON: RecursionError"),
        (b"version https://git-lfs.github.com/spec/v1\n", "it is a pointer of git-lfs: run git lfs pull"),
    ],
    ids=["cut", "empty", "list", "bytes", "deep", "pointer"],
)
def test_a_damaged_file_of_the_tokenizer_is_named(folder: Path, name: str, content: bytes, said: str) -> None:
    (folder / name).write_bytes(content)
    with pytest.raises(ModelLoadError) as told:
        load_model(folder)
    assert f"({folder / name} " in str(told.value)
    assert said in str(told.value)
    assert str(told.value).endswith(", or remove its files to use ids")


def test_a_chat_template_that_is_no_text_is_named(folder: Path) -> None:
    (folder / "chat_template.jinja").write_bytes(b"{{ caf\xe9 }}")
    with pytest.raises(ModelLoadError, match=r"chat_template\.jinja is no text in UTF-8: UnicodeDecodeError"):
        load_model(folder)


def test_settings_without_their_tokenizer_are_told(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelLoadError, match=r"tokenizer_config\.json is there, and tokenizer\.json"):
        load_model(folder)


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        (
            ImportError("requires the SentencePiece library"),
            "pip install sentencepiece, or remove it to use ids",
        ),
        (
            ModuleNotFoundError("No module named 'transformers'", name="transformers"),
            "pip install transformers, which reads them",
        ),
        (ValueError("`tiktoken` is required"), "pip install tiktoken, or remove it to use ids"),
        (ImportError("requires the protobuf library"), "pip install protobuf, or remove it to use ids"),
        (
            ValueError("set the option `trust_remote_code=True`"),
            r"give trust_remote_code=True \(--trust-remote-code",
        ),
        (Panic("slice index"), "replace its files, or remove them to use ids"),
        (SystemExit("no"), "replace its files"),
    ],
)
def test_what_a_tokenizers_class_needs_is_told(
    folder: Path, fault: BaseException, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def from_pretrained(*_: Any, **__: Any) -> Any:
        raise fault

    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(b"")
    monkeypatch.setattr("transformers.AutoTokenizer.from_pretrained", from_pretrained)
    with pytest.raises(ModelLoadError, match=remedy) as told:
        load_tokenizer(folder)
    assert told.value.__cause__ is fault


def test_an_interrupt_while_a_tokenizer_is_read_passes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_pretrained(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("transformers.PreTrainedTokenizerFast.from_pretrained", from_pretrained)
    with pytest.raises(KeyboardInterrupt):
        load_model(folder)
