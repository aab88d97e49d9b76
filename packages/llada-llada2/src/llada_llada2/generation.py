"""The decoders of LLaDA2.0 and LLaDA2.1 as step algorithms: policies and rules of theirs, on one network.

Sources: the published ``generate`` of both models, SGLang 0.5.23 (``srt/dllm/algorithm``), dInfer
(arXiv 2510.08666, ``BlockDiffusionLLM``). Tokens and numbers of forwards are theirs. What is otherwise here:

* any batch of ragged prompts, each row as if alone; upstream's ``generate`` takes one prompt;
* a prefix cache, which is exact (see `policies`) and adds no forward to the published count;
* the mask token is never written, nor is its probability part of a confidence: upstream may "commit" it, or
  edit a token back into it, and then loop without end;
* an end token in the prompt does not end the answer;
* what stands behind an end token becomes that token, and the answer is the answer alone, of ``gen_length``:
  upstream's early stop returns what it finds in the last block behind that, and on the hub the prompt too;
* a drawn token (``temperature`` above 0) is of this project's random stream.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from llada_core import Parameter
from llada_core.parameters import check_early_stops
from llada_runtime import Policy, Rule, StepAlgorithm

from .network import LLaDA2Network
from .plugin import (
    DINFER_PARAMETERS,
    EDIT_PARAMETERS,
    JOINT_PARAMETERS,
    LOW_CONFIDENCE_PARAMETERS,
    PARAMETERS,
)
from .policies import AtOnce, Blocks, Edited, Grouped
from .rules import DrawnEditing, DrawnSchedule, Editing, NearTies, Penalised, Schedule, Surest

__all__ = [
    "DInferGeneration",
    "EditGeneration",
    "JointThresholdGeneration",
    "LLaDA2Generation",
    "LowConfidenceGeneration",
]


class _BlockCausal(StepAlgorithm):
    """What the decoders share: how models are loaded, and blocks that are counted from the prompt's begin.

    Every block is decoded at its full width, and the answer cut: up to a block less one of columns behind it
    may lie beyond the model's length limit.
    """

    engine = "llada2"
    runs_on, reading = LLaDA2Network, LLaDA2Network.reading
    whole_blocks = align_blocks = True

    def load_model_class(self) -> type[LLaDA2Network]:
        """The network that the engine decodes on."""
        return LLaDA2Network


class LLaDA2Generation(_BlockCausal):
    """LLaDA2.0's: each forward commits what is surer than ``threshold``, or else its share of a schedule.

    ``steps`` are those of a block, at most ``gen_length // minimal_topk`` and one in any case. The answer
    ends with the block in which an end token stands; with ``eos_early_stop`` at the forward that writes one
    with no mask before the first, which saves the rest of that block. Above temperature 0, confidence is the
    probability of the drawn token after temperature and filters, as published.
    """

    name = "llada2"
    description = "The published decoding of LLaDA2.0: a threshold, and a schedule where it finds few."
    parameters = PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return AtOnce(closing=False) if params.get("eos_early_stop") else Blocks(closing=False)

    def rule(self, params: Mapping[str, Any]) -> Rule:
        known = _complete(params, PARAMETERS)
        kind = DrawnSchedule if known["temperature"] else Schedule
        most = known["gen_length"] // known["minimal_topk"]
        return kind(threshold=known["threshold"], steps=max(1, min(known["steps"], most)))

    def validate_args(self, **params: Any) -> dict[str, Any]:
        """The effective values of ``params``.

        Raises:
            ParameterError: a name is unknown, a value of the wrong type or out of range, or two parameters
                contradict each other.
        """
        values: dict[str, Any] = super().validate_args(**params)
        check_early_stops(values)
        return values


class EditGeneration(_BlockCausal):
    """LLaDA2.1's, with token editing: a forward fills masks and overwrites what it no longer agrees with.

    A full block is run until a forward changes nothing, ``max_post_steps`` times at most: two tokens may
    change places for ever. Only the block in work is edited, and its text is settled when it is left. The
    model's card names the modes quality (``threshold`` 0.7, ``editing_threshold`` 0.5) and speed (0.5, 0).
    An ``editing_threshold`` of 0 overwrites at every disagreement, as published; in diffusers it is none.

    Above temperature 0 masks are filled by tokens that are drawn. An edit still takes the likeliest one, by
    its raw probability; the published code edits by the token that it draws, as sure as that is after
    temperature and filters.

    A forward that changes nothing leaves the block's final keys; where the budget ends the block, the next
    one's first forward covers both. ``steps`` and ``minimal_topk``, which the published code takes and
    ignores, are refused. By default the answer ends with the block in which an end token stands, and
    ``early_stop=False`` decodes the blocks behind it too, as is published: the answer is the same. It is what
    the published code of LLaDA2.1 calls ``eos_early_stop``, which names it here too; in `LLaDA2Generation`
    that is another thing, as in the code of LLaDA2.0.
    """

    name = "llada2_edit"
    description = "The published decoding of LLaDA2.1, which edits the tokens of the block in work."
    parameters = EDIT_PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return Edited(most_post=_complete(params, EDIT_PARAMETERS)["max_post_steps"])

    def rule(self, params: Mapping[str, Any]) -> Rule:
        known = _complete(params, EDIT_PARAMETERS)
        kind = DrawnEditing if known["temperature"] else Editing
        return kind(
            threshold=known["threshold"],
            least=known["num_to_transfer"],
            editing_threshold=known["editing_threshold"],
            most_post=known["max_post_steps"],
        )

    def forward_limit(self, params: Mapping[str, Any]) -> int:
        """Forwards after which a row has failed: more than filling and editing its blocks can take."""
        return _limit(params, _complete(params, EDIT_PARAMETERS)["max_post_steps"])


class LowConfidenceGeneration(_BlockCausal):
    """SGLang's ``LowConfidence``: what is surer than ``threshold``, or else the best one.

    Each full block is run once more, which leaves its final keys and is counted. The forward that SGLang
    spends on the full blocks of a prompt, and does not count, is one with that of the first block.
    """

    name = "llada2_low_confidence"
    description = "SGLang's LowConfidence: a threshold, and one forward more of each full block."
    parameters = LOW_CONFIDENCE_PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return Blocks(closing=True)

    def rule(self, params: Mapping[str, Any]) -> Rule:
        return Surest(threshold=_complete(params, LOW_CONFIDENCE_PARAMETERS)["threshold"])


class JointThresholdGeneration(_BlockCausal):
    """SGLang's ``JointThreshold``: token editing in which a block always ends with a forward that changes
    nothing.

    So the look at the budget ``max_post_edit_steps`` costs a forward, unlike in `EditGeneration`, and the
    keys that it leaves are final. With ``penalty_lambda``, a token that stands one position before is made
    less likely; SGLang penalises a mask there too, which here is never proposed anyway.
    """

    name = "llada2_joint_threshold"
    description = "SGLang's JointThreshold: token editing, against repetition if asked for."
    parameters = JOINT_PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return Edited(most_post=None)

    def rule(self, params: Mapping[str, Any]) -> Rule:
        known = _complete(params, JOINT_PARAMETERS)
        settings = {
            "threshold": known["threshold"],
            "editing_threshold": known["edit_threshold"],
            "most_post": known["max_post_edit_steps"],
        }
        if known["penalty_lambda"]:
            return Penalised(penalty=known["penalty_lambda"], **settings)
        return Editing(**settings)

    def forward_limit(self, params: Mapping[str, Any]) -> int:
        """Forwards after which a row has failed: more than filling and editing its blocks can take."""
        return _limit(params, _complete(params, JOINT_PARAMETERS)["max_post_edit_steps"] + 1)


class DInferGeneration(_BlockCausal):
    """dInfer's block diffusion: what is at least ``threshold`` confident, or else the best and near ties.

    Forwards come in groups of two or more, so that a block may be run when it is full already; the prompt has
    a forward of its own, even one that is shorter than a block. Both are counted, as upstream does. Nothing
    survives behind an end token, where upstream keeps what its block holds.
    """

    name = "llada2_dinfer"
    description = "dInfer's block diffusion: a threshold, forwards in groups."
    parameters = DINFER_PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        known = _complete(params, DINFER_PARAMETERS)
        return Grouped(maximum_unroll=known["maximum_unroll"], expected_tpf=known["expected_tpf"])

    def rule(self, params: Mapping[str, Any]) -> Rule:
        return NearTies(threshold=_complete(params, DINFER_PARAMETERS)["threshold"])


def _complete(params: Mapping[str, Any], declared: Iterable[Parameter]) -> dict[str, Any]:
    """``params`` with the defaults of those ``declared`` here that a subclass leaves out."""
    return {each.name: each.default for each in declared} | dict(params)


def _limit(params: Mapping[str, Any], post: int) -> int:
    """More forwards than blocks of these lengths can take, with so many when they are full."""
    length = params["gen_length"]
    width = params.get("block_length") or length
    return (length // width + 2) * (width + post) + 1
