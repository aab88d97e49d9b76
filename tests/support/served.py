"""The server on a loaded model, for tests that stand beside an engine's wheel as well."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from llada_core import LoadedModel

__all__ = ["served_client"]


@contextmanager
def served_client(lm: LoadedModel, engine: str, **settings: Any) -> Iterator[Any]:
    """A client of the server, in this process; the test is skipped where its package is not installed.

    Args:
        settings: of the server, besides the model, its engine and the device.
    """
    serving = pytest.importorskip("llada_server.serving", reason="llada-server is not installed")
    known = pytest.importorskip("llada_server.settings")
    testclient = pytest.importorskip("starlette.testclient", reason="httpx is not installed")
    given = known.ServerSettings(model=lm.model.path, engine=engine, device="cpu", **settings)
    served, metrics = serving.served_model(lm, given)
    served.worker.start()
    try:
        yield testclient.TestClient(serving.application_of(served, metrics))
    finally:
        served.worker.stop(5)
