"""The file of answers: what was written stays, what was half written goes, and nobody else writes it."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
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


@contextmanager
def begun(path: Path) -> Iterator[Output]:
    with Output(path) as output:
        output.begin()
        yield output


def fails(*_: object) -> None:
    raise OSError(errno.EIO, "scripted")


def write_for(seconds: float, output: Output) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        output.write(ANSWER)
        time.sleep(0.005)


def test_lines_are_appended_to_what_is_there(path: Path) -> None:
    for expected in ([], [ANSWER[:-1]]):
        with Output(path) as output:
            assert list(output.lines()) == expected
            output.begin()
            output.write(ANSWER)
            assert path.read_bytes() == ANSWER * (len(expected) + 1)


@pytest.mark.parametrize(
    ("whole", "half"),
    [
        *((3, each) for each in (ANSWER[:1], ANSWER[:10], b"\0" * 40, ANSWER[:12] + b"\0" * 9)),
        *((whole, each) for whole in (0, 3) for each in (ANSWER[:-1], ANSWER[:-1] * 9000)),
    ],
)
def test_half_a_line_is_cut_off_once_it_is_begun(path: Path, whole: int, half: bytes) -> None:
    path.write_bytes(ANSWER * whole + half)
    with Output(path) as output:
        assert list(output.lines()) == [ANSWER[:-1]] * whole
    assert path.read_bytes() == ANSWER * whole + half
    with begun(path) as output:
        output.write(ANSWER)
    assert path.read_bytes() == ANSWER * (whole + 1)


@pytest.mark.parametrize(
    "text",
    [b"a letter without an end", b'{"id": 7}', ANSWER + b'{"id":"chatcmpl', b"\0" * 40, b"{", ANSWER[:16]],
)
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
    with begun(path) as output, room(5 * len(ANSWER) // 2):
        for _ in range(2):
            output.write(ANSWER)
        with pytest.raises(OutputError, match=r"out.jsonl cannot be written \(File too large\).* make room"):
            output.write(ANSWER)
    assert path.read_bytes() == ANSWER * 2
    with begun(path) as output:
        output.write(ANSWER)
    assert path.read_bytes() == ANSWER * 3


def test_lines_are_on_the_disk_a_period_later_and_at_the_end(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(module, "_PERIOD", 0.02)
    monkeypatch.setattr(os, "fsync", lambda file: synced.append(os.fstat(file).st_size))
    with begun(path) as output:
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


def test_lines_that_the_disk_may_not_have_are_taken_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PERIOD", 0.02)
    path.write_bytes(ANSWER)
    output = Output(path)
    output.begin()
    monkeypatch.setattr(os, "fsync", fails)
    output.write(ANSWER)
    with pytest.raises(OutputError, match=r"cannot be written \(Input/output error\)"):
        write_for(10, output)
    assert path.read_bytes() == ANSWER
    with pytest.raises(OutputError, match=r"up to the last second is in it"):
        output.close()
    assert path.read_bytes() == ANSWER


def test_what_fails_at_the_end_is_taken_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = Output(path)
    output.begin()
    output.write(ANSWER)
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OutputError, match="Input/output error"):
        output.close()
    assert path.read_bytes() == b""


def test_what_cannot_be_cut_is_told_with_what_is_sure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with begun(path) as output, room(5 * len(ANSWER) // 2), monkeypatch.context() as patch:
        output.write(ANSWER)
        patch.setattr(os, "ftruncate", fails)
        with pytest.raises(OutputError, match=rf"nor cut \(File too large\); its first {len(ANSWER)} bytes"):
            output.write(ANSWER * 2)


def test_the_folder_that_is_synced_is_the_file_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "far").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "far" / "out")
    synced, fsync = list[str](), os.fsync

    def seen(file: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{file}"))
        fsync(file)

    monkeypatch.setattr(os, "fsync", seen)
    with begun(tmp_path / "link"):
        assert synced == [str(tmp_path / "far" / "out"), str(tmp_path / "far")]


def test_a_folder_that_cannot_be_opened_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Output(path) as output, monkeypatch.context() as patch:
        patch.setattr(os, "open", fails)
        with pytest.raises(UsageError, match=r"cannot be synced \(Input/output error\); give another"):
            output.begin()


def test_systems_without_locks_are_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fcntl", None)
    spec = spec_from_file_location("elsewhere", str(module.__file__))
    assert spec is not None
    assert spec.loader is not None
    elsewhere = module_from_spec(spec)
    spec.loader.exec_module(elsewhere)
    with pytest.raises(UsageError, match="needs the locks of POSIX; run it on Linux or macOS, or under WSL"):
        elsewhere.Output(path)


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
