"""Algorithms that are wrong about themselves, and about their parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from llada_core import Parameter, ParameterError, resolve, standard
from llada_runtime import DualCache, NoCache, Quota, Sequence, Threshold
from tests.conformance.wrong.tables import WIDTH, Good, GoodCall, wrong

EFFECT = "each parameter changes something, or is declared neutral"
BOUNDS = "each default, choice and bound is taken"


@wrong("it can run here")
class SaysNo(Good):
    """Its `is_available` returns False."""

    def is_available(self) -> bool:
        return False


@wrong("the registered facts are the object's")
class RenamesItself(Good):
    """It sets another description than its spec's."""

    def _bind(self, info: Any) -> None:
        super()._bind(info)
        self.description = "Another."


@wrong("each name and alias gives a fresh object of it")
class OnlyOne(Good):
    """Its class gives one object for ever."""

    _one: Any = None

    def __new__(cls) -> Any:
        cls._one = cls._one or super().__new__(cls)
        return cls._one


@wrong("it says how to check it")
class SpeechlessOne(GoodCall):
    """Its `conformance_checks` raises."""

    def conformance_checks(self) -> Iterable[Any]:
        raise LookupError("where?")


class Wide(Good):
    """It keeps as many a step as its `width` says."""

    parameters = (*Good.parameters, WIDTH)

    def rule(self, params: Any) -> Any:
        return Quota(params.get("width") or 2)


@wrong("its parameters have values where none is given")
class ForgetsAValue(Wide):
    """Its `validate_args` leaves a parameter out."""

    def validate_args(self, **params: Any) -> Any:
        return {n: v for n, v in super().validate_args(**params).items() if n != "width" or params}


@wrong("each alias stands for its parameter")
class ForgetsAnAlias(Wide):
    """Its `validate_args` passes the alias over."""

    def validate_args(self, **params: Any) -> Any:
        values = super().validate_args(**params)
        return {**values, "width": 3} if "wide" in params else values


@wrong(BOUNDS)
class RefusesItsBound(Wide):
    """It declares a maximum, and refuses it."""

    def validate_args(self, **params: Any) -> Any:
        if params.get("width") == 4:
            raise ParameterError("four is too many", parameter="width", value=4)
        return super().validate_args(**params)


@wrong("what is out of range is refused")
class TakesBeyond(Wide):
    """It cuts what is out of range down to what is in it."""

    def validate_args(self, **params: Any) -> Any:
        if "width" in params:
            params["width"] = min(max(params["width"], 1), 4)
        return super().validate_args(**params)


class Ordered(Good):
    """It has a choice."""

    parameters = (
        *Good.parameters,
        Parameter(name="order", kind=str, default="best", choices=("best", "some")),
    )

    def rule(self, params: Any) -> Any:
        return Threshold(0.6) if params["order"] == "best" else Quota(3)


@wrong("what is out of range is refused")
class TakesAnyChoice(Ordered):
    """It takes what is none of its choices for one of them."""

    def validate_args(self, **params: Any) -> Any:
        if isinstance(params.get("order"), str) and params["order"] != "best":
            params["order"] = "some"
        return super().validate_args(**params)


@wrong("what is out of range is refused")
class TakesAnyKind(Wide):
    """It rounds what is no integer."""

    def validate_args(self, **params: Any) -> Any:
        if isinstance(params.get("width"), float):
            params["width"] = 2
        return super().validate_args(**params)


@wrong("an unknown parameter is refused", "generate refuses what it does not take")
class TakesAnything(Wide):
    """It drops what it does not know."""

    def validate_args(self, **params: Any) -> Any:
        known = {name for each in self.parameters for name in each.names}
        given = {name: value for name, value in params.items() if name in known}
        return resolve(self.parameters, given, algorithm=self.name)


@wrong(EFFECT)
class Idles(Good):
    """It declares a parameter, and never looks at it."""

    parameters = (*Good.parameters, Parameter(name="patience", kind=float, minimum=0, default=0.5))


@wrong(EFFECT)
class IdlesFarOff(Good):
    """It never looks at a parameter whose default is its minimum."""

    parameters = (*Good.parameters, Parameter(name="window", kind=int, minimum=8, default=8))


@wrong("neutral values of a parameter ask for the same")
class PretendsNothing(Wide):
    """It declares values neutral that ask for different things."""

    parameters = (*Good.parameters, Parameter(name="width", kind=int, minimum=1, default=1, neutral=(1, 2)))


@wrong("rule and policy are made of each default, choice and bound")
class LacksARule(Good):
    """It has no rule for one of its choices."""

    parameters = (
        *Good.parameters,
        Parameter(name="order", kind=str, default="best", choices=("best", "some", "none")),
    )

    def rule(self, params: Any) -> Any:
        return {"best": Threshold(0.6), "some": Quota(3)}.get(params.get("order", "best"))


@wrong("its sequence has the filters that it takes", EFFECT)
class ForgetsFilters(Good):
    """It makes its sequences itself, without the filters that it declares."""

    parameters = (*Good.parameters, standard("temperature"), standard("seed"), standard("top_k"))

    def sequence(self, model: Any, prompt_ids: Any, params: Any, **more: Any) -> Any:
        return Sequence(
            prompt_ids,
            model.config,
            gen_length=params["gen_length"],
            block_length=params["block_length"],
            policy=self.policy(params),
            rule=self.rule(params),
            temperature=params["temperature"],
            seed=params["seed"],
            early_stop=params.get("early_stop", True),
            end_ids=self.end_ids(model),
        )


@wrong("a rule or policy that is overridden is what runs")
class MakesItsOwn(Good):
    """Its `sequence` does not ask `policy` and `rule`."""

    def sequence(self, model: Any, prompt_ids: Any, params: Any, **more: Any) -> Any:
        return Sequence(
            prompt_ids,
            model.config,
            gen_length=params["gen_length"],
            block_length=params["block_length"],
            policy=DualCache(),
            rule=Threshold(0.6),
            end_ids=self.end_ids(model),
        )


class Stalling(NoCache):
    """Decides nothing where it is told so."""

    def __init__(self, width: int) -> None:
        self.width = width

    def plan(self, sequence: Any) -> Any:
        plan = super().plan(sequence)
        return plan if self.width else replace(plan, targets=(sequence.length, sequence.length))


@wrong("it comes to an end at each default, choice and bound")
class StallsAtItsBound(Good):
    """At one of its bounds it decides nothing, for ever."""

    parameters = (*Good.parameters, Parameter(name="width", kind=int, minimum=0, maximum=1, default=1))

    def policy(self, params: Any) -> Any:
        return Stalling(params["width"])
