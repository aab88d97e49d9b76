"""How probable candidates are in a blank, where logits are of their own column and where of the next."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from llada_core.generation.odds import Look
from llada_runtime.scoring import log_probabilities, token_odds
from llada_runtime.testing import MASK, small_llada

CANVAS = [5, 6, MASK, MASK, MASK, 7]
CANDIDATES = [[1, 2, 3], [9, 8, 5]]


@pytest.fixture(scope="module")
def model():
    return small_llada()


def told_by(model, canvas: list[int], rows: list[int], candidates: list[list[int]]) -> torch.Tensor:
    """Log probabilities ``[candidates, blank]`` of the tokens, the n-th by row ``rows[n]`` of the logits."""
    logits = model(torch.tensor([canvas]))[0].clone()
    logits[:, MASK] = -torch.inf
    sure = logits.log_softmax(-1)[rows]  # [blank, V]
    return torch.stack([sure[range(len(rows)), ids] for ids in candidates])


def agrees(found: list[list[float]], wanted: torch.Tensor) -> bool:
    return bool(torch.allclose(torch.tensor(found), wanted, atol=1e-5))


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_a_token_is_told_of_by_the_logits_so_many_columns_before(model, shift: int) -> None:
    found = log_probabilities(model, CANVAS, (2, 5), CANDIDATES, shift=shift)
    rows = [column - shift for column in range(2, 5)]
    assert agrees(found, told_by(model, CANVAS, rows, CANDIDATES))
    assert not agrees(found, told_by(model, CANVAS, [row + 1 for row in rows], CANDIDATES))


@pytest.mark.parametrize(("width", "rows"), [(1, [0]), (2, [0, 0]), (4, [0, 0, 1, 2])])
def test_a_column_without_one_before_it_is_told_of_by_the_first(model, width: int, rows: list[int]) -> None:
    canvas, candidates = [MASK] * width + [5, 6], [list(range(1, width + 1))]
    found = log_probabilities(model, canvas, (0, width), candidates, shift=1)
    assert agrees(found, told_by(model, canvas, rows, candidates))


@pytest.mark.parametrize("shift", [0, 1])
def test_odds_are_told_of_the_masks_that_are_asked_of_and_of_each_canvas_as_alone(model, shift: int) -> None:
    looks = [
        Look(canvas=(5, MASK, 6, MASK, 7), columns=(1, 3), tokens=(4, 9)),
        Look(canvas=(MASK, MASK, 8), columns=(0, 1), tokens=(3, 3)),
        Look(canvas=(5, 6, MASK), columns=(2,), tokens=(1,)),
    ]
    found = token_odds(model, looks, likeliest=3, shift=shift)
    assert found == [token_odds(model, [look], likeliest=3, shift=shift)[0] for look in looks]
    for look, told in zip(looks, found, strict=True):
        logits = model(torch.tensor([look.canvas]))[0].clone()
        logits[:, MASK] = -torch.inf
        sure = logits.log_softmax(-1)[[max(column - shift, 0) for column in look.columns]]
        for row, token, odds in zip(sure, look.tokens, told, strict=True):
            assert odds.log_probability == pytest.approx(float(row[token]), abs=1e-5)
            assert [each for each, _ in odds.likeliest] == row.topk(3).indices.tolist()
            assert [log for _, log in odds.likeliest] == pytest.approx(row.topk(3).values.tolist(), abs=1e-5)
    ((told,),) = token_odds(model, [looks[2]], likeliest=10_000, shift=shift)
    assert len(told.likeliest) == model.config.embedding_size - 1
    assert MASK not in {each for each, _ in told.likeliest}


def test_logits_are_computed_of_what_is_asked_of_alone(model, monkeypatch: pytest.MonkeyPatch) -> None:
    canvas, computed, logits = (5, MASK, MASK, 6, MASK), [], model.logits

    def counted(layout: Any, cache: Any) -> torch.Tensor:
        computed.append(logits(layout, cache))
        return computed[-1]

    monkeypatch.setattr(model, "logits", counted)
    ((first, *_),) = token_odds(model, [Look(canvas=canvas, columns=(1, 2, 4), tokens=(4, 9, 3))])
    ((alone,),) = token_odds(model, [Look(canvas=canvas, columns=(1,), tokens=(4,))])
    assert alone.log_probability == pytest.approx(first.log_probability, abs=1e-5)
    assert [len(rows) for rows in computed] == [4, 1]


def test_what_all_looks_tell_comes_from_the_device_together(model, monkeypatch: pytest.MonkeyPatch) -> None:
    copied, plain = [], torch.Tensor.tolist
    looks = [Look(canvas=(5, MASK, MASK, 6), columns=(1, 2), tokens=(4, 9))] * 5
    with monkeypatch.context() as patch:
        patch.setattr(torch.Tensor, "tolist", lambda each: copied.append(each.shape) or plain(each))
        token_odds(model, looks, likeliest=3)
    assert copied == [(10, 4), (10, 3)]


@pytest.mark.parametrize(
    "said", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("not enough memory")]
)
def test_a_forward_without_memory_is_told_by_an_error_that_holds_none(
    model, said: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> torch.Tensor:
        raise said

    monkeypatch.setattr(model, "logits", full)
    with pytest.raises(MemoryError, match="memory") as told:
        token_odds(model, [Look(canvas=(5, MASK), columns=(1,), tokens=(4,))])
    assert told.value.__context__ is None
