"""The package as a whole: what it exports, what importing it costs, and that its hooks' examples work."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_core import errors
from llada_core.errors import LladaError
from llada_core.faults import one_line
from llada_core.plugins import hookspecs
from llada_core.registry import using

Site = Any

HEAVY = ("torch", "transformers", "numpy", "rich", "click", "huggingface_hub", "safetensors", "tokenizers")


def test_the_exports_are_these() -> None:
    assert llada_core.__all__ == EXPORTS


def test_every_export_is_there_and_listed_by_dir() -> None:
    for name in llada_core.__all__:
        assert getattr(llada_core, name) is not None
    assert set(llada_core.__all__) <= set(dir(llada_core))


def test_every_error_is_exported() -> None:
    assert set(errors.__all__) <= set(llada_core.__all__)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'no_such_name'"):
        llada_core.no_such_name  # noqa: B018  the access is what is tested


@pytest.mark.parametrize(
    "code",
    [
        "import llada_core",
        "import llada_core; llada_core.list_algorithms(); llada_core.plugin_statuses()",
        "import llada_core; [llada_core.get_algorithm_info(n) for n in llada_core.list_algorithms()]",
        "import llada_core; [llada_core.get_engine(n) for n in llada_core.list_engines()]",
        "import llada_core; llada_core.get_algorithm('no_such_algorithm', None)",
        "from llada_core import GenerationAlgorithm, LoadedModel, load_model, GenerationResult, Step",
    ],
)
def test_importing_and_listing_imports_nothing_heavy(code: str) -> None:
    script = f"import sys\n{code}\nprint([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_importing_loads_no_plugin_and_reads_no_variable() -> None:
    script = "import llada_core.registry.functions as f\nassert f._shared.registry is None"
    variables = {"LLADA_STRICT_PLUGINS": "neither on nor off"}
    subprocess.run([sys.executable, "-c", script], env=variables, check=True)


def example_of(hook: str) -> str:
    """The plugin in a hook's docstring."""
    documentation = inspect.getdoc(getattr(hookspecs, hook))
    assert documentation is not None
    return textwrap.dedent(documentation.partition("::\n")[2])


def test_the_example_of_an_engine_works(site: Site) -> None:
    site.add("llada-example", plugin=example_of("llada_engines"), modules={"my_package.engine": ""})
    registry = site.registry(strict_plugins=True)
    assert registry.engine("my-engine").available
    assert registry.algorithm("my_decoder").default


def test_the_example_of_an_algorithm_works(site: Site) -> None:
    site.add("llada-example", plugin=example_of("llada_algorithms"), modules={"my_package.decoder": ""})
    registry = site.registry(strict_plugins=True)
    assert registry.algorithm("backwards").name == "my_decoder"


def test_the_example_of_a_detection_works(site: Site) -> None:
    site.add_engine("my-engine", algorithms={"echo": ()})
    site.add("llada-example", plugin=example_of("llada_detect_engine"))
    registry = site.registry(strict_plugins=True)
    assert registry.detect_by_hook({"my_noise_schedule": "cosine"}) == "my-engine"
    assert registry.detect_by_hook({}) is None


def test_the_example_of_a_command_works(site: Site) -> None:
    site.add("llada-example", plugin=example_of("llada_commands"))
    (command,) = site.registry(strict_plugins=True).commands()
    assert command.name == "my-report"


def test_the_example_of_a_wheel_works(site: Site, tmp_path: Path) -> None:
    site.add("llada-example", plugin=example_of("llada_wheels"))
    (tmp_path / "config.json").write_text('{"model_type": "their_model"}')
    with using(site.registry(strict_plugins=True)):
        assert (llada_core.detect(tmp_path).reason or "").endswith("; pip install llada-their-engine")


def test_the_examples_of_a_rule_and_a_policy_work(site: Site) -> None:
    modules = {"my_package.rules": "best_few = dict", "my_package.policies": "around = dict"}
    site.add("llada-rules", plugin=example_of("llada_rules"), modules=modules)
    site.add("llada-policies", plugin=example_of("llada_policies"))
    with using(site.registry(strict_plugins=True)):
        assert llada_core.load_rule("best_few")({"width": 2}) == {"width": 2}
        assert llada_core.load_policy("around")({"margin": 8}) == {"margin": 8}


def test_every_hook_has_an_example() -> None:
    hooks = [name for name in hookspecs.__all__ if name.startswith("llada_")]
    assert len(hooks) == 7
    assert all("@hookimpl" in example_of(hook) for hook in hooks)


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn = errors.__doc__ or ""
    classes = [getattr(errors, name) for name in errors.__all__]
    assert all(issubclass(cls, LladaError) for cls in classes)
    assert [cls.__name__ for cls in classes if cls.__name__ not in drawn] == []


def test_an_unknown_name_is_caught_as_lookups_and_usage_errors_are() -> None:
    error = llada_core.UnknownAlgorithm("no algorithm is called 'x'", name="x")
    assert isinstance(error, KeyError)
    assert isinstance(error, ValueError)
    assert str(error) == "no algorithm is called 'x'"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("a\n  b"), "ValueError: a b"),
        (RuntimeError(), "RuntimeError"),
        (ValueError("x" * 1000), "ValueError: " + "x" * 288),
    ],
    ids=["lines", "nothing", "long"],
)
def test_an_exception_is_told_in_one_line(error: Exception, line: str) -> None:
    assert one_line(error) == line


EXPORTS = [
    "SAMPLING",
    "STANDARD",
    "AlgorithmInfo",
    "AlgorithmSpec",
    "AlgorithmUnavailable",
    "Answer",
    "Candidate",
    "CheckpointError",
    "CommandSpec",
    "ContractError",
    "DcpContents",
    "DcpSource",
    "Detection",
    "EndToken",
    "EndTokenWarning",
    "EngineInfo",
    "EngineSkipped",
    "EngineSpec",
    "EngineUnavailable",
    "GenerationAlgorithm",
    "GenerationError",
    "GenerationRequest",
    "GenerationResult",
    "IncompatibleAlgorithm",
    "IncompatibleEngine",
    "InvalidSpec",
    "LladaError",
    "LoadOptions",
    "LoadedModel",
    "ModelError",
    "ModelLoadError",
    "ModelNotFound",
    "ModelNotReady",
    "NoChatTemplate",
    "NoProgress",
    "NumericalError",
    "Parameter",
    "ParameterError",
    "PartInfo",
    "PartSpec",
    "PartUnavailable",
    "PluginConflict",
    "PluginError",
    "PluginStatus",
    "PluginWarning",
    "PolicySpec",
    "PromptError",
    "Rollout",
    "RuleSpec",
    "Session",
    "Step",
    "StepLoop",
    "StrangerSpec",
    "SupportsSteps",
    "Ticket",
    "TokenizerMissing",
    "Trajectory",
    "Unavailable",
    "UnknownAlgorithm",
    "UnknownEngine",
    "UnknownPart",
    "UnsupportedArchitecture",
    "UnsupportedModel",
    "UsageError",
    "WheelSpec",
    "detect",
    "detect_engine",
    "diagnose_algorithm",
    "diagnose_engine",
    "get_algorithm",
    "get_algorithm_info",
    "get_default_algorithm_for_engine",
    "get_engine",
    "get_policy_info",
    "get_rule_info",
    "hookimpl",
    "list_algorithms",
    "list_algorithms_by_engine",
    "list_available_algorithms",
    "list_available_algorithms_by_engine",
    "list_commands",
    "list_engines",
    "list_policies",
    "list_rules",
    "load_dcp",
    "load_engine_class",
    "load_model",
    "load_policy",
    "load_rule",
    "load_target",
    "parse_assignments",
    "plugin_statuses",
    "register_algorithm",
    "register_engine",
    "reload",
    "resolve",
    "standard",
]
