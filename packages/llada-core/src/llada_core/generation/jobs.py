"""A request that is ready to run, and what running it asks of its algorithm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from llada_core.errors import ContractError
from llada_core.generation.results import Answer
from llada_core.generation.rows import check_row
from llada_core.generation.steps import Row, SupportsSteps, Ticket
from llada_core.generation.templates import Cloze
from llada_core.plugins.info import AlgorithmInfo
from llada_core.values import told

__all__ = ["Decoder", "Job", "row_of"]


class Decoder(Protocol):
    """What is asked of a ``GenerationAlgorithm``: whose request it is, and, in calls, its answers."""

    name: str
    engine: str
    info: AlgorithmInfo | None

    def answered(
        self, model: Any, prompts: Sequence[Sequence[int]], params: Mapping[str, object]
    ) -> list[Answer]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One request: ids for a prompt, effective values for parameters; ``index`` is its row in a call.

    ``runner`` makes its row and the loop that runs it: the algorithm itself, or what calls it. ``cloze`` is
    the answer, where some of it is fixed; ``stop`` and ``logprobs`` are those of the request; ``trajectory``
    where that asked for it and the algorithm can tell.
    """

    index: int
    algorithm: Decoder
    runner: SupportsSteps
    prompt_ids: tuple[int, ...]
    parameters: Mapping[str, object]
    cloze: Cloze | None = None
    stop: tuple[str, ...] = ()
    logprobs: int | None = None
    trajectory: bool = False

    @property
    def distribution(self) -> str | None:
        """The distribution of the algorithm; None where the program registered or made it itself."""
        info = self.algorithm.info
        return None if info is None else info.distribution


def row_of(job: Job, network: Any) -> Row:
    """The row that the job's runner makes of it.

    Raises what that raises, and ``ContractError`` for what does not tell all that a row tells.
    """
    fixed = {} if job.cloze is None else {"answer": job.cloze.cells}
    row: Any = job.runner.sequence(network, job.prompt_ids, job.parameters, **fixed)
    if not isinstance(getattr(row, "ticket", None), Ticket):
        raise ContractError(f"its sequence returned {told(row)}; return a row, with its ticket")
    if job.logprobs:
        if not hasattr(row, "alternatives"):
            raise ContractError("its rows have no alternatives; give logprobs=0, or let them have some")
        row.alternatives = job.logprobs
    if job.trajectory and hasattr(row, "traced"):
        row.traced = True
    check_row(row)
    return row  # type: ignore[no-any-return]
