"""The official client against a server of the small model, unmodified."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import httpx
import openai
import pytest
from openai import OpenAI

from llada_core import load_model
from tests.server.apps import Running
from tests.server.test_worker import until

pytestmark = pytest.mark.alone

SUM = [{"role": "user", "content": "What is 12 + 30?"}]
SORT = [{"role": "user", "content": "Sort the list 9, 4, 7, 1."}]
LILY = [
    {
        "role": "user",
        "content": "Lily can run 12 kilometers per hour for 4 hours. After that, she can run 6 kilometers "
        "per hour. How many kilometers can she run in 8 hours?",
    }
]


@pytest.fixture(scope="module")
def client(server: Running) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60) as client:
        yield client


def test_a_chat_is_answered_with_what_it_took(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="llada-tiny", messages=SUM, max_tokens=32)
    choice = completion.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("12 + 30 = 42.", "stop")
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 11
    told = completion.model_extra["generation"]
    assert (told["engine"], told["algorithm"]) == ("fast-dllm", "dual_cache")
    assert told["nfe"] >= 1
    assert told["parameters"]["gen_length"] == 32


def test_an_answer_that_is_cut_says_so(client: OpenAI) -> None:
    completion = client.chat.completions.create(model="llada-tiny", messages=LILY, max_tokens=8)
    assert completion.choices[0].finish_reason == "length"


def test_text_goes_on_without_a_template(client: OpenAI) -> None:
    completion = client.completions.create(
        model="llada-tiny", prompt="What is 1 + 1?", max_tokens=8, echo=True
    )
    assert completion.choices[0].text.startswith("What is 1 + 1?")


def test_ids_are_a_prompt(client: OpenAI, server: Running) -> None:
    ids = server.served.reader.encode("What is 1 + 1?", raw=True)
    by_ids = client.completions.create(model="llada-tiny", prompt=ids, max_tokens=8)
    by_text = client.completions.create(model="llada-tiny", prompt="What is 1 + 1?", max_tokens=8)
    assert by_ids.choices[0].text == by_text.choices[0].text


@pytest.mark.parametrize("messages", [SUM, SORT, LILY])
@pytest.mark.parametrize("algorithm", ["basic", "prefix_cache", "dual_cache"])
def test_streamed_text_is_the_text(client: OpenAI, messages: list[dict[str, str]], algorithm: str) -> None:
    asked = {
        "model": "llada-tiny",
        "messages": messages,
        "max_tokens": 32,
        "extra_body": {"generation_algorithm": algorithm},
    }
    whole = client.chat.completions.create(**asked)
    stream = client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == whole.choices[0].finish_reason
    assert chunks[-1].usage == whole.usage


def test_a_request_chooses_its_algorithm_and_parameters(client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model="llada-tiny",
        messages=SUM,
        max_tokens=32,
        extra_body={"generation_algorithm": "prefix", "confidence_threshold": 0.5, "block_size": 16},
    )
    told = completion.model_extra["generation"]
    assert told["algorithm"] == "prefix_cache"
    assert (told["parameters"]["threshold"], told["parameters"]["block_length"]) == (0.5, 16)


def test_answers_of_a_seed_are_those_of_the_model_alone(client: OpenAI) -> None:
    completion = client.chat.completions.create(
        model="llada-tiny", messages=LILY, max_tokens=32, n=3, seed=7, temperature=1.5
    )
    model = load_model(engine="fast-dllm")
    alone = [model.generate(LILY, max_tokens=32, seed=7 + k, temperature=1.5).text for k in range(3)]
    assert [choice.message.content for choice in completion.choices] == alone
    assert len(set(alone)) > 1


def test_neighbours_change_nothing(server: Running, client: OpenAI) -> None:
    """Six at once, of all algorithms: each answer is the one that the request gets alone."""

    def ask(number: int) -> dict[str, object]:
        return {
            "model": "llada-tiny",
            "messages": (SUM, SORT, LILY)[number % 3],
            "max_tokens": 16 + 4 * (number % 4),
            "seed": number,
            "temperature": 0.8 * (number % 2),
            "extra_body": {"generation_algorithm": ("basic", "prefix_cache", "dual_cache")[number % 3]},
        }

    async def together() -> list[str | None]:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", timeout=60) as many:
            asked = [many.chat.completions.create(**ask(number)) for number in range(6)]
            return [done.choices[0].message.content for done in await asyncio.gather(*asked)]

    alone = [client.chat.completions.create(**ask(n)).choices[0].message.content for n in range(6)]
    assert asyncio.run(together()) == alone


@pytest.mark.parametrize(
    ("changed", "kind", "param"),
    [
        ({"model": "gpt-4o"}, openai.NotFoundError, "model"),
        ({"extra_body": {"threshold": 9}}, openai.BadRequestError, "threshold"),
        ({"extra_body": {"thresold": 0.9}}, openai.BadRequestError, "thresold"),
        (
            {"extra_body": {"generation_algorithm": "dual_cash"}},
            openai.BadRequestError,
            "generation_algorithm",
        ),
        ({"max_tokens": 100_000}, openai.BadRequestError, "max_tokens"),
        ({"presence_penalty": 1.0}, openai.BadRequestError, "presence_penalty"),
        ({"messages": [{"role": "user", "content": ""}]}, openai.BadRequestError, "messages"),
        ({"temperature": -1.0}, openai.BadRequestError, "temperature"),
    ],
)
def test_errors_are_those_that_the_client_knows(
    client: OpenAI, changed: dict[str, object], kind: type[openai.APIStatusError], param: str
) -> None:
    asked = {"model": "llada-tiny", "messages": SUM, "max_tokens": 16, **changed}
    with pytest.raises(kind) as caught:
        client.chat.completions.create(**asked)
    assert caught.value.param == param


def test_a_client_that_stops_listening_frees_its_row(server: Running, client: OpenAI) -> None:
    stream = client.chat.completions.create(
        model="llada-tiny",
        messages=LILY,
        max_tokens=512,
        stream=True,
        extra_body={"generation_algorithm": "basic", "early_stop": False},
    )
    next(iter(stream))
    stream.close()
    began = time.monotonic()
    until(lambda: server.worker.accepted == 0)
    assert time.monotonic() - began < 3


def test_a_client_s_own_timeout_frees_its_row(server: Running, client: OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.05).chat.completions.create(
            model="llada-tiny",
            messages=LILY,
            max_tokens=512,
            extra_body={"generation_algorithm": "basic", "early_stop": False},
        )
    until(lambda: server.worker.accepted == 0)


def test_models_are_listed(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["llada-tiny"]
    assert client.models.retrieve("llada-tiny").model_extra["max_model_len"] == 1024


def test_algorithms_are_told_with_what_they_take(server: Running) -> None:
    told = httpx.get(f"{server.url}/generation/algorithms", timeout=60).json()["data"]
    by_name = {each["name"]: each for each in told}
    assert by_name["dual_cache"]["default"]
    assert by_name["basic"]["runs"]
    assert by_name["basic"]["infills"]
    assert not by_name["nemotron_block"]["infills"]
    threshold = next(each for each in by_name["basic"]["parameters"] if each["name"] == "threshold")
    assert (threshold["minimum"], threshold["maximum"], threshold["nullable"]) == (0, 1, True)
    assert by_name["nemotron_block"]["reason"]
    engines = httpx.get(f"{server.url}/generation/engines", timeout=60).json()["data"]
    assert [each["name"] for each in engines if each["loaded"]] == ["fast-dllm"]
