"""Whether parameters do something: each is given values, beside values of the others, until two of them lead
to different runs. This module does not know what a run is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

from llada_core.faults import fault_of
from llada_core.parameters import Parameter
from llada_core.testing.checks import Check, NotRun
from llada_core.testing.samples import (
    Beside,
    Setting,
    bounds_of,
    is_taken,
    setting_with,
    settings,
    values_of,
)

__all__ = ["AGAIN", "EFFECT", "Run", "effect_checks"]

EFFECT = "each parameter changes something, or is declared neutral"
AGAIN = "it answers the same again at each default, choice and bound"
_LONG = 64  # columns; what is longer is not decoded otherwise
_VALUES = 6
_BESIDE = 3

Run = Callable[[Setting], Hashable]
"""What decoding with these parameters comes to: tokens, forwards, columns. Of the same parameters it is the
same. Raises what decoding raises."""


def effect_checks(
    parameters: Sequence[Parameter],
    takes: Callable[[Setting], object],
    runs: Sequence[Run],
    base: Setting,
    *,
    most: int,
    beside: Beside = lambda name: {},
    untold: Callable[[str], str | None] = lambda name: None,
    again: Run | None = None,
) -> Iterator[Check]:
    """The checks of what ``parameters`` do.

    Args:
        takes: raises ``ParameterError`` for a setting that is refused.
        runs: ways of running a setting, as on several networks.
        base: what is given all the time.
        most: runs that are spent on one parameter.
        beside: what is given besides, where the parameter of a name is tried.
        untold: why these runs cannot tell whether the parameter of this name does something, though none of
            them changed with it; None where they can.
        again: the first of ``runs`` once more, as on another day; None is the same run.
    """
    search = _Search(parameters, takes, runs, base, most, beside, untold)
    yield EFFECT, lambda: _all_act(search)
    yield "neutral values of a parameter ask for the same", lambda: _neutral_ones_agree(search)
    yield AGAIN, lambda: _repeats(search, runs[0] if again is None else again)


class _Search:
    """Runs of settings, each made once."""

    def __init__(
        self,
        parameters: Sequence[Parameter],
        takes: Callable[[Setting], object],
        runs: Sequence[Run],
        base: Setting,
        most: int,
        beside: Beside,
        untold: Callable[[str], str | None],
    ) -> None:
        self.parameters, self.most, self.untold = parameters, most, untold
        self._base, self._beside = base, beside
        self.check, self._runs = takes, runs
        self._known: dict[Hashable, Hashable] = {}

    @property
    def ways(self) -> range:
        return range(len(self._runs))

    def base_for(self, parameter: Parameter) -> Setting:
        """What is given all the time where this parameter is tried."""
        return {**self._base, **self._beside(parameter.name)}

    def besides(self, parameter: Parameter) -> list[Setting]:
        """What else is given: nothing, or one other parameter at one of its likeliest values."""
        return list(settings(self.parameters, self.base_for(parameter), parameter, most=_BESIDE))

    def takes(self, setting: Setting) -> bool:
        """Whether the setting is accepted."""
        return is_taken(self.check, setting)

    def outcome(self, way: int, setting: Setting) -> Hashable | None:
        """What the run comes to; None where the setting is refused, or fails: that, other checks tell."""
        key = (way, *sorted((name, type(value).__name__, value) for name, value in setting.items()))
        if key not in self._known:
            self._known[key] = self._run(way, setting)
        return self._known[key]

    def _run(self, way: int, setting: Setting) -> Hashable | None:
        if not self.takes(setting):
            return None
        try:
            return self._runs[way](setting)
        except BaseException as exc:  # an algorithm may raise anything
            fault_of(exc)
            return None


def _all_act(search: _Search) -> None:
    acts = {each.name: _acts(search, each) for each in search.parameters if not _is_neutral(each)}
    untold = {name: search.untold(name) for name, found in acts.items() if found is False}
    inert = [each for each in search.parameters if acts.get(each.name) is False and not untold[each.name]]
    told = [f"{each.name} (tried {', '.join(map(repr, values_of(each)[:_VALUES]))})" for each in inert]
    assert not inert, (
        f"nothing changes with {', '.join(told)}, whatever is given besides; use it, leave it out of the "
        "parameters, or list in its neutral all values that it takes"
    )
    reasons = [
        f"of {name} no two values could be run; test it yourself" for name in acts if acts[name] is None
    ]
    reasons += [reason for reason in untold.values() if reason]
    if reasons:
        raise NotRun("; ".join(reasons))


def _is_neutral(parameter: Parameter) -> bool:
    """Whether it is documented to ask for nothing, whatever its value."""
    return all(map(parameter.is_neutral, values_of(parameter)))


def _acts(search: _Search, parameter: Parameter) -> bool | None:
    """Whether two of its values lead to different runs; None where two of them could be run nowhere."""
    values, judged, spent = values_of(parameter)[:_VALUES], False, 0
    alone, *beside = search.besides(parameter)
    places = itertools.chain(((way, alone) for way in search.ways), itertools.product(search.ways, beside))
    for way, setting in places:
        taken = [value for value in values if search.takes({**setting, parameter.name: value})]
        found: list[Hashable] = []
        for value in () if all(map(parameter.is_neutral, taken)) else taken:
            outcome, spent = search.outcome(way, {**setting, parameter.name: value}), spent + 1
            found += [] if outcome is None else [outcome]
            if len(set(found)) > 1:
                return True
        judged = judged or len(found) > 1
        if spent >= search.most:
            break
    return False if judged else None


def _repeats(search: _Search, again: Run) -> None:
    for parameter in search.parameters:
        for value in bounds_of(parameter):
            base = search.base_for(parameter)
            setting = setting_with(search.check, search.parameters, base, parameter, value)
            if setting is None or _is_long(setting) or setting.get("seed", 0) is None:
                continue
            first = search.outcome(0, setting)
            assert first is None or again(setting) == first, (
                f"with {setting} it answers otherwise the second time; draw from the row's generator, "
                "which its seed decides, and keep what changes during a request in its row"
            )


def _is_long(setting: Setting) -> bool:
    return any((setting.get(name) or 0) > _LONG for name in ("gen_length", "block_length"))


def _neutral_ones_agree(search: _Search) -> None:
    for parameter in search.parameters:
        values = [value for value in dict.fromkeys(parameter.neutral) if parameter.accepts(value)]
        for beside in search.besides(parameter)[: search.most // 20] if len(values) > 1 else ():
            _agree(search, parameter, values, beside)


def _agree(search: _Search, parameter: Parameter, values: list[Any], beside: Setting) -> None:
    known = [
        (value, outcome)
        for value in values
        if (outcome := search.outcome(0, {**beside, parameter.name: value})) is not None
    ]
    for value, outcome in known:
        first, wanted = known[0]
        assert outcome == wanted, (
            f"{parameter.name} is declared neutral at {first!r} and at {value!r}, and beside {beside} they "
            "lead to different answers; let both do nothing, or declare one"
        )
