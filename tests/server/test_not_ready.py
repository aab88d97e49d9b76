"""A server whose program has put the model to sleep says so to every kind of request, and then goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llada_core import LoadedModel, load_model
from tests.support.served import served_client

PROMPT = "Ann has 3 apples."
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "chat": ("chat/completions", {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 2}),
    "completion": ("completions", {"prompt": PROMPT, "max_tokens": 2}),
    "echo": ("completions", {"prompt": PROMPT, "max_tokens": 2, "echo": True, "logprobs": 1}),
    "infill": ("infill", {"template": "Ann has {{1}} apples."}),
    "score": ("score", {"template": "Ann has {{1}} apples.", "candidates": ["3", "12 or 13"]}),
}


@pytest.fixture(scope="module")
def lm() -> Iterator[LoadedModel]:
    with load_model(engine="fast-dllm", device="cpu") as lm:
        yield lm


def test_requests_to_a_model_that_sleeps_are_to_be_repeated(lm: LoadedModel) -> None:
    with served_client(lm, "fast-dllm") as client:

        def told() -> dict[str, Any]:
            answers = {name: client.post(f"/v1/{path}", json=body) for name, (path, body) in ASKED.items()}
            return {
                name: (
                    each.status_code,
                    each.json().get("error", {}).get("code"),
                    "retry-after" in each.headers,
                )
                for name, each in answers.items()
            }

        lm.sleep()
        assert client.get("/ready").status_code == 503
        assert told() == dict.fromkeys(ASKED, (503, "model_not_ready", True))
        lm.wake()
        assert client.get("/ready").status_code == 200
        assert told() == dict.fromkeys(ASKED, (200, None, False))


@pytest.mark.parametrize("kind", ["echo", "score"])
def test_a_question_is_refused_that_a_sleep_comes_into(
    lm: LoadedModel, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs forwards of its own is no row, which nobody would let sleep."""
    path, body = ASKED[kind]
    chosen = lm.algorithm()
    way = "token_odds" if kind == "echo" else "log_probabilities"
    tell, forwards = getattr(chosen, way), []

    def counted(*args: Any, **options: Any) -> Any:
        forwards.append(way)
        return tell(*args, **options)

    monkeypatch.setattr(chosen, way, counted)
    with served_client(lm, "fast-dllm", max_num_seqs=1, max_queue=3) as client:
        assert client.post(f"/v1/{path}", json=body).status_code == 200
        wanted, steps = len(forwards), lm.while_ready

        def sleeps_behind_the_first(parts: Any) -> Any:
            ready = steps(parts)
            yield next(ready)
            lm.sleep()
            return (yield from ready)

        monkeypatch.setattr(lm, "while_ready", sleeps_behind_the_first)
        forwards.clear()
        answer = client.post(f"/v1/{path}", json=body)
        lm.wake()
    assert wanted > 1
    assert len(forwards) == 1
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "model_not_ready")
