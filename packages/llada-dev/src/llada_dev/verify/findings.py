"""What a check found, as facts."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from llada_dev.verify.differences import Difference

__all__ = ["Finding", "Verdict"]

Verdict = Literal["passed", "failed", "told", "not run"]
"""``told`` is information: what was found is promised nowhere. ``not run`` comes with the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of one check of one algorithm.

    Attributes:
        check: its name. algorithm: what it was run on, with what tells it from others of the call.
        verdict: whether what is promised holds. detail: a sentence of what was found, or why it was not run.
        answers: how many were compared. equal: how many of these have the same tokens and the same NFE.
        agreement: the share of positions with the same token, None where nothing was compared.
        difference: where the first answer that differs does.
    """

    check: str
    algorithm: str
    verdict: Verdict
    detail: str
    answers: int = 0
    equal: int = 0
    agreement: float | None = None
    difference: Difference | None = None

    @classmethod
    def not_run(cls, check: str, algorithm: str, reason: str) -> Finding:
        """The finding of a check that says nothing here, and why."""
        return cls(check=check, algorithm=algorithm, verdict="not run", detail=reason)

    @classmethod
    def failure(cls, check: str, algorithm: str, problem: str) -> Finding:
        """The finding of a check that came to no comparison."""
        return cls(check=check, algorithm=algorithm, verdict="failed", detail=problem)

    def as_dict(self) -> dict[str, Any]:
        """The finding as ``--json`` prints it."""
        return asdict(self)
