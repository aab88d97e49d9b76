"""``nemotron_block``: the family's block decoding on the runtime's loop, by our own network code.

Per row: the context so far (the prompt, later each finished block) is run once and its keys are kept; then
the current block is denoised against them. Where the context is causal, its last logit also seeds the block
with the token that follows. A block's keys from denoising are not kept, as masks stood in it then. The last
block needs no such run. So a row takes one forward a denoising step and one a block: the published count.

Differences from the published ``generate``: any batch of ragged prompts, each row with its own end; the mask
token is never proposed; the confidence is float32; no mask is left behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Ids
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from llada_core.parameters import block_count, steps_a_block, whole_steps
from llada_runtime import Network, Plan, Policy, Quota, Rule, Sequence, StepAlgorithm, Threshold

from .model import NemotronModel, OnNemotron
from .plugin import BLOCK_PARAMETERS

__all__ = ["BlockGeneration", "FinishedBlocks"]


@dataclass(slots=True)
class _Context:
    """How many columns of a sequence have their final keys in the cache."""

    cached: int = 0


class FinishedBlocks(Policy):
    """What stands before the block is cached for good, each part by one run of its own.

    With ``causal``, those runs are, and each proposes the first token of the block that follows.
    """

    caches = True

    def __init__(self, *, causal: bool) -> None:
        self.causal = causal

    def begin(self) -> _Context:
        return _Context()

    def plan(self, sequence: Sequence) -> Plan:
        start, end = sequence.block_start, sequence.block_end
        cached = sequence.policy_state.cached
        if cached == start:
            return Plan(lo=start, hi=end, end=end, reads=True, writes=True)
        return Plan(
            lo=cached,
            hi=start,
            end=start,
            reads=cached > 0,
            writes=True,
            stride=1 if self.causal else None,
            targets=(start, start + self.causal),
            shift=1,
        )

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        if plan.hi == sequence.block_start:
            sequence.policy_state.cached = plan.hi
            sequence.begin_schedule()  # the seed is no part of the block's schedule


class BlockGeneration(OnNemotron, StepAlgorithm):
    """Block decoding of Nemotron diffusion models without their own code: batched, streamed, cancellable."""

    name = "nemotron_block"
    description = "Block decoding by our own network code; streams, and batches ragged prompts."
    parameters = BLOCK_PARAMETERS
    reading = NemotronModel.reading
    whole_blocks = True

    def unfit_reason(self, model: Any) -> str | None:
        """Why our network cannot run this model, ending with the remedy; None where it can."""
        if not isinstance(model, NemotronModel):
            return (
                f"it runs on a NemotronModel, not on a {type(model).__name__}; "
                "load the model with load_model or load_model_from_hf"
            )
        return model.network_reason

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return FinishedBlocks(causal=params["causal_context"])

    def rule(self, params: Mapping[str, Any]) -> Rule:
        """A threshold, or a fixed schedule where ``steps`` is in force."""
        if params.get("threshold") is not None:
            return Threshold(params["threshold"])
        return Quota(steps_a_block(params))

    def validate_args(self, **params: Any) -> dict[str, Any]:
        """The effective values of ``params``; ``steps`` is None where a threshold rules.

        A subclass may declare fewer; one with a ``generate`` of its own gets them as they were given.

        Raises:
            ParameterError: a name is unknown, or a value of the wrong type or out of range.
        """
        values: dict[str, Any] = super().validate_args(**params)
        if not self.yields_steps() or not {"steps", "gen_length"} <= values.keys():
            return values
        if values.get("threshold") is not None:
            return {**values, "steps": None}
        one_each = block_count(values) * (values.get("block_length") or values["gen_length"])
        return {**values, "steps": whole_steps(values, values["steps"] or one_each)}

    def sequence(
        self,
        model: Network,
        prompt_ids: Ids[int],
        params: Mapping[str, Any],
        *,
        answer: Ids[int | None] | None = None,
    ) -> Sequence:
        """A request row, ready to be admitted; ``causal_context`` None is what the model was trained with.

        Raises:
            PromptError, ParameterError: the prompt or its length does not fit the model.
        """
        assert isinstance(model, NemotronModel), "check_fits comes first"
        causal = params.get("causal_context")
        trained = model.config.causal_context
        chosen = {**params, "causal_context": trained if causal is None else causal}
        return super().sequence(model, prompt_ids, chosen, answer=answer)
