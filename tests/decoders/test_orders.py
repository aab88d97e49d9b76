"""What positions are ranked by, of all rows at once: each has the bits that it has alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import llada_core
from llada_decoders import orders
from llada_decoders.llada import EndsLast
from llada_decoders.multiblock import LowEntropy, OpenBlocks, Pipeline
from llada_decoders.orders import entropies, margins, of_all, scores_by
from llada_runtime import LLaDAModel, NoCache, Proposed, Sequence, drain
from llada_runtime.testing import FakeConfig, small_llada

WIDTHS = [1, 5, 3, 1, 7]


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4)


def logits(vocabulary: int) -> list[Tensor]:
    packed = torch.randn(sum(WIDTHS), vocabulary, generator=torch.Generator().manual_seed(2))
    packed[:, 4] = -torch.inf
    return [*packed.split(WIDTHS)]


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("measure", [entropies, margins])
@pytest.mark.parametrize("most", [2, 4, 256])
def test_measures_have_the_same_bits_in_any_company_on_two_threads(
    monkeypatch: pytest.MonkeyPatch, measure: Callable[[Tensor], Tensor], most: int
) -> None:
    """Also of one column of a vocabulary that several threads share out, and wherever a part ends."""
    rows = logits(40_000)
    alone = torch.cat([measure(row) for row in rows])
    assert torch.equal(torch.cat([measure(line[None]) for row in rows for line in row]), alone)
    monkeypatch.setattr(orders, "_ROWS", most)
    assert torch.equal(of_all(measure, rows), alone)


def test_an_entropy_is_that_of_the_distribution() -> None:
    rows = logits(32)
    exact = torch.special.entr(torch.cat(rows).double().softmax(-1)).sum(-1)
    torch.testing.assert_close(of_all(entropies, rows).double(), exact, atol=1e-5, rtol=1e-5)


def test_each_row_is_ranked_by_its_own_order() -> None:
    rows = logits(32)
    found = scores_by(["margin", "entropy", "confidence", "margin", "entropy"], rows)
    wanted = [margins(rows[0]), -entropies(rows[1]), None, margins(rows[3]), -entropies(rows[4])]
    for own, expected in zip(found, wanted, strict=True):
        assert (own is None) == (expected is None)
        assert own is None or expected is None or torch.equal(own, expected)


SETTINGS: dict[str, list[dict[str, Any]]] = {
    "llada": [{"order": "margin"}, {"order": "entropy", "steps": 6}, {}, {"order": "margin", "steps": 4}],
    "llada with ends last": [{"confidence_eos_eot_inf": True, "steps": steps} for steps in (3, 6, 12)],
    "eb_sampler": [
        {"gamma": 1.0, "order": "margin"},
        {"gamma": 3.0, "order": "confidence"},
        {"gamma": 2.0, "order": "margin", "tokens_per_step": 2},
        {"gamma": 2.0},
        {"gamma": 4.0, "block_length": 5},
    ],
    "multiblock": [
        {"threshold": 1.5},
        {"threshold": 3.0, "eos_early_stop": True, "early_stop": True},
        {"threshold": 3.2, "eos_early_stop": True, "early_stop": True, "block_add_threshold": 0.1},
        {"threshold": 2.8, "block_length": 5},
    ],
    "daedal": [
        {"initial_gen_length": 4, "expansion_factor": 3, "eos_check_tokens": 2, "high_conf_threshold": 0.2},
        {"initial_gen_length": 8, "expansion_factor": 2, "low_conf_threshold": 0.7},
    ],
}


@pytest.mark.parametrize("name", SETTINGS)
def test_rows_of_one_rule_class_are_those_that_are_alone(
    model: LLaDAModel, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    algorithm = llada_core.get_algorithm(name.partition(" ")[0])

    def rows() -> list[Sequence]:
        given = [
            {"gen_length": 12, "block_length": 4, "early_stop": False, **each} for each in SETTINGS[name]
        ]
        settings = [algorithm.validate_args(**each) for each in [*given, *given[::-1]]]
        return [algorithm.sequence(model, [1, 2, at][: 1 + at % 3], each) for at, each in enumerate(settings)]

    together, apart = rows(), rows()
    with monkeypatch.context() as patched:
        patched.setattr(orders, "_ROWS", 5)
        assert not [step.error for step in drain(model, together, rows=len(together)) if step.error]
    for row in apart:
        assert not [step.error for step in drain(model, [row], rows=1) if step.error]
    assert [(row.canvas, row.nfe) for row in together] == [(row.canvas, row.nfe) for row in apart]


def test_stale_columns_are_each_rows_own() -> None:
    """What ``multiblock`` fills in any case where an answer was ended: of several rows as of one."""

    def rows() -> list[Sequence]:
        made = []
        for at in range(4):
            policy, rule = OpenBlocks(0.5), LowEntropy(1.0 + at)
            row = Sequence(
                [1] * (at + 1), FakeConfig(), gen_length=6, block_length=3, policy=policy, rule=rule
            )
            stale = range(at + 1 + at, at + 6) if at != 2 else ()
            row.policy_state = Pipeline(opened=2, end=at + 3, stale=tuple(stale))
            made.append(row)
        return made

    def asked(row: Sequence, logits: Tensor) -> Proposed:
        tokens = logits.argmax(-1)
        return Proposed(rule=row.rule, sequence=row, logits=logits, tokens=tokens, confidence=tokens.double())

    logits = 3 * torch.randn(4, 6, 32, generator=torch.Generator().manual_seed(4))
    together, apart = rows(), rows()
    LowEntropy.score_all([asked(*pair) for pair in zip(together, logits, strict=True)])
    for row, own in zip(apart, logits, strict=True):
        LowEntropy.score_all([asked(row, own)])
    found = [row.rule_state for row in together]
    assert found == [row.rule_state for row in apart]
    assert len({(each.best, each.first) for each in found}) > 1


def test_what_is_left_without_end_tokens_is_each_rows_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever a part ends, and whichever tokens end the rows."""
    logits = 3 * torch.randn(4, 4, 32, generator=torch.Generator().manual_seed(6))
    rows = []
    for at, own in enumerate(logits):
        rule = EndsLast(2, eot_id=at % 2 or None)
        row = Sequence([1], FakeConfig(), gen_length=4, block_length=4, policy=NoCache(), rule=rule)
        tokens = own.argmax(-1)
        rows.append(Proposed(rule=rule, sequence=row, logits=own, tokens=tokens, confidence=tokens.double()))
    alone = [EndsLast.score_all([row])[0] for row in rows]
    monkeypatch.setattr(orders, "_ROWS", 3)
    for found, wanted in zip(EndsLast.score_all(rows), alone, strict=True):
        assert found is not None
        assert wanted is not None
        assert torch.equal(found, wanted)
