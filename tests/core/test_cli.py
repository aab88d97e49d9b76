"""The program ``llada``: listings and the doctor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llada_core import AlgorithmInfo, EngineInfo, PluginStatus
from llada_core.testing import FakeSite
from tests.support.program import error

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def env(world: FakeSite) -> dict[str, str]:
    """The variables of a process that sees the fake engines only."""
    return {**os.environ, "PYTHONPATH": str(world.folder), "LLADA_LOAD_PLUGINS": "fake"}


# -- listings


@pytest.mark.parametrize(
    ("command", "keys", "kind"),
    [
        ("plugins", "name distribution version status reason", PluginStatus),
        ("engines", "name available reason default_algorithm algorithms distribution", EngineInfo),
        (
            "algorithms",
            "name engine aliases available reason default description parameters",
            AlgorithmInfo,
        ),
    ],
)
def test_listings_have_the_documented_keys(llada: Any, command: str, keys: str, kind: type) -> None:
    status, out, err = llada(command, "--json")
    assert (status, err) == (0, "")
    for entry in json.loads(out):
        assert set(keys.split()) <= set(entry)


@pytest.mark.parametrize("command", ["plugins", "engines", "algorithms", "doctor"])
def test_listings_for_people_name_what_there_is(llada: Any, command: str) -> None:
    status, out, err = llada(command)
    assert (status, err) == (0, "")
    assert "fake" in out


@pytest.mark.parametrize("arguments", [[], ["--json"]], ids=["table", "json"])
@pytest.mark.parametrize("command", ["algorithms", "plugins", "engines"])
def test_listing_imports_nothing_heavy(command: str, arguments: list[str]) -> None:
    code = (
        "import sys; from llada_core.cli.program import run; status = run(sys.argv[1:]);"
        "heavy = {'torch', 'transformers', 'rich', 'huggingface_hub', 'numpy'} & set(sys.modules);"
        "sys.exit(f'{status} {heavy}' if status or heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code, command, *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_detect_names_the_engine(llada: Any, folder: Path) -> None:
    status, out, _ = llada("detect", str(folder))
    assert (status, out.splitlines()[0]) == (0, "fake")
    found = json.loads(llada("detect", str(folder), "--json")[1])
    assert (found["model_type"], found["engine"]) == ("llada", "fake")
    assert "fake" in [candidate["engine"] for candidate in found["candidates"]]


def test_detect_tells_of_a_better_engine_that_is_missing(llada: Any, folder: Path) -> None:
    _, out, err = llada("detect", str(folder))
    assert out == "fake\n"
    assert "dinfer would be preferred: the engine dinfer is not installed; pip install llada-dinfer" in err
    assert "dinfer: dInfer's decoders (arXiv 2510.08666) on LLaDA checkpoints." in err


def test_detect_of_a_model_that_nothing_takes_is_an_error_with_the_json(
    llada: Any, make_folder: Callable[..., Path]
) -> None:
    folder = str(make_folder(model_type="bert"))
    assert "fake takes llada" in error(llada("detect", folder), status=1)
    status, out, err = llada("detect", folder, "--json")
    assert (status, json.loads(out)["engine"]) == (1, None)
    assert err.count("\n") == 1


# -- doctor


def doctor_of(llada: Any, folder: Path) -> tuple[int, dict[str, Any], str]:
    """The exit status, what the report says of the model, and stderr."""
    status, out, err = llada("doctor", "--model", str(folder), "--json")
    return status, json.loads(out)["model"], err


def test_doctor_tells_what_is_here(llada: Any) -> None:
    report = json.loads(llada("doctor", "--json")[1])
    assert report["packages"]["llada-core"]
    assert {"name": "fake", "status": "loaded"}.items() <= report["plugins"][0].items()
    assert "model" not in report


def test_doctor_tells_the_variables_but_no_secret(llada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLADA_SOMEBODYS_PATH", "a/checkout")
    monkeypatch.setenv("LLADA_API_KEY", "hush")
    monkeypatch.setenv("OTHER", "x")
    status, out, _ = llada("doctor", "--json")
    told = json.loads(out)["environment"]
    assert (status, told["LLADA_SOMEBODYS_PATH"], told["LLADA_API_KEY"]) == (0, "a/checkout", "(set)")
    assert "OTHER" not in told
    assert "hush" not in out


@pytest.mark.parametrize(
    ("devices", "variable", "said"),
    [
        ([], None, "graphs: off (no CUDA device)"),
        ([{"name": "H200", "total": 2**37, "free": 2**36}], None, "graphs: on"),
        ([{"name": "H200", "total": 2**37, "free": 2**36}], "0", "graphs: off (LLADA_GRAPHS=0)"),
    ],
)
def test_doctor_says_whether_steps_are_graphs(
    llada: Any, monkeypatch: pytest.MonkeyPatch, devices: list[Any], variable: str | None, said: str
) -> None:
    found = types.SimpleNamespace(cuda_devices=lambda: devices)
    monkeypatch.setitem(sys.modules, "llada_core.cli.devices", found)
    monkeypatch.delenv("LLADA_GRAPHS", raising=False)
    if variable is not None:
        monkeypatch.setenv("LLADA_GRAPHS", variable)
    assert said in llada("doctor")[1].splitlines()


def test_doctor_states_the_memory_that_the_engine_of_a_model_estimates(llada: Any, folder: Path) -> None:
    status, out, err = llada("doctor", "--model", str(folder), "--dtype", "bfloat16")
    assert (status, err) == (0, "")
    for said in (
        f"model {folder}, of the engine fake",
        "262 B in bfloat16",
        "KV per token     10 B",
        "KV per row       2.0 KiB at the limit of 200 tokens",
        "3.0 MiB",
        "rows that fit    4",
    ):
        assert said in out


def test_doctor_tells_the_memory_in_the_documented_keys(llada: Any, folder: Path) -> None:
    status, model, _ = doctor_of(llada, folder)
    assert (status, model["path"], model["engine"], model["reason"]) == (0, str(folder), "fake", None)
    assert set(model["memory"]) == {
        "dtype", "weights", "kv_per_token", "kv_per_row", "logits_per_row", "max_sequence_length",
        "available", "columns_that_fit", "rows_that_fit",
    }  # fmt: skip


@pytest.mark.parametrize("fast", [True, False])
def test_doctor_recommends_bfloat16_where_the_cpu_multiplies_it_fast(
    llada: Any, monkeypatch: pytest.MonkeyPatch, fast: bool
) -> None:
    monkeypatch.setattr("llada_core.cli.doctor.processor", lambda: "A Processor")
    monkeypatch.setattr("llada_core.cli.doctor.multiplies_bfloat16", lambda: fast)
    told = ", which multiplies bfloat16 fast (AMX): --dtype bfloat16" if fast else ""
    assert f"cpu: A Processor{told}" in llada("doctor").out.splitlines()
    report = json.loads(llada("doctor", "--json").out)
    assert report["cpu"] == {"name": "A Processor", "multiplies_bfloat16": fast}


def test_doctor_asks_for_the_memory_of_one_of_several_devices(
    llada: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def halves(config: Any, **how: Any) -> Any:
        asked.append(how)
        return types.SimpleNamespace(as_dict=lambda: dict.fromkeys(_KEYS, 7) | {"dtype": how["dtype"]})

    monkeypatch.setattr("llada_core.cli.estimates.load_target", lambda target: halves)
    devices = [{"name": "H200", "total": 2**37, "free": free} for free in (2**36, 2**35, 2**34)]
    monkeypatch.setattr("llada_core.cli.doctor._devices", lambda: (devices, None))
    out = llada("doctor", "--model", str(folder), "--tensor-parallel-size", "2")[1]
    assert "  on each of 2 devices, and the logits on the first:" in out.splitlines()
    llada("doctor", "--model", str(folder))
    llada("doctor", "--model", str(folder), "--tensor-parallel-size", "4")
    assert asked == [
        {"dtype": "bfloat16", "available": 2**35, "tensor_parallel": 2},
        {"dtype": "bfloat16", "available": 2**36},
        {"dtype": "bfloat16", "available": None, "tensor_parallel": 4},
    ]


def test_doctor_asks_for_the_memory_of_weights_in_eight_bits(
    llada: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def eighth(config: Any, **how: Any) -> Any:
        asked.append(how)
        return types.SimpleNamespace(as_dict=lambda: dict.fromkeys(_KEYS, 7) | {"dtype": how["dtype"]})

    monkeypatch.setattr("llada_core.cli.estimates.load_target", lambda target: eighth)
    monkeypatch.setattr("llada_core.cli.doctor._devices", lambda: ([], None))
    out = llada("doctor", "--model", str(folder), "--quantization", "int8")[1]
    assert "  weights          7 B in int8 and float32" in out.splitlines()
    assert [how["quantization"] for how in asked] == ["int8"]
    status, out, err = llada("doctor", "--quantization", "int8", "--tensor-parallel-size", "2")
    assert (status, out) == (2, "")
    assert "quantization='int8' and tensor_parallel=2 cannot be combined" in err


_KEYS = (
    "weights", "kv_per_token", "kv_per_row", "logits_per_row", "max_sequence_length", "available",
    "columns_that_fit", "rows_that_fit",
)  # fmt: skip


def test_an_engine_without_an_estimate_is_named(llada: Any, make_folder: Callable[..., Path]) -> None:
    status, model, err = doctor_of(llada, make_folder(model_type="alien"))
    assert (status, model["engine"], model["memory"], err) == (1, "alien", None, "")
    assert model["reason"].startswith("the engine alien does not estimate the memory that a model takes; ")


def test_the_memory_of_a_model_that_nothing_takes_cannot_be_told(
    llada: Any, make_folder: Callable[..., Path]
) -> None:
    folder = make_folder(model_type="bert")
    status, model, err = doctor_of(llada, folder)
    assert (status, model["engine"], model["memory"], err) == (1, None, None, "")
    assert model["reason"] == json.loads(llada("detect", str(folder), "--json")[1])["reason"]


@pytest.mark.parametrize(
    ("named", "said"), [("alien", "which LLADA_ENGINE names, does not take"), ("nobody", "LLADA_ENGINE: ")]
)
def test_an_engine_of_the_environment_that_does_not_fit_is_the_reason(
    llada: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, named: str, said: str
) -> None:
    monkeypatch.setenv("LLADA_ENGINE", named)
    status, model, err = doctor_of(llada, folder)
    assert (status, model["memory"], err) == (1, None, "")
    assert said in model["reason"]


def test_doctor_says_what_it_cannot_tell_without_torch(
    llada: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "llada_core.cli.devices", None)
    status, out, _ = llada("doctor", "--model", str(folder), "--json")
    report = json.loads(out)
    assert status == 0
    assert report["devices"] is None
    assert report["devices_reason"].endswith("; pip install --force-reinstall torch")  # it is there
    assert report["model"]["memory"]["dtype"] == "float32"


def test_an_estimate_that_cannot_be_imported_is_the_reason(
    llada: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fake_memory", None)
    status, model, err = doctor_of(llada, folder)
    assert (status, model["engine"], model["memory"], err) == (1, "fake", None, "")
    assert model["reason"].startswith("the memory it takes cannot be told (ModuleNotFoundError: ")
    assert model["reason"].endswith("; pip install --upgrade fake-engine")


def test_doctor_tells_all_the_rest_where_the_memory_cannot_be_told(
    llada: Any, make_folder: Callable[..., Path]
) -> None:
    folder = make_folder(vocab_size=None)
    status, out, err = llada("doctor", "--model", str(folder))
    assert (status, err) == (1, "")
    assert "engine fake: available yes" in out
    assert f"model {folder}, of the engine fake\n  config.json: vocab_size is missing; add it\n" in out
    assert llada("doctor")[0] == 0
