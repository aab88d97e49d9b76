"""`StepAlgorithm`: the contract for authors of decoders that work step by step.

Supply a cache policy and a commit rule; batching with any other step algorithm, ragged prompts, streaming
and cancellation follow. This module does not know the registry: the class is a mixin for
``llada_core.GenerationAlgorithm``, which brings names, loading, tokenizing and validation.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from collections.abc import Sequence as Sequence_
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from llada_core.errors import PromptError
from llada_runtime.decoding.loop import drain
from llada_runtime.decoding.policies import Policy
from llada_runtime.decoding.rules import Rule
from llada_runtime.decoding.sequence import Sequence, Step
from llada_runtime.models.llada import LLaDAModel
from llada_runtime.network.protocol import Network

__all__ = ["StepAlgorithm", "prompt_rows"]


class StepAlgorithm(ABC):
    """A decoder given by what it plans and what it keeps.

    A complete decoder that always keeps the two most confident tokens::

        class Pairs(StepAlgorithm, GenerationAlgorithm):
            def policy(self, params):
                return DualCache()

            def rule(self, params):
                return BestTwo()

        class BestTwo(BestFirst):
            @classmethod
            def counts(cls, sequences, ranked, open_counts):
                return open_counts.clamp(max=2)
    """

    max_rows: ClassVar[int] = 32
    """How many sequences `steps` keeps in flight; further ones enter as rows finish."""

    whole_blocks: ClassVar[bool] = False
    """Whether the last block is decoded at its full width and then cut, instead of being a short one."""

    if TYPE_CHECKING:

        def validate_args(self, **params: Any) -> dict[str, Any]: ...  # GenerationAlgorithm's

    @abstractmethod
    def policy(self, params: Mapping[str, Any]) -> Policy:
        """How one sequence with these effective parameters plans its forwards."""

    @abstractmethod
    def rule(self, params: Mapping[str, Any]) -> Rule:
        """How one sequence with these effective parameters chooses tokens."""

    def load_model_class(self) -> type[Any]:
        """The network that this runtime decodes on."""
        return LLaDAModel

    def sequence(self, model: Network, prompt_ids: Sequence_[int], params: Mapping[str, Any]) -> Sequence:
        """A request row, ready for `steps`; nothing is run yet.

        Args:
            params: effective values by canonical name, as ``validate_args`` returns them.

        Raises:
            PromptError: the prompt or its length does not fit the model.
        """
        return Sequence(
            prompt_ids,
            model.config,
            gen_length=params["gen_length"],
            block_length=params["block_length"],
            policy=self.policy(params),
            rule=self.rule(params),
            temperature=params.get("temperature", 0.0),
            random_order=params.get("remasking") == "random",
            seed=params.get("seed"),
            early_stop=params.get("early_stop", True),
            align_blocks=params.get("start_block_align", False),
            whole_blocks=self.whole_blocks,
        )

    def steps(self, model: Network, sequences: Sequence_[Sequence]) -> Iterator[Step]:
        """Decode ``sequences`` together, emitting each one's steps as they happen.

        They may come from different algorithms: every sequence brings its own policy and rule.
        """
        return drain(model, sequences, rows=self.max_rows)

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
            PromptError: a prompt is empty, holds the mask token, or is too long for the model.
        """
        rows = prompt_rows(prompt, attention_mask)
        sequences = [
            self.sequence(model, ids, self.validate_args(**_of_row(params, row)))
            for row, ids in enumerate(rows)
        ]
        for _ in self.steps(model, sequences):
            pass
        answers = torch.tensor([s.canvas[s.prompt_length : s.answer_end] for s in sequences])
        padded = prompt.view(len(rows), -1)
        return torch.cat((padded, answers.to(padded)), dim=1), max(sequence.nfe for sequence in sequences)


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


def _of_row(params: Mapping[str, Any], row: int) -> Mapping[str, Any]:
    seed = params.get("seed")
    return {**params, "seed": seed + row} if type(seed) is int else params
