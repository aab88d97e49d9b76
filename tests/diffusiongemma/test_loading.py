"""What becomes of a checkpoint, and what is said of one that cannot be loaded."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers.utils import logging

import llada_core
from llada_core import CheckpointError, LoadOptions, ModelLoadError, PromptError, UnsupportedArchitecture
from llada_core.errors import UsageError
from llada_diffusiongemma import GemmaConfig
from llada_diffusiongemma.loading import load
from llada_diffusiongemma.plugin import PUBLISHED
from llada_diffusiongemma.settings import defaults_of
from llada_runtime.network.weight_files import UnusedWeights
from tests.diffusiongemma.published import Published
from tests.diffusiongemma.tiny_models import CANVAS, GENERATION, config_with
from tests.diffusiongemma.tiny_tokenizer import BOS, IMAGE

CPU = LoadOptions(device="cpu", dtype="float32")
_REMOVED = "model.decoder.layers.1.mlp.up_proj.weight"


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    """The tiny model, to be changed."""
    shutil.copytree(folder, tmp_path / "model")
    return tmp_path / "model"


def rewritten(folder: Path, **changes: Any) -> Path:
    """The folder with tensors replaced or added, or, where None is given, taken out."""
    weights = {name: each.clone() for name, each in load_file(folder / "model.safetensors").items()}
    kept = {name: each for name, each in {**weights, **changes}.items() if each is not None}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def test_a_model_is_loaded_without_its_vision_tower(lm: Any) -> None:
    network = lm.model.network
    assert not any("vision" in name for name, _ in network.named_parameters())
    assert (network.training, network.dtype, network.device) == (False, torch.float32, torch.device("cpu"))
    limits = lm.model.limits
    assert (limits.max_length, limits.vocab_size, limits.mask_id) == (512, 128, None)


def test_a_checkpoint_without_a_vision_tower_will_do(copied: Path) -> None:
    names = [name for name in load_file(copied / "model.safetensors") if "vision" in name]
    assert names
    load(rewritten(copied, **dict.fromkeys(names)), CPU)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_another_dtype_is_taken(dtype: str, folder: Path) -> None:
    lm = llada_core.load_model(folder, device="cpu", dtype=dtype)
    assert lm.model.network.dtype is getattr(torch, dtype)
    first, again = (lm.generate([5, 6], gen_length=9, seed=1) for _ in range(2))
    assert first.token_ids == again.token_ids


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"quantization": "int8"}, "quantization='int8' was asked for, .*; leave quantization out"),
        ({"tensor_parallel": 2}, "tensor_parallel=2 was asked for, .*; leave tensor_parallel out"),
        ({"device": "tpu"}, "device 'tpu' is not known to torch"),
        ({"dtype": "float64"}, "dtype 'float64' cannot be used; choose 'float32'"),
    ],
)
def test_what_the_class_is_not_loaded_with_is_refused_by_name(
    options: dict[str, Any], said: str, folder: Path
) -> None:
    with pytest.raises((UsageError, ModelLoadError), match=said):
        llada_core.load_model(folder, **{"device": "cpu", **options})


def test_weights_of_a_trainer_are_refused_by_name(folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".metadata").write_bytes(b"")
    with pytest.raises(
        UsageError, match=r"are of torch\.distributed, .*; save them in the Hugging Face layo"
    ):
        llada_core.load_dcp(tmp_path, folder, device="cpu")


def test_code_of_the_checkpoint_is_never_run(copied: Path) -> None:
    (copied / "spy.py").write_text("raise SystemExit('code was run')\n")
    config = json.loads((copied / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "spy.Model", "AutoConfig": "spy.Config"}
    (copied / "config.json").write_text(json.dumps(config))
    lm = llada_core.load_model(copied, device="cpu", trust_remote_code=True)
    assert lm.engine.name == "diffusion_gemma"


def test_missing_weights_are_named_and_not_made_up(copied: Path) -> None:
    with pytest.raises(ModelLoadError, match=rf"the weights lack .*{_REMOVED}.*; download them again"):
        llada_core.load_model(rewritten(copied, **{_REMOVED: None}), device="cpu")


def test_weights_of_another_shape_are_refused(copied: Path) -> None:
    said = rf"{_REMOVED} is \[3, 3\], and config\.json makes it \[48, 32\]; check that config\.json and the"
    with pytest.raises(ModelLoadError, match=said):
        llada_core.load_model(rewritten(copied, **{_REMOVED: torch.zeros(3, 3)}), device="cpu")


def test_integers_are_no_weights(copied: Path) -> None:
    quantised = torch.ones(48, 32, dtype=torch.int8)
    with pytest.raises(
        ModelLoadError, match=rf"{_REMOVED} is stored as I8, .*; take the checkpoint that was"
    ):
        llada_core.load_model(rewritten(copied, **{_REMOVED: quantised}), device="cpu")


def test_pickles_are_not_read(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(
        ModelLoadError, match=r"holds neither model\.safetensors nor .*pytorch_model\.bin: pick"
    ):
        llada_core.load_model(copied, device="cpu")


def test_a_damaged_file_is_named(copied: Path) -> None:
    path = copied / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelLoadError, match=r"model\.safetensors is not a complete .*; download it again"):
        llada_core.load_model(copied, device="cpu")


@pytest.mark.parametrize("changed", [None, torch.zeros(3, 3)])
def test_transformers_says_nothing_beside_the_error(
    changed: torch.Tensor | None, copied: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    verbosity = logging.get_verbosity()
    with pytest.raises(ModelLoadError):
        llada_core.load_model(rewritten(copied, **{_REMOVED: changed}), device="cpu")
    assert capfd.readouterr() == ("", "")
    assert logging.get_verbosity() == verbosity


def test_weights_without_a_place_are_told(copied: Path) -> None:
    with pytest.warns(UnusedWeights, match=r"holds model\.decoder\.extra\.weight, which transformers' class"):
        load(rewritten(copied, **{"model.decoder.extra.weight": torch.zeros(3)}), CPU)


NAMED = {"_cls_name": "EntropyBoundSamplerConfig"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"sampler_config": {"_cls_name": "Other", "x": 1}},
            "sampler_config is .*'EntropyBoundSamplerConfig'",
        ),
        ({"sampler_config": {"entropy_bound": 1.0}}, "sampler_config is .*and _cls_name 'EntropyBound"),
        ({"sampler_config": [1]}, r"sampler_config is \[1\]; it must hold an entropy_bound"),
        ({"sampler_config": NAMED}, "sampler_config has no entropy_bound; give a number above 0"),
        (
            {"sampler_config": {**NAMED, "entropy_bound": 0.0}},
            r"sampler_config\.entropy_bound is 0\.0; it mus",
        ),
        (
            {"sampler_config": {**NAMED, "entropy_bound": 1}},
            r"sampler_config\.entropy_bound is 1, .*write 1\.0",
        ),
        ({"confidence_threshold": 1}, r"confidence_threshold is 1, and transformers .* write 1\.0"),
        ({"confidence_threshold": -0.5}, r"confidence_threshold is -0\.5; it must be a number above 0"),
        ({"t_max": float("nan")}, "t_max is nan; it must be a number, 1e-06 or more"),
        ({"t_max": 0.3}, r"t_max \(0\.3\) is not above t_min \(0\.4\)"),
        ({"t_min": "low"}, "t_min is 'low'; it must be a number, 0 or more"),
        ({"stability_threshold": True}, "stability_threshold is True; it must be an integer from 0 to 1024"),
        ({"max_denoising_steps": 0}, "max_denoising_steps is 0; it must be an integer from 1 to 1024"),
        ({"max_new_tokens": 2.5}, r"max_new_tokens is 2\.5; it must be an integer, 1 or more"),
        ({"max_length": 0}, "transformers .* cannot read it .*max_length"),
    ],
)
def test_settings_that_no_row_could_be_decoded_by_are_refused_by_file_and_field(
    settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config_with()))
    (tmp_path / "generation_config.json").write_text(json.dumps({**GENERATION, **settings}))
    with pytest.raises(CheckpointError, match=rf"generation_config\.json: {said}"):
        load(tmp_path, CPU)


def test_settings_that_are_no_json_are_refused_and_not_left_out(copied: Path) -> None:
    (copied / "generation_config.json").write_text("{")
    with pytest.raises(CheckpointError, match=r"generation_config\.json cannot be read as JSON"):
        load(copied, CPU)


def test_a_checkpoint_need_not_have_settings(copied: Path) -> None:
    (copied / "generation_config.json").unlink()
    assert defaults_of(load(copied, CPU)) == {**PUBLISHED, "canvas_length": 8}


def test_settings_of_a_network_that_transformers_loaded_are_checked_too(published: Published) -> None:
    network, algorithm = published.network, llada_core.get_algorithm("diffusion_gemma")
    with (
        mock.patch.object(network.generation_config, "t_max", float("nan")),
        pytest.raises(CheckpointError, match=r"generation_config\.json: t_max is nan"),
    ):
        algorithm.generate(network, torch.tensor([[5, 6]]), gen_length=8)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ({"num_experts": None}, "num_experts is None, and transformers' class has experts in every layer"),
        ({"top_k_experts": 5}, "top_k_experts is 5 of 4 experts; it must be at most num_experts"),
        ({"top_k_experts": None}, "top_k_experts is missing"),
        (
            {"hidden_size_per_layer_input": 256},
            r"text_config\.hidden_size_per_layer_input = 256 is not implemented",
        ),
        ({"num_kv_shared_layers": 4}, r"text_config\.num_kv_shared_layers = 4 is not implemented"),
        ({"use_double_wide_mlp": True}, r"text_config\.use_double_wide_mlp = True is not implemented"),
        ({"enable_moe_block": False}, r"text_config\.enable_moe_block = False is not implemented"),
        ({"attention_k_eq_v": False}, r"text_config\.attention_k_eq_v = False is not implemented"),
        ({"n_group": 8}, r"text_config\.n_group = 8 is not implemented"),
        ({"final_logit_softcapping": None}, "final_logit_softcapping is None"),
        ({"final_logit_softcapping": "30"}, "final_logit_softcapping is '30', .* a number above 0"),
        ({"layer_types": ["chunked_attention", "full_attention"]}, "layer_types is .*chunked"),
        ({"layer_types": [[], []]}, r"layer_types is \[\[\], \[\]\]"),
        ({"layer_types": [{}, {}]}, r"layer_types is \[\{\}, \{\}\]"),
        ({"layer_types": ["full_attention"]}, r"there must be num_hidden_layers \(2\) of them"),
        ({"num_key_value_heads": 3}, r"num_attention_heads \(4\) is no multiple of .* \(3\) of layer 0"),
        ({"quantization_config": {"bits": 4}}, r"text_config\.quantization_config = .* is not implemented"),
        ({"per_layer_config": [1]}, r"per_layer_config is \[1\]"),
        ({"attention_bias": "no"}, "attention_bias = 'no' is not true or false"),
        ({"hidden_size": ...}, "hidden_size is missing"),
        ({"vocab_size": 0}, "vocab_size = 0 is not a positive"),
        ({"hidden_activation": "swoosh"}, "hidden_activation is 'swoosh', which transformers"),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "spiral", "rope_theta": 1.0}}},
            r"rope_parameters\.full_attention\.rope_type is 'spiral', which transformers",
        ),
    ],
)
def test_what_the_network_does_not_implement_is_refused_by_name(
    text: dict[str, Any], said: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config_with(text)))
    with pytest.raises(CheckpointError, match=said):
        load(tmp_path, CPU)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"text_config": None}, "text_config is None, and it must hold the language model's fields"),
        ({"quantization_config": {"bits": 4}}, "quantization_config = .* is not implemented"),
        ({"audio_config": {"hidden_size": 8}}, "audio_config = .* is not implemented"),
        ({"canvas_length": "long"}, "canvas_length = 'long' is not a positive"),
        ({"canvas_length": None}, "canvas_length is missing"),
        ({"image_token_id": -1}, "image_token_id = -1 is not a positive"),
    ],
)
def test_so_is_what_stands_beside_the_language_model(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(CheckpointError, match=said):
        GemmaConfig.from_dict(config_with(**fields))


def test_what_is_left_out_is_what_the_class_fills_in() -> None:
    left = ("attention_bias", "layer_types", "num_global_key_value_heads")
    config = GemmaConfig.from_dict(
        config_with(dict.fromkeys(left, ...), canvas_length=..., image_token_id=...)
    )
    assert (config.canvas_length, config.image_token_id, config.attention_bias) == (256, 258_880, False)
    assert [layer.slides for layer in config.layers] == [True, False]  # the last one sees all
    assert GemmaConfig.from_dict(config_with(image_token_id=None)).image_token_id is None


@pytest.mark.parametrize(
    ("ids", "said"),
    [
        ([5, IMAGE, 6], rf"the image token \(id {IMAGE}\) at position 1, and this engine reads text alone"),
        ([5, 128], "id 128 at position 1 of the prompt is out of the vocabulary"),
        ([], "the prompt is empty"),
        ([5] * 512, "the prompt has 512 tokens and the model takes 512, answer included"),
    ],
)
def test_a_prompt_that_cannot_be_read_is_refused(ids: list[int], said: str, lm: Any) -> None:
    with pytest.raises(PromptError, match=said):
        lm.generate(ids, gen_length=8)


def test_images_in_text_and_in_messages_are_refused(lm: Any) -> None:
    with pytest.raises(PromptError, match="the image token"):
        lm.generate("What is this? <|image|>", gen_length=8)
    parts = [{"type": "image", "url": "cat.png"}, {"type": "text", "text": "What is this?"}]
    with pytest.raises(PromptError, match="a role and a content, both text"):
        lm.generate([{"role": "user", "content": parts}], gen_length=8)


def test_the_length_limit_holds_and_the_last_canvas_may_reach_beyond_it(lm: Any) -> None:
    with pytest.raises(UsageError, match=r"give a gen_length .* of at most 12"):
        lm.generate([5] * 500, gen_length=13)
    found = lm.generate([5] * 500, gen_length=12, seed=1, early_stop=False, max_denoising_steps=1)
    assert 500 + 2 * CANVAS > 512
    assert found.nfe == 4


def test_a_chat_is_written_by_the_checkpoints_template(lm: Any) -> None:
    algorithm = lm.algorithm("diffusion_gemma")
    plain = algorithm.tokenize_prompts("Hi").input_ids[0].tolist()
    thinking = algorithm.tokenize_prompts("Hi", enable_thinking=True).input_ids[0].tolist()
    decode = lm.model.tokenizer.decode
    assert decode(plain) == "<bos><|turn>user\nHi<turn|>\n<|turn>model\n"
    assert decode(thinking).startswith("<bos><|turn>system\nthink<turn|>\n<|turn>user\nHi")
    assert plain.count(BOS) == 1
    messages = [("user", "a"), ("assistant", "b"), ("user", "c")]
    told = lm.generate([{"role": r, "content": c} for r, c in messages], gen_length=8, seed=1)
    assert told.prompt_tokens > len(plain)


def test_unsupported_is_an_error_of_the_checkpoint() -> None:
    assert issubclass(UnsupportedArchitecture, CheckpointError)
