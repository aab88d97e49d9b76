"""What cannot run here is listed with the reason and the remedy, and nothing is imported to find that out."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from llada_core import (
    EngineUnavailable,
    diagnose_algorithm,
    get_algorithm,
    get_algorithm_info,
    list_available_algorithms,
)

Site = Any


def test_what_has_all_it_needs_is_available(site: Site) -> None:
    site.add("torch", version="2.13.0+cpu")
    site.add_engine("e", algorithms={"echo": ()}, requires=("torch>=2.6",))
    info = site.registry().algorithm("echo")
    assert (info.available, info.reason) == (True, None)


@pytest.mark.parametrize("where", ["the distribution", "the spec"])
def test_a_requirement_that_is_missing_is_the_reason(site: Site, where: str) -> None:
    site.add_engine(
        "e",
        algorithms={"echo": ()},
        requires=("torch>=2.6",) if where == "the distribution" else (),
        spec_requires=("torch>=2.6",) if where == "the spec" else (),
    )
    registry = site.registry()
    reason = "llada-e needs torch>=2.6, which is not installed; pip install 'torch>=2.6'"
    assert registry.engine("e").reason == reason
    assert registry.algorithm("echo").reason == reason
    assert registry.algorithms() == ["echo"]
    assert registry.algorithms(available=True) == []


def test_a_version_that_does_not_do_is_the_reason(site: Site) -> None:
    site.add("torch", version="2.5.1")
    site.add_engine("e", algorithms={"echo": ()}, requires=("torch>=2.6",))
    reason = "llada-e needs torch>=2.6, and 2.5.1 is installed; pip install 'torch>=2.6'"
    assert site.registry().engine("e").reason == reason


@pytest.mark.parametrize("version", ["2.6", "3.0rc1", "2.7.0.dev3", "2.13.0+cu128", "unreadable"])
def test_a_pre_release_a_build_and_what_cannot_be_compared_do(site: Site, version: str) -> None:
    site.add("torch", version=version)
    site.add_engine("e", algorithms={"echo": ()}, requires=("torch>=2.6",))
    assert site.registry().engine("e").available


@pytest.mark.parametrize(
    "requirement", ["torch; python_version < '3'", "torch; extra == 'gpu'", "torch; sys_platform == 'none'"]
)
def test_a_requirement_whose_marker_does_not_apply_is_skipped(site: Site, requirement: str) -> None:
    site.add_engine("e", algorithms={"echo": ()}, requires=(requirement,))
    assert site.registry().engine("e").available


def test_what_is_missing_at_the_bottom_is_told_at_the_top(site: Site) -> None:
    site.add("llada-runtime", requires=("torch>=2.6",))
    site.add_engine("e", algorithms={"echo": ()}, requires=("llada-runtime",))
    reason = "llada-runtime needs torch>=2.6, which is not installed; pip install 'torch>=2.6'"
    assert site.registry().algorithm("echo").reason == reason


def test_an_extra_that_a_requirement_asks_for_is_walked(site: Site) -> None:
    site.add("llada-runtime", requires=("triton; extra == 'gpu'",))
    site.add_engine("plain", algorithms={"a": ()}, requires=("llada-runtime",))
    site.add_engine("fast", algorithms={"b": ()}, requires=("llada-runtime[gpu]",))
    assert site.registry().algorithms(available=True) == ["a"]


def test_an_extra_is_walked_where_it_was_seen_without_it(site: Site) -> None:
    site.add("llada-runtime", requires=("triton; extra == 'gpu'",))
    site.add_engine("e", algorithms={"echo": ()}, requires=("llada-runtime", "llada-runtime[gpu]"))
    assert "llada-runtime needs triton" in site.registry().algorithm("echo").reason


def test_an_extra_of_another_project_is_walked_and_nothing_else_of_it(site: Site) -> None:
    site.add("torch", requires=("sympy", "triton>=3; extra == 'gpu'"))
    site.add_engine("plain", algorithms={"a": ()}, requires=("torch",))
    site.add_engine("fast", algorithms={"b": ()}, requires=("torch[gpu]",))
    registry = site.registry()
    assert registry.engine("plain").available
    assert registry.engine("fast").reason == (
        "torch needs triton>=3, which is not installed; pip install 'triton>=3'"
    )


@pytest.mark.parametrize(
    ("requirement", "remedy"),
    [
        ("absent[gpu]>=2", "pip install 'absent[gpu]>=2'"),
        ("absent @ https://example.org/absent.whl", "pip install 'absent @ https://example.org/absent.whl'"),
    ],
)
def test_the_remedy_is_the_requirement_as_a_whole(site: Site, requirement: str, remedy: str) -> None:
    site.add_engine("e", algorithms={"echo": ()}, requires=(requirement,))
    assert site.registry().engine("e").reason.endswith(remedy)


@pytest.mark.parametrize(
    ("requirement", "outdated"),
    [("torch<2.6", True), ("torch==2.5.*", True), ("torch>=2.8", False), ("torch!=2.7", True)],
)
def test_who_wants_an_older_version_is_what_to_upgrade(site: Site, requirement: str, outdated: bool) -> None:
    site.add("torch", version="2.7")
    site.add_engine("e", algorithms={"echo": ()}, requires=(requirement,))
    remedy = site.registry().engine("e").reason.partition("; ")[2]
    older = f"pip install --upgrade llada-e, or, if that is the newest, pip install '{requirement}'"
    assert remedy == (older if outdated else f"pip install '{requirement}'")


def test_the_requirements_of_other_projects_are_their_own_matter(site: Site) -> None:
    site.add("torch", requires=("sympy",))
    site.add_engine("e", algorithms={"echo": ()}, requires=("torch",))
    assert site.registry().engine("e").available


def test_requirements_in_a_circle_come_to_an_end(site: Site) -> None:
    site.add("llada-a", requires=("llada-b",))
    site.add("llada-b", requires=("llada-a",))
    site.add_engine("e", algorithms={"echo": ()}, requires=("llada-a",))
    assert site.registry().engine("e").available


MISSING = {  # a target, and the module of it that is not there
    "gone.engine:Echo": "gone",
    "present.gone:Echo": "present.gone",
    "present.inner.gone:Echo": "present.inner.gone",
    "present.gone.engine:Echo": "present.gone",
    "present.leaf.engine:Echo": "present.leaf.engine",
    "left_behind:Echo": "left_behind",
    "left_behind.engine:Echo": "left_behind.engine",
}
RAISING = "raise RuntimeError('imported')"
PRESENT = dict.fromkeys(("present.__init__", "present.inner.__init__", "present.leaf"), RAISING)


@pytest.mark.parametrize("imported", [False, True])
@pytest.mark.parametrize(("target", "missing"), MISSING.items(), ids=MISSING)
def test_a_module_that_is_not_there_is_the_reason_before_and_after_an_import(
    site: Site, target: str, missing: str, imported: bool
) -> None:
    site.add("present", modules=PRESENT if not imported else dict.fromkeys(PRESENT, ""))
    (site.folder / "left_behind" / "__pycache__").mkdir(parents=True)
    site.add_engine("e", algorithms={"echo": ()}, target=target)
    reason = f"the module {missing} of {target} is not found; pip install --force-reinstall llada-e"
    registry = site.registry()
    assert registry.algorithm("echo").reason == reason
    assert registry.engine("e").reason == reason
    if imported:
        assert registry.algorithm("echo", use=True).reason == reason
        assert registry.algorithm("echo").reason == reason


@pytest.mark.parametrize("target", ["present.leaf:Echo", "present.inner:Echo", "present:Echo"])
def test_a_module_that_is_there_is_found_without_an_import(site: Site, target: str) -> None:
    site.add("present", modules=PRESENT)
    site.add_engine("e", algorithms={"echo": ()}, target=target, probe=target)
    assert site.registry().algorithm("echo").available
    assert "present" not in sys.modules


def test_a_probe_whose_module_is_not_there_is_the_reason(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()}, probe="llada_e.probes:probe")
    reason = site.registry().algorithm("echo").reason
    assert reason.startswith("the module llada_e.probes of llada_e.probes:probe is not found; pip install")


ARRANGING = {
    "a longer path": "import os\n__path__.append(os.path.join(os.path.dirname(__file__), 'elsewhere'))",
    "an entry of sys.modules": "import sys\nsys.modules[__name__ + '.engine'] = sys",
}


@pytest.mark.parametrize("source", ARRANGING.values(), ids=ARRANGING.keys())
def test_a_package_that_arranges_its_modules_itself_is_not_told_to_lack_them(site: Site, source: str) -> None:
    site.add("odd", modules={"odd.__init__": source, "odd.elsewhere.engine": ""})
    site.add_engine("e", algorithms={"echo": ()}, target="odd.engine:__name__")
    registry = site.registry()
    assert registry.engine("e").available
    assert registry.engine("e", use=True).available


def test_a_finder_that_fails_leaves_it_to_an_import(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        @staticmethod
        def find_spec(name: str, path: object = None, target: object = None) -> None:
            if name.startswith("gone"):
                raise RuntimeError("no such drive")

    monkeypatch.setattr(sys, "meta_path", [Failing, *sys.meta_path])
    site.add_engine("e", algorithms={"echo": ()}, target="gone.engine:Echo")
    registry = site.registry()
    assert registry.engine("e").available
    assert "no such drive" in registry.engine("e", use=True).reason


def test_listing_imports_no_target_and_asks_no_probe(site: Site) -> None:
    site.add("llada-decoders", modules={"decoders": "raise RuntimeError('imported')"})
    site.add_engine("e", algorithms={"echo": ()}, target="decoders:Echo", probe="decoders:probe")
    registry = site.registry()
    assert registry.algorithm("echo").available
    assert registry.engine("e").available
    assert "decoders" not in sys.modules


def test_use_imports_the_target_and_later_listings_know_what_it_found(site: Site) -> None:
    site.add("llada-decoders", modules={"decoders": "raise RuntimeError('no such device')"})
    site.add_engine("e", algorithms={"echo": ()}, target="decoders:Echo")
    registry = site.registry()
    reason = "importing decoders:Echo failed: RuntimeError: no such device; mend that, or upgrade llada-e"
    assert registry.algorithm("echo", use=True).reason == reason
    assert registry.algorithm("echo").reason == reason
    assert registry.algorithms(available=True) == []


def test_a_target_without_its_attribute_is_the_reason(site: Site) -> None:
    site.add("llada-decoders", modules={"decoders": ""})
    site.add_engine("e", algorithms={"echo": ()}, target="decoders:Echo")
    reason = site.registry().algorithm("echo", use=True).reason
    assert reason.startswith(
        "importing decoders:Echo failed: AttributeError: module 'decoders' has no attribute"
    )


def test_a_failure_is_tried_again_at_the_next_use(site: Site) -> None:
    probes = """
        answers = [None, "the device is busy; wait"]

        def probe():
            return answers.pop()  # fails at a third call
    """
    site.add("llada-probes", modules={"probes": probes})
    site.add_engine("e", algorithms={"echo": ()}, probe="probes:probe")
    registry = site.registry()
    assert registry.engine("e", use=True).reason == "the device is busy; wait"
    assert registry.engine("e").reason == "the device is busy; wait"
    assert registry.engine("e", use=True).reason is None
    assert registry.engine("e", use=True).reason is None


def test_a_probe_that_raises_is_the_reason(site: Site) -> None:
    site.add("llada-probes", modules={"probes": "def probe(): raise OSError('no driver')"})
    site.add_engine("e", algorithms={"echo": ()}, probe="probes:probe")
    reason = "its probe probes:probe failed: OSError: no driver; mend that, or upgrade llada-e"
    assert site.registry().algorithm("echo", use=True).reason == reason


@pytest.mark.parametrize("answer", ["False", "3", "''", "' '", "object"])
def test_a_probe_that_answers_nonsense_is_the_reason(site: Site, answer: str) -> None:
    site.add("llada-probes", modules={"probes": f"def probe(): return {answer}"})
    site.add_engine("e", algorithms={"echo": ()}, probe="probes:probe")
    reason = site.registry().algorithm("echo", use=True).reason
    assert reason.startswith("its probe probes:probe returned ")
    assert reason.endswith(", which is neither None nor a reason; upgrade llada-e")


UNUSABLE = {
    "cannot be made": "def __init__(self): raise RuntimeError('no licence')",
    "asks for arguments": "def __init__(self, volume): pass",
    "says that it is not available": "def is_available(self): return False",
    "cannot say whether it is": "def is_available(self): raise OSError('no driver')",
}


@pytest.mark.parametrize("method", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_listings_agree_with_the_object_once_one_was_made(site: Site, method: str) -> None:
    site.add("llada-odd", modules={"odd": f"from llada_e_decoders import *\nclass Odd(Echo):\n    {method}"})
    site.add_engine("e", algorithms={"echo": ()})
    site.add("llada-guest", plugin=algorithm_plugin("e").replace("llada_guest:Guest", "odd:Odd"))
    with site.shared() as registry:
        assert registry.algorithms(available=True) == ["echo", "guest"]
        get_algorithm("guest")
        assert list_available_algorithms() == ["echo"]
        assert diagnose_algorithm("guest") == get_algorithm_info("guest").reason != ""


def test_what_is_no_algorithm_is_listed_so_once_it_was_used(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()})
    site.add("llada-guest", plugin=algorithm_plugin("e").replace("llada_guest:Guest", "builtins:dict"))
    registry = site.registry()
    assert registry.algorithm("guest").available
    reason = "builtins:dict is not a GenerationAlgorithm; upgrade llada-guest, or tell its authors"
    assert registry.algorithm("guest", use=True).reason == reason
    assert registry.algorithms(available=True) == ["echo"]


def test_loading_the_class_of_an_engine_that_cannot_run_raises_the_reason(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()}, requires=("torch",))
    with pytest.raises(EngineUnavailable) as raised:
        site.registry().load_engine_class("e")
    assert str(raised.value) == (
        "the engine e cannot run here: llada-e needs torch, which is not installed; pip install 'torch'"
    )
    assert raised.value.reason == site.registry().engine("e").reason


def test_the_class_of_an_engine_is_what_its_target_names(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()})
    assert site.registry().load_engine_class("e").__name__ == "Echo"


def algorithm_plugin(engine: str) -> str:
    return f"""
        from llada_core import AlgorithmSpec, hookimpl

        @hookimpl
        def llada_algorithms():
            target = "llada_guest:Guest"
            yield AlgorithmSpec(name="guest", engine={engine!r}, target=target, summary="A guest.")
    """


def test_a_guest_needs_what_its_host_needs(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()}, requires=("torch",))
    site.add("llada-guest", plugin=algorithm_plugin("e"))
    registry = site.registry()
    assert registry.algorithm("guest").reason == registry.engine("e").reason
    assert registry.engine("e").algorithms == ("echo", "guest")
    assert not registry.algorithm("guest").default


def test_a_guest_needs_what_its_own_distribution_needs(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()})
    site.add("llada-guest", plugin=algorithm_plugin("e"), requires=("numpy",))
    reason = "llada-guest needs numpy, which is not installed; pip install 'numpy'"
    assert site.registry().algorithm("guest").reason == reason
    assert site.registry().engine("e").available


def test_a_guest_may_name_its_host_by_an_alias(site: Site) -> None:
    site.add_engine("e", algorithms={"echo": ()}, aliases=("engine-e",))
    site.add("llada-guest", plugin=algorithm_plugin("engine-e"))
    assert site.registry().algorithm("guest").engine == "e"


@pytest.mark.parametrize(
    ("host", "remedy"),
    [("fast-dllm", "pip install llada-fastdllm"), ("zebra", "install the distribution that brings it")],
)
def test_a_guest_without_its_host_says_how_to_get_it(site: Site, host: str, remedy: str) -> None:
    site.add("llada-guest", plugin=algorithm_plugin(host))
    assert site.registry().algorithm("guest").reason == f"the engine {host} is not installed; {remedy}"
