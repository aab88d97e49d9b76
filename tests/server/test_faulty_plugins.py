"""A plugin whose rows or loop are faulty fails its own requests; the server goes on for all others."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any, ClassVar

import httpx
import pytest

from llada_core import registry
from llada_core.generation.steps import Ticket
from llada_runtime import NoCache, StepAlgorithm
from tests.server.apps import Running

GOOD = {"prompt": "What is 12 + 30?\n12 + 30 =", "max_tokens": 4, "generation_algorithm": "basic"}
FACTS = ("prompt_length", "gen_length", "mask_id", "canvas", "columns", "nfe", "cancelled", "warnings")


@contextmanager
def algorithm(sequence: Callable[..., Any]) -> Iterator[None]:
    """One called ``faulty`` whose rows these are."""

    class Faulty(StepAlgorithm):
        name, engine = "faulty", "fast-dllm"
        parameters: ClassVar[Any] = registry.get_algorithm_info("basic").parameters

        def policy(self, params: Any) -> Any:
            return NoCache()

        def rule(self, params: Any) -> Any:
            raise RuntimeError("nobody asks for a rule")

    Faulty.sequence = sequence  # type: ignore[method-assign]
    undo = registry.register_algorithm(Faulty)
    try:
        yield
    finally:
        undo()


def bare(*given: Any, **fixed: Any) -> Any:
    row = SimpleNamespace(columns=0, nfe=0)
    row.ticket = Ticket(row)  # type: ignore[arg-type]
    return row


def good_row(*given: Any, **fixed: Any) -> Any:
    return registry.get_algorithm("basic").sequence(*given[1:], **fixed)  # type: ignore[attr-defined]


def spoilt(name: str, tell: Callable[[Any], Any], *, after: int) -> Callable[..., Any]:
    """Rows of ``basic`` that tell this of themselves as it is for so many times, and then what ``tell`` does
    of it."""

    def sequence(*given: Any, **fixed: Any) -> Any:
        row = good_row(*given, **fixed)
        kind, left = type(row), [after]
        plain = kind.__dict__.get(name)

        def read(row: Any) -> Any:
            left[0] -= 1
            value = plain.__get__(row) if isinstance(plain, property) else row.__dict__[name]
            return value if left[0] >= 0 else tell(value)

        def write(row: Any, value: Any) -> None:
            row.__dict__[name] = value

        row.__class__ = type("Spoilt", (kind,), {name: property(read, write)})
        return row

    return sequence


def missing(value: Any) -> Any:
    raise AttributeError("there is none")


def leaves(value: Any) -> Any:
    raise SystemExit(3)


def ask(client: httpx.Client, *, stream: bool = False, **more: Any) -> httpx.Response:
    body = {**GOOD, "generation_algorithm": "faulty", "stream": stream, **more}
    return client.post("/v1/completions", json=body)


def check_goes_on(server: Running, client: httpx.Client) -> None:
    """The thread works, has nothing left, and answers; the figures can be read."""
    assert client.get("/health").status_code == 200
    assert client.post("/v1/completions", json=GOOD).json()["choices"][0]["text"] == " 42."
    assert server.worker.accepted == server.worker.running == 0
    told = client.get("/batch/stats").json()
    assert told["num_requests_running"] == told["kv_cache_columns"] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_row_that_is_none_is_told_by_its_status(
    server: Running, client: httpx.Client, stream: bool
) -> None:
    with algorithm(bare):
        response = ask(client, stream=stream)
    assert response.status_code == 500
    assert response.json()["error"]["code"] == "generation_failed"
    check_goes_on(server, client)


@pytest.mark.parametrize("seed", range(16))
def test_whatever_a_row_tells_of_itself_and_when_the_server_goes_on(
    server: Running, client: httpx.Client, seed: int
) -> None:
    draw = random.Random(seed)
    name = FACTS[seed % len(FACTS)]
    tell = draw.choice([missing, leaves, str, lambda value: None, lambda value: [value], lambda value: -7])
    with algorithm(spoilt(name, tell, after=draw.choice([0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]))):
        for stream in (False, True):
            response = ask(client, stream=stream)
            assert response.status_code in (200, 500)
            if stream and response.status_code == 200:
                last = response.text.strip().rpartition("data: ")[2]
                assert last == "[DONE]" or json.loads(last)["error"]["code"] == "generation_failed"
            check_goes_on(server, client)
