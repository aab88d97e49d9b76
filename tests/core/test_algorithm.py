"""``GenerationAlgorithm``: loading, tokenizing, decoding and the calls that need no engine behind them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from llada_core import (
    AlgorithmUnavailable,
    ModelLoadError,
    ModelNotFound,
    ParameterError,
    PromptError,
    TokenizerMissing,
    UsageError,
    get_algorithm,
)
from llada_core.generation.algorithm import GenerationAlgorithm, SupportsSteps
from llada_core.generation.encoding import NoChatTemplate

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def pairs() -> GenerationAlgorithm:
    return get_algorithm("pairs")


@pytest.fixture
def loaded(pairs: GenerationAlgorithm, folder: Path) -> GenerationAlgorithm:
    pairs.load_model_from_hf(folder)
    return pairs


def test_importing_it_needs_no_torch() -> None:
    modules = "llada_core.generation.algorithm, llada_core.loading, llada_core.cli"
    code = f"import sys, {modules}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_registry_tells_it_who_it_is(pairs: GenerationAlgorithm) -> None:
    assert (pairs.name, pairs.engine, pairs.aliases) == ("pairs", "fake", ("two",))
    assert pairs.is_available()
    assert pairs.unavailable_reason is None
    assert isinstance(pairs, SupportsSteps)
    assert not isinstance(get_algorithm("opaque"), SupportsSteps)


def test_arguments_are_named_with_defaults_and_checked(pairs: GenerationAlgorithm) -> None:
    assert pairs.get_required_args() == {"gen_length": 128, "threshold": 0.9, "seed": None}
    assert pairs.validate_args(max_tokens=7)["gen_length"] == 7
    with pytest.raises(ParameterError, match="threshold=2 is out of range; give a number from 0 to 1"):
        pairs.validate_args(threshold=2)


def test_a_local_folder_is_loaded_and_remembered(pairs: GenerationAlgorithm, folder: Path) -> None:
    model = pairs.load_model_from_hf(str(folder), dtype="bfloat16")
    assert pairs.model is model
    assert model.dtype == "bfloat16"
    assert pairs.tokenizer.chat_template


def test_objects_do_not_share_a_model(loaded: GenerationAlgorithm) -> None:
    assert get_algorithm("pairs").model is None


def test_the_example_of_the_documentation_works(loaded: GenerationAlgorithm) -> None:
    prompt = torch.tensor([[1, 2, 3]])
    output, nfe = loaded.generate(model=loaded.model, prompt=prompt, gen_length=12, threshold=0.95)
    assert output.shape == (1, 15)
    assert nfe == 6


def test_a_missing_folder_is_not_found(pairs: GenerationAlgorithm, tmp_path: Path) -> None:
    with pytest.raises(
        ModelNotFound, match=r"there is no folder .*nowhere; give an existing folder, or a hub id"
    ):
        pairs.load_model_from_hf(tmp_path / "nowhere")


def test_a_folder_without_config_is_not_found(pairs: GenerationAlgorithm, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match=r"holds no config\.json; give the folder of a checkpoint"):
        pairs.load_model_from_hf(tmp_path)


def test_damaged_files_are_a_load_error_with_the_loaders_words(
    pairs: GenerationAlgorithm, make_folder: Callable[..., Path]
) -> None:
    folder = make_folder(damaged=True)
    with pytest.raises(ModelLoadError, match=r"tensor wte\.weight is missing; download") as caught:
        pairs.load_model_from_hf(folder)
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.path == str(folder)
    assert pairs.model is None


def test_a_damaged_tokenizer_is_a_load_error(pairs: GenerationAlgorithm, folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")
    with pytest.raises(
        ModelLoadError,
        match=r"its tokenizer cannot be loaded .*tokenizer\.json is no JSON.*, or remove its files",
    ):
        pairs.load_model_from_hf(folder)


def test_a_tokenizer_without_a_class_in_its_config_is_loaded(
    pairs: GenerationAlgorithm, folder: Path
) -> None:
    config = folder / "tokenizer_config.json"
    settings = json.loads(config.read_text())
    del settings["tokenizer_class"]
    config.write_text(json.dumps(settings))
    pairs.load_model_from_hf(folder)
    assert pairs.tokenizer.eos_token == "<|endoftext|>"


def test_without_a_tokenizer_ids_work_and_text_does_not(
    pairs: GenerationAlgorithm, make_folder: Callable[..., Path]
) -> None:
    pairs.load_model_from_hf(make_folder(with_tokenizer=False))
    output, _ = pairs.generate(pairs.model, torch.tensor([[5]]), gen_length=4)
    assert output.shape == (1, 5)
    with pytest.raises(TokenizerMissing, match=r"has no tokenizer.* give token ids, or add tokenizer\.json"):
        pairs.tokenize_prompts("Hello")
    (result,) = pairs.generate_batch([[5, 6]], gen_length=12)
    assert (result.text, result.prompt_tokens) == ("", 2)


def test_text_becomes_a_user_message(loaded: GenerationAlgorithm) -> None:
    ids, mask = loaded.tokenize_prompts("Hello")
    assert loaded.tokenizer.decode(ids[0]) == (
        "<|startoftext|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
    assert ids.dtype == mask.dtype == torch.int64


def test_messages_and_the_text_of_one_are_the_same_prompt(loaded: GenerationAlgorithm) -> None:
    text, _ = loaded.tokenize_prompts("Hello")
    messages, _ = loaded.tokenize_prompts([{"role": "user", "content": "Hello"}])
    assert text.tolist() == messages.tolist()


def test_raw_text_is_taken_as_it_stands(loaded: GenerationAlgorithm) -> None:
    ids, _ = loaded.tokenize_prompts("Hello", raw=True)
    assert loaded.tokenizer.decode(ids[0]) == "Hello"


@pytest.mark.parametrize(
    ("prompt", "raw"), [("Hello", False), ("Hello", True), ("<|startoftext|>Hello", True)]
)
def test_special_tokens_are_added_once(
    pairs: GenerationAlgorithm, make_tokenizer_with: Callable[..., Any], prompt: str, raw: bool
) -> None:
    pairs.tokenizer = make_tokenizer_with(adds_bos=True)
    ids, _ = pairs.tokenize_prompts(prompt, raw=raw)
    assert ids[0].tolist().count(pairs.tokenizer.bos_token_id) == 1
    assert ids[0, 0] == pairs.tokenizer.bos_token_id


def test_short_prompts_are_padded_on_the_left(loaded: GenerationAlgorithm) -> None:
    ids, mask = loaded.tokenize_prompts(["a", "bcd"], raw=True)
    pad = loaded.tokenizer.pad_token_id
    assert ids[0].tolist()[:2] == [pad, pad]
    assert mask.tolist() == [[0, 0, 1], [1, 1, 1]]


def test_padding_falls_back_to_eos(
    pairs: GenerationAlgorithm, make_tokenizer_with: Callable[..., Any]
) -> None:
    pairs.tokenizer = make_tokenizer_with(pad=None)
    ids, _ = pairs.tokenize_prompts(["a", "bc"], raw=True)
    assert ids[0, 0] == pairs.tokenizer.eos_token_id


def test_without_a_template_text_is_plain_and_messages_are_refused(
    pairs: GenerationAlgorithm, make_tokenizer_with: Callable[..., Any]
) -> None:
    pairs.tokenizer = make_tokenizer_with(template=None)
    with pytest.warns(NoChatTemplate, match="no chat template, so text is given to the model as it stands"):
        ids, _ = pairs.tokenize_prompts("Hello")
    assert pairs.tokenizer.decode(ids[0]) == "Hello"
    with pytest.raises(PromptError, match="no chat template; give the prompt as text"):
        pairs.tokenize_prompts([{"role": "user", "content": "Hello"}])


def test_what_the_template_refuses_is_a_prompt_error(
    pairs: GenerationAlgorithm, make_tokenizer_with: Callable[..., Any]
) -> None:
    pairs.tokenizer = make_tokenizer_with(template="{{ raise_exception('roles must alternate') }}")
    with pytest.raises(PromptError, match="roles must alternate"):
        pairs.tokenize_prompts("Hello")


@pytest.mark.parametrize("message", [{"role": "user"}, {"content": "x"}, {"role": "user", "content": 3}])
def test_a_malformed_message_is_a_prompt_error(loaded: GenerationAlgorithm, message: Any) -> None:
    with pytest.raises(PromptError, match="a message needs a role and a content"):
        loaded.tokenize_prompts([message])


def test_answers_are_cut_at_their_first_end_token(loaded: GenerationAlgorithm) -> None:
    eos, eot = loaded.tokenizer.eos_token_id, loaded.tokenizer.convert_tokens_to_ids("<|eot_id|>")
    hello = loaded.tokenizer("Hello")["input_ids"]
    rows = torch.tensor([[9, 9, *hello, eot, 9], [9, 9, *hello, 9, eos], [9, 9, eos, *hello, 9]])
    tail = loaded.tokenizer.decode([9])
    assert loaded.decode_outputs(rows, 2) == ["Hello", f"Hello{tail}", ""]


def test_no_prompt_text_leaks_into_the_answers_of_shorter_rows(loaded: GenerationAlgorithm) -> None:
    ids, _ = loaded.tokenize_prompts(["short", "a longer prompt"], raw=True)
    answers = torch.tensor([loaded.tokenizer("ok")["input_ids"]] * 2)
    output = torch.cat((ids, answers), dim=1)
    assert loaded.decode_outputs(output, ids.shape[1]) == ["ok", "ok"]
    assert loaded.decode_outputs(output, [5, 15]) == ["ok", "ok"]


def test_a_batch_is_tokenized_generated_and_decoded(loaded: GenerationAlgorithm) -> None:
    prompts: Any = ["a", [{"role": "user", "content": "b"}]]
    results = loaded.generate_batch(prompts, max_tokens=32)
    assert [result.text for result in results] == ["Hi there.", "Hi there."]
    assert results[0].parameters["gen_length"] == 32


def test_a_batch_needs_a_model(pairs: GenerationAlgorithm) -> None:
    with pytest.raises(UsageError, match="pairs has no model yet; call load_model_from_hf first"):
        pairs.generate_batch(["Hello"])


def test_a_stand_in_answers_questions_and_refuses_work_with_one_reason() -> None:
    broken = get_algorithm("broken")
    assert (broken.name, broken.engine, broken.is_available()) == ("broken", "fake", False)
    assert broken.unavailable_reason
    assert broken.validate_args()["gen_length"] == 128
    calls: list[Callable[[], Any]] = [
        lambda: broken.load_model_class(),
        lambda: broken.load_model_from_hf("x"),
        lambda: broken.load_model_from_dcp("x", "y"),
        lambda: broken.generate(model=None, prompt=None),
        lambda: broken.generate_batch(["x"]),
    ]
    for call in calls:
        with pytest.raises(AlgorithmUnavailable) as caught:
            call()
        assert caught.value.reason == broken.unavailable_reason
        assert broken.unavailable_reason in str(caught.value)


def test_loading_a_tokenizer_says_nothing(
    pairs: GenerationAlgorithm, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pairs.load_model_from_hf(folder)
    assert [record.message for record in caplog.records if record.levelname != "DEBUG"] == []


@pytest.mark.parametrize(
    "ask", [lambda pairs: pairs.tokenize_prompts("hi"), lambda pairs: pairs.decode_outputs([[1]], 0)]
)
def test_text_needs_what_was_loaded(pairs: Any, ask: Any) -> None:
    pairs.model = pairs.tokenizer = None
    with pytest.raises(UsageError, match="has no model yet; call load_model_from_hf first"):
        ask(pairs)
