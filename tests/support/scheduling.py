"""Which tests share a worker of pytest-xdist. A plugin of pytest, for ``--dist loadgroup``."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadGroupScheduling

__all__ = ["ByFile", "pytest_xdist_make_scheduler"]


class ByFile(LoadGroupScheduling):
    """The tests of a file share a worker, as those of a group do: what a module's fixtures make is made once.

    Of slow ones alone (``-m slow``) each is for itself: one may take as long as a whole file of others.
    """

    def _split_scope(self, nodeid: str) -> str:
        scope = super()._split_scope(nodeid)
        if scope != nodeid or self.config.option.markexpr == "slow":
            return scope
        return nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)
