"""``POST /tokenize`` and ``/detokenize``."""

from __future__ import annotations

from fastapi import APIRouter, Request

from llada_server.http.documented import ASKED
from llada_server.http.parsing import ParsedRoute
from llada_server.http.problems import Fields
from llada_server.http.served import Served
from llada_server.http.wire.tokens import DetokenizeRequest, Text, TokenizeRequest, Tokens

__all__ = ["router"]


def router(served: Served) -> APIRouter:
    """The paths, for this model."""
    routes = APIRouter(tags=["Tokens"], route_class=ParsedRoute)

    @routes.post("/tokenize", responses=ASKED)
    def tokenize(body: TokenizeRequest, request: Request) -> Tokens:
        """The ids that a prompt becomes."""
        served.check_name(body.model)
        if body.messages is not None:
            request.state.fields = Fields(asked="messages")
            prompt = served.conversation(body.messages)
            ids = served.reader.encode(prompt, raw=not served.settings.use_chat_template)
        else:
            ids = served.reader.encode(body.prompt, raw=True)
        return Tokens(tokens=ids, count=len(ids), max_model_len=served.max_model_len)

    @routes.post("/detokenize", responses=ASKED)
    def detokenize(body: DetokenizeRequest) -> Text:
        """The text of ids."""
        served.check_name(body.model)
        return Text(prompt=served.text_of(body.tokens, field="tokens"))

    return routes
