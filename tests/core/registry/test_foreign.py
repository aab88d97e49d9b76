"""A model that no engine knows goes to one that takes foreign models: last, and under trust alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llada_core import (
    AlgorithmSpec,
    EngineSkipped,
    EngineSpec,
    EngineUnavailable,
    IncompatibleEngine,
    InvalidSpec,
    StrangerSpec,
    UnsupportedModel,
    detect,
    detect_engine,
)
from llada_core.checkpoints.hub import read_config
from llada_core.detection import engine_by_own_code
from llada_core.testing import FakeSite
from tests.support.program import Llada

OWN = {"AutoConfig": "configuration_theirs.C", "AutoModel": "modeling_theirs.M"}
FOREIGN: dict[str, Any] = {
    "model_type": "theirs",
    "architectures": ["TheirLM"],
    "auto_map": OWN,
    "mask_token_id": 7,
}

WriteModel = Callable[..., Path]


@pytest.fixture
def model(tmp_path: Path) -> WriteModel:
    """A function that writes a foreign model; fields are changed as given, ``...`` leaves one out."""

    def write(files: dict[str, Any] | None = None, **config: Any) -> Path:
        path = tmp_path / "model"
        path.mkdir(exist_ok=True)
        fields = {name: value for name, value in {**FOREIGN, **config}.items() if value is not ...}
        for name, content in {"config.json": fields, **(files or {})}.items():
            (path / name).write_text(json.dumps(content))
        return path

    return write


def add(site: FakeSite, name: str, **fields: Any) -> None:
    site.add_engine(name, algorithms={f"echo_{name}": ()}, **fields)


def found(path: Path, *, trust: bool = True, **how: Any) -> str:
    return detect_engine(path, trust_remote_code=trust, **how)


def test_it_is_taken_under_trust_without_being_named(site: FakeSite, model: WriteModel) -> None:
    add(site, "own", model_types=("mine",), priority=90)
    add(site, "any", model_types=("llada",), foreign=True)
    with site.shared():
        assert found(model()) == "any"
        assert [each.engine for each in detect(model(), trust_remote_code=True).candidates] == ["any"]
        assert found(model(model_type="mine")) == "own"


def test_without_trust_the_error_says_that_this_exists(site: FakeSite, model: WriteModel) -> None:
    add(site, "any", model_types=("llada",), foreign=True)
    with site.shared(), pytest.raises(UnsupportedModel) as refused:
        found(model(), trust=False)
    assert str(refused.value) == (
        f"no known engine takes {model()} (model_type theirs, TheirLM); any can run it by the Python code "
        "that comes with it: give trust_remote_code=True (--trust-remote-code) if you trust that code"
    )
    assert refused.value.candidates == ("llada-any",)


def test_of_several_the_highest_priority_wins_then_the_name(site: FakeSite, model: WriteModel) -> None:
    for name, priority in (("c", 5), ("b", 9), ("a", 9)):
        add(site, name, foreign=True, priority=priority)
    with site.shared():
        assert found(model()) == "a"
        assert found(model(), engine="c", check=False) == "c"


def test_one_that_cannot_run_is_skipped_with_a_warning(site: FakeSite, model: WriteModel) -> None:
    add(site, "better", foreign=True, priority=9, requires=("absent",))
    add(site, "any", foreign=True)
    with site.shared(), pytest.warns(EngineSkipped, match="is given to any: better cannot run here"):
        assert found(model()) == "any"


def test_where_none_can_run_the_reason_is_told(site: FakeSite, model: WriteModel) -> None:
    add(site, "any", foreign=True, requires=("absent",))
    with (
        site.shared(),
        pytest.raises(EngineUnavailable, match=r"any takes .*, and cannot run here: .*pip install 'absent'"),
    ):
        found(model())


def test_of_a_known_kind_one_that_takes_it_would_run_it_by_its_own_code(
    site: FakeSite, model: WriteModel
) -> None:
    add(site, "first", model_types=("mine",), priority=9)
    add(site, "broken", model_types=("mine",), foreign=True, priority=5, requires=("absent",))
    add(site, "second", model_types=("mine",), foreign=True)
    add(site, "other", model_types=("other",), foreign=True, priority=7)
    with site.shared():
        assert engine_by_own_code(read_config(model(model_type="mine"))) == "second"
        assert engine_by_own_code(read_config(model(model_type="mine", auto_map=...))) is None
        assert engine_by_own_code(read_config(model())) is None


def test_without_such_an_engine_nothing_is_promised(site: FakeSite, model: WriteModel) -> None:
    add(site, "own", model_types=("mine",))
    with site.shared(), pytest.raises(UnsupportedModel) as refused:
        found(model())
    assert "its own code" not in str(refused.value)
    assert "mask" not in str(refused.value)


def test_a_model_that_an_uninstalled_engine_takes_is_told_of_it(site: FakeSite, model: WriteModel) -> None:
    add(site, "any", foreign=True)
    with site.shared(), pytest.raises(UnsupportedModel, match="; pip install llada-dinfer or llada-fastdllm"):
        found(model(model_type="llada"))


STRANGE = StrangerSpec(patterns=("auto*",), kind="an autoregressive model, which does not fill masks")


@pytest.mark.parametrize(
    "config",
    [{"model_type": "autobot"}, {"architectures": ["AutobotLM"]}, {"architectures": ["DreamyModel"]}],
)
def test_what_is_known_to_be_something_else_is_refused_all_the_same(
    site: FakeSite, model: WriteModel, config: dict[str, Any]
) -> None:
    plugin = (
        "from llada_core import AlgorithmSpec, EngineSpec, StrangerSpec, hookimpl\n\n"
        "@hookimpl\ndef llada_engines():\n"
        "    echo = AlgorithmSpec(name='echo', engine='any', target='any_decoders:Echo', summary='')\n"
        "    yield EngineSpec(name='any', target='any_decoders:Echo', default_algorithm='echo',\n"
        f"        algorithms=(echo,), model_types=('mine',), foreign=True, strangers=({STRANGE!r},))\n"
    )
    site.add("llada-any", plugin=plugin, modules={"any_decoders": "class Echo: pass\n"})
    with site.shared():
        with pytest.raises(UnsupportedModel, match=r" is (an autoregressive model|a Dream model)"):
            found(model(**config))
        with pytest.raises(IncompatibleEngine):
            found(model(**config), engine="any", check=False)


@pytest.mark.parametrize(
    "auto_map",
    [..., None, {}, [], "x", {"AutoConfig": "a.B"}, {"AutoTokenizer": ["a.B", None]}, {"AutoModel": 3}],
)
def test_a_model_without_code_of_its_own_is_not_foreign(
    site: FakeSite, model: WriteModel, auto_map: Any
) -> None:
    add(site, "any", foreign=True)
    with site.shared(), pytest.raises(UnsupportedModel) as refused:
        found(model(auto_map=auto_map))
    assert "its own code" not in str(refused.value)


@pytest.mark.parametrize(
    "key", ["AutoModel", "AutoModelForCausalLM", "AutoModelForMaskedLM", "AutoModelForPreTraining"]
)
def test_any_auto_class_of_models_counts(site: FakeSite, model: WriteModel, key: str) -> None:
    add(site, "any", foreign=True)
    with site.shared():
        assert found(model(auto_map={key: "modeling_theirs.M"})) == "any"


@pytest.mark.parametrize("mask", [..., None, -1, True, "7", [7], 7.0])
def test_a_model_whose_mask_token_nobody_tells_is_refused_with_what_to_add(
    site: FakeSite, model: WriteModel, mask: Any
) -> None:
    add(site, "any", foreign=True)
    with site.shared():
        for trust in (True, False):
            with pytest.raises(
                UnsupportedModel, match="give the id of its mask token as mask_token_id in config"
            ):
                found(model(mask_token_id=mask), trust=trust)


def test_the_tokenizers_files_may_tell_the_mask_token(site: FakeSite, model: WriteModel) -> None:
    add(site, "any", foreign=True)
    files = {"tokenizer_config.json": {"mask_token": "[M]"}, "added_tokens.json": {"[M]": 4}}
    with site.shared():
        assert found(model(files, mask_token_id=...)) == "any"


def test_of_a_hub_id_they_are_fetched_for_such_a_model_alone(
    site: FakeSite, model: WriteModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(site, "any", model_types=("mine",), foreign=True)
    fetched: list[tuple[str | None, tuple[str, ...]]] = []
    files = {"tokenizer_config.json": {"mask_token": "[M]"}, "added_tokens.json": {"[M]": 4}}

    def snapshot_download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        fetched.append((revision, tuple(allow_patterns)))
        return str(tmp)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    with site.shared():
        tmp = model(files, mask_token_id=..., model_type="mine")
        assert found("owner/name", revision="v2") == "any"  # type: ignore[arg-type]
        assert fetched == [("v2", ("config.json",))]
        tmp = model(files, mask_token_id=...)
        assert found("owner/name", revision="v2") == "any"  # type: ignore[arg-type]
    assert fetched[2][0] == "v2"
    assert "tokenizer.json" in fetched[2][1]


@pytest.mark.parametrize("value", [None, 1, "yes"])
def test_foreign_is_true_or_false(value: Any) -> None:
    echo = AlgorithmSpec(name="echo", engine="e", target="a:B", summary="")
    with pytest.raises(InvalidSpec, match="foreign must be True or False"):
        EngineSpec(name="e", target="a:B", default_algorithm="echo", algorithms=(echo,), foreign=value)


@pytest.mark.parametrize("command", [("detect",), ("doctor", "--model")])
def test_the_advice_to_trust_can_be_followed_in_the_command_that_gives_it(
    site: FakeSite, model: WriteModel, llada: Llada, command: tuple[str, ...]
) -> None:
    add(site, "any", foreign=True)
    with site.shared():
        refused = llada(*command, str(model()))
        assert "--trust-remote-code" in refused.out + refused.err
        trusting = llada(*command, str(model()), "--trust-remote-code")
    assert "--trust-remote-code" not in trusting.out + trusting.err
    assert "any" in trusting.out


def test_detect_says_of_a_named_engine_what_loading_does(
    site: FakeSite, model: WriteModel, llada: Llada
) -> None:
    add(site, "any", model_types=("llada",), foreign=True)
    with site.shared():
        assert "does not take" in llada("detect", str(model()), "--engine", "any").err
        ran = llada("detect", str(model()), "--engine", "any", "--trust-remote-code")
    assert (ran.status, ran.out) == (0, "any\n")
