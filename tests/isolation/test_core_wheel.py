"""The wheel of llada-core alone: it knows by data what there is to install, and its code names no engine."""

from __future__ import annotations

import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("isolation")  # one worker builds the wheels

ENGINES = re.compile(r"fast.?dllm|dinfer|nemotron", flags=re.IGNORECASE)


@pytest.fixture(scope="module")
def environment(make_environment: Any) -> Any:
    return make_environment()


def test_no_python_file_names_an_engine_and_the_data_file_does(wheels: dict[str, Path]) -> None:
    with zipfile.ZipFile(wheels["llada-core"]) as wheel:
        texts = {name: wheel.read(name).decode() for name in wheel.namelist() if "dist-info" not in name}
    naming = [name for name, text in texts.items() if ENGINES.search(text)]
    assert naming == ["llada_core/registry/wheels.json"]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "llada"}, "; pip install llada-dinfer or llada-fastdllm"),
        ({"architectures": ["DiffEncoderModel"]}, "; pip install llada-nemotron"),
        ({"model_type": "Dream"}, "; pip install llada-dream"),
        ({"model_type": "nemotron_h"}, "is an autoregressive Nemotron model, which does not fill masks; "),
        ({"model_type": "gpt2"}, "; no engine is installed; pip install llada-fastdllm"),
    ],
)
def test_a_model_without_an_engine_is_told_what_to_install(
    environment: Any, tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config))
    for command in (("detect", str(tmp_path)), ("generate", "Hello", "--model", str(tmp_path))):
        done = environment.llada(*command)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
        assert said in done.stderr


@pytest.mark.parametrize("listing", ["plugins", "engines", "algorithms"])
def test_an_empty_listing_recommends_an_engine(environment: Any, listing: str) -> None:
    done = environment.llada(listing)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"no {listing} are installed; pip install llada-fastdllm" in done.stdout


def test_an_engine_that_is_named_says_how_to_get_it(environment: Any) -> None:
    done = environment.llada("generate", "Hello", "--model", str(environment.folder), "--algorithm", "basic")
    told = "basic is an algorithm of the engine fast-dllm, and the engine fast-dllm is not installed"
    assert f"{told}; pip install llada-fastdllm" in done.stderr
