"""What the public functions return can be copied and sent to another process."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_core import STANDARD, CommandSpec, GenerationRequest, LoadOptions, StrangerSpec, WheelSpec
from llada_core.environment import read_environment
from llada_core.registry import shared
from llada_core.testing import Failure

pytestmark = pytest.mark.usefixtures("world")


def facts(folder: Path) -> Iterator[Any]:
    yield from (llada_core.get_algorithm_info(name) for name in llada_core.list_algorithms())
    yield from (llada_core.get_engine(name) for name in llada_core.list_engines())
    yield from llada_core.plugin_statuses()
    yield from llada_core.list_commands()
    yield from STANDARD.values()
    yield from shared().decisions()
    found = llada_core.detect(folder)
    yield from (found, *found.candidates)
    yield LoadOptions(device="cpu", dtype="float32")
    yield GenerationRequest(prompt="Hello", parameters={"seed": 1})
    yield CommandSpec(name="x", target="m:x", summary="")
    strangers = (StrangerSpec(patterns=("*x*",), kind="another"),)
    yield WheelSpec(distribution="d", engine="e", summary="", strangers=strangers)
    yield Failure(check="it generates", problem="it does not")
    yield read_environment({})
    with llada_core.load_model(folder) as lm:
        yield from lm.generate(["Hello", "you"], max_tokens=4)
        yield from (step for step in lm.stream("Hello", max_tokens=4) if step.finished)


def test_facts_survive(folder: Path) -> None:
    kinds = set()
    for fact in facts(folder):
        kinds.add(type(fact).__name__)
        assert copy.copy(fact) == fact
        assert copy.deepcopy(fact) == fact
        received = pickle.loads(pickle.dumps(fact))
        assert type(received) is type(fact)
        if type(fact).__name__ == "Step":  # its ticket is another one there
            received = dataclasses.replace(received, ticket=fact.ticket)
        assert received == fact
    assert {"AlgorithmInfo", "Detection", "EngineInfo", "GenerationResult", "PluginStatus", "Step"} <= kinds
