"""A network split between ranks decodes what it decodes whole: every golden case, and a session of all
algorithms whose rows come, go and fail."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest
import torch

import llada_core
from llada_core import LoadedModel, Ticket, register_algorithm
from tests.parity.parity_data import GOLDENS, golden_cases, needs_engine, rows_of
from tests.parity.test_dinfer import decode
from tests.parity.test_session import (
    GOOD,
    WRONG,
    Fails,
    Nans,
    Raises,
    Stalls,
    alone,
    facts,
    lm,
    request,
)
from tests.support.ranks import on_ranks

__all__ = ["lm"]

MODELS = ("gqa-96", "mha-64", "mha-eos-64")  # whose numbers are even


@needs_engine("fast-dllm")
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MODELS)
def test_fast_dllms_tokens_and_forwards_are_upstreams(name: str) -> None:
    cases = [case.values[0] for case in golden_cases("fastdllm")]
    with on_ranks(GOLDENS / "models" / name) as (network, _):
        for case in (case for case in cases if case["model"] == name):
            rows = rows_of(case)
            output_ids, nfe = llada_core.get_algorithm(case["algorithm"]).generate(
                network, torch.tensor(rows), early_stop=False, **case["params"]
            )
            assert output_ids.tolist() == case["expected"]["sequences"], case["id"]
            assert len(rows) > 1 or nfe == case["expected"]["nfe"], case["id"]


@needs_engine("dinfer")
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MODELS)
def test_dinfers_canvases_are_upstreams(name: str) -> None:
    cases = [case.values[0] for case in golden_cases("dinfer")]
    with on_ranks(GOLDENS / "models" / name) as (network, _):
        for case in (case for case in cases if case["model"] == name):
            sequences, _ = decode(case, network)
            assert [each.canvas for each in sequences] == case["expected"]["canvas"], case["id"]


@pytest.fixture
def split() -> Iterator[LoadedModel]:
    """The embedded model on two processes, and algorithms that go wrong."""
    undo = [register_algorithm(kind) for kind in (Raises, Stalls, Nans, Fails)]
    with llada_core.load_model(device="cpu", tensor_parallel=2) as model:
        yield model
    for each in undo:
        each()


def everything() -> list[tuple[str, str, dict[str, Any]]]:
    """Requests of every algorithm that is installed and runs on the embedded model."""
    others = [name for name in llada_core.list_available_algorithms() if name.startswith("dinfer")]
    return [
        *GOOD,
        *((f"Sort the list 8, {n}, 4.", name, {"max_tokens": 24}) for n, name in enumerate(others)),
    ]


@needs_engine("fast-dllm")
def test_a_session_of_all_algorithms_is_that_of_one_process(split: LoadedModel, lm: LoadedModel) -> None:
    draw = random.Random(1)
    work: list[tuple[str, Any]] = [("good", good) for good in everything()]
    work += [("wrong", name) for name in WRONG]
    work += [("cancelled", GOOD[draw.randrange(len(GOOD))]) for _ in range(2)]
    draw.shuffle(work)
    tickets: dict[Ticket, tuple[str, Any]] = {}
    doomed: list[Ticket] = []
    with split.session(rows=5, columns=400) as session:
        while work or session.active:
            if work and draw.random() < 0.5:
                kind, what = work.pop()
                ticket = session.submit(request(*(what if kind != "wrong" else ("Hello", what, {}))))
                tickets[ticket] = (kind, what)
                doomed += [ticket] if kind == "cancelled" else []
                continue
            session.step()
            if doomed and draw.random() < 0.5:
                session.cancel(doomed.pop())
    for ticket, (kind, what) in tickets.items():
        if kind == "good":
            assert facts(ticket) == alone(lm, what), what
        elif kind == "wrong":
            assert ticket.error is not None
            assert isinstance(ticket.error.__cause__, WRONG[what])


@needs_engine("fast-dllm")
def test_what_cannot_be_split_is_refused_where_a_model_is_loaded() -> None:
    with pytest.raises(llada_core.UsageError, match="does not divide the model's 8 heads; give one of 1, 2"):
        llada_core.load_model(device="cpu", tensor_parallel=3)
    with pytest.raises(llada_core.UsageError, match="device 'gpu' is not known"):
        llada_core.load_model(device="gpu", tensor_parallel=2)


@pytest.mark.gpu
@needs_engine("fast-dllm")
def test_two_gpus_decode_what_one_does() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    with (
        llada_core.load_model(device="cuda", dtype="float32") as one,
        llada_core.load_model(device="cuda", dtype="float32", tensor_parallel=2) as split,
    ):
        for _ in range(2):  # the second time in graphs of the first
            for good in everything():
                assert alone(split, good) == alone(one, good), good
        network: Any = split.model.network
        assert network.network._graphs, "steps are to be captured in this test"


@pytest.mark.gpu
def test_a_gpu_that_is_lost_ends_the_model_with_an_error() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("needs two GPUs")
    with llada_core.load_model(device="cuda", tensor_parallel=2) as split:
        network: Any = split.model.network
        (other,) = network._crew._processes
        asked = {"max_tokens": 600, "threshold": None, "steps": 600, "early_stop": False}
        told = []
        with split.session() as session:
            ticket = session.submit(request("Count.", "dual_cache", asked))
            for number in range(400):
                told += session.step()
                if number == 20:
                    other.kill()
                if ticket.error is not None:
                    break
        assert isinstance(ticket.error, llada_core.GenerationError)
        assert len(told) < 60
