"""The dashboard asks for figures that the server has, by labels that they carry."""

from __future__ import annotations

import json
import re
from functools import cache
from importlib import resources
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llada_core.generation.results import GenerationRequest
from llada_server.metrics import Metrics
from llada_server.scheduler.work import Full
from tests.server.fakes import ScriptedSession

BOARD: dict[str, Any] = json.loads(
    resources.files("llada_server").joinpath("grafana.json").read_text("utf-8")
)
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
TARGETS = [
    pytest.param(target["expr"], target["legendFormat"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
# What the queries are made of; anything else in one of them is a mistake.
TOKEN = re.compile(
    r"""\s+|histogram_quantile|sum|rate|by|\[\$__rate_interval\]|0\.\d+|[()/,]
    |(?P<metric>llada_\w+)(?P<filter>\{model_name=~"\$model",replica=~"\$replica"\})?|(?P<label>[a-z_]+)""",
    re.VERBOSE,
)


@cache
def figures() -> dict[str, set[str]]:
    """The labels of every sample that a server exposes which has answered, failed, and known its cache."""
    metrics, session = Metrics("served"), ScriptedSession()
    metrics.watch(running=lambda: 0, accepted=lambda: 0, columns=10)
    for script in ("abc", "a!"):
        session.submit(GenerationRequest(prompt=script))
    while session.active:
        for step in (steps := session.step()):
            metrics.first_text(step.ticket, 0.1)
        metrics.stepped(steps)
    metrics.answered("answered", 0.1)
    metrics.refused(Full("no place"))
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {sample.name: set(sample.labels) for family in families for sample in family.samples}


def parsed(expression: str) -> list[re.Match[str]]:
    """The tokens of a query, whole and with brackets in pairs."""
    found, place = [], 0
    while place < len(expression):
        match = TOKEN.match(expression, place)
        assert match is not None, f"{expression[place:]!r} of {expression!r} is no query"
        found.append(match)
        place = match.end()
    depth = 0
    for match in found:
        depth += {"(": 1, ")": -1}.get(match.group(), 0)
        assert depth >= 0, expression
    assert depth == 0, expression
    return found


@pytest.mark.parametrize(("expression", "legend"), TARGETS)
def test_every_query_asks_for_figures_and_labels_that_there_are(expression: str, legend: str) -> None:
    tokens = parsed(expression)
    metrics = [match.group("metric") for match in tokens if match.group("metric")]
    assert metrics
    chosen = [match.group("filter") for match in tokens if match.group("metric")]
    assert all(chosen), "of the chosen models and replicas"
    labels = {match.group("label") for match in tokens if match.group("label")}
    labels |= set(re.findall(r"\{\{(\w+)\}\}", legend))
    for name in metrics:
        assert name in figures(), f"{name} is no figure of the server"
        assert labels - {"replica"} <= figures()[name]  # which the ingress of several adds


@pytest.mark.parametrize(("expression", "legend"), TARGETS)
def test_counters_are_asked_for_their_rate_and_gauges_are_not(expression: str, legend: str) -> None:
    for match in re.finditer(r"(rate\()?(llada_\w+)", expression):
        grows = match.group(2).endswith(("_total", "_sum", "_count", "_bucket"))
        assert grows is bool(match.group(1)), match.group()


def test_every_figure_is_on_the_board() -> None:
    asked = {
        name for expression in map(str, BOARD["panels"]) for name in re.findall(r"llada_\w+", expression)
    }
    shown = {re.sub(r"_(total|sum|count|bucket)$", "", name) for name in asked}
    there = {re.sub(r"_(total|sum|count|bucket|created)$", "", name) for name in figures()}
    assert there == shown


def test_panels_have_their_own_place_and_number() -> None:
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(column for column, _ in cells) < 24
        taken |= cells


def test_the_models_to_choose_from_are_those_that_are_served() -> None:
    choice = next(each for each in BOARD["templating"]["list"] if each["name"] == "model")
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", choice["definition"])
    assert found is not None
    assert found.group(2) in figures()[found.group(1)]


def test_replicas_can_be_chosen_of_the_chosen_models_and_one_server_is_shown_as_ever() -> None:
    choice = next(each for each in BOARD["templating"]["list"] if each["name"] == "replica")
    found = re.fullmatch(r'label_values\((\w+)\{model_name=~"\$model"\}, replica\)', choice["definition"])
    assert found is not None
    assert found.group(1) in figures()
    assert choice["allValue"] == ".*", "which an absent label matches, too"
