"""Clients of the soak: they ask, listen to whole answers or streams, hang up, and note what is wrong.

They know nothing of the model.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import time
from collections import Counter, defaultdict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
from server_requests import REFUSED, Answer, Case

__all__ = ["Client", "Heard", "answer_of", "answer_of_stream", "metric"]

HANG_UP, WRONG, STREAM, DENOISE = 0.2, 0.1, 0.5, 0.3  # shares of the requests; of the streams
PATIENCE = 120.0  # seconds after which an answer counts as lost


@dataclass(slots=True)
class Heard:
    """What all clients heard together. ``answers`` counts rows that were answered, of all choices."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    wrong: list[str] = field(default_factory=list)
    answers: int = 0


class Client:
    """One client, which asks one thing after the other, chosen by its ``seed``."""

    def __init__(self, url: str, cases: list[Case], heard: Heard, seed: int) -> None:
        self._url, self._cases, self._heard = url, cases, heard
        self._chance, self._name, self._asked = random.Random(seed), f"soak-{seed}", 0

    async def ask_until(self, until: float) -> None:
        """Ask until the time ``until`` of the monotonic clock; the last answer is waited for."""
        async with httpx.AsyncClient(base_url=self._url, timeout=PATIENCE) as http:
            while time.monotonic() < until:
                await self._ask(http)

    async def _ask(self, http: httpx.AsyncClient) -> None:
        chance = self._chance
        wrong = chance.random() < WRONG
        case = chance.choice(REFUSED) if wrong else chance.choice(self._cases)
        streamed = case.streams and chance.random() < STREAM
        leaves = not wrong and chance.random() < HANG_UP
        self._asked += 1
        asking = self._stream(http, case, leaves) if streamed else self._whole(http, case)
        try:
            if leaves and not streamed:
                with suppress(TimeoutError):
                    await asyncio.wait_for(asking, chance.uniform(0.001, 0.3))
                    return
                self._heard.outcomes["hung up"] += 1
            else:
                await asking
        except httpx.HTTPError as exc:
            self._note(case, streamed, f"is lost: {type(exc).__name__} {exc}")

    async def _whole(self, http: httpx.AsyncClient, case: Case) -> None:
        began = time.perf_counter()
        response = await http.request(case.method, case.path, content=case.content, headers=self._headers())
        self._check(case, response, answer_of(response), began, streamed=False)

    async def _stream(self, http: httpx.AsyncClient, case: Case, leaves: bool) -> None:
        began = time.perf_counter()
        body = {**case.body, "stream": True, "stream_options": {"include_usage": True}}
        if self._chance.random() < DENOISE:
            body["stream_options"]["denoise"] = True
        most = self._chance.randint(0, 6) if leaves else None
        lines: list[str] = []
        request = http.stream(
            case.method, case.path, content=json.dumps(body).encode(), headers=self._headers()
        )
        async with request as response:
            async for line in response.aiter_lines():
                if most is not None and len(lines) >= 2 * most:  # an event and the empty line behind it
                    self._heard.outcomes["hung up"] += 1
                    return
                lines.append(line)
        if response.status_code == 200:
            told = answer_of_stream(lines)
        else:
            told = _refusal(response.status_code, json.loads("".join(lines)))
        self._check(case, response, told, began, streamed=True)

    def _headers(self) -> dict[str, str]:
        self._sent = f"{self._name}-{self._asked}"
        return {"Content-Type": "application/json", "X-Request-Id": self._sent}

    def _check(
        self, case: Case, response: httpx.Response, told: Answer, began: float, *, streamed: bool
    ) -> None:
        """Compare what was ``told`` with what is right, and note how long it took."""
        heard = self._heard
        kind = f"{case.kind}, stream" if streamed else case.kind
        heard.seconds[kind].append(time.perf_counter() - began)
        outcome = {200: "answered", 500: "failed"}.get(told.status, "refused")
        heard.outcomes[outcome] += 1
        heard.answers += len(told.texts)
        if told != case.answer:
            self._note(case, streamed, f"gives {told}, and alone {case.answer}")
        if response.headers.get("x-request-id") != self._sent:
            self._note(case, streamed, f"{self._sent} is answered as {response.headers.get('x-request-id')}")

    def _note(self, case: Case, streamed: bool, finding: str) -> None:
        self._heard.outcomes["wrong"] += 1
        how = " as a stream" if streamed else ""
        self._heard.wrong.append(f"{case.method} {case.path}{how} {case.content.decode()} {finding}")


def answer_of(response: httpx.Response) -> Answer:
    """What a whole answer says."""
    told = response.json()
    if response.status_code != 200:
        return _refusal(response.status_code, told)
    if told["object"] == "score":
        return Answer(scores=tuple(each["log_probability"] for each in told["scores"]))
    choices = sorted(told["choices"], key=lambda choice: choice["index"])
    return _answer(
        told,
        texts=[each["message"]["content"] if "message" in each else each["text"] for each in choices],
        reasons=[each["finish_reason"] for each in choices],
    )


def answer_of_stream(lines: Iterable[str]) -> Answer:
    """What the events of a stream say together; a ``code`` where they are no whole stream."""
    events = [line.removeprefix("data: ") for line in lines if line]
    frames = [json.loads(event) for event in events if event != "[DONE]"]
    failed = next((frame for frame in frames if "error" in frame), None)
    if failed is not None:
        return _refusal(500, failed)
    if not events or events[-1] != "[DONE]" or not frames[-1].get("usage"):
        return Answer(code="the stream has no end")
    texts: defaultdict[int, str] = defaultdict(str)
    reasons: dict[int, str] = {}
    for choice in (each for frame in frames for each in frame["choices"]):
        texts[choice["index"]] += _piece(choice)
        if choice["finish_reason"] is not None:
            reasons[choice["index"]] = choice["finish_reason"]
    order = sorted(texts)
    if len({frame["id"] for frame in frames}) != 1:
        return Answer(code="the stream has several ids")
    return _answer(frames[-1], texts=[texts[at] for at in order], reasons=[reasons[at] for at in order])


def _piece(choice: dict[str, Any]) -> str:
    piece = choice["delta"].get("content") if "delta" in choice else choice["text"]
    return piece or ""


def _answer(told: dict[str, Any], *, texts: list[str], reasons: list[str]) -> Answer:
    return Answer(
        texts=tuple(texts),
        reasons=tuple(reasons),
        prompt_tokens=told["usage"]["prompt_tokens"],
        completion_tokens=told["usage"]["completion_tokens"],
        nfe=told["generation"]["nfe"],
    )


def _refusal(status: int, told: dict[str, Any]) -> Answer:
    """What an error says; one that is not shaped as OpenAI's has no code that is right."""
    error = told.get("error", {})
    shaped = set(error) == {"message", "type", "param", "code"} and error["message"] and error["type"]
    return Answer(status=status, code=error["code"] if shaped else f"misshapen: {told}")


def metric(exposition: str, name: str, **labels: str) -> float:
    """The sum of a figure in Prometheus' text format, over all label values that ``labels`` leaves open."""
    total = 0.0
    for told, value in re.findall(rf"^{name}(?:\{{(.*)\}})? (\S+)$", exposition, re.MULTILINE):
        if all(f'{label}="{wanted}"' in told for label, wanted in labels.items()):
            total += float(value)
    return total
