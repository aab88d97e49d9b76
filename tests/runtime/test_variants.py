"""Fields that no network here implements are refused by every family that does not say otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from llada_core.errors import CheckpointError, UnsupportedArchitecture
from llada_runtime.models.fields import end_ids, refuse_layer_types
from llada_runtime.models.llada_moe_config import LLaDAMoEConfig
from llada_runtime.models.variants import HARMLESS, refuse_unimplemented
from tests.support.llada_moe import LLADA_MOE_7B, LLADA_MOE_CONFIG


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
def test_llada_moe_refuses_them_too(changes: dict[str, Any]) -> None:
    LLaDAMoEConfig.from_dict(LLADA_MOE_7B)
    with pytest.raises(UnsupportedArchitecture, match=f"{next(iter(changes))} = .* is not implemented"):
        LLaDAMoEConfig.from_dict({**LLADA_MOE_CONFIG, **changes})
