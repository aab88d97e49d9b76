"""Fields that no network here implements are refused by every family that does not say otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from llada_core.errors import CheckpointError, UnsupportedArchitecture
from llada_runtime.models.fields import end_ids
from llada_runtime.models.llada_config import LLaDAConfig
from llada_runtime.models.llada_moe_config import LLaDAMoEConfig
from llada_runtime.models.variants import HARMLESS, refuse_layer_types, refuse_unimplemented
from tests.support.llada_moe import LLADA_MOE_CONFIG

DENSE = {
    "model_type": "llada", "architectures": ["LLaDAModelLM"], "d_model": 32, "n_layers": 1, "n_heads": 4,
    "mlp_hidden_size": 64, "vocab_size": 64, "max_sequence_length": 128, "rope_theta": 1e4,
    "rms_norm_eps": 1e-5, "mask_token_id": 60,
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_each_field_of_the_table_is_refused_and_its_harmless_values_pass(name: str) -> None:
    for value in (None, *HARMLESS[name]):
        refuse_unimplemented({name: value}, {})
    with pytest.raises(UnsupportedArchitecture, match=f"{name} = 'other' is not implemented"):
        refuse_unimplemented({name: "other"}, {})
    refuse_unimplemented({name: "other"}, {name: ("other",)})
    refuse_unimplemented({name: "other"}, {}, reads=(name,))


def test_a_window_counts_unless_it_is_switched_off() -> None:
    refuse_unimplemented({"sliding_window": 64, "use_sliding_window": False}, {})
    with pytest.raises(UnsupportedArchitecture, match="sliding_window = 64"):
        refuse_unimplemented({"sliding_window": 64}, {})


@pytest.mark.parametrize("name", ["num_local_experts", "n_routed_experts"])
def test_a_second_name_for_the_number_of_experts_may_say_the_same(name: str) -> None:
    refuse_unimplemented({"num_experts": 8, name: 8}, {}, reads=("num_experts",))
    for told in ({"num_experts": 8, name: 4}, {"num_experts": 8, name: 0}, {name: 8}):
        with pytest.raises(UnsupportedArchitecture, match=f"{name} = {told[name]} is not implemented"):
            refuse_unimplemented(told, {}, reads=("num_experts",))
    with pytest.raises(UnsupportedArchitecture, match="num_experts = 8 is not implemented"):
        refuse_unimplemented({"num_experts": 8, name: 8}, {})


def test_a_field_is_named_with_where_it_is() -> None:
    with pytest.raises(UnsupportedArchitecture, match=r"config.json: text_config\.n_group = 8 is not"):
        refuse_unimplemented({"n_group": 8}, {}, within="text_config.")


def test_what_to_do_about_a_quantised_checkpoint_is_said() -> None:
    with pytest.raises(UnsupportedArchitecture, match="; take the checkpoint that was not quantised"):
        LLaDAConfig.from_dict({**DENSE, "quantization_config": {"bits": 4}})


def test_every_layer_of_a_mixture_has_experts_where_no_list_is_read() -> None:
    refuse_unimplemented({"moe_layer_freq": 1}, {})
    with pytest.raises(UnsupportedArchitecture, match=r"moe_layer_freq = \[1, 0\] is not implemented"):
        refuse_unimplemented({"moe_layer_freq": [1, 0]}, {})


@pytest.mark.parametrize("kinds", [5, True, 1.5, 0, False])
def test_layer_types_that_are_no_list_are_refused(kinds: object) -> None:
    with pytest.raises(UnsupportedArchitecture, match="layer_types = "):
        refuse_layer_types({"layer_types": kinds})


def test_the_mask_is_no_end() -> None:
    with pytest.raises(CheckpointError, match="eos_token_id = 3 is not another token than mask_token_id"):
        end_ids({"eos_token_id": 3, "mask_token_id": 3}, 8)


@pytest.mark.parametrize(
    "changes",
    [{"use_bias": True}, {"qkv_bias": True}, {"n_group": 8}, {"score_function": "sigmoid"},
     {"use_sliding_window": True}, {"num_shared_experts": 1}, {"quantization_config": {}}],
)  # fmt: skip
@pytest.mark.parametrize(
    ("kind", "plain"),
    [(LLaDAMoEConfig, LLADA_MOE_CONFIG), (LLaDAConfig, DENSE)],
    ids=["experts", "dense"],
)
def test_llada_refuses_them_too(kind: Any, plain: Mapping[str, Any], changes: dict[str, Any]) -> None:
    kind.from_dict(plain)
    with pytest.raises(UnsupportedArchitecture, match=f"{next(iter(changes))} = .* is not implemented"):
        kind.from_dict({**plain, **changes})


def test_llada_moe_may_say_its_number_of_experts_twice() -> None:
    plain = LLaDAMoEConfig.from_dict(LLADA_MOE_CONFIG)
    assert LLaDAMoEConfig.from_dict({**LLADA_MOE_CONFIG, "num_local_experts": 6}) == plain
