"""How much main memory there is, and is free, as a program in a container sees it, and what the processor is
called. Knows no other device."""

from __future__ import annotations

import os
import platform
from pathlib import Path

__all__ = ["amount", "free_main_memory", "main_memory", "multiplies_bfloat16", "processor"]

_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_CPUINFO = Path("/proc/cpuinfo")


def free_main_memory() -> int:
    """Bytes that could be allocated now: what the system says is available, or what is left of the
    container's limit if that is less."""
    return int(min(_available(), _left_in_container(_CGROUP)))


def main_memory() -> int:
    """Bytes that the machine has, or its container's limit if that is less."""
    try:
        limit = int((_CGROUP / "memory.max").read_text())  # "max" where there is none
    except (OSError, ValueError):
        return _physical()
    return min(_physical(), limit)


def processor() -> str:
    """The name of the processor; its architecture where the system does not tell more."""
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:  # not Linux
        return platform.processor() or platform.machine()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, "") or platform.machine()


def multiplies_bfloat16() -> bool:
    """Whether the processor has a matrix unit for bfloat16 (AMX), as far as the system tells."""
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:  # not Linux
        return False
    return any("amx_bf16" in line.split() for line in lines if line.startswith("flags"))


def _available() -> int:
    """Of the machine, in bytes; half of what it has where only that is known (not Linux)."""
    try:
        lines = _MEMINFO.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return _physical() // 2


def _physical() -> int:
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return 8 << 30  # a guess that any machine which loads such models exceeds


def _left_in_container(group: Path) -> float:
    """What a version 2 control group leaves, in bytes; infinite where there is none or it has no limit."""
    try:
        limit = int((group / "memory.max").read_text())  # "max" where there is none
        used = int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return float("inf")
    return max(limit - used + int(stat.get("inactive_file", 0)), 0)  # the page cache gives way


def amount(count: float) -> str:
    """So many bytes as people read them."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
