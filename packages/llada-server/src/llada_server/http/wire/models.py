"""What is served and installed: models, algorithms, engines."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from llada_server.http.wire.base import Answer

__all__ = [
    "AlgorithmCard",
    "AlgorithmList",
    "EngineCard",
    "EngineList",
    "ModelCard",
    "ModelList",
    "ParameterCard",
]


class ModelCard(Answer):
    """The served model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "llada"
    root: str = Field(description="Where it was loaded from.")
    parent: None = None
    max_model_len: int | None = Field(description="Tokens of prompt and answer together.")
    engine: str


class ModelList(Answer):
    """All served models."""

    object: Literal["list"] = "list"
    data: list[ModelCard]


class ParameterCard(Answer):
    """A decoding parameter: what a page needs for a control."""

    name: str
    aliases: list[str]
    kind: Literal["int", "float", "bool", "str"]
    default: Any
    minimum: float | None
    maximum: float | None
    exclusive_minimum: bool
    choices: list[str]
    nullable: bool
    default_unless: list[str] = Field(description="Giving one of these switches the default off.")
    expected: str = Field(description="The range in words.")
    summary: str


class AlgorithmCard(Answer):
    """An algorithm that is installed."""

    name: str
    engine: str
    description: str
    aliases: list[str]
    distribution: str | None
    streams: bool = Field(description="False: its requests are one call, which holds up all others.")
    runs: bool = Field(description="Whether requests to this server may name it.")
    reason: str | None = Field(description="Why not.")
    infills: bool = Field(description="Whether `/v1/infill` takes it here.")
    default: bool = Field(description="Whether it decodes requests that name none.")
    parameters: list[ParameterCard]


class AlgorithmList(Answer):
    """All algorithms that are installed."""

    object: Literal["list"] = "list"
    data: list[AlgorithmCard]


class EngineCard(Answer):
    """An engine that is installed."""

    name: str
    summary: str
    aliases: list[str]
    distribution: str | None
    available: bool
    reason: str | None
    loaded: bool = Field(description="Whether the served model was loaded by it.")
    default_algorithm: str
    algorithms: list[str]
    priority: int


class EngineList(Answer):
    """All engines that are installed."""

    object: Literal["list"] = "list"
    data: list[EngineCard]
