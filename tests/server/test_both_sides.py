"""Infilling, suffixes, scores, stops and logprobs over HTTP, on the small model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from openai import OpenAI
from openai.types import Completion, Model
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from llada_core import load_model
from llada_server.http.routes.completions import _Gap
from llada_server.scheduler.events import Changed, Ended
from tests.server.apps import Running, model_server

SUM = "What is 12 + 30?"
LILY = (
    "Lily can run 12 kilometers per hour for 4 hours. After that, she can run 6 kilometers per hour. How "
    "many kilometers can she run in 8 hours?"
)


@pytest.fixture(scope="module")
def http(server: Running) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as client:
        yield client


def events(response: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_blanks_are_filled_and_told_apart_from_what_was_given(http: httpx.Client) -> None:
    told = http.post("/v1/infill", json={"prompt": SUM, "template": "12 + {{2}} = 42."}).json()
    assert told["object"] == "infill"
    (choice,) = told["choices"]
    assert choice["text"] == "12 + 30 = 42."
    assert choice["pieces"] == [
        {"text": "12 + ", "filled": False},
        {"text": "30", "filled": True},
        {"text": " = 42.", "filled": False},
    ]
    assert told["usage"]["completion_tokens"] == 2


def test_a_list_is_a_template_and_a_conversation_a_context(http: httpx.Client) -> None:
    asked = {
        "messages": [{"role": "user", "content": SUM}],
        "template": ["12 + ", {"max_tokens": 2}, " = 42."],
        "generation_algorithm": "basic",
        "n": 2,
    }
    told = http.post("/v1/infill", json=asked).json()
    assert [choice["text"] for choice in told["choices"]] == ["12 + 30 = 42."] * 2
    assert told["generation"]["algorithm"] == "basic"


def test_streamed_text_is_the_text(http: httpx.Client) -> None:
    asked = {
        "template": "Tom has 3 apples and {{8}}. He has 7 apples.",
        "algorithm": "basic",
        "block_length": 4,
    }
    whole = http.post("/v1/infill", json=asked).json()["choices"][0]["text"]
    streamed = {**asked, "stream": True, "stream_options": {"denoise": True, "include_usage": True}}
    told = events(http.post("/v1/infill", json=streamed))
    text = "".join(e["choices"][0]["text"] for e in told if e["object"] == "infill.chunk" and e["choices"])
    assert text == whole
    (canvas,) = [event for event in told if event["object"] == "generation.canvas"]
    cells = canvas["cells"]
    for frame in (event for event in told if event["object"] == "generation.denoise"):
        for position, written in zip(frame["positions"], frame["texts"], strict=True):
            assert cells[position] is None
            cells[position] = written
    assert all(cell is not None for cell in cells)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"template": "no blank"}, "no blank"),
        ({"template": "{{0}}"}, "write {{8}}"),
        ({"template": "{{2}}", "stop": "."}, "stop"),
        ({"template": "{{2}}", "max_tokens": 4}, "max_tokens"),
        ({"template": "{{2}}", "prompt": "a", "messages": []}, "prompt or messages"),
        ({"template": "{{100000}}"}, "100000"),
        ({}, "template"),
    ],
)
def test_what_cannot_be_filled_is_told(http: httpx.Client, asked: dict[str, Any], told: str) -> None:
    response = http.post("/v1/infill", json=asked)
    assert response.status_code == 400
    assert told in response.json()["error"]["message"]


def test_candidates_are_scored(http: httpx.Client) -> None:
    asked = {"prompt": SUM, "template": "12 + 30 = {{1}}.", "candidates": ["41", "42", "7"]}
    told = http.post("/v1/score", json=asked).json()
    assert told["best"] == 1
    assert told["scores"][1]["probability"] > 0.9
    assert [score["tokens"] for score in told["scores"]] == [2, 2, 1]
    wrong = http.post("/v1/score", json={**asked, "template": "{{1}} {{1}}"})
    assert "several blanks" in wrong.json()["error"]["message"]
    assert http.post("/v1/score", json={**asked, "threshold": 0.5}).status_code == 400
    assert http.post("/v1/score", json={**asked, "candidates": [""]}).status_code == 400


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"candidates": ["<|mdm_mask|>"]}, "candidate '<|mdm_mask|>' holds the mask token"),
        ({"template": "12 {{1}} <|mdm_mask|>"}, "the template holds the mask token"),
    ],
)
def test_masks_are_no_text_to_score(http: httpx.Client, wrong: dict[str, Any], told: str) -> None:
    response = http.post("/v1/score", json={"template": "12 + {{1}}", "candidates": ["1"], **wrong})
    assert response.status_code == 400
    assert told in response.json()["error"]["message"]


@pytest.mark.parametrize("context", [{"prompt": SUM}, {"messages": [{"role": "user", "content": SUM}]}])
def test_without_its_template_a_context_is_text_as_it_stands(context: dict[str, Any]) -> None:
    with model_server(use_chat_template=False) as server, server.client() as http:
        filled = http.post("/v1/infill", json={**context, "template": "12 + {{2}} = 42."}).json()
        asked = {"template": "12 + {{1}}", "candidates": ["30", "7"]}
        told = http.post("/v1/score", json={**context, **asked}).json()["scores"]
    with load_model(engine="fast-dllm") as model:
        expected = model.infill("12 + {{2}} = 42.", prompt=SUM, raw=True)
        scores = model.score(*asked.values(), prompt=SUM, raw=True)
    assert filled["usage"]["prompt_tokens"] == expected.prompt_tokens
    assert [each["log_probability"] for each in told] == [each.log_probability for each in scores]


def test_a_suffix_is_seen(client: OpenAI) -> None:
    asked = {"model": "llada-tiny", "prompt": "Tom has 3 apples and ", "max_tokens": 8}
    told = client.completions.create(**asked, suffix=". He has 7 apples.")
    model = load_model(engine="fast-dllm")
    alone = model.infill(["Tom has 3 apples and ", {"max_tokens": 8}, ". He has 7 apples."])
    assert told.choices[0].text == alone.blanks[0]
    assert told.usage is not None
    assert told.usage.prompt_tokens == alone.prompt_tokens  # those of the suffix too


@pytest.mark.parametrize(
    "given",
    [
        {"algorithm": "basic", "threshold": None, "steps": 8},
        {"algorithm": "dual_cache", "threshold": None, "steps": 8},
        {"algorithm": "basic", "block_length": 4, "steps": 16},  # the suffix has blocks of its own
        {"algorithm": "basic", "temperature": 1.5, "early_stop": False},
    ],
)
def test_a_streamed_gap_is_the_gap_alone(client: OpenAI, given: dict[str, Any]) -> None:
    asked: dict[str, Any] = {
        "model": "llada-tiny",
        "prompt": "Tom has 3 apples and ",
        "suffix": ". He has 7 apples, and they are all of them in his kitchen.",
        "max_tokens": 8,
        "n": 2,
        "seed": 3,
        "extra_body": given,
    }
    whole = [choice.text for choice in client.completions.create(**asked).choices]
    for echo in ("", asked["prompt"]):
        texts = ["", ""]
        for chunk in client.completions.create(**asked, stream=True, echo=bool(echo)):
            texts[chunk.choices[0].index] += chunk.choices[0].text
        assert texts == [echo + text for text in whole]


def test_a_gap_does_not_tell_what_is_behind_it() -> None:
    """When all of a gap is final, the text behind it is final too, and comes with it."""

    def changed(settled: int, text: str) -> Any:
        return Changed(step=SimpleNamespace(settled=settled), text=text)  # type: ignore[arg-type]

    gap = _Gap(before=4, cells=3)
    assert gap.heard(changed(1, "Tom a")) == "a"
    assert gap.heard(changed(2, "b")) == "b"
    assert gap.heard(changed(9, "c. The end.")) == ""
    result: Any = SimpleNamespace(blanks=("abc",))
    assert gap.heard(Ended(step=changed(9, "").step, result=result, text="")) == "c"


@pytest.mark.parametrize(
    ("algorithm", "stop"),
    [("basic", "low"), *(("dual_cache", stop) for stop in ("low", "ast", "ether", "t i"))],
)
def test_a_stop_inside_a_token_cuts_it(client: OpenAI, stop: str, algorithm: str) -> None:
    asked: dict[str, Any] = {
        "model": "llada-tiny",
        "messages": [{"role": "user", "content": LILY}],
        "max_tokens": 64,
        "logprobs": True,
        "extra_body": {"generation_algorithm": algorithm, "block_length": 8},
    }
    whole = client.chat.completions.create(**asked).choices[0].message.content or ""
    assert stop in whole
    cut = client.chat.completions.create(**asked, stop=stop)
    choice = cut.choices[0]
    assert (choice.message.content, choice.finish_reason) == (whole[: whole.find(stop)], "stop")
    tokens = [each.token for each in (choice.logprobs and choice.logprobs.content) or []]
    assert "".join(tokens).startswith(choice.message.content)  # the last one holds the beginning of the stop
    assert cut.usage is not None
    assert cut.usage.completion_tokens == len(tokens)
    chunks = list(client.chat.completions.create(**asked, stop=stop, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == choice.message.content


def test_logprobs_with_an_echo_tell_of_the_prompt_and_then_of_the_answer(client: OpenAI) -> None:
    asked: dict[str, Any] = {"model": "llada-tiny", "prompt": "12 + 30 =", "max_tokens": 4, "logprobs": 0}
    plain = client.completions.create(**asked).choices[0]
    choice = client.completions.create(**asked, echo=True).choices[0]
    assert choice.text == "12 + 30 =" + plain.text
    told, alone = choice.logprobs, plain.logprobs
    assert told is not None
    assert alone is not None
    assert "".join(told.tokens or ()) == choice.text
    placed = zip(told.tokens or (), told.text_offset or (), strict=True)
    assert all(choice.text[at:].startswith(token) for token, at in placed)
    assert (told.token_logprobs or [])[-4:] == alone.token_logprobs


@pytest.mark.parametrize("more", [{}, {"n": 2}, {"logprobs": True}, {"stop": "="}])
def test_answers_are_those_of_the_official_client(http: httpx.Client, more: dict[str, Any]) -> None:
    """Validated, which the client itself does not do: it takes any JSON."""
    body = {"max_tokens": 16, **more}
    chat = {**body, "messages": [{"role": "user", "content": SUM}]}
    text = {**body, "prompt": SUM, **({"logprobs": 0} if "logprobs" in more else {})}
    streamed = {"stream": True, "stream_options": {"include_usage": True}}
    for path, asked, whole, chunk in (
        ("chat/completions", chat, ChatCompletion, ChatCompletionChunk),
        ("completions", text, Completion, Completion),
    ):
        whole.model_validate(http.post(f"/v1/{path}", json=asked).json())
        for event in events(http.post(f"/v1/{path}", json={**asked, **streamed})):
            if event["choices"] and path == "completions":  # its chunks say null before they end
                event["choices"][0]["finish_reason"] = event["choices"][0]["finish_reason"] or "stop"
            chunk.model_validate(event)
    Model.model_validate(http.get("/v1/models").json()["data"][0])


@pytest.mark.parametrize("stop", ["=", "= 4", ["never", "30"], "12 + 30 = 42."])
@pytest.mark.parametrize("algorithm", ["basic", "dual_cache"])
def test_an_answer_ends_before_its_stop_streamed_or_not(client: OpenAI, stop: Any, algorithm: str) -> None:
    asked = {
        "model": "llada-tiny",
        "messages": [{"role": "user", "content": SUM}],
        "max_tokens": 32,
        "stop": stop,
        "extra_body": {"generation_algorithm": algorithm, "block_length": 8},
    }
    choice = client.chat.completions.create(**asked).choices[0]
    stops = [stop] if isinstance(stop, str) else stop
    whole = "12 + 30 = 42."
    assert choice.message.content == whole[: min(whole.find(s) for s in stops if s in whole)]
    assert choice.finish_reason == "stop"
    chunks = list(client.chat.completions.create(**asked, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == choice.message.content


def test_logprobs_are_those_of_the_commits(client: OpenAI) -> None:
    asked = {"model": "llada-tiny", "messages": [{"role": "user", "content": SUM}], "max_tokens": 32}
    told = client.chat.completions.create(**asked, logprobs=True).choices[0]
    assert told.logprobs is not None
    assert told.logprobs.content is not None
    assert "".join(each.token for each in told.logprobs.content) == told.message.content
    assert all(-2 < each.logprob <= 0 for each in told.logprobs.content)
    assert client.chat.completions.create(**asked).choices[0].logprobs is None
    plain = client.completions.create(model="llada-tiny", prompt=SUM, max_tokens=4, logprobs=0).choices[0]
    assert plain.logprobs is not None
    assert len(plain.logprobs.tokens or ()) == len(plain.logprobs.token_logprobs or ())


def test_the_likeliest_tokens_are_told_in_both_of_the_forms(client: OpenAI) -> None:
    asked = {"model": "llada-tiny", "messages": [{"role": "user", "content": SUM}], "max_tokens": 32}
    told = client.chat.completions.create(**asked, logprobs=True, top_logprobs=3).choices[0]
    assert told.logprobs is not None
    for each in told.logprobs.content or ():
        assert [len(each.top_logprobs), each.top_logprobs[0].token] == [3, each.token]
        assert each.top_logprobs[0].logprob == each.logprob
        assert bytes(each.bytes or ()).decode() == each.token
    plain = client.completions.create(
        model="llada-tiny", prompt="12 + 30 = ", max_tokens=4, logprobs=2
    ).choices[0]
    assert plain.logprobs is not None
    assert plain.logprobs.text_offset is not None
    assert plain.logprobs.tokens is not None
    for offset, token, likeliest in zip(
        plain.logprobs.text_offset, plain.logprobs.tokens, plain.logprobs.top_logprobs or (), strict=True
    ):
        assert plain.text[offset:].startswith(token)
        assert token in likeliest
        assert len(likeliest) == 2


def test_a_stream_tells_what_is_told_without_one(client: OpenAI) -> None:
    asked = {"model": "llada-tiny", "messages": [{"role": "user", "content": SUM}], "max_tokens": 32}
    asked |= {"logprobs": True, "top_logprobs": 2}
    whole = client.chat.completions.create(**asked).choices[0].logprobs
    chunks = [chunk.choices[0].logprobs for chunk in client.chat.completions.create(**asked, stream=True)]
    streamed = [each for told in chunks if told is not None for each in told.content or ()]
    assert whole is not None
    assert [each.model_dump() for each in streamed] == [each.model_dump() for each in whole.content or ()]
