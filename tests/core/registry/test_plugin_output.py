"""What plugins print while they are loaded stays away from what the program answers, and in other programs
goes where these print; what plugins do to streams and warnings is undone."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest

Site = Any
Program = Callable[..., subprocess.CompletedProcess[str]]

PRINTING = """
    import atexit, os, subprocess, sys
    from llada_core import CommandSpec, hookimpl

    print("hello from an import")
    os.write(1, b"hello from below Python\\n")
    subprocess.run(["echo", "hello from a child"])
    sys.stdout.write("hello without an end")
    atexit.register(print, "hello from the end")

    @hookimpl
    def llada_engines():
        print("hello from a hook")
        return []

    @hookimpl
    def llada_detect_engine(config, engines):
        print("hello from a decision")

    @hookimpl
    def llada_commands():
        yield CommandSpec(name="say", target="llada_loud_command:say", summary="Say something.")
"""
COMMAND = """
    import os
    import click

    @click.command()
    def say():
        click.echo("said")
        os.write(1, b"and below Python\\n")
"""


@pytest.fixture
def program(site: Site) -> Program:
    """A function that runs ``llada`` in a process of its own, with one plugin: ``loud``."""

    def call(
        plugin: str, *arguments: str, closed: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        site.add("llada-loud", plugin=plugin, modules={"llada_loud_command": COMMAND})
        path = os.pathsep.join(filter(None, (str(site.folder), os.environ.get("PYTHONPATH"))))
        env = {**os.environ, "PYTHONPATH": path, "LLADA_LOAD_PLUGINS": "loud", **variables}
        command = [sys.executable, "-m", "llada_core", *arguments]
        if closed:
            command = ["sh", "-c", f"{shlex.join(command)} {closed}"]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True)

    return call


def test_what_a_plugin_prints_goes_to_stderr_of_the_program(program: Program) -> None:
    done = program(PRINTING, "plugins", "--json")
    assert "loud" in [plugin["name"] for plugin in json.loads(done.stdout)]
    assert len(done.stderr.split("hello")) - 1 == 7


@pytest.mark.parametrize("arguments", [("--help",), ("doctor", "--json"), ("detect", "--help")])
def test_no_answer_of_the_program_holds_it(program: Program, arguments: tuple[str, ...]) -> None:
    done = program(PRINTING, *arguments)
    assert done.stdout
    assert "hello" not in done.stdout


def test_no_answer_holds_it_where_stderr_is_closed_either(program: Program) -> None:
    done = program(PRINTING, "plugins", "--json", closed="2>&-")
    assert "loud" in [plugin["name"] for plugin in json.loads(done.stdout)]


def test_completions_of_a_shell_are_alone(program: Program) -> None:
    words = {"_LLADA_COMPLETE": "bash_complete", "COMP_WORDS": "llada pl", "COMP_CWORD": "1"}
    assert program(PRINTING, **words).stdout == "plain,plugins\n"


def test_to_a_command_of_a_plugin_stdout_is_its_own(program: Program) -> None:
    assert program(PRINTING, "say").stdout.startswith("said\nand below Python\n")


def test_stdout_is_the_programs_whatever_a_plugin_does_to_it(program: Program) -> None:
    done = program("import os, sys; sys.stdout = None; os.close(1)", "plugins", "--json")
    assert "loud" in [plugin["name"] for plugin in json.loads(done.stdout)]


def test_in_other_programs_stdout_is_left_alone(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    source = "print('from the import')\ndef probe(): print('from the probe')\nEcho = object"
    site.add("llada-decoders", modules={"decoders": source})
    site.add_engine("e", algorithms={"echo": ()}, target="decoders:Echo", probe="decoders:probe")
    site.add(
        "llada-plain", plugin="import os\nprint('from the plugin', flush=True)\nos.write(1, b'below\\n')"
    )
    assert site.registry().engine("e", use=True).available
    assert capfd.readouterr() == ("from the plugin\nbelow\nfrom the import\nfrom the probe\n", "")


def test_the_filters_of_warnings_are_given_back(site: Site) -> None:
    site.add("llada-strict", plugin="import warnings\nwarnings.simplefilter('ignore')\nraise SystemExit")
    before = warnings.filters[:]
    site.registry()
    assert warnings.filters == before
