"""What has gone wrong where these models are served, one test for each: it fails on that behaviour."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import llada_core
from llada_core import GenerationRequest, LoadedModel
from llada_nemotron import AutoregressiveGeneration, LinearSpecGeneration, NemotronGeneration
from tests.nemotron.native_doubles import EOS, MASK, Autoregressive, Gen1, Labs
from tests.nemotron.tiny_models import BOS, write_model

PROMPT = torch.tensor([[5, 6, 7]])
SHORT: dict[str, Any] = {"gen_length": 16, "block_length": 8}


class CarelessLabs(Labs):
    """Ends a block for all rows as soon as one of them has its end token: the other rows keep their masks."""

    def generate(
        self,
        prompt_ids: Tensor,
        max_new_tokens: int,
        block_length: int,
        threshold: float | None = None,
        causal_context: bool = True,
        temperature: float = 0.0,
        eos_token_id: int | None = None,
        max_thinking_tokens: int | None = None,
        end_think_token_id: int | None = None,
    ) -> tuple[Tensor, int]:
        self.calls.append({"prompt": prompt_ids.tolist()})
        answers = torch.arange(20, 20 + max_new_tokens).repeat(len(prompt_ids), 1)
        answers[prompt_ids[:, -1] % 2 == 1, 2] = EOS  # odd prompts end early, and go on talking
        if bool((answers == eos_token_id).any()):
            answers[answers[:, 2] != EOS, 3:] = MASK
        return torch.cat((prompt_ids, answers), dim=1), 5


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = write_model(tmp_path_factory.mktemp("labs"), "labs")
    return llada_core.load_model(folder, device="cpu", trust_remote_code=True)


@pytest.mark.parametrize("kind", [NemotronGeneration, AutoregressiveGeneration, LinearSpecGeneration])
def test_a_public_model_is_not_refused_for_parameters_that_it_need_not_have(kind: Any) -> None:
    """Demanding steps, threshold and shift_logits would leave all published models out."""
    assert kind().unfit_reason(Labs()) is None
    assert kind().unfit_reason(Autoregressive()) is not None


def test_decoding_is_greedy_unless_a_temperature_is_given() -> None:
    model = Gen1()
    NemotronGeneration().generate(model, PROMPT)
    assert model.calls[-1]["temperature"] == 0.0


@pytest.mark.parametrize(
    ("gen_length", "block_length", "steps"), [(1130, 32, 128), (100, 32, 100), (7, 8, 1), (33, 32, None)]
)
def test_lengths_and_steps_are_reconciled(gen_length: int, block_length: int, steps: int | None) -> None:
    """The published code asserts that both divide; 128 steps do not over 36 blocks."""
    model = Gen1()
    output, _ = NemotronGeneration().generate(
        model, PROMPT, gen_length=gen_length, block_length=block_length, steps=steps
    )
    assert output.shape[1] == 3 + gen_length
    assert model.calls[-1]["steps"] >= (steps or gen_length)


@pytest.mark.parametrize("folder", ["nemotron", "NVIDIA-Nemotron-Diffusion", "my-nemotron-llada"])
def test_a_llada_model_is_not_taken_for_its_folder(tmp_path: Path, folder: str) -> None:
    place = tmp_path / folder
    place.mkdir()
    (place / "config.json").write_text(json.dumps({"model_type": "llada", "architectures": ["LLaDAModelLM"]}))
    detection = llada_core.detect(place)
    assert "nemotron" not in [detection.engine, *(candidate.engine for candidate in detection.candidates)]


def test_a_prompt_has_one_bos_and_no_thinking_unless_asked(labs: LoadedModel) -> None:
    algorithm = labs.algorithm("nemotron")
    (ids,) = algorithm.tokenize_prompts("Hi").input_ids.tolist()
    (thinking,) = algorithm.tokenize_prompts("Hi", enable_thinking=True).input_ids.tolist()
    assert ids.count(BOS) == thinking.count(BOS) == 1
    text = labs.model.tokenizer.decode
    assert text(ids).endswith("<think></think>")
    assert text(thinking).endswith("<think>\n")


def test_prompts_of_unequal_length_need_no_padding_token(labs: LoadedModel) -> None:
    assert labs.model.tokenizer.pad_token_id is None
    texts = ["Hi", "How are you today?", "Hi"]
    together = labs.generate(texts, **SHORT)
    alone = [labs.generate(text, **SHORT) for text in texts]
    assert [result.token_ids for result in together] == [result.token_ids for result in alone]


def test_padding_of_a_tensor_is_taken_off_before_the_call(labs: LoadedModel) -> None:
    algorithm = labs.algorithm("nemotron")
    ids, mask = algorithm.tokenize_prompts(["Hi", "How are you today?"])
    output, _ = algorithm.generate(algorithm.model, ids, attention_mask=mask, **SHORT)
    alone, _ = algorithm.generate(algorithm.model, ids[:1, mask[0] == 1], **SHORT)
    assert output[0, -16:].tolist() == alone[0, -16:].tolist()


def test_usage_counts_each_rows_own_tokens(labs: LoadedModel) -> None:
    short, long = labs.generate(["Hi", "How are you today?"], **SHORT)
    assert long.prompt_tokens - short.prompt_tokens == len("How are you today?") - len("Hi")
    assert all(result.completion_tokens <= 16 for result in (short, long))


def test_a_row_ends_at_its_own_end_token_and_holds_no_mask() -> None:
    """In a batch the published code goes on after a row's end, and gives up the masks of the others."""
    algorithm, model = NemotronGeneration(), CarelessLabs()
    params = algorithm.validate_args(**SHORT)
    odd, even = algorithm.answers(model, [[7], [8]], params)
    assert odd.token_ids == (20, 21, EOS)
    assert even.token_ids == tuple(range(20, 36))
    assert odd.warnings == even.warnings == ()
    output, _ = algorithm.generate(model, torch.tensor([[7], [8]]), **SHORT)
    assert output[0, 3:].tolist() == [EOS] * 14
    assert MASK not in output
    whole, _ = algorithm.generate(model, torch.tensor([[7], [8]]), early_stop=False, **SHORT)
    assert MASK not in whole


def test_the_reason_why_an_answer_ended_is_the_rows_own(labs: LoadedModel) -> None:
    results = labs.generate([[20 + row, 30, 40] for row in range(12)], **SHORT)
    for result in results:
        assert result.finish_reason == ("length" if result.completion_tokens == 16 else "stop")
    assert {result.finish_reason for result in results} == {"stop", "length"}


def test_each_request_of_a_batch_keeps_its_settings() -> None:
    algorithm, model = NemotronGeneration(), Gen1()
    algorithm.model = model
    lm = LoadedModel(algorithm, llada_core.get_engine("nemotron"))
    settings: list[dict[str, Any]] = [
        {"gen_length": 8, "threshold": 0.5},
        {"gen_length": 32, "threshold": 0.7},
        {"gen_length": 8, "threshold": 0.5},
    ]
    requests = [GenerationRequest(prompt=[5, 6], parameters=each) for each in settings]
    results = lm.generate_batch(requests)
    assert [result.completion_tokens for result in results] == [8, 32, 8]
    assert sorted(call["threshold"] for call in model.calls) == [0.5, 0.5, 0.7]


@pytest.mark.parametrize(("asked", "passed"), [(None, False), (False, False), (True, True)])
def test_logits_are_shifted_only_when_asked(asked: bool | None, passed: bool) -> None:
    model = Gen1()
    NemotronGeneration().generate(model, PROMPT, shift_logits=asked)
    assert model.calls[-1]["shift_logits"] is passed


@pytest.mark.parametrize("algorithm", ["nemotron", "nemotron_block"])
def test_autocast_around_a_call_changes_no_answer(labs: LoadedModel, algorithm: str) -> None:
    expected = labs.generate([5, 6, 7], algorithm=algorithm, gen_length=16).token_ids
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = labs.generate([5, 6, 7], algorithm=algorithm, gen_length=16).token_ids
    assert found == expected
