"""A port of this machine for a server of a test that is a process of its own."""

from __future__ import annotations

import socket

__all__ = ["free_port"]


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened at when it was looked for.

    For programs that tell no port of their own choice; one that may bind by itself asks for port 0.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
