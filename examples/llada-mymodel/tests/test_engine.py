"""The engine finds its models, reads text, and fills every mask."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import llada_core
from llada_mymodel.model import write_random
from llada_mymodel.tokenizer import END, MASK, Bytes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random(tmp_path_factory.mktemp("mymodel"))


@pytest.fixture(scope="module")
def lm(folder: Path) -> llada_core.LoadedModel:
    return llada_core.load_model(folder)


def test_it_is_found_by_the_type_of_the_model(folder: Path) -> None:
    assert llada_core.detect_engine(folder) == "mymodel"


def test_the_program_answers_by_it(folder: Path) -> None:
    command = [sys.executable, "-m", "llada_core", "generate", "Hello", "--model", str(folder), "--json"]
    done = subprocess.run([*command, "--max-tokens", "8"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    assert (told["engine"], told["algorithm"], told["nfe"]) == ("mymodel", "mymodel", 8)


def test_steps_are_forwards(lm: llada_core.LoadedModel) -> None:
    results = [lm.generate("Hello", max_tokens=12, steps=steps, raw=True) for steps in (None, 1, 5, 99)]
    assert [result.nfe for result in results] == [12, 1, 5, 12]
    assert all(MASK not in result.token_ids for result in results)
    assert len({result.token_ids for result in results}) > 1


def test_a_stream_of_it_is_one_step(lm: llada_core.LoadedModel) -> None:
    (step,) = lm.stream("Hello", max_tokens=8, raw=True)
    assert step.finished
    assert step.result.token_ids == lm.generate("Hello", max_tokens=8, raw=True).token_ids


def test_it_runs_without_transformers(folder: Path) -> None:
    code = (
        "import sys, llada_core; lm = llada_core.load_model(sys.argv[1]); "
        "lm.generate('Hello', max_tokens=4, raw=True); assert 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], check=True)


def test_text_is_bytes() -> None:
    read = Bytes()
    ids = read("Grüße", add_special_tokens=True, verbose=False)["input_ids"]
    assert len(ids) == 7
    options = {"skip_special_tokens": True, "clean_up_tokenization_spaces": False}
    assert read.decode([*ids, END], **options) == "Grüße"
    assert read.decode([255], **options) == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    ("broken", "told"),
    [("config.json", "hidden_size"), ("model.safetensors", "model.safetensors")],
)
def test_what_is_wrong_with_the_files_is_told(tmp_path: Path, broken: str, told: str) -> None:
    write_random(tmp_path)
    (tmp_path / broken).write_text('{"model_type": "mymodel"}')
    with pytest.raises(llada_core.ModelLoadError, match=rf"{told}.*write the model anew"):
        llada_core.load_model(tmp_path)
