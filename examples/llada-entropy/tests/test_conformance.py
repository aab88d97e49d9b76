"""``entropy`` keeps the contract of the registry."""

from __future__ import annotations

from llada_core.testing import AlgorithmConformance


class TestConformance(AlgorithmConformance):
    algorithm = "entropy"
