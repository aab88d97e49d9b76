"""What rank 0 and another rank say to each other: commands of ints one way, single ints back.

Beside the commands' connection there is a second one, which shows that both are alive: it ends when either
does, however that comes about, and bears what an orderly end and a fault have to say.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from socket import SHUT_RDWR, socket

__all__ = ["Command", "Line", "LineEnded", "read_end"]

_INT = struct.Struct("=q")
_GOODBYE = b"."
_TEXT = 4096  # bytes of a fault that are told


class LineEnded(Exception):
    """The other rank is gone, or has hung up."""


class Command(IntEnum):
    """What followers are told. Those marked with (*) are answered by one int.

    Attributes:
        CONNECT: meet the other ranks. (*)
        FORWARD: run a forward, see `messages`.
        CACHE: make a cache: its number, its columns, and for how many of them there is memory at once.
        FORGET: let go of caches: their numbers.
        RESIZE: a cache's memory: its number, the columns, and how many of them are in use. 1 if it can. (*)
        MOVE: columns of a cache: its number, then from where, how many and to where, for each move.
        AFFORD: tell for how many columns of a cache there is memory. (*)
        ROOM: whether a forward of so many columns, of which so many are asked for logits, fits. 1 if so. (*)
    """

    CONNECT = 0
    FORWARD = 1
    CACHE = 2
    FORGET = 3
    RESIZE = 4
    MOVE = 5
    AFFORD = 6
    ROOM = 7


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Line:
    """One end of what connects rank 0 with another rank: ``commands`` and their answers, and ``life``."""

    commands: socket
    life: socket

    def tell(self, command: Command, ints: Sequence[int]) -> None:
        """Raises LineEnded, as every other method that sends or waits."""
        self._send(array("q", (len(ints), command, *ints)).tobytes())

    def told(self) -> tuple[Command, list[int]]:
        """The next command. Waits."""
        count, command = self._ints(2)
        return Command(command), self._ints(count)

    def answer(self, value: int) -> None:
        self._send(_INT.pack(value))

    def answered(self) -> int:
        """The next answer. Waits."""
        return self._ints(1)[0]

    def say_goodbye(self) -> None:
        """Tell the other rank that the end is meant, if it is still there."""
        with suppress(OSError):
            self.life.sendall(_GOODBYE)

    def say_fault(self, text: str) -> None:
        """Tell rank 0 why this rank ends, if it is still there."""
        with suppress(OSError):
            self.life.sendall(text.encode("utf-8", "backslashreplace")[:_TEXT])

    def hang_up(self) -> None:
        """End it at both ends; a thread that waits for something to come waits no longer."""
        for end in (self.commands, self.life):
            with suppress(OSError):  # the other end has done so
                end.shutdown(SHUT_RDWR)

    def close(self) -> None:
        self.hang_up()
        self.commands.close()
        self.life.close()

    def _ints(self, count: int) -> list[int]:
        ints = array("q")
        ints.frombytes(self._exactly(count * _INT.size))
        return ints.tolist()

    def _exactly(self, size: int) -> bytes:
        received = bytearray()
        while len(received) < size:
            try:
                more = self.commands.recv(size - len(received))
            except OSError as exc:
                raise LineEnded from exc
            if not more:
                raise LineEnded
            received += more
        return bytes(received)

    def _send(self, words: bytes) -> None:
        try:
            self.commands.sendall(words)
        except OSError as exc:
            raise LineEnded from exc


def read_end(life: socket) -> tuple[bool, str]:
    """Whether the other rank said goodbye, and what else it said, once it has ended. Waits."""
    said = bytearray()
    with suppress(OSError):  # it is gone in another way
        while more := life.recv(_TEXT):
            said += more
            if said == _GOODBYE:
                return True, ""
    return False, said.decode("utf-8", "replace")
