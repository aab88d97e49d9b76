"""The program on a checkpoint of the family: generate, chat, bench, and what the lists say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.llada2.tiny_models import write_model
from tests.support.program import Llada, error, llada

__all__ = ["llada"]  # the fixture

pytestmark = pytest.mark.alone

SHORT = ("--max-tokens", "12", "-p", "block_length=4", "--device", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("cli"), seed=2))


def test_generate_takes_the_default_and_what_is_named(llada: Llada, folder: str) -> None:
    told = {}
    for name in ("llada2", "llada2_edit", "llada2_dinfer"):
        chosen = () if name == "llada2" else ("--algorithm", name)
        status, out, _ = llada("generate", "Hello", "--model", folder, *SHORT, *chosen, "--json")
        assert status == 0
        told[name] = json.loads(out)
        assert (told[name]["algorithm"], told[name]["engine"]) == (name, "llada2")
        assert told[name]["nfe"] >= 3
    assert told["llada2"]["parameters"]["eos_early_stop"] is False


def test_chat_writes_turns_by_the_models_template(llada: Llada, folder: str) -> None:
    ran = llada("chat", "--model", folder, *SHORT, typed="Hello\n")
    assert ran.status == 0


def test_bench_measures_it(llada: Llada, folder: str, tmp_path: Path) -> None:
    made, asked = tmp_path / "bench.json", tmp_path / "prompts.txt"
    asked.write_text("Hello\n")
    compared = ("--algorithm", "llada2", "--algorithm", "llada2_edit", "--repeats", "1", "--gen-length", "8")
    ran = llada(
        "bench", "--model", folder, "--device", "cpu", *compared, "--prompts", str(asked),
        "--json-file", str(made),
    )  # fmt: skip
    assert ran.status == 0
    assert "llada2_edit" in made.read_text()


def test_the_details_of_an_algorithm_name_its_parameters(llada: Llada) -> None:
    status, out, _ = llada("algorithms", "llada2_joint_threshold")
    assert status == 0
    for name in ("penalty_lambda", "edit_threshold", "max_post_edit_steps", "sglang_joint_threshold"):
        assert name in out


def test_a_2_2_checkpoint_is_one_line_of_error(llada: Llada, folder: str, tmp_path: Path) -> None:
    fields = json.loads((Path(folder) / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**fields, "split_token_id": 7}))
    line = error(llada("generate", "Hello", "--model", str(tmp_path)), status=1)
    assert "split_token_id = 7 is of LLaDA2.2" in line
