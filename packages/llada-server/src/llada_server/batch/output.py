"""The file of answers: whole lines are appended, and a line that was written is there for good.

A line is one write, after which no end of the process can lose it. Within a second it is on the disk, after
which no power cut can. What a write left half done is cut off, by this process or by the next one.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

from llada_core.errors import LladaError, UsageError
from llada_server.batch.wire import BEGINNING

__all__ = ["Output", "OutputError"]

_PERIOD = 1.0  # seconds between two times that the disk is asked to have everything
_PART = 2**16  # bytes that are looked through at a time for the last end of a line


class OutputError(LladaError):
    """The file of answers takes no more."""


class Output:
    """The file at ``path``, made if it is not there; nobody else writes it meanwhile. A context.

    Raises ``UsageError`` for what cannot be written, is no file, is in the hands of another process, or ends
    with half a line that is none of ours.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = _opened(path)
        try:
            _lock(self._file, path)
            self._length = self._cut_half_a_line()
            _sync_folder(path)
        except BaseException:
            os.close(self._file)
            raise
        self._unsynced = False
        self._failure: OSError | None = None
        self._ending = Event()
        self._thread = Thread(target=self._sync_now_and_then, name="llada-sync", daemon=True)
        self._thread.start()

    def __enter__(self) -> Output:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def lines(self) -> Iterator[bytes]:
        """The lines that are there, without their ends."""
        with open(self._file, "rb", closefd=False) as file:
            file.seek(0)
            for line in file:
                yield line.rstrip(b"\n")

    def write(self, line: bytes) -> None:
        """Append a line, which ends with LF. Raises ``OutputError``; there is nothing of the line then."""
        if self._failure is not None:
            raise self._full(self._failure)
        left = memoryview(line)
        try:
            while left:
                left = left[os.write(self._file, left) :]
        except OSError as exc:
            os.ftruncate(self._file, self._length)
            raise self._full(exc) from exc
        self._length += len(line)
        self._unsynced = True

    def close(self) -> None:
        """Have everything on the disk, and let others write the file. Raises ``OutputError``."""
        self._ending.set()
        self._thread.join()
        try:
            if self._failure is not None:
                raise self._failure
            os.ftruncate(self._file, self._length)  # of a write that Ctrl-C came into
            os.fsync(self._file)
        except OSError as exc:
            raise self._full(exc) from exc
        finally:
            os.close(self._file)

    def _sync_now_and_then(self) -> None:
        while not self._ending.wait(_PERIOD):
            if self._unsynced:
                self._unsynced = False
                try:
                    os.fsync(self._file)
                except OSError as exc:
                    self._failure = exc
                    return

    def _full(self, exc: OSError) -> OutputError:
        return OutputError(
            f"{self.path} cannot be written ({os.strerror(exc.errno or errno.EIO)}); what was answered so "
            "far is in it: make room, and give the same command again to go on"
        )

    def _cut_half_a_line(self) -> int:
        """Cut off what follows the last end of a line: the length of what is left, in bytes."""
        length = os.fstat(self._file).st_size
        end = _last_end(self._file, length)
        tail = os.pread(self._file, len(BEGINNING), end).rstrip(b"\0")  # as a power cut may leave them
        if end < length and not BEGINNING.startswith(tail):
            raise UsageError(
                f"{self.path} ends with half a line that is no answer of a batch; give another --out"
            )
        os.ftruncate(self._file, end)
        return end


def _opened(path: Path) -> int:
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK, 0o666)
    except OSError as exc:
        raise UsageError(
            f"--out: {path} cannot be written ({os.strerror(exc.errno or errno.EIO)}); give another file"
        ) from exc
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
            f"--out: {path} cannot be locked ({os.strerror(exc.errno or errno.EIO)}); give a file on a disk "
            "that can"
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


def _sync_folder(path: Path) -> None:
    """Have the name of the file on the disk."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    except OSError as exc:
        if exc.errno != errno.EINVAL:  # of file systems that cannot
            raise UsageError(f"--out: {path.parent} cannot be synced ({exc.strerror}); give another") from exc
    finally:
        os.close(folder)
