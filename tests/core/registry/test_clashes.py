"""A name stands for one thing: the earlier distribution keeps it, the newcomer is told so with both names."""

from __future__ import annotations

from typing import Any

import pytest

from llada_core import PluginConflict
from llada_core.registry.registry import Registry

Site = Any


def reason(registry: Registry, distribution: str) -> str:
    (status,) = [each for each in registry.statuses() if each.distribution == distribution]
    return status.reason or ""


def test_of_two_engines_with_one_name_the_first_stays(site: Site) -> None:
    site.add_engine("twin", algorithms={"echo_a": ()}, distribution="llada-a")
    site.add_engine("twin", algorithms={"echo_b": ()}, distribution="llada-b")
    registry = site.registry()
    assert registry.engine("twin").distribution == "llada-a"
    assert registry.algorithms() == ["echo_a"]
    assert reason(registry, "llada-a") == ""
    assert reason(registry, "llada-b") == (
        "the engine twin of llada-b is dropped with its algorithms, because llada-a, which comes first, has "
        "that name; LLADA_BLOCK_PLUGINS=llada-a gives it to llada-b, or uninstall one of them"
    )
    assert [status.status for status in registry.statuses()] == ["loaded", "broken"]


OWNERS = {  # the engine, a distribution that comes first, and the one that keeps it
    "of a published wheel": ("fast-dllm", "a-helper", "llada-fastdllm"),
    "in another spelling": ("dinfer", "a-helper", "Llada_DInfer"),
    "of a published wheel, named like it": ("dinfer", "dinfer", "llada-dinfer"),
    "of a wheel that is named for it": ("parrot", "a-helper", "llada-parrot"),
    "named without the prefix": ("my-parrot", "a-helper", "my_parrot"),
}


@pytest.mark.parametrize(("engine", "first", "owner"), OWNERS.values(), ids=OWNERS.keys())
def test_an_engine_stays_with_the_distribution_that_has_the_best_title(
    site: Site, engine: str, first: str, owner: str
) -> None:
    site.add_engine(engine, algorithms={"echo": ("say",), "lost": ()}, distribution=first)
    site.add_engine(engine, algorithms={"echo": ("say",)}, distribution=owner)
    registry = site.registry()
    assert registry.engine(engine).distribution == owner
    assert registry.algorithm("say").distribution == owner
    assert reason(registry, owner) == ""
    told = reason(registry, first)
    assert told.startswith(
        f"the engine {engine} of {first} is dropped with its algorithms, because {owner}, "
    )
    assert told.endswith(
        f" has that name; LLADA_BLOCK_PLUGINS={owner} gives it to {first}, or uninstall one of them"
    )
    assert ("to which that name belongs" in told) is (engine in ("fast-dllm", "dinfer"))


def test_the_user_may_give_a_name_to_the_other(site: Site) -> None:
    site.add_engine("fast-dllm", algorithms={"echo": ()}, distribution="a-helper")
    site.add_engine("fast-dllm", algorithms={"echo": ()}, distribution="llada-fastdllm")
    registry = site.registry(block_plugins=frozenset({"llada-fastdllm"}))
    assert registry.engine("fast-dllm").distribution == "a-helper"


def test_a_title_to_an_engine_is_one_to_the_names_of_its_algorithms(site: Site) -> None:
    site.add_engine("helper", algorithms={"basic": (), "mine": ("quick",)}, distribution="a-helper")
    site.add_engine("other", algorithms={"odd": ("quick",)}, distribution="llada-another")
    site.add_engine("fast-dllm", algorithms={"basic": ("quick",)}, distribution="llada-fastdllm")
    registry = site.registry()
    assert registry.algorithm("basic").distribution == "llada-fastdllm"
    assert registry.algorithm("quick").distribution == "llada-fastdllm"
    assert registry.engine("helper").algorithms == ("mine",)
    assert "the algorithm basic of a-helper is dropped, because llada-fastdllm has" in reason(
        registry, "a-helper"
    )


def test_an_engine_that_its_owner_does_not_bring_is_its_bringers(site: Site) -> None:
    site.add_engine("fast-dllm", algorithms={"echo": ()}, distribution="a-helper")
    assert site.registry().engine("fast-dllm").distribution == "a-helper"


def test_a_plugin_that_gives_one_name_twice_is_told_to_rename(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()})
    module = site.folder / "llada_e.py"
    again = "AlgorithmSpec(name='echo', engine='e', target='m:A', summary='')"
    module.write_text(f"{module.read_text()}\n@hookimpl\ndef llada_algorithms():\n    yield {again}\n")
    assert reason(site.registry(), "llada-e") == (
        "the algorithm echo of llada-e is dropped, because llada-e has that name; "
        "tell the authors of llada-e to rename it"
    )


def test_an_engine_keeps_the_algorithms_whose_names_are_free(site: Site) -> None:
    site.add_engine("a", algorithms={"echo": ()})
    site.add_engine("b", algorithms={"echo": ("second",), "shout": ()})
    registry = site.registry()
    assert registry.algorithm("echo").engine == "a"
    assert registry.engine("b").algorithms == ("shout",)
    assert registry.engine("b").default_algorithm == "shout"
    assert registry.algorithm("shout").default
    assert "the algorithm echo of llada-b is dropped" in reason(registry, "llada-b")
    assert "second" not in registry.algorithm("echo").aliases


def test_an_engine_without_a_free_algorithm_goes_too(site: Site) -> None:
    site.add_engine("a", algorithms={"echo": ()})
    site.add_engine("b", algorithms={"echo": ()}, aliases=("bee",))
    site.add_engine("c", algorithms={"shout": ()}, aliases=("bee",))
    registry = site.registry()
    assert registry.engines() == ["a", "c"]
    assert registry.engine("bee").name == "c"


def test_an_alias_that_is_taken_is_lost_and_the_rest_is_kept(site: Site) -> None:
    site.add_engine("a", algorithms={"echo": ("say",)})
    site.add_engine("b", algorithms={"shout": ("say", "cry")})
    registry = site.registry()
    assert registry.algorithm("say").name == "echo"
    assert registry.algorithm("shout").aliases == ("cry",)
    assert "the algorithm alias say of llada-b is dropped, because llada-a" in reason(registry, "llada-b")
    assert [status.status for status in registry.statuses()] == ["loaded", "loaded"]


def test_an_alias_never_takes_a_name(site: Site) -> None:
    site.add_engine("a", algorithms={"echo": ("shout", "b")}, aliases=("b",))
    site.add_engine("b", algorithms={"shout": ()})
    registry = site.registry()
    assert registry.algorithm("shout").engine == "b"
    assert registry.engine("b").name == "b"
    assert registry.algorithm("b").name == "echo"
    assert "the algorithm alias shout of llada-a is dropped, because llada-b" in reason(registry, "llada-a")


def test_engines_and_algorithms_have_tables_of_their_own(site: Site) -> None:
    site.add_engine("echo", algorithms={"echo": ()})
    registry = site.registry()
    assert (registry.engines(), registry.algorithms()) == (["echo"], ["echo"])


def test_the_order_of_installation_does_not_matter(site: Site) -> None:
    for name in ("c", "a", "b"):
        site.add_engine("twin", algorithms={name: ()}, distribution=f"llada-{name}")
    assert site.registry().engine("twin").distribution == "llada-a"


def test_strict_raises_the_clash_with_both_distributions(site: Site) -> None:
    site.add_engine("twin", algorithms={"echo_a": ()}, distribution="llada-a")
    site.add_engine("twin", algorithms={"echo_b": ()}, distribution="llada-b")
    with pytest.raises(PluginConflict) as raised:
        site.registry(strict_plugins=True)
    conflict = raised.value
    assert (conflict.name, conflict.plugin) == ("twin", "b")
    assert (conflict.dist, conflict.other) == ("llada-b", "llada-a")


def command_plugin(name: str) -> str:
    return f"""
        from llada_core import CommandSpec, hookimpl

        @hookimpl
        def llada_commands():
            return [CommandSpec(name={name!r}, target="m:command", summary="A command.")]
    """


def test_commands_are_listed_by_name(site: Site) -> None:
    site.add("llada-b", plugin=command_plugin("serve"))
    site.add("llada-c", plugin=command_plugin("batch"))
    assert [command.name for command in site.registry().commands()] == ["batch", "serve"]


@pytest.mark.parametrize("name", ["generate", "serve"])
def test_a_command_cannot_take_a_name_that_is_there(site: Site, name: str) -> None:
    site.add("llada-a", plugin=command_plugin("serve"))
    site.add("llada-b", plugin=command_plugin(name))
    registry = site.registry()
    assert [command.name for command in registry.commands()] == ["serve"]
    assert f"the command {name} of llada-b is dropped" in reason(registry, "llada-b")
    remedies = {
        "generate": "; tell the authors of llada-b to rename it",
        "serve": "; LLADA_BLOCK_PLUGINS=llada-a gives it to llada-b, or uninstall one of them",
    }
    assert reason(registry, "llada-b").endswith(remedies[name])
