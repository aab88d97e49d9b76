"""What a program and the processes below it compute, by kind of process; read in `/proc`, on Linux only."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

__all__ = ["seconds_by_process", "used_by_kind"]

_KINDS = {  # in the command line of a process, and what it is called here
    ":Model": "replica",
    ":Ingress": "ingress",
    "ProxyActor": "proxy",
    "raylet": "raylet",
    "gcs_server": "gcs",
}


def seconds_by_process(root: int) -> dict[tuple[int, str], float]:
    """Seconds of the processor of this process and all that came from it and live, by id and kind."""
    found = {}
    for pid in _descendants(root):
        try:
            spent = time.clock_gettime(~pid << 3 | 2)  # as clock_getcpuclockid(3) does on Linux
            found[pid, _kind(pid, root)] = spent
        except OSError:  # it has ended
            continue
    return found


def _descendants(root: int) -> set[int]:
    """The process and those that came from it and live."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(entry.parent.name)] = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:  # it has ended
            continue
    found, left = {root}, {root}
    while left:
        left = {pid for pid, parent in parents.items() if parent in left} - found
        found |= left
    return found


def _kind(pid: int, root: int) -> str:
    if pid == root:
        return "listens"
    command = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
    return next((kind for text, kind in _KINDS.items() if text in command), "others")


def used_by_kind(
    before: dict[tuple[int, str], float], after: dict[tuple[int, str], float]
) -> dict[str, float]:
    """Seconds between the two, by kind of process; a process that is new has taken all of its own."""
    known = {pid: seconds for (pid, _), seconds in before.items()}
    used: defaultdict[str, float] = defaultdict(float)
    for (pid, kind), seconds in after.items():
        used[kind] += seconds - known.get(pid, 0.0)
    return dict(used)
