"""What the runtime raises for a checkpoint, a prompt or logits that it cannot work with.

RuntimeFault
├── CheckpointError (also ValueError)   the files are missing, damaged, or do not belong together
│   └── UnsupportedArchitecture         they describe a model that this network does not implement
├── SequenceError (also ValueError)     a row that cannot be decoded: empty, too long, a mask in its prompt
└── NumericalError (also ArithmeticError)   the network produced NaN
"""

from __future__ import annotations

__all__ = ["CheckpointError", "NumericalError", "RuntimeFault", "SequenceError", "UnsupportedArchitecture"]


class RuntimeFault(Exception):
    """The root of the runtime's errors."""


class CheckpointError(RuntimeFault, ValueError):
    """The checkpoint cannot be loaded; the message names the file, field or tensor and the remedy."""


class UnsupportedArchitecture(CheckpointError):
    """``config.json`` asks for an architecture, or a variant of it, that this network does not implement."""


class SequenceError(RuntimeFault, ValueError):
    """A request row that cannot be decoded by this model; the message names the offending value."""


class NumericalError(RuntimeFault, ArithmeticError):
    """The network's logits are NaN, so no token can be chosen."""
