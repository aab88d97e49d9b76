"""Which lines an input has, and which of them are done, in memory that does not grow with their ids.

Ids are kept as 16 bytes of BLAKE2 each, in a database of SQLite that is a temporary file without a name and
has 32 MiB in memory at most; what is done, as one bit a line. It is made anew by each run.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from llada_core.errors import UsageError
from llada_server.batch.wire import shown

__all__ = ["Index"]

_AT_ONCE = 10_000  # ids that are put in together
_OPEN = """
    PRAGMA journal_mode = OFF;
    PRAGMA synchronous = OFF;
    PRAGMA temp_store = FILE;
    PRAGMA cache_size = -32768;
    CREATE TABLE ids (id BLOB PRIMARY KEY, line INTEGER NOT NULL) WITHOUT ROWID;
    BEGIN;
"""


class Index:
    """Lines are ``add``-ed, then some are marked as ``done``; ``close`` frees the ids.

    Attributes:
        count: lines, those without an id as well. done: how many are marked.
        last: number of the last line.
    """

    def __init__(self) -> None:
        self._ids = sqlite3.connect("", isolation_level=None)
        with _room():
            self._ids.executescript(_OPEN)
        self._new: list[tuple[bytes, int, str]] = []
        self._nameless, self._marks = _Bits(), _Bits()
        self.count = self.done = self.last = 0

    def add(self, line: int, custom_id: str | None) -> None:
        """Take in a line. Raises ``UsageError`` where an earlier one is called the same, at the latest in
        ``added``."""
        self.count, self.last = self.count + 1, line
        if custom_id is None:
            self._nameless.set(line)
        else:
            self._new.append((_key(custom_id), line, custom_id))
            if len(self._new) >= _AT_ONCE:
                self.added()

    def added(self) -> None:
        """Know all lines that were taken in. Raises ``UsageError``."""
        pairs = [(key, line) for key, line, _ in self._new]
        with _room():
            put = self._ids.executemany("INSERT OR IGNORE INTO ids VALUES (?, ?)", pairs)
        if put.rowcount < len(pairs) and pairs:
            self._refuse_twins()
        self._new.clear()

    def _refuse_twins(self) -> None:
        for _, line, custom_id in self._new:
            first = self.line_of(custom_id)
            if first != line:
                raise UsageError(
                    f"lines {first} and {line} have one custom_id, {shown(custom_id)}; give each line its own"
                )

    def line_of(self, custom_id: str) -> int | None:
        """Which line is called so; None where none is. Raises ``UsageError``."""
        with _room():
            found = self._ids.execute("SELECT line FROM ids WHERE id = ?", (_key(custom_id),)).fetchone()
        return None if found is None else int(found[0])

    def is_nameless(self, line: int) -> bool:
        """Whether there is such a line, and it has no id."""
        return line in self._nameless

    def mark(self, line: int) -> bool:
        """Note that a line is done; whether it was not."""
        if self.is_done(line):
            return False
        self._marks.set(line)
        self.done += 1
        return True

    def is_done(self, line: int) -> bool:
        """Whether a line is done."""
        return line in self._marks

    def close(self) -> None:
        """Forget what lines are called; what is done stays known."""
        self._ids.close()


class _Bits:
    """A set of numbers from 0 on, as one bit each up to the largest."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def set(self, number: int) -> None:
        self._bytes.extend(bytes(max(number // 8 + 1 - len(self._bytes), 0)))
        self._bytes[number // 8] |= 1 << number % 8

    def __contains__(self, number: int) -> bool:
        return 0 <= number // 8 < len(self._bytes) and bool(self._bytes[number // 8] & 1 << number % 8)


def _key(custom_id: str) -> bytes:
    return hashlib.blake2b(custom_id.encode(), digest_size=16).digest()


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as exc:
        raise UsageError(
            f"the ids of the lines cannot be kept in a temporary file ({exc}); make room, or let "
            "SQLITE_TMPDIR name a folder that has some"
        ) from exc
