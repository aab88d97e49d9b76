"""What clients are told of every error that this project raises: the status, and whether in its words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import llada_server.serving  # all of the server, and so all of its errors
from llada_core import errors
from llada_core.errors import GenerationError, LladaError
from llada_server.batch.output import OutputError
from llada_server.batch.spread import Lost as LostShare
from llada_server.http.problems import Fields, HttpProblem, Late, problem_of
from llada_server.ray.library import NoCluster
from llada_server.ray.replicas import Lost, NoReplica
from llada_server.scheduler.work import Broken, Closing, Full

SECRET = "the file /srv/models/secret of a prompt; what to do"
FIELDS = Fields(asked="messages", named="algorithm", length="max_tokens")
# By class: the status, the code, the field that it is about, and whether its words are sent.
OF_COMMANDS = {LostShare, NoCluster, OutputError}  # of files and clusters, for nobody who asks a server
TOLD: dict[type[LladaError], tuple[int, str, str | None, bool]] = {
    LladaError: (500, "internal_error", None, False),
    errors.UsageError: (400, "invalid_request", None, True),
    errors.UnknownAlgorithm: (400, "unknown_algorithm", "algorithm", True),
    errors.UnknownPart: (400, "invalid_request", None, True),
    errors.UnknownEngine: (400, "invalid_request", None, True),
    errors.IncompatibleAlgorithm: (400, "algorithm_unavailable", "algorithm", True),
    errors.ModelNotReady: (503, "model_not_ready", None, True),
    errors.ParameterError: (400, "invalid_parameter", "threshold", True),
    errors.PromptError: (400, "invalid_prompt", "messages", True),
    errors.Unavailable: (500, "internal_error", None, False),
    errors.AlgorithmUnavailable: (400, "algorithm_unavailable", "algorithm", True),
    errors.EngineUnavailable: (500, "internal_error", None, False),
    errors.PartUnavailable: (500, "internal_error", None, False),
    errors.ModelError: (500, "internal_error", None, False),
    errors.ModelNotFound: (500, "internal_error", None, False),
    errors.ModelLoadError: (500, "internal_error", None, False),
    errors.UnsupportedModel: (500, "internal_error", None, False),
    errors.IncompatibleEngine: (500, "internal_error", None, False),
    errors.TokenizerMissing: (400, "invalid_prompt", "messages", False),
    errors.CheckpointError: (500, "internal_error", None, False),
    errors.UnsupportedArchitecture: (500, "internal_error", None, False),
    errors.GenerationError: (500, "generation_failed", None, False),
    errors.ContractError: (500, "generation_failed", None, False),
    errors.NoProgress: (500, "generation_failed", None, True),
    errors.NumericalError: (500, "generation_failed", None, True),
    errors.PluginError: (500, "internal_error", None, False),
    errors.PluginConflict: (500, "internal_error", None, False),
    errors.InvalidSpec: (500, "internal_error", None, False),
    Full: (429, "queue_full", None, True),
    Closing: (503, "closing", None, True),
    Broken: (500, "internal_error", None, True),
    Late: (504, "timeout", None, True),
    Lost: (500, "internal_error", None, True),
    NoReplica: (503, "closing", None, True),
}


def made(kind: type[LladaError]) -> LladaError:
    """An error of this class, whatever its ``__init__`` asks for."""
    error = kind.__new__(kind, SECRET)
    error.args = (SECRET,)
    error.__dict__.update(parameter="threshold", path="/srv/models/secret", name="x", reason=SECRET)
    return error


def problem(error: BaseException) -> HttpProblem:
    return problem_of(error, request_id="r-1", fields=FIELDS)


def below(kind: type[LladaError]) -> Iterator[type[LladaError]]:
    for each in kind.__subclasses__():
        yield each
        yield from below(each)


def test_the_table_names_every_error_of_the_core_and_of_the_server() -> None:
    public = {getattr(errors, name) for name in errors.__all__}
    ours = {each for each in below(LladaError) if each.__module__.startswith("llada_server.")}
    assert llada_server.serving is not None
    assert public | ours - OF_COMMANDS == set(TOLD)


@pytest.mark.parametrize("kind", TOLD, ids=lambda kind: kind.__name__)
def test_each_has_its_status_and_sends_its_words_or_the_id(kind: type[LladaError]) -> None:
    status, code, param, sent = TOLD[kind]
    told = problem(made(kind))
    assert (told.status, told.code, told.param) == (status, code, param)
    assert (told.message == SECRET) is sent
    if not sent:
        assert "/srv" not in str(told.body)
        assert ("r-1" in told.message) is (status == 500)  # else there is nothing to be found in the log


@pytest.mark.parametrize("kind", TOLD, ids=lambda kind: kind.__name__)
def test_a_row_that_failed_of_it_sends_its_words_where_they_are_about_the_request(
    kind: type[LladaError],
) -> None:
    failed = GenerationError(f"x failed in row 0: {SECRET}", algorithm="x")
    failed.__cause__ = made(kind)
    told = problem(failed)
    about = TOLD[kind][0] == 400 and TOLD[kind][3]
    ours = issubclass(kind, errors.NoProgress | errors.NumericalError | errors.ModelNotReady)
    assert (told.status, told.code) == (500, "generation_failed")
    assert ("/srv" in told.message) is (about or ours)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(2, "No such file or directory", "/srv/models/secret"),
        ValueError(SECRET),
        KeyError("/srv/models"),
        MemoryError(SECRET),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_is_nobody_s_error_of_ours_is_told_by_its_id(error: Exception) -> None:
    told: dict[str, Any] = problem(error).body["error"]
    assert told == {
        "message": "the server failed at this request; the server's log tells more under the request id r-1",
        "type": "server_error",
        "param": None,
        "code": "internal_error",
    }


def test_a_length_is_called_as_the_request_calls_it() -> None:
    error = errors.ParameterError("too long; shorten it", parameter="gen_length")
    assert problem(error).param == "max_tokens"
