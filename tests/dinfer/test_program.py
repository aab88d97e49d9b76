"""``llada generate`` and ``llada chat`` with parameters of this engine that contradict each other."""

from __future__ import annotations

import io
from typing import Any

import pytest

from llada_core import GenerationAlgorithm
from llada_core.cli.program import run

pytestmark = pytest.mark.alone

CONTRADICTIONS = [
    (("cache=prefix", "prefix_look=4"), "prefix_look=4 needs cache='dual'"),
    (("cache=none", "cache_update_freq=2"), "cache_update_freq=2 has nothing to rebuild"),
    (("cont_weight_init=0.5",), "cont_weight_init=0.5 only works with iteration smoothing"),
]


@pytest.mark.parametrize(("given", "said"), CONTRADICTIONS)
@pytest.mark.parametrize(
    "command",
    [
        ("generate", "hi", "--algorithm", "dinfer_blockwise"),
        ("generate", "hi", "--algorithm", "dinfer_hierarchy", "--algorithm", "dinfer_credit"),
        ("generate", "hi", "--engine", "dinfer"),
        ("chat", "--algorithm", "dinfer_blockwise"),
    ],
    ids=" ".join,
)
def test_a_contradiction_is_told_before_a_model_is_loaded(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    given: tuple[str, ...],
    said: str,
) -> None:
    def refuse_to_load(*_: Any) -> None:
        raise AssertionError("the model was loaded")

    for variable in ("LLADA_ALGORITHM", "LLADA_ENGINE"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(GenerationAlgorithm, "load_checkpoint", refuse_to_load)
    monkeypatch.setattr("sys.stdin", io.StringIO("hi\n"))
    assert run([*command, *(word for each in given for word in ("-p", each))]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert said in err
