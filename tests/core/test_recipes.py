"""Algorithms as they were written for the registry that this one replaces: ``__init__`` names them, nothing
is declared, ``load_model_class`` loads by transformers, and ``generate`` is told everything by keywords."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers import AutoModel

import llada_core
from llada_core import (
    GenerationAlgorithm,
    InvalidSpec,
    ModelLoadError,
    ParameterError,
    UsageError,
    load_model,
    register_algorithm,
    standard,
)
from llada_core.testing import FakeSite, check_algorithm
from tests.support.program import Llada, error

pytestmark = pytest.mark.usefixtures("world")

STANDARD_CALL = {
    "steps": 16,
    "gen_length": 12,
    "block_length": 4,
    "temperature": 1.0,
    "remasking": True,
    "threshold": 0.95,
    "factor": 1.0,
}


class MyAlgorithm(GenerationAlgorithm):
    def __init__(self) -> None:
        super().__init__(name="my_algo", description="My custom algorithm")

    def load_model_class(self, model_path: Any, **kwargs: Any) -> Any:
        return AutoModel.from_pretrained(model_path, **kwargs)

    def generate(self, model: Any, prompt: Any, **kwargs: Any) -> Any:
        validated_args = self.validate_args(**kwargs)
        answer = torch.full((len(prompt), validated_args["gen_length"]), 7)
        return torch.cat((prompt, answer), dim=1), validated_args["steps"]

    def is_available(self) -> bool:
        return True


class Names(MyAlgorithm):
    """``load_model_class`` names the class of transformers."""

    def load_model_class(self) -> Any:  # type: ignore[override]
        return AutoModel


class Loads(MyAlgorithm):
    """The hook by its other name, with the keyword of earlier versions of transformers."""

    def load_model(self, path: str, torch_dtype: Any = None, trust_remote_code: bool = False) -> Any:
        assert trust_remote_code is False
        return AutoModel.from_pretrained(path, dtype=torch_dtype)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A model of transformers, without a tokenizer."""
    config = transformers.BertConfig(
        vocab_size=40,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        eos_token_id=39,
    )
    transformers.BertModel(config).save_pretrained(tmp_path / "bert")
    return tmp_path / "bert"


@pytest.mark.parametrize("recipe", [MyAlgorithm, Names, Loads])
def test_it_is_registered_loads_its_model_and_generates(recipe: Callable[[], Any], checkpoint: Path) -> None:
    register_algorithm(recipe(), aliases=["my_custom"])
    algorithm = llada_core.get_algorithm("my_custom")
    assert algorithm.is_available()
    model = algorithm.load_model_from_hf(checkpoint, device="cpu", dtype="float64")
    assert (type(model).__name__, model.dtype, model.training) == ("BertModel", torch.float64, False)
    output, nfe = algorithm.generate(model=model, prompt=torch.tensor([[1, 2]]), **STANDARD_CALL)
    assert (output.shape, nfe) == ((1, 14), 16)


def test_it_is_an_engine_of_its_own(checkpoint: Path) -> None:
    register_algorithm(MyAlgorithm(), aliases=["my_custom"])
    lm = load_model(checkpoint, engine="my_algo", device="cpu")
    assert lm.algorithms() == {"my_algo": None}
    result = lm.generate([1, 2], **STANDARD_CALL)
    assert (result.token_ids, result.nfe, result.engine) == ((7,) * 12, 16, "my_algo")
    assert not llada_core.get_algorithm_info("my_algo").streams
    (step,) = lm.stream([1, 2], algorithm="my_custom")
    assert step.finished


def test_prompts_of_different_lengths_are_calls_of_their_own(checkpoint: Path) -> None:
    seen: list[Any] = []

    class Watched(MyAlgorithm):
        def generate(self, model: Any, prompt: Any, **kwargs: Any) -> Any:
            assert "attention_mask" not in kwargs
            seen.append(prompt.tolist())
            return super().generate(model, prompt, **kwargs)

    register_algorithm(Watched())
    lm = load_model(checkpoint, engine="my_algo", device="cpu")
    assert [len(r.token_ids) for r in lm.generate([[1], [2, 3], [4]], max_tokens=5)] == [5, 5, 5]
    assert seen == [[[1], [4]], [[2, 3]]]


def test_the_standard_parameters_are_its_own_and_steps_are_a_number(checkpoint: Path) -> None:
    mine = MyAlgorithm()
    assert mine.get_required_args() == {
        "gen_length": 128,
        "block_length": 32,
        "steps": 128,
        "temperature": 0.0,
        "remasking": "low_confidence",
        "threshold": 0.9,
        "factor": None,
    }
    assert mine.validate_args(max_tokens=50)["steps"] == 50
    told = r"my_algo does not take seed=3; leave it out, .*; to take it, name it in MyAlgorithm\.generate, or"
    with pytest.raises(ParameterError, match=told):
        mine.validate_args(seed=3)
    with pytest.raises(ParameterError, match=r"my_algo: threshold=2 is out of range; .* or none$"):
        mine.validate_args(threshold=2)


def test_what_its_generate_names_is_what_it_takes() -> None:
    class Named(MyAlgorithm):
        def generate(  # type: ignore[override]
            self,
            model: Any,
            prompt: Any,
            steps: int,
            gen_length: int,
            block_length: int,
            temperature: float = 1.0,
            remasking: bool = False,
            threshold: float = 0.95,
            seed: int | None = None,
            width: int = 3,
        ) -> Any:
            return prompt, 1

    mine = Named()
    assert mine.get_required_args() == {
        "steps": 128,
        "gen_length": 128,
        "block_length": 32,
        "temperature": 1.0,
        "remasking": "random",
        "threshold": 0.95,
        "seed": None,
        "width": 3,
    }
    assert mine.validate_args(steps=8, width=4)["threshold"] == 0.95
    with pytest.raises(ParameterError, match="my_algo does not take factor=1"):
        mine.validate_args(factor=1.0)


@pytest.mark.parametrize("default", [None, {}, (), object()])
def test_a_keyword_that_does_not_tell_its_kind_is_refused_where_it_is_registered(default: Any) -> None:
    class Untold(MyAlgorithm):
        def generate(self, model: Any, prompt: Any, temp: Any = default) -> Any:  # type: ignore[override]
            return prompt, 1

    told = (
        r"Untold\.generate has temp=.*, which does not tell its kind; declare .*\(name='temp', kind=…, null"
    )
    with pytest.raises(InvalidSpec, match=told):
        register_algorithm(Untold)


def test_no_advice_is_to_name_what_is_named() -> None:
    class Untold(MyAlgorithm):
        parameters = (standard("steps"),)

        def generate(self, model: Any, prompt: Any, steps: int = 4, temp: Any = None) -> Any:  # type: ignore[override]
            return prompt, 1

    register_algorithm(Untold)
    with pytest.raises(ParameterError, match=r"does not take temp; did you mean steps[?] It takes steps$"):
        Untold().validate_args(temp=3)


def test_a_generate_that_does_not_take_what_is_declared_is_refused_where_it_is_registered() -> None:
    class Deaf(MyAlgorithm):
        parameters = (standard("gen_length"), standard("steps"), standard("seed"))

        def generate(self, model: Any, prompt: Any, gen_length: int = 4) -> Any:  # type: ignore[override]
            return prompt, 1

    told = r"Deaf\.generate takes no steps and no seed; name them, add \*\*params, or declare parameters = "
    with pytest.raises(InvalidSpec, match=told):
        register_algorithm(Deaf)


def test_a_generate_that_takes_no_model_is_refused_where_it_is_registered() -> None:
    class Modelless(MyAlgorithm):
        def generate(self, prompt: Any, **kwargs: Any) -> Any:  # type: ignore[override]
            return prompt, 1

    with pytest.raises(
        InvalidSpec, match=r"takes no model and prompt; write generate\(self, model, prompt, …"
    ):
        register_algorithm(Modelless)


def test_a_generate_that_needs_what_is_not_declared_is_refused_where_it_is_registered() -> None:
    class Needs(MyAlgorithm):
        parameters = ()

        def generate(self, model: Any, prompt: Any, steps: int) -> Any:  # type: ignore[override]
            return prompt, 1

    with pytest.raises(
        InvalidSpec, match=r"Needs\.generate needs steps, which no call would give; give it a"
    ):
        register_algorithm(Needs)


def test_of_a_plugin_that_is_the_reason_why_it_is_unavailable(world: FakeSite) -> None:
    code = (
        "from llada_core import AlgorithmSpec, GenerationAlgorithm, hookimpl, standard\n\n\n"
        "class Deaf(GenerationAlgorithm):\n"
        "    def load_model_class(self):\n        return dict\n"
        "    def generate(self, model, prompt):\n        return prompt, 1\n\n\n"
        "@hookimpl\ndef llada_algorithms():\n"
        "    yield AlgorithmSpec(name='deaf', engine='fake', target='deaf:Deaf', summary='Deaf.',\n"
        "                        parameters=(standard('steps'),))\n"
    )
    world.add("llada-deaf", modules={"deaf": code}, entry_points={"deaf": "deaf"})
    with world.shared():
        reason = llada_core.get_algorithm("deaf").unavailable_reason
    assert reason is not None
    assert reason.startswith("Deaf.generate takes no steps; name it, add **params, or declare parameters = (")


def test_a_parameter_that_nobody_could_give_is_told_when_it_is_registered() -> None:
    class Needy(MyAlgorithm):
        def generate(self, model: Any, prompt: Any, wish: Any) -> Any:  # type: ignore[override]
            return prompt, 1

    with pytest.raises(
        InvalidSpec, match=r"Needy\.generate needs wish, which no call would give; give it a d"
    ):
        register_algorithm(Needy())


@pytest.mark.parametrize("given", [None, "a folder", dict, 3])
def test_what_is_neither_a_class_nor_a_model_is_told(given: Any, checkpoint: Path) -> None:
    class Wrong(MyAlgorithm):
        def load_model_class(self) -> Any:  # type: ignore[override]
            return given

    with pytest.raises(
        ModelLoadError, match=r"load_model_class returned .*; return a class that has from_pre"
    ):
        Wrong().load_model_from_hf(checkpoint)


def test_a_loader_that_does_not_take_what_it_is_given_is_told(checkpoint: Path) -> None:
    class Trusting(MyAlgorithm):
        def load_model_class(self, model_path: Any, **kwargs: Any) -> Any:
            return AutoModel.from_pretrained(model_path, trust_remote_code=True, **kwargs)

    assert Trusting().load_model_from_hf(checkpoint)
    told = r"load_model_class\(folder, dtype=…, trust_remote_code=…\) failed: TypeError: .* multiple values"
    with pytest.raises(ModelLoadError, match=told):
        Trusting().load_model_from_hf(checkpoint, trust_remote_code=True)


def test_a_dtype_that_torch_does_not_know_is_told(checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="dtype 'float31' is none of torch's; give float32, bfloat16"):
        Names().load_model_from_hf(checkpoint, dtype="float31")


def test_a_device_that_torch_does_not_know_is_told(checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="device 'moon' is not known to torch; give cpu, cuda or cuda:N"):
        Names().load_model_from_hf(checkpoint, device="moon")


def test_it_passes_the_checks_of_the_kit(checkpoint: Path) -> None:
    held = check_algorithm(MyAlgorithm, model=load_bert(checkpoint))
    assert "a batch is its rows alone" in held


def load_bert(checkpoint: Path) -> Any:
    return AutoModel.from_pretrained(checkpoint)


def test_one_of_a_wheel_that_declares_nothing_is_called_like_any_other(
    world: FakeSite, folder: Path, llada: Llada
) -> None:
    plugin = (
        "from llada_core import AlgorithmSpec, hookimpl\n\n\n@hookimpl\ndef llada_algorithms():\n"
        "    yield AlgorithmSpec(name='mine', engine='fake', target='mine_code:Mine', summary='',\n"
        "                        streams=False)\n"
    )
    code = (
        "import torch\nfrom fake_engine import Opaque\n\n\nclass Mine(Opaque):\n"
        "    def generate(self, model, prompt, **kwargs):\n"
        "        answer = torch.tensor([model.answer(self.validate_args(**kwargs)['gen_length'])])\n"
        "        return torch.cat((prompt, answer), dim=1), 1\n"
    )
    world.add(
        "llada-mine", modules={"mine_plugin": plugin, "mine_code": code}, entry_points={"mine": "mine_plugin"}
    )
    call = ["generate", "Hello", "--model", str(folder), "--algorithm", "mine", "--max-tokens", "4"]
    with world.shared():
        status, out, _ = llada(*call, "-p", "threshold=0.9")
        assert (status, out.splitlines()[0]) == (0, "Hi t")
        assert "mine does not take thresold; did you mean threshold?" in error(
            llada(*call, "-p", "thresold=1"), status=2
        )
        found = llada_core.get_algorithm("mine")
        assert found.info
        assert [each.name for each in found.info.parameters] == list(found.get_required_args())


def test_a_default_of_none_is_a_default() -> None:
    class Published(GenerationAlgorithm):
        """As the published functions are written: no rule but the quota, unless somebody asks for one."""

        name = "published"

        def load_model_class(self) -> Any:
            return None

        def generate(
            self, model: Any, prompt: Any, steps: int = 64, threshold: Any = None, factor: Any = None
        ) -> Any:  # type: ignore[override]
            return prompt, 1

    values = Published().validate_args()
    assert (values["steps"], values["threshold"], values["factor"]) == (64, None, None)
    assert Published().validate_args(threshold=0.5)["threshold"] == 0.5
