"""What a line may be, and what is said of one that is no request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llada_server.batch.entries import Unusable, as_request, named
from llada_server.batch.lines import Line
from tests.server.batch.files import line

URLS = ("/v1/completions",)
GOOD = {"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": {"prompt": "b"}}


def refusal(text: bytes | None) -> Unusable:
    with pytest.raises(Unusable) as told:
        as_request(named(Line(7, text), most=10_000), urls=URLS)
    assert told.value.message.startswith("line 7")
    return told.value


def without(name: str) -> bytes:
    return json.dumps({key: value for key, value in GOOD.items() if key != name}).encode()


def test_a_request_is_read() -> None:
    text = line("é", URLS[0], {"prompt": "b"}).encode()
    request = as_request(named(Line(7, text), most=10_000), urls=URLS)
    assert (request.custom_id, request.url, request.body) == ("é", URLS[0], {"prompt": "b"})


@pytest.mark.parametrize(
    ("text", "code", "param", "said"),
    [
        (None, "request_too_large", None, "is longer than 10000 bytes; shorten it"),
        (b"{", "invalid_json", None, "is no JSON ("),
        (b"[" * 9000, "invalid_json", None, "is no JSON ("),
        (b'{"custom_id": ' + b"1" * 5000 + b"}", "invalid_json", None, "is no JSON ("),
        (b'{"custom_id": "\xe9"}', "invalid_json", None, "is not UTF-8 (byte 0xe9 at 15)"),
        (b"[]", "invalid_json", None, "is no JSON object"),
        (without("custom_id"), "invalid_field", "custom_id", "has no custom_id"),
        (b'{"custom_id": null}', "invalid_field", "custom_id", "has no custom_id"),
        (b'{"custom_id": ""}', "invalid_field", "custom_id", "has no custom_id"),
        (b'{"custom_id": 3}', "invalid_field", "custom_id", "has a custom_id that is no text"),
        (b'{"custom_id": "\\ud800"}', "invalid_field", "custom_id", "has a custom_id that is no text"),
        (without("method"), "invalid_field", "method", ": method is missing; give it"),
        (without("url"), "invalid_field", "url", ": url is missing; give it"),
        (without("body"), "invalid_field", "body", ": body is missing; give it"),
        (json.dumps({**GOOD, "method": "GET"}).encode(), "invalid_field", "method", "POST"),
        (json.dumps({**GOOD, "more": 1}).encode(), "invalid_field", "more", "more is no field"),
        (json.dumps({**GOOD, "a\ud800": 1}).encode(), "invalid_field", r"a\ud800", "holds half a character"),
        (json.dumps({**GOOD, "url": "\ud800"}).encode(), "invalid_field", "url", ": url holds half a char"),
        (json.dumps({**GOOD, "url": "/x"}).encode(), "invalid_field", "url", "give one of /v1/completions"),
    ],
)  # fmt: skip
def test_what_is_no_request_is_told_with_its_line(
    text: bytes | None, code: str, param: str | None, said: str
) -> None:
    told = refusal(text)
    assert (told.code, told.param) == (code, param)
    assert said in told.message


def test_a_line_that_holds_too_much_is_refused_before_it_is_read() -> None:
    many: Any = {**GOOD, "body": {"prompt": [0] * 200_000}}
    with pytest.raises(Unusable, match=r"^line 7: .* holds more than") as told:
        named(Line(7, json.dumps(many).encode()), most=10**7)
    assert told.value.code == "request_too_large"
