"""How sure likelihoods are: the harness itself has no place for that."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path
from statistics import fmean
from typing import Any

from llada_core.errors import UsageError
from llada_core.generation.likelihood import LogLikelihood

__all__ = ["Reported"]

_log = logging.getLogger("lm_eval.llada")  # shown as what the harness says


class Reported:
    """The standard errors of all likelihoods of a run, and, where ``path`` is given, a line of JSON of each,
    behind those of an earlier part of the run. The value of a text that the network rules out, which is -inf,
    is null in it: JSON has no infinity.

    Raises ``UsageError`` where that file cannot be written.
    """

    def __init__(self, path: str | None) -> None:
        self._path = None if path is None else Path(path)
        self._errors: list[float] = []
        self._count = self._nfe = 0
        if self._path is not None:
            try:
                self._path.open("a", encoding="utf-8").close()
            except OSError as exc:
                raise UsageError(
                    f"likelihood_log={path!r} cannot be written ({exc.strerror}); give another file"
                ) from exc

    def take(self, texts: tuple[str, str] | None, found: LogLikelihood) -> None:
        """Count a likelihood; ``texts`` are its context and continuation, None of a window of a text."""
        self._count += 1
        self._nfe += found.nfe
        if found.standard_error is not None:
            self._errors.append(found.standard_error)
        if self._path is None:
            return
        context, continuation = texts or (None, None)
        line = {
            "context": context,
            "continuation": continuation,
            "value": None if found.value == -math.inf else found.value,
            "standard_error": found.standard_error,
            "samples": found.samples,
            "tokens": found.tokens,
            "is_greedy": found.is_greedy,
            "nfe": found.nfe,
        }
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")

    def tell(self) -> None:
        """Log the summary."""
        if self._errors:
            told = self.summary["standard_error"]
            _log.info(
                "standard error of %d log-likelihoods: mean %.4f, greatest %.4f",
                self._count,
                told["mean"],
                told["greatest"],
            )

    @property
    def summary(self) -> dict[str, Any]:
        """How many there were, the forwards that they took, and their standard errors; those are None where
        one sample each tells nothing of them, or nothing was asked."""
        told = {"mean": fmean(self._errors), "greatest": max(self._errors)} if self._errors else None
        return {"count": self._count, "nfe": self._nfe, "standard_error": told}
