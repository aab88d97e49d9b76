"""What training asks of a loaded model: many answers, then other weights in the same memory."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from typing import Any

from llada_core.generation import execution
from llada_core.generation.jobs import Job
from llada_core.generation.model import Model
from llada_core.generation.prompt_kinds import prompts_of
from llada_core.generation.prompts import AnyPrompts
from llada_core.generation.results import GenerationRequest
from llada_core.generation.rollouts import Rollout, check_count, rollouts
from llada_core.loading.asked import requests_for
from llada_core.loading.resting import Resting
from llada_core.loading.session import check_room

__all__ = ["Rounds"]


class Rounds:
    """Rollouts, and what comes between two rounds of them, of whoever has a model that can rest."""

    _resting: Resting

    @property
    @abstractmethod
    def model(self) -> Model:
        """The network and its tokenizer."""

    @abstractmethod
    def ready(self) -> Model:
        """The same of a model that can be asked now. Raises ``ModelNotReady`` and ``UsageError``."""

    @abstractmethod
    def _job(self, request: GenerationRequest, index: int) -> Job:
        """A request, checked and encoded. Raises as ``generate``."""

    def rollouts(
        self,
        prompts: AnyPrompts,
        *,
        n: int = 1,
        algorithm: str | None = None,
        raw: bool = False,
        trajectory: bool = True,
        rows: int = execution.ROWS,
        columns: int | None = None,
        **params: Any,
    ) -> Generator[Rollout, None, None]:
        """``n`` answers to each prompt, as they end: for training by reward, with thousands of prompts.

        They are those of ``generate`` for a list that has each prompt ``n`` times in succession: with a
        ``seed``, answer i to prompt p draws from seed + p n + i, so that no two draw from one, and a next
        round of as many begins at seed + n · prompts. At temperature 0 the answers to a prompt are alike.
        Prompts are encoded once each and at the call; ``rows`` answers are in flight at a time, and no more
        of them have memory. ``rows`` and ``columns`` are those of ``session``, ``trajectory`` that of a
        request.

        A row that fails is told by its ``error``, and ends nothing else; so does one that needs more cached
        columns than there are. Closing the iterator stops the work. Raises as ``generate`` does, at the call;
        and ``UsageError`` when a row's turn comes and the model can no longer be asked.
        """
        check_count(n)
        check_room(rows, columns)
        jobs = [
            self._job(replace(request, trajectory=trajectory), n * index)
            for index, request in enumerate(requests_for(prompts_of(prompts), algorithm, raw, params, n))
        ]
        return rollouts(self.ready(), jobs, params, n=n, rows=rows, columns=columns)

    def load_weights(
        self, weights: Mapping[str, Any] | Iterable[tuple[str, Any]], *, partial: bool = False
    ) -> None:
        """Give the network other weights, in its own memory: a round of training has ended.

        ``weights`` are tensors by the names of the published checkpoint, of any floating-point dtype and on
        any device; they are cast, packed and put in eight bits as they would be when a checkpoint is loaded,
        so that answers are those of the model freshly loaded with them. CUDA graphs stay valid. A name
        without a place in the network, another shape, and, unless ``partial``, a name that is missing are
        each a ``CheckpointError`` that says it. A mapping is checked whole before anything is written. Pairs,
        as a generator gives them, are written one by one. Requests are refused while weights are written;
        and, where that ends by whatever error, until all weights have been given.

        Raises ``UsageError`` while requests are in work, while the model sleeps, and where it is split
        between ranks or runs by its own code; ``AlgorithmUnavailable`` where its engine cannot do it.
        """
        self._resting.load_weights(self.model, weights, partial=partial)

    @property
    def asleep(self) -> bool:
        """Whether it sleeps, so that ``wake`` has to come before a request."""
        return self._resting.asleep

    def sleep(self, *, level: int = 1) -> None:
        """Release the memory of the device: CUDA graphs, keys and values, and the weights.

        At level 1 the weights go to the host's memory, so that on the CPU they stay where they are; at level
        2 they are dropped, and ``load_weights`` has to bring others once the model is awake. Requests are
        refused meanwhile; open sessions stay open. Raises as ``load_weights``, and ``UsageError`` for another
        level, or where it sleeps already. What else ends it half-way, as the host's memory may, leaves
        the model asleep: ``wake`` brings back what there is.
        """
        self._resting.sleep(self.model, level)

    def wake(self) -> None:
        """Take the memory again after ``sleep``, and capture CUDA graphs as loading does.

        Raises ``UsageError`` where it is awake. Where the device has too little memory, its
        ``torch.OutOfMemoryError`` is raised: the model sleeps on, and holds nothing of the device.
        """
        self._resting.wake(self.model)
