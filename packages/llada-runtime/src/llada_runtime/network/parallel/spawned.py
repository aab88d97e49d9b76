"""The other ranks as processes that rank 0 starts, on its own machine."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from socket import socket, socketpair
from typing import Any

import torch
from torch.distributed import FileStore

from llada_runtime.network.parallel.crew import Crew
from llada_runtime.network.parallel.part import Part
from llada_runtime.network.parallel.wire import Line

__all__ = ["Spawned"]

# The modules are found as they are here, whatever the program has done to its path.
_PROGRAM = """
import json, sys
job = json.loads(sys.stdin.buffer.readline())
sys.path[:] = job.pop("path")
from llada_runtime.network.parallel.follower import main
main(job)
"""


class Spawned:
    """The way of a program that was started alone."""

    def __init__(self, part: Part) -> None:
        self._part = part
        self._place = tempfile.TemporaryDirectory(prefix="llada-")
        self._meeting = str(Path(self._place.name) / "ranks")

    def crew(self) -> Crew:
        """The other ranks, which have begun to load."""
        lines, processes = list[Line](), list[subprocess.Popen[bytes]]()
        for rank in range(1, self._part.size):
            (here, there), (mine, its) = socketpair(), socketpair()
            processes.append(self._started(rank, there, its))
            lines.append(Line(commands=here, life=mine))
        return Crew(lines, processes, cleared=self._place.cleanup)

    def store(self) -> Any:
        """Where the ranks meet: a file, as nobody else has a say."""
        return FileStore(self._meeting, self._part.size)

    def _started(self, rank: int, commands: socket, life: socket) -> subprocess.Popen[bytes]:
        job = {
            "part": self._part.fields,
            "rank": rank,
            "path": sys.path,
            "parent": os.getpid(),
            "threads": torch.get_num_threads(),
            "store": self._meeting,
            "commands": commands.fileno(),
            "life": life.fileno(),
        }
        with commands, life:  # the process has them then
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=2,  # the program's own stdout is for answers
                pass_fds=(commands.fileno(), life.fileno()),
                process_group=0,  # Ctrl-C is for rank 0, whose end is theirs
            )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as given:  # its end is noticed elsewhere
            given.write(json.dumps(job).encode() + b"\n")
        return process
