"""One session, eight good rows, and among them everything that can go wrong with a row: the good ones are
those of the row alone, and every ticket gets exactly one final step."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import llada_core
from llada_core import (
    GenerationAlgorithm,
    GenerationError,
    GenerationRequest,
    LoadedModel,
    NoProgress,
    NumericalError,
    Step,
    Ticket,
    register_algorithm,
    standard,
)
from llada_runtime import DualCache, NoCache, Plan, Policy, Quota, Rule, Sequence, StepAlgorithm
from tests.parity.parity_data import needs_engine

pytestmark = needs_engine("fast-dllm")

GOOD: list[tuple[str, str, dict[str, Any]]] = [
    ("Sort the list 9, 4, 7, 1.", "dual_cache", {"max_tokens": 24}),
    ("What is 12 + 30?", "prefix_cache", {"max_tokens": 17, "block_length": 8}),
    ("Sort the list 3, 2, 8.", "basic", {"max_tokens": 16, "threshold": 0.9}),
    ("What is 7 + 8?", "dual_cache", {"max_tokens": 16, "temperature": 0.8, "seed": 3}),
    ("Sort the list 5, 1.", "dual_cache", {"max_tokens": 33, "factor": 1.0}),
    ("What is 40 + 2?", "basic", {"max_tokens": 8, "steps": 4}),
    ("Sort the list 6, 60, 16.", "prefix_cache", {"max_tokens": 20, "remasking": "random", "seed": 4}),
    ("What is 9 + 9?", "dual_cache", {"max_tokens": 24, "early_stop": False}),
]


class AtTheThirdStep(Quota):
    __slots__ = ()

    @classmethod
    def parameters(cls, sequences: list[Sequence]) -> Tensor:
        for sequence in sequences:
            if sequence.nfe == 2:
                raise ZeroDivisionError("the third step")
        return super().parameters(sequences)


class KeepsNothing(Rule):
    @classmethod
    def choose(cls, parameters: Tensor, scores: Tensor, open_: Tensor) -> Tensor:
        return torch.zeros_like(open_)


class Poisoned(NoCache):
    """Feeds NaN, so that the row's logits are NaN too."""

    def inputs(self, sequence: Sequence, plan: Plan) -> Tensor:
        return torch.full((plan.hi - plan.lo, sequence.policy_state), torch.nan)


class BadSteps(StepAlgorithm):
    engine = "fast-dllm"
    parameters = (standard("gen_length", default=24), standard("block_length", default=8))

    def policy(self, params: Any) -> Policy:
        return DualCache()

    def rule(self, params: Any) -> Rule:
        return Quota(8)


class Raises(BadSteps):
    name = "raises"

    def rule(self, params: Any) -> Rule:
        return AtTheThirdStep(8)


class Stalls(BadSteps):
    name = "stalls"

    def rule(self, params: Any) -> Rule:
        return KeepsNothing()


class Nans(BadSteps):
    name = "nans"

    def policy(self, params: Any) -> Policy:
        return Poisoned()

    def sequence(self, model: Any, prompt_ids: Any, params: Any) -> Sequence:
        sequence = super().sequence(model, prompt_ids, params)
        sequence.policy_state = model.shape.width
        return sequence


class Fails(GenerationAlgorithm):
    """An opaque algorithm that fails."""

    name, engine, parameters = "fails", "fast-dllm", (standard("gen_length", default=8),)

    def load_model_class(self) -> Any:
        return llada_core.get_algorithm("basic").load_model_class()

    def generate(self, model: Any, prompt: Any, **params: Any) -> Any:
        raise KeyError("opaque")


WRONG = {"raises": ZeroDivisionError, "stalls": NoProgress, "nans": NumericalError, "fails": KeyError}


@pytest.fixture(scope="module")
def lm() -> Iterator[LoadedModel]:
    undo = [register_algorithm(kind) for kind in (Raises, Stalls, Nans, Fails)]
    with llada_core.load_model(device="cpu") as model:
        yield model
    for each in undo:
        each()


def request(prompt: str, algorithm: str, parameters: dict[str, Any]) -> GenerationRequest:
    return GenerationRequest(prompt=prompt, algorithm=algorithm, parameters=parameters)


def facts(ticket: Ticket) -> Any:
    assert ticket.result is not None
    result = ticket.result
    return result.text, result.token_ids, result.nfe, result.finish_reason


def alone(lm: LoadedModel, good: tuple[str, str, dict[str, Any]]) -> Any:
    with lm.session() as session:
        ticket = session.submit(request(*good))
        list(session)
    return facts(ticket)


@pytest.mark.parametrize("seed", range(3))
def test_good_rows_never_notice_what_becomes_of_the_others(lm: LoadedModel, seed: int) -> None:
    draw = random.Random(seed)
    work: list[tuple[str, Any]] = [("good", good) for good in GOOD]
    work += [("wrong", name) for name in WRONG]
    work += [("cancelled", GOOD[draw.randrange(len(GOOD))]) for _ in range(2)]
    draw.shuffle(work)
    tickets: dict[Ticket, tuple[str, Any]] = {}
    doomed: list[Ticket] = []
    steps: list[Step] = []
    with lm.session(rows=draw.choice([4, 8, 16])) as session:
        while work or session.active:
            if work and draw.random() < 0.6:
                kind, what = work.pop()
                ticket = session.submit(request(*(what if kind != "wrong" else ("Hello", what, {}))))
                tickets[ticket] = (kind, what)
                doomed += [ticket] if kind == "cancelled" else []
            else:
                steps += session.step()
                if doomed and draw.random() < 0.5:
                    session.cancel(doomed.pop())
            assert len(steps) < 3000
    ends = [step for step in steps if step.finished]
    assert Counter(step.ticket for step in ends) == Counter(list(tickets))
    for ticket, (kind, what) in tickets.items():
        if kind == "good":
            assert facts(ticket) == alone(lm, what)
        elif kind == "wrong":
            error = ticket.error
            assert isinstance(error, GenerationError)
            assert isinstance(error.__cause__, WRONG[what])
            assert (error.algorithm, error.row, ticket.result) == (what, ticket.index, None)
        else:
            assert ticket.result is not None
            assert ticket.result.finish_reason in ("cancelled", "stop", "length")


def test_generate_finishes_all_rows_and_then_raises(lm: LoadedModel) -> None:
    requests = [request(*GOOD[0]), request("Hello", "raises", {}), request(*GOOD[1])]
    told = (
        "raises failed in row 1: ZeroDivisionError: the third step; mend its code, or take another algorithm"
    )
    with pytest.raises(GenerationError, match=told) as info:
        lm.generate_batch(requests)
    first, failed, last = info.value.results
    assert failed is None
    assert [(r.text, r.nfe) for r in (first, last)] == [alone(lm, good)[:3:2] for good in GOOD[:2]]
