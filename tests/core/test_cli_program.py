"""The program ``llada``: its commands, errors and exit statuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

import llada_core
from llada_core import list_commands
from llada_core.cli.program import COMMANDS, Program, _with_options_of_the_program
from llada_core.plugins.requirements import remedy_of
from llada_core.registry.catalogue import RESERVED_COMMANDS
from llada_core.testing import FakeSite
from tests.support.program import error

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def env(world: FakeSite) -> dict[str, str]:
    """The variables of a process that sees the fake engines only."""
    path = os.pathsep.join(filter(None, (str(world.folder), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": path, "LLADA_LOAD_PLUGINS": "fake"}


# -- the commands


def test_the_reserved_names_are_those_of_the_commands() -> None:
    assert sorted(spec.name for spec in COMMANDS) == sorted(RESERVED_COMMANDS)


def test_every_command_can_be_imported_and_takes_json_and_debug() -> None:
    program = Program()
    for spec in COMMANDS:
        command = program.get_command(click.Context(program), spec.name)
        assert command is not None
        assert command.name == spec.name
        assert {"--json", "--debug"} <= {name for each in command.params for name in each.opts}


def test_help_lists_the_commands_of_plugins_without_importing_them(llada: Any) -> None:
    status, out, _ = llada("--help")
    assert status == 0
    for spec in (*COMMANDS, *list_commands()):
        assert spec.name in out
        assert spec.summary in out
    assert "fake_engine" not in sys.modules


def test_without_a_command_help_is_shown(llada: Any) -> None:
    assert llada() == llada("--help")


def test_a_command_of_a_plugin_runs(llada: Any) -> None:
    assert llada("fake-report") == (0, "all is well\n", "")


def test_a_command_that_its_plugin_does_not_have_is_an_error(llada: Any) -> None:
    assert "mend its plugin" in error(llada("fake-broken"), status=1)


def test_the_version_is_told(llada: Any) -> None:
    assert llada("--version")[1] == f"llada, version {llada_core.__version__}\n"


def test_telling_the_version_reads_no_metadata_and_imports_no_pickle(env: dict[str, str]) -> None:
    heavy = ("importlib.metadata", "importlib_metadata._adapters", "pickle", "llada_core.portable")
    code = (
        "import sys\nfrom llada_core.cli.program import run\nrun(['--version'])\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[1] == "[]"


# -- errors


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("generat",), "no command is called 'generat'; did you mean generate? See llada --help\n"),
        (
            ("fake_report",),
            "no command is called 'fake_report'; did you mean fake-report? See llada --help\n",
        ),
        (("xyzzy",), "no command is called 'xyzzy'; see llada --help\n"),
        (("engines", "--jso"), "there is no option --jso; did you mean --json? See llada engines --help\n"),
        (
            ("detect", "--model", "x"),
            "there is no option --model; give MODEL by itself; see llada detect --help\n",
        ),
        *(
            (
                (command, "llada-tiny-long", *more),
                "llada-tiny-long names a model, which is no argument here; give --model llada-tiny-long; see "
                f"llada {command} --help\n",
            )
            for command, more in [("bench", ()), ("chat", ()), ("doctor", ()), ("generate", ("Hello",))]
        ),
        (("bench", "owner/name"), "give --model owner/name; see llada bench --help\n"),
        (("generate", "What", "is", "3/4"), "extra arguments (is 3/4); see llada generate --help\n"),
        (("generate", "llada-tiny-long", "3/4"), "give --model llada-tiny-long; see llada generate --help\n"),
        (("bench", "owner"), "Got unexpected extra argument (owner); see llada bench --help\n"),
        (("generate", "yes/no", "owner"), "extra argument (owner); see llada generate --help\n"),
        (("detect", "llada-tiny", "x"), "Got unexpected extra argument (x); see llada detect --help\n"),
        (("generate", "x", "--max_tokens", "3"), "did you mean --max-tokens? See llada generate --help\n"),
        (("engines", "--xyzzy"), "there is no option --xyzzy; see llada engines --help\n"),
    ],
)
def test_an_unknown_command_or_option_is_told_with_what_may_be_meant(
    llada: Any, arguments: tuple[str, ...], said: str
) -> None:
    assert error(llada(*arguments), status=2).endswith(said)


@pytest.mark.parametrize("name", [spec.name for spec in COMMANDS])
def test_an_option_without_its_value_points_to_the_help_of_its_own_command(llada: Any, name: str) -> None:
    program = Program()
    command = program.get_command(click.Context(program), name)
    assert command is not None
    taking = [each for each in command.params if isinstance(each, click.Option) and not each.is_flag]
    for option in taking:
        if not (option.is_eager or option.count):
            said = error(llada(name, option.opts[0]), status=2)
            assert said.endswith(f"; see llada {name} --help\n")


def test_a_command_in_a_plugins_group_points_to_its_own_help() -> None:
    @click.group()
    def group() -> None: ...

    @group.command()
    @click.option("--two", nargs=2)
    def sub(two: object) -> None: ...

    extended = _with_options_of_the_program(group)
    with pytest.raises(click.UsageError) as caught:
        extended.main(["sub", "--two", "1"], standalone_mode=False, prog_name="llada group")
    assert caught.value.ctx is not None
    assert caught.value.ctx.command_path == "llada group sub"


def test_every_command_takes_the_options_of_the_program(llada: Any) -> None:
    for command in (*COMMANDS, *list_commands()):
        if command.name != "fake-broken":
            status, out, _ = llada(command.name, "--debug", "--version")
            assert (status, out.startswith("llada, version ")) == (0, True)


def test_an_option_of_a_plugins_command_stays_its_own() -> None:
    @click.group()
    @click.option("--debug")
    def group(debug: str) -> None: ...

    @group.command()
    def sub() -> None: ...

    extended = _with_options_of_the_program(group)
    assert [each.type.name for each in extended.params if "--debug" in each.opts] == ["text"]
    assert isinstance(extended, click.Group)
    assert {"--debug", "--version"} <= {
        name for each in extended.commands["sub"].params for name in each.opts
    }
    assert [each.opts for each in sub.params] == []


def test_an_unexpected_error_is_one_line_and_debug_shows_the_traceback(
    llada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("two\nlines")

    monkeypatch.setattr("llada_core.registry.list_engines", fail)
    assert "two lines (RuntimeError; run again with --debug" in error(llada("engines"), status=1)
    for arguments in (("engines", "--debug"), ("--debug", "engines")):
        status, _, err = llada(*arguments)
        assert status == 1
        assert "Traceback" in err


def test_ctrl_c_exits_with_130(llada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llada_core.registry.list_engines", interrupt)
    assert llada("engines") == (130, "", "")


def test_a_reader_that_leaves_early_is_no_error(env: dict[str, str]) -> None:
    command = f"{sys.executable} -m llada_core algorithms --json | true"
    done = subprocess.run(["sh", "-c", command], env=env, capture_output=True, text=True)
    assert done.stderr == ""


def test_warnings_are_one_line(llada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    monkeypatch.setattr("llada_core.registry.list_engines", lambda: warnings.warn("mind", stacklevel=1) or [])
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        _, _, err = llada("engines", "--json")
    assert err == "warning: mind\n"


def test_it_runs_as_a_module(env: dict[str, str]) -> None:
    command = [sys.executable, "-m", "llada_core", "engines", "--json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    assert done.returncode == 0
    assert {"alien", "fake"} == {engine["name"] for engine in json.loads(done.stdout)}


def test_a_command_of_a_distribution_that_is_not_installed_says_what_to_install(llada: Any) -> None:
    said = error(llada("serve"), status=2)
    assert "no command is called 'serve' here: llada-server brings it and is not installed; " in said
    assert "pip install llada-server" in said


@pytest.mark.parametrize(
    ("module", "remedy"),
    [("fastapi", "pip install llada-mine"), ("llada_runtime", "pip install llada-runtime")],
)
def test_a_command_that_lacks_what_it_needs_says_what_to_install(
    module: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failure = ModuleNotFoundError(f"No module named {module!r}", name=module)
    told = remedy_of(failure, "llada_mine.command:serve", "llada-mine", otherwise="mend its plugin")
    assert told.startswith(remedy)
    own = ModuleNotFoundError("No module named 'llada_mine.x'", name="llada_mine.x")
    assert remedy_of(own, "llada_mine.x:serve", "llada-mine", otherwise="mend it") == "mend it"


def test_a_folder_that_holds_a_model_is_told_to_be_one(llada: Any, tmp_path: Path) -> None:
    said = error(llada("bench", str(tmp_path)), status=2)
    assert said.endswith(f"Got unexpected extra argument ({tmp_path}); see llada bench --help\n")
    (tmp_path / "config.json").write_text("{}")
    said = error(llada("bench", str(tmp_path)), status=2)
    assert f"give --model {tmp_path}" in said


@pytest.mark.parametrize("name", [spec.name for spec in COMMANDS])
def test_what_takes_a_model_says_that_wheels_hold_some(name: str) -> None:
    program = Program()
    command = program.get_command(click.Context(program), name)
    assert command is not None
    named = [each for each in command.params if isinstance(each, click.Option) and "--model" in each.opts]
    assert all("wheel" in (each.help or "") for each in named)
    if any(each.name == "model" for each in command.params if isinstance(each, click.Argument)):
        assert "wheel" in (command.help or "")
