"""The small model as lm-evaluation-harness asks it, and requests as it makes them."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest
from lm_eval.api.instance import Instance

from llada_eval.model import LladaLM

SETTINGS: dict[str, Any] = {"algorithm": "dual_cache", "block_length": 32, "threshold": 0.9}
Asks = Callable[..., list[Instance]]


@pytest.fixture(scope="session")
def small() -> LladaLM:
    return LladaLM(**SETTINGS, batch_size=8, device="cpu", mc_samples=8)


def asks(kind: str, *arguments: tuple[Any, ...]) -> list[Instance]:
    """A request for each of ``arguments``."""
    return [
        Instance(kind, {}, each, 0, metadata=("a task", number, 1)) for number, each in enumerate(arguments)
    ]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No connection is made while the test runs."""

    def refused(*arguments: Any) -> None:
        pytest.fail(f"something connects to {arguments[1:]}")

    for name in ("connect", "connect_ex"):
        monkeypatch.setattr(socket.socket, name, refused)
