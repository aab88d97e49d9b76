"""Algorithms whose ``generate`` or ``answers`` breaks the contract, and those that are refused before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from llada_core import Answer
from llada_runtime.testing import MASK
from tests.runtime.wrong_tables import REFUSED, Good, wrong


def returns(name: str, make: Callable[[Any, Any, int], Any], told: str) -> None:
    """An algorithm whose ``generate`` returns what ``make`` makes of prompt, answer and length."""

    def generate(self: Any, model: Any, prompt: Any, **kwargs: Any) -> Any:
        answer = torch.full((len(prompt), kwargs["gen_length"]), 5)
        return make(prompt, answer, kwargs["gen_length"])

    wrong(told)(type(name, (Good,), {"generate": generate}))


def joined(prompt: Any, answer: Any) -> Any:
    return torch.cat((prompt, answer), dim=1)


returns(
    "ReturnsNone",
    lambda p, a, n: None,
    "it returned None; its generate must return (output_ids,",
)
returns("ReturnsIds", lambda p, a, n: joined(p, a), "it returned a tensor [1, ")
returns(
    "ReturnsThree", lambda p, a, n: (joined(p, a), 1, 2), "it returned a tuple of 3; its generate must return"
)
returns(
    "ReturnsLists",
    lambda p, a, n: (joined(p, a).tolist(), 1),
    "it returned a list of 1 as output_ids; its gen",
)
returns(
    "ReturnsFloats",
    lambda p, a, n: (joined(p, a).float(), 1),
    "of float32 on cpu as output_ids; its generate must",
)
returns(
    "ReturnsBools",
    lambda p, a, n: (joined(p, a) > 3, 1),
    "of bool on cpu as output_ids; its generate must return",
)
returns("ReturnsFlat", lambda p, a, n: (joined(p, a)[0], 1), "it returned ids of shape [")
returns(
    "ReturnsRowsTwice",
    lambda p, a, n: (joined(p, a).repeat(2, 1), 1),
    "it returned 2 rows for 1 prompts; its",
)
returns(
    "ReturnsNoRows", lambda p, a, n: (joined(p, a)[:0], 1), "it returned 0 rows for 1 prompts; its generate"
)
returns(
    "ReturnsAnswers",
    lambda p, a, n: (a, 1),
    "that it returned are not the prompt; its generate must return the",
)
returns(
    "ReturnsPrompts",
    lambda p, a, n: (p, 1),
    "; its generate must return ids of shape [B, P+G], prompt columns",
)
returns(
    "ChangesPrompts",
    lambda p, a, n: (joined(p.fill_(9), a), 1),
    "that it returned are not the prompt; its gen",
)
returns(
    "LeavesMasks",
    lambda p, a, n: (joined(p, a.fill_(MASK)), 1),
    "it left the mask token (id 30) in an answer;",
)
returns(
    "BeyondTheEnd", lambda p, a, n: (joined(p, a.fill_(4096)), 1), "it answered with id 4096, which is out of"
)
returns(
    "BelowZero",
    lambda p, a, n: (joined(p, a.fill_(-3)), 1),
    "it answered with id -3, which is out of the voc",
)
returns(
    "CountsNoForwards",
    lambda p, a, n: (joined(p, a), 0),
    "it counts 0 forwards; return how often the network",
)
returns(
    "CountsBackwards",
    lambda p, a, n: (joined(p, a), -4),
    "it counts -4 forwards; return how often the network",
)
returns(
    "CountsNothing",
    lambda p, a, n: (joined(p, a), None),
    "it counts None forwards (a NoneType); return nfe as",
)
returns(
    "CountsHalves",
    lambda p, a, n: (joined(p, a), 1.5),
    "it counts 1.5 forwards (a float); return nfe as an int",
)
returns(
    "CountsTruth",
    lambda p, a, n: (joined(p, a), True),
    "it counts True forwards (a bool); return nfe as an int",
)
returns("RaisesInGenerate", lambda p, a, n: a[7], "IndexError: index 7 is out of bounds")


def answers(name: str, answer: Callable[[Any], Any], told: str) -> None:
    wrong(told)(type(name, (Good,), {"answers": lambda self, model, prompts, params: answer(prompts)}))


answers(
    "AnswersNone", lambda prompts: None, "it returned a NoneType: no answers for 1 prompts; its answers must"
)
answers(
    "AnswersNobody",
    lambda prompts: [],
    "it returned 0 answers for 1 prompts; its answers must return one Answ",
)
answers(
    "AnswersText",
    lambda prompts: ["Hello"],
    "it answered 'Hello'; its answers must return one Answer a prompt",
)
answers(
    "AnswersLists",
    lambda prompts: [Answer(token_ids=[5], nfe=1)],  # type: ignore[arg-type]
    "its Answer holds [5]; token_ids must be a tuple of integers",
)
answers(
    "AnswersForFree",
    lambda prompts: [Answer(token_ids=(5,), nfe=0)],
    "it counts 0 forwards; return how often the network was run, 1 or more",
)
answers(
    "WarnsOnce",
    lambda prompts: [Answer(token_ids=(5,), nfe=1, warnings="careful")],  # type: ignore[arg-type]
    "its Answer warns of 'careful'; warnings must be a tuple of sentences",
)


# -- what is refused before anything runs


def refuses(name: str, told: str, **members: Any) -> None:
    wrong(told, table=REFUSED)(type(name, (Good,), {"__module__": __name__, **members}))


def breaks(*_: Any, **__: Any) -> Any:
    raise KeyError("spoon")


refuses(
    "ValidatesToNone",
    "validatestonone of llada-wrong: its validate_args returned None; return the effective values as a dict",
    validate_args=lambda self, **params: None,
)
refuses(
    "ValidatesBadly",
    "validatesbadly of llada-wrong: its validate_args failed: KeyError: 'spoon'; let it raise Par",
    validate_args=breaks,
)
refuses(
    "UnfitByTruth",
    "its unfit_reason returned False; return None, or the reason as text",
    unfit_reason=lambda self, model: False,
)
refuses(
    "UnfitBadly",
    "its unfit_reason failed: KeyError: 'spoon'; upgrade llada-wrong, or tell its authors",
    unfit_reason=breaks,
)
refuses(
    "SaysNo",
    "SaysNo.is_available() of tests.runtime.wrong_calls says False; see there what it needs",
    is_available=lambda self: False,
)
refuses("SaysNothing", "its is_available failed: KeyError", is_available=breaks)
refuses(
    "CannotBeMade", "making tests.runtime.wrong_algorithms:CannotBeMade failed: KeyError", __init__=breaks
)
