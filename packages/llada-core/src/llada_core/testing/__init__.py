"""What authors of plugins test with: the checks of the contract, by a class, by names or one by one, and
distributions that are not really installed.

Nothing here needs torch until an algorithm is asked to generate, and nothing needs pytest but
``llada_core.testing.plugin``.
"""

from __future__ import annotations

from llada_core.testing.checks import ConformanceError, Failure, NotRun, Outcome, Suite, run_checks
from llada_core.testing.classes import AlgorithmConformance, EngineConformance
from llada_core.testing.conformance import check_algorithm
from llada_core.testing.distributions import FakeDistribution
from llada_core.testing.effects import effect_checks
from llada_core.testing.site import FakeSite, fake_site
from llada_core.testing.suites import suites_of

__all__ = [
    "AlgorithmConformance",
    "ConformanceError",
    "EngineConformance",
    "Failure",
    "FakeDistribution",
    "FakeSite",
    "NotRun",
    "Outcome",
    "Suite",
    "check_algorithm",
    "effect_checks",
    "fake_site",
    "run_checks",
    "suites_of",
]
