"""How sure a drawn token is, at temperatures that no 32-bit number holds."""

from __future__ import annotations

from math import log

import pytest
import torch

from llada_runtime import Filters
from llada_sdar.rules import Odds

FILTERS = [None, Filters(top_k=3, top_p=0.99, min_p=0.01)]


@pytest.mark.parametrize("filters", FILTERS)
@pytest.mark.parametrize("temperature", [5e-324, 1e-300, 1e-45, 1e-39, 1e30, 1e300])
def test_a_probability_is_that_of_the_limit(temperature: float, filters: Filters | None) -> None:
    logits = torch.tensor([[1.0, 3.0, 2.0, -torch.inf]]).expand(3, -1)
    odds = Odds(temperature=temperature, filters=filters)
    first, second = (1.0, 0.0) if temperature < 1 else (1 / 3, 1 / 3)
    assert odds.of(logits, torch.tensor([1, 2, 3])).tolist() == pytest.approx([first, second, 0.0])
    entropy = 0.0 if temperature < 1 else log(3)
    assert odds.entropy(logits).tolist() == pytest.approx([entropy] * 3)
