"""The same on a GPU: its generators are a row's own too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import llada_core
from tests.diffusiongemma.published import cut
from tests.diffusiongemma.test_generate import case
from tests.diffusiongemma.tiny_tokenizer import EOS, TURN_END

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def on_gpu(request: pytest.FixtureRequest, folder: Path) -> Any:
    return llada_core.load_model(folder, device="cuda", dtype=request.param)


@pytest.mark.parametrize("number", range(6))
def test_an_answer_is_that_of_one_call_of_the_class(number: int, on_gpu: Any) -> None:
    ids, params = case(number)
    values = on_gpu.algorithm("diffusion_gemma").validate_args(**params)
    reference = on_gpu.algorithm("diffusion_gemma").reference_answer(on_gpu.model.network, ids, values)
    found = on_gpu.generate(ids, **params)
    assert found.token_ids == cut(reference.token_ids, params["gen_length"])
    assert found.nfe == reference.nfe


def test_a_seed_is_that_of_torch(on_gpu: Any) -> None:
    network = on_gpu.model.network
    torch.manual_seed(5)
    told = network.generate(torch.tensor([[5, 6]], device="cuda"), max_new_tokens=16, eos_token_id=None)
    found = on_gpu.generate([5, 6], gen_length=16, seed=5, early_stop=False)
    assert found.token_ids == cut(told.sequences[0, 2:].tolist(), 16)
    assert {EOS, TURN_END} == {end.id for end in on_gpu.model.end_tokens}


def test_rows_in_company_are_the_rows_alone_and_the_generators_are_put_back(on_gpu: Any) -> None:
    before = torch.cuda.get_rng_state(), torch.get_rng_state()
    prompts = [[5, 6, 7], [9], list(range(10, 31))]
    together = on_gpu.generate(prompts, gen_length=20, seed=4)
    for row, ids in enumerate(prompts):
        alone = on_gpu.generate(ids, gen_length=20, seed=4 + row)
        assert (together[row].token_ids, together[row].nfe) == (alone.token_ids, alone.nfe)
    assert torch.equal(before[0], torch.cuda.get_rng_state())
    assert torch.equal(before[1], torch.get_rng_state())
