"""Who may ask: by the key, by the page that asks, and by the path of a proxy."""

from __future__ import annotations

import pytest

from tests.server.apps import scripted_server
from tests.server.test_http import complete, error


def test_a_key_is_asked_for_everywhere_but_where_nothing_is_told() -> None:
    with scripted_server(api_key="secret") as running, running.client() as client:
        for path in ("/health", "/ready", "/", "/playground/api.js"):
            assert client.get(path).status_code == 200
        for path in (
            "/v1/models",
            "/metrics",
            "/generation/algorithms",
            "/openapi.json",
            "/version",
        ):
            refused = client.get(path)
            assert refused.status_code == 401
            assert error(refused)["type"] == "authentication_error"
        for header in (b"Bearer wrong", b"Bearer", b"secret", b"Basic secret", "Bearer sécret".encode()):
            assert client.get("/v1/models", headers={b"Authorization": header}).status_code == 401
        assert client.get("/v1/models", headers={"Authorization": "Bearer secret"}).status_code == 200
        assert complete(client).status_code == 401


def test_a_key_may_be_of_any_characters() -> None:
    key = "sécret".encode()
    with scripted_server(api_key="sécret") as running, running.client() as client:
        for sent, status in ((key, 200), ("sécret".encode("latin-1"), 401)):
            headers = {b"Authorization": b"Bearer " + sent}
            assert client.get("/v1/models", headers=headers).status_code == status


@pytest.mark.parametrize("key", ["s\u00e0", "\u0160", " secret\t", "a b", "\udcff"])
def test_a_key_is_what_stands_between_its_spaces(key: str) -> None:
    with scripted_server(api_key=key) as running, running.client() as client:
        headers = {b"Authorization": b"Bearer   " + key.strip(" \t").encode(errors="surrogateescape")}
        assert client.get("/v1/models", headers=headers).status_code == 200
        assert client.get("/v1/models", headers={"Authorization": "Bearer"}).status_code == 401


def test_the_page_behind_a_proxy_is_found_without_its_last_slash() -> None:
    with scripted_server(root_path="/llada", api_key="secret") as running, running.client() as client:
        found = client.get("/llada")
        assert found.is_redirect
        assert found.headers["location"] == "/llada/"
        assert found.headers["x-request-id"]
        assert client.get("/llada", follow_redirects=True).headers["content-type"].startswith("text/html")
        assert client.get("/lladametrics").status_code == 401


@pytest.mark.parametrize("prefix", ["", "/llada"])
def test_a_path_of_a_proxy_may_be_left_or_taken_away(prefix: str) -> None:
    with scripted_server(root_path="/llada", api_key="secret") as running, running.client() as client:
        for path in ("/health", "/ready", "/", "/playground/api.js"):
            assert client.get(prefix + path).status_code == 200
        assert client.get(f"{prefix}/v1/models").status_code == 401
        client.headers["Authorization"] = "Bearer secret"
        assert client.get(f"{prefix}/v1/models").status_code == 200
        assert client.get(f"{prefix}/nowhere").status_code == 404
        assert client.get(f"{prefix}/openapi.json").json()["servers"] == [{"url": "/llada"}]


def test_a_preflight_passes_though_a_key_is_asked_for() -> None:
    asked = {
        "Origin": "https://mine.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, x-stainless-lang",
    }
    origins = (asked["Origin"],)
    with scripted_server(api_key="secret", cors_origins=origins) as running, running.client() as client:
        allowed = client.options("/v1/completions", headers=asked)
        assert allowed.status_code == 200
        assert "x-stainless-lang" in allowed.headers["access-control-allow-headers"]
        assert allowed.headers["x-request-id"]
        for changed, wrong in (
            ({"Origin": "https://other.example"}, "origin"),
            ({"Access-Control-Request-Method": "DELETE"}, "method"),
        ):
            refused = client.options("/v1/completions", headers={**asked, **changed})
            assert refused.status_code == 400
            assert error(refused)["message"].startswith(f"a page may not ask so ({wrong}); --cors-origin")
            assert refused.headers["x-request-id"]
            assert "origin" in refused.headers["vary"].lower()
        told = client.get("/v1/models", headers={"Origin": asked["Origin"]})
        assert told.status_code == 401  # and the page may read why
        assert told.headers["access-control-allow-origin"] == asked["Origin"]


def test_what_is_too_large_has_its_id_and_asks_for_the_key_first() -> None:
    with scripted_server(max_body=200, api_key="secret") as running, running.client() as client:
        assert complete(client, prompt="x" * 300).status_code == 401
        client.headers["Authorization"] = "Bearer secret"
        large = client.post("/v1/completions", content=b"x" * 300, headers={"X-Request-Id": "mine"})
        assert (large.status_code, large.headers["x-request-id"]) == (413, "mine")


def test_pages_of_other_hosts_may_not_ask_unless_allowed() -> None:
    origin = {"Origin": "https://elsewhere.example"}
    with scripted_server() as running, running.client() as client:
        assert "access-control-allow-origin" not in client.get("/v1/models", headers=origin).headers
    with scripted_server(cors_origins=("https://elsewhere.example",)) as running, running.client() as open_:
        allowed = open_.get("/v1/models", headers=origin).headers
        assert allowed["access-control-allow-origin"] == "https://elsewhere.example"
