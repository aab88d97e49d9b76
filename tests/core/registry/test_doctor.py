"""``llada doctor --model``: the estimate of the engine that takes the model, whatever its plugin does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llada_core import registry
from tests.support.program import Llada

Site = Any
ESTIMATE = """
    from types import SimpleNamespace

    KEYS = ("dtype", "weights", "kv_per_token", "kv_per_row", "logits_per_row", "max_sequence_length",
            "available", "columns_that_fit", "rows_that_fit")

    def estimate(config, *, dtype, available):
        return SimpleNamespace(as_dict=lambda: dict.fromkeys(KEYS, 0) | {"weights": NUMBER, "dtype": dtype})

    def partial(config, *, dtype, available):
        return SimpleNamespace(as_dict=lambda: {key: 0 for key in KEYS if key not in ("dtype", "kv_per_row")})

    def refuse(config, *, dtype, available):
        raise ValueError("seven layers are too many; take six")

    def fail(config, *, dtype, available):
        raise KeyError("layers")

    def leave(config, *, dtype, available):
        raise SystemExit(3)

    def nothing(config, *, dtype, available):
        return SimpleNamespace(as_dict=lambda: None)

    def vague(config, *, dtype, available):
        known = dict.fromkeys(KEYS, 0) | {"dtype": dtype}
        return SimpleNamespace(as_dict=lambda: known | {"weights": None, "available": None})
"""


@pytest.fixture
def doctor(site: Site, tmp_path: Path, llada: Llada) -> Callable[[], tuple[int, dict[str, Any]]]:
    """A function that returns the exit status and what the report says of a model of the type ``m``."""
    (tmp_path / "config.json").write_text('{"model_type": "m"}')

    def call() -> tuple[int, dict[str, Any]]:
        with registry.using(site.registry()):
            status, out, err = llada("doctor", "--model", str(tmp_path), "--dtype", "float16", "--json")
        assert err == ""
        return status, json.loads(out)["model"]

    return call


def add_engine(site: Site, name: str, memory: str | None, **more: Any) -> None:
    """Install an engine for the models of the type ``m``, whose estimate is of 1 byte, or the priority."""
    number = str(more.get("priority", 1))
    site.add(f"{name}-memory", modules={f"{name}_memory": ESTIMATE.replace("NUMBER", number)})
    target = memory and f"{name}_memory:{memory}"
    site.add_engine(name, algorithms={f"{name}_echo": ()}, memory=target, model_types=("m",), **more)


def test_the_engine_that_would_be_taken_estimates(site: Site, doctor: Any) -> None:
    add_engine(site, "plain", "estimate", priority=1)
    add_engine(site, "better", "estimate", priority=2)
    status, told = doctor()
    assert (status, told["engine"], told["memory"]["weights"]) == (0, "better", 2)
    assert told["memory"]["dtype"] == "float16"


def test_a_better_engine_that_cannot_run_is_skipped_without_a_warning(site: Site, doctor: Any) -> None:
    add_engine(site, "plain", "estimate", priority=1)
    add_engine(site, "better", "estimate", priority=2, requires=("absent",))
    status, told = doctor()
    assert (status, told["engine"]) == (0, "plain")


def test_an_engine_that_cannot_run_estimates_where_there_is_no_other(site: Site, doctor: Any) -> None:
    add_engine(site, "plain", "estimate", requires=("absent",))
    status, told = doctor()
    assert (status, told["engine"], told["memory"]["weights"], told["reason"]) == (1, "plain", 1, None)
    assert told["engine_reason"] == "llada-plain needs absent, which is not installed; pip install 'absent'"


def test_an_engine_of_the_environment_estimates(
    site: Site, doctor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_engine(site, "plain", "estimate", priority=1)
    add_engine(site, "better", "estimate", priority=2)
    monkeypatch.setenv("LLADA_ENGINE", "plain")
    assert doctor()[1]["engine"] == "plain"


@pytest.mark.parametrize(
    ("memory", "reason"),
    [
        (
            None,
            "the engine plain does not estimate the memory that a model takes; "
            "reckon with the size of its weight files at least",
        ),
        ("refuse", "seven layers are too many; take six"),
        ("fail", "plain_memory:fail failed: KeyError: 'layers'; pip install --upgrade llada-plain"),
        ("leave", "plain_memory:leave failed: SystemExit: 3; pip install --upgrade llada-plain"),
        (
            "nothing",
            "plain_memory:nothing failed: TypeError: 'NoneType' object is not iterable; "
            "pip install --upgrade llada-plain",
        ),
        ("vague", "plain_memory:vague does not tell weights; pip install --upgrade llada-plain"),
        (
            "partial",
            "plain_memory:partial does not tell dtype, kv_per_row; pip install --upgrade llada-plain",
        ),
        (
            "absent",
            "the memory it takes cannot be told (AttributeError: module 'plain_memory' has no attribute "
            "'absent'); pip install --upgrade llada-plain",
        ),
    ],
)
def test_without_an_estimate_the_reason_is_told(
    site: Site, doctor: Any, memory: str | None, reason: str
) -> None:
    add_engine(site, "plain", memory)
    status, told = doctor()
    assert (status, told["engine"], told["memory"], told["reason"]) == (1, "plain", None, reason)


def test_a_model_that_nothing_takes_has_no_engine(site: Site, doctor: Any) -> None:
    status, told = doctor()
    assert (status, told["engine"], told["memory"]) == (1, None, None)
    assert "no known engine takes" in told["reason"]


STEPS = """
    def steps(config, *, device, dtype):
        return f"steps of {config['model_type']} run on {device} in {dtype}"

    def refuse(config, *, device, dtype):
        raise ValueError("seven layers are too many")

    def fail(config, *, device, dtype):
        raise KeyError("layers")
"""


@pytest.mark.parametrize(
    ("steps", "told"),
    [
        (None, (None, None)),
        ("steps", ("steps of m run on cpu in float16", None)),
        ("refuse", (None, "seven layers are too many")),
        ("fail", (None, "plain_steps:fail failed: KeyError: 'layers'")),
        ("gone", (None, "plain_steps:gone failed: AttributeError: ")),
    ],
)
def test_the_engine_says_how_steps_would_run(
    site: Site, doctor: Any, monkeypatch: pytest.MonkeyPatch, steps: str | None, told: tuple[Any, Any]
) -> None:
    monkeypatch.setattr("llada_core.cli.doctor._devices", lambda: ([], None))
    site.add("plain-steps", modules={"plain_steps": STEPS})
    add_engine(site, "plain", "estimate", steps=steps and f"plain_steps:{steps}")
    status, model = doctor()
    assert (status, model["steps"]) == (0, told[0])
    assert str(model["steps_reason"]).startswith(str(told[1]))


def test_how_steps_run_is_a_line_of_the_report(
    site: Site, tmp_path: Path, llada: Llada, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llada_core.cli.doctor._devices", lambda: ([], None))
    (tmp_path / "config.json").write_text('{"model_type": "m"}')
    site.add("plain-steps", modules={"plain_steps": STEPS})
    add_engine(site, "plain", "estimate", steps="plain_steps:steps")
    add_engine(site, "better", "estimate", steps="plain_steps:refuse", priority=2)
    for engine, line in (
        ("plain", "  steps of m run on cpu in float32"),
        ("better", "  how steps run cannot be told: seven layers are too many"),
    ):
        monkeypatch.setenv("LLADA_ENGINE", engine)
        with registry.using(site.registry()):
            assert line in llada("doctor", "--model", str(tmp_path)).out.splitlines()
