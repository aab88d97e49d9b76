"""The figures of all replicas as one exposition, in which the label ``replica`` tells them apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

__all__ = ["Told", "merged", "summed"]

_LABEL = "replica"
_SILENT = "replicas_silent"
_SHARE = "_perc"  # names of shares end so: of several, the mean is told and not the sum


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What the replicas told.

    Attributes:
        figures: of each that did, in Prometheus' text format, by its name.
        silent: how many were asked and did not tell theirs.
    """

    figures: Mapping[str, bytes]
    silent: int = 0


def merged(told: Told) -> bytes:
    """One exposition in Prometheus' text format of those of all replicas, and how many are not in it."""
    registry = CollectorRegistry()
    silent = GaugeMetricFamily(f"llada_{_SILENT}", "Replicas that did not tell their figures.", told.silent)
    registry.register(_Collected([*_families(told.figures).values(), silent]))
    return generate_latest(registry)


def summed(told: Told) -> dict[str, float]:
    """Every figure by name without prefix, summed over its labels and over replicas; histograms by count and
    sum, shares by their mean over replicas."""
    figures: dict[str, float] = {}
    for family in _families(told.figures).values():
        if family.type == "counter":
            figures[f"{family.name}_total"] = 0.0  # which has no sample before its first label
        for sample in family.samples:
            if not sample.name.endswith(("_created", "_bucket")):
                share = sample.name.endswith(_SHARE)
                value = sample.value / len(told.figures) if share else sample.value
                figures[sample.name] = figures.get(sample.name, 0.0) + value
    known = {name.removeprefix("llada_"): value for name, value in figures.items()}
    return {**known, _SILENT: float(told.silent)}


def _families(figures: Mapping[str, bytes]) -> dict[str, Metric]:
    """The families by name, each with the samples of all replicas."""
    families: dict[str, Metric] = {}
    for replica, text in figures.items():
        for found in text_string_to_metric_families(text.decode()):
            family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
            family.samples += [_of(sample, replica) for sample in found.samples]
    return families


def _of(sample: Sample, replica: str) -> Sample:
    return sample._replace(labels={**sample.labels, _LABEL: replica})


class _Collected(Collector):
    """What a registry collects: these families."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self._families
