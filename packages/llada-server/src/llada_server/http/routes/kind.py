"""What the paths that ask the model have in common: for their routes, and for who asks without HTTP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from pydantic import BaseModel
from starlette.datastructures import State

from llada_server.http.problems import Fields
from llada_server.http.served import Served
from llada_server.http.wire.base import AlgorithmRequest

__all__ = ["Kind", "Whole"]

Body = TypeVar("Body", bound=AlgorithmRequest)


class Whole(Protocol):
    """What one body asks for; ``count`` is how many places of the model's thread it takes."""

    @property
    def count(self) -> int: ...

    async def whole(self) -> BaseModel:
        """The answer, all at once. Raises what is wrong with the request, and what fails in work."""
        ...


Ask_co = TypeVar("Ask_co", bound=Whole, covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[Body, Ask_co]):
    """One kind of request.

    Attributes:
        path: where it is sent. body: the model of its JSON.
        fields: what it calls its parts, for errors that are about them.
        asked: what a body asks of a model. Raises what can be told before anything is in work.
    """

    path: str
    body: type[Body]
    fields: Callable[[Body], Fields]
    asked: Callable[[Served, Body], Ask_co]

    def take(self, served: Served, body: Body, state: State) -> Ask_co:
        """What a body asks, once its ``state`` says what errors are about. Raises as ``asked``."""
        state.fields = self.fields(body)
        return self.asked(served, body)
