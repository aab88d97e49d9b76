"""Whether the server lives, takes requests, and what it is."""

from __future__ import annotations

from typing import Literal

from llada_server.http.wire.base import Answer

__all__ = ["Health", "Ready", "Versions"]


class Health(Answer):
    """Whether the model's thread works; ``algorithm`` decodes requests that name none."""

    status: Literal["ok", "failed"]
    model: str
    algorithm: str


class Ready(Answer):
    """Whether new requests are taken."""

    ready: bool


class Versions(Answer):
    """Of the server and of what it stands on."""

    version: str
    llada_core: str
