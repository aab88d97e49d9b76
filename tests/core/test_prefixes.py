"""The model among the names that trainers save, by the names that the network gives its tensors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llada_core.checkpoints.dcp_source import DcpContents
from llada_core.checkpoints.prefixes import AmbiguousPrefix, changes, names_in_model

LLADA = (
    "model.transformer.wte.weight",
    "model.transformer.blocks.0.q_proj.weight",
    "model.transformer.blocks.1.q_proj.weight",
    "model.transformer.ff_out.weight",
)
NEMOTRON = ("encoder.embed_tokens.weight", "encoder.layers.0.mlp.up_proj.weight", "diffusion_head.weight")
FAMILIES = (LLADA, NEMOTRON)

word = st.sampled_from(["model", "app", "module", "policy", "state", "model_state_dict", "trainer", "x7"])
prefixes = st.lists(word, max_size=4).map(lambda words: "".join(f"{each}." for each in words))
SURPLUS = (
    "step",
    "lr",
    "optimizer.param_groups.0.lr",
    "scheduler.last_epoch",
    "dataloader.rng",
    "v_head.weight",
    *(f"optimizer.state.{name}.exp_avg" for name in (*LLADA, *NEMOTRON)),
    *(f"optim.exp_avg.{name}" for name in (*LLADA, *NEMOTRON)),
)


@given(
    known=st.sampled_from(FAMILIES), prefix=prefixes, surplus=st.lists(st.sampled_from(SURPLUS), unique=True)
)
def test_any_prefix_is_found_and_what_is_not_the_models_is_left_out(
    known: tuple[str, ...], prefix: str, surplus: list[str]
) -> None:
    stored = [*surplus, *(prefix + name for name in known)]
    assert names_in_model(stored, known) == {prefix + name: name for name in known}


@given(
    prefix=prefixes,
    wrapper=st.sampled_from(["_orig_mod.", "_fsdp_wrapped_module.", "_checkpoint_wrapped_module."]),
)
def test_wrappers_inside_the_names_are_taken_off(prefix: str, wrapper: str) -> None:
    stored = [prefix + wrapper + name.replace(".0.", f".0.{wrapper}") for name in LLADA]
    assert sorted(names_in_model(stored, LLADA).values()) == sorted(LLADA)


@given(
    prefix=prefixes,
    lacking=st.sampled_from(["model.", "model.transformer."]),
    surplus=st.lists(st.sampled_from(SURPLUS), unique=True),
)
def test_names_may_lack_what_all_of_the_models_begin_with(
    prefix: str, lacking: str, surplus: list[str]
) -> None:
    stored = [*surplus, *(f"{prefix}part.{name.removeprefix(lacking)}" for name in LLADA)]
    assert sorted(names_in_model(stored, LLADA).values()) == sorted(LLADA)
    bare = [*surplus, *(name.removeprefix(lacking) for name in LLADA)]
    assert sorted(names_in_model(bare, LLADA).values()) == sorted(LLADA)


def test_of_a_whole_model_and_a_part_of_one_the_whole_is_taken() -> None:
    stored = [*(f"policy.{name}" for name in LLADA), *(f"old.{name}" for name in LLADA[:2])]
    assert set(names_in_model(stored, LLADA)) == {f"policy.{name}" for name in LLADA}


def test_two_whole_models_are_ambiguous_until_a_prefix_is_given() -> None:
    stored = [f"{part}.{name}" for part in ("policy", "ref") for name in LLADA]
    with pytest.raises(AmbiguousPrefix) as told:
        names_in_model(stored, LLADA)
    assert told.value.prefixes == ["policy.", "ref."]
    for part in ("policy.", "ref."):
        assert set(names_in_model(stored, LLADA, prefix=part)) == {part + name for name in LLADA}


def test_what_stands_where_the_models_tensors_stand_is_the_models() -> None:
    bias = "model.transformer.blocks.0.q_proj.bias"
    assert names_in_model([*(f"app.{n}" for n in LLADA), f"app.{bias}"], LLADA)[f"app.{bias}"] == bias
    assert names_in_model([*NEMOTRON, "encoder.extra"], NEMOTRON)["encoder.extra"] == "encoder.extra"


def test_what_is_missing_is_not_made_up() -> None:
    stored = [f"app.{name}" for name in LLADA[1:]]
    assert names_in_model(stored, LLADA) == {f"app.{name}": name for name in LLADA[1:]}


@pytest.mark.parametrize("known", FAMILIES)
@pytest.mark.parametrize("stored", [[], ["a.b", "step"], ["optimizer.model.transformer.wte.weight"]])
def test_where_nothing_is_the_models_nothing_is_found(stored: list[str], known: tuple[str, ...]) -> None:
    assert names_in_model(stored, known) == {}


@pytest.mark.parametrize("prefix", ["", "model.", "module.", "app.module.", "state_dict.model."])
def test_without_the_networks_names_common_wrappers_are_taken_off(prefix: str) -> None:
    stored = [*(prefix + name for name in LLADA), "optimizer.state.x"]
    assert sorted(names_in_model(stored, ()).values()) == sorted(LLADA)


def test_a_parameter_of_the_model_may_be_called_like_state_of_an_optimizer() -> None:
    known = ("model.gradient_gate.weight", "model.out.weight")
    assert names_in_model(known, known) == dict(zip(known, known, strict=True))


@given(
    known=st.sampled_from(FAMILIES),
    prefix=prefixes,
    lacking=st.sampled_from(["", "model.", "model.transformer."]),
    wrappers=st.sets(st.sampled_from(["_orig_mod.", "_fsdp_wrapped_module."])),
)
def test_what_was_changed_about_names_can_be_told(
    known: tuple[str, ...], prefix: str, lacking: str, wrappers: set[str]
) -> None:
    inside = "".join(sorted(wrappers))
    before = f"{prefix}part." if lacking else prefix
    stored = [before + inside + name.removeprefix(lacking) for name in known]
    added = lacking if known == LLADA else ""
    assert changes(names_in_model(stored, known)) == (before, tuple(sorted(wrappers)), added)


def told(names: tuple[str, ...], left_out: tuple[str, ...] = (), values: tuple[str, ...] = ()) -> str:
    read = {f"app.{name}": name for name in names}
    return DcpContents(path="here", names=read, left_out=left_out, values=values).told.partition("; ")[2]


def test_what_is_left_out_is_named_up_to_where_the_model_is_not() -> None:
    assert told(LLADA) == "left out: nothing"
    beside = ("app.optimizer.state.0.exp_avg", "app.optimizer.state.1.exp_avg", "ref.wte", "app.model.head.b")
    named = "app.lr (1 value), app.model.head (1 tensor), app.optimizer (2 tensors), ref (1 tensor)"
    assert told(LLADA, beside, ("app.lr",)) == f"left out, as not the model's: {named}"


def test_of_much_that_is_left_out_some_is_named() -> None:
    many = tuple(f"part{number}.x" for number in range(9))
    assert told(LLADA, many).endswith(", part5 (1 tensor), 3 more")
