"""The engine of the examples in the server: offered, streamed and batched, without a line about it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.examples.served import completion, installed, offered, parts_together, steps
from tests.server.apps import Running, model_server


@pytest.fixture(scope="module")
def mymodel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server of the example's own model."""
    with installed("llada-mymodel"):
        write = importlib.import_module("llada_mymodel.model").write_random
        folder: Path = write(tmp_path_factory.mktemp("mymodel"))
        with model_server(model=str(folder), engine=None, served_model_name="mymodel") as running:
            yield running


def test_an_engine_of_its_own_is_offered(mymodel: Running) -> None:
    assert {name: card["runs"] for name, card in offered(mymodel).items()}["mymodel"]


def test_an_opaque_engine_streams_and_batches(mymodel: Running) -> None:
    prompts = ("Hello", "Good morning to all of you")  # of different lengths
    alone = [completion(mymodel, prompt=prompt, max_tokens=8)["choices"][0]["text"] for prompt in prompts]
    before = steps(mymodel)
    told = parts_together(mymodel, *({"prompt": prompt, "max_tokens": 8} for prompt in prompts))
    assert ["".join(texts) for texts in told] == alone
    assert steps(mymodel) - before == 1
