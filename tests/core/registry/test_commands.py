"""Commands of plugins: what their code raises is one line on stderr, whatever it derives from."""

from __future__ import annotations

from typing import Any

import pytest

from llada_core import registry
from tests.support.program import Llada

Site = Any

PLUGIN = """
    from llada_core import CommandSpec, hookimpl

    @hookimpl
    def llada_commands():
        yield CommandSpec(name="squawk", target="llada_squawk:squawk", summary="Say something.")
"""
PANIC = "class Panic(BaseException): pass\nraise Panic('index out of bounds')"
COMMAND = "import click\n\n@click.command()\ndef squawk():\n    {}"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            PANIC,
            "the command squawk cannot be imported from llada_squawk:squawk (Panic: index out of bounds)",
        ),
        ("exit(0)", "the command squawk cannot be imported from llada_squawk:squawk (SystemExit: 0)"),
        (COMMAND.format(PANIC.replace("\n", "\n    ")), "index out of bounds (Panic"),
        (COMMAND.format("1 / 0"), "division by zero"),
    ],
    ids=["panics on import", "exits on import", "panics", "raises"],
)
def test_a_command_that_fails_is_one_line(site: Site, llada: Llada, source: str, said: str) -> None:
    site.add("llada-birds", plugin=PLUGIN, modules={"llada_squawk": source})
    with registry.using(site.registry()):
        status, out, err = llada("squawk")
        assert llada("plugins").status == 0
    assert (status, out) == (1, "")
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1


def test_a_command_may_end_the_program(site: Site, llada: Llada) -> None:
    site.add("llada-birds", plugin=PLUGIN, modules={"llada_squawk": COMMAND.format("exit(7)")})
    with registry.using(site.registry()), pytest.raises(SystemExit) as ended:
        llada("squawk")
    assert ended.value.code == 7
