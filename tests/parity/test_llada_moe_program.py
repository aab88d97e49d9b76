"""The program ``llada`` on a small LLaDA-MoE checkpoint whose mask token the tokenizer alone names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

import llada_core
from tests.support.llada_moe import write_llada_moe, write_tokenizer
from tests.support.program import Llada, llada
from tests.support.served import served_client

__all__ = ["llada"]  # the fixture

pytestmark = pytest.mark.skipif(
    not {"fast-dllm", "dinfer"} & set(llada_core.list_engines()), reason="no engine of LLaDA is installed"
)
SHORT = ("--max-tokens", "12", "-p", "block_length=4", "--device", "cpu")


@pytest.fixture
def model(tmp_path: Path) -> str:
    write_tokenizer(tmp_path)
    return str(write_llada_moe(tmp_path, mask_token_id=...))


def test_an_engine_of_llada_is_detected(llada: Llada, model: str) -> None:
    ran = llada("detect", model, "--json")
    assert ran.status == 0
    assert json.loads(ran.out)["engine"] in ("fast-dllm", "dinfer")
    assert json.loads(ran.out)["architectures"] == ["LLaDAMoEModelLM"]


def test_its_memory_is_told(llada: Llada, model: str) -> None:
    ran = llada("doctor", "--model", model, "--dtype", "float32", "--json")
    held = sum(tensor.nbytes for tensor in load_file(Path(model) / "model.safetensors").values())
    assert json.loads(ran.out)["model"]["memory"]["weights"] == held


def test_it_answers_by_every_algorithm(llada: Llada, model: str) -> None:
    engines = {"fast-dllm", "dinfer"} & set(llada_core.list_engines())
    names = [name for engine in engines for name in llada_core.list_algorithms_by_engine(engine)]
    for name in sorted(names):
        own = ("-p", "delimiter_ids=9") if name == "adablock" else ()  # lines of this tokenizer have no end
        ran = llada("generate", "abc", "--model", model, "--algorithm", name, *SHORT, *own, "--json")
        assert ran.status == 0, ran.err
        assert json.loads(ran.out)["nfe"] >= 3


def test_chats_and_streams(llada: Llada, model: str) -> None:
    ran = llada("chat", "--model", model, *SHORT, typed="abc\n")
    assert ran.status == 0, ran.err


def test_one_without_a_mask_token_says_where_to_name_it(llada: Llada, tmp_path: Path) -> None:
    ran = llada("generate", "abc", "--model", str(write_llada_moe(tmp_path, mask_token_id=...)), *SHORT)
    assert ran.status == 1
    assert "mask_token_id is missing, and no other file of the checkpoint tells it; add the id" in ran.err


def test_it_is_measured(llada: Llada, model: str, tmp_path: Path) -> None:
    asked = tmp_path / "prompts.txt"
    asked.write_text("abc\n")
    ran = llada(
        "bench", "--model", model, "--prompts", str(asked), "--gen-length", "8", "-p", "block_length=4",
        "--repeats", "1", "--warm-up", "0", "--device", "cpu", "--json",
    )  # fmt: skip
    assert ran.status == 0, ran.err
    (found,) = json.loads(ran.out)["results"]
    assert found["figures"]["nfe"]["median"] >= 2


def test_it_is_served_and_streams(model: str) -> None:
    body = {"model": "moe", "prompt": "abc", "max_tokens": 8, "block_length": 4}
    with (
        llada_core.load_model(model, device="cpu") as lm,
        served_client(lm, lm.engine.name, served_model_name="moe") as client,
    ):
        whole = client.post("/v1/completions", json=body)
        streamed = client.post("/v1/completions", json={**body, "stream": True})
    assert (whole.status_code, streamed.status_code) == (200, 200), whole.text
    lines = [line.removeprefix("data: ") for line in streamed.text.splitlines() if line.startswith("data: ")]
    parts = [json.loads(line)["choices"] for line in lines[:-1]]
    text = "".join(part[0]["text"] or "" for part in parts if part)
    assert text == whole.json()["choices"][0]["text"]
