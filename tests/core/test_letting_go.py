"""A closed model lets go of its network, and then gives the memory back to the driver."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path

import pytest
import torch

from llada_core import load_model

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def given_back(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of a driver that is not there."""
    asked: list[str] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: asked.append("empty_cache"))
    return asked


def test_memory_is_given_back_once_nobody_holds_the_network(
    folder: Path, given_back: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    lm = load_model(folder, device="cpu")
    network = weakref.ref(lm.model.network)
    lm.generate("Hello", max_tokens=4)

    def empty_cache() -> None:
        gc.collect()
        given_back.append("the network was held" if network() else "the network was gone")

    monkeypatch.setattr(torch.cuda, "empty_cache", empty_cache)
    lm.close()
    assert given_back == ["the network was gone"]


def test_it_is_given_back_once(folder: Path, given_back: list[str]) -> None:
    with load_model(folder, device="cpu") as lm:
        lm.close()
    assert given_back == ["empty_cache"]


def test_without_a_driver_none_is_asked(
    folder: Path, given_back: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    load_model(folder, device="cpu").close()
    assert given_back == []
