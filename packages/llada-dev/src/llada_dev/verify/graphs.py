"""The same rows on the model loaded once more, without CUDA graphs and fused kernels."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from llada_core.environment import read_environment
from llada_core.loading import LoadedModel
from llada_dev.verify.checks import compared
from llada_dev.verify.findings import Finding
from llada_dev.verify.promises import Conditions
from llada_dev.verify.rows import Answered, decoded

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
    answers: Sequence[Answered], conditions: Conditions, load: Callable[[], LoadedModel]
) -> Iterator[Finding]:
    """What is found of each of the ``answers`` where ``load`` loads the model with graphs off.

    It is not loaded where none of them was decoded in graphs.
    The model that they were decoded on should be closed: the device may not hold two.
    """
    sound = [each for each in answers if each.problem is None]
    for each in sound:
        if each.replays.problem is not None:
            told = f"a block step cannot be captured: {each.replays.problem}"
            yield Finding.failure("graphs", each.label, told)
        elif not each.replays.count:
            yield Finding.not_run("graphs", each.label, "nothing of it is captured")
    captured = [each for each in sound if each.replays.count and each.replays.problem is None]
    if captured:
        gc.collect()  # an error of a row holds the frames that raised it, which hold the closed model
        with _graphs_off(), load() as eager:
            for each in captured:
                plain = decoded(eager, each.rows, together=1)
                yield compared("graphs", each, plain, conditions=conditions)


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
