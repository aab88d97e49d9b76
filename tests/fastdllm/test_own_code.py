"""Foreign models: found without being named, run by their own code, and told where that cannot be."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import llada_core
from llada_core import (
    AlgorithmUnavailable,
    EndTokenWarning,
    EngineSkipped,
    IncompatibleEngine,
    LoadedModel,
    ModelLoadError,
    UnsupportedModel,
    UsageError,
)
from llada_core.cli.program import run
from llada_fastdllm import RunsByOwnCode
from llada_runtime import RemoteNetwork
from llada_runtime.models.own_code import auto_classes
from tests.fastdllm.foreign_model import auto_map, remote_folder

SLOWER = "by the code that comes with it, .*: nothing can be cached, .* such as 'basic'"
by_own_code = pytest.mark.filterwarnings("ignore::llada_fastdllm.generation.RunsByOwnCode")


def toy(folder: Path, **changes: Any) -> Path:
    """A model of an architecture that no engine knows."""
    return remote_folder(folder, **{"model_type": "toy", **changes})


def load(folder: Path, **how: Any) -> LoadedModel:
    return llada_core.load_model(folder, device="cpu", trust_remote_code=True, **how)


def answer(folder: Path) -> tuple[int, ...]:
    with load(folder) as lm:
        return lm.generate([4, 5], algorithm="basic", gen_length=3).token_ids


# -- whether it is run


def test_what_its_own_code_runs_is_not_quantised(tmp_path: Path) -> None:
    with pytest.raises(
        ModelLoadError, match=r"quantization 'fp8' is for networks of ours, .*; leave quantiz"
    ):
        load(toy(tmp_path), quantization="fp8")


def test_a_trusted_model_that_no_engine_knows_is_run_and_said_to_be_slower(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    with pytest.warns(RunsByOwnCode, match=SLOWER):
        lm = load(folder)
    assert lm.engine.name == "fast-dllm"
    assert isinstance(lm.model.network, RemoteNetwork)
    assert lm.generate([4, 5], algorithm="basic", gen_length=3).token_ids == (2, 3, 4)


def test_one_that_is_not_trusted_is_refused_with_what_would_help(tmp_path: Path) -> None:
    with pytest.raises(
        UnsupportedModel, match=r"fast-dllm can run it by the Python code .*trust_remote_code=True"
    ):
        llada_core.load_model(toy(tmp_path), device="cpu")


@pytest.mark.filterwarnings("default::llada_fastdllm.generation.RunsByOwnCode")
def test_the_program_shows_the_warning_and_the_advice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call = ("generate", "x", "--model", str(toy(tmp_path)), "--device", "cpu", "--algorithm", "basic")
    assert run(call) == 1
    assert (
        "give trust_remote_code=True (--trust-remote-code) if you trust that code" in capsys.readouterr().err
    )
    assert run([*call, "--trust-remote-code"]) == 1  # it has no tokenizer
    assert "warning: the model runs by the code that comes with it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "architecture", ["DreamyModel", "SDARForCausalLM", "LLaDA2MoeModelLM", "JetNemotronForCausalLM"]
)
def test_what_its_code_would_decode_to_noise_is_refused_by_name(tmp_path: Path, architecture: str) -> None:
    folder = toy(tmp_path, architectures=[architecture])
    with pytest.raises(IncompatibleEngine, match="the engine fast-dllm does not take"):
        load(folder, engine="fast-dllm")


def test_where_no_engine_takes_it_it_is_told_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModel, match=r"is an? .*model"):
        load(toy(tmp_path, architectures=["JetNemotronForCausalLM"]))


def test_a_variant_of_a_known_model_says_who_can_run_it(tmp_path: Path) -> None:
    folder = remote_folder(tmp_path)
    with pytest.raises(
        ModelLoadError, match=r"give trust_remote_code=True|with trust_remote_code=True|engine='fast"
    ):
        llada_core.load_model(folder, device="cpu")
    with pytest.warns(RunsByOwnCode, match="block_type = 'toy' is not implemented"):
        lm = load(folder, engine="fast-dllm")
    assert lm.generate([4, 5], algorithm="basic", gen_length=3).token_ids == (2, 3, 4)


@by_own_code
def test_a_model_of_the_same_type_with_other_fields_is_foreign_too(tmp_path: Path) -> None:
    folder = remote_folder(tmp_path, architectures=["LLaDAWideModelLM"], block_type=...)
    with pytest.raises(
        ModelLoadError, match=r"architectures is \['LLaDAWideModelLM'\], with other fields .*d_model"
    ):
        llada_core.load_model(folder, device="cpu", engine="fast-dllm")
    with load(folder, engine="fast-dllm") as lm:
        assert lm.generate([4, 5], algorithm="basic", gen_length=3).token_ids == (2, 3, 4)


ADVICE = "fast-dllm can run it by the Python code that comes with it: give "


@pytest.mark.parametrize("trust", [True, False])
def test_a_named_engine_that_does_not_implement_a_variant_names_one_that_can_run_it(
    tmp_path: Path, trust: bool
) -> None:
    pytest.importorskip("llada_dinfer")
    advice = re.escape(f"{ADVICE}engine='fast-dllm' and trust_remote_code=True (--engine fast-dllm --trust-")
    with pytest.raises(ModelLoadError, match=advice) as told:
        llada_core.load_model(remote_folder(tmp_path), engine="dinfer", device="cpu", trust_remote_code=trust)
    assert isinstance(told.value.__cause__, llada_core.UnsupportedArchitecture)


@by_own_code
def test_one_that_is_not_named_gives_way_where_the_code_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("llada_dinfer")
    folder = remote_folder(tmp_path)
    with pytest.raises(
        ModelLoadError, match=re.escape(f"{ADVICE}trust_remote_code=True (--trust-remote-code)")
    ):
        llada_core.load_model(folder, device="cpu")
    with pytest.warns(
        EngineSkipped, match=r"is given to fast-dllm: dinfer does not implement it: config\.json"
    ):
        lm = load(folder)
    assert (lm.engine.name, lm.algorithms()["basic"]) == ("fast-dllm", None)
    monkeypatch.setenv("LLADA_ENGINE", "dinfer")
    with pytest.raises(ModelLoadError, match="engine='fast-dllm'"):
        load(folder)


def test_a_foreign_model_is_refused_unless_its_code_is_trusted(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match="trust_remote_code=True the algorithm 'basic' can run it"):
        llada_core.get_algorithm("basic").load_model_from_hf(remote_folder(tmp_path), device="cpu")


@by_own_code
def test_basic_runs_a_foreign_model_by_its_own_code(tmp_path: Path) -> None:
    algorithm = llada_core.get_algorithm("basic")
    network = algorithm.load_model_from_hf(remote_folder(tmp_path), device="cpu", trust_remote_code=True)
    assert isinstance(network, RemoteNetwork)
    output, nfe = algorithm.generate(
        network, torch.tensor([[4, 5], [0, 6]]), attention_mask=torch.tensor([[1, 1], [0, 1]]),
        gen_length=5, block_length=3,
    )  # fmt: skip
    # The toy predicts, at every position, the position's index: rows of unequal length start at their own 0.
    assert output[:, 2:].tolist() == [[2, 3, 4, 5, 6], [1, 2, 3, 4, 5]]
    assert nfe == 5


@by_own_code
@pytest.mark.parametrize("name", ["prefix_cache", "dual_cache"])
def test_cached_algorithms_say_why_a_foreign_model_cannot_be_cached(tmp_path: Path, name: str) -> None:
    algorithm = llada_core.get_algorithm(name)
    network = algorithm.load_model_from_hf(remote_folder(tmp_path), device="cpu", trust_remote_code=True)
    with pytest.raises(AlgorithmUnavailable, match="cannot be cached; use the algorithm 'basic'"):
        algorithm.generate(network, torch.tensor([[4, 5]]))


@by_own_code
def test_a_foreign_model_lists_which_algorithms_it_is_fit_for(tmp_path: Path) -> None:
    folder = remote_folder(tmp_path)
    lm = llada_core.load_model(folder, engine="fast-dllm", device="cpu", trust_remote_code=True)
    reason = lm.algorithms()["dual_cache"]
    assert reason
    assert reason.endswith("cannot be cached; use the algorithm 'basic'")
    listed = lm.algorithms()
    assert (listed["basic"], listed["prefix_cache"]) == (None, reason)
    # Whatever else is installed: what caches, or hides columns, is refused, and the rest runs.
    refused = [told for told in listed.values() if told is not None]
    assert all("cannot be cached" in told or "cannot hide columns" in told for told in refused)
    for name in (name for name, told in listed.items() if told is None):
        needed = lm.algorithm(name).parameters_on(lm.model.network)
        assert lm.generate([4, 5], algorithm=name, gen_length=3, **needed).nfe >= 1
    with pytest.raises(AlgorithmUnavailable, match=f"dual_cache cannot run on .*: {reason}"):
        lm.generate([4, 5], algorithm="dual_cache")


@by_own_code
def test_a_call_that_names_no_algorithm_gets_one_that_can_run(tmp_path: Path) -> None:
    folder = remote_folder(tmp_path)
    with llada_core.load_model(folder, engine="fast-dllm", device="cpu", trust_remote_code=True) as lm:
        answer = lm.generate([4, 5], gen_length=3)
    assert (answer.algorithm, answer.token_ids) == ("basic", (2, 3, 4))


def test_a_foreign_config_that_lacks_a_mask_token_says_so(tmp_path: Path) -> None:
    folder = remote_folder(tmp_path, mask_token_id=None)
    with pytest.raises(ModelLoadError, match="mask_token_id is missing"):
        llada_core.get_algorithm("basic").load_model_from_hf(folder, device="cpu", trust_remote_code=True)


@by_own_code
def test_a_named_engine_takes_a_foreign_model_whose_code_is_trusted(tmp_path: Path) -> None:
    folder = toy(tmp_path)
    with pytest.raises(IncompatibleEngine):
        llada_core.load_model(folder, engine="fast-dllm", device="cpu")
    lm = llada_core.load_model(folder, engine="fast-dllm", device="cpu", trust_remote_code=True)
    assert lm.generate([4, 5], algorithm="basic", gen_length=3).token_ids == (2, 3, 4)


# -- which class it is


@by_own_code
@pytest.mark.parametrize(
    "classes",
    [
        {"AutoModel": "ToyModel"},
        {"AutoModel": "ToyBase", "AutoModelForCausalLM": "ToyModel"},
        {"AutoModel": "ToyBase", "AutoModelForMaskedLM": "ToyModel"},
        {"AutoModelForCausalLM": "ToyBase", "AutoModelForMaskedLM": "ToyModel", "AutoModel": "ToyBase"},
        {"AutoModelForCausalLM": "ToyModel"},
        {"AutoModelForMaskedLM": "ToyModel"},
        {"AutoModel": "ToyBase", "AutoModelForPreTraining": "ToyModel"},
        {"AutoModelForCausalLM": "ToyBase", "AutoModel": "ToyModel"},
        {"AutoModel": "ToyDict"},
    ],
    ids=lambda classes: ",".join(f"{n.removeprefix('AutoModel')}:{c}" for n, c in classes.items()),
)
def test_the_class_that_gives_logits_is_used_under_whatever_name(
    tmp_path: Path, classes: dict[str, str]
) -> None:
    assert answer(toy(tmp_path, auto_map=auto_map(**classes))) == (2, 3, 4)


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (
            {"AutoModel": "ToyBase"},
            r"no logits \(AutoModel is ToyBase, which returns BaseModelOutput without logits\)",
        ),
        ({"AutoModel": "ToyTuple"}, "AutoModel is ToyTuple, which returns tuple without logits"),
        ({"AutoModelForMaskedLM": "ToyFlat"}, r"whose logits for two ids are \[1, 32\] and not \[1, 2, 32\]"),
        (
            {"AutoModel": "ToyBase", "AutoModelForCausalLM": "ToyTuple"},
            "AutoModelForCausalLM is ToyTuple, .*; AutoModel is ToyBase, .*; let auto_map in config.json",
        ),
        ({"AutoModel": "ToyAsking"}, r"cannot be called with input_ids alone \(TypeError: .*timestep"),
        (
            {"AutoModel": "ToyLarger"},
            r"the weights lack more.bias, more.weight \(2 that .*; download them again",
        ),
        (
            {"AutoModelForDreams": "ToyModel"},
            "auto_map names AutoModelForDreams, which transformers .* does not have",
        ),
        ({"AutoModel": "Absent"}, "the model's own code cannot load it .*Absent"),
    ],
)
def test_a_model_without_logits_is_told_what_its_code_gives(
    tmp_path: Path, classes: dict[str, str], said: str
) -> None:
    with pytest.raises(ModelLoadError, match=said):
        load(toy(tmp_path, auto_map=auto_map(**classes)))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("AutoModel",)),
        ({"AutoConfig": "a.C"}, ("AutoModel",)),
        ({"AutoModel": "a.M", "AutoModelForCausalLM": "a.M"}, ("AutoModelForCausalLM",)),
        ({"AutoModel": "a.B", "AutoModelForCausalLM": "a.M"}, ("AutoModelForCausalLM", "AutoModel")),
        (
            {
                "AutoModelForX": "a.X",
                "AutoModel": "a.B",
                "AutoModelForMaskedLM": "a.M",
                "AutoModelForCausalLM": "a.C",
            },
            ("AutoModelForMaskedLM", "AutoModelForCausalLM", "AutoModel", "AutoModelForX"),
        ),
        ({"AutoModel": 3, "AutoTokenizer": ["a.T", None]}, ("AutoModel",)),
        ([], ("AutoModel",)),
        (None, ("AutoModel",)),
    ],
)
def test_the_likeliest_class_is_asked_first_and_each_once(given: Any, expected: tuple[str, ...]) -> None:
    assert auto_classes({"auto_map": given}) == expected


# -- what its files say


CODE = {
    "error": "raise RuntimeError('needs a newer library')",
    "exit": "import sys; sys.exit('a newer library')",
    "panic": "class Panic(BaseException): pass\nraise Panic('a newer library')",
}


@pytest.mark.parametrize("code", CODE.values(), ids=CODE.keys())
def test_code_that_fails_in_any_way_says_so(tmp_path: Path, code: str) -> None:
    folder = toy(tmp_path)
    (folder / "modeling_toy.py").write_text(code)
    with pytest.raises(
        ModelLoadError, match=r"the model's own code cannot load it .*a newer library.*; see its mod"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mask_token_id": 32}, "mask_token_id = 32 is not an id from 0 to 31; take"),
        ({"eos_token_id": "x"}, "eos_token_id = 'x' is not an id from 0 to 31"),
        ({"eos_token_id": [29, 99]}, "eos_token_id = 99 is not an id"),
        ({"vocab_size": None}, "embedding_size or vocab_size or padded_vocab_size is missing"),
        ({"vocab_size": "many"}, "vocab_size = 'many' is not a positive integer; take the"),
        ({"max_position_embeddings": None}, "max_sequence_length or .* is missing"),
    ],
)
def test_a_config_that_lacks_what_decoding_needs_says_so(
    tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(ModelLoadError, match=said):
        load(toy(tmp_path, **changes), engine="fast-dllm")


@by_own_code
def test_other_files_may_tell_the_mask_and_its_class_the_rest(tmp_path: Path) -> None:
    folder = toy(tmp_path, mask_token_id=None, eos_token_id=None, max_position_embeddings=...)
    code = (folder / "modeling_toy.py").read_text()
    told = 'model_type = "toy"\n    max_position_embeddings = 64'
    (folder / "modeling_toy.py").write_text(code.replace('model_type = "toy"', told))
    (folder / "special_tokens_map.json").write_text(json.dumps({"mask_token": "[M]"}))
    (folder / "added_tokens.json").write_text(json.dumps({"[M]": 30}))
    with pytest.warns(EndTokenWarning, match="declares no end token"):
        config = load(folder).model.network.config
    assert (config.mask_token_id, config.eos_ids, config.max_sequence_length) == (30, (), 64)


@by_own_code
def test_autocast_around_it_is_off_inside(tmp_path: Path) -> None:
    folder = toy(tmp_path, auto_map=auto_map(AutoModel="ToyCareful"))
    with load(folder) as lm, torch.autocast("cpu", dtype=torch.bfloat16):
        assert lm.generate([4, 5], algorithm="basic", gen_length=3).token_ids == (2, 3, 4)


@by_own_code
def test_a_model_that_only_its_own_code_runs_is_not_split(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="by the code that comes with it alone; leave tensor_parallel out"):
        load(toy(tmp_path), tensor_parallel=2)
