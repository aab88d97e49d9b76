"""Names, aliases and what a misspelled name may have meant."""

from __future__ import annotations

import pytest

from llada_core.environment import Environment, read_environment
from llada_core.errors import UsageError
from llada_core.names import Claim, NameTable, closest


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dual-cache", "dual_cache"),
        ("Dual_Cache", "dual_cache"),
        ("dual_cach", "dual_cache"),
        ("fastdllm", "fast-dllm"),
        ("fast_dllm", "fast-dllm"),
    ],
)
def test_the_closest_name_comes_first(typed: str, meant: str) -> None:
    assert closest(typed, ["basic", "dual_cache", "fast-dllm", "prefix_cache"])[0] == meant


def test_nothing_is_close_to_nonsense() -> None:
    assert closest("xyzzy", ["basic", "dual_cache"]) == ()


def test_the_first_claim_keeps_the_name() -> None:
    table = NameTable()
    first = Claim(name="echo", target="echo", owner="llada-a")
    assert table.claim(first) is None
    assert table.claim(Claim(name="echo", target="other", owner="llada-b")) is first
    assert (table.resolve("echo"), table.owner("echo")) == ("echo", "llada-a")


def test_an_alias_resolves_to_the_thing_and_not_in_another_case() -> None:
    table = NameTable()
    for name in ("echo", "say", "repeat"):
        table.claim(Claim(name=name, target="echo", owner="llada-a"))
    assert table.resolve("say") == "echo"
    assert table.resolve("Say") is None
    assert table.aliases("echo") == ("repeat", "say")


def test_a_release_frees_the_name_and_the_aliases() -> None:
    table = NameTable()
    for name in ("echo", "say"):
        table.claim(Claim(name=name, target="echo", owner="llada-a"))
    table.release("echo")
    assert (table.resolve("echo"), table.resolve("say"), table.owner("say")) == (None, None, None)


def test_an_unset_environment_restricts_nothing() -> None:
    assert read_environment({}) == Environment()


def test_an_empty_allow_list_differs_from_none() -> None:
    assert read_environment({"LLADA_LOAD_PLUGINS": ""}).load_plugins == frozenset()


def test_the_lists_hold_normalised_names() -> None:
    variables = {"LLADA_LOAD_PLUGINS": "Fast_dLLM, llada.dinfer,", "LLADA_BLOCK_PLUGINS": "a"}
    environment = read_environment(variables)
    assert environment.load_plugins == {"fast-dllm", "llada-dinfer"}
    assert environment.block_plugins == {"a"}


def test_an_empty_name_is_none() -> None:
    environment = read_environment({"LLADA_ENGINE": "", "LLADA_ALGORITHM": ""})
    assert (environment.engine, environment.algorithm) == (None, None)


@pytest.mark.parametrize(("text", "strict"), [("1", True), ("true", True), ("0", False), ("", False)])
def test_strict_is_on_or_off(text: str, strict: bool) -> None:
    assert read_environment({"LLADA_STRICT_PLUGINS": text}).strict_plugins is strict


def test_strict_is_nothing_else() -> None:
    with pytest.raises(
        UsageError, match="LLADA_STRICT_PLUGINS='maybe' is neither on nor off; set it to 1 or 0"
    ):
        read_environment({"LLADA_STRICT_PLUGINS": "maybe"})


@pytest.mark.parametrize(("text", "graphs"), [("1", True), ("", True), ("0", False), ("no", False)])
def test_graphs_are_on_unless_they_are_switched_off(text: str, graphs: bool) -> None:
    assert read_environment({"LLADA_GRAPHS": text}).graphs is graphs


def test_the_environment_is_read_on_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLADA_ENGINE", "fast-dllm")
    assert read_environment().engine == "fast-dllm"
