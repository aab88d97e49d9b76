"""Rules and policies by name: how plugins contribute them, and who keeps a name."""

from __future__ import annotations

import json
from typing import Any

import pytest

import llada_core
from llada_core import ParameterError, PartUnavailable, PluginConflict, UnknownPart
from llada_core.registry import using
from llada_core.registry.registry import Registry

Site = Any

HEAD = "from llada_core import Parameter, PolicySpec, RuleSpec, hookimpl, standard\n"
THRESHOLD = "standard('threshold')"
WIDTH = "Parameter(name='width', kind=int, default=4, minimum=1, aliases=('broad',), summary='So wide.')"


def contributing(kind: str, *parts: str) -> str:
    """The hook of a kind that yields parts of these fields."""
    hook, spec = {"rule": ("llada_rules", "RuleSpec"), "policy": ("llada_policies", "PolicySpec")}[kind]
    specs = "".join(f"        {spec}({fields}),\n" for fields in parts)
    return f"\n@hookimpl\ndef {hook}():\n    return [\n{specs}    ]\n"


def fields(
    name: str, *parameters: str, aliases: tuple[str, ...] = (), target: str = "my_parts:made", **more: Any
) -> str:
    taken = "".join(f"{each}, " for each in parameters)
    others = "".join(f", {field}={value!r}" for field, value in more.items())
    return (
        f"name={name!r}, target={target!r}, summary='A part.', aliases={aliases!r}, "
        f"parameters=({taken}){others}"
    )


def add(site: Site, distribution: str, *hooks: str, **how: Any) -> None:
    site.add(distribution, plugin=HEAD + "".join(hooks), **how)


def reason(registry: Registry, distribution: str) -> str:
    (status,) = [each for each in registry.statuses() if each.distribution == distribution]
    return status.reason or ""


@pytest.fixture
def parts(site: Site) -> Site:
    """A distribution with two rules and a policy that has the name of one."""
    site.add("llada-code", modules={"my_parts": "def made(params):\n    return params\n"})
    rules = contributing("rule", fields("wide", WIDTH, aliases=("w",)), fields("sure", THRESHOLD))
    add(site, "llada-mine", rules, contributing("policy", fields("wide")))
    return site


def test_they_are_listed_by_kind_and_found_by_name_and_alias(parts: Site) -> None:
    with using(parts.registry(strict_plugins=True)):
        assert llada_core.list_rules() == ["sure", "wide"]
        assert llada_core.list_policies() == ["wide"]
        info = llada_core.get_rule_info("w")
        assert (info.name, info.kind, info.aliases) == ("wide", "rule", ("w",))
        assert (info.distribution, info.available, info.reason) == ("llada-mine", True, None)
        assert [each.name for each in info.parameters] == ["width"]
        assert llada_core.get_policy_info("wide").kind == "policy"
        assert json.loads(json.dumps(info.as_dict()))["parameters"][0]["default"] == 4


def test_the_function_is_imported_when_it_is_asked_for(parts: Site) -> None:
    with using(parts.registry()):
        make = llada_core.load_rule("wide")
        info = llada_core.get_rule_info("wide")
    assert make(info.effective({"width": None, "block_length": 32})) == {"width": 4, "block_length": 32}


def test_a_part_is_given_its_own_values_and_the_lengths(parts: Site) -> None:
    registry = parts.registry()
    info = registry.parts.info("rule", "wide")
    params = {"gen_length": 64, "block_length": 32, "width": 7, "threshold": 0.5}
    assert info.effective(params) == {"gen_length": 64, "block_length": 32, "width": 7}
    with pytest.raises(ParameterError, match="the rule wide: width=0 is out of range"):
        info.effective({"width": 0})


def test_a_default_of_a_part_gives_way_as_it_declares() -> None:
    steps = (llada_core.standard("threshold"), llada_core.standard("steps"))
    values = llada_core.parameters.values_of_part(steps, {"steps": 8, "threshold": None}, part="it")
    assert values == {"threshold": None, "steps": 8}


def test_an_unknown_name_is_told_the_closest_of_its_kind(parts: Site) -> None:
    with using(parts.registry()), pytest.raises(UnknownPart) as raised:
        llada_core.get_rule_info("wid")
    assert (raised.value.kind, raised.value.name, raised.value.candidates) == ("rule", "wid", ("wide",))
    assert str(raised.value) == ("no rule is called 'wid'; did you mean wide? `llada parts` lists them all")
    with using(parts.registry()), pytest.raises(KeyError, match="no policy is called 'sure'"):
        llada_core.get_policy_info("sure")


@pytest.mark.parametrize("kind", ["rule", "policy"])
def test_a_part_of_a_wheel_that_is_not_installed_is_told_with_the_command(site: Site, kind: Any) -> None:
    name = {"rule": "threshold", "policy": "dual"}[kind]
    site.add_engine("e", algorithms={"echo": ()})
    with pytest.raises(UnknownPart) as raised:
        site.registry().parts.info(kind, name)
    assert str(raised.value) == (
        f"no {kind} is called {name!r} here; llada-fastdllm brings it and is not installed; "
        "pip install llada-fastdllm"
    )
    site.add("llada-fastdllm", plugin="raise RuntimeError('on purpose')")
    with pytest.raises(UnknownPart, match="of llada-fastdllm, whose plugin fastdllm is broken"):
        site.registry().parts.info(kind, name)


def test_a_part_whose_module_is_not_there_says_so_before_it_is_imported(site: Site) -> None:
    add(site, "llada-mine", contributing("rule", fields("far", target="my_parts:made")))
    with using(site.registry()):
        told = llada_core.get_rule_info("far").reason or ""
        assert told.endswith("is not found; pip install --force-reinstall llada-mine")
        with pytest.raises(PartUnavailable) as raised:
            llada_core.load_rule("far")
    assert (raised.value.kind, raised.value.name) == ("rule", "far")
    assert "the rule far cannot be made here: " in str(raised.value)


def test_a_part_whose_import_fails_is_told_from_then_on(site: Site) -> None:
    site.add("llada-code", modules={"my_parts": "raise RuntimeError('on purpose')"})
    add(site, "llada-mine", contributing("policy", fields("odd")), requires=("llada-code",))
    with using(site.registry()):
        assert llada_core.get_policy_info("odd").available
        with pytest.raises(PartUnavailable, match="on purpose"):
            llada_core.load_policy("odd")
        assert "on purpose" in (llada_core.get_policy_info("odd").reason or "")


def test_a_part_needs_what_its_distribution_needs(site: Site) -> None:
    site.add("llada-code", modules={"my_parts": "made = dict"})
    add(site, "llada-mine", contributing("rule", fields("needy")), requires=("absent",))
    told = site.registry().parts.info("rule", "needy").reason
    assert told == "llada-mine needs absent, which is not installed; pip install 'absent'"


def test_of_two_parts_of_one_name_the_first_stays(site: Site) -> None:
    for distribution in ("llada-a", "llada-b"):
        add(site, distribution, contributing("rule", fields("twin", aliases=("double",))))
    registry = site.registry()
    assert registry.parts.info("rule", "double").distribution == "llada-a"
    assert reason(registry, "llada-a") == ""
    assert reason(registry, "llada-b") == (
        "the rule twin of llada-b is dropped, because llada-a has that name; "
        "LLADA_BLOCK_PLUGINS=llada-a gives it to llada-b, or uninstall one of them"
    )
    assert [status.status for status in registry.statuses()] == ["loaded", "broken"]


def test_a_published_part_stays_with_its_distribution(site: Site) -> None:
    add(site, "a-helper", contributing("policy", fields("dual")))
    add(site, "llada-fastdllm", contributing("policy", fields("dual")))
    registry = site.registry()
    assert registry.parts.info("policy", "dual").distribution == "llada-fastdllm"
    assert "the policy dual of a-helper is dropped" in reason(registry, "a-helper")


def test_an_alias_never_takes_a_name_and_is_lost_alone(site: Site) -> None:
    add(site, "llada-a", contributing("rule", fields("first", aliases=("second", "one"))))
    add(site, "llada-b", contributing("rule", fields("second", aliases=("one", "two"))))
    registry = site.registry()
    assert registry.parts.info("rule", "second").name == "second"
    assert registry.parts.info("rule", "second").aliases == ("two",)
    assert registry.parts.info("rule", "one").name == "first"
    assert "the rule alias second of llada-a is dropped, because llada-b" in reason(registry, "llada-a")
    assert "the rule alias one of llada-b is dropped, because llada-a" in reason(registry, "llada-b")


def test_an_alias_of_a_part_that_was_dropped_says_why(site: Site) -> None:
    add(site, "llada-a", contributing("rule", fields("twin")))
    add(site, "llada-b", contributing("rule", fields("twin", aliases=("lost",))))
    with pytest.raises(UnknownPart, match="a plugin brings it, but the rule twin of llada-b is dropped"):
        site.registry().parts.info("rule", "lost")


TEXT = "Parameter(name='width', kind=str, default='broad')"


@pytest.mark.parametrize("distributions", [("llada-a", "llada-b"), ("llada-same", "llada-same")])
def test_a_part_that_means_something_else_by_a_parameter_is_dropped(
    site: Site, distributions: tuple[str, str]
) -> None:
    first, second = (
        contributing(kind, each)
        for kind, each in (("rule", fields("wide", WIDTH)), ("policy", fields("odd", TEXT)))
    )
    if len(set(distributions)) == 1:
        add(site, distributions[0], first, second)
    else:
        add(site, distributions[0], first)
        add(site, distributions[1], second)
    registry = site.registry()
    owner, newcomer = distributions
    assert reason(registry, newcomer) == (
        f"the policy odd of {newcomer} is dropped, because its parameter width is of kind str, and that of "
        f"the rule wide of {owner} is of kind int; tell the authors of {newcomer} to give it another name"
    )
    assert registry.parts.names("policy") == []
    with pytest.raises(UnknownPart, match="a plugin brings it, but the policy odd"):
        registry.parts.info("policy", "odd")


def test_a_parameter_of_a_published_part_is_what_it_says_there(site: Site) -> None:
    add(
        site,
        "a-helper",
        contributing("rule", fields("mine", "Parameter(name='threshold', kind=str, default='')")),
    )
    add(site, "llada-fastdllm", contributing("rule", fields("threshold", THRESHOLD)))
    registry = site.registry()
    assert registry.parts.names("rule") == ["threshold"]
    assert "the rule mine of a-helper is dropped" in reason(registry, "a-helper")


def test_strict_raises_a_clash_with_both_distributions(site: Site) -> None:
    for distribution in ("llada-a", "llada-b"):
        add(site, distribution, contributing("rule", fields("twin")))
    with pytest.raises(PluginConflict) as raised:
        site.registry(strict_plugins=True)
    assert (raised.value.name, raised.value.dist, raised.value.other) == ("twin", "llada-b", "llada-a")


@pytest.mark.parametrize(
    ("hook", "told"),
    [
        (
            "def llada_rules(): return [RuleSpec(name='a b', target='m:f', summary='')]",
            "must consist of letters",
        ),
        ("def llada_rules(): return [RuleSpec(name='a', target='m', summary='')]", "must read 'module:attr'"),
        (
            "def llada_policies(): return [RuleSpec(name='a', target='m:f', summary='')]",
            "which is no PolicySpec",
        ),
        ("def llada_policies(): return None", "return a list of specs, or yield them"),
        ("def llada_policy(): return []", "unknown hook 'llada_policy'"),
        ("def llada_rules(): raise SystemExit(3)", "llada_rules failed: SystemExit: 3"),
    ],
)
def test_what_a_hook_does_wrong_is_reported_and_disturbs_no_other(parts: Site, hook: str, told: str) -> None:
    add(parts, "llada-wrong", f"\n@hookimpl\n{hook}\n")
    registry = parts.registry()
    assert told in reason(registry, "llada-wrong")
    assert registry.parts.names("rule") == ["sure", "wide"]


def test_a_plugin_of_parts_alone_is_loaded(parts: Site) -> None:
    assert [(each.status, each.reason) for each in parts.registry().statuses()] == [("loaded", None)]


def test_doctors_imports_try_the_functions(parts: Site) -> None:
    assert ("my_parts:made", "llada-mine") in parts.registry().targets()
