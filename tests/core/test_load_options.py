"""``LoadOptions``: what it accepts, and that loaders get it as one value."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.distributed import checkpoint

import llada_core
from llada_core import (
    DcpContents,
    DcpSource,
    GenerationAlgorithm,
    LladaError,
    LoadOptions,
    UsageError,
    load_model,
    register_algorithm,
)
from llada_core.generation.unavailable import UnavailableAlgorithm

pytestmark = pytest.mark.usefixtures("world")


def test_it_is_a_value_with_neutral_defaults() -> None:
    assert LoadOptions() == LoadOptions(device=None, dtype=None, trust_remote_code=False, revision=None)
    assert LoadOptions().quantization is None
    assert len({LoadOptions(device="cpu"), LoadOptions(device="cpu")}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        LoadOptions().device = "cuda"  # type: ignore[misc]
    with pytest.raises(TypeError):
        LoadOptions("cpu")  # type: ignore[misc]
    assert not hasattr(LoadOptions(), "__dict__")


@pytest.mark.parametrize(
    "fields",
    [
        {"device": torch.device("cpu"), "dtype": torch.bfloat16},
        {"device": "cuda:1", "dtype": "float8_e4m3fn"},
        {"trust_remote_code": True, "revision": "v2", "tensor_parallel": 4},
        {"quantization": "int8"},
        {"dcp": DcpSource(path="step-7", prefix="policy.")},
    ],
)
def test_names_and_objects_of_torch_are_accepted(fields: dict[str, Any]) -> None:
    made = LoadOptions(**fields)
    assert {name: getattr(made, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("device", 0, "give a torch.device, or a name such as 'cpu'"),
        ("device", "", "give a torch.device, or a name"),
        ("device", torch.float32, "give a torch.device"),
        ("dtype", 32, "give a torch.dtype, or a name such as 'float32'"),
        ("dtype", float, "give a torch.dtype"),
        ("dtype", " ", "give a torch.dtype"),
        ("trust_remote_code", "no", "give True or False"),
        ("trust_remote_code", 1, "give True or False"),
        ("trust_remote_code", None, "give True or False"),
        ("revision", 2, "give a branch, tag or commit, or leave it out"),
        ("revision", "", "give a branch, tag or commit"),
        ("tensor_parallel", 0, "give a number of devices, from 1 on"),
        ("tensor_parallel", True, "give a number of devices"),
        ("tensor_parallel", "2", "give a number of devices"),
        ("tensor_parallel", None, "give a number of devices"),
        ("quantization", True, "give 'fp8' or 'int8', or leave it out"),
        ("quantization", "", "give 'fp8' or 'int8'"),
    ],
)
def test_another_value_is_refused_by_every_public_function(
    folder: Path, field: str, value: Any, remedy: str
) -> None:
    algorithm = llada_core.get_algorithm("pairs")
    for load in (
        LoadOptions,
        lambda **given: load_model(folder, **given),
        lambda **given: algorithm.load_model_from_hf(folder, **given),
        lambda **given: algorithm.load_model_from_dcp(folder, folder, **given),
    ):
        with pytest.raises(UsageError) as refused:
            load(**{field: value})
        assert str(refused.value).startswith(f"{field}={value!r} is not accepted; {remedy}")


def test_it_needs_no_torch() -> None:
    code = (
        "import sys, llada_core\n"
        "llada_core.LoadOptions(device='cpu', dtype='float32')\n"
        "try: llada_core.LoadOptions(dtype=int)\n"
        "except llada_core.UsageError: print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


class Network:
    """Remembers how it was loaded."""

    config, device = None, "cpu"

    def __init__(self, *loaded: Any, **how: Any) -> None:
        self.loaded, self.how = loaded, how

    @classmethod
    def from_pretrained(cls, folder: Path, *, device: Any = None, dtype: Any = None) -> Network:
        return cls(folder, device=device, dtype=dtype)


class Plain(GenerationAlgorithm):
    """Overrides ``load_model_class`` only."""

    name, engine = "plain", "fake"

    def load_model_class(self) -> Any:
        return Network

    def generate(self, model: Any, prompt: Any, **params: Any) -> Any:
        return prompt, 0


class OfItsOwn(Plain):
    """Loads in its own way."""

    def load_network(self, folder: Path, options: LoadOptions) -> Network:
        return Network(folder, options)


class Renamed(Plain):
    """Calls the two as it likes."""

    def load_network(self, where: Path, how: LoadOptions) -> Network:  # type: ignore[override]
        return Network(where, how)


class Wrapped(OfItsOwn):
    """Passes on what it gets."""

    def load_network(self, *args: Any, **kwargs: Any) -> Any:
        return super().load_network(*args, **kwargs)


class ByKeyword(Plain):
    """As classes did before 0.2."""

    def load_network(  # type: ignore[override]
        self, folder: Path, *, device: Any = None, dtype: Any = None, trust_remote_code: bool = False
    ) -> Network:
        raise AssertionError("never called")


class ByPosition(Plain):
    """Likewise, and ``options`` would pass for a device."""

    def load_network(self, folder: Path, device: Any = None, dtype: Any = None) -> Network:  # type: ignore[override]
        raise AssertionError("never called")


def test_a_class_that_names_its_network_is_loaded_as_ever(folder: Path) -> None:
    network = Plain().load_model_from_hf(folder, dtype="bfloat16", device="cpu", trust_remote_code=True)
    assert (network.loaded, network.how) == ((folder,), {"device": "cpu", "dtype": "bfloat16"})


@pytest.mark.parametrize("kind", [OfItsOwn, Renamed, Wrapped])
def test_a_loader_of_its_own_gets_the_options_as_one_value(kind: type[Plain], folder: Path) -> None:
    network = kind().load_model_from_hf(folder, dtype="bfloat16", trust_remote_code=True)
    options = LoadOptions(dtype="bfloat16", trust_remote_code=True)
    assert network.loaded == (folder, options)


class Quantised(Network):
    """Puts its weights in eight bits."""

    @classmethod
    def from_pretrained(
        cls, folder: Path, *, device: Any = None, dtype: Any = None, quantization: str | None = None
    ) -> Network:
        network = cls(folder)
        network.quantization = quantization  # type: ignore[attr-defined]
        return network


def test_a_class_that_quantises_is_asked_to(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Plain, "load_model_class", lambda self: Quantised)
    assert Plain().load_model_from_hf(folder, quantization="fp8").quantization == "fp8"
    assert Plain().load_model_from_hf(folder).quantization is None


@pytest.mark.parametrize("kind", [Plain, OfItsOwn, Wrapped])
def test_who_does_not_quantise_is_refused_where_it_was_asked_for(kind: type[Plain], folder: Path) -> None:
    algorithm = kind()
    with pytest.raises(llada_core.ModelLoadError) as refused:
        algorithm.load_model_from_hf(folder, quantization="fp8")
    assert str(refused.value).endswith(
        "quantization 'fp8' was asked for, and plain loads models without it; leave quantization out, or "
        "take an engine that quantises"
    )
    assert algorithm.model is None


@pytest.mark.parametrize("kind", [ByKeyword, ByPosition])
def test_a_loader_of_the_old_signature_is_told_what_to_write(kind: type[Plain], folder: Path) -> None:
    algorithm = kind()
    with pytest.raises(LladaError) as told:
        algorithm.load_model_from_hf(folder)
    assert str(told.value).startswith("plain has load_network(folder")
    assert "; write load_network(self, folder, options), where options is a llada_core.LoadOptions" in str(
        told.value
    )
    assert algorithm.model is None


def test_a_quantised_network_is_not_split() -> None:
    with pytest.raises(
        UsageError, match="quantization='fp8' and tensor_parallel=2 cannot be combined; leave"
    ):
        LoadOptions(quantization="fp8", tensor_parallel=2)


class Split(OfItsOwn):
    """Knows what it means to be split."""

    def load_network(self, folder: Path, options: LoadOptions) -> Network:
        network = super().load_network(folder, options)
        network.tensor_parallel = options.tensor_parallel  # type: ignore[attr-defined]
        return network


def test_a_network_is_split_as_it_is_asked_for_or_refused(folder: Path) -> None:
    assert Split().load_model_from_hf(folder, tensor_parallel=2).tensor_parallel == 2
    with pytest.raises(
        UsageError, match="plain has loaded a Network that is whole; leave tensor_parallel out"
    ):
        OfItsOwn().load_model_from_hf(folder, tensor_parallel=2)
    with pytest.raises(
        UsageError, match="this one is loaded by a class of its own; leave tensor_parallel out"
    ):
        Plain().load_model_from_hf(folder, tensor_parallel=2)


class Trained(OfItsOwn):
    """Reads a trainer's weights, as it says."""

    def dcp_contents(self, folder: Path, options: LoadOptions) -> DcpContents | None:
        assert options.dcp is not None
        return DcpContents(path=str(options.dcp.path), names={"policy.a": "a"}, left_out=())

    def load_network(self, folder: Path, options: LoadOptions) -> Network:
        network = super().load_network(folder, options)
        if options.dcp is not None:
            network.dcp = self.dcp_contents(folder, options)  # type: ignore[attr-defined]
        return network


class Forgetful(Trained):
    """Says that it does and does not."""

    def dcp_contents(self, folder: Path, options: LoadOptions) -> DcpContents | None:
        return super().dcp_contents(folder, options)

    def load_network(self, folder: Path, options: LoadOptions) -> Network:
        return Network(folder, options)


class Younger(Trained):
    """Loads in a way of its own, and nobody has told it of trainers."""

    def load_network(self, folder: Path, options: LoadOptions) -> Network:
        return Network(folder, options)


def saved(folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that this is a single process
        checkpoint.save({"policy": {"a": torch.ones(2)}}, checkpoint_id=folder)
    return folder


def test_a_loader_that_reads_a_trainers_weights_is_given_them(folder: Path, tmp_path: Path) -> None:
    algorithm = Trained()
    path = saved(tmp_path / "dcp")
    network = algorithm.load_model_from_dcp(path, folder, device="cpu")
    assert network.loaded == (folder, LoadOptions(device="cpu", dcp=DcpSource(path=path)))
    assert algorithm.model_path == str(path)
    assert algorithm.dcp == network.dcp
    algorithm.load_model_from_hf(folder)
    assert algorithm.dcp is None


def test_who_says_so_and_reads_others_is_refused(folder: Path, tmp_path: Path) -> None:
    algorithm = Forgetful()
    with pytest.raises(llada_core.ModelLoadError, match="does not say that they are its own; let its load_n"):
        algorithm.load_model_from_dcp(saved(tmp_path / "dcp"), folder)
    assert algorithm.model is None


@pytest.mark.parametrize("kind", [Plain, OfItsOwn, Younger])
def test_who_does_not_know_of_them_gets_a_folder_in_the_layout_that_it_knows(
    kind: type[Plain], folder: Path, tmp_path: Path
) -> None:
    algorithm = kind()
    network = algorithm.load_model_from_dcp(saved(tmp_path / "dcp"), folder)
    assert network.loaded[0] != folder
    assert getattr(next(iter(network.loaded[1:]), None), "dcp", None) is None
    assert algorithm.dcp is not None
    assert dict(algorithm.dcp.names) == {"policy.a": "a"}


def test_load_model_makes_one_value_and_hands_it_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[LoadOptions] = []
    got: list[LoadOptions] = []
    monkeypatch.setattr(LoadOptions, "__post_init__", lambda self: made.append(self))

    def load_network(self: Any, folder: Path, options: LoadOptions) -> Any:
        got.append(options)
        return GenerationAlgorithm.load_network(self, folder, options)

    monkeypatch.setattr(type(llada_core.get_algorithm("pairs")), "load_network", load_network)
    load_model(folder, dtype="float32").close()
    assert [id(options) for options in made] == [id(options) for options in got]
    assert len(made) == 1


def test_an_algorithm_that_is_not_there_refuses_every_way_of_loading() -> None:
    stand_in = llada_core.get_algorithm("broken")
    assert isinstance(stand_in, UnavailableAlgorithm)
    for load in (stand_in.load_model_from_hf, stand_in.load_model_from_dcp, stand_in.load_checkpoint):
        with pytest.raises(llada_core.AlgorithmUnavailable):
            load("x", LoadOptions())


def test_an_algorithm_registered_at_run_time_loads_so_too(folder: Path) -> None:
    undo = register_algorithm(OfItsOwn)
    network = llada_core.get_algorithm("plain").load_model_from_hf(folder, device="cpu")
    assert network.loaded == (folder, LoadOptions(device="cpu"))
    undo()
