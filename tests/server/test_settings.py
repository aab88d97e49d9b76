"""Where settings come from: every one from a flag, a variable and a file, and which of them wins."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from llada_core.errors import UsageError
from llada_server import opening
from llada_server.command import serve, settings_of
from llada_server.given import PREFIX, from_environment, from_file
from llada_server.reference_flags import program
from llada_server.settings import ServerSettings

# Each: flags, text of the variable, value in a file; and what they make of it.
ALL: dict[str, tuple[list[str], str, Any, Any]] = {
    "model": (["some/model"], "some/model", "some/model", "some/model"),
    "engine": (["--engine", "e"], "e", "e", "e"),
    "device": (["--device", "cpu"], "cpu", "cpu", "cpu"),
    "dtype": (["--dtype", "float16"], "float16", "float16", "float16"),
    "trust_remote_code": (["--trust-remote-code"], "true", True, True),
    "revision": (["--revision", "v2"], "v2", "v2", "v2"),
    "quantization": (["--quantization", "fp8"], "fp8", "fp8", "fp8"),
    "tensor_parallel": (["--tensor-parallel-size", "2"], "2", 2, 2),
    "dcp_path": (["--dcp-path", "w", "--base-model", "b"], "w", "w", "w"),
    "base_model": (["--dcp-path", "w", "--base-model", "b"], "b", "b", "b"),
    "dcp_prefix": (["--dcp-path", "w", "--base-model", "b", "--dcp-prefix", "p"], "p", "p", "p"),
    "temp_dir": (["--dcp-path", "w", "--base-model", "b", "--temp-dir", "t"], "t", "t", "t"),
    "replicas": (["--replicas", "2"], "2", 2, 2),
    "algorithm": (["--algorithm", "basic"], "basic", "basic", "basic"),
    "parameters": (
        ["-p", "threshold=0.8", "--parameter", "steps=4"],
        "threshold=0.8,steps=4",
        {"threshold": 0.8, "steps": 4},
        {"threshold": 0.8, "steps": 4},
    ),
    "host": (["--host", "::1"], "::1", "::1", "::1"),
    "port": (["--port", "81"], "81", 81, 81),
    "root_path": (["--root-path", "/l"], "/l", "/l", "/l"),
    "ssl_keyfile": (["--ssl-keyfile", "k", "--ssl-certfile", "c"], "k", "k", "k"),
    "ssl_certfile": (["--ssl-keyfile", "k", "--ssl-certfile", "c"], "c", "c", "c"),
    "served_model_name": (["--served-model-name", "n"], "n", "n", "n"),
    "api_key": (["--api-key", "s"], "s", "s", "s"),
    "cors_origins": (
        ["--cors-origin", "http://a:1", "--cors-origin", "*"],
        "http://a:1, *",
        ["http://a:1", "*"],
        ("http://a:1", "*"),
    ),
    "max_num_seqs": (["--max-num-seqs", "3"], "3", 3, 3),
    "max_queue": (["--max-queue", "0"], "0", 0, 0),
    "max_wait": (["--max-wait", "0.5"], "0.5", 0.5, 0.5),
    "request_timeout": (["--request-timeout", "inf"], "inf", float("inf"), float("inf")),
    "client_timeout": (["--client-timeout", "4.5"], "4.5", 4.5, 4.5),
    "drain_timeout": (["--drain-timeout", "0"], "0", 0, 0),
    "keep_alive": (["--keep-alive", "9"], "9", 9, 9),
    "max_model_len": (["--max-model-len", "64"], "64", 64, 64),
    "max_body": (["--max-body", "99"], "99", 99, 99),
    "gpu_memory_utilization": (["--gpu-memory-utilization", "0.9"], "0.9", 0.9, 0.9),
    "chat_template": (["--chat-template", "f"], "f", "f", "f"),
    "use_chat_template": (["--no-chat-template"], "no", False, False),
    "log_level": (["--log-level", "debug"], "debug", "debug", "debug"),
    "log_requests": (["--no-log-requests"], "0", False, False),
    "log_prompts": (["--log-prompts"], "1", True, True),
}
SYNONYMS = [
    (["--model", "m"], "model", "m"),
    (["--model-path", "m"], "model", "m"),
    (["--dcp", "w", "--base", "b"], "dcp_path", "w"),
    (["--dcp", "w", "--base", "b"], "base_model", "b"),
    (["-tp", "2"], "tensor_parallel", 2),
    (["--max-running-requests", "3"], "max_num_seqs", 3),
    (["--max-queued-requests", "3"], "max_queue", 3),
    (["--timeout-keep-alive", "9"], "keep_alive", 9),
    (["--context-length", "64"], "max_model_len", 64),
    (["--mem-fraction-static", "0.5"], "gpu_memory_utilization", 0.5),
    (["--dllm-algorithm", "basic"], "algorithm", "basic"),
    (["--uvicorn-log-level", "error"], "log_level", "error"),
    (["--disable-log-requests"], "log_requests", False),
]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> list[ServerSettings]:
    """The settings that programs would have run with."""
    ran: list[ServerSettings] = []

    def run(given: ServerSettings) -> int:
        ran.append(given)
        return 0

    monkeypatch.setattr("llada_server.command.run", run)
    monkeypatch.setattr("llada_server.reference_flags.run", run)
    monkeypatch.delenv("LLADA_API_KEY", raising=False)
    return ran


def called(command: click.Command, flags: list[str]) -> None:
    command.main(flags, standalone_mode=False)


def test_the_table_names_every_setting() -> None:
    assert list(ALL) == [each.name for each in fields(ServerSettings)]
    assert all(expected != getattr(ServerSettings(), name) for name, (*_, expected) in ALL.items())


@pytest.mark.parametrize("name", ALL)
def test_a_setting_is_a_flag(settings: list[ServerSettings], name: str) -> None:
    flags, _, _, expected = ALL[name]
    called(serve, flags)
    assert getattr(settings[0], name) == expected


@pytest.mark.parametrize("name", ALL)
def test_a_setting_is_a_variable(name: str) -> None:
    _, text, _, expected = ALL[name]
    assert from_environment({PREFIX + name.upper(): text, "OTHER": "1"}) == {name: expected}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("spelled", [str, lambda name: name.replace("_", "-")])
def test_a_setting_is_a_line_of_a_file(tmp_path: Path, name: str, spelled: Callable[[str], str]) -> None:
    _, _, value, expected = ALL[name]
    file = tmp_path / "serve.toml"
    file.write_text(f"{spelled(name)} = {toml(value)}\n")
    assert from_file(file) == {name: expected}


def toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {toml(each)}" for name, each in value.items()) + "}"
    return "inf" if value == float("inf") else json.dumps(value)


@pytest.mark.parametrize(("flags", "name", "expected"), SYNONYMS, ids=lambda given: str(given))
def test_names_of_other_servers_are_taken(
    settings: list[ServerSettings], flags: list[str], name: str, expected: Any
) -> None:
    called(serve, flags)
    assert getattr(settings[0], name) == expected


def test_flags_win_over_variables_and_these_over_the_file(
    tmp_path: Path, settings: list[ServerSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "serve.toml"
    file.write_text("port = 1\nmax_queue = 1\nmax_num_seqs = 1\n")
    monkeypatch.setenv("LLADA_SERVE_PORT", "2")
    monkeypatch.setenv("LLADA_SERVE_MAX_QUEUE", "2")
    called(serve, ["--config", str(file), "--port", "3"])
    (given,) = settings
    assert (given.port, given.max_queue, given.max_num_seqs) == (3, 2, 1)


def test_the_file_may_be_named_by_a_variable(
    tmp_path: Path, settings: list[ServerSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    named, given = tmp_path / "named.toml", tmp_path / "given.toml"
    named.write_text("port = 1\n")
    given.write_text("port = 2\n")
    monkeypatch.setenv("LLADA_SERVE_CONFIG", str(named))
    called(serve, [])
    called(program, [])
    called(serve, ["--config", str(given)])
    assert [each.port for each in settings] == [1, 1, 2]


def flag_names() -> list[str]:
    """What flags are called that is not the name of their settings."""
    options = [name for each in serve.params for name in each.opts if name.startswith("--")]
    names = {name.removeprefix("--").replace("-", "_") for name in options}
    return sorted(names - set(ALL) - {"config"})


@pytest.mark.parametrize("name", flag_names())
def test_a_flag_s_other_name_in_a_file_is_told_the_setting_s(tmp_path: Path, name: str) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(f"{name} = 1\n")
    with pytest.raises(UsageError, match=f"sets {name}, which is a flag's name; set ") as told:
        from_file(file)
    setting = str(told.value).rpartition("; set ")[2].partition(",")[0].partition(" ")[0]
    flags = {name: flags for flags, name, _ in SYNONYMS} | {name: ALL[name][0] for name in ALL}
    assert setting in flags


def test_the_key_has_a_variable_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert from_environment({"LLADA_API_KEY": "a"}) == {"api_key": "a"}
    assert from_environment({"LLADA_API_KEY": "a", "LLADA_SERVE_API_KEY": "b"}) == {"api_key": "b"}
    monkeypatch.setenv("LLADA_API_KEY", "a")
    given = settings_of({}, config=None)
    assert given.api_key == "a"
    assert "'a'" not in repr(given)


def test_the_model_may_be_named_twice_alike(settings: list[ServerSettings]) -> None:
    called(serve, ["m", "--model", "m"])
    assert settings[0].model == "m"
    with pytest.raises(UsageError, match="MODEL is m and --model n"):
        called(serve, ["m", "--model", "n"])


def test_the_reference_service_s_flags_are_settings(settings: list[ServerSettings]) -> None:
    flags = "--model-path m --engine auto --batch-size 4 --max-wait-time 0.01 --no-chat-template --verbose"
    called(program, flags.split())
    (given,) = settings
    assert (given.model, given.engine, given.max_num_seqs, given.max_wait) == ("m", None, 4, 0.01)
    assert (given.use_chat_template, given.log_level, given.keep_alive) == (False, "debug", 300)
    called(program, ["--dcp-path", "w", "--engine", "dinfer"])
    assert (settings[1].base_model, settings[1].engine) == ("GSAI-ML/LLaDA-8B-Instruct", "dinfer")
    called(program, ["--dcp-path", "w", "--model-path", "m"])
    assert (settings[2].base_model, settings[2].model) == (None, "m")


def test_flags_of_the_reference_service_without_the_one_they_are_of_are_told(
    settings: list[ServerSettings],
) -> None:
    with pytest.warns(UserWarning, match="--temp-dir says nothing without --dcp-path; leave it out"):
        called(program, ["--model-path", "m", "--temp-dir", "t"])
    assert settings[0].temp_dir is None


@pytest.mark.parametrize("name", ["base_model", "dcp_prefix", "temp_dir"])
@pytest.mark.parametrize("source", ["variable", "file"])
def test_what_says_nothing_without_a_trainers_weights_is_told_by_where_it_stands(
    settings: list[ServerSettings],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    source: str,
) -> None:
    file = tmp_path / "serve.toml"
    file.write_text("" if source == "variable" else f'{name} = "t"')
    monkeypatch.setenv("LLADA_SERVE_CONFIG", str(file))
    if source == "variable":
        monkeypatch.setenv(f"LLADA_SERVE_{name.upper()}", "t")
    told = f"LLADA_SERVE_{name.upper()}" if source == "variable" else f"{name} in {file}"
    with pytest.warns(UserWarning, match=f"^{told} says nothing without --dcp-path; leave it out"):
        called(program, ["--model-path", "m"])
    assert getattr(settings[0], name) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"base_model": "b"}, "base_model is of dcp_path, which is not given; give it, or leave base_model"),
        ({"dcp_prefix": "p."}, "dcp_prefix is of dcp_path"),
        ({"temp_dir": "t"}, "temp_dir is of dcp_path"),
        ({"dcp_path": "w", "base_model": "b", "model": "m"}, "base_model is b and model m; .* give one of"),
    ],
)
def test_what_is_of_a_trainers_weights_is_given_with_them_and_once(given: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ServerSettings(**given)


def test_variables_count_more_than_the_reference_service_s_defaults(
    settings: list[ServerSettings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"MAX_NUM_SEQS": "3", "KEEP_ALIVE": "4", "BASE_MODEL": "b", "DCP_PATH": "w"}.items():
        monkeypatch.setenv(f"LLADA_SERVE_{name}", value)
    called(program, [])
    (given,) = settings
    assert (given.max_num_seqs, given.keep_alive, given.base_model) == (3, 4, "b")


LINKS = {  # of a service called llada-serve, in the pods beside it
    "LLADA_SERVE_SERVICE_HOST": "10.0.0.1",
    "LLADA_SERVE_SERVICE_PORT": "80",
    "LLADA_SERVE_SERVICE_PORT_HTTP": "80",
    "LLADA_SERVE_PORT": "tcp://10.0.0.1:80",
    "LLADA_SERVE_PORT_80_TCP": "tcp://10.0.0.1:80",
    "LLADA_SERVE_PORT_80_TCP_ADDR": "10.0.0.1",
}


def test_what_kubernetes_says_of_a_service_is_no_setting() -> None:
    assert from_environment({**LINKS, "LLADA_SERVE_MAX_QUEUE": "5"}) == {"max_queue": 5}
    assert from_environment({**LINKS, "LLADA_SERVE_PORT": "81"}) == {"port": 81}


@pytest.mark.parametrize("name", ["LLADA_SERVE_SERVICE_PORT", "LLADA_SERVE_PORT_80_TCP", "LLADA_SERVE_PORT"])
def test_a_variable_like_those_of_kubernetes_is_refused_elsewhere(name: str) -> None:
    with pytest.raises(UsageError, match=name):
        from_environment({name: LINKS[name]})


@pytest.mark.parametrize("more", [{}, {"dcp_path": "w", "base_model": "m", "dcp_prefix": "p"}])
def test_how_a_model_is_loaded_is_what_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, more: dict[str, Any]
) -> None:
    asked: list[dict[str, Any]] = []

    def load(*named: Any, **how: Any) -> Any:
        asked.append(how)
        raise InterruptedError

    monkeypatch.setattr(opening, "load_model", load)
    monkeypatch.setattr(opening, "load_dcp", load)
    how = {name: ALL[name][-1] for name in LOADING}
    with pytest.raises(InterruptedError):
        opening.loaded(ServerSettings(**how, **more))
    assert {name: asked[0][name] for name in LOADING} == how
    assert asked[0].get("prefix") == more.get("dcp_prefix")


LOADING = (
    "engine", "device", "dtype", "trust_remote_code", "revision", "quantization", "tensor_parallel",
)  # fmt: skip
