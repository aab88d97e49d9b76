"""Checks of a step algorithm: those of its rule and its policy, and of what its parameters do."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as Ids
from typing import Any

import torch

from llada_core.errors import ContractError
from llada_core.faults import fault_of
from llada_core.testing import NotRun, effect_checks
from llada_core.testing.samples import Setting
from llada_core.testing.subject import Once
from llada_runtime.decoding.loop import Loop
from llada_runtime.decoding.policies import NoCache, Policy
from llada_runtime.decoding.rules import Quota, Rule
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.network.protocol import Network
from llada_runtime.testing.asked_again import ASKED_AGAIN, check_asked_again
from llada_runtime.testing.making import (
    Algorithm,
    Make,
    base_of,
    make,
    makes_of,
    of_its_own_ends,
    settings_of,
)
from llada_runtime.testing.networks import FakeNetwork
from llada_runtime.testing.policies import policy_checks
from llada_runtime.testing.rules import rule_checks
from llada_runtime.testing.varied_networks import NETWORKS, PROMPT

__all__ = ["algorithm_checks"]

PARTS = "rule and policy are made of each default, choice and bound"
FILTERS = "its sequence has the filters that it takes"
ENDS = "it comes to an end at each default, choice and bound"
MIXES = "its rows are the same beside rows of other parameters, rules and policies"
OVERRIDDEN = "a rule or policy that is overridden is what runs"

_MOST_RUNS = 600


def algorithm_checks(algorithm: Algorithm) -> Iterator[tuple[str, Callable[[], object]]]:
    """The checks of the rule and the policy of ``algorithm``, and of its parameters.

    Of one that runs on networks of its own only, and so not on a fake one, the rule is checked on the model
    that it has loaded, and the rest is not run.
    """
    network, reason = FakeNetwork.random(), _unfit_reason(algorithm)
    founded = Once(lambda: _makes_its_parts(algorithm, network if reason is None else None), of=PARTS)
    yield PARTS, founded.check
    makes = makes_of(algorithm)
    if reason is not None:
        yield from _after(founded, _on_its_own(algorithm, makes, reason))
        return
    rule = list(rule_checks(*(functools.partial(_of_width, each, network) for each in makes)))
    policy = list(policy_checks(makes[0]))
    yield from _after(founded, [(FILTERS, lambda: _filters_as_told(algorithm, network)), *rule])
    here = [check for name, check in rule if "device" not in name]  # elsewhere nothing is decoded by it
    both = [*here, *(check for _, check in policy)]
    standing = Once(lambda: [check() for check in (founded.get, *here)], of="what holds of its rule")
    yield from _after(standing, policy)
    decoding = Once(
        lambda: [check() for check in (founded.get, *both)], of="what holds of its rule and policy"
    )
    yield from _after(decoding, _of_rows(algorithm, makes))


def _of_rows(algorithm: Algorithm, makes: Ids[Make]) -> list[tuple[str, Callable[[], object]]]:
    """The checks that decode rows to their end."""
    ending = Once(lambda: _ends_everywhere(algorithm), of=ENDS)
    return [
        (ENDS, ending.check),
        (MIXES, lambda: [check() for check in (ending.get, functools.partial(_mixes, makes))]),
        (ASKED_AGAIN, lambda: check_asked_again([_tried(algorithm), *makes])),
        (OVERRIDDEN, lambda: _honours_its_parts(algorithm)),
        *_effects(algorithm),
    ]


def _unfit_reason(algorithm: Algorithm) -> str | None:
    """Why it does not run on a fake network. One that cannot say so fails where its parts are made."""
    try:
        return algorithm.unfit_reason(FakeNetwork.random())
    except Exception as exc:  # a plugin's method may raise anything
        fault_of(exc)
        return None


def _of_width(make: Make, network: Any, width: int) -> Sequence:
    """A row of one block."""
    return make(network, [1, 2], width, width)


def _on_its_own(
    algorithm: Algorithm, makes: Ids[Make], reason: str
) -> Iterator[tuple[str, Callable[[], object]]]:
    """The checks of one that refuses a fake network for this ``reason``."""

    def loaded(make: Make, width: int) -> Sequence:
        network = algorithm.model
        if network is None or algorithm.unfit_reason(network) is not None:
            raise NotRun("it has loaded no model that it runs on; give one (--model)")
        return _of_width(make, network, width)

    def refuse() -> None:
        raise NotRun(f"it does not run on llada_runtime.testing.FakeNetwork: {reason}")

    yield from rule_checks(*(functools.partial(loaded, each) for each in makes))
    for name in (
        FILTERS,
        *(name for name, _ in policy_checks(makes[0])),
        ENDS,
        MIXES,
        ASKED_AGAIN,
        OVERRIDDEN,
    ):
        yield name, refuse


def _after(gate: Once[Any], checks: Iterable[tuple[str, Callable[[], object]]]) -> Iterator[Any]:
    """``checks`` that are not run where what they rely on does not hold."""
    for name, check in checks:
        yield name, functools.partial(_run_after, gate, check)


def _run_after(gate: Once[Any], check: Callable[[], object]) -> None:
    gate.get()
    check()


def _effects(algorithm: Algorithm) -> Iterator[tuple[str, Callable[[], object]]]:
    declared = [each for each in algorithm.parameters if each.name not in algorithm.chat_options]
    runs = [functools.partial(_run, algorithm, network) for network in NETWORKS]
    return effect_checks(
        declared,
        lambda setting: algorithm.validate_args(**setting),
        runs,
        base_of(algorithm),
        most=_MOST_RUNS,
        beside=algorithm.tried_beside,
        again=functools.partial(runs[0], chance=1),
    )


def _run(algorithm: Algorithm, made: Callable[[], Any], setting: Setting, chance: int = 0) -> tuple[Any, ...]:
    """Canvas, forwards and their columns, of one row; under a seed ``chance`` is nothing to it."""
    network = of_its_own_ends(made())
    # What is drawn without a seed is the same in each run.
    torch.manual_seed(0 if setting.get("seed") is None else chance)
    sequence = algorithm.sequence(network, PROMPT, algorithm.validate_args(**setting))
    _decode(network, sequence)
    return tuple(sequence.canvas), sequence.nfe, tuple(getattr(network, "forwards", ()))


def _decode(network: Network, *sequences: Sequence) -> None:
    """Run ``sequences`` together. Raises what a row ends with."""
    loop = Loop(network, rows=len(sequences))
    for sequence in sequences:
        assert loop.admit(sequence), "a sequence of a few columns found no room; caches must be of its length"
    while loop.active:
        for error in [step.error for step in loop.step() if step.error is not None]:
            raise error


def _makes_its_parts(algorithm: Algorithm, network: FakeNetwork | None) -> None:
    """Of its defaults a row too, where there is a ``network`` that it runs on."""
    for setting in settings_of(algorithm):
        params = algorithm.validate_args(**setting)
        for part, kind in (("policy", Policy), ("rule", Rule)):
            try:
                made = getattr(algorithm, part)(params)
            except Exception as exc:
                raise AssertionError(
                    f"{part} of {setting} raises {exc!r}; make one, or refuse it before"
                ) from exc
            assert isinstance(made, kind), (
                f"{part} of {setting} returns {made!r}; return a {kind.__name__}, for all that "
                "validate_args takes"
            )
    if network is not None:
        algorithm.unfit_reason(network)
        try:
            make(algorithm, {}, network, [1, 2], 4)
        except ContractError as exc:  # it says what to do
            raise AssertionError(str(exc)) from exc


def _ends_everywhere(algorithm: Algorithm) -> None:
    for setting in settings_of(algorithm):
        if setting.get("gen_length", 1) > 64 or (setting.get("block_length") or 1) > 64:
            continue  # long, and not otherwise than short
        for network in NETWORKS[:2]:
            try:
                _run(algorithm, network, setting)
            except Exception as exc:
                raise AssertionError(
                    f"with {setting} it does not come to its end: {exc}; let each forward keep something, "
                    "whatever is given, or refuse it"
                ) from exc


def _mixes(makes: Ids[Make]) -> None:
    """Rows by its defaults and by other parameters, beside rows that keep three a step, and one, without a
    cache."""
    network = FakeNetwork.random()
    own = [make(network, PROMPT, 9) for make in makes]
    others = [
        Sequence([9, 8], network.config, gen_length=10, block_length=5, policy=NoCache(), rule=Quota(count))
        for count in (3, 1)
    ]
    alone = [_alone(make) for make in makes]
    _decode(network, others[0], *own, others[1])
    assert [(row.canvas, row.nfe) for row in own] == alone, (
        "beside rows of other parameters or of another algorithm it decodes otherwise than alone; give the "
        "policy and the rule of a row its parameters, and keep what changes in policy_state and rule_state"
    )


def _tried(algorithm: Algorithm) -> Callable[[Any, Ids[int], int], Sequence]:
    """Makes rows by what it is tried with, whatever their length."""

    def made(network: Any, prompt: Ids[int], gen_length: int) -> Sequence:
        return algorithm.sequence(
            of_its_own_ends(network), prompt, algorithm.validate_args(**base_of(algorithm))
        )

    return made


def _alone(make: Make) -> tuple[list[int], int]:
    network = FakeNetwork.random()
    row = make(network, PROMPT, 9)
    _decode(network, row)
    return row.canvas, row.nfe


class _Counted:
    """How often a part was asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()


def _honours_its_parts(algorithm: Algorithm) -> None:
    """A subclass with a ``policy`` or a ``rule`` of its own, as a user may write it, decodes by that."""
    kind, counted = type(algorithm), _Counted()
    own = {part: _noting(part, getattr(kind, part), counted) for part in ("policy", "rule")}
    made: Any = object.__new__(type(f"Own{kind.__name__}", (kind,), own))
    vars(made).update(vars(algorithm))
    _run(made, FakeNetwork.random, base_of(algorithm))
    missing = sorted({"policy", "rule"} - counted.asked)
    assert not missing, (
        f"a subclass that overrides {' and '.join(missing)} is not asked for it; let sequence make its parts "
        "by self.policy(params) and self.rule(params)"
    )


def _noting(part: str, original: Callable[..., Any], counted: _Counted) -> Callable[..., Any]:
    def asked(self: Any, params: Mapping[str, Any]) -> Any:
        counted.asked.add(part)
        return original(self, params)

    return asked


def _filters_as_told(algorithm: Algorithm, network: FakeNetwork) -> None:
    """What it takes of ``top_p``, ``top_k`` and ``min_p`` must reach a sequence that it makes itself, too."""
    asked: dict[str, Any] = {"gen_length": 4, "temperature": 0.5, "top_p": 0.5, "top_k": 2, "min_p": 0.25}
    given = {
        each.name: asked[each.name]
        for each in algorithm.parameters
        if each.name in asked and each.accepts(asked[each.name])
    }
    params = algorithm.validate_args(**given)
    row = algorithm.sequence(of_its_own_ends(network), [1, 2], params)
    found, wanted = row.filters, algorithm.filters(params)
    assert found == wanted, (
        f"for {given} its sequence has filters={found!r}; make it with filters=self.filters(params), which "
        f"is {wanted!r}"
    )
