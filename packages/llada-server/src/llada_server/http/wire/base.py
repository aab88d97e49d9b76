"""What all requests and answers of the API have in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, field_validator, model_validator
from pydantic_core import PydanticCustomError

from llada_core.parameters import STANDARD
from llada_server.http.wire.neutral import refuse_unimplemented

__all__ = [
    "AlgorithmRequest",
    "Answer",
    "DecodingRequest",
    "Request",
    "StreamOptions",
    "Wire",
    "examples",
    "wrong",
]


_MOST_FIELDS = 256  # of an object
_MOST_STOPS, _LONGEST_STOP = 64, 256  # each is looked for in every new piece of text


def examples(*bodies: dict[str, Any]) -> ConfigDict:
    """The config of a request whose part of the document has these examples."""
    return ConfigDict(json_schema_extra={"examples": list(bodies)})


def wrong(field: str, message: str) -> PydanticCustomError:
    """The error of a check that is about this field; ``message`` ends with what to do."""
    return PydanticCustomError("invalid_field", "{message}", {"field": field, "message": message})


def _texts(given: Any, field: str) -> Any:
    """Refuse what is neither a text nor a list of texts, in words that name JSON's types."""
    if isinstance(given, str) or given is None:
        return given
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise wrong(field, f"{field} is a text or a list of texts; give one of these")
    return given


def _without_nulls(given: Any, model: type[BaseModel], *, further: bool) -> Any:
    """The object without fields that are null and may be left out: clients send null for what they were not
    given. ``further``: also those that the model does not name. Refuses one of too many fields."""
    if not isinstance(given, dict):
        return given
    if len(given) > _MOST_FIELDS:
        told = f"an object has at most {_MOST_FIELDS} fields, and this one {len(given)}; leave some out"
        raise PydanticCustomError("invalid_field", "{message}", {"message": told})
    fields = model.model_fields

    def may_go(name: str) -> bool:
        return not fields[name].is_required() if name in fields else further

    return {name: value for name, value in given.items() if value is not None or not may_go(name)}


class Wire(BaseModel):
    """A JSON object of the API. Fields that it does not name are refused, unless they are null."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _leave_nulls_out(cls, given: Any) -> Any:
        return _without_nulls(given, cls, further=True)


class Answer(BaseModel):
    """A JSON object that the server sends."""

    model_config = ConfigDict(frozen=True)


class StreamOptions(Wire):
    """What a stream tells besides text."""

    @model_validator(mode="before")
    @classmethod
    def _refuse_unimplemented(cls, given: Any) -> Any:
        return refuse_unimplemented(given, implemented=cls.model_fields, within="stream_options")

    include_usage: StrictBool = Field(default=False, description="One more chunk at the end, with the usage.")
    denoise: StrictBool = Field(
        default=False, description="Frames of type generation.denoise: what each forward changed."
    )


class Request(BaseModel):
    """A request whose fields beyond the named ones are parameters of the algorithm.

    Fields of OpenAI that are not implemented pass at the value that changes nothing, and are refused at every
    other one. Null is as good as left out, but for a parameter of the algorithm that has a meaning for it.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    model: str | None = Field(
        default=None, description="A name that GET /v1/models lists; none is the served model."
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unimplemented(cls, given: Any) -> Any:
        kept = refuse_unimplemented(given, implemented=cls.model_fields)
        return _without_nulls(kept, cls, further=False)

    @property
    def parameters(self) -> dict[str, Any]:
        """The algorithm's parameters, by name or alias."""
        return dict(self.__pydantic_extra__ or {})


class AlgorithmRequest(Request):
    """A request that may name its algorithm, in either of two fields."""

    generation_algorithm: str | None = Field(
        default=None, description="An algorithm or alias that GET /generation/algorithms lists."
    )
    algorithm: str | None = Field(default=None, description="The same as generation_algorithm.")

    @model_validator(mode="after")
    def _one_algorithm(self) -> AlgorithmRequest:
        if len({self.algorithm, self.generation_algorithm} - {None}) > 1:
            raise wrong("algorithm", "algorithm and generation_algorithm name two algorithms; give one")
        return self

    @property
    def chosen_algorithm(self) -> str | None:
        return self.algorithm if self.generation_algorithm is None else self.generation_algorithm

    @property
    def naming_field(self) -> str:
        """The field that names the algorithm; the first of both where none does."""
        alone = self.generation_algorithm is None and self.algorithm is not None
        return "algorithm" if alone else "generation_algorithm"


class DecodingRequest(AlgorithmRequest):
    """What chat, completions and infilling take: which algorithm decodes, how, and what comes back."""

    seed: StrictInt | None = Field(
        default=None, description="Seed of the random generator; answer n draws from seed + n."
    )
    n: StrictInt = Field(default=1, ge=1, le=128, description="How many answers.")
    stop: str | list[str] | None = Field(
        default=None, description="Texts that end an answer; they are not part of it."
    )
    stream: StrictBool = Field(
        default=False, description="Send the text as server-sent events, as soon as it is final."
    )
    stream_options: StreamOptions | None = Field(default=None, description="Only with stream.")
    user: str | None = Field(default=None, description="Taken for compatibility; not used, not logged.")

    @model_validator(mode="after")
    def _check(self) -> DecodingRequest:
        if self.stream_options is not None and not self.stream:
            told = "stream_options is for streams; set stream to true or leave it out"
            raise wrong("stream_options", told)
        if any(not text for text in self.stops):
            raise wrong("stop", "stop holds an empty text; leave it out")
        if len(self.stops) > _MOST_STOPS or any(len(text) > _LONGEST_STOP for text in self.stops):
            told = (
                f"stop may be {_MOST_STOPS} texts of {_LONGEST_STOP} characters; give fewer or shorter ones"
            )
            raise wrong("stop", told)
        return self

    @field_validator("stop", mode="before")
    @classmethod
    def _stop_is_text(cls, given: Any) -> Any:
        return _texts(given, "stop")

    def length_field(self, otherwise: str = "max_tokens") -> str:
        """The field that says how long an answer may be, as the client called it, else ``otherwise``."""
        return next((name for name in STANDARD["gen_length"].names if name in self.parameters), otherwise)

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts that end an answer."""
        if self.stop is None:
            return ()
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop)
