"""``llada new``: what it refuses, what it asks, and what it takes for granted."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_core.errors import UsageError
from llada_core.testing import fake_site
from llada_dev.new.engines import base_of, range_of
from llada_dev.new.naming import check_algorithm, check_distribution
from llada_dev.new.project import author_here
from tests.support.program import Llada, error

pytestmark = pytest.mark.alone

ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


def metadata_of(folder: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return project


def test_it_writes_a_folder_of_that_name(
    llada: Llada, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = llada("new", "llada-sharp")
    assert ran.status == 0
    assert ran.out.startswith("./llada-sharp holds the algorithm sharp on fast-dllm\n")
    assert "\npip install ./llada-sharp\n" in ran.out
    assert metadata_of(tmp_path / "llada-sharp")["name"] == "llada-sharp"
    assert [path.name for path in tmp_path.iterdir()] == ["llada-sharp"]


def test_it_is_what_the_options_say(llada: Llada, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "folder"
    options = ["--engine", "dinfer", "--algorithm", "mine", "--author", 'Ada "Countess" Lovelace']
    ran = llada("new", "sharp", "--out", str(folder), *options)
    assert ran.out.startswith(f"{folder} holds the algorithm mine on dinfer\n")
    told = metadata_of(folder)
    assert told["authors"] == [{"name": 'Ada "Countess" Lovelace'}]
    assert told["entry-points"] == {"llada.engines": {"mine": "sharp.plugin"}}
    assert [line.partition(">")[0] for line in told["dependencies"]] == [
        "llada-core",
        "llada-dinfer",
        "llada-runtime",
    ]
    assert 'engine="dinfer"' in (folder / "src" / "sharp" / "plugin.py").read_text()


@pytest.mark.parametrize("author", ["Ada 🚀", 'A\\B "C"', "Zoë O'Neil <3 & co", "{{ x }} {# y #}"])
def test_an_author_stands_in_the_metadata_as_given(llada: Llada, tmp_path: Path, author: str) -> None:
    assert llada("new", "sharp", "--out", str(tmp_path), "--author", author).status == 0
    assert metadata_of(tmp_path)["authors"] == [{"name": author}]


def test_an_empty_folder_will_do(llada: Llada, tmp_path: Path) -> None:
    assert llada("new", "sharp", "--out", str(tmp_path)).status == 0
    assert (tmp_path / "pyproject.toml").is_file()


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("My_Decoder", "take my-decoder"),
        ("LLaDA Ümlaut", "take llada-umlaut"),
        ("-", "take my-decoder"),
        ("", "take my-decoder"),
        ("../up", "take up"),
        ("3d", "take another name, such as llada-3d"),
        ("class", "take another name, such as llada-class"),
        ("json", "there is a module json"),
        ("click", "a distribution click is installed"),
        ("dual-cache", "an algorithm of llada-fastdllm already"),
        ("double-cache", "an alias of dual_cache of llada-fastdllm already"),
        ("n" * 41, "41 letters"),
        ("llada-eval", "a distribution of llada itself"),
        ("llada-core", "a distribution of llada itself"),
    ],
)
def test_names_that_cannot_be_are_refused(
    llada: Llada, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert told in error(llada("new", "--", name), status=2)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--algorithm", "My-Algo"), "give --algorithm my_algo"),
        (("--algorithm", ""), "give --algorithm my_decoder"),
        (("--algorithm", "basic"), "an algorithm of llada-fastdllm already; give --algorithm"),
        (("--engine", "nowhere"), "nowhere"),
        (("--engine", ""), "''"),
        (("--engine", "fast-dlm"), "did you mean fast-dllm or fastdllm?"),
        (("--engine", "nemotron"), "take --engine fast-dllm"),
        (("--author", " "), "give --author a name"),
        (("--author", "a\nb"), "give --author a name"),
    ],
)
def test_options_that_cannot_be_are_refused(
    llada: Llada, tmp_path: Path, options: tuple[str, ...], told: str
) -> None:
    assert told in error(llada("new", "sharp", "--out", str(tmp_path / "out"), *options), status=2)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(llada: Llada, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes").write_text("mine")
    for folder, told in (("full", "is not empty"), ("full/notes", "is no folder")):
        assert told in error(llada("new", "sharp", "--out", str(tmp_path / folder)), status=2)
    assert [path.read_text() for path in (tmp_path / "full").iterdir()] == ["mine"]


def test_a_folder_that_cannot_be_made_is_told(llada: Llada) -> None:
    told = error(llada("new", "sharp", "--out", "/dev/null/sharp"), status=2)
    assert told.endswith("; give --out a folder that can be\n")


def test_without_a_terminal_nothing_is_asked(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "llada_core", "new", "sharp"]
    done = subprocess.run(command, cwd=tmp_path, env=ENV, stdin=subprocess.DEVNULL, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert metadata_of(tmp_path / "sharp")["name"] == "sharp"


def test_on_a_terminal_what_no_option_says_is_asked(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "llada_core", "new", "sharp", "--author", "Ada"]
    run = subprocess.Popen(
        command, cwd=tmp_path, env=ENV, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    os.write(ours, b"\nbasic\nkeen\n")  # the engine by default; a name that is taken, then one that is free
    out, _ = run.communicate(timeout=60)
    asked = os.read(ours, 10_000).decode()
    os.close(ours)
    assert run.returncode == 0
    assert "Engine [fast-dllm]: " in asked
    assert "basic is an algorithm of llada-fastdllm already" in asked
    assert asked.count("Name of the algorithm [sharp]: ") == 2
    assert "Author" not in asked
    assert out.decode().startswith("./sharp holds the algorithm keen on fast-dllm\n")


def test_an_engine_that_is_not_installed_is_known_by_its_wheel() -> None:
    with fake_site() as site, site.shared():
        base = base_of("dinfer")
    assert (base.engine, base.distribution, base.version) == (
        "dinfer",
        "llada-dinfer",
        llada_core.__version__,
    )


def test_an_engine_of_others_is_asked_for_by_its_own_version() -> None:
    with fake_site() as site:
        site.add_engine("theirs", algorithms={"echo": ()}, model_types=("llada",), aliases=("others",))
        with site.shared():
            base = base_of("others")
    assert (base.engine, base.distribution, range_of(base.version)) == ("theirs", "llada-theirs", ">=1.0,<2")


@pytest.mark.parametrize(
    ("version", "admitted"),
    [
        ("0.2.0", ">=0.2.0,<0.3"),
        ("0.9.4", ">=0.9.4,<0.10"),
        ("1.4", ">=1.4,<2"),
        ("0.3.0.dev1+local", ">=0.3.0.dev1,<0.4"),
    ],
)
def test_a_range_ends_where_the_next_version_may_break(version: str, admitted: str) -> None:
    assert range_of(version) == admitted


def test_names_of_what_is_not_installed_are_refused_too(tmp_path: Path) -> None:
    with fake_site(tmp_path) as site, site.shared():
        with pytest.raises(UsageError, match="llada-nemotron is the name of a distribution of llada itself"):
            check_distribution("llada-nemotron")
        with pytest.raises(UsageError, match="dinfer_hierarchical is an algorithm of llada-dinfer, which is"):
            check_algorithm("dinfer_hierarchical")


def test_an_author_of_an_old_configuration_is_read(
    llada: Llada, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gitconfig").write_bytes("[user]\n\tname = J\xf6rg\n".encode("latin-1"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    monkeypatch.chdir(tmp_path)
    assert author_here("mine") == "J\xf6rg"


def test_a_folder_of_a_name_that_is_too_long_is_a_wrong_call(llada: Llada) -> None:
    said = error(llada("new", "sharp", "--out", "x" * 300), status=2)
    assert said.endswith("give --out another folder\n")
