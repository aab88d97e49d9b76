"""Checks of a step algorithm: those of its rule and its policy, and of what its parameters do."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Sequence as Ids
from typing import Any, Protocol

import torch

from llada_core.checkpoints.ends import TOKENIZER, EndToken
from llada_core.parameters import Parameter
from llada_core.testing import NotRun, effect_checks
from llada_core.testing.samples import Setting, bounds_of, setting_with
from llada_core.testing.subject import Once
from llada_runtime.decoding.filters import Filters
from llada_runtime.decoding.loop import Loop
from llada_runtime.decoding.policies import NoCache, Policy
from llada_runtime.decoding.rules import Quota, Rule
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.models.llada import LLaDAModel
from llada_runtime.network.protocol import Network
from llada_runtime.testing.checkpoints import small_llada
from llada_runtime.testing.networks import FakeNetwork
from llada_runtime.testing.policies import policy_checks
from llada_runtime.testing.rules import rule_checks

__all__ = ["algorithm_checks"]

FILTERS = "its sequence has the filters that it takes"
ENDS = "it comes to an end at each default, choice and bound"
MIXES = "its rows are the same beside rows of another rule and policy"
OVERRIDDEN = "a rule or policy that is overridden is what runs"

_BASE: Setting = {"gen_length": 11, "block_length": 4, "seed": 3}
_PROMPT = [5, 6, 7]
_MOST_RUNS = 600


class Algorithm(Protocol):
    """What is asked of a `StepAlgorithm` here."""

    model: Any

    @property
    def parameters(self) -> tuple[Parameter, ...]: ...
    @property
    def chat_options(self) -> tuple[str, ...]: ...
    def filters(self, params: Mapping[str, Any]) -> Filters | None: ...
    def policy(self, params: Mapping[str, Any]) -> Any: ...
    def rule(self, params: Mapping[str, Any]) -> Any: ...
    def unfit_reason(self, model: Any) -> str | None: ...
    def validate_args(self, **params: Any) -> dict[str, object]: ...
    def sequence(self, model: Any, prompt_ids: Ids[int], params: Mapping[str, Any]) -> Any: ...


def algorithm_checks(algorithm: Algorithm) -> Iterator[tuple[str, Callable[[], object]]]:
    """The checks of the rule and the policy of ``algorithm``, and of its parameters.

    Of one that runs on networks of its own only, and so not on a fake one, the rule is checked on the model
    that it has loaded, and the rest is not run.
    """
    yield "rule and policy are made of each default, choice and bound", lambda: _makes_its_parts(algorithm)
    make, network = functools.partial(_make, algorithm), FakeNetwork.random()
    reason = algorithm.unfit_reason(network)
    if reason is not None:
        yield from _on_its_own(algorithm, reason)
        return
    rule = list(rule_checks(lambda width: make(network, [1, 2], width, width)))
    policy = list(policy_checks(make))
    yield FILTERS, lambda: _filters_as_told(algorithm, network)
    yield from rule
    here = [check for name, check in rule if "device" not in name]  # elsewhere nothing is decoded by it
    both = [*here, *(check for _, check in policy)]
    yield from _after(Once(lambda: [check() for check in here], of="what holds of its rule"), policy)
    decoding = Once(lambda: [check() for check in both], of="what holds of its rule and policy")
    yield from _after(
        decoding,
        [
            (ENDS, lambda: _ends_everywhere(algorithm)),
            (MIXES, lambda: _mixes(make)),
            (OVERRIDDEN, lambda: _honours_its_parts(algorithm)),
            *_effects(algorithm),
        ],
    )


def _make(
    algorithm: Algorithm, network: Any, prompt: Ids[int], gen_length: int, block_length: int = 4
) -> Sequence:
    """A row of ``algorithm``, by as much of this as it takes."""
    asked = {"gen_length": gen_length, "block_length": block_length, "early_stop": False, "seed": 3}
    taken = asked.keys() & algorithm.validate_args().keys()
    made = algorithm.sequence(
        _of_its_own_ends(network), prompt, algorithm.validate_args(**{name: asked[name] for name in taken})
    )
    assert isinstance(made, Sequence), f"sequence returns a {type(made).__name__}; return a Sequence"
    return made


def _of_its_own_ends(network: Any) -> Any:
    """``network``, whose answers end by its config alone: a tokenizer that ``algorithm`` has loaded is of
    another model, and names ids that are none here."""
    if getattr(network, "end_tokens", None) is None:
        ends = network.config.eos_ids
        network.end_tokens = tuple(EndToken(id=end, text=None, sources=(TOKENIZER,)) for end in ends)
    return network


def _on_its_own(algorithm: Algorithm, reason: str) -> Iterator[tuple[str, Callable[[], object]]]:
    """The checks of one that refuses a fake network for this ``reason``."""

    def make(width: int) -> Sequence:
        network = algorithm.model
        if network is None or algorithm.unfit_reason(network) is not None:
            raise NotRun("it has loaded no model that it runs on; give one (--model)")
        return _make(algorithm, network, [1, 2], width, width)

    def refuse() -> None:
        raise NotRun(f"it does not run on llada_runtime.testing.FakeNetwork: {reason}")

    yield from rule_checks(make)
    for name in (
        FILTERS,
        *(name for name, _ in policy_checks(functools.partial(_make, algorithm))),
        ENDS,
        MIXES,
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
    runs = [functools.partial(_run, algorithm, make) for make in _NETWORKS]
    return effect_checks(
        declared, lambda setting: algorithm.validate_args(**setting), runs, _base(algorithm), most=_MOST_RUNS
    )


def _base(algorithm: Algorithm) -> Setting:
    names = {each.name for each in algorithm.parameters}
    return {name: value for name, value in _BASE.items() if name in names}


def _steady() -> FakeNetwork:
    """Logits that change little from forward to forward: some columns are sure from the beginning, some never
    are, and one answer of them has an end."""
    network = FakeNetwork.random(7)
    config = network.config
    source = torch.Generator().manual_seed(7)
    liked = torch.randn(config.max_sequence_length, config.vocab_size, generator=source)
    liked *= torch.linspace(0.5, 5, 5).repeat(52)[: config.max_sequence_length, None]
    liked[8, config.eos_token_id] = 30.0

    def propose(canvas: torch.Tensor, lo: int, hi: int) -> torch.Tensor:
        standing = (canvas != config.mask_token_id).float().mean()
        return (liked[: len(canvas)] * (1 + standing))[lo:hi]

    return FakeNetwork(propose)


@functools.cache
def _transformer() -> LLaDAModel:
    """A real network, for what is fed to it as embeddings."""
    return small_llada()


_NETWORKS: tuple[Callable[[], Any], ...] = (
    FakeNetwork.random,
    _transformer,
    _steady,
    functools.partial(FakeNetwork.random, 3, scale=100.0),  # so sure that it fills a block at once
    functools.partial(FakeNetwork.random, 1, scale=1.5),
    functools.partial(FakeNetwork.random, 2, scale=6.0),
)
"""Networks of varied confidence: what changes nothing on all of them does nothing."""


def _run(algorithm: Algorithm, make: Callable[[], Any], setting: Setting) -> tuple[Any, ...]:
    """Canvas, forwards and their columns, of one row."""
    network = _of_its_own_ends(make())
    torch.manual_seed(0)  # what is drawn without a seed is the same in each run
    sequence = algorithm.sequence(network, _PROMPT, algorithm.validate_args(**setting))
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


def _settings(algorithm: Algorithm) -> Iterator[Setting]:
    """A setting for each default, choice and bound of each parameter, by which ``validate_args`` takes it."""
    declared, base = algorithm.parameters, _base(algorithm)
    for parameter in declared:
        for value in bounds_of(parameter):
            taken = setting_with(
                lambda given: algorithm.validate_args(**given), declared, base, parameter, value
            )
            if taken is not None:
                yield taken


def _makes_its_parts(algorithm: Algorithm) -> None:
    for setting in _settings(algorithm):
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


def _ends_everywhere(algorithm: Algorithm) -> None:
    for setting in _settings(algorithm):
        if setting.get("gen_length", 1) > 64 or (setting.get("block_length") or 1) > 64:
            continue  # long, and not otherwise than short
        for make in _NETWORKS[:2]:
            try:
                _run(algorithm, make, setting)
            except Exception as exc:
                raise AssertionError(
                    f"with {setting} it does not come to its end: {exc}; let each forward keep something, "
                    "whatever is given, or refuse it"
                ) from exc


def _mixes(make: Callable[..., Sequence]) -> None:
    """Beside rows that keep three a step, and one, without a cache."""
    network = FakeNetwork.random()
    alone, own, others = make(network, _PROMPT, 9), make(network, _PROMPT, 9), []
    for count in (3, 1):
        others.append(
            Sequence(
                [9, 8],
                network.config,
                gen_length=10,
                block_length=5,
                policy=NoCache(),
                rule=Quota(count),
            )
        )
    _decode(network, alone)
    _decode(network, others[0], own, others[1])
    assert (own.canvas, own.nfe) == (alone.canvas, alone.nfe), (
        "beside rows of another algorithm it decodes otherwise than alone; keep what changes in policy_state "
        "and rule_state"
    )


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
    _run(made, FakeNetwork.random, _base(algorithm))
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
    row = algorithm.sequence(_of_its_own_ends(network), [1, 2], params)
    found, wanted = row.filters, algorithm.filters(params)
    assert found == wanted, (
        f"for {given} its sequence has filters={found!r}; make it with filters=self.filters(params), which "
        f"is {wanted!r}"
    )
