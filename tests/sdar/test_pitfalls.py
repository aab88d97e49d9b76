"""What the published code does wrong, and what is kept of it; and bad input."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch

import llada_core
from llada_core import AlgorithmUnavailable, ParameterError, PromptError
from llada_core.generation.steps import Step
from llada_runtime import Filters, Sequence, Threshold, drain
from llada_runtime.testing import FakeNetwork
from llada_runtime.testing.networks import FakeConfig
from llada_sdar import SDARGeneration
from llada_sdar.rules import BoundedEntropy, Odds, Schedule, Sure
from tests.sdar.golden_data import golden_model
from tests.sdar.tiny_models import write_model
from tests.sdar.tiny_tokenizer import END_OF_TEXT, IM_END, MASK

Model = Any


def decode(model: Model, name: str, prompt: list[int], **params: Any) -> tuple[Sequence, list[Step]]:
    algorithm = llada_core.get_algorithm(name)
    row = algorithm.sequence(model, prompt, algorithm.validate_args(**params))
    steps = list(drain(model, [row], rows=1))
    assert steps[-1].error is None
    return row, steps


@pytest.mark.parametrize("strategy", ["low_confidence_dynamic", "low_confidence_static", "sequential"])
def test_neither_the_prompt_nor_what_stands_is_written_over(strategy: str) -> None:
    """S1: a block with a part of the prompt has fewer masks than a step is to fill."""
    source, model = random.Random(strategy), golden_model("sdar-64")
    for _ in range(20):
        prompt = source.choices(range(300), k=9)
        asked = {"gen_length": 15, "block_length": 8, "denoising_steps": 2, "remasking_strategy": strategy}
        if strategy == "low_confidence_dynamic":
            asked["threshold"] = 1.0
        row, steps = decode(model, "sdar", prompt, **asked, early_stop=False)
        assert row.canvas[:9] == prompt
        # The prompt's block; of 7 masks 4 and 3, then of 8 twice 4; each block once more, full.
        assert [len(step.positions) for step in steps] == [0, 4, 3, 0, 4, 4, 0]


def test_entropies_are_added_up_in_their_order() -> None:
    """S2: as published this strategy fails. Its rule is dLLM-RL's; there is no reference of it."""
    rule = BoundedEntropy(0.35, Odds())
    scores = torch.tensor([[-0.2, -0.1, -0.04, -torch.inf], [-0.9, -0.8, -torch.inf, -torch.inf]])
    kept = rule.choose(torch.tensor([[0.35], [0.35]]), scores.double(), scores > -torch.inf)
    assert kept.tolist() == [[True, True, True, False], [False, True, False, False]]
    kept = rule.choose(torch.tensor([[0.34], [0.0]]), scores.double(), scores > -torch.inf)
    assert kept.tolist() == [[False, True, True, False], [False, True, False, False]]
    sharp, even = torch.tensor([[9.0, -99.0, -99.0]]), torch.zeros(1, 3)
    assert float(Odds().entropy(sharp)) == pytest.approx(0.0, abs=1e-9)
    assert float(Odds().entropy(even)) == pytest.approx(math.log(3))
    assert float(Odds(filters=Filters(top_k=2)).entropy(even)) == pytest.approx(math.log(2))


def test_bounded_entropies_fill_blocks() -> None:
    model = golden_model("sdar-80")
    given = {"gen_length": 24, "block_length": 8, "remasking_strategy": "entropy_bounded"}
    counts = [decode(model, "sdar", [5, 6, 7], **given, eb_threshold=bound)[0].nfe for bound in (0, 0.5, 99)]
    assert counts[0] == 29 + 4  # columns of four blocks but for the prompt's, and each block once more
    assert counts[0] > counts[1] > counts[2] == 2 * 4
    unsaid, said = (
        decode(model, "sdar", [5, 6, 7], **given, **bound)[0] for bound in ({}, {"eb_threshold": 0.35})
    )
    assert (unsaid.canvas, unsaid.nfe) == (said.canvas, said.nfe)


def test_temperature_0_is_greedy_by_the_raw_probabilities() -> None:
    """S4: as published there is no greedy decoding, and temperature 0 divides by zero."""
    model, given = golden_model("sdar-64"), {"gen_length": 24, "block_length": 4, "threshold": 0.7}
    greedy, _ = decode(model, "sdar", [5, 6, 7], **given)
    likeliest, _ = decode(model, "sdar", [5, 6, 7], **given, temperature=1.0, do_sample=False)
    assert (greedy.canvas, greedy.nfe) == (likeliest.canvas, likeliest.nfe)


def test_the_best_alone_is_certain_so_that_a_block_is_filled_at_once() -> None:
    """S4, kept: confidence is that under what tokens are drawn from."""
    model, given = golden_model("sdar-64"), {"gen_length": 12, "block_length": 4, "early_stop": False}
    row, _ = decode(model, "sdar", [5, 6, 7, 8], **given, temperature=1.0, top_k=1, seed=3)
    assert row.nfe == 1 + 3 * 2
    slower, _ = decode(model, "sdar", [5, 6, 7, 8], **given)
    assert slower.nfe > row.nfe
    raw, _ = decode(model, "sdar_lmdeploy", [5, 6, 7, 8], **given, temperature=1.0, top_k=1, seed=3)
    assert raw.nfe > 3 * 2  # LMDeploy's is raw


def test_confidence_is_that_at_the_temperature_and_among_what_may_be_drawn() -> None:
    logits, tokens = torch.tensor([[2.0, 1.0, 0.0, -1.0]]), torch.tensor([1])
    tempered = [math.exp(value / 0.5) for value in (2.0, 1.0)]
    odds = Odds(temperature=0.5, filters=Filters(top_k=2))
    assert float(odds.of(logits, tokens)) == pytest.approx(tempered[1] / sum(tempered))
    assert float(odds.of(logits, torch.tensor([2]))) == 0.0
    assert float(Odds(temperature=1e-300).of(logits, torch.tensor([0]))) == 1.0


def test_a_threshold_that_is_reached_is_passed_by_one_source_and_not_by_the_others() -> None:
    scores = torch.tensor([[0.5, 0.5, 0.25]], dtype=torch.float64)
    open_ = torch.ones(1, 3, dtype=torch.bool)
    assert Sure.choose(torch.tensor([[1.0, 0.5]]).double(), scores, open_).sum() == 1
    assert Threshold.choose(torch.tensor([[0.5]]).double(), scores, open_).sum() == 2
    lmdeploy, sglang = (llada_core.get_algorithm(name) for name in ("sdar_lmdeploy", "sdar_low_confidence"))
    assert type(lmdeploy.rule(lmdeploy.validate_args())) is Threshold  # type: ignore[attr-defined]
    assert sglang.rule(sglang.validate_args()) == Sure(Schedule(1), 0.95)  # type: ignore[attr-defined]


def test_an_end_token_anywhere_ends_the_answer_at_the_end_of_its_block() -> None:
    """S7: the same block ends it; what stands behind the end token is not the answer's."""
    network = FakeNetwork.scripted({c: 29 if c == 9 else 5 for c in range(64)}, 0.99)
    prompt = [1, 2, 3, 4, 6]
    columns = {}
    for name in ("sdar", "sdar_lmdeploy", "sdar_low_confidence"):
        network.forwards.clear()
        row, steps = decode(network, name, prompt, gen_length=20, block_length=4, threshold=0.9)
        assert row.canvas == [*prompt, 5, 5, 5, 5, *[29] * 16]
        assert steps[-1].finished
        columns[name] = [place for (place,) in network.forwards]
    assert columns["sdar"] == [(0, 4), (4, 8), (4, 8), (8, 12), (8, 12)]
    assert columns["sdar_low_confidence"] == [(0, 8), (4, 8), (8, 12), (8, 12)]
    assert columns["sdar_lmdeploy"] == [(0, 8), (4, 8), (8, 12)]  # what nobody reads is not run once more


def test_an_end_token_does_not_end_its_block() -> None:
    sure = {c: 0.99 if c == 4 else 0.5 for c in range(64)}
    network = FakeNetwork.scripted({c: 29 if c == 4 else 5 for c in range(64)}, sure)
    row, steps = decode(network, "sdar_low_confidence", [1, 2, 3, 4], gen_length=8, block_length=4)
    assert (row.nfe, [len(step.positions) for step in steps]) == (5, [1, 1, 1, 1, 0])
    assert row.canvas[4:] == [29] * 8


def test_columns_of_finished_blocks_are_never_computed_again() -> None:
    network = FakeNetwork.random()
    for name in ("sdar", "sdar_lmdeploy", "sdar_low_confidence"):
        network.forwards.clear()
        decode(network, name, [1, 2, 3, 4, 5, 6], gen_length=14, block_length=4, early_stop=False)
        starts = [lo for ((lo, _),) in network.forwards]
        assert starts[0] == 0
        assert sorted(starts) == starts
        assert max(hi - lo for ((lo, hi),) in network.forwards[1:]) == 4
        closing = network.forwards[-1] == network.forwards[-2] == ((16, 20),)
        assert closing


def test_a_remainder_of_the_schedule_is_dropped_as_lmdeploy_does() -> None:
    model = golden_model("sdar-64")
    given = {"gen_length": 8, "block_length": 8, "remasking_strategy": "low_confidence_static"}
    for name, taken in (("sdar", [3, 3, 2, 0]), ("sdar_lmdeploy", [2, 2, 2, 2])):
        _, steps = decode(model, name, [5] * 8, **given, denoising_steps=3, early_stop=False)
        assert [len(step.positions) for step in steps][-4:] == taken


@pytest.mark.parametrize("strategy", ["low_confidence_static", "sequential"])
def test_no_number_of_steps_is_one_a_column(strategy: str) -> None:
    """LMDeploy raises a TypeError there."""
    model = golden_model("sdar-64")
    given = {"gen_length": 8, "block_length": 8, "remasking_strategy": strategy, "early_stop": False}
    for name, forwards in (("sdar", 10), ("sdar_lmdeploy", 8)):
        assert decode(model, name, [5] * 8, **given)[0].nfe == forwards


def test_more_steps_than_columns_make_no_empty_forward() -> None:
    model = golden_model("sdar-64")
    asked = {"remasking_strategy": "low_confidence_static", "denoising_steps": 9, "early_stop": False}
    _, steps = decode(model, "sdar", [5] * 3, gen_length=5, block_length=4, **asked)
    assert [len(step.positions) for step in steps] == [1, 0, 1, 1, 1, 1, 0]


def test_a_block_of_one_column_is_one_token_after_another() -> None:
    """S9: dLLM-RL's copy of the network attends otherwise there."""
    model, prompt = golden_model("sdar-64"), [5, 6, 7]
    row, _ = decode(model, "sdar", prompt, gen_length=6, block_length=1, early_stop=False)
    algorithm = llada_core.get_algorithm("sdar")
    params = algorithm.validate_args(gen_length=6, block_length=1, early_stop=False)
    answer = algorithm.reference_answer(model, prompt, params)
    assert (list(answer.token_ids), answer.nfe) == (row.canvas[3:], row.nfe) == (row.canvas[3:], 1 + 2 * 6)


def test_the_mask_is_never_written_even_where_the_network_likes_it(tmp_path: Path) -> None:
    lm, source = llada_core.load_model(write_model(tmp_path), device="cpu"), random.Random(0)
    for name in lm.algorithms():
        prompts = torch.tensor([source.choices(range(20, 100), k=9) for _ in range(6)])
        output, _ = lm.algorithm(name).generate(lm.model.network, prompts, gen_length=24, early_stop=False)
        assert output.shape == (6, 33)
        assert MASK not in output


def test_the_width_of_a_block_is_what_the_model_was_trained_for(tmp_path: Path) -> None:
    def width(model: Model, **params: Any) -> int:
        algorithm = llada_core.get_algorithm("sdar")
        return int(algorithm.sequence(model, [5], algorithm.validate_args(**params)).block_length)

    assert width(golden_model("sdar-80")) == 8
    assert width(golden_model("sdar-80"), block_length=16) == 16
    assert width(FakeNetwork.random()) == 4


@pytest.mark.parametrize("names", [["gen_length"], ["gen_length", "block_length", "threshold"]])
def test_a_decoder_may_declare_fewer_parameters(names: list[str]) -> None:
    declared = tuple(llada_core.standard(name) for name in names)
    few = type("Few", (SDARGeneration,), {"name": "few", "parameters": declared})()
    output, nfe = few.generate(golden_model("sdar-64"), torch.tensor([[5, 6, 7]]), gen_length=6)
    whole = {"block_length": 32, "threshold": 0.9} if "threshold" in names else {"threshold": None}
    row, _ = decode(golden_model("sdar-64"), "sdar", [5, 6, 7], gen_length=6, **whole)
    assert (output[0].tolist(), nfe) == (row.canvas, row.nfe)


def test_thinking_is_a_matter_of_the_prompt(tmp_path: Path) -> None:
    lm = llada_core.load_model(write_model(tmp_path), device="cpu")
    algorithm = lm.algorithm("sdar")
    plain, without = (
        algorithm.tokenize_prompts("Hi", enable_thinking=value).input_ids.tolist()[0]
        for value in (True, False)
    )
    assert without[: len(plain)] == plain
    assert len(without) > len(plain)
    with pytest.raises(ParameterError, match="enable_thinking=False has no effect: the prompt is token ids"):
        lm.generate([5, 6], enable_thinking=False)


def test_the_end_tokens_of_all_files_end_an_answer(tmp_path: Path) -> None:
    lm = llada_core.load_model(write_model(tmp_path), device="cpu")
    assert lm.model.end_ids == {END_OF_TEXT, IM_END}
    source, reasons = random.Random(1), set()
    for _ in range(12):
        result = lm.generate(source.choices(range(20, 100), k=9), gen_length=40)
        reasons.add(result.finish_reason)
        assert IM_END not in result.token_ids[:-1]
    assert reasons == {"stop", "length"}


@pytest.mark.parametrize(
    ("prompt", "params", "said"),
    [
        ([5, 311], {}, "mask"),
        ([], {}, "empty"),
        ([5, 320], {}, "320"),
        ([5] * 10, {"gen_length": 4090}, "4096"),
    ],
)
def test_a_prompt_that_does_not_fit_is_refused(prompt: list[int], params: dict[str, Any], said: str) -> None:
    algorithm, model = llada_core.get_algorithm("sdar"), golden_model("sdar-64")
    with pytest.raises((PromptError, ParameterError), match=said):
        algorithm.sequence(model, prompt, algorithm.validate_args(**params))


def test_no_blank_is_filled_or_scored_where_the_network_does_not_see_behind_it(tmp_path: Path) -> None:
    with llada_core.load_model(write_model(tmp_path), device="cpu") as lm:
        with pytest.raises(AlgorithmUnavailable, match="cannot fill blanks: its network sees nothing behind"):
            lm.infill("a{{2}}b")
        with pytest.raises(AlgorithmUnavailable, match="cannot score: its network sees nothing behind"):
            lm.score("a{{1}}b", ["c"])
        with pytest.raises(AlgorithmUnavailable, match="cannot tell a likelihood: its network sees nothing"):
            lm.log_likelihood([5], [6])


@pytest.mark.parametrize("name", ["sdar", "sdar_lmdeploy", "sdar_low_confidence"])
def test_a_block_wider_than_the_model_is_refused(name: str) -> None:
    algorithm = llada_core.get_algorithm(name)
    model = FakeNetwork.random(config=FakeConfig(max_sequence_length=512))
    row = algorithm.sequence(model, [5], algorithm.validate_args(gen_length=4, block_length=512))
    assert row.block_length == 512
    with pytest.raises(
        ParameterError, match="block_length=513 is more columns than this model's limit of 512"
    ):
        algorithm.sequence(model, [5], algorithm.validate_args(gen_length=4, block_length=513))
