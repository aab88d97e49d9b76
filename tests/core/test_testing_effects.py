"""What is said of parameters that do nothing, and of those of which nothing can be said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from llada_core.parameters import Parameter, resolve, standard
from llada_core.testing import NotRun, effect_checks

FAR = Parameter(name="window", kind=int, minimum=8, default=8)
WORD = Parameter(name="style", kind=str, default="plain")


def acts(*parameters: Parameter, run: Callable[[Any], Any], **more: Any) -> None:
    """Run the check of what ``parameters`` do."""

    def takes(setting: Any) -> None:
        resolve(parameters, setting, algorithm="mine")

    dict(effect_checks(parameters, takes, [run], {}, most=50, **more))[
        "each parameter changes something, or is declared neutral"
    ]()


@pytest.mark.parametrize(
    "parameter", [FAR, Parameter(name="window", kind=float, minimum=99, maximum=101, default=99.0)]
)
def test_a_range_without_usual_numbers_is_tried_beside_its_default_and_bounds(parameter: Parameter) -> None:
    acts(parameter, run=lambda setting: setting.get("window"))
    with pytest.raises(AssertionError, match=r"nothing changes with window \(tried"):
        acts(parameter, run=lambda setting: 0)


def test_a_parameter_of_one_value_is_not_judged() -> None:
    with pytest.raises(NotRun, match="of style no two values could be run"):
        acts(FAR, WORD, run=lambda setting: setting.get("window"))


def test_a_string_without_choices_is_tried_at_its_examples() -> None:
    style = Parameter(name="style", kind=str, default="plain", examples=("bold", "wide"))
    acts(style, run=lambda setting: setting.get("style"))
    acts(style, FAR, run=lambda setting: setting.get("window", 0) * (setting.get("style") == "wide"))
    with pytest.raises(AssertionError, match=r"style \(tried 'bold', 'wide', 'plain'\)"):
        acts(style, run=lambda setting: 0)


def test_a_parameter_whose_runs_all_fail_is_not_judged() -> None:
    def fail(setting: Any) -> Any:
        raise RuntimeError("out of ideas")

    with pytest.raises(NotRun, match="of window no two values could be run"):
        acts(FAR, run=fail)


def test_what_the_runs_cannot_tell_is_not_judged() -> None:
    stop = standard("early_stop")
    with pytest.raises(NotRun, match="no answer ends"):
        acts(stop, run=lambda setting: 0, untold=lambda name: "no answer ends")
    acts(stop, run=lambda setting: setting.get("early_stop"), untold=lambda name: "no answer ends")
    with pytest.raises(AssertionError, match="window"):  # what is sure comes first
        acts(stop, FAR, run=lambda setting: 0, untold=lambda name: None if name == "window" else "no end")


def test_a_parameter_is_tried_beside_what_the_algorithm_says() -> None:
    """Where two others must be given, no single one leads there."""
    shade = Parameter(name="shade", kind=str, default="none", examples=("a", "b", "c", "dark"))

    def run(setting: Any) -> Any:
        both = setting.get("style") == "wide" and setting.get("shade") == "dark"
        return (setting.get("window") if both else 0), setting.get("style"), setting.get("shade")

    style = Parameter(name="style", kind=str, default="plain", examples=("bold", "wide"))
    with pytest.raises(AssertionError, match=r"nothing changes with window \(tried"):
        acts(FAR, style, shade, run=run)
    beside = {"window": {"style": "wide", "shade": "dark"}}
    acts(FAR, style, shade, run=run, beside=lambda name: beside.get(name, {}))
