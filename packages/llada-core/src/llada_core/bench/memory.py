"""How much memory a measurement took at its highest: of the device, or, on a CPU, of this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llada_core.imports import load_target

__all__ = ["PeakMemory", "why_no_peak"]

_DEVICES = "llada_core.bench.devices"
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
_RESET = "5"  # of VmHWM, see proc_pid_clear_refs(5)


class PeakMemory:
    """The peak from ``begin`` on, in bytes.

    On a CUDA device what tensors took of it, of the first one where the model is split. Elsewhere the
    resident memory of the process, all that it holds and not the case's share alone; None where the system
    does not let it be counted anew.
    """

    def __init__(self, network: Any) -> None:
        self._device = load_target(f"{_DEVICES}:cuda_device_of")(network)
        self._known = False

    def begin(self) -> None:
        """Count from here on."""
        if self._device is not None:
            load_target(f"{_DEVICES}:forget_peak")(self._device)
            self._known = True
        else:
            self._known = why_no_peak() is None

    def settle(self) -> None:
        """Wait until the device has done what it was told to do."""
        if self._device is not None:
            load_target(f"{_DEVICES}:wait_for")(self._device)

    def peak(self) -> int | None:
        """The highest since ``begin``."""
        if not self._known:
            return None
        if self._device is not None:
            peak: int = load_target(f"{_DEVICES}:peak_of")(self._device)
            return peak
        return _high_water()


def why_no_peak() -> str | None:
    """Why the resident memory's peak cannot be told here; None where it can, and counts anew from now on."""
    try:
        _CLEAR.write_text(_RESET)
        _high_water()
    except (OSError, StopIteration):
        return "this system does not let a process count the peak of its memory anew"
    return None


def _high_water() -> int:
    """The resident memory at its highest, in bytes."""
    lines = _STATUS.read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
