"""Checks of a cache policy: that its plans can be run, change nothing, and come to an end."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Ids
from typing import Any

from llada_core.testing import run_checks
from llada_runtime.decoding.loop import Loop
from llada_runtime.decoding.policies import Policy
from llada_runtime.decoding.rules import Quota
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.testing.networks import FakeNetwork

__all__ = ["check_policy", "policy_checks", "state_of"]

Make = Callable[[FakeNetwork, Ids[int], int], Sequence]
"""A new sequence of ``(network, prompt, gen_length)``, whose policy is the one that is checked."""

_CASES = (([1], 1), ([1, 2, 3], 4), ([7, 7], 9), ([5, 6, 7, 8, 9], 13))  # prompts, and lengths of answers


def check_policy(policy: Policy) -> tuple[str, ...]:
    """What was checked, where ``policy`` is what the loop relies on.

    Raises:
        ConformanceError: something does not hold. All failures are in it.
    """

    def make(network: FakeNetwork, prompt: Ids[int], gen_length: int) -> Sequence:
        return Sequence(
            prompt,
            network.config,
            gen_length=gen_length,
            block_length=4,
            policy=policy,
            rule=Quota(3),
            early_stop=False,
        )

    return run_checks(type(policy).__name__, policy_checks(make))


def policy_checks(make: Make) -> Iterator[tuple[str, Callable[[], object]]]:
    """The checks of the policy of the sequences that ``make`` makes."""
    yield "its policy changes nothing when it plans", lambda: _plans_purely(make)
    yield "its policy plans what can be run, until nothing is masked", lambda: _comes_to_an_end(make)
    yield "its policy serves rows as if each were alone", lambda: _serves_rows_alone(make)


def _decode(
    network: FakeNetwork, *sequences: Sequence, watch: Callable[[Sequence], None] | None = None
) -> None:
    """Run ``sequences`` together; ``watch`` sees each before every step. Raises what a row ends with."""
    loop = Loop(network, rows=len(sequences))
    for sequence in sequences:
        assert loop.admit(sequence), "a sequence of a few columns found no room; caches must be of its length"
    while loop.active:
        for sequence in sequences:
            if watch is not None and not sequence.finished:
                watch(sequence)
        for error in [step.error for step in loop.step() if step.error is not None]:
            raise error


def _plans_purely(make: Make) -> None:
    def watch(sequence: Sequence) -> None:
        before = state_of(sequence)
        first, again = sequence.policy.plan(sequence), sequence.policy.plan(sequence)
        assert first == again, f"asked twice it plans {first}, then {again}; let after change policy_state"
        assert state_of(sequence) == before, "plan changes the sequence; let after do that"

    for prompt, gen_length in _CASES:
        network = FakeNetwork.random()
        _decode(network, make(network, prompt, gen_length), watch=watch)


def state_of(sequence: Sequence) -> tuple[Any, ...]:
    """What may not change where something is only asked: canvas, counters, and what policy and rule keep."""
    numbers = (sequence.nfe, sequence.block, sequence.block_start, sequence.block_end, sequence.cached_block)
    kept = tuple(map(_written, (sequence.policy_state, sequence.rule_state)))
    return (tuple(sequence.canvas), numbers, sequence.finished, kept)


def _written(state: object) -> bytes:
    try:
        return pickle.dumps(state)
    except Exception:  # what cannot be written is not compared
        return b""


def _comes_to_an_end(make: Make) -> None:
    for prompt, gen_length in _CASES:
        network = FakeNetwork.random()
        sequence = make(network, prompt, gen_length)
        _decode(network, sequence)
        answer = sequence.canvas[len(prompt) :]
        short = sequence.longest if len(answer) == sequence.gen_length else 0  # one that finds its length
        assert gen_length in (len(answer), short), (
            f"the answer has {len(answer)} columns, and {gen_length} were asked for"
        )
        assert network.config.mask_token_id not in answer, "a mask is left; stay until the block is full"


def _serves_rows_alone(make: Make) -> None:
    network = FakeNetwork.random()
    rows = [make(network, *case) for case in _CASES]
    _decode(network, *rows)
    for case, row in zip(_CASES, rows, strict=True):
        alone = make(network, *case)
        _decode(network, alone)
        assert (alone.canvas, alone.nfe) == (row.canvas, row.nfe), (
            "a row is decoded differently beside others than alone; keep what changes in policy_state"
        )
