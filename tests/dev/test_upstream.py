"""Certificates against published code: a checkout of a few lines here, the true ones where there are any."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import llada_tiny
from llada_core import LladaError, UsageError
from llada_dev.verify.upstream.certificates import Certificate
from llada_dev.verify.upstream.mapping import check_neutral, check_whole_blocks
from llada_dev.verify.upstream.places import UPSTREAMS, Upstream, checkout_of, upstream_of
from llada_dev.verify.upstream.source import Source
from llada_dev.verify.upstream.weights import fields_of
from tests.dev.verifying import SHORT, fake_checkout, small_model, verified

FAST_DLLM, DINFER = UPSTREAMS
ROOT = Path(__file__).parents[2]
GOLDENS = sorted((ROOT / "tests" / "parity" / "goldens" / "models").glob("*"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def checkouts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """No checkout but those that a test names."""
    monkeypatch.chdir(tmp_path)
    for upstream in UPSTREAMS:
        monkeypatch.delenv(upstream.variable, raising=False)
    return monkeypatch


def test_a_certificate_says_what_is_equal_and_names_the_first_difference(
    checkouts: pytest.MonkeyPatch, tmp_path: Path, model: Path
) -> None:
    """The dual cache of this checkout is damaged; the other functions are not."""
    damaged = fake_checkout(tmp_path / "fast", damage="canvas[0, -3] = 7; nfe += 2")
    checkouts.setenv("LLADA_FASTDLLM_PATH", str(damaged))
    told = verified(model, "--upstream", "--repeat", 1, *SHORT, "--json")
    assert told.exit_code == 1
    found = json.loads(told.stdout)
    assert not found["passed"]
    by_name = {each["algorithm"]: each for each in found["certificates"]}
    for name in ("basic", "prefix_cache"):
        certificate = by_name[name]
        assert (certificate["verdict"], certificate["tokens_equal"]) == ("passed", True)
        assert (certificate["nfe_equal"], certificate["nfe"]) == (True, certificate["upstream_nfe"])
        assert certificate["time_ratio"] > 0
        assert certificate["difference"] is None
    spoiled = by_name["dual_cache"]
    assert (spoiled["verdict"], spoiled["tokens_equal"], spoiled["nfe_equal"]) == ("failed", False, False)
    assert (spoiled["difference"]["position"], spoiled["difference"]["expected"]) == (5, 7)
    assert "there is no dInfer" in by_name["dinfer_blockwise"]["error"]
    assert by_name["dinfer_blockwise"]["verdict"] == "not run"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_what_upstream_raises_is_told_and_fails(
    checkouts: pytest.MonkeyPatch, tmp_path: Path, model: Path
) -> None:
    broken = fake_checkout(tmp_path / "fast", damage="raise AssertionError('steps')")
    checkouts.setenv("LLADA_FASTDLLM_PATH", str(broken))
    told = verified(model, "--upstream", *SHORT, "--algorithm", "dual_cache")
    assert told.exit_code == 1
    assert "dual_cache: failed against Fast-dLLM of an unknown commit" in told.stdout
    assert "AssertionError: steps" in told.stdout


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_forwards_in_vain_of_the_first_release_are_counted_apart(
    checkouts: pytest.MonkeyPatch, tmp_path: Path, model: Path
) -> None:
    """At threshold 0 each block is full after one forward, and that release runs another."""
    first = fake_checkout(tmp_path / "fast", surplus=2, factor=False)
    checkouts.setenv("LLADA_FASTDLLM_PATH", str(first))
    told = verified(
        model, "--upstream", "--repeat", 1, *SHORT, "-p", "threshold=0", "--algorithm", "dual_cache"
    )
    assert told.exit_code == 0, told.output
    assert "NFE          equal, 8 (and 8 of upstream's in blocks that were full already)" in told.stdout
    assert f"what our decoders reproduce is {FAST_DLLM.commit[:7]}" in told.stderr


@pytest.mark.parametrize(
    ("values", "said"),
    [({"temperature": 0.5}, "give temperature=0.0"), ({"early_stop": True}, "give early_stop=False")],
)
def test_parameters_that_upstream_has_no_counterpart_of_are_refused(
    values: dict[str, object], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        check_neutral("Fast-dLLM", values, {"temperature": 0.0, "early_stop": False})


def test_answers_whose_last_block_is_short_are_refused() -> None:
    with pytest.raises(UsageError, match="give --gen-length 12"):
        check_whole_blocks("Fast-dLLM", {"gen_length": 9, "block_length": 4})


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--algorithm", "nemotron"), "no published code is known of nemotron"),
        (("--quantization", "int8"), "--quantization is nothing that published code knows"),
        (("--dcp", "weights"), "write a folder with llada convert"),
        (("--base", "elsewhere"), "--base is of --dcp, which is not given"),
        (("--dcp-prefix", "model"), "--dcp-prefix is of --dcp, which is not given"),
        (("--temp-dir", "elsewhere"), "--temp-dir is of --dcp, which is not given"),
        (("--rows", "8"), "--rows is of batches"),
        (("--algorithm", "dinfer_credit"), "git submodule update --init 3rdparty/dInfer"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    checkouts: pytest.MonkeyPatch, tmp_path: Path, model: Path, arguments: tuple[str, ...], said: str
) -> None:
    checkouts.setenv("LLADA_FASTDLLM_PATH", str(fake_checkout(tmp_path / "fast")))
    told = verified(model, "--upstream", *arguments)
    assert isinstance(told.exception, UsageError)
    assert said in str(told.exception)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_process_that_breaks_down_is_an_error(
    checkouts: pytest.MonkeyPatch, tmp_path: Path, model: Path
) -> None:
    broken = fake_checkout(tmp_path / "fast")
    (broken / "v1/llada/model/modeling_llada.py").write_text("raise SystemExit(3)")
    checkouts.setenv("LLADA_FASTDLLM_PATH", str(broken))
    told = verified(model, "--upstream", *SHORT, "--algorithm", "basic")
    assert isinstance(told.exception, LladaError)
    assert "Fast-dLLM ended with status 3" in str(told.exception)


def test_without_any_checkout_it_is_said_how_to_get_one(checkouts: pytest.MonkeyPatch, model: Path) -> None:
    told = verified(model, "--upstream")
    assert isinstance(told.exception, UsageError)
    assert "git submodule update --init 3rdparty/Fast-dLLM" in str(told.exception)


def test_a_checkout_is_found_in_a_folder_above(checkouts: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fake_checkout(tmp_path / "3rdparty" / "Fast-dLLM")
    (tmp_path / "deep" / "deeper").mkdir(parents=True)
    checkouts.chdir(tmp_path / "deep" / "deeper")
    found = checkout_of(FAST_DLLM)
    assert (found.path, found.commit) == (tmp_path / "3rdparty" / "Fast-dLLM", None)


def test_a_checkout_that_was_edited_is_called_changed(tmp_path: Path) -> None:
    folder = fake_checkout(tmp_path / "fast")
    for command in ("init", "add .", "-c user.name=a -c user.email=a@b commit -m 1"):
        subprocess.run(["git", "-C", str(folder), *command.split()], check=True, capture_output=True)
    where = {FAST_DLLM.variable: str(folder)}
    (folder / "notes").write_text("git does not know it")
    found = checkout_of(FAST_DLLM, where)
    assert (found.commit is not None, found.changed) == (True, False)
    (folder / "v1" / "llada" / "generate.py").write_text("edited")
    changed = checkout_of(FAST_DLLM, where)
    assert (changed.commit, changed.changed) == (found.commit, True)
    made = Certificate(
        algorithm="basic", upstream="Fast-dLLM", commit="a9b81e4c", changed=True, verdict="passed"
    )
    assert made.lines[0] == "basic: passed against Fast-dLLM at a9b81e4 (changed)"
    assert made.as_dict()["changed"] is True


def test_modules_of_upstream_shadow_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "json.py").write_text("")
    (tmp_path / "code" / "of_upstream.py").write_text("import not_installed_anywhere")
    found = Source(tmp_path, "code")
    assert sys.path[-1] == str(found.folder)
    with pytest.raises(UsageError, match="has that name"):
        found.module("json")
    with pytest.raises(UsageError, match="pip install not_installed_anywhere"):
        found.module("of_upstream")
    with pytest.raises(UsageError, match="has that name"):
        found.bare("click")


def test_an_algorithm_is_published_by_one_code_or_by_none() -> None:
    assert upstream_of("dinfer_credit") is DINFER
    assert upstream_of("nemotron") is None


def true_checkout(upstream: Upstream) -> Path | None:
    """Where the published code is on this machine, if anywhere."""
    place = os.environ.get(upstream.variable) or str(ROOT / "3rdparty" / upstream.name)
    try:
        return checkout_of(upstream, {upstream.variable: place}).path
    except UsageError:
        return None


CHECKOUTS = {upstream.name: true_checkout(upstream) for upstream in UPSTREAMS}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("folder", [*GOLDENS, llada_tiny.model_path()], ids=lambda path: path.name)
@pytest.mark.parametrize("upstream", UPSTREAMS, ids=lambda upstream: upstream.name)
def test_the_published_code_decodes_the_same(
    upstream: Upstream, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkout = CHECKOUTS[upstream.name]
    if checkout is None:
        pytest.skip(f"there is no checkout of {upstream.name}, see 3rdparty/README.md")
    monkeypatch.setenv(upstream.variable, str(checkout))
    named = [word for name in upstream.algorithms for word in ("--algorithm", name)]
    told = verified(folder, "--upstream", "--repeat", 1, *named)
    assert told.exit_code == 0, told.output
    assert told.stdout.count("tokens       equal") == len(upstream.algorithms)
    assert told.stdout.count("NFE          equal") == len(upstream.algorithms)


def test_published_code_of_another_network_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LLaDAMoEModelLM"]}))
    with pytest.raises(
        UsageError, match=r"dense LLaDA models alone, and architectures is \['LLaDAMoEModelLM'\]"
    ):
        fields_of(tmp_path)
