"""``nemotron_block``: the family's block decoding by our own code, held to the models' own code."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel

import llada_core
from llada_core import AlgorithmUnavailable, GenerationRequest, ModelLoadError, ParameterError
from llada_nemotron import NemotronModel
from llada_nemotron.block import BlockGeneration
from llada_runtime.network.graphs import Graphed
from llada_runtime.testing import check_network
from tests.nemotron.tiny_models import EOS, MASK, VOCABULARY, Variant, write_model
from tests.support.graphing import FakeGraphs

pytestmark = pytest.mark.alone

CASES, QUICK = 60, 20
SEEDS = range(3)  # of the weights

Load = Callable[..., llada_core.LoadedModel]


@pytest.fixture(scope="module")
def natives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[tuple[str, int], Any]]:
    """The models' own code, by variant and seed of the weights."""
    loaded = {}
    for variant in ("gen1", "labs"):
        for seed in SEEDS:
            folder = write_model(tmp_path_factory.mktemp(f"{variant}{seed}"), variant, seed=seed)
            loaded[variant, seed] = AutoModel.from_pretrained(
                folder, trust_remote_code=True, dtype=torch.float32, dlm_paradigm="bidirectional"
            ).eval()
    return loaded


@pytest.fixture(scope="module")
def ours(natives: Mapping[tuple[str, int], Any]) -> Mapping[tuple[str, int], llada_core.LoadedModel]:
    """The same models, loaded without running any of their code."""
    return {key: llada_core.load_model(model.name_or_path, device="cpu") for key, model in natives.items()}


def prompt(source: random.Random, longest: int = 40) -> list[int]:
    ids = [token for token in range(VOCABULARY) if token not in (MASK, EOS)]
    return source.choices(ids, k=source.randint(1, longest))


def case(variant: Variant, number: int) -> tuple[int, list[int], dict[str, Any], dict[str, Any]]:
    """Seed of the weights, prompt, and one setting in our words and in the model's."""
    source = random.Random(f"{variant} {number}")
    block = source.choice([1, 2, 4, 8, 16])
    blocks = source.randint(1, 40 // block)
    length = block * blocks
    threshold = source.choice([None, 0.0, 0.3, 0.6, 0.9, 1.0])
    stops = source.random() < 0.7
    ours: dict[str, Any] = {
        "gen_length": length, "block_length": block, "threshold": threshold, "early_stop": stops,
    }  # fmt: skip
    theirs: dict[str, Any] = {"max_new_tokens": length, "block_length": block, "threshold": threshold}
    if variant == "gen1":
        ours["early_stop"] = False  # that code knows no end
        theirs["steps"] = length if threshold is not None else blocks * source.randint(1, block)
        if threshold is None:
            ours["steps"] = theirs["steps"]
    else:
        ours["causal_context"] = theirs["causal_context"] = source.random() < 0.6
        theirs["eos_token_id"] = EOS if stops else -1
    return source.choice(SEEDS), prompt(source), ours, theirs


def by_its_own_code(model: Any, ids: list[int], **settings: Any) -> tuple[list[int], int]:
    if hasattr(model, "ar_generate"):
        model.switch_diffusion(True)
    with torch.inference_mode():
        output, nfe = model.generate(torch.tensor([ids]), **settings)
    answer: list[int] = output[0, len(ids) :].tolist()
    return answer, int(nfe)


def by_our_code(lm: llada_core.LoadedModel, ids: list[int], **settings: Any) -> tuple[list[int], int]:
    """All that is written, with what stands behind an end token."""
    algorithm = lm.algorithm("nemotron_block")
    output, nfe = algorithm.generate(algorithm.model, torch.tensor([ids]), **settings)
    written: list[int] = output[0, len(ids) :].tolist()
    return written, nfe


def until_eos(answer: list[int]) -> list[int]:
    return answer[: answer.index(EOS) + 1] if EOS in answer else answer


@pytest.mark.parametrize(
    "number", [*range(QUICK), *(pytest.param(more, marks=pytest.mark.slow) for more in range(QUICK, CASES))]
)
@pytest.mark.parametrize("variant", ["gen1", "labs"])
def test_tokens_and_forwards_are_those_of_the_models_own_code(
    natives: Mapping[Any, Any],
    ours: Mapping[Any, llada_core.LoadedModel],
    variant: Variant,
    number: int,
) -> None:
    seed, ids, settings, native_settings = case(variant, number)
    answer, nfe = by_its_own_code(natives[variant, seed], ids, **native_settings)
    written, our_nfe = by_our_code(ours[variant, seed], ids, **settings)
    if settings["early_stop"]:
        assert until_eos(written) == until_eos(answer)
        assert nfe - 1 <= our_nfe <= nfe  # a block that begins with an EOS needs no forward of its own
    else:
        assert (written, our_nfe) == (answer, nfe)


@pytest.mark.slow
def test_the_cases_are_worth_comparing(natives: Mapping[Any, Any]) -> None:
    """Among them are answers that end early, blocks filled in several ways, and both kinds of context."""
    ended = several = 0
    for number in range(CASES):
        seed, ids, settings, native_settings = case("labs", number)
        answer, nfe = by_its_own_code(natives["labs", seed], ids, **native_settings)
        ended += settings["early_stop"] and EOS in answer
        blocks = settings["gen_length"] // settings["block_length"]
        several += 2 * blocks < nfe < settings["gen_length"]
    assert ended >= 5
    assert several >= 5


def results(lm: llada_core.LoadedModel, prompts: list[list[int]], **settings: Any) -> list[tuple[Any, int]]:
    return [
        (result.token_ids, result.nfe)
        for result in lm.generate(prompts, algorithm="nemotron_block", **settings)
    ]


@pytest.mark.parametrize("variant", ["gen1", "labs"])
def test_a_ragged_batch_is_its_rows_alone(ours: Mapping[Any, Any], variant: Variant) -> None:
    lm, source = ours[variant, 0], random.Random(variant)
    requests = [
        GenerationRequest(
            prompt=prompt(source),
            algorithm="nemotron_block",
            parameters={
                "gen_length": source.randint(1, 40),
                "block_length": source.choice([3, 8, 16]),
                "threshold": source.choice([None, 0.3, 0.9]),
                "causal_context": source.choice([None, True, False]),
                "temperature": source.choice([0.0, 0.0, 0.8]),
                "seed": source.randint(0, 99),
            },
        )
        for _ in range(24)
    ]
    together = lm.generate_batch(requests)
    alone = [lm.generate_batch([request])[0] for request in requests]
    assert [(r.token_ids, r.nfe, r.finish_reason) for r in together] == [
        (r.token_ids, r.nfe, r.finish_reason) for r in alone
    ]


@pytest.mark.parametrize("variant", ["gen1", "labs"])
@pytest.mark.parametrize("gen_length", [1, 5, 13, 16])
def test_lengths_that_do_not_divide_are_cut_from_whole_blocks(
    ours: Mapping[Any, Any], variant: Variant, gen_length: int
) -> None:
    lm = ours[variant, 1]
    settings = {"block_length": 8, "threshold": 0.5, "early_stop": False}
    cut, nfe = by_our_code(lm, [5, 6, 7], gen_length=gen_length, **settings)
    whole, whole_nfe = by_our_code(lm, [5, 6, 7], gen_length=-(-gen_length // 8) * 8, **settings)
    assert cut == whole[:gen_length]
    assert nfe <= whole_nfe


@pytest.mark.parametrize("variant", ["gen1", "labs"])
def test_filters_hold_for_the_seed_of_a_block_too(ours: Mapping[Any, Any], variant: Variant) -> None:
    lm, short = ours[variant, 1], {"gen_length": 24, "block_length": 8, "early_stop": False}
    hot = {**short, "temperature": 2.0, "seed": 3}
    greedy = by_our_code(lm, [5, 6, 7], **short)
    for narrowest in ({"top_k": 1}, {"top_p": 1e-9}, {"min_p": 1.0}):
        assert by_our_code(lm, [5, 6, 7], **hot, **narrowest) == greedy
    filtered = by_our_code(lm, [5, 6, 7], **hot, top_k=3)
    assert filtered == by_our_code(lm, [5, 6, 7], **hot, top_k=3)
    assert len({str(each) for each in (greedy, filtered, by_our_code(lm, [5, 6, 7], **hot))}) == 3


def test_it_streams_what_it_commits(ours: Mapping[Any, Any]) -> None:
    lm = ours["labs", 0]
    steps = list(
        lm.stream([5, 6, 7], algorithm="nemotron_block", max_tokens=20, block_length=8, early_stop=False)
    )
    result = steps[-1].result
    assert result is not None
    assert [step.nfe for step in steps] == list(range(1, result.nfe + 1))
    assert sorted(p for step in steps for p in step.positions) == list(range(20))
    assert steps[0].positions == (0,)  # the seed, which the prompt's own forward proposes
    assert None not in steps[-1].ticket.canvas
    assert lm.algorithm("nemotron_block").info.streams


def test_closing_the_stream_stops_the_work(ours: Mapping[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    lm = ours["labs", 0]
    network, calls = lm.model.network.network, []
    forward = network.logits
    monkeypatch.setattr(network, "logits", lambda *args: calls.append(1) or forward(*args))
    steps = lm.stream([5, 6, 7], algorithm="nemotron_block", max_tokens=32, block_length=8)
    next(steps)
    steps.close()
    assert len(calls) == 1


def test_the_context_is_read_as_the_model_was_trained(ours: Mapping[Any, Any]) -> None:
    for variant, causal in (("gen1", False), ("labs", True)):
        lm = ours[variant, 0]
        settings = {"gen_length": 16, "block_length": 8, "early_stop": False}
        default = by_our_code(lm, [5, 6, 7, 8], **settings)
        assert default == by_our_code(lm, [5, 6, 7, 8], causal_context=causal, **settings)
        assert default != by_our_code(lm, [5, 6, 7, 8], causal_context=not causal, **settings)


def test_one_token_a_block_in_a_causal_context_is_autoregressive(
    natives: Mapping[Any, Any], ours: Mapping[Any, Any]
) -> None:
    with torch.inference_mode():
        output, nfe = natives["labs", 1].ar_generate(
            torch.tensor([[5, 6, 7]]), max_new_tokens=12, eos_token_id=-1
        )
    settings = {"gen_length": 12, "block_length": 1, "early_stop": False}
    assert by_our_code(ours["labs", 1], [5, 6, 7], **settings) == (output[0, 3:].tolist(), nfe)


def test_the_mask_is_never_written_even_where_the_network_likes_it(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "labs", predict_mask=True)
    lm = llada_core.load_model(folder, device="cpu")
    source = random.Random(0)
    for _ in range(10):
        written, _ = by_our_code(lm, prompt(source), gen_length=24, early_stop=False)
        assert len(written) == 24
        assert MASK not in written


def test_it_runs_beside_the_models_own_code_on_one_loaded_model(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "labs")
    lm = llada_core.load_model(folder, device="cpu", trust_remote_code=True)
    settings = {"gen_length": 16, "block_length": 8, "threshold": 0.6}
    both = [lm.generate([5, 6, 7, 9], algorithm=name, **settings) for name in ("nemotron", "nemotron_block")]
    assert both[0].token_ids == both[1].token_ids
    assert both[0].finish_reason == both[1].finish_reason


def test_thinking_is_a_matter_of_the_prompt(ours: Mapping[Any, Any]) -> None:
    algorithm = ours["labs", 0].algorithm("nemotron_block")
    plain, thinking = (
        algorithm.tokenize_prompts("Hi", enable_thinking=value).input_ids for value in (False, True)
    )
    assert plain.tolist() != thinking.tolist()


def test_thinking_has_no_effect_on_ids(ours: Mapping[Any, Any]) -> None:
    with pytest.raises(
        ParameterError, match="enable_thinking=True has no effect: the prompt is token ids; give"
    ):
        by_our_code(ours["labs", 0], [5, 6, 7], enable_thinking=True)


def test_a_model_without_trust_runs_by_our_code_alone(ours: Mapping[Any, Any]) -> None:
    lm = ours["labs", 0]
    with pytest.raises(AlgorithmUnavailable, match=r"trust_remote_code=True .* or use nemotron_block"):
        lm.generate([5, 6, 7], algorithm="nemotron")
    reasons = lm.algorithms()
    assert reasons["nemotron_block"] is None
    assert all(reasons[name] for name in ("nemotron", "nemotron_ar", "nemotron_linear_spec"))


def test_our_network_may_be_quantised_and_the_models_own_code_not(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "labs")
    lm = llada_core.load_model(folder, device="cpu", quantization="int8")
    assert lm.model.network.quantization == "int8"
    assert len(lm.generate([3, 4], algorithm="nemotron_block", gen_length=4, early_stop=False).token_ids) == 4
    with pytest.raises(ModelLoadError, match=r"quantization 'int8' is for our own network, .*; leave one of"):
        llada_core.load_model(folder, device="cpu", quantization="int8", trust_remote_code=True)


def test_an_architecture_of_its_own_is_refused_with_the_way_out(tmp_path: Path) -> None:
    folder = write_model(tmp_path, "labs", architectures=["NemotronLabsDiffusionVLMModel"])
    with pytest.raises(ModelLoadError, match=r"our own network runs .*; with trust_remote_code=True"):
        llada_core.load_model(folder, device="cpu")
    lm = llada_core.load_model(folder, device="cpu", trust_remote_code=True)
    with pytest.raises(AlgorithmUnavailable, match=r"our own network runs .*; use nemotron, which"):
        lm.generate([5, 6], algorithm="nemotron_block")
    assert lm.generate([5, 6], max_tokens=8, block_length=8).token_ids


def test_another_model_than_the_engine_loads_is_refused(natives: Mapping[Any, Any]) -> None:
    algorithm = llada_core.get_algorithm("nemotron_block")
    with pytest.raises(
        AlgorithmUnavailable, match="not on a NemotronLabsDiffusionModel; load the model with"
    ):
        algorithm.generate(natives["labs", 0], torch.tensor([[5, 6]]))


@pytest.mark.gpu
@pytest.mark.parametrize("variant", ["gen1", "labs"])
def test_on_a_gpu_a_ragged_batch_is_its_rows_alone(ours: Mapping[Any, Any], variant: Variant) -> None:
    folder = ours[variant, 0].model.path
    lm = llada_core.load_model(folder, device="cuda", dtype="float32")
    source = random.Random(variant)
    prompts = [prompt(source) for _ in range(8)]
    settings = {"gen_length": 32, "block_length": 8, "threshold": 0.6}
    assert results(lm, prompts, **settings) == [results(lm, [each], **settings)[0] for each in prompts]


def test_a_model_handle_has_the_interface_of_a_network(tmp_path: Path) -> None:
    model = NemotronModel.from_pretrained(write_model(tmp_path, "gen1"), device="cpu")
    assert len(check_network(model)) == 6
    assert model.caches
    assert (model.device.type, model.dtype) == ("cpu", torch.float32)


@pytest.mark.parametrize("names", [["gen_length"], ["gen_length", "steps"], ["gen_length", "threshold"]])
def test_a_decoder_may_declare_fewer_parameters(
    ours: Mapping[tuple[str, int], llada_core.LoadedModel], names: list[str]
) -> None:
    lm = ours["labs", 0]
    declared = tuple(llada_core.standard(name) for name in names)
    undo = llada_core.register_algorithm(
        type("Few", (BlockGeneration,), {"name": "few", "engine": lm.engine.name, "parameters": declared})
    )
    try:
        assert lm.generate([1, 2], algorithm="few", max_tokens=4).nfe
    finally:
        undo()


def test_no_blank_is_filled_or_scored_where_the_network_does_not_see_behind_it(tmp_path: Path) -> None:
    with llada_core.load_model(write_model(tmp_path, "gen1"), device="cpu") as lm:
        with pytest.raises(AlgorithmUnavailable, match="cannot fill blanks: its network sees nothing behind"):
            lm.infill("a{{2}}b", algorithm="nemotron_block")
        with pytest.raises(AlgorithmUnavailable, match="cannot score: its network sees nothing behind"):
            lm.score("a{{1}}b", ["c"], algorithm="nemotron_block")


@pytest.mark.parametrize("variant", ["gen1", "labs"])
@pytest.mark.parametrize("causal", [False, True])
def test_it_decodes_as_its_reference_does(
    ours: Mapping[tuple[str, int], llada_core.LoadedModel], variant: str, causal: bool
) -> None:
    """Strides, shifted logits, and what ends before the canvas: all that a plan can ask for."""
    lm, ids = ours[variant, 0], prompt(random.Random(variant))
    algorithm = lm.algorithm("nemotron_block")
    given = {"gen_length": 20, "block_length": 8, "causal_context": causal, "threshold": 0.6}
    with lm.session(rows=1) as session:
        request = GenerationRequest(prompt=ids, algorithm="nemotron_block", parameters=given)
        ticket = session.submit(request)
        for step in session:
            assert step.error is None
    answer = algorithm.reference_answer(lm.model.network, ids, algorithm.validate_args(**given))
    assert (answer.token_ids, answer.nfe) == (ticket.canvas, ticket.nfe)


def test_it_tells_what_becomes_of_its_graphs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_model(tmp_path, "gen1")
    asked = {"gen_length": 8, "block_length": 4, "threshold": 1.0}
    for record in (FakeGraphs(), FakeGraphs(NotImplementedError("none here"))):
        captured = partial(Graphed, record=record, after=1)
        monkeypatch.setattr("llada_nemotron.model.graphed", captured)
        with llada_core.load_model(folder, device="cpu") as lm, warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            lm.generate([3, 4, 5], algorithm="nemotron_block", **asked)
            network = lm.model.network
            assert (network.replays > 0) is (record.failure is None)
            assert (network.capture_problem is None) is (record.failure is None)
