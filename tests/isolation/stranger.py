"""A stranger's path: a decoder of one's own, from ``llada new`` to tox, and the seconds of each step.

Run by nox where the checkout does not exist, in an environment that has llada-dev, llada-server,
llada-tiny, pip and tox. Nothing that is generated is edited.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAME, ALGORITHM = "my-decoder", "my_decoder"
PROGRAMS = Path(sys.executable).parent
PROJECT = Path.cwd() / NAME
QUESTION = "What is 2 + 3?"


def told(program: str, *arguments: str, folder: Path | None = None) -> str:
    """What a program of this environment writes to stdout. Raises where it ends badly."""
    command = [str(PROGRAMS / program), *arguments]
    return subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True).stdout


def new() -> None:
    told("llada", "new", NAME)


def install() -> None:
    told("python", "-m", "pip", "install", "--quiet", f"{PROJECT}[test]")


def algorithms() -> None:
    listed = {each["name"]: each for each in json.loads(told("llada", "algorithms", "--json"))}
    assert listed[ALGORITHM]["reason"] is None, listed[ALGORITHM]["reason"]
    assert listed[ALGORITHM]["distribution"] == NAME


def generate() -> None:
    answer = json.loads(told("llada", "generate", QUESTION, "--algorithm", ALGORITHM, "--json"))
    assert answer["algorithm"] == ALGORITHM
    assert answer["text"]


def serve() -> None:
    with server() as url:
        offered = {each["name"]: each for each in asked(f"{url}/generation/algorithms")["data"]}
        assert offered[ALGORITHM]["runs"]
        body = {"prompt": QUESTION, "max_tokens": 16, "generation_algorithm": ALGORITHM}
        answer = asked(f"{url}/v1/completions", body)
        assert answer["generation"]["algorithm"] == ALGORITHM


def bench() -> None:
    told("llada", "bench", "--algorithm", ALGORITHM, "--tasks", "1", "--repeats", "1")


@contextmanager
def server() -> Iterator[str]:
    """The address of a server that answers; it must end well when it is asked to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    run = subprocess.Popen([str(PROGRAMS / "llada"), "serve", "--port", port, "--log-level", "warning"])
    try:
        wait_for(run, f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        run.send_signal(signal.SIGTERM)
        status = run.wait(60)
    assert status == 0, f"the server ended with status {status}"


def wait_for(run: subprocess.Popen[bytes], url: str, *, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and run.poll() is None:
        try:
            asked(url)
        except urllib.error.URLError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"no server answers at {url}; its status is {run.poll()}")


def asked(url: str, body: dict[str, Any] | None = None) -> Any:
    """The JSON that a server answers."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


def pytest() -> None:
    print(told("python", "-m", "pytest", "-q", folder=PROJECT).strip().splitlines()[-1])


def tox() -> None:
    """The whole matrix: what an interpreter is missing for is skipped by name, and nothing else is."""
    said = told("tox", folder=PROJECT)
    ended = [line.strip() for line in said.splitlines() if line.startswith("  ")]
    print("\n".join(ended))
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    for name in (f"{own}-lowest", f"{own}-latest", "lint"):
        assert any(line.startswith(f"{name}: OK") for line in ended), f"{name} did not run"


def main() -> None:
    seconds = {}
    for step in (new, install, algorithms, generate, serve, bench, pytest, tox):
        began = time.perf_counter()
        step()
        seconds[step.__name__] = time.perf_counter() - began
        print(f"{step.__name__}: {seconds[step.__name__]:.1f} s", flush=True)
    print(f"all: {sum(seconds.values()):.1f} s")


if __name__ == "__main__":
    main()
