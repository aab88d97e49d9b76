"""The file of answers: what was written stays, what was half written goes, and nobody else writes it."""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llada_core.errors import UsageError
from llada_server.batch import output as module
from llada_server.batch.output import Output, OutputError

ANSWER = b'{"id":"batch_req_1","custom_id":"a"}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


@contextmanager
def room(size: int) -> Iterator[None]:
    """Files of this process may have so many bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_lines_are_appended_to_what_is_there(path: Path) -> None:
    for expected in ([], [ANSWER[:-1]]):
        with Output(path) as output:
            assert list(output.lines()) == expected
            output.write(ANSWER)
            assert path.read_bytes() == ANSWER * (len(expected) + 1)


@pytest.mark.parametrize(
    "half", [ANSWER[:1], ANSWER[:10], ANSWER[:-1], b"\0" * 40, ANSWER[:12] + b"\0" * 9, ANSWER[:-1] * 9000]
)
@pytest.mark.parametrize("whole", [0, 3])
def test_half_a_line_is_cut_off(path: Path, whole: int, half: bytes) -> None:
    path.write_bytes(ANSWER * whole + half)
    with Output(path) as output:
        output.write(ANSWER)
    assert path.read_bytes() == ANSWER * (whole + 1)


@pytest.mark.parametrize("text", [b"a letter without an end", b'{"id": 7}', ANSWER + b'{"id":"chatcmpl'])
def test_what_is_no_answer_is_not_cut(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    with pytest.raises(UsageError, match="ends with half a line that is no answer of a batch; give another"):
        Output(path)
    assert path.read_bytes() == text


def test_a_second_writer_is_refused_while_there_is_one(path: Path) -> None:
    with Output(path), pytest.raises(UsageError, match=r"another process writes .*out.jsonl; wait until"):
        Output(path)
    Output(path).close()


def test_a_full_disk_takes_whole_lines_or_nothing_and_one_goes_on_later(path: Path) -> None:
    with Output(path) as output, room(5 * len(ANSWER) // 2):
        for _ in range(2):
            output.write(ANSWER)
        with pytest.raises(OutputError, match=r"out.jsonl cannot be written \(File too large\).* make room"):
            output.write(ANSWER)
    assert path.read_bytes() == ANSWER * 2
    with Output(path) as output:
        output.write(ANSWER)
    assert path.read_bytes() == ANSWER * 3


def test_lines_are_on_the_disk_a_period_later_and_at_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(module, "_PERIOD", 0.02)
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    with Output(path) as output:
        output.write(ANSWER)
        until = time.monotonic() + 10
        while len(ANSWER) not in synced and time.monotonic() < until:
            time.sleep(0.005)
        assert len(ANSWER) in synced
        rests = len(synced)
        time.sleep(0.1)
        assert len(synced) == rests  # nothing is new
        output.write(ANSWER)
    assert synced[-1] == 2 * len(ANSWER)


def test_a_disk_that_fails_later_is_told_by_the_next_line_and_at_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = Output(path)
    monkeypatch.setattr(output, "_failure", OSError(28, "No space left on device"))
    for call in (lambda: output.write(ANSWER), output.close):
        with pytest.raises(OutputError, match="No space left on device"):
            call()


def test_what_can_be_no_file_of_answers_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, said in [
        (tmp_path, "Is a directory"),
        (tmp_path / "none" / "out", "No such file or directory"),
        (pipe, "is no file"),
        (Path("/dev/null"), "is no file"),
    ]:
        with pytest.raises(UsageError, match=rf"^--out: {path} .*{said}"):
            Output(path)
    if os.geteuid():
        tmp_path.chmod(0o500)
        with pytest.raises(UsageError, match="Permission denied"):
            Output(tmp_path / "out")
