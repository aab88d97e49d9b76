"""Our network for Nemotron models, held to what the models' own code computes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

import llada_core
from llada_nemotron.config import NemotronConfig
from llada_nemotron.network import NemotronNetwork
from llada_runtime import CheckpointError, UnsupportedArchitecture
from llada_runtime.network.layout import Layout, Span
from tests.nemotron.tiny_models import EOS, MASK, VOCABULARY, Variant, write_model

LENGTH = 70  # beyond the original length of the tiny YaRN model, more than twice

each_variant = pytest.mark.parametrize("variant", ["gen1", "labs"])


def own_code(folder: Path, **options: Any) -> Any:
    return AutoModel.from_pretrained(
        folder, trust_remote_code=True, dtype=torch.float32, dlm_paradigm="bidirectional", **options
    ).eval()


def our_logits(network: NemotronNetwork, ids: list[int], *, causal: bool) -> torch.Tensor:
    end, stride = len(ids), 1 if causal else None
    whole = Span(ids=ids, lo=0, hi=end, length=end, head_lo=0, head_hi=end, stride=stride)
    layout = Layout.of([whole], device=network.device, merge=network.merges)
    return network.logits(layout, None)


def random_ids(seed: int = 0) -> list[int]:
    drawn = torch.randint(0, VOCABULARY, (LENGTH,), generator=torch.Generator().manual_seed(seed))
    return [int(token) for token in drawn]


def fields(folder: Path, **changes: Any) -> dict[str, Any]:
    config: dict[str, Any] = {**json.loads((folder / "config.json").read_text()), **changes}
    return {name: value for name, value in config.items() if value is not ...}


@each_variant
@pytest.mark.parametrize("causal", [False, True])
def test_logits_are_those_of_the_models_own_code(tmp_path: Path, variant: Variant, causal: bool) -> None:
    write_model(tmp_path, variant)
    native = own_code(tmp_path)
    native.switch_diffusion(not causal)
    ids = random_ids()
    with torch.inference_mode():
        theirs = native(torch.tensor([ids]), use_causal_mask=causal).logits[0]
    ours = our_logits(NemotronNetwork.from_pretrained(tmp_path, device="cpu"), ids, causal=causal)
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=2e-4)


@pytest.mark.parametrize("changes", [{"attention_bias": True}, {"disable_qk_norm": True}])
def test_variants_of_the_first_generation_agree_too(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_model(tmp_path, "gen1", **changes)
    ids = random_ids(1)
    with torch.inference_mode():
        theirs = own_code(tmp_path)(torch.tensor([ids])).logits[0]
    ours = our_logits(NemotronNetwork.from_pretrained(tmp_path, device="cpu"), ids, causal=False)
    torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=2e-4)


@each_variant
def test_weights_taken_from_a_loaded_model_are_the_same(tmp_path: Path, variant: Variant) -> None:
    write_model(tmp_path, variant)
    native, ids = own_code(tmp_path), random_ids()
    with torch.inference_mode():
        before = native(torch.tensor([ids])).logits
    adopted = NemotronNetwork.adopting(native, NemotronConfig.from_pretrained(tmp_path))
    read = NemotronNetwork.from_pretrained(tmp_path, device="cpu")
    assert torch.equal(our_logits(adopted, ids, causal=True), our_logits(read, ids, causal=True))
    with torch.inference_mode():
        assert torch.equal(native(torch.tensor([ids])).logits, before)


@pytest.mark.gpu
@each_variant
def test_on_a_gpu_both_routes_share_one_copy_of_the_weights(tmp_path: Path, variant: Variant) -> None:
    write_model(tmp_path, variant)
    native, ids = own_code(tmp_path).to("cuda"), random_ids()
    with torch.inference_mode():
        before = native(torch.tensor([ids]).cuda()).logits
    adopted = NemotronNetwork.adopting(native, NemotronConfig.from_pretrained(tmp_path))
    places = {name: tensor.data_ptr() for name, tensor in adopted.tensors().items()}
    assert {name: weight.data_ptr() for name, weight in native.named_parameters()} == places
    with torch.inference_mode():
        torch.testing.assert_close(native(torch.tensor([ids]).cuda()).logits, before)
    torch.testing.assert_close(our_logits(adopted, ids, causal=False), before[0], atol=1e-3, rtol=1e-3)


def test_a_model_with_other_weights_than_its_config_says_is_not_adopted(tmp_path: Path) -> None:
    native = own_code(write_model(tmp_path, "labs"))
    config = NemotronConfig.from_dict(fields(tmp_path, num_hidden_layers=3))
    with pytest.raises(UnsupportedArchitecture, match=r"differs .* in encoder\.layers\.2\..* and more; use"):
        NemotronNetwork.adopting(native, config)


@pytest.mark.parametrize(
    "rope",
    [
        {"factor": 16.0, "original_max_position_embeddings": 16384, "mscale": 1.0, "mscale_all_dim": 1.0},
        {"factor": 0.25, "original_max_position_embeddings": 16384},
        {"factor": 4.0, "original_max_position_embeddings": 128, "mscale": 0.7, "mscale_all_dim": 1.3},
        {"factor": 8.0, "original_max_position_embeddings": 64, "truncate": False, "beta_fast": 8.0},
        {"factor": 8.0, "original_max_position_embeddings": 64, "attention_factor": 1.7},
    ],
    ids=lambda rope: f"factor {rope['factor']}",
)
def test_yarn_is_that_of_transformers(tmp_path: Path, rope: dict[str, Any]) -> None:
    settings = {"rope_type": "yarn", "rope_theta": 1e6, "beta_fast": 32.0, "beta_slow": 1.0, **rope}
    write_model(tmp_path, "labs", rope_parameters=settings)
    config = AutoModel.from_pretrained(tmp_path, trust_remote_code=True).config
    theirs, scale = ROPE_INIT_FUNCTIONS["yarn"](config, torch.device("cpu"))
    rotary = NemotronNetwork.from_pretrained(tmp_path, device="cpu")._rotary
    torch.testing.assert_close(rotary.frequencies, theirs)
    assert rotary.scale == pytest.approx(scale)


def test_the_spelling_of_transformers_4_means_the_same(tmp_path: Path) -> None:
    new = fields(write_model(tmp_path, "labs"))
    settings = dict(new["rope_parameters"])
    old = {
        **new,
        "rope_parameters": ...,
        "rope_theta": settings.pop("rope_theta"),
        "rope_scaling": {**settings, "type": settings.pop("rope_type")},
    }
    plain = {name: value for name, value in old.items() if value is not ...}
    assert NemotronConfig.from_dict(plain) == NemotronConfig.from_dict(new)


def test_the_config_gives_the_runtime_its_words(tmp_path: Path) -> None:
    config = NemotronConfig.from_dict(fields(write_model(tmp_path, "labs"), eos_token_id=[EOS, 5]))
    assert (config.mask_token_id, config.eos_ids, config.embedding_size) == (MASK, (EOS, 5), VOCABULARY)
    assert (config.max_sequence_length, config.family, config.causal_context) == (512, "ministral", True)
    assert NemotronConfig.from_dict(fields(tmp_path, eos_token_id=...)).eos_ids == ()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"architectures": ["NemotronLabsDiffusionVLMModel"]},
            r"architectures is .*VLMModel.* runs Nemotron",
        ),
        ({"rope_parameters": {"rope_type": "linear", "factor": 2.0}}, "rope_type = 'linear' is not impl"),
        ({"use_sliding_window": True}, "use_sliding_window = True is not implemented .only False"),
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu' is not implemented"),
        ({"num_experts": 8}, "num_experts = 8 is not implemented"),
        ({"sliding_window": 64}, "sliding_window = 64 is not implemented"),
        ({"architectures": 5}, "architectures is 5, and our own network runs"),
        ({"architectures": [["a"]]}, "our own network runs"),
        (
            {"rope_parameters": {"rope_theta": 1e6, "partial_rotary_factor": 0.5}},
            "partial_rotary_factor = 0.5",
        ),
    ],
)
def test_a_variant_that_we_do_not_implement_is_a_problem_and_no_error(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    write_model(tmp_path, "labs")
    (tmp_path / "config.json").write_text(json.dumps(fields(tmp_path, **changes)))
    config = NemotronConfig.from_pretrained(tmp_path)
    assert config.architecture is None
    with pytest.raises(UnsupportedArchitecture, match=problem):
        NemotronNetwork.from_pretrained(tmp_path, device="cpu")


@pytest.mark.parametrize("changes", [{"mask_token_id": -1}, {"eos_token_id": 128}])
def test_a_token_id_outside_the_vocabulary_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    write_model(tmp_path, "labs")
    with pytest.raises(CheckpointError, match=r"_token_id = .* is not an id from 0 to 127; take"):
        NemotronConfig.from_dict(fields(tmp_path, **changes))


def test_a_mask_token_is_not_guessed(tmp_path: Path) -> None:
    write_model(tmp_path, "labs")
    with pytest.raises(CheckpointError, match="mask_token_id is missing; take"):
        NemotronConfig.from_dict(fields(tmp_path, mask_token_id=...))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"num_key_value_heads": 3}, "num_key_value_heads = 3 is not a divisor of 4 heads"),
        ({"hidden_size": None}, "hidden_size is missing"),
        ({"hidden_size": 2, "head_dim": None}, "hidden_size = 2 is not an even number of channels for"),
        ({"attention_bias": "no"}, "attention_bias = 'no' is not true or false"),
        ({"rope_parameters": "x"}, "rope_parameters = 'x' is not an object"),
        ({"rope_scaling": [1]}, r"rope_scaling = \[1\] is not an object"),
        (
            {"rope_parameters": {"rope_theta": 1e6, "factor": 2.0}},
            "rope_parameters = .* is not an object that names the rope_type of its factor",
        ),
        ({"rope_parameters": {"rope_theta": 1.0}}, "rope_theta = 1.0 is not a number above 1"),
        ({"rms_norm_eps": 10**400}, "rms_norm_eps = 1000.*000 is not a finite number"),
        ({"rms_norm_eps": float("inf")}, "rms_norm_eps = inf is not a finite number"),
        (
            {"rope_parameters": {"rope_theta": 1e6, "rope_type": "yarn", "factor": float("inf")}},
            "factor = inf is not a finite number",
        ),
        ({"rope_parameters": {"rope_theta": 1e6, "rope_type": "yarn"}}, "factor is missing"),
        (
            {"rope_parameters": {"rope_theta": 1e6, "rope_type": "yarn", "factor": 2.0, "beta_fast": "q"}},
            "beta_fast = 'q' is not a finite number above 0",
        ),
    ],
)
def test_a_malformed_file_is_an_error_and_no_reason_to_trust_code(
    tmp_path: Path, changes: dict[str, Any], problem: str
) -> None:
    write_model(tmp_path, "labs")
    (tmp_path / "config.json").write_text(json.dumps(fields(tmp_path, **changes)))
    with pytest.raises(llada_core.ModelLoadError, match=problem) as caught:
        llada_core.load_model(tmp_path, device="cpu")
    assert str(caught.value).endswith("take the config.json that was published with the weights")


def test_fields_that_are_null_are_not_there(tmp_path: Path) -> None:
    plain = fields(write_model(tmp_path, "gen1"))
    nulls = {"rope_scaling": None, "head_dim": plain["head_dim"], "rope_parameters": {"rope_type": None}}
    assert NemotronConfig.from_dict({**plain, **nulls}) == NemotronConfig.from_dict(plain)
