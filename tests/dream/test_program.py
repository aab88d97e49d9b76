"""What users do with a Dream model: generate, stream, chat, fill blanks, score, cancel."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import llada_core
from llada_core import GenerationRequest, LoadedModel, ParameterError, PromptError
from tests.dream.dream_data import ALGORITHMS
from tests.dream.tiny import IM_END, MASK, write_model
from tests.support.program import Llada

pytestmark = pytest.mark.alone

each_algorithm = pytest.mark.parametrize("name", ALGORITHMS)
SHORT = {"max_tokens": 16}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("dream"))


@pytest.fixture(scope="module")
def lm(folder: Path) -> Iterator[LoadedModel]:
    with llada_core.load_model(folder, device="cpu") as model:
        yield model


def steps_of(name: str) -> dict[str, int]:
    return {"steps": 16, "seed": 3} if name == "dream" else {}


def test_the_model_ends_answers_at_all_that_it_declares(lm: LoadedModel) -> None:
    assert {end.text for end in lm.model.end_tokens} == {"<|endoftext|>", "<|im_end|>"}
    assert IM_END in lm.model.end_ids


@each_algorithm
def test_settled_text_of_a_stream_never_changes(lm: LoadedModel, name: str) -> None:
    whole = lm.generate("What is 1 + 2?", algorithm=name, **SHORT, **steps_of(name))
    canvas: dict[int, int] = {}
    settled: list[int] = []
    for step in lm.stream("What is 1 + 2?", algorithm=name, **SHORT, **steps_of(name)):
        canvas |= dict(zip(step.positions, step.tokens, strict=True))
        assert [canvas.get(place) for place in range(len(settled))] == settled
        known = [canvas[place] for place in range(step.settled) if place in canvas]
        settled = known if len(known) == step.settled else settled
        last = step
    assert last.finished
    assert last.nfe == whole.nfe
    assert tuple(settled[: len(whole.token_ids)]) == whole.token_ids


@each_algorithm
def test_a_cancelled_row_leaves_and_its_neighbour_goes_on(lm: LoadedModel, name: str) -> None:
    given = {"gen_length": 16, **steps_of(name)}
    request = GenerationRequest(prompt="Hello", algorithm=name, parameters=given)
    alone = lm.generate("Hello", algorithm=name, **given)
    with lm.session(rows=4) as session:
        doomed, kept = session.submit(request), session.submit(request)
        session.step()
        session.cancel(doomed)
        for _ in session:
            pass
    assert doomed.result is not None
    assert doomed.result.finish_reason == "cancelled"
    assert kept.result is not None
    assert (kept.result.token_ids, kept.result.nfe) == (alone.token_ids, alone.nfe)


def logits_of(lm: LoadedModel, canvas: list[int]) -> torch.Tensor:
    """Log probabilities ``[T, V]`` of one forward; the mask has none."""
    from llada_runtime.network.layout import Layout, Span

    network = lm.model.network
    span = Span(ids=canvas, lo=0, hi=len(canvas), length=len(canvas), head_lo=0, head_hi=len(canvas))
    logits = network.logits(Layout.of([span], device=network.device, merge=False), None).clone().float()
    logits[:, MASK] = -torch.inf
    return logits.log_softmax(-1)


@pytest.mark.parametrize("template", ["It is {{2}}, so.", "{{2}} it is"])
def test_candidates_are_scored_by_the_logits_one_column_before(lm: LoadedModel, template: str) -> None:
    before, _, behind = template.partition("{{2}}")
    encode = lm.model.tokenizer.encode
    start = encode(before) if before else [lm.model.tokenizer.bos_token_id]
    canvas = [*start, MASK, MASK, *encode(behind)]
    told = logits_of(lm, canvas)
    for score in lm.score(template, ["ab", "no"]):
        a, b = score.token_ids
        wanted = float(told[len(start) - 1, a] + told[len(start), b])
        assert score.log_probability == pytest.approx(wanted, abs=1e-4)
        assert score.log_probability != pytest.approx(float(told[len(start), a] + told[len(start) + 1, b]))


@each_algorithm
def test_blanks_are_filled_between_text_that_stands(lm: LoadedModel, name: str) -> None:
    result = lm.infill("Name: {{5}}, age {{3}}.", algorithm=name, **steps_of(name))
    name_of, age = result.blanks
    assert result.text == f"Name: {name_of}, age {age}."
    assert MASK not in result.token_ids


@each_algorithm
def test_one_blank_is_filled_by_the_likeliest_candidate(lm: LoadedModel, name: str) -> None:
    """What a decoder writes into a blank of one token is what scores tell it to: the same logits decide."""
    steps = {"steps": 1} if name == "dream" else {}
    filled = lm.infill("It is {{1}} now.", algorithm=name, **steps).blanks
    start = lm.model.tokenizer.encode("It is ")
    told = logits_of(lm, [*start, MASK, *lm.model.tokenizer.encode(" now.")])
    assert filled == (lm.model.tokenizer.decode([int(told[len(start) - 1].argmax())]),)


def test_a_prompt_that_holds_the_mask_or_is_too_long_is_refused(lm: LoadedModel) -> None:
    with pytest.raises(PromptError, match="mask"):
        lm.generate([5, MASK, 6], gen_length=4)
    with pytest.raises(ParameterError, match="exceeds the 4096 tokens that the model takes"):
        lm.generate([5] * 4090, gen_length=16)
    with pytest.raises(PromptError, match="empty"):
        lm.generate([], gen_length=4)


@each_algorithm
def test_the_program_generates(folder: Path, llada: Llada, name: str) -> None:
    parameters = [word for key, value in steps_of(name).items() for word in ("-p", f"{key}={value}")]
    done = llada(
        "generate", "Hello", "--model", str(folder), "--algorithm", name, "--max-tokens", "8", "--json",
        "--device", "cpu", *parameters,
    )  # fmt: skip
    assert done.status == 0
    told = json.loads(done.out)
    assert (told["algorithm"], told["engine"]) == (name, "dream")


@pytest.mark.parametrize("name", ["dream", "dream_dual_cache"])
def test_the_program_measures(folder: Path, tmp_path: Path, llada: Llada, name: str) -> None:
    asked = tmp_path / "prompts.txt"
    asked.write_text("Hello\nWhat is 1 + 2?\n")
    done = llada(
        "bench", "--model", str(folder), "--algorithm", name, "--prompts", str(asked), "--gen-length", "8",
        "--repeats", "1", "--warm-up", "0", "--device", "cpu", "--json",
    )  # fmt: skip
    assert done.status == 0
    (found,) = json.loads(done.out)["results"]
    assert found["algorithm"] == name
    assert found["figures"]["nfe"]["median"] >= 1


def test_the_program_chats_and_streams(folder: Path, llada: Llada) -> None:
    done = llada(
        "chat", "--model", str(folder), "--max-tokens", "8", "--algorithm", "dream_dual_cache",
        "--device", "cpu", typed="Hello\n",
    )  # fmt: skip
    assert done.status == 0


@each_algorithm
def test_an_answer_is_that_of_the_plain_reference(lm: LoadedModel, name: str) -> None:
    algorithm = llada_core.get_algorithm(name)
    given = {"gen_length": 12, **steps_of(name)}
    params = algorithm.validate_args(**given)
    told = algorithm.reference_answer(lm.model.network, [5, 6, 7], params)
    found = lm.generate([5, 6, 7], algorithm=name, **given)
    assert told.nfe == found.nfe
    assert told.token_ids[: len(found.token_ids)] == found.token_ids
