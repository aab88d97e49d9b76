"""One loaded tiny model for all tests of the engine."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import llada_core
from tests.llada2.tiny_models import write_model


@pytest.fixture(scope="session")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[llada_core.LoadedModel]:
    """Whose answers hold an end token now and then."""
    folder = write_model(tmp_path_factory.mktemp("llada2"), seed=2)
    with llada_core.load_model(folder, device="cpu") as loaded:
        yield loaded
