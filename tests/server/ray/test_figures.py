"""The figures of several replicas in one exposition."""

from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from llada_core.generation.results import GenerationRequest
from llada_server.metrics import Metrics
from llada_server.ray.figures import Told, merged, summed
from tests.server.fakes import ScriptedSession


def metrics(*scripts: str) -> Metrics:
    """What a replica counts that has answered these."""
    made, session = Metrics("served"), ScriptedSession()
    made.watch(running=lambda: 1, accepted=lambda: 3, columns=10)
    for script in scripts:
        session.submit(GenerationRequest(prompt=script))
    while session.active:
        made.stepped(session.step())
    return made


ONE, TWO = metrics("abc"), metrics("abcd", "a")
TOLD = Told(figures={"one": ONE.exposition(), "two": TWO.exposition()}, silent=3)
SILENT = {("llada_replicas_silent", ()): 3.0}


def samples(text: bytes) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = list(text_string_to_metric_families(text.decode()))
    assert len({family.name for family in families}) == len(families), "each family stands once"
    return {
        (each.name, tuple(sorted(each.labels.items()))): each.value
        for family in families
        for each in family.samples
    }


def test_every_figure_of_every_replica_is_told_with_its_name() -> None:
    expected = {
        (name, tuple(sorted({**dict(labels), "replica": replica}.items()))): value
        for replica, text in TOLD.figures.items()
        for (name, labels), value in samples(text).items()
    }
    assert samples(merged(TOLD)) == {**expected, **SILENT}


def test_kinds_and_words_stay() -> None:
    alone = [line for line in TOLD.figures["one"].decode().splitlines() if line.startswith("#")]
    *lines, words, kind = [line for line in merged(TOLD).decode().splitlines() if line.startswith("#")]
    assert lines == alone
    assert words == "# HELP llada_replicas_silent Replicas that did not tell their figures."
    assert kind == "# TYPE llada_replicas_silent gauge"


def test_of_all_replicas_sums_are_told_and_of_shares_the_mean() -> None:
    one, two, told = ONE.stats(), TWO.stats(), summed(TOLD)
    assert told.pop("replicas_silent") == 3
    share = "kv_cache_usage_perc"
    assert told.pop(share) == (one.pop(share) + two.pop(share)) / 2
    assert told == pytest.approx({name: one[name] + two[name] for name in one})


def test_without_replicas_nothing_but_that_is_told() -> None:
    none = Told(figures={})
    assert (samples(merged(none)), summed(none)) == (dict.fromkeys(SILENT, 0.0), {"replicas_silent": 0.0})
