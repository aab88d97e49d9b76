"""The figures of all replicas as one exposition, in which the label ``replica`` tells them apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

__all__ = ["merged", "summed"]

_LABEL = "replica"
_SHARE = "_perc"  # names of shares end so: of several, the mean is told and not the sum


def merged(told: Mapping[str, bytes]) -> bytes:
    """One exposition in Prometheus' text format of those of all replicas, by their names."""
    registry = CollectorRegistry()
    registry.register(_Told(_families(told).values()))
    return generate_latest(registry)


def summed(told: Mapping[str, bytes]) -> dict[str, float]:
    """Every figure by name without prefix, summed over its labels and over replicas; histograms by count and
    sum, shares by their mean over replicas."""
    figures: dict[str, float] = {}
    for family in _families(told).values():
        if family.type == "counter":
            figures[f"{family.name}_total"] = 0.0  # which has no sample before its first label
        for sample in family.samples:
            if not sample.name.endswith(("_created", "_bucket")):
                value = sample.value / len(told) if sample.name.endswith(_SHARE) else sample.value
                figures[sample.name] = figures.get(sample.name, 0.0) + value
    return {name.removeprefix("llada_"): value for name, value in figures.items()}


def _families(told: Mapping[str, bytes]) -> dict[str, Metric]:
    """The families by name, each with the samples of all replicas."""
    families: dict[str, Metric] = {}
    for replica, text in told.items():
        for found in text_string_to_metric_families(text.decode()):
            family = families.setdefault(found.name, Metric(found.name, found.documentation, found.type))
            family.samples += [_of(sample, replica) for sample in found.samples]
    return families


def _of(sample: Sample, replica: str) -> Sample:
    return sample._replace(labels={**sample.labels, _LABEL: replica})


class _Told(Collector):
    """What a registry collects: these families."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Metric]:
        """All of them."""
        return self._families
