"""With llada-fastdllm but no torch, all is listed with the reason and the remedy, and nothing crashes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("isolation")  # one worker builds the wheels


@pytest.fixture(scope="module", params=["without the runtime", "without torch"])
def environment(request: pytest.FixtureRequest, make_environment: Any, wheels: dict[str, Path]) -> Any:
    more = [wheels["llada-runtime"]] if request.param == "without torch" else []
    return make_environment(wheels["llada-fastdllm"], *more)


def test_the_algorithms_are_listed_as_unavailable_with_a_remedy(environment: Any) -> None:
    listed = environment.llada_json("algorithms")
    assert {entry["name"] for entry in listed} == {"basic", "prefix_cache", "dual_cache"}
    for entry in listed:
        assert entry["available"] is False
        assert "pip install" in entry["reason"]
        assert entry["default"] is (entry["name"] == "dual_cache")


def test_the_rules_and_policies_are_listed_as_unavailable_with_a_remedy(environment: Any) -> None:
    listed = environment.llada_json("parts")
    kinds = {kind: [each["name"] for each in listed if each["kind"] == kind] for kind in ("rule", "policy")}
    assert kinds == {"rule": ["factor", "quota", "threshold"], "policy": ["dual", "none", "prefix"]}
    assert all("pip install" in each["reason"] for each in listed)


def test_the_engine_is_listed_as_unavailable_for_the_same_reason(environment: Any) -> None:
    (engine,) = environment.llada_json("engines")
    assert (engine["name"], engine["available"]) == ("fast-dllm", False)
    assert engine["reason"] in {entry["reason"] for entry in environment.llada_json("algorithms")}


def test_generate_raises_the_reason_that_the_algorithm_gives(environment: Any) -> None:
    answer = environment.evaluate(
        """
import llada_core
algorithm = llada_core.get_algorithm("dual_cache")
answer = {"available": algorithm.is_available(), "reason": algorithm.unavailable_reason}
try:
    algorithm.generate(model=None, prompt=None)
except llada_core.AlgorithmUnavailable as error:
    answer |= {"raised": error.reason, "message": str(error)}
"""
    )
    assert answer["available"] is False
    assert answer["raised"] == answer["reason"]
    assert answer["reason"] in answer["message"]


def test_an_alias_of_an_unavailable_algorithm_still_names_it(environment: Any) -> None:
    name = environment.evaluate("import llada_core; answer = llada_core.get_algorithm('dual').name")
    assert name == "dual_cache"


def test_the_program_gives_the_reason_in_one_line(environment: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llada"}')
    arguments = ("generate", "Hello", "--model", str(tmp_path), "--algorithm", "dual_cache")
    done = environment.llada(*arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "pip install" in done.stderr


def test_the_other_commands_work(environment: Any) -> None:
    assert [plugin["status"] for plugin in environment.llada_json("plugins")] == ["loaded"]
    assert environment.llada("doctor").returncode == 0


LLADA_8B = {
    "model_type": "llada",
    "d_model": 4096,
    "n_layers": 32,
    "n_heads": 32,
    "mlp_hidden_size": 12288,
    "vocab_size": 126464,
    "max_sequence_length": 4096,
    "rope_theta": 500000.0,
    "rms_norm_eps": 1e-5,
    "mask_token_id": 126336,
    "eos_token_id": 126081,
}


def test_the_memory_of_a_model_is_told_where_the_runtime_is(environment: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLADA_8B))
    done = environment.llada("doctor", "--model", str(tmp_path), "--dtype", "bfloat16", "--json")
    assert done.returncode == 1  # it is known, and cannot be run
    report = json.loads(done.stdout)
    told = report["model"]
    assert told["engine"] == "fast-dllm"
    if report["packages"]["llada-runtime"]:
        assert told["memory"]["weights"] == 2 * 8_015_581_184
    else:
        assert told["memory"] is None
        assert told["reason"].endswith("; pip install --upgrade llada-fastdllm")
