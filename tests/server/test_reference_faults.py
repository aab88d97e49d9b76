"""Fourteen faults that servers of diffusion models had, and that this one is shown not to have."""

from __future__ import annotations

import json
import logging
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from llada_core import LoadedModel, detect_engine, load_model, registry
from llada_core.errors import (
    ContractError,
    GenerationError,
    NumericalError,
    PromptError,
    UnsupportedModel,
)
from llada_runtime import NoCache, StepAlgorithm
from llada_server.http.problems import problem_of
from llada_server.serving import loaded, served_model
from llada_server.settings import ServerSettings
from llada_tiny import model_path
from tests.server.apps import Running, model_server, scripted_server
from tests.server.fakes import ScriptedSession
from tests.server.test_worker import until
from tests.support.ports import free_port
from tests.support.program import Llada, error

SUM = "What is 12 + 30?"
SORT = "Sort the list 9, 4, 7, 1."
LILY = (
    "Lily can run 12 kilometers per hour for 4 hours. After that, she can run 6 kilometers per hour. How "
    "many kilometers can she run in 8 hours?"
)
MISLEADING = ("Nemotron-Labs-Diffusion-8B", "dream-7b", "sdar-llada2-moe", "model")
BATCH_SERVER = "from llada_server.reference_flags import main; main()"


@pytest.fixture(scope="module")
def batching() -> Iterator[httpx.Client]:
    """A server whose requests wait for each other, so that they share their forwards."""
    with model_server(max_wait=0.3) as running, running.client() as client:
        yield client


@pytest.fixture(scope="module")
def alone() -> LoadedModel:
    """The model, without a server."""
    return load_model(engine="fast-dllm")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """A server as users start it, that logs all it can, on a model whose folder is called after others."""
    folder = tmp_path_factory.mktemp("models") / MISLEADING[0]
    shutil.copytree(model_path(), folder)
    log = tmp_path_factory.mktemp("logs") / "server.log"
    with started("--model-path", str(folder), "--verbose", log=log) as running:
        yield running


class Process(httpx.Client):
    """A client of a server in a process of its own; ``log`` is what that has written."""

    log: Path


@contextmanager
def started(*flags: str, log: Path) -> Iterator[Process]:
    port = free_port()
    with log.open("wb") as out:
        run = subprocess.Popen(
            [sys.executable, "-c", BATCH_SERVER, *flags, "--port", str(port)],
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        with Process(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            client.log = log
            _until_ready(client, run)
            yield client
    finally:
        run.send_signal(signal.SIGTERM)
        try:
            run.wait(20)
        finally:
            run.kill()


def _until_ready(client: Process, run: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + 60
    while True:
        assert run.poll() is None, client.log.read_text()
        assert time.monotonic() < limit, client.log.read_text()
        try:
            assert client.get("/ready").status_code == 200
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return


def chat(client: httpx.Client, content: str = SUM, **body: Any) -> httpx.Response:
    messages = [{"role": "user", "content": content}]
    return client.post("/v1/chat/completions", json={"messages": messages, "max_tokens": 32, **body})


def told(response: httpx.Response) -> dict[str, Any]:
    """The answer, which must be one."""
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


def text_of(response: httpx.Response) -> str:
    return str(told(response)["choices"][0]["message"]["content"])


def refusal(response: httpx.Response, status: int = 400) -> dict[str, Any]:
    """The error, in the shape that clients know."""
    assert response.status_code == status, response.text
    found: dict[str, Any] = response.json()["error"]
    assert set(found) == {"message", "type", "param", "code"}
    return found


def together(client: httpx.Client, asked: Sequence[dict[str, Any]]) -> list[httpx.Response]:
    """The answers to requests that run in the same forwards."""
    before = client.get("/batch/stats").json()
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda body: chat(client, **body), asked))
    after = client.get("/batch/stats").json()
    rows, forwards = (after[name] - before[name] for name in ("step_batch_size_sum", "step_batch_size_count"))
    assert rows > forwards, "no forward had two rows"
    return answers


def deltas(response: httpx.Response) -> Iterator[str]:
    """The pieces of text of a stream, as they come."""
    for line in response.iter_lines():
        if line.startswith("data: {"):
            for choice in json.loads(line.removeprefix("data: "))["choices"]:
                yield choice["text"] if "text" in choice else choice["delta"]["content"] or ""


# 1. The kind of a model was guessed from words in its path.


@pytest.mark.parametrize("name", MISLEADING)
def test_a_model_is_what_its_config_says_whatever_its_folder_is_called(tmp_path: Path, name: str) -> None:
    """A model of one family was taken for one of another, and refused, for a word in its path."""
    folder = tmp_path / "nemotron" / name
    folder.parent.mkdir()
    folder.symlink_to(model_path())
    with loaded(ServerSettings(model=str(folder), device="cpu")) as model:
        assert model.engine.name == detect_engine(model_path())
        assert model.generate(SUM, max_tokens=32).text == "12 + 30 = 42."


def test_a_server_of_a_misleading_folder_answers(process: Process) -> None:
    """The same, from the command line on."""
    assert told(process.get("/v1/models"))["data"][0]["engine"] == detect_engine(model_path())
    assert text_of(chat(process)) == "12 + 30 = 42."


# 2. A request that named no algorithm failed.


@pytest.mark.parametrize("engine", ["fast-dllm", "dinfer"])
def test_a_request_that_names_no_algorithm_gets_the_engine_s_own(engine: str) -> None:
    """The default was the one of another engine, which could not run."""
    with model_server(engine=engine) as running, running.client() as client:
        default = registry.get_default_algorithm_for_engine(engine)
        assert told(client.get("/health"))["algorithm"] == default
        generation = told(chat(client))["generation"]
        assert (generation["engine"], generation["algorithm"]) == (engine, default)


# 3. Fields were taken and not used.


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_length_that_is_asked_for_holds(client: httpx.Client, field: str) -> None:
    """``max_tokens`` was ignored."""
    messages = [{"role": "user", "content": LILY}]
    answer = told(client.post("/v1/chat/completions", json={"messages": messages, field: 7}))
    assert answer["usage"]["completion_tokens"] == 7
    assert answer["generation"]["parameters"]["gen_length"] == 7


@pytest.mark.parametrize("field", ["thresold", "top_logits", "foo", "Max_Tokens"])
def test_a_field_that_nobody_knows_is_refused_by_name(client: httpx.Client, field: str) -> None:
    """Unknown fields were accepted in silence."""
    given: dict[str, Any] = {field: 1}
    assert refusal(chat(client, **given))["param"] == field


@pytest.mark.parametrize(("field", "value"), [("top_p", 0.5), ("top_k", 3), ("cfg_scale", 1.5)])
def test_a_parameter_is_used_or_refused(client: httpx.Client, field: str, value: Any) -> None:
    """They were accepted and never used: here one is taken if and only if the algorithm declares it."""
    listed = told(client.get("/generation/algorithms"))["data"]
    (declared,) = [[each["name"] for each in one["parameters"]] for one in listed if one["default"]]
    response = chat(client, **{field: value})
    if field in declared:
        assert told(response)["generation"]["parameters"][field] == value
    else:
        assert refusal(response)["param"] == field


def test_stop_ends_the_answer(client: httpx.Client) -> None:
    """``stop`` was accepted and never used."""
    choice = told(chat(client, stop=" ="))["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("12 + 30", "stop")


def test_n_answers_differ_by_their_seed_and_come_again_with_it(client: httpx.Client) -> None:
    """``n`` and ``seed`` were accepted and never used."""

    def texts(seed: int) -> list[str]:
        answer = told(chat(client, LILY, n=3, seed=seed, temperature=1.5))
        return [choice["message"]["content"] for choice in answer["choices"]]

    first = texts(7)
    assert len(first) == 3
    assert len(set(first)) > 1
    assert texts(7) == first
    assert texts(1007) != first
    assert texts(8)[:2] == first[1:]


# 4. Nothing else was answered while an answer was computed.


def test_health_is_answered_all_along_a_long_generation(server: Running) -> None:
    """``/health`` hung for the length of a batch."""
    waits: list[float] = []
    patient = httpx.Client(base_url=server.url, timeout=60)
    with ThreadPoolExecutor(1) as pool, patient as asking, server.client() as client:
        body = {"generation_algorithm": "basic", "max_tokens": 64, "steps": 64, "early_stop": False}
        answer = pool.submit(chat, asking, LILY, **body, threshold=None)
        until(lambda: server.worker.running == 1)
        while not answer.done():
            began = time.monotonic()
            assert client.get("/health").status_code == 200
            waits.append(time.monotonic() - began)
            time.sleep(0.01)
        assert told(answer.result())["generation"]["nfe"] == 64
    assert len(waits) > 10
    assert max(waits) < 1


# 5. The parameters of the first request of a batch were those of all.


def test_each_request_of_a_batch_has_its_own_parameters(batching: httpx.Client, alone: LoadedModel) -> None:
    """The first one's were applied to every other."""
    asked: list[dict[str, Any]] = [
        {"content": SUM, "max_tokens": 16, "generation_algorithm": "basic", "steps": 16, "threshold": None},
        {"content": SUM, "max_tokens": 32, "generation_algorithm": "dual_cache", "threshold": 0.5},
        {"content": SUM, "max_tokens": 24, "generation_algorithm": "prefix_cache", "block_length": 8},
        {"content": SUM, "max_tokens": 32, "generation_algorithm": "basic", "temperature": 1.5, "seed": 3},
    ]
    for body, response in zip(asked, together(batching, asked), strict=True):
        given = {
            name: value for name, value in body.items() if name not in ("content", "generation_algorithm")
        }
        own = alone.generate(
            [{"role": "user", "content": body["content"]}], algorithm=body["generation_algorithm"], **given
        )
        answer = told(response)
        assert answer["generation"]["algorithm"] == body["generation_algorithm"]
        assert answer["generation"]["parameters"] == dict(own.parameters)
        assert (text_of(response), answer["generation"]["nfe"]) == (own.text, own.nfe)


# 6. A bad request took its neighbours along, and internal text went to clients.


class Secretive(StepAlgorithm):
    """An algorithm that fails in words which are nobody else's business."""

    name, engine = "secretive", "fast-dllm"
    parameters = registry.get_algorithm_info("basic").parameters

    def policy(self, params: Any) -> NoCache:
        return NoCache()

    def rule(self, params: Any) -> Any:
        raise RuntimeError("secret of /etc/shadow")


@pytest.fixture
def secretive() -> Iterator[None]:
    undo = registry.register_algorithm(Secretive)
    yield
    undo()


@pytest.mark.usefixtures("secretive")
def test_a_bad_request_fails_alone(batching: httpx.Client) -> None:
    """One that named an unknown algorithm turned a whole batch into errors."""
    bad = ["no_such_algorithm", "nemotron_block", "secretive"]
    asked = [{"generation_algorithm": name} for name in ("basic", *bad, "dual_cache")]
    first, unknown, foreign, failing, last = together(batching, asked)
    assert refusal(unknown)["code"] == "unknown_algorithm"
    assert re.search(r"give one of .*\bbasic, ", refusal(foreign)["message"])
    assert refusal(failing, status=500)["code"] == "generation_failed"
    assert text_of(first) == text_of(last) == "12 + 30 = 42."


@pytest.mark.usefixtures("secretive")
@pytest.mark.parametrize("stream", [False, True])
def test_the_text_of_an_internal_error_stays_in_the_log(
    client: httpx.Client, caplog: pytest.LogCaptureFixture, stream: bool
) -> None:
    """It was sent to the client: here that one gets the id under which it is found."""
    response = chat(client, generation_algorithm="secretive", stream=stream)
    assert "secret of" not in response.text
    assert "RuntimeError" not in response.text
    assert response.headers["x-request-id"] in response.text
    assert "secret of /etc/shadow" in caplog.text


@pytest.mark.parametrize(
    ("kind", "cause", "sent"),
    [
        (GenerationError, RuntimeError("own words"), False),
        (ContractError, ContractError("own words"), False),
        (NumericalError, NumericalError("own words"), True),
        (GenerationError, PromptError("own words"), True),
    ],
)
def test_words_made_for_users_are_sent(kind: type[GenerationError], cause: Exception, sent: bool) -> None:
    """The same, of what is ours: what a row failed of is told where it was said for users."""
    failed = kind(f"x failed in row 0: {cause}", algorithm="x")
    failed.__cause__ = cause
    problem = problem_of(failed, request_id="r-1")
    assert (problem.status, problem.code) == (500, "generation_failed")
    assert ("own words" in problem.message) is sent
    assert ("r-1" in problem.message) is not sent


# 7. Streams were no streams.


def test_text_leaves_when_it_is_written_with_its_newlines() -> None:
    """All was generated first and then sent by words, with pauses, and newlines were lost."""
    script = "a \n\n  b\r\n\tc\n"
    session = ScriptedSession(gate=threading.Semaphore(0))
    assert session.gate is not None
    with scripted_server(session) as running, running.client() as client:
        body = {"prompt": script, "stream": True}
        with client.stream("POST", "/v1/completions", json=body) as response:
            pieces = (piece for piece in deltas(response) if piece)
            for number, character in enumerate(script):
                session.gate.release()
                assert next(pieces) == character
                assert session.steps <= number + 1, "it is further than what was sent"
            assert "".join(pieces) == ""


@pytest.mark.parametrize("algorithm", ["basic", "dual_cache"])
def test_streamed_pieces_of_the_model_are_its_text(client: httpx.Client, algorithm: str) -> None:
    """The same, on a model."""
    body = {"max_tokens": 32, "block_length": 8, "generation_algorithm": algorithm}
    messages = [{"role": "user", "content": LILY}]
    streamed = {"messages": messages, "stream": True, **body}
    with client.stream("POST", "/v1/chat/completions", json=streamed) as response:
        pieces = [piece for piece in deltas(response) if piece]
    assert len(pieces) > 2
    assert "".join(pieces) == text_of(chat(client, LILY, **body))


# 8. Nothing bounded a request, and everybody could ask.


def test_what_is_not_asked_for_is_bounded_and_closed() -> None:
    """It listened to the whole network, ran code of checkpoints, and had no limits."""
    settings = ServerSettings()
    assert not settings.public
    assert not settings.trust_remote_code
    assert settings.cors_origins == ()
    assert settings.request_timeout <= 3600  # inf is none
    assert settings.client_timeout <= 3600
    assert settings.max_num_seqs + settings.max_queue < 10_000
    assert settings.max_body < 2**30


def test_the_server_listens_on_this_machine_only(process: Process) -> None:
    """It was bound to every address."""
    with socket.socket() as other, pytest.raises(ConnectionRefusedError):
        other.connect(("127.0.0.2", process.base_url.port))


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_leaves_is_cancelled(stream: bool) -> None:
    """Its answer was computed to the end."""
    session = ScriptedSession(gate=threading.Semaphore(0))
    assert session.gate is not None
    with scripted_server(session) as running, running.client() as client:
        body = {"prompt": "a" * 99, "stream": stream}
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/completions", json=body, timeout=0.3)
        while running.worker.accepted:  # it is told of the client between two steps
            session.gate.release()
            time.sleep(0.02)
    assert session.cancelled == ["a" * 99]


def test_a_deadline_ends_a_request() -> None:
    """There was none."""
    session = ScriptedSession(gate=threading.Semaphore(0))
    with scripted_server(session, request_timeout=0.2) as running, running.client() as client:
        assert refusal(client.post("/v1/completions", json={"prompt": "abc"}), 504)["code"] == "timeout"


def test_a_full_queue_pushes_back() -> None:
    """It grew without end."""
    session = ScriptedSession(gate=threading.Semaphore(0))
    assert session.gate is not None
    with scripted_server(session, max_num_seqs=1, max_queue=1) as running, running.client() as client:
        with ThreadPoolExecutor(2) as pool:
            waiting = [pool.submit(client.post, "/v1/completions", json={"prompt": "ab"}) for _ in range(2)]
            until(lambda: running.worker.accepted == 2)
            refused = client.post("/v1/completions", json={"prompt": "ab"})
            session.gate.release(100)
        assert refusal(refused, 429)["type"] == "rate_limit_error"
        assert refused.headers["retry-after"]
        assert [each.result().status_code for each in waiting] == [200, 200]


def test_who_has_no_key_gets_no_answer() -> None:
    """Nobody was asked for one."""
    with scripted_server(api_key="secret") as running, running.client() as client:
        asked = {"prompt": "abc"}
        assert refusal(client.post("/v1/completions", json=asked), 401)["code"] == "invalid_api_key"
        key = {"Authorization": "Bearer secret"}
        assert client.post("/v1/completions", json=asked, headers=key).status_code == 200


@pytest.mark.parametrize("origins", [(), ("https://mine.example",), ("*",)])
def test_no_page_may_ask_with_a_user_s_credentials(origins: tuple[str, ...]) -> None:
    """Every page of every host might."""
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST", "Cookie": "a=b"}
    with scripted_server(cors_origins=origins) as running, running.client() as client:
        for response in (
            client.get("/v1/models", headers=asked),
            client.options("/v1/completions", headers=asked),
        ):
            allowed = {name: value for name, value in response.headers.items() if "allow-" in name}
            assert "access-control-allow-credentials" not in allowed
            assert allowed.get("access-control-allow-origin") == ("*" if origins == ("*",) else None)


def test_code_of_a_checkpoint_does_not_run_unasked(tmp_path: Path) -> None:
    """It was always trusted."""
    config = {
        "model_type": "unheard_of",
        "architectures": ["UnheardOf"],
        "auto_map": {"AutoConfig": "code.Config", "AutoModel": "code.Model"},
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    with pytest.raises(UnsupportedModel):
        loaded(ServerSettings(model=str(tmp_path), device="cpu"))
    assert not (tmp_path / "ran").exists()


# 9. Padding was read as text, so an answer depended on its neighbours.


def test_an_answer_does_not_depend_on_longer_neighbours(batching: httpx.Client, alone: LoadedModel) -> None:
    """Shorter prompts were padded, the padding was attended to, and ends of prompts got into answers."""
    contents = [SUM, LILY, "Hi", LILY * 2]
    for algorithm in ("basic", "dual_cache", "dinfer_blockwise"):
        asked = [{"content": each, "generation_algorithm": algorithm, "max_tokens": 16} for each in contents]
        for content, response in zip(contents, together(batching, asked), strict=True):
            own = alone.generate([{"role": "user", "content": content}], algorithm=algorithm, max_tokens=16)
            assert text_of(response) == own.text
            assert told(response)["usage"]["prompt_tokens"] == own.prompt_tokens


# 10. Reasons, counts and lengths of answers were not true.


@pytest.mark.parametrize("length", [1, 7, 10, 33, 50])
def test_a_cut_answer_says_so_and_is_as_long_as_was_asked(client: httpx.Client, length: int) -> None:
    """The reason was always "stop", and lengths were rounded up to whole blocks."""
    answer = told(chat(client, LILY, max_tokens=length, early_stop=False, block_length=8))
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == length


@pytest.mark.parametrize("stream", [False, True])
def test_a_finished_answer_ends_at_its_end_token(server: Running, client: httpx.Client, stream: bool) -> None:
    """Text after it survived; padding and the whole canvas were counted as usage."""
    options: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}} if stream else {}
    response = chat(client, max_tokens=128, early_stop=False, **options)
    lines = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    *_, ended, last = map(json.loads, lines[:-1] if stream else lines * 2)
    assert ended["choices"][0]["finish_reason"] == "stop"
    if not stream:
        assert ended["choices"][0]["message"]["content"] == "12 + 30 = 42."
    prompt = server.served.reader.encode([{"role": "user", "content": SUM}])
    answer = server.served.reader.encode("12 + 30 = 42.", raw=True)
    counted = {"prompt_tokens": len(prompt), "completion_tokens": len(answer)}
    assert last["usage"] == {**counted, "total_tokens": sum(counted.values())}


def test_more_than_the_model_holds_is_refused(server: Running, client: httpx.Client) -> None:
    """Nothing checked the length of prompt and answer together."""
    limit = server.served.max_model_len
    assert limit is not None
    room = limit - told(chat(client, max_tokens=1))["usage"]["prompt_tokens"]
    assert refusal(chat(client, max_tokens=room + 1, block_length=1))["param"] == "max_tokens"
    assert refusal(chat(client, "word " * limit))["param"] == "messages"
    with model_server(max_model_len=64) as running, running.client() as shorter:
        assert refusal(chat(shorter, max_tokens=64))["param"] == "max_tokens"
        assert told(chat(shorter, max_tokens=16))["choices"][0]["message"]["content"] == "12 + 30 = 42."


# 11. Aliases failed, forwards were not counted, parameters were ignored.


def test_every_alias_is_an_algorithm_for_requests_too(client: httpx.Client) -> None:
    """Aliases were accepted at the start of the server and failed in each request."""
    listed = told(client.get("/generation/algorithms"))["data"]
    runs = [each for each in listed if each["runs"]]
    assert {each["engine"] for each in runs} > {"fast-dllm"}
    for each in runs:
        for name in (each["name"], *each["aliases"]):
            generation = told(chat(client, generation_algorithm=name, max_tokens=8))["generation"]
            assert generation["algorithm"] == each["name"]
            assert 1 <= generation["nfe"] <= 16


def test_an_alias_is_an_algorithm_for_the_server(alone: LoadedModel) -> None:
    """The other half."""
    for info in map(registry.get_algorithm_info, ("basic", "dual_cache", "dinfer_hierarchy")):
        for name in (info.name, *info.aliases):
            served, _ = served_model(alone, ServerSettings(algorithm=name))
            assert served.default_algorithm == info.name


@pytest.mark.parametrize("algorithm", ["basic", "prefix_cache", "dual_cache", "dinfer_blockwise"])
def test_forwards_are_counted_and_follow_the_parameters(client: httpx.Client, algorithm: str) -> None:
    """The count was -1; the request's temperature, threshold and steps were ignored."""

    def ask(**body: Any) -> tuple[int, str]:
        response = chat(client, LILY, generation_algorithm=algorithm, max_tokens=16, **body)
        parameters = told(response)["generation"]["parameters"]
        assert {name: parameters[name] for name in body} == body
        return int(told(response)["generation"]["nfe"]), text_of(response)

    hasty, careful = ask(threshold=0.1)[0], ask(threshold=1.0)[0]
    assert 1 <= hasty < careful
    assert ask(steps=4, threshold=None)[0] < ask(steps=16, threshold=None)[0]
    cold, *hot = (ask(temperature=heat, seed=5)[1] for heat in (0.0, 3.0, 6.0))
    assert len({cold, *hot}) == 3


# 12. A server that could not load its model ended as if all were well.


def wrong_folders(folder: Path) -> dict[str, Path]:
    """Folders that cannot be served."""
    empty, cut = folder / "empty", folder / "cut"
    empty.mkdir()
    shutil.copytree(model_path(), cut)
    weights = cut / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return {"missing": folder / "missing", "empty": empty, "cut": cut}


@pytest.mark.parametrize("kind", ["missing", "empty", "cut"])
def test_a_failed_load_is_one_line_and_a_status(llada: Llada, tmp_path: Path, kind: str) -> None:
    """The status was 0, and the error a line of the log."""
    folder = wrong_folders(tmp_path)[kind]
    assert str(folder) in error(llada("serve", str(folder), "--port", "0"), status=1)


@pytest.mark.parametrize(
    ("flag", "value", "status"),
    [
        ("--engine", "no-such", 2),
        ("--algorithm", "no_such", 2),
        ("--dtype", "int3", 2),
        ("--device", "moon", 2),
    ],
)
def test_a_wrong_flag_is_one_line_and_a_status(llada: Llada, flag: str, value: str, status: int) -> None:
    """The same, of what is asked for."""
    assert value in error(llada("serve", flag, value, "--port", "0"), status=status)


@pytest.mark.parametrize("code", [BATCH_SERVER, "from llada_core.cli import main; main()"])
def test_the_process_has_the_status(tmp_path: Path, code: str) -> None:
    """The same, as a script sees it."""
    given = ["serve"] if "cli" in code else ["--model-path"]
    ran = subprocess.run(
        [sys.executable, "-c", code, *given, str(tmp_path / "missing")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.count("\n") == 1


def test_an_address_that_is_taken_is_a_status(process: Process) -> None:
    """The same, of what happens after the load."""
    ran = subprocess.run(
        [sys.executable, "-m", "llada_server", "--port", str(process.base_url.port)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode > 0
    assert "cannot be listened on (Address already in use); give another --host or --port" in ran.stderr
    assert "Traceback" not in ran.stderr


# 13. Wrong requests took a server out of service, and nothing was counted.


def test_wrong_requests_leave_the_server_in_service_and_right_ones_are_counted(server: Running) -> None:
    """Two answers of the status 4xx emptied a pool; the counter of requests stayed at 0."""

    def answered(client: httpx.Client) -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(
            float(line.split()[-1]) for line in lines if line.startswith("llada_request_success_total{")
        )

    wrong: list[dict[str, Any]] = [
        {"generation_algorithm": "no_such"},
        {"threshold": 9},
        {"max_tokens": 100_000},
        {"messages": []},
        {"model": "gpt-4o"},
    ]
    with server.client() as client:
        before = answered(client)
        for body, number in zip(wrong * 2, count(1), strict=False):
            assert 400 <= chat(client, **body).status_code < 500
            assert client.get("/health").status_code == client.get("/ready").status_code == 200
            assert text_of(chat(client)) == "12 + 30 = 42."
            assert answered(client) - before == number


# 14. Logs held what users wrote and got.


def test_no_log_has_a_prompt_or_an_answer(process: Process) -> None:
    """INFO had them in full: here nothing has, even where all is logged."""
    spoken = "What is 13 + 31? Aardvark!"
    answers = [
        chat(process, spoken),
        chat(process, spoken, stream=True),
        chat(process, spoken, stop="Aardvark"),
        chat(process, spoken, threshold=9),
        chat(process, spoken, max_tokens=100_000),
        chat(process, spoken + " word" * 2000),
        chat(process, spoken, user="Aardvark"),
        process.post("/v1/completions", json={"prompt": spoken, "echo": True}),
        process.post("/v1/infill", json={"prompt": spoken, "template": "Aardvark {{2}} Aardvark"}),
        process.post("/v1/infill", json={"prompt": spoken, "template": "Aardvark"}),
        process.post("/tokenize", json={"prompt": spoken}),
    ]
    assert {response.status_code for response in answers} == {200, 400}
    log = process.log.read_text()
    assert "listening on" in log
    assert "Aardvark" not in log
    assert "13 + 31" not in log


def test_no_logger_is_told_a_prompt(client: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    """The same, of records that no handler may have shown, at every level."""
    caplog.set_level(logging.DEBUG)
    text_of(chat(client, "What is 13 + 31? Aardvark!"))
    refusal(chat(client, "Aardvark " * 2000))
    assert "/v1/chat/completions 200" in caplog.text
    assert "Aardvark" not in caplog.text
    assert "13 + 31" not in caplog.text
