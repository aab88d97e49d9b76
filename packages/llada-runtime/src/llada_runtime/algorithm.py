"""`StepAlgorithm`: the contract for authors of decoders that work step by step.

Supply a cache policy and a commit rule; batching with any other step algorithm, ragged prompts, streaming
and cancellation follow.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as Ids
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import torch
from torch import Tensor

from llada_core.errors import PromptError
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.execution import finished_tickets
from llada_core.generation.model import Model
from llada_core.generation.steps import StepLoop
from llada_core.imports import LazyModule
from llada_core.parameters import parameters_of_row
from llada_runtime.decoding.loop import Loop
from llada_runtime.decoding.policies import Policy
from llada_runtime.decoding.rules import Rule
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.models.llada import LLaDAModel
from llada_runtime.network.protocol import Network

if TYPE_CHECKING:
    from llada_runtime import testing
else:
    testing = LazyModule("llada_runtime.testing")  # on use: who decodes tests nothing

__all__ = ["StepAlgorithm", "prompt_rows"]


class StepAlgorithm(GenerationAlgorithm):
    """A decoder given by what it plans and what it keeps.

    A complete decoder that always keeps the two most confident tokens::

        class Pairs(StepAlgorithm):
            def policy(self, params):
                return DualCache()

            def rule(self, params):
                return BestTwo()

        class BestTwo(BestFirst):
            @classmethod
            def counts(cls, parameters, ranked, open_counts):
                return open_counts.clamp(max=2)
    """

    loop_class: ClassVar[type[StepLoop]] = Loop
    """Rows of all algorithms with the same one share forwards; it is made by ``open_loop``."""

    whole_blocks: ClassVar[bool] = False
    """Whether the last block is decoded at its full width and then cut, instead of being a short one."""

    @abstractmethod
    def policy(self, params: Mapping[str, Any]) -> Policy:
        """How one sequence with these effective parameters plans its forwards."""

    @abstractmethod
    def rule(self, params: Mapping[str, Any]) -> Rule:
        """How one sequence with these effective parameters chooses tokens."""

    def load_model_class(self) -> type[Any]:
        """The network that this runtime decodes on."""
        return LLaDAModel

    def sequence(self, model: Network, prompt_ids: Ids[int], params: Mapping[str, Any]) -> Sequence:
        """A request row, ready to be admitted; nothing is run yet.

        Args:
            params: effective values by canonical name, as ``validate_args`` returns them.

        Raises:
            PromptError, ParameterError: the prompt or its length does not fit the model.
        """
        return Sequence(
            prompt_ids,
            model.config,
            gen_length=params["gen_length"],
            block_length=params["block_length"],
            policy=self.policy(params),
            rule=self.rule(params),
            temperature=params.get("temperature") or 0.0,
            random_order=params.get("remasking") == "random",
            seed=params.get("seed"),
            early_stop=params.get("early_stop", True),
            align_blocks=params.get("start_block_align", False),
            whole_blocks=self.whole_blocks,
            idle_limit=self.idle_limit(params),
            forward_limit=self.forward_limit(params),
        )

    def idle_limit(self, params: Mapping[str, Any]) -> int | None:
        """Forwards in a row that may fill nothing before a row has failed; None is two a column of a block,
        and 16.

        To be overridden by a decoder that lets forwards pass without filling anything.
        """
        return None

    def forward_limit(self, params: Mapping[str, Any]) -> int | None:
        """Forwards after which a row has failed; None is eight a column of its blocks, and 64."""
        return None

    def open_loop(self, model: Network, *, rows: int, columns: int | None = None) -> StepLoop:
        """A loop on ``model`` for ``rows`` rows and ``columns`` cached columns; None is what is free.

        Rows of other algorithms take part in it: every sequence brings its own policy and rule.
        """
        return self.loop_class(model, rows=rows, columns=columns)  # type: ignore[call-arg]

    def generate(
        self, model: Network, prompt: Tensor, *, attention_mask: Tensor | None = None, **params: Any
    ) -> tuple[Tensor, int]:
        """The prompts with their answers, and how many forwards the slowest row took.

        Args:
            prompt: int64 ``[B, P]`` or ``[P]``. Rows are padded on the left where ``attention_mask`` is 0;
                padding is not seen by the network and comes back unchanged.
            attention_mask: ``[B, P]``, 1 on the prompt's tokens; None if nothing is padded.
            params: decoding parameters or their aliases. With a ``seed``, row r draws from stream seed + r.

        Returns:
            ``(output_ids, nfe)``: int64 ``[B, P + gen_length]`` on the prompt's device, and the largest of
            the rows' forward counts.

        Raises:
            ParameterError: a parameter is unknown, of a wrong type or out of range.
            PromptError: a prompt is empty, holds the mask token, or is too long for the model.
            AlgorithmUnavailable: the algorithm cannot run on this network.
            GenerationError: a row failed; raised once all have ended.
        """
        self.check_fits(model)
        rows = prompt_rows(prompt, attention_mask)
        loaded = Model.of(model, self.tokenizer, path=self.model_path)
        jobs = [
            self.prepare(loaded, ids, parameters_of_row(params, row), index=row)
            for row, ids in enumerate(rows)
        ]
        tickets = finished_tickets(loaded, jobs)
        answers = torch.tensor([ticket.canvas for ticket in tickets])
        padded = prompt.view(len(rows), -1)
        return torch.cat((padded, answers.to(padded)), dim=1), max(ticket.nfe for ticket in tickets)

    def conformance_checks(self) -> Iterable[tuple[str, Callable[[], object]]]:
        """What ``llada_core.testing.check_algorithm`` is to check besides: its rule and its policy."""
        return testing.algorithm_checks(self)

    def __getattr__(self, name: str) -> NoReturn:
        if name == "steps":
            raise AttributeError(
                "steps is open_loop now: admit sequences to the loop that it makes, and step it"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def prompt_rows(prompt: Tensor, attention_mask: Tensor | None) -> list[list[int]]:
    """Each row's own ids in ``prompt`` (int64 ``[B, P]`` or ``[P]``), left-padded where the mask is 0.

    Raises:
        PromptError: the tensors do not fit.
    """
    if prompt.dim() not in (1, 2) or prompt.is_floating_point():
        raise PromptError(
            f"the prompt is a {prompt.dtype} tensor of shape {list(prompt.shape)}; give int64 ids [B, P]"
        )
    rows = prompt if prompt.dim() == 2 else prompt[None]
    if not len(rows):
        raise PromptError("the prompt has no rows; give int64 ids [B, P]")
    if attention_mask is None:
        return [list(row) for row in rows.tolist()]
    mask = attention_mask if attention_mask.dim() == 2 else attention_mask[None]
    if mask.shape != rows.shape:
        raise PromptError(
            f"attention_mask has shape {list(attention_mask.shape)} and the prompt {list(prompt.shape)}; "
            "they must be equal"
        )
    mask = mask.bool().to(rows.device)
    if (mask[:, :-1] & ~mask[:, 1:]).any():
        raise PromptError("attention_mask has a 0 after a 1; pad prompts on the left only")
    return [row[own].tolist() for row, own in zip(rows, mask, strict=True)]
