"""Which class runs which checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llada_core import DcpSource, LoadOptions, standard
from llada_core.errors import CheckpointError, UsageError
from llada_runtime import LLaDAModel, NoCache, Quota, Shape, StepAlgorithm, UnsupportedArchitecture
from llada_runtime.models.register import dcp_contents, load_network, network_class, register
from llada_runtime.network.graphs import Graphed
from llada_runtime.testing import LLADA_CONFIG as CONFIG

# Any class will do as the target: it is imported when a checkpoint asks for it.
OTHER = "llada_runtime.network.shape:Shape"


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "llada"},
        {"architectures": ["LLaDAModelLM"]},
        {"architectures": ["Unheard", "LLaDAModelLM"], "model_type": "unheard"},
        {"architectures": None, "model_type": "llada"},
    ],
)
def test_llada_is_run_by_its_network(config: dict[str, Any]) -> None:
    assert network_class(config) is LLaDAModel


@pytest.mark.parametrize(
    "config", [{}, {"model_type": "qwen3"}, {"architectures": "LLaDA"}, {"model_type": []}]
)
def test_what_no_network_runs_is_said_with_what_is_known(config: dict[str, Any]) -> None:
    with pytest.raises(
        UnsupportedArchitecture, match=r"runs LLaDAMoEModelLM, LLaDAModelLM, llada: load the model with"
    ):
        network_class(config)


def test_an_architecture_wins_over_the_model_type_until_it_is_taken_back() -> None:
    undo = register(OTHER, architectures=["OtherLM"], model_types=["other"])
    assert network_class({"architectures": ["OtherLM"], "model_type": "llada"}) is Shape
    assert network_class({"model_type": "other"}) is Shape
    undo()
    assert network_class({"architectures": ["OtherLM"], "model_type": "llada"}) is LLaDAModel
    with pytest.raises(UnsupportedArchitecture):
        network_class({"model_type": "other"})


def test_a_name_that_is_taken_is_refused_and_nothing_registered() -> None:
    with pytest.raises(UsageError, match=r"llada is run by llada_runtime\.models\.llada:LLaDAModel already"):
        register(OTHER, architectures=["OtherLM"], model_types=["llada"])
    with pytest.raises(UnsupportedArchitecture):
        network_class({"architectures": ["OtherLM"]})


def test_the_same_registration_twice_is_one_that_its_first_owner_takes_back() -> None:
    first = register(OTHER, model_types=["other"])
    register(OTHER, model_types=["other"])()
    assert network_class({"model_type": "other"}) is Shape
    first()
    with pytest.raises(UnsupportedArchitecture):
        network_class({"model_type": "other"})


def test_a_folder_is_loaded_by_the_class_of_its_config(write_checkpoint) -> None:
    assert isinstance(load_network(write_checkpoint(), device="cpu"), LLaDAModel)


class Unregistered(LLaDAModel):
    """A network that its own engine alone knows."""


def test_a_class_that_is_not_registered_loads_where_it_is_named(write_checkpoint) -> None:
    folder = write_checkpoint()
    assert type(load_network(folder, kind=Unregistered, device="cpu")) is Unregistered
    assert type(load_network(folder, device="cpu")) is LLaDAModel


class OneByOne(StepAlgorithm):
    """A plain decoder, on the network that a config tells."""

    name = "one_by_one"
    engine = "own"
    parameters = (standard("gen_length"),)

    def policy(self, params: Any) -> NoCache:
        return NoCache()

    def rule(self, params: Any) -> Quota:
        return Quota(params["gen_length"])


class OnItsOwn(OneByOne):
    """An algorithm whose engine has that network."""

    def load_model_class(self) -> type[Unregistered]:
        return Unregistered


def test_an_algorithm_names_the_network_of_its_engine_which_is_loaded_as_others_are(
    write_checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, graphed = write_checkpoint(), []
    monkeypatch.setattr(
        "llada_runtime.network.graphs.graphed", lambda network: graphed.append(network) or network
    )
    network = OnItsOwn().load_model_from_hf(folder, device="cpu", quantization="int8")
    assert (type(network), network.quantization, graphed) == (Unregistered, "int8", [network])
    assert OnItsOwn().tensor_names(folder)
    assert OnItsOwn().tensor_names(folder) == OneByOne().tensor_names(folder)
    with pytest.raises(UsageError, match="tensor_parallel=3 does not divide"):
        OnItsOwn().load_model_from_hf(folder, device="cpu", tensor_parallel=3)


class Loaded(OneByOne):
    """An algorithm whose network is none of the runtime's."""

    def load_model_class(self) -> type[Plain]:
        return Plain


def test_a_class_that_is_no_network_of_the_runtime_loads_by_itself(tmp_path: Path) -> None:
    assert Loaded().tensor_names(tmp_path) is None
    with pytest.raises(AssertionError, match="its own weights would be read"):
        Loaded().load_network(tmp_path, LoadOptions())


class Plain:
    """A network that reads safetensors alone."""

    @classmethod
    def from_pretrained(cls, folder: Path, *, device: Any = None, dtype: Any = None) -> Plain:
        raise AssertionError("its own weights would be read")


def test_a_class_that_reads_safetensors_alone_is_given_no_weights_of_a_trainer(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "plain"}')
    undo = register(f"{__name__}:Plain", model_types=["plain"])
    dcp = DcpSource(path=tmp_path / "step-7")
    try:
        assert dcp_contents(tmp_path, dcp) is None
        with pytest.raises(CheckpointError, match=r"step-7 are of torch\.distributed, and Plain reads s"):
            load_network(tmp_path, device="cpu", dcp=dcp)
    finally:
        undo()


@pytest.mark.gpu
def test_on_a_gpu_its_steps_are_graphs(write_checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(load_network(write_checkpoint()), Graphed)
    monkeypatch.setenv("LLADA_GRAPHS", "0")
    assert isinstance(load_network(write_checkpoint()), LLaDAModel)


def test_a_folder_of_another_model_is_refused_before_weights_are_looked_for(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "model_type": "qwen3"}))
    with pytest.raises(UnsupportedArchitecture, match="model_type is 'qwen3'"):
        load_network(tmp_path)
