"""An unknown name: what it may have meant, and which plugin may bring it and cannot."""

from __future__ import annotations

from typing import Any

import pytest

from llada_core import UnknownAlgorithm, UnknownEngine, detect
from llada_core.registry import using

Site = Any
BROKEN = "raise RuntimeError('on purpose')"


def unknown(site: Site, name: str, **variables: Any) -> str:
    with pytest.raises(UnknownAlgorithm) as raised:
        site.registry(**variables).create(name)
    return str(raised.value)


def test_the_closest_names_are_told_and_how_to_list_all(site: Site) -> None:
    site.add_engine("e", algorithms={"dual_cache": ()})
    assert unknown(site, "dual-cach") == (
        "no algorithm is called 'dual-cach'; did you mean dual_cache? `llada algorithms` lists them all"
    )


@pytest.mark.parametrize("name", ["pairs", "pairs_fast", "paris", "quick-pairs", "Pairs"])
def test_an_algorithm_of_a_broken_plugin_names_the_plugin(site: Site, name: str) -> None:
    site.add_engine("e", algorithms={"echo": ()})
    site.add("llada-pairs", plugin=BROKEN)
    site.add("llada-spare" if name != "paris" else "llada-xyzzy", plugin=BROKEN)
    assert unknown(site, name) == (
        f"no algorithm is called {name!r}; it may be of the plugin pairs of llada-pairs, which is broken: "
        "loading llada_pairs failed: RuntimeError: on purpose; "
        "upgrade or uninstall llada-pairs, or set LLADA_BLOCK_PLUGINS=llada-pairs"
    )


def test_an_algorithm_of_a_blocked_plugin_names_the_variable(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()})
    site.add("llada-pairs", plugin=BROKEN)
    said = unknown(site, "pairs", block_plugins=frozenset({"pairs"}))
    assert said.endswith(
        "which is blocked: LLADA_BLOCK_PLUGINS names it; take it out of the variable to load it"
    )


def test_an_algorithm_of_an_engine_that_is_not_installed_says_what_to_install(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()})
    assert unknown(site, "dinfer_hierarchy") == (
        "dinfer_hierarchy is an algorithm of the engine dinfer, and the engine dinfer is not installed; "
        "pip install llada-dinfer"
    )


def test_an_algorithm_for_anothers_engine_says_what_to_install(site: Site) -> None:
    site.add_engine("fast-dllm", algorithms={"echo": ()})
    assert unknown(site, "eb_sampler") == (
        "no algorithm is called 'eb_sampler' here; llada-decoders brings it and is not installed; "
        "pip install llada-decoders"
    )
    site.add("llada-decoders", plugin=BROKEN)
    assert "it is of llada-decoders, whose plugin decoders is broken" in unknown(site, "eb_sampler")


def test_a_broken_plugin_of_another_name_is_mentioned(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()})
    site.add("llada-pairs", plugin=BROKEN)
    assert unknown(site, "xyzzy") == (
        "no algorithm is called 'xyzzy'; `llada algorithms` lists them all; "
        "plugins that are broken may bring it (pairs): `llada plugins` tells why"
    )


@pytest.mark.parametrize("name", ["lost", "gone"])
def test_an_algorithm_that_its_plugin_lost_says_why(site: Site, name: str) -> None:
    site.add_engine("twin", algorithms={"echo": ()}, distribution="llada-a")
    site.add_engine("twin", algorithms={"lost": ("gone",)}, distribution="llada-b")
    said = unknown(site, name)
    assert "; a plugin brings it, but the engine twin of llada-b is dropped with its algorithms" in said
    assert "LLADA_BLOCK_PLUGINS=llada-a gives it to llada-b" in said


def test_an_engine_of_a_broken_plugin_names_the_plugin(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()})
    site.add("llada-parrot", plugin=BROKEN)
    with pytest.raises(
        UnknownEngine, match="it may be of the plugin parrot of llada-parrot, which is broken"
    ):
        site.registry().engine("parrot")


def test_a_published_engine_whose_plugin_is_broken_is_not_told_to_be_missing(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()})
    site.add("llada-fastdllm", plugin=BROKEN)
    registry = site.registry()
    with pytest.raises(UnknownEngine) as raised:
        registry.engine("fast-dllm")
    assert str(raised.value).startswith("the engine fast-dllm is of llada-fastdllm, which is broken: loading")
    assert registry.advice("fast-dllm") == str(raised.value)


def test_a_model_of_a_broken_plugin_is_told_so(site: Site, tmp_path: Any) -> None:
    site.add("llada-fastdllm", plugin=BROKEN)
    (tmp_path / "config.json").write_text('{"model_type": "llada"}')
    with using(site.registry()):
        found = detect(tmp_path)
    reasons = {each.engine: each.reason or "" for each in found.candidates}
    assert "; the engine fast-dllm is of llada-fastdllm, which is broken: loading" in (found.reason or "")
    assert "which is broken: loading llada_fastdllm failed" in reasons["fast-dllm"]
    assert reasons["dinfer"].endswith("is not installed; pip install llada-dinfer")


def test_an_engine_that_is_misspelt_is_told_the_closest(site: Site) -> None:
    site.add_engine("fast-dllm", algorithms={"echo": ()})
    site.add(
        "llada-mine",
        plugin="from llada_core import AlgorithmSpec, hookimpl\n"
        "@hookimpl\ndef llada_algorithms():\n"
        "    yield AlgorithmSpec(name='mine', engine='fastdlm', target='a:B', summary='')\n",
    )
    assert str(site.registry().algorithm("mine").reason).endswith("did you mean fast-dllm?")


@pytest.mark.parametrize(
    ("plugin", "told"),
    [
        ("def llada_algorithms(): return standard('gen_len')", "did you mean gen_length?"),
        ("def llada_algorithms(): return SPEC", "return a list of specs, or yield them"),
        ("def llada_algorithm(): return [SPEC]", "did you mean llada_algorithms?"),
    ],
)
def test_slips_of_an_author_are_told_with_what_is_meant(site: Site, plugin: str, told: str) -> None:
    head = (
        "from llada_core import AlgorithmSpec, hookimpl, standard\n"
        "SPEC = AlgorithmSpec(name='mine', engine='e', target='a:B', summary='')\n@hookimpl\n"
    )
    site.add("llada-mine", plugin=head + plugin)
    registry = site.registry()
    registry.algorithms()
    (status,) = [each for each in registry.statuses() if each.name == "mine"]
    assert told in str(status.reason)
