"""``klass`` scores all of its rows at once: each is scored as if it were alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

import llada_core
from llada_core import ContractError
from llada_decoders import divergence as divergences
from llada_decoders import orders
from llada_decoders.divergence import divergence
from llada_decoders.klass import LooksAhead, Stable
from llada_runtime import LLaDAModel, Loop, Network, NoCache, Plan, Proposed, Sequence, drain, probability
from llada_runtime.reference import follow
from llada_runtime.testing import FakeConfig, FakeNetwork, small_llada

STABLE = Stable(steps=2, conf_threshold=0.03, kl_threshold=0.5, history=2, strategy="all")
RULES = [
    STABLE,
    replace(STABLE, strategy="max_conf", history=1),
    replace(STABLE, strategy="min_kl", kl_threshold=2.0),
    replace(STABLE, strategy="random", history=3, kl_threshold=50.0),
    replace(STABLE, conf_threshold=0.0, kl_threshold=1.0, history=1),
    replace(STABLE, strategy="random", history=1, conf_threshold=0.0, kl_threshold=50.0),
    replace(STABLE, strategy="min_kl", history=1, steps=1),
]
WIDTHS = [4, 7, 1, 3, 2, 9, 1]


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4)


def rows(config: Any = None) -> list[Sequence]:
    """One of each rule, with blocks of different widths."""
    made = [(rule, width) for rule, width in zip(RULES, WIDTHS, strict=True)]
    return [
        Sequence(
            [1, 2][: 1 + at % 2],
            config or FakeConfig(),
            gen_length=12,
            block_length=width,
            policy=LooksAhead(NoCache()),
            rule=rule,
            early_stop=False,
            seed=at,
        )
        for at, (rule, width) in enumerate(made)
    ]


def proposed(sequence: Sequence, logits: Tensor) -> Proposed:
    tokens = logits.argmax(-1)
    sure = probability(logits, tokens)
    return Proposed(rule=sequence.rule, sequence=sequence, logits=logits, tokens=tokens, confidence=sure)


def errors(network: FakeNetwork, rows: list[Sequence]) -> list[Exception]:
    return [step.error for step in drain(network, rows, rows=len(rows)) if step.error]


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("most", [3, 256])
def test_scores_have_the_same_bits_in_any_company_on_two_threads(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Also of one column of a vocabulary that several threads share out, and wherever its part ends."""
    source = torch.Generator().manual_seed(3)
    together, alone = rows(), rows()
    packed = torch.randn(sum(WIDTHS), 33_000, generator=source)
    ready = 0
    for _ in range(4):
        packed = packed + 0.1 * torch.randn(packed.shape, generator=source)
        parts = packed.split(WIDTHS)
        apart = [Stable.score_all([proposed(*pair)])[0] for pair in zip(alone, parts, strict=True)]
        with monkeypatch.context() as patched:
            patched.setattr(orders, "_ROWS", most)
            found = Stable.score_all([proposed(*pair) for pair in zip(together, parts, strict=True)])
        for own, wanted in zip(found, apart, strict=True):
            assert own is not None
            assert wanted is not None
            assert torch.equal(own, wanted)
            ready += int((own > 0).any())
        for row in (*together, *alone):
            row.nfe += 1
    assert 5 < ready < 4 * len(WIDTHS)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("most", [1, 3, 256])
def test_divergences_have_the_same_bits_in_any_company_on_two_threads(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Of all, of some, and of none of a row's columns it is known what was there before."""
    source = torch.Generator().manual_seed(4)
    now = torch.randn(sum(WIDTHS), 40_000, generator=source)
    rows = now.split(WIDTHS)
    known = [torch.randn(width, 40_000, generator=source) for width in (4, 3, 1, 0, 1, 9, 0)]
    alone = torch.cat(
        [divergence(row, [before], [len(row)]) for row, before in zip(rows, known, strict=True)]
    )
    exact = torch.cat([exactly(row, before) for row, before in zip(rows, known, strict=True)])
    torch.testing.assert_close(alone, exact)
    monkeypatch.setattr(orders, "_ROWS", most)
    assert torch.equal(divergence(now, known, WIDTHS), alone)
    sizes = [sum(width for _, width in part) for part in divergences._parts(known, WIDTHS)]
    assert max(sizes) <= most
    assert sum(sizes) == sum(WIDTHS)


def exactly(now: Tensor, before: Tensor) -> Tensor:
    """KL(now, before) as published, ``[L]``."""
    p, q = now.double().softmax(-1), torch.zeros(now.shape, dtype=torch.float64)
    q[: len(before)] = before.double().softmax(-1)
    return (p * ((p + 1e-12).log() - (q + 1e-12).log())).sum(-1)


def test_a_threshold_is_to_be_exceeded_and_a_divergence_below_its_own() -> None:
    rule = replace(STABLE, conf_threshold=0.5, history=1, kl_threshold=50.0)
    sequence = Sequence(
        [1], FakeConfig(), gen_length=2, block_length=2, policy=LooksAhead(NoCache()), rule=rule
    )
    logits, sure = torch.zeros(2, 8), torch.tensor([0.5, 0.6], dtype=torch.float64)
    asked = replace(proposed(sequence, logits), confidence=sure)
    (found,) = Stable.score_all([asked])
    assert found is not None
    assert found.tolist() == [-0.5, 0.6]


def test_rows_of_all_parameters_are_those_that_are_alone(model: LLaDAModel) -> None:
    together, steps = rows(model.config), 0
    loop = Loop(model, rows=len(together))
    assert all(map(loop.admit, together))
    told: dict[Sequence, list[Any]] = {row: [] for row in together}
    while loop.active:
        steps += 1
        for step in loop.step():
            assert step.error is None
            told[step.ticket.row].append((step.positions, step.tokens, step.confidence))
    apart = rows(model.config)
    for row, alone in zip(together, apart, strict=True):
        found = [(step.positions, step.tokens, step.confidence) for step in drain(model, [alone], rows=1)]
        assert told[row] == found
    assert [(row.canvas, row.nfe) for row in together] == [follow(model, row) for row in rows(model.config)]
    assert len({row.nfe for row in together}) > 3


class Wider(NoCache):
    """Its targets are not those of the block, from the second forward on."""

    def plan(self, sequence: Sequence) -> Plan:
        end = sequence.length if sequence.nfe else sequence.block_end
        return Plan(lo=0, hi=sequence.length, targets=(sequence.block_start, end))


def test_what_is_wrong_with_one_row_is_known_before_any_is_remembered() -> None:
    """So that all others, which are asked again, compare with the forward before."""

    def row(policy: NoCache) -> Sequence:
        rule = replace(STABLE, conf_threshold=0.0, kl_threshold=0.01, history=1, steps=6)
        return Sequence([1], FakeConfig(), gen_length=12, block_length=6, policy=policy, rule=rule)

    network = FakeNetwork.random()
    wrong, sound, alone = row(Wider()), row(NoCache()), row(NoCache())
    assert [type(error) for error in errors(network, [sound, wrong])] == [ContractError]
    assert not errors(network, [alone])
    assert (sound.canvas, sound.nfe) == (alone.canvas, alone.nfe)
    assert alone.nfe > 6


def test_chance_is_drawn_once_enough_has_been_seen() -> None:
    """Of a row that nothing can be ready in, no number is taken."""
    sequence = rows()[3]
    before = sequence.generator(torch.device("cpu")).get_state()
    logits = torch.randn(3, 40, generator=torch.Generator().manual_seed(3))
    for drawn in (False, False, True):
        Stable.score_all([proposed(sequence, logits)])
        after = sequence.generator(torch.device("cpu")).get_state()
        assert torch.equal(after, before) != drawn
        sequence.nfe += 1
    sequence.block += 1  # of which nothing has been seen
    Stable.score_all([proposed(sequence, logits)])
    assert torch.equal(sequence.generator(torch.device("cpu")).get_state(), after)


@pytest.mark.parametrize("strategy", ["all", "random"])
def test_a_seed_that_no_generator_takes_is_the_fault_of_its_row(strategy: Any) -> None:
    """Before others have drawn: they are asked again."""
    network, rule = FakeNetwork.scripted(tokens=4, confidence=0.95), replace(RULES[5], history=2)

    def row(seed: int, rule: Stable = rule) -> Sequence:
        policy = LooksAhead(NoCache())
        return Sequence([1], FakeConfig(), gen_length=8, block_length=4, policy=policy, rule=rule, seed=seed)

    wrong, sound, alone = row(2**70, replace(rule, strategy=strategy)), row(3), row(3)
    steps = list(drain(network, [sound, wrong], rows=2))
    assert len([step for step in steps if step.error]) == (strategy == "random")
    found = [step.positions for step in steps if step.ticket.row is sound]
    assert found == [step.positions for step in drain(network, [alone], rows=1)]


class Ends(NoCache):
    """Ends the first block elsewhere, once a forward has seen it."""

    def __init__(self, column: int) -> None:
        self.column = column

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        if sequence.nfe == 1:
            sequence.end_block(self.column)


@pytest.mark.parametrize(
    ("column", "filled"), [(3, [(0,), (1, 2), (3,)]), (7, [(0,), (1, 2, 3), (4, 5, 6), (7,)])]
)
def test_of_a_block_that_ends_elsewhere_its_columns_are_compared(
    column: int, filled: list[tuple[int, ...]]
) -> None:
    """The network never changes its mind; of columns that join the block nothing is known."""
    rule = replace(STABLE, conf_threshold=0.9, history=1, steps=8)
    network = FakeNetwork.scripted(tokens=4, confidence=0.95)
    policy = Ends(1 + column)
    row = Sequence(
        [1], FakeConfig(), gen_length=8, block_length=4, policy=policy, rule=rule, early_stop=False
    )
    steps = list(drain(network, [row], rows=1))
    assert [step.positions for step in steps][: len(filled)] == filled


def test_rows_of_one_call_share_what_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, real = list[int](), Stable.score_all

    def score_all(rows: list[Proposed]) -> list[Tensor | None]:
        asked.append(len(rows))
        return real(rows)

    monkeypatch.setattr(Stable, "score_all", staticmethod(score_all))
    algorithm = llada_core.get_algorithm("klass")
    params = algorithm.validate_args(gen_length=8, block_length=4, early_stop=False)
    network = FakeNetwork.random()
    made = [algorithm.sequence(network, [5, at], params) for at in range(1, 5)]
    assert not errors(network, made)
    assert asked[0] == 4
    assert len(asked) == max(row.nfe for row in made)
