"""``load_model`` and ``LoadedModel`` on the fake engines."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llada_core import (
    AlgorithmSpec,
    AlgorithmUnavailable,
    EngineSpec,
    GenerationRequest,
    IncompatibleAlgorithm,
    IncompatibleEngine,
    LoadedModel,
    ModelNotFound,
    ParameterError,
    PromptError,
    TokenizerMissing,
    UnknownAlgorithm,
    UnsupportedModel,
    UsageError,
    get_algorithm,
    list_algorithms,
    load_model,
    register_algorithm,
    register_engine,
    standard,
)

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def lm(folder: Path) -> Iterator[LoadedModel]:
    with load_model(folder) as model:
        yield model


def calls(lm: LoadedModel) -> list[str]:
    found: list[str] = lm.model.network.calls
    return found


# -- load_model


def test_the_engine_is_detected_and_its_default_algorithm_answers(lm: LoadedModel) -> None:
    assert lm.engine.name == "fake"
    result = lm.generate("Hello")
    assert (result.text, result.engine, result.algorithm) == ("Hi there.", "fake", "pairs")


def test_without_a_path_the_embedded_model_is_loaded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llada_tiny.model_path", lambda: folder, raising=False)
    with load_model() as lm:
        assert lm.model.path == str(folder)


def test_a_missing_embedded_model_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "llada_tiny", None)
    with pytest.raises(
        ModelNotFound, match="pip install llada-tiny, or name a folder, a hub id or another wheel"
    ):
        load_model()


def test_a_config_of_another_model_type_says_what_is_taken(make_folder: Callable[..., Path]) -> None:
    with pytest.raises(UnsupportedModel, match="fake takes llada") as caught:
        load_model(make_folder(model_type="bert"))
    assert caught.value.model_type == "bert"


def test_an_engine_that_does_not_take_the_model_is_refused(folder: Path) -> None:
    with pytest.raises(IncompatibleEngine, match=r"alien does not take .*choose fake"):
        load_model(folder, engine="alien")


def test_a_missing_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="there is no folder"):
        load_model(tmp_path / "nowhere")


def test_an_offline_hub_id_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelNotFound, match="HF_HUB_OFFLINE is set; unset it, or give an existing folder"):
        load_model("nobody/nothing")


def test_a_hub_id_is_fetched_without_what_is_not_needed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, Any]] = []

    def snapshot_download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((revision or "", allow_patterns))
        return str(folder)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    load_model("somebody/something", revision="v2")
    assert asked[0] == ("v2", ["config.json"])
    revision, patterns = asked[1]
    assert revision == "v2"
    assert {"*.safetensors", "*.json", "*.jinja"} <= set(patterns)
    assert "*.py" not in patterns


# -- generate


def test_the_result_counts_what_stands_before_the_end_token(lm: LoadedModel) -> None:
    result = lm.generate("Hello", max_tokens=32)
    assert result.completion_tokens == len("Hi there.")
    assert result.finish_reason == "stop"
    assert result.nfe == 16
    assert result.tokens_per_forward == 9 / 16
    assert result.parameters == {"gen_length": 32, "threshold": 0.9, "seed": None}


def test_an_answer_without_an_end_token_ends_by_length(lm: LoadedModel) -> None:
    result = lm.generate("Hello", max_tokens=2)
    assert (result.text, result.finish_reason) == ("Hi", "length")


def test_a_prompt_is_text_messages_or_ids_and_a_list_is_many(lm: LoadedModel) -> None:
    messages = [{"role": "user", "content": "Hello"}]
    templated = lm.generate("Hello").prompt_tokens
    assert lm.generate(messages).prompt_tokens == templated
    assert lm.generate([1, 2, 3]).prompt_tokens == 3
    assert lm.generate("Hello", raw=True).prompt_tokens == 5
    assert [result.prompt_tokens for result in lm.generate([[1, 2], [3]])] == [2, 1]
    assert [result.prompt_tokens for result in lm.generate([messages, messages])] == [templated] * 2
    assert [result.text for result in lm.generate(["a"])] == ["Hi there."]


def test_an_alias_answers_under_the_algorithms_name(lm: LoadedModel) -> None:
    assert lm.generate("Hello", algorithm="two").algorithm == "pairs"


def test_the_environment_names_the_default_algorithm(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLADA_ALGORITHM", "singles")
    assert lm.generate("Hello").algorithm == "singles"
    assert lm.generate("Hello", algorithm="pairs").algorithm == "pairs"


def test_a_wrong_default_is_told_with_where_it_came_from(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLADA_ALGORITHM", "alien")
    with pytest.raises(UsageError, match=r"alien \(named by LLADA_ALGORITHM\) runs on the engine alien"):
        lm.generate("Hello")
    monkeypatch.setenv("LLADA_ALGORITHM", "pair")
    with pytest.raises(
        UnknownAlgorithm, match="LLADA_ALGORITHM: no algorithm is called 'pair'; did you mean"
    ):
        lm.generate("Hello")


def test_an_algorithm_of_another_engine_runs_on_the_same_kind_of_network(lm: LoadedModel) -> None:
    result = lm.generate("Hello", algorithm="guest")
    assert (result.algorithm, result.engine) == ("guest", "alien")


def test_an_algorithm_for_another_network_is_refused_with_what_there_is(lm: LoadedModel) -> None:
    told = r"alien runs on the engine alien.* give one of .*pairs, singles"
    with pytest.raises(IncompatibleAlgorithm, match=told) as refused:
        lm.generate("Hello", algorithm="alien")
    assert (refused.value.name, refused.value.engine) == ("alien", "alien")
    assert {"pairs", "singles"} <= set(refused.value.candidates)


def test_what_is_for_other_models_is_not_imported_to_refuse_another(
    lm: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "zoo_network.py").write_text("from fake_engine import Opaque\n")
    with monkeypatch.context() as patch:  # which ends before the site does, whose path it would put back
        patch.syspath_prepend(str(tmp_path))
        register_engine(zoo("zoo_network:Opaque"))
        sys.modules.pop("zoo_network")  # that was to see that it can be imported
        with pytest.raises(IncompatibleAlgorithm, match="give one of guest, opaque, pairs, singles"):
            lm.generate("Hello", algorithm="alien")
        assert "zoo_network" not in sys.modules
        assert "stripes" in list_algorithms()


def test_what_is_listed_without_a_reason_is_what_runs(lm: LoadedModel) -> None:
    class Refusing(type(get_algorithm("opaque"))):  # type: ignore[misc]
        name, engine, parameters = "refusing", "alien", get_algorithm("opaque").parameters

        def unfit_reason(self, model: Any) -> str | None:
            return "it refuses; ask another"

    register_algorithm(Refusing)
    listed = lm.algorithms()
    able = [name for name, reason in listed.items() if reason is None]
    assert able == ["guest", "opaque", "pairs", "singles"]
    for name in able:
        assert lm.generate("Hello", algorithm=name).algorithm == name
    for name in listed.keys() - able:
        with pytest.raises(AlgorithmUnavailable) as unable:
            lm.generate("Hello", algorithm=name)
        assert unable.value.reason == listed[name]
    for name in set(list_algorithms()) - listed.keys():
        with pytest.raises(UsageError, match=f"give one of {', '.join(able)}$"):
            lm.generate("Hello", algorithm=name)
    assert listed["refusing"] == "it refuses; ask another"


def test_an_algorithm_that_comes_later_is_in_the_list(lm: LoadedModel) -> None:
    class Later(type(get_algorithm("opaque"))):  # type: ignore[misc]
        name, engine = "later", "fake"

    undo = register_algorithm(Later)
    assert lm.algorithms()["later"] is None
    with pytest.raises(UsageError, match="give one of guest, later, opaque, pairs, singles"):
        lm.generate("Hello", algorithm="alien")
    undo()
    assert "later" not in lm.algorithms()


def zoo(target: str) -> EngineSpec:
    """An engine of zebras, whose algorithm and loader are at ``target``."""
    algorithm = AlgorithmSpec(
        name="stripes", engine="zoo", target=target, summary="", parameters=(standard("gen_length"),)
    )
    return EngineSpec(
        name="zoo",
        target=target,
        default_algorithm="stripes",
        algorithms=(algorithm,),
        model_types=("zebra",),
    )


def test_a_registered_engine_takes_its_models(make_folder: Callable[..., Path]) -> None:
    undo = register_engine(zoo("fake_engine:Opaque"))
    folder = make_folder(model_type="zebra")
    result = load_model(folder).generate("Hello")
    assert (result.engine, result.algorithm, result.text) == ("zoo", "stripes", "Hi there.")
    undo()
    with pytest.raises(UnsupportedModel):
        load_model(folder)


def test_who_takes_a_parameter_is_told_where_it_is_refused(lm: LoadedModel) -> None:
    class Tempered(type(get_algorithm("opaque"))):  # type: ignore[misc]
        name, engine = "tempered", "fake"
        parameters = (standard("gen_length"), standard("temperature"))

    register_algorithm(Tempered)
    with pytest.raises(ParameterError) as refused:
        lm.generate("Hello", temperature=0.5)
    assert str(refused.value) == (
        "pairs does not take temperature=0.5; leave it out, or give temperature=0.0, which asks for nothing; "
        "tempered takes it"
    )
    assert lm.generate("Hello", temperature=0, remasking=True, factor=None, steps=None).text == "Hi there."


def test_an_unavailable_algorithm_gives_its_reason(lm: LoadedModel) -> None:
    with pytest.raises(AlgorithmUnavailable, match="broken cannot run here"):
        lm.generate("Hello", algorithm="broken")


def test_a_misspelt_algorithm_gets_the_closest(lm: LoadedModel) -> None:
    with pytest.raises(UnknownAlgorithm, match="did you mean pairs"):
        lm.generate("Hello", algorithm="pair")


def test_an_algorithm_registered_at_run_time_is_used(lm: LoadedModel) -> None:
    pairs = lm.algorithm("pairs")
    facts = {"name": "mine", "engine": "fake", "width": 4, "parameters": pairs.parameters}
    undo = register_algorithm(type("Mine", (type(pairs),), facts))
    assert lm.generate("Hello", algorithm="mine", max_tokens=32).nfe == 8
    undo()


# -- batches


def test_requests_of_one_step_loop_run_together_with_their_own_parameters(lm: LoadedModel) -> None:
    requests = [
        GenerationRequest(prompt="a", parameters={"max_tokens": 20}),
        GenerationRequest(prompt="a longer prompt", algorithm="singles", parameters={"max_tokens": 12}),
        GenerationRequest(prompt="c", raw=True, algorithm="two"),
    ]
    results = lm.generate_batch(requests)
    assert calls(lm)[0] == "step of 3"
    assert [(r.algorithm, r.nfe) for r in results] == [("pairs", 10), ("singles", 12), ("pairs", 64)]


def test_opaque_requests_run_once_for_each_set_of_parameters(lm: LoadedModel) -> None:
    lengths = [20, 12, 20]
    requests = [
        GenerationRequest(prompt="x" * n, algorithm="opaque", parameters={"gen_length": n}) for n in lengths
    ]
    results = lm.generate_batch(requests)
    assert sorted(calls(lm)) == ["generate of 1 with gen_length 12", "generate of 2 with gen_length 20"]
    assert [r.parameters["gen_length"] for r in results] == lengths
    assert [r.nfe for r in results] == [7, 7, 7]


def test_results_come_in_the_order_of_mixed_requests(lm: LoadedModel) -> None:
    names = ["opaque", "pairs", "opaque", "singles"]
    results = lm.generate_batch([GenerationRequest(prompt="a", algorithm=name) for name in names])
    assert [result.algorithm for result in results] == names


def test_nothing_runs_when_one_request_of_a_batch_is_wrong(lm: LoadedModel) -> None:
    wrong = GenerationRequest(prompt="b", parameters={"threshold": 2})
    with pytest.raises(ParameterError, match="threshold=2 is out of range"):
        lm.generate_batch([GenerationRequest(prompt="a"), wrong])
    assert calls(lm) == []


# -- what is refused before anything runs


@pytest.mark.parametrize("prompt", ["", "  ", [], [{"role": "user", "content": " "}]])
def test_an_empty_prompt_is_refused(lm: LoadedModel, prompt: Any) -> None:
    with pytest.raises(PromptError, match="the prompt is empty; write what is to be answered"):
        lm.generate(prompt)
    with pytest.raises(PromptError, match="the prompt is empty"):
        lm.generate("", raw=True)


@pytest.mark.parametrize("raw", [False, True])
def test_a_mask_token_in_the_prompt_is_refused(lm: LoadedModel, raw: bool) -> None:
    with pytest.raises(PromptError, match=r"holds the mask token \(id 258\) at position \d+; remove it"):
        lm.generate("a <|mdm_mask|> b", raw=raw)


def test_an_answer_beyond_the_models_limit_is_refused_with_what_fits(lm: LoadedModel) -> None:
    message = (
        "gen_length 196 after a prompt of 5 tokens exceeds the 200 tokens that the model takes; give a "
        r"gen_length \(max_tokens\) of at most 195"
    )
    with pytest.raises(ParameterError, match=message):
        lm.generate("Hello", raw=True, max_tokens=196)
    assert lm.generate("Hello", raw=True, max_tokens=195)


def test_a_prompt_beyond_the_models_limit_is_refused(lm: LoadedModel) -> None:
    with pytest.raises(PromptError, match=r"the prompt has 200 tokens and the model takes 200.* shorten"):
        lm.generate([1] * 200)


@pytest.mark.parametrize("token", [-1, 262])
def test_ids_out_of_the_vocabulary_are_refused(lm: LoadedModel, token: int) -> None:
    with pytest.raises(PromptError, match=f"id {token} at position 1 .* give ids from 0 to 261"):
        lm.generate([1, token])


def test_messages_cannot_be_raw(lm: LoadedModel) -> None:
    with pytest.raises(PromptError, match="messages need the chat template; leave raw out"):
        lm.generate([{"role": "user", "content": "Hello"}], raw=True)


def test_unknown_parameters_are_refused(lm: LoadedModel) -> None:
    with pytest.raises(ParameterError, match="pairs does not take treshold; did you mean threshold"):
        lm.generate("Hello", treshold=0.5)


def test_without_a_tokenizer_text_is_refused_and_ids_are_not(make_folder: Callable[..., Path]) -> None:
    with load_model(make_folder(with_tokenizer=False)) as lm:
        with pytest.raises(TokenizerMissing, match="give token ids"):
            lm.generate("Hello")
        assert lm.generate([1, 2], gen_length=4).token_ids


# -- streams


def test_a_stream_shows_the_canvas_filling_and_ends_with_the_result(lm: LoadedModel) -> None:
    seen = [(step, step.ticket.text, step.ticket.canvas) for step in lm.stream("Hello", max_tokens=5)]
    steps = [step for step, _, _ in seen]
    assert [step.positions for step in steps] == [(0, 1), (2, 3), (4,)]
    assert [text for _, text, _ in seen] == ["Hi", "Hi t", "Hi th"]
    assert seen[0][2][2:] == (None, None, None)
    assert [step.finished for step in steps] == [False, False, True]
    assert steps[0].result is None
    assert steps[-1].result
    assert steps[-1].result.text == "Hi th"


def test_a_stream_of_many_prompts_tells_them_apart(lm: LoadedModel) -> None:
    steps = list(lm.stream(["a", "b"], max_tokens=4))
    assert [step.ticket.index for step in steps] == [0, 1, 0, 1]


def test_an_opaque_algorithm_streams_one_final_step(lm: LoadedModel) -> None:
    (step,) = lm.stream("Hello", algorithm="opaque")
    assert step.finished
    assert step.result
    assert (step.ticket.text, step.confidence, step.nfe) == ("Hi there.", (), 7)


def test_closing_a_stream_stops_the_work(lm: LoadedModel) -> None:
    stream = lm.stream("Hello")
    next(stream)
    stream.close()
    assert calls(lm) == ["step of 1"]
    with pytest.raises(StopIteration):
        next(stream)


def test_a_wrong_stream_is_refused_at_the_call(lm: LoadedModel) -> None:
    with pytest.raises(PromptError):
        lm.stream("")


# -- closing


def test_a_closed_model_says_so(folder: Path) -> None:
    with load_model(folder) as lm:
        pass
    lm.close()
    with pytest.raises(UsageError, match="this model is closed; load it again"):
        lm.generate("Hello")
    assert repr(lm) == "<LoadedModel closed on engine 'fake'>"


def test_nobody_asks_a_model_that_is_being_closed(lm: LoadedModel) -> None:
    refused = []

    def close() -> None:
        with pytest.raises(UsageError, match="this model is closed") as told:
            lm.ready()
        refused.append(told.value)

    lm.model.network.close = close
    lm.close()
    assert len(refused) == 1
