"""The network against transformers' Qwen3 under a block-causal mask, its ranks, and trainers' checkpoints."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed import checkpoint

import llada_core
from llada_core import LladaError, ModelLoadError, UsageError
from llada_runtime.network.layout import Layout, Span
from llada_runtime.testing import check_network
from llada_sdar import SDARNetwork
from tests.sdar.tiny_models import BLOCK, Variant, write_model
from tests.support.ranks import on_ranks

NETWORK = "llada_sdar.network:SDARNetwork"
ASKED: list[dict[str, Any]] = [
    {"gen_length": 20, "threshold": 0.6},
    {"gen_length": 16, "block_length": 8, "remasking_strategy": "low_confidence_static"},
]
PROMPTS = [[20, 21, 22], [40] * 11]


def answers(model: Any, name: str = "sdar") -> list[Any]:
    algorithm = llada_core.get_algorithm(name)
    made = []
    for asked in ASKED:
        for prompt in PROMPTS:
            output, nfe = algorithm.generate(model, torch.tensor([prompt]), **asked)
            made.append((output.tolist(), nfe))
    return made


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("variant", ["dense", "moe"])
def test_logits_are_those_of_qwen3_under_a_mask_of_blocks(tmp_path: Path, variant: Variant) -> None:
    from transformers import AutoModelForCausalLM  # which takes seconds

    folder = write_model(tmp_path, variant, tokenizer=False)
    ours = SDARNetwork.from_pretrained(folder, device="cpu")
    fields = json.loads((folder / "config.json").read_text())
    fields["model_type"] = {"dense": "qwen3", "moe": "qwen3_moe"}[variant]
    fields["architectures"] = [{"dense": "Qwen3ForCausalLM", "moe": "Qwen3MoeForCausalLM"}[variant]]
    (folder / "config.json").write_text(json.dumps(fields))
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
    ids = torch.randint(13, 120, (1, 6 * BLOCK), generator=torch.Generator().manual_seed(0))
    length = ids.shape[1]
    blocks = torch.arange(length) // BLOCK
    seen = blocks[None, :] <= blocks[:, None]
    mask = torch.zeros(length, length).masked_fill(~seen, torch.finfo(torch.float32).min)[None, None]
    with torch.inference_mode():
        expected = theirs.eval()(input_ids=ids, attention_mask=mask).logits[0]
    span = Span(
        ids=ids[0].tolist(), lo=0, hi=length, length=length, head_lo=0, head_hi=length, stride=BLOCK
    )  # fmt: skip
    found = ours.logits(Layout.of([span], device=ours.device, merge=ours.merges), None)
    torch.testing.assert_close(found, expected, atol=2e-3, rtol=0)


def test_the_tensors_of_a_mixture_have_the_published_names(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "moe", mlp_only_layers=[1])
    names = SDARNetwork.tensor_names(folder)
    assert names == load_file(folder / "model.safetensors").keys()
    for name in ("gate.weight", "experts.5.gate_proj.weight", "experts.0.down_proj.weight"):
        assert f"model.layers.0.mlp.{name}" in names
    assert "model.layers.1.mlp.up_proj.weight" in names
    assert "model.layers.0.self_attn.q_norm.weight" in names


@pytest.mark.parametrize("variant", ["dense", "moe"])
@pytest.mark.parametrize("name", ["sdar", "sdar_lmdeploy", "sdar_low_confidence"])
def test_it_decodes_as_its_reference_does(tmp_path: Path, variant: Variant, name: str) -> None:
    model = SDARNetwork.from_pretrained(write_model(tmp_path, variant), device="cpu")
    algorithm = llada_core.get_algorithm(name)
    for prompt in PROMPTS:
        output, nfe = algorithm.generate(model, torch.tensor([prompt]), gen_length=18, threshold=0.6)
        params = algorithm.validate_args(gen_length=18, threshold=0.6)
        answer = algorithm.reference_answer(model, prompt, params)
        assert (list(answer.token_ids), answer.nfe) == (output[0, len(prompt) :].tolist(), nfe)


@pytest.mark.parametrize("variant", ["dense", "moe"])
def test_it_is_what_the_loop_asks_of_a_network(tmp_path: Path, variant: Variant) -> None:
    assert len(check_network(SDARNetwork.from_pretrained(write_model(tmp_path, variant), device="cpu"))) == 6


@pytest.mark.parametrize("tied", [False, True])
def test_on_ranks_answers_are_those_of_one_device(tmp_path: Path, tied: bool) -> None:
    folder = write_model(tmp_path, tie_word_embeddings=tied)
    expected = answers(SDARNetwork.from_pretrained(folder, device="cpu"))
    with on_ranks(folder, target=NETWORK) as (split, _):
        assert answers(split) == expected


@pytest.mark.slow
def test_a_loaded_model_is_split(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    with llada_core.load_model(folder, device="cpu") as lm:
        expected = lm.generate([20, 21, 22], gen_length=16)
    with llada_core.load_model(folder, device="cpu", tensor_parallel=2) as lm:
        found = lm.generate([20, 21, 22], gen_length=16)
    assert (found.token_ids, found.nfe) == (expected.token_ids, expected.nfe)


def test_a_mixture_is_not_split(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="experts"):
        llada_core.load_model(write_model(tmp_path, "moe"), device="cpu", tensor_parallel=2)


@pytest.mark.parametrize("variant", ["dense", "moe"])
def test_weights_may_have_eight_bits(tmp_path: Path, variant: Variant) -> None:
    lm = llada_core.load_model(write_model(tmp_path, variant), device="cpu", quantization="int8")
    assert len(lm.generate([20, 21], gen_length=6, early_stop=False).token_ids) == 6


def save(state: dict[str, Any], folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that this is a single process
        checkpoint.save(state, checkpoint_id=folder)
    return folder


@pytest.mark.parametrize("variant", ["dense", "moe"])
def test_what_a_trainer_saved_is_read_straight(tmp_path: Path, variant: Variant) -> None:
    base = write_model(tmp_path / "base", variant)
    expected = answers(llada_core.get_algorithm("sdar").load_model_from_hf(base, device="cpu"))
    weights = load_file(base / "model.safetensors")
    (base / "model.safetensors").unlink()
    path = save({"policy": dict(weights), "step": torch.ones(())}, tmp_path / "dcp")
    with llada_core.load_dcp(path, base, device="cpu", temp_dir=tmp_path / "no") as lm:
        assert lm.dcp is not None
        assert answers(lm.model.network) == expected
    del weights["lm_head.weight"]
    path = save({"policy": weights}, tmp_path / "lacking")
    with pytest.raises(ModelLoadError, match=r"lacks lm_head\.weight; check that config"):
        llada_core.load_dcp(path, base, device="cpu", temp_dir=tmp_path / "no")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"num_experts": 7}, r"lacks .*experts\.6"),
        ({"intermediate_size": 64, "mlp_only_layers": [0]}, "lacks"),
    ],
)
def test_experts_that_are_missing_are_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    folder = write_model(tmp_path, "moe")
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**fields, **changes}))
    with pytest.raises(LladaError, match=said):
        llada_core.load_model(folder, device="cpu")
