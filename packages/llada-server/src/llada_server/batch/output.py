"""The file of answers: whole lines are appended, and a line that was written is there for good.

A line is one write, after which no end of the process can lose it. Within a second it is on the disk, after
which no power cut can. What a write left half done is cut off, by this process or by the next one; and where
the disk fails, so are the lines that it may not have, which would look done though they can be lost.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

from llada_core.errors import LladaError, UsageError
from llada_server.batch.wire import BEGINNING

try:
    import fcntl
except ModuleNotFoundError:  # on Windows, where the rest of this would not do either
    fcntl = None  # type: ignore[assignment]

__all__ = ["Output", "OutputError"]

_PERIOD = 1.0  # seconds between two times that the disk is asked to have everything
_PART = 2**16  # bytes that are looked through at a time for the last end of a line


class OutputError(LladaError):
    """The file of answers takes no more."""


class Output:
    """The file at ``path``, made if it is not there; nobody else writes it meanwhile. A context.

    Its lines may be read at once; nothing is changed and nothing can be written before ``begin``.

    Raises ``UsageError`` for what cannot be written, is no file, is in the hands of another process, or ends
    with half a line that is none of ours, and on systems without POSIX's locks.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _opened(path)
        try:
            _lock(self._file, path)
            self._length = self._whole()
        except BaseException:
            os.close(self._file)
            raise
        self._synced = 0  # bytes that are on the disk
        self._failure: OSError | None = None
        self._ending = Event()
        self._thread: Thread | None = None

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def lines(self) -> Iterator[bytes]:
        """The whole lines that are there, without their ends."""
        left = self._length
        with open(self._file, "rb", closefd=False) as file:
            file.seek(0)
            while left > 0:
                line = file.readline()
                left -= len(line)
                yield line.rstrip(b"\n")

    def begin(self) -> None:
        """Cut off half a line at the end, and let lines be written: to be called once those that are there
        are known to be ours. Raises ``OutputError``, and ``UsageError`` where the folder cannot be synced."""
        try:
            os.ftruncate(self._file, self._length)
            os.fsync(self._file)  # what a process that was killed wrote last
        except OSError as exc:
            raise self._full(exc) from exc
        _sync_folder(self.path.resolve().parent)
        self._synced = self._length
        self._thread = Thread(target=self._sync_now_and_then, name="llada-sync", daemon=True)
        self._thread.start()

    def write(self, line: bytes) -> None:
        """Append a line, which ends with LF. Raises ``OutputError``; there is nothing of the line then."""
        assert self._thread is not None, "begun"
        if self._failure is not None:
            raise self._cut(self._failure, self._synced) from self._failure
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as exc:
            raise self._cut(exc, self._length) from exc
        self._length += len(line)

    def close(self) -> None:
        """Have everything on the disk, and let others write the file. Raises ``OutputError``."""
        try:
            if self._thread is not None:
                self._ending.set()
                self._thread.join()
                self._end()
        finally:
            os.close(self._file)

    def _end(self) -> None:
        if self._failure is not None:
            raise self._cut(self._failure, self._synced) from self._failure
        try:
            os.ftruncate(self._file, self._length)  # of a write that Ctrl-C came into
            os.fsync(self._file)
        except OSError as exc:
            raise self._cut(exc, self._synced) from exc

    def _sync_now_and_then(self) -> None:
        while not self._ending.wait(_PERIOD):
            length = self._length
            if length > self._synced:
                try:
                    os.fsync(self._file)
                except OSError as exc:
                    self._failure = exc
                    return
                self._synced = length

    def _cut(self, exc: OSError, length: int) -> OutputError:
        """What is to be raised of an error, once nothing but the first ``length`` bytes is left."""
        try:
            os.ftruncate(self._file, length)
        except OSError:
            return OutputError(
                f"{self.path} can be neither written nor cut ({_words(exc)}); its first {length} bytes are "
                "sure: copy them to another file, and go on with that"
            )
        self._length = length
        return self._full(exc)

    def _full(self, exc: OSError) -> OutputError:
        return OutputError(
            f"{self.path} cannot be written ({_words(exc)}); what was answered up to the last second is in "
            "it: make room, and give the same command again to go on"
        )

    def _whole(self) -> int:
        """The length of its whole lines, in bytes."""
        length = os.fstat(self._file).st_size
        end = _last_end(self._file, length)
        tail = os.pread(self._file, len(BEGINNING), end)
        # A power cut may leave zeros. Without a line before them, nothing says that they are ours.
        ours = BEGINNING.startswith(tail.rstrip(b"\0")) if end else tail == BEGINNING
        if end < length and not ours:
            raise UsageError(
                f"{self.path} ends with half a line that is no answer of a batch; give another --out"
            )
        return end


def _opened(path: Path) -> int:
    if fcntl is None:
        raise UsageError("llada batch needs the locks of POSIX; run it on Linux or macOS, or under WSL")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    except OSError as exc:
        raise UsageError(f"--out: {path} cannot be written ({_words(exc)}); give another file") from exc
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise UsageError(f"--out: {path} is no file, and could not be gone on with; give one")


def _lock(file: int, path: Path) -> None:
    """Hold the file alone, until the process ends, however it does."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise UsageError(
            f"--out: another process writes {path}; wait until it has ended, or give another file"
        ) from exc
    except OSError as exc:
        raise UsageError(
            f"--out: {path} cannot be locked ({_words(exc)}); give a file on a disk that can"
        ) from exc


def _last_end(file: int, length: int) -> int:
    """Where what follows the last end of a line begins."""
    while length > 0:
        start = max(length - _PART, 0)
        found = os.pread(file, length - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        length = start
    return 0


def _sync_folder(folder: Path) -> None:
    """Have the names of its files on the disk."""
    try:
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    except OSError as exc:
        if exc.errno != errno.EINVAL:  # of file systems that cannot
            raise UsageError(f"--out: {folder} cannot be synced ({_words(exc)}); give another") from exc


def _words(exc: OSError) -> str:
    return os.strerror(exc.errno or errno.EIO)
