"""Who may ask: the key that requests carry."""

from __future__ import annotations

import hmac

from starlette.requests import Request

from llada_server.http.problems import HttpProblem

__all__ = ["OPEN_PATHS", "check_key"]

OPEN_PATHS = frozenset({"/", "/health", "/ready"})
"""What load balancers ask without a key, and the page, which holds nothing and asks for the key itself."""

_SPACES = " \t"  # those of HTTP: others may be bytes of a letter


def check_key(request: Request, key: str | None) -> None:
    """Refuse a request that does not carry ``key``; None lets everybody in.

    The comparison takes as long for a key that is nearly right as for any other.
    """
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))  # with it or without
    if key is None or _is_open(path):
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # Headers are bytes, which come as Latin-1 whatever they are; spaces at their ends do not come.
    sent = given.strip(_SPACES).encode("latin-1")
    right = key.strip(_SPACES).encode(errors="surrogateescape")  # a variable may be of any bytes
    if scheme.lower() != "bearer" or not hmac.compare_digest(sent, right):
        raise HttpProblem(
            401,
            "this server asks for its key; send it as Authorization: Bearer KEY",
            type="authentication_error",
            code="invalid_api_key",
            headers={"WWW-Authenticate": "Bearer"},
        )


def _is_open(path: str) -> bool:
    return path in OPEN_PATHS or path.startswith("/playground/")
