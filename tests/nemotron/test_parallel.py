"""Our network of the family, split between ranks: norms of heads, biases and causal contexts included."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

import llada_core
from llada_core import UsageError
from llada_nemotron import NemotronModel
from llada_nemotron.network import NemotronNetwork
from tests.nemotron.tiny_models import Variant, write_model
from tests.support.ranks import on_ranks

NETWORK = "llada_nemotron.network:NemotronNetwork"
ASKED: list[dict[str, Any]] = [
    {"gen_length": 24, "block_length": 8},
    {"gen_length": 16, "block_length": 4, "causal_context": True},
    {"gen_length": 16, "block_length": 8, "steps": 4},
]


def answers(model: NemotronModel) -> list[Any]:
    algorithm, source = llada_core.get_algorithm("nemotron_block"), random.Random(3)
    prompts = [[source.randrange(10, 40) for _ in range(source.randint(1, 30))] for _ in range(4)]
    return [algorithm.answers(model, prompts, algorithm.validate_args(**asked)) for asked in ASKED]


@pytest.mark.parametrize(
    ("variant", "changes"), [("gen1", {}), ("labs", {}), ("gen1", {"attention_bias": True})]
)
def test_answers_are_those_of_one_device(tmp_path: Path, variant: Variant, changes: dict[str, Any]) -> None:
    folder = write_model(tmp_path, variant, seed=1, **changes)
    network = NemotronNetwork.from_pretrained(folder, device="cpu")
    expected = answers(NemotronModel(network.config, network=network))
    with on_ranks(folder, target=NETWORK) as (split, _):
        assert answers(NemotronModel(network.config, network=split)) == expected


def test_a_loaded_model_is_split_and_its_processes_end_with_it(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "labs")
    with llada_core.load_model(folder, device="cpu") as lm:
        expected = lm.generate([12, 13, 14], algorithm="nemotron_block", gen_length=16, block_length=8)
    with llada_core.load_model(folder, device="cpu", tensor_parallel=2) as lm:
        found = lm.generate([12, 13, 14], algorithm="nemotron_block", gen_length=16, block_length=8)
        assert (found.token_ids, found.nfe) == (expected.token_ids, expected.nfe)
        network: Any = lm.model.network
        (other,) = network.network._crew._processes
    assert other.poll() == 0


def test_the_models_own_code_is_not_split(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "gen1")
    with pytest.raises(UsageError, match="and trust_remote_code=True loads the model by its own code; leave"):
        llada_core.load_model(folder, device="cpu", tensor_parallel=2, trust_remote_code=True)
