"""Algorithms of one call that return, keep or refuse what they should not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from llada_core import standard
from llada_runtime.testing import MASK
from tests.conformance.wrong.tables import WIDTH, GoodCall, wrong

SHAPE = "generate returns int64 [B, P+G]"
ENDS = "it ends within a bounded number of forwards"
AGAIN = "it answers the same again at each default, choice and bound"
OTHERS = "its rows do not depend on the parameters of others"
EFFECT = "each parameter changes something, or is declared neutral"


@wrong("it loads its model")
class LoadsNothing(GoodCall):
    """It cannot load the models of its engine."""

    def load_network(self, folder: Any, options: Any) -> Any:
        raise ValueError("tensor wte.weight is missing; download the weights again")


@wrong("it generates")
class RaisesAtOnce(GoodCall):
    """Its `generate` raises."""

    def written(self, model: Any, prompt: Any, mask: Any, values: Any) -> Any:
        raise RuntimeError("out of ideas")


class Changing(GoodCall):
    """One whose return value is changed by ``change``."""

    def written(self, model: Any, prompt: Any, mask: Any, values: Any) -> Any:
        return self.change(*super().written(model, prompt, mask, values), prompt)

    def change(self, ids: Any, nfe: Any, prompt: Any) -> Any:
        raise NotImplementedError


@wrong(SHAPE)
class ReturnsNarrowIds(Changing):
    """It returns int32."""

    def change(self, ids: Any, nfe: Any, prompt: Any) -> Any:
        return ids.int(), nfe


@wrong(SHAPE)
class GoesOn(Changing):
    """It returns more columns than `gen_length`."""

    def change(self, ids: Any, nfe: Any, prompt: Any) -> Any:
        return torch.cat((ids, ids[:, -1:]), dim=1), nfe


@wrong("the prompt comes back unchanged")
class RewritesThePrompt(Changing):
    """It returns other columns than the prompt's before the answer."""

    def change(self, ids: Any, nfe: Any, prompt: Any) -> Any:
        return torch.cat((prompt + 1, ids[:, prompt.shape[1] :]), dim=1), nfe


@wrong("every id is of the vocabulary")
class InventsTokens(Changing):
    """It writes ids that the model's vocabulary does not have."""

    def change(self, ids: Any, nfe: Any, prompt: Any) -> Any:
        return ids.index_fill(1, torch.tensor([ids.shape[1] - 1]), 10_000), nfe


@wrong("no mask is left")
class LeavesMasks(Changing):
    """It leaves the mask token in its answers."""

    def change(self, ids: Any, nfe: Any, prompt: Any) -> Any:
        return ids.index_fill(1, torch.tensor([ids.shape[1] - 1]), MASK), nfe


@wrong("an answer takes one forward at least")
class CountsNothing(Changing):
    """It says that it took no forward."""

    def change(self, ids: Any, nfe: Any, prompt: Any) -> Any:
        return ids, 0


@wrong(ENDS)
class NeverEnds(GoodCall):
    """It asks its network for ever."""

    def written(self, model: Any, prompt: Any, mask: Any, values: Any) -> Any:
        while True:
            model.forward(prompt)


@wrong(ENDS)
class CountsOnce(GoodCall):
    """It asks its network thrice, and says that it took two forwards."""

    def written(self, model: Any, prompt: Any, mask: Any, values: Any) -> Any:
        for _ in range(3 * len(prompt)):
            model.forward(prompt[:1])
        return super().written(model, prompt, mask, values)


@wrong(ENDS)
class NeverHasEnough(Changing):
    """It takes a thousand forwards for a token."""

    def change(self, ids: Any, nfe: Any, prompt: Any) -> Any:
        return ids, 1000 * (ids.shape[1] - prompt.shape[1])


@wrong("a batch is its rows alone")
class ListensToNeighbours(Changing):
    """It writes what the number of rows decides."""

    def change(self, ids: Any, nfe: Any, prompt: Any) -> Any:
        return torch.cat((prompt, (ids[:, prompt.shape[1] :] + len(prompt)) % 13), dim=1), nfe


@wrong("a batch takes as many forwards as its slowest row")
class AddsItsRowsUp(Changing):
    """It returns the sum of its rows' forwards."""

    def change(self, ids: Any, nfe: Any, prompt: Any) -> Any:
        return ids, nfe * len(prompt)


@wrong("padding is neutral")
class LooksForPadding(GoodCall):
    """It takes for padding what has the id of padding, whatever the mask says."""

    def written(self, model: Any, prompt: Any, mask: Any, values: Any) -> Any:
        return super().written(model, prompt, (prompt != 29).long(), values)


@wrong("generate refuses what it does not take")
class SwallowsParameters(GoodCall):
    """Its `generate` takes any keyword, and does not check it."""

    def generate(self, model: Any, prompt: Any, *, attention_mask: Any = None, **params: Any) -> Any:
        given = {"gen_length": params["gen_length"]} if "gen_length" in params else {}
        return super().generate(model, prompt, attention_mask=attention_mask, **given)


@wrong("generate refuses what it does not take")
class RefusesByAccident(GoodCall):
    """Its `generate` raises `KeyError` for what it does not know."""

    def generate(self, model: Any, prompt: Any, *, attention_mask: Any = None, **params: Any) -> Any:
        known = {name: name for each in self.parameters for name in each.names}
        given = {known[name]: value for name, value in params.items()}
        return super().generate(model, prompt, attention_mask=attention_mask, **given)


@wrong("another object of it has the same answer")
class CountsItself(GoodCall):
    """Each object of it takes a forward more than the one before."""

    made = 0

    def __init__(self) -> None:
        super().__init__()
        CountsItself.made += 1
        self.number = CountsItself.made

    def written(self, model: Any, prompt: Any, mask: Any, values: Any) -> Any:
        ids, nfe = super().written(model, prompt, mask, values)
        return ids, nfe + self.number


@wrong("the same request twice has the same answer")
class GrowsTired(GoodCall):
    """It keeps what it did on its class, and answers otherwise later."""

    calls = 0

    def written(self, model: Any, prompt: Any, mask: Any, values: Any) -> Any:
        type(self).calls += 1
        ids, nfe = super().written(model, prompt, mask, values)
        return ids, nfe + (type(self).calls > 5)


@wrong("the same seed draws the same answer", EFFECT, AGAIN, OTHERS)
class DrawsElsewhere(GoodCall):
    """It draws from torch's global generator, whatever its seed."""

    parameters = (*GoodCall.parameters, standard("temperature"), standard("seed"))

    def written(self, model: Any, prompt: Any, mask: Any, values: Any) -> Any:
        ids, nfe = super().written(model, prompt, mask, values)
        if values["temperature"] > 0:
            ids[:, prompt.shape[1] :] = torch.randint(13, (ids.shape[1] - prompt.shape[1],))
        return ids, nfe


@wrong("lm.algorithms() agrees with what runs")
class ExcusesItself(GoodCall):
    """Its `unfit_reason` says no, and it runs all the same."""

    def unfit_reason(self, model: Any) -> str:
        return "it is tired; use another"


@wrong("a generate that is overridden is what runs")
class AnswersForItsChildren(GoodCall):
    """It decides by itself how rows are answered, and never asks a subclass."""

    def answered(self, model: Any, prompts: Any, params: Any) -> Any:
        first = type(self).__mro__.index(AnswersForItsChildren)
        return GoodCall.answers(AnswersForItsChildren() if first else self, model, prompts, params)


@wrong(OTHERS)
class AnswersTheLast(GoodCall):
    """It decodes by the parameters that it was given last."""

    parameters = (*GoodCall.parameters, WIDTH)
    kept: Any = None

    def validate_args(self, **params: Any) -> Any:
        self.kept = super().validate_args(**params)
        return self.kept

    def answers(self, model: Any, prompts: Any, params: Any) -> Any:
        kept = self.kept
        found = super().answers(model, prompts, params)
        return [replace(each, nfe=each.nfe + kept["width"]) for each in found]


@wrong(AGAIN)
class DrawsWhereItIsWide(GoodCall):
    """Its seed decides nothing at a bound of a parameter."""

    parameters = (*GoodCall.parameters, standard("seed"), WIDTH)

    def written(self, model: Any, prompt: Any, mask: Any, values: Any) -> Any:
        ids, nfe = super().written(model, prompt, mask, values)
        seeds = torch.arange(len(ids))[:, None] + (values["seed"] or 0) % 13
        drawn = torch.randint(13, (1,)) if values["width"] == WIDTH.maximum else values["width"]
        answer = (ids[:, prompt.shape[1] :] + seeds + drawn) % 13
        return torch.cat((prompt, answer), dim=1), nfe
