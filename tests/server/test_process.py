"""The process of a server: streams that are closed or full, and signals while it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.server.test_worker import until
from tests.support.ports import free_port

pytestmark = pytest.mark.usefixtures("ending_signals")
SLOW = [pytest.mark.slow, pytest.mark.timeout(120)]  # each is a process that starts
SERVER = "import sys; from tests.server.endless import main; sys.exit(main({port!r}, 'slow'))"


@contextmanager
def process(shell: str, before: str = "") -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server, begun by a shell that runs ``"$@"``; ``before`` is code that it runs first."""
    port = free_port()
    code = before + SERVER.format(port=str(port))
    command = ["sh", "-c", shell, "sh", sys.executable, "-c", code]
    run, url = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT), ""
    try:
        url = f"http://127.0.0.1:{port}"
        until(lambda: run.poll() is not None or lives(url), seconds=30)
        yield run, url
    finally:
        run.kill()
        run.communicate()


def lives(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=10, verify=False).status_code == 200  # it is no HTTPS
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    "shell",
    [
        'exec "$@" <&- >&- 2>&-',
        'exec "$@" 2>/dev/full',
        pytest.param('exec "$@" >&-', marks=SLOW),
        pytest.param('exec "$@" 2>&-', marks=SLOW),
    ],
)
def test_streams_that_are_closed_or_full_cost_nothing(shell: str) -> None:
    with process(shell) as (run, url):
        assert run.poll() is None, run.communicate()[0].decode()
        for prompt, status in (("ab!", 500), ("ab", 200)):
            told = httpx.post(f"{url}/v1/completions", json={"prompt": prompt}, timeout=10)
            assert told.status_code == status
        run.send_signal(signal.SIGTERM)
        assert run.wait(10) == 0


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
def test_a_signal_after_the_end_does_not_kill(name: str) -> None:
    late = f"import atexit, os, signal; atexit.register(lambda: os.kill(os.getpid(), signal.{name}))\n"
    with process('exec "$@"', late) as (run, _):
        run.send_signal(signal.SIGTERM)
        assert run.wait(10) == 0


def test_a_signal_while_the_thread_ends_leaves_with_its_status() -> None:
    late = (
        "import llada_server.serving as s, os, signal; stop = s.Worker.stop\n"
        "s.Worker.stop = lambda *given: (os.kill(os.getpid(), signal.SIGTERM), stop(*given))[1]\n"
    )
    with process('exec "$@"', late) as (run, _):
        run.send_signal(signal.SIGTERM)
        assert run.wait(10) == 143


def test_what_looks_like_an_interrupt_in_a_request_ends_that_request_alone() -> None:
    raising = (
        "from llada_core.faults import fault_of; from tests.server.apps import Words\n"
        "def encode(*given, **more): raise fault_of(KeyboardInterrupt())\n"
        "Words.encode = encode\n"
    )
    with process('exec "$@"', raising) as (_, url):
        told = httpx.post(f"{url}/tokenize", json={"prompt": "ab"})
        assert (told.status_code, told.json()["error"]["code"]) == (500, "internal_error")
        assert lives(url)


def test_what_was_loaded_is_not_collected_again() -> None:
    counting = (
        "import gc; from tests.server.apps import Words\n"
        "Words.encode = lambda *given, **more: [gc.get_freeze_count()]\n"
    )
    with process('exec "$@"', counting) as (_, url):
        told = httpx.post(f"{url}/tokenize", json={"prompt": "ab"}).json()
    assert told["tokens"][0] > 10_000
