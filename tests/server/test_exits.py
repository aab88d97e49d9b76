"""A server that cannot start: one line that says why, and status 2 for a wrong call, 1 for a failed load."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from llada_core.progress import listener
from llada_server import serving
from llada_server.given import PREFIX
from llada_server.settings import ServerSettings
from llada_tiny import model_path
from tests.support.program import Llada, error

pytestmark = pytest.mark.alone

WRONG_FLAGS = [
    (["--dtype", "int3"], "dtype 'int3' cannot be used; choose 'float32'"),
    (["--device", "moon"], "device 'moon' is not known to torch; use 'cpu'"),
    (["--dtype", ""], "dtype='' is not accepted"),
    (["--quantization", "int3"], "quantization 'int3' cannot be used; choose 'fp8' or 'int8'"),
    (["--quantization", ""], "quantization='' is not accepted; give 'fp8' or 'int8'"),
    (["--tensor-parallel-size", "0"], "tensor_parallel=0 cannot be; give a number of devices, 1 or more"),
    (["-tp", "two"], "'two' is not a valid integer"),
    (["-tp", "7", "--device", "cpu"], "tensor_parallel=7 does not divide the model's"),
    (["-tp", "2", "--device", "cpu:0"], "device='cpu:0' is one device, and tensor_parallel=2 takes 2"),
    (["--quantization", "fp8", "-tp", "2"], "quantization='fp8' and tensor_parallel=2 cannot be combined"),
    (["--port", "70000"], "port=70000 cannot be; give one from 1 to 65535"),
    (["--port", "-1"], "port=-1 cannot be"),
    (["--port", "http"], "'http' is not a valid integer"),
    (["--host", "nowhere.invalid"], "nowhere.invalid:0 cannot be listened on"),
    (["--host", ""], "host is empty"),
    (["--max-num-seqs", "0"], "max_num_seqs=0 cannot be; give 1 or more"),
    (["--max-queue", "-1"], "max_queue=-1 cannot be; give 0 or more"),
    (["--max-model-len", "0"], "max_model_len=0 cannot be"),
    (["--max-model-len", "1"], "max_model_len=1 cannot be; give a number of tokens, 2 or more"),
    (["--cors-origin", "not a url"], "cors_origins has 'not a url', which is no origin; give scheme"),
    (["--cors-origin", "https://example.org/"], "cors_origins has 'https://example.org/', which is no"),
    (["--max-body", "0"], "max_body=0 cannot be"),
    (["--max-wait", "nan"], "max_wait=nan cannot be; give seconds"),
    (["--request-timeout", "0"], "request_timeout=0 leaves nothing"),
    (["--client-timeout", "0"], "client_timeout=0 leaves nothing"),
    (["--client-timeout", "inf"], "client_timeout=inf cannot be; give seconds above 0"),
    (["--drain-timeout", "-1"], "drain_timeout=-1.0 cannot be"),
    (["--keep-alive", "0.5"], "'0.5' is not a valid integer"),
    (["--keep-alive", "-1"], "keep_alive=-1 cannot be; give whole seconds"),
    (["--gpu-memory-utilization", "0"], "gpu_memory_utilization=0 leaves nothing"),
    (["--gpu-memory-utilization", "1.5"], "gpu_memory_utilization=1.5 cannot be; give a share"),
    (["--gpu-memory-utilization", "1e-9"], "leaves no room for a cache beside weights of 29.0 MiB"),
    (["--api-key", ""], "api_key is empty"),
    (["--api-key", " "], "api_key is empty"),
    (["--served-model-name", ""], "served_model_name is empty"),
    (["--root-path", "llada"], "root_path='llada' is no path; begin it with /"),
    (["--log-level", "loud"], "'loud' is not one of 'debug'"),
    (["--engine", "no-such"], "no engine is called 'no-such'"),
    (["--algorithm", "no_such"], "no algorithm is called 'no_such'"),
    (["--algorithm", "nemotron_block"], "nemotron_block runs on the engine nemotron"),
    (["--algorithm", "basic", "-p", "threshold=7"], "threshold=7 is out of range"),
    (["--algorithm", "basic", "-p", "treshold=0.7"], "basic does not take treshold; did you mean threshold?"),
    (["-p", "threshold"], "'threshold' is not an assignment"),
    (["--ssl-keyfile", "key.pem"], "of ssl_keyfile and ssl_certfile one is given"),
    (["--ssl-keyfile", "none.pem", "--ssl-certfile", "none.pem"], "--ssl-certfile none.pem cannot be read"),
    (["--chat-template", "none.jinja"], "--chat-template none.jinja cannot be read"),
    (["--config", "none.toml"], "none.toml cannot be read as TOML"),
    (["--dcp-path", "weights"], "dcp_path is given without its base"),
    (["one", "--model", "two"], "MODEL is one and --model two; give one of them"),
    (["--no-such-flag"], "there is no option --no-such-flag"),
    (["one", "two"], "Got unexpected extra argument (two)"),
]


@pytest.mark.parametrize(("flags", "said"), WRONG_FLAGS, ids=lambda given: "_".join(given)[:40])
def test_a_wrong_flag_is_one_line_and_status_2(llada: Llada, flags: list[str], said: str) -> None:
    port = [] if "--port" in flags else ["--port", "0"]
    assert said in error(llada("serve", *flags, *port), status=2)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PORT", "http", "LLADA_SERVE_PORT='http' cannot be read; give a whole number"),
        ("KEEP_ALIVE", "0.5", "LLADA_SERVE_KEEP_ALIVE='0.5' cannot be read; give a whole number"),
        ("MAX_WAIT", "long", "LLADA_SERVE_MAX_WAIT='long' cannot be read; give a number"),
        ("PROT", "8000", "LLADA_SERVE_PROT sets prot, which is no setting; did you mean port?"),
        ("LOG_LEVEL", "loud", "log_level='loud' is none; give one of debug, info, warning, error"),
        ("LOG_PROMPTS", "perhaps", "LLADA_SERVE_LOG_PROMPTS='perhaps' cannot be read; give true or false"),
        ("PARAMETERS", "threshold", "'threshold' is not an assignment"),
        ("API_KEY", "", "api_key is empty"),
        ("QUANTIZATION", "int3", "quantization 'int3' cannot be used; choose 'fp8' or 'int8'"),
        ("TENSOR_PARALLEL", "0", "tensor_parallel=0 cannot be; give a number of devices"),
    ],
)
def test_a_wrong_variable_is_one_line_and_status_2(
    llada: Llada, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(PREFIX + variable, value)
    assert said in error(llada("serve"), status=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prot = 8000", "sets prot, which is no setting; did you mean port?"),
        ("port = '8000'", "sets port to '8000'; give a whole number"),
        ("keep_alive = 0.5", "sets keep_alive to 0.5; give a whole number"),
        ("max_wait = 'long'", "sets max_wait to 'long'; give a number"),
        ("log_prompts = 1", "sets log_prompts to 1; give true or false"),
        ("cors_origins = 'https://example.org'", "give a list of texts"),
        ("parameters = 3", "sets parameters to 3; give a table"),
        ("port 8000", "cannot be read as TOML"),
        ("log_level = 'loud'", "log_level='loud' is none"),
        ("[server]\nport = 8000", "sets server, which is no setting"),
    ],
)
def test_a_wrong_file_of_settings_is_one_line_and_status_2(
    llada: Llada, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(text)
    assert said in error(llada("serve", "--config", str(file)), status=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty; write one, or give --no-chat-template"),
        ("{% for message in messages %}", "cannot be used (TemplateSyntaxError: "),
        ("{{ message['content'] }}", "cannot be used (UndefinedError: "),
    ],
)
def test_a_chat_template_that_is_none_is_one_line_and_status_2(
    llada: Llada, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "chat.jinja"
    file.write_text(text)
    told = error(llada("serve", "--chat-template", str(file), "--port", "0"), status=2)
    assert told.startswith(f"error: --chat-template {file} ")
    assert said in told


def test_files_that_are_no_certificate_are_one_line_and_status_2(llada: Llada, tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    key.write_text("no key")
    certificate.write_text("no certificate")
    flags = ["--ssl-keyfile", str(key), "--ssl-certfile", str(certificate)]
    told = error(llada("serve", *flags, "--port", "0"), status=2)
    assert "are no certificate and its key" in told


def cut(folder: Path) -> None:
    """A checkpoint whose weights break off."""
    shutil.copytree(model_path(), folder)
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])


def of_nobody(folder: Path) -> None:
    """A model that no engine takes."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "unheard_of"}))


@pytest.mark.parametrize("make", [lambda folder: None, Path.mkdir, cut, of_nobody])
def test_a_failed_load_is_one_line_and_status_1(
    llada: Llada, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    folder = tmp_path / "model"
    make(folder)
    assert str(folder) in error(llada("serve", str(folder), "--port", "0"), status=1)


def test_a_gpu_that_is_not_there_is_a_failed_load(llada: Llada, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert "torch sees no GPU" in error(llada("serve", "--device", "cuda", "--port", "0"), status=1)


@pytest.mark.parametrize(
    ("variables", "size", "expected"),
    [
        ({}, 2, False),
        ({"RANK": "1"}, 2, False),
        ({"RANK": "0", "WORLD_SIZE": "2"}, 2, False),
        ({"RANK": "1", "WORLD_SIZE": "2"}, 2, True),
        ({"RANK": "1", "WORLD_SIZE": "2"}, 1, False),
    ],
)
def test_of_what_torchrun_started_rank_0_listens(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], size: int, expected: bool
) -> None:
    class Loaded(Exception):
        pass

    def loaded(settings: ServerSettings) -> None:
        raise Loaded

    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    bound: list[ServerSettings] = []
    monkeypatch.setattr(serving, "loaded", loaded)
    monkeypatch.setattr(serving, "bound", lambda settings: bound.append(settings) or nullcontext())
    with pytest.raises(Loaded):
        serving.run(ServerSettings(tensor_parallel=size))
    assert bool(bound) != expected


def test_what_loading_prepares_is_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serving, "loaded", lambda settings: listener()(1, 3))
    with caplog.at_level(logging.INFO, logger="llada_server"):
        serving.told_loaded(ServerSettings())
    assert caplog.messages == ["1 of 3 kinds of steps captured"]


def test_nothing_is_loaded_for_a_call_that_is_wrong(llada: Llada, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "loaded", lambda settings: pytest.fail("it was loaded"))
    for flags in (["--ssl-keyfile", "none", "--ssl-certfile", "none"], ["--host", "nowhere.invalid"]):
        assert llada("serve", *flags, "--port", "0").status == 2


PROGRAMS = (
    "from llada_core.cli import main; main(['serve', *sys.argv[1:]])",
    "import runpy; sys.argv[0] = 'x'; runpy.run_module('llada_server', run_name='__main__')",
    "from llada_server.reference_flags import main; main()",
)
ENDS = ((["--port", "70000"], 2), (["--model-path", "/nowhere/at/all"], 1), (["--help"], 0))


@pytest.mark.parametrize(
    ("program", "flags", "status"),
    [
        pytest.param(program, *end, marks=[] if at == of else pytest.mark.slow)
        for of, program in enumerate(PROGRAMS)
        for at, end in enumerate(ENDS)
    ],
)
def test_all_programs_end_alike(program: str, flags: list[str], status: int) -> None:
    command = [sys.executable, "-c", f"import sys; {program}", *flags]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == status, ran.stderr
    assert "Traceback" not in ran.stderr
