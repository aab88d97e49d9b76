"""Fields of a ``config.json``: each is checked, and the error names it, what it holds and the remedy."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llada_core.errors import CheckpointError, UnsupportedArchitecture
from llada_runtime.models import fields, variants

NUMBERS = {"hidden_size": 64, "num_attention_heads": 4}
FIXED: dict[str, tuple[object, ...]] = {"bias": (False,), "act": ("silu", "swish"), "clip": ()}
NAN, INFINITE = float("nan"), float("inf")


def refused(told: str) -> Any:
    return pytest.raises(CheckpointError, match=rf"^config\.json: {told}; take the config\.json that was pub")


@pytest.mark.parametrize("value", [True, "2", 2.0, 0, -1, [2], NAN])
def test_what_is_no_positive_integer_is_refused(value: object) -> None:
    with refused(r"n = .* is not a positive integer"):
        fields.integer({"n": value}, "n")


def test_an_integer_may_have_another_least() -> None:
    assert fields.integer({"n": 0}, "n", least=0) == 0
    with refused("n = -1 is not an integer, 0 or more"):
        fields.integer({"n": -1}, "n", least=0)


@pytest.mark.parametrize("value", [True, "2", 0, -0.5, NAN, INFINITE, 10**400, [1.0]])
def test_what_is_no_finite_number_above_zero_is_refused(value: object) -> None:
    with refused("n = .* is not a finite number above 0"):
        fields.number({"n": value}, "n")


def test_a_number_may_be_zero_where_its_reader_says_so() -> None:
    assert fields.number({"n": 0}, "n", or_zero=True) == 0.0
    with refused("n = -1 is not a finite number, 0 or more"):
        fields.number({"n": -1}, "n", or_zero=True)


@pytest.mark.parametrize("value", [0, 1, "true", []])
def test_what_is_neither_true_nor_false_is_refused(value: object) -> None:
    with refused("n = .* is not true or false"):
        fields.boolean({"n": value}, "n", default=False)


@pytest.mark.parametrize("value", [True, "3", -1, 8, 3.0])
def test_what_is_no_id_of_the_vocabulary_is_refused(value: object) -> None:
    with refused("mask_token_id = .* is not an id from 0 to 7"):
        fields.token({"mask_token_id": value}, "mask_token_id", 8)
    for given in (value, [3, value]):
        with refused("eos_token_id = .* is not an id from 0 to 7"):
            fields.end_ids({"eos_token_id": given}, 8)


@pytest.mark.parametrize("data", [{}, {"n": None}])
@pytest.mark.parametrize("read", [fields.integer, fields.number, fields.boolean])
def test_null_is_left_out(data: dict[str, Any], read: Any) -> None:
    with refused("n is missing"):
        read(data, "n")
    assert read(data, "n", default=True if read is fields.boolean else 3) in (True, 3)
    with refused("n is missing"):
        fields.token(data, "n", 8)


def test_end_ids_are_none_one_or_several() -> None:
    told = [fields.end_ids({"eos_token_id": each}, 8) for each in (None, 0, [], [1, 7])]
    assert told == [(), (0,), (), (1, 7)]
    assert fields.end_ids({}, 8) == ()


def test_a_long_value_is_shortened() -> None:
    with refused(r"n = 'xxx.*\.\.\..*' is not a positive integer") as caught:
        fields.integer({"n": "x" * 10000}, "n")
    assert len(str(caught.value)) < 200


class TestHeads:
    def test_they_have_the_defaults_of_transformers(self) -> None:
        assert fields.heads(NUMBERS) == fields.Heads(64, 4, 4, 16)
        given = {**NUMBERS, "num_key_value_heads": 2, "head_dim": 32}
        assert fields.heads(given) == fields.Heads(64, 4, 2, 32)

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"hidden_size": 66}, "hidden_size = 66 is not an even number of channels for each of 4 heads"),
            ({"hidden_size": 2}, "hidden_size = 2 is not an even number of channels for each of 4 heads"),
            ({"num_key_value_heads": 3}, "num_key_value_heads = 3 is not a divisor of 4 heads"),
            ({"head_dim": 15}, "head_dim = 15 is not even"),
        ],
    )
    def test_numbers_that_cannot_go_together_are_refused(self, changes: dict[str, Any], told: str) -> None:
        with refused(told):
            fields.heads({**NUMBERS, **changes})


class TestRotary:
    @pytest.mark.parametrize(
        "data",
        [
            {"rope_theta": 1e4},
            {"rope_theta": 10000, "rope_scaling": None},
            {"rope_theta": 7.0, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}},
            {"rope_scaling": {"type": "default", "factor": None}, "rope_theta": 1e4},
        ],
    )
    def test_both_spellings_of_a_plain_one_are_read(self, data: dict[str, Any]) -> None:
        found = fields.rotary(data)
        assert (found.theta, found.kind, found.part) == (1e4, "default", 1.0)

    @pytest.mark.parametrize("field", ["rope_scaling", "rope_parameters"])
    @pytest.mark.parametrize("name", ["rope_type", "type"])
    def test_other_kinds_are_refused_unless_they_are_implemented(self, field: str, name: str) -> None:
        data = {"rope_theta": 1e4, field: {name: "yarn", "factor": 2.0}}
        with pytest.raises(UnsupportedArchitecture, match=rf"^config.json: {field}.{name} = 'yarn' "):
            fields.rotary(data)
        found = fields.rotary(data, kinds=("default", "yarn"))
        assert (found.kind, found.settings["factor"]) == ("yarn", 2.0)

    def test_one_of_two_kinds_is_not_passed_over(self) -> None:
        data = {"rope_theta": 1e4, "rope_scaling": {"rope_type": "default", "type": "linear"}}
        with pytest.raises(UnsupportedArchitecture, match="type = 'linear' is not implemented"):
            fields.rotary(data)

    @pytest.mark.parametrize("inner", [True, False])
    def test_a_part_of_the_channels_is_refused_unless_it_is_implemented(self, inner: bool) -> None:
        part = {"partial_rotary_factor": 0.5}
        data = {"rope_theta": 1e4, **({"rope_parameters": part} if inner else part)}
        with pytest.raises(UnsupportedArchitecture, match=r"partial_rotary_factor = 0\.5 is not implemented"):
            fields.rotary(data)
        assert fields.rotary(data, parts=True).part == 0.5

    @pytest.mark.parametrize(
        ("data", "told"),
        [
            ({}, "rope_theta is missing"),
            ({"rope_theta": 1}, r"rope_theta = 1\.0 is not a number above 1"),
            ({"rope_theta": INFINITE}, "rope_theta = inf is not a finite number above 0"),
            ({"rope_theta": 1e4, "rope_scaling": "yarn"}, "rope_scaling = 'yarn' is not an object"),
            (
                {"rope_theta": 1e4, "rope_scaling": {"factor": 4}},
                r"rope_scaling = \{'factor': 4\} is not an object that names the rope_type of its factor",
            ),
            (
                {"rope_parameters": {"rope_theta": 1e4, "beta_fast": 32}},
                r"rope_parameters = .* is not an object that names the rope_type of its beta_fast",
            ),
        ],
    )
    def test_a_malformed_one_is_named(self, data: dict[str, Any], told: str) -> None:
        with refused(told):
            fields.rotary(data)


class TestVariants:
    def test_what_is_implemented_or_left_out_passes(self) -> None:
        variants.refuse_variants({"bias": False, "act": "swish", "clip": None, "other": 1}, FIXED)
        variants.refuse_variants({"bias": None}, FIXED)
        variants.refuse_variants({}, FIXED, nullable=False)

    @pytest.mark.parametrize(
        ("data", "told"),
        [
            ({"bias": True}, "bias = True is not implemented (only False is)"),
            ({"bias": 0}, "bias = 0 is not implemented (only False is)"),
            ({"act": ["silu"]}, "act = ['silu'] is not implemented (only 'silu' or 'swish' is)"),
            ({"clip": 8.0}, "clip = 8.0 is not implemented (only null is)"),
        ],
    )
    def test_others_are_refused_by_name(self, data: dict[str, Any], told: str) -> None:
        with pytest.raises(UnsupportedArchitecture) as caught:
            variants.refuse_variants(data, FIXED)
        assert str(caught.value) == f"config.json: {told}; this checkpoint needs its own model code"

    def test_null_may_be_a_value(self) -> None:
        with pytest.raises(UnsupportedArchitecture, match="bias = None is not implemented"):
            variants.refuse_variants({"bias": None}, FIXED, nullable=False)

    @pytest.mark.parametrize("kinds", [["full_attention", "sliding_attention"], "chunked_attention", [1]])
    def test_layers_that_do_not_see_all_are_refused(self, kinds: object) -> None:
        variants.refuse_layer_types({"layer_types": ["full_attention"] * 3})
        with pytest.raises(UnsupportedArchitecture, match=r"layer_types = .* is not implemented"):
            variants.refuse_layer_types({"layer_types": kinds})


class TestTheMask:
    def test_files_are_asked_in_their_order(self, tmp_path: Path) -> None:
        self.write(tmp_path, "added_tokens.json", {"<M>": 3})
        self.write(tmp_path, "tokenizer_config.json", {"mask_token": "<M>"})
        assert self.told({}, tmp_path) == self.told({"mask_token_id": None}, tmp_path) == 3
        self.write(tmp_path, "generation_config.json", {"mask_token_id": 2})
        assert self.told({}, tmp_path) == 2
        assert self.told({"mask_token_id": 1}, tmp_path) == 1

    def test_a_malformed_one_is_not_replaced(self, tmp_path: Path) -> None:
        self.write(tmp_path, "generation_config.json", {"mask_token_id": 2})
        data = fields.with_mask({"mask_token_id": "<M>"}, tmp_path, published=4)
        with refused("mask_token_id = '<M>' is not an id from 0 to 7"):
            fields.token(data, "mask_token_id", 8)

    def test_where_none_tells_the_published_one_is_named_or_assumed(self, tmp_path: Path) -> None:
        assert fields.with_mask({"a": 1}, tmp_path, published=4, assume=True) == {"a": 1, "mask_token_id": 4}
        told = "mask_token_id is missing, and no other file .* add the id of the mask token to config.json"
        with pytest.raises(CheckpointError, match=rf"{told} \(published models of this family have 4\)$"):
            self.told({}, tmp_path)
        with pytest.raises(CheckpointError, match=rf"{told}$"):
            fields.with_mask({}, tmp_path)

    @staticmethod
    def told(data: dict[str, Any], folder: Path) -> object:
        return fields.with_mask(data, folder, published=4)["mask_token_id"]

    @staticmethod
    def write(folder: Path, name: str, data: dict[str, Any]) -> None:
        (folder / name).write_text(json.dumps(data))


def test_a_field_may_have_several_names() -> None:
    assert fields.first_given({"a": None, "b": 2, "c": 3}, "a", "b", "c") == "b"
    with pytest.raises(CheckpointError, match="a or b is missing, and decoding needs it; add it to the file"):
        fields.first_given({"a": None}, "a", "b")


def test_they_need_no_torch() -> None:
    code = "import sys, llada_runtime.models.fields; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
