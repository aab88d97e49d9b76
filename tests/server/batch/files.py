"""Lines of requests, and what is read of their answers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

__all__ = ["answers_in", "chat", "completion", "line", "texts_of", "write"]


def line(custom_id: str, url: str, body: Any, **more: Any) -> str:
    """One request."""
    return json.dumps({"custom_id": custom_id, "method": "POST", "url": url, "body": body, **more})


def completion(custom_id: str, prompt: str | list[str], **more: Any) -> str:
    """A text to go on with; to a scripted model, its script."""
    return line(custom_id, "/v1/completions", {"prompt": prompt, **more})


def chat(custom_id: str, content: str, **more: Any) -> str:
    """A conversation of one message."""
    body = {"messages": [{"role": "user", "content": content}], **more}
    return line(custom_id, "/v1/chat/completions", body)


def write(path: Path, lines: Iterable[str]) -> Path:
    """The file with these lines."""
    path.write_text("".join(f"{each}\n" for each in lines))
    return path


def answers_in(path: Path) -> dict[str, dict[str, Any]]:
    """The answers by their ids; each stands there once."""
    told = [json.loads(each) for each in path.read_bytes().splitlines()]
    found = {each["custom_id"]: each for each in told}
    assert len(found) == len(told)
    return found


def texts_of(answer: dict[str, Any]) -> list[str]:
    """The texts of an answer, which is there."""
    assert answer["response"]["status_code"] == 200, answer
    return [
        each["message"]["content"] if "message" in each else each["text"]
        for each in answer["response"]["body"]["choices"]
    ]
