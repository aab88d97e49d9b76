"""The same rows on the model loaded once more, without CUDA graphs and fused kernels."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from llada_core.environment import read_environment
from llada_core.loading import LoadedModel
from llada_dev.verify.checks import compared
from llada_dev.verify.findings import Finding
from llada_dev.verify.promises import Conditions
from llada_dev.verify.rows import Case, decoded

__all__ = ["against_eager", "why_not"]

_VARIABLE = "LLADA_GRAPHS"


def why_not(conditions: Conditions) -> str | None:
    """Why there are no graphs to compare with here; None where there may be."""
    if not conditions.on_gpu:
        return f"CUDA graphs are of a GPU, and the model runs on {conditions.device or 'no device of torch'}"
    if not read_environment().graphs:
        return f"{_VARIABLE} is off; unset it to compare"
    return None


def against_eager(
    cases: Sequence[Case], conditions: Conditions, load: Callable[[], LoadedModel]
) -> Iterator[Finding]:
    """What is found of each case where ``load`` loads the model with graphs off.

    The model that the cases were decoded on should be closed: the device may not hold two.
    """
    with _graphs_off(), load() as eager:
        for case in cases:
            if case.problem is None:
                plain = decoded(eager, case.rows, together=1)
                yield compared("graphs", case, plain, conditions=conditions)


@contextmanager
def _graphs_off() -> Iterator[None]:
    """Let models that are loaded meanwhile be without graphs: the variable is read when one is loaded."""
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
