"""What authors of plugins test with: distributions that are not really installed, and checks of algorithms.

Nothing here needs torch until an algorithm is asked to generate.
"""

from __future__ import annotations

from llada_core.testing.checks import ConformanceError, Failure, run_checks
from llada_core.testing.conformance import check_algorithm
from llada_core.testing.distributions import FakeDistribution
from llada_core.testing.site import FakeSite, fake_site

__all__ = [
    "ConformanceError",
    "Failure",
    "FakeDistribution",
    "FakeSite",
    "check_algorithm",
    "fake_site",
    "run_checks",
]
