"""From logits to proposals: tokens, confidences, sampling."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from llada_runtime import LLaDAConfig, NoCache, NumericalError, Sequence, Threshold
from llada_runtime.decoding.confidence import probability
from llada_runtime.decoding.proposals import Proposals, propose
from llada_runtime.testing import MASK

CONFIG = LLaDAConfig(
    d_model=8, n_layers=1, n_heads=1, n_kv_heads=1, mlp_hidden_size=8, embedding_size=32, vocab_size=32,
    max_sequence_length=4096, rope_theta=1e4, rms_norm_eps=1e-5, weight_tying=False, mask_token_id=MASK,
    eos_token_id=29,
)  # fmt: skip


def sequence(width: int = 4, **options: object) -> Sequence:
    return Sequence(
        [1, 2], CONFIG, gen_length=width, block_length=width, policy=NoCache(), rule=Threshold(0.9), **options
    )  # type: ignore[arg-type]


def logits_of(seed: int, rows: int, scale: float = 1.0) -> torch.Tensor:
    return torch.randn(rows, 32, generator=torch.Generator().manual_seed(seed)) * scale


def propose_blocks(logits: torch.Tensor, sequences: list[Sequence]) -> Proposals:
    return propose(logits, sequences, [(s.block_start, s.block_end) for s in sequences])


@pytest.mark.parametrize("scale", [1.0, 10.0, 40.0])
def test_confidence_is_the_float64_softmax_to_float32_accuracy(scale: float) -> None:
    logits = logits_of(0, 100, scale)
    tokens = logits.argmax(-1)
    exact = logits.double().softmax(-1).gather(-1, tokens[:, None])[:, 0]
    torch.testing.assert_close(probability(logits.clone(), tokens), exact, atol=1e-7, rtol=1e-5)


@pytest.mark.usefixtures("two_threads")
def test_a_confidence_has_the_same_bits_in_any_company_on_two_threads() -> None:
    """Also of one column of a vocabulary that several threads share out."""
    draw = torch.Generator().manual_seed(0)
    for count in (2, 3, 8):
        logits = 2 * torch.randn(count, 126464, generator=draw)
        tokens = logits.argmax(-1)
        pairs = zip(logits.split(1), tokens.split(1), strict=True)
        alone = torch.cat([probability(*pair) for pair in pairs])
        assert torch.equal(probability(logits, tokens), alone)


def test_confidences_near_one_keep_their_order() -> None:
    logits = torch.zeros(3, 32)
    logits[:, 5] = torch.tensor([30.0, 28.0, 32.0])
    confidence = probability(logits, torch.tensor([5, 5, 5]))
    assert confidence.float().tolist() == [1.0, 1.0, 1.0]
    assert confidence.argsort(descending=True).tolist() == [2, 0, 1]


def test_the_logits_are_left_as_they_were_but_for_the_mask() -> None:
    logits = logits_of(1, 4)
    before = logits.clone()
    propose_blocks(logits, [sequence()])
    before[:, MASK] = -torch.inf
    assert torch.equal(logits, before)


def test_the_mask_token_is_never_proposed_and_takes_no_probability() -> None:
    logits = logits_of(2, 4)
    without = torch.cat((logits[:, :MASK], logits[:, MASK + 1 :]), -1).double().softmax(-1).max(-1).values
    logits[:, MASK] = 100.0
    proposals = propose_blocks(logits, [sequence()])
    assert (proposals.tokens != MASK).all()
    torch.testing.assert_close(proposals.confidence[0], without, atol=1e-6, rtol=1e-5)


def test_of_equal_logits_the_first_token_is_proposed() -> None:
    logits = torch.zeros(4, 32)
    logits[:, [7, 20]] = 3.0
    assert propose_blocks(logits, [sequence()]).tokens.tolist() == [[7] * 4]


@pytest.mark.parametrize("temperature", [1e20, 1e307, 1.7976931348623157e308])
def test_noise_of_every_temperature_is_finite(temperature: float) -> None:
    logits = logits_of(4, 256)
    drawn = propose_blocks(logits, [sequence(256, temperature=temperature, seed=3)]).tokens
    assert (drawn != MASK).all()
    assert torch.equal(drawn, propose_blocks(logits, [sequence(256, temperature=1e15, seed=3)]).tokens)


def test_nan_is_the_fault_of_its_row_alone() -> None:
    logits = logits_of(3, 12)
    alone = propose_blocks(logits[:4].clone(), [sequence()])
    logits[6, 3] = torch.nan
    proposals = propose_blocks(logits, [sequence() for _ in range(3)])
    assert {row: type(fault) for row, fault in proposals.faults.items()} == {1: NumericalError}
    assert torch.equal(proposals.confidence[:1], alone.confidence)


def test_a_rule_may_rank_by_a_score_of_its_own() -> None:
    class Rarest(Threshold):
        def score(self, sequence: Sequence, logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
            return -2.0 - tokens.double()

    rows = [sequence(3), sequence(3)]
    rows[1].rule = Rarest(0.5)
    proposals = propose_blocks(logits_of(4, 6), rows)
    assert torch.equal(proposals.scores[0], proposals.confidence[0])
    assert torch.equal(proposals.scores[1], -2.0 - proposals.tokens[1].double())


class Scored(Threshold):
    """Ranks by what ``makes`` makes of confidences and tokens."""

    makes: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

    def score(self, sequence: Sequence, logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        return self.makes(probability(logits, tokens), tokens)


_SHARED = torch.zeros(8, dtype=torch.float64)


def test_scores_of_any_kind_are_each_rows_own() -> None:
    """Of other types, widths and orders, in one tensor that is written again for the next row, and wrong."""
    makes = [
        lambda sure, tokens: _SHARED[: len(sure)].copy_(sure - 1),
        lambda sure, tokens: tokens,
        lambda sure, tokens: sure.half(),
        lambda sure, tokens: _SHARED[: len(sure)].copy_(-sure),
        lambda sure, tokens: sure * torch.nan,
        lambda sure, tokens: sure[:-1],
        lambda sure, tokens: sure.to_sparse(),
    ]

    def rows() -> list[Sequence]:
        made = [sequence(3 + at % 3) for at in range(len(makes))]
        for each, kind in zip(made, makes, strict=True):
            each.rule = type("Own", (Scored,), {"makes": staticmethod(kind)})(0.5)
        return [*made, sequence(5, random_order=True, seed=3), sequence(4)]

    together = rows()
    widths = [each.block_end - each.block_start for each in together]
    logits = logits_of(5, sum(widths))
    found = propose_blocks(logits.clone(), together)
    assert {row: str(fault).split(";")[0] for row, fault in found.faults.items()} == {
        4: "Own.score returned NaN",
        5: "Own.score returned a tensor [4] of float64 on cpu",
        6: "Own.score returned a tensor [3] of float64 on cpu",
    }
    for row, (part, alone) in enumerate(zip(logits.split(widths), rows(), strict=True)):
        if row not in found.faults:
            wanted = propose_blocks(part.clone(), [alone]).scores[0]
            assert torch.equal(found.scores[row, : widths[row]], wanted)


def test_blocks_of_different_width_are_padded_and_closed_there() -> None:
    proposals = propose_blocks(logits_of(4, 7), [sequence(4), sequence(3)])
    assert proposals.open.tolist() == [[True] * 4, [True] * 3 + [False]]
    assert proposals.scores[1, 3] == -torch.inf


def test_temperature_draws_from_the_softmax() -> None:
    row = logits_of(5, 1, 2.0)
    drawn = propose_blocks(row.expand(4000, 32).clone(), [sequence(4000, temperature=1.0, seed=1)]).tokens[0]
    row[:, MASK] = -torch.inf
    found = torch.bincount(drawn, minlength=32) / 4000
    assert (found - row[0].softmax(-1)).abs().max() < 0.03


def test_confidence_of_a_drawn_token_is_its_raw_probability() -> None:
    logits = logits_of(6, 8)
    proposals = propose_blocks(logits.clone(), [sequence(8, temperature=3.0, seed=2)])
    logits[:, MASK] = -torch.inf
    exact = logits.double().softmax(-1).gather(-1, proposals.tokens[0][:, None])[:, 0]
    torch.testing.assert_close(proposals.confidence[0], exact, atol=1e-7, rtol=1e-5)


def test_equal_seeds_draw_equally_whatever_the_neighbours() -> None:
    def draw(others: int) -> list[list[int]]:
        rows = [sequence(4, temperature=1.0, seed=n) for n in range(others)]
        mine = sequence(4, temperature=1.0, seed=7)
        logits = logits_of(7, 4)
        found = propose_blocks(torch.cat([logits] * (others + 1)), [*rows, mine])
        return found.tokens[-1].tolist()

    assert draw(0) == draw(3)


def test_no_seed_follows_torchs_own() -> None:
    def draw() -> list[list[int]]:
        torch.manual_seed(3)
        return propose_blocks(logits_of(8, 4), [sequence(temperature=2.0)]).tokens.tolist()

    assert draw() == draw()


def test_random_order_ranks_by_chance_and_reports_the_probability() -> None:
    logits = logits_of(9, 4)
    chance = propose_blocks(logits.clone(), [sequence(random_order=True, seed=1)])
    sure = propose_blocks(logits.clone(), [sequence()])
    assert torch.equal(chance.confidence, sure.confidence)
    assert not torch.equal(chance.scores, sure.scores)
