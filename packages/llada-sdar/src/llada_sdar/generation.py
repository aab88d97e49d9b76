"""The decoders of SDAR models: the published one, LMDeploy's and SGLang's, on the runtime's loop.

Sources: JetAstra/SDAR ``generate.py`` (``block_diffusion_generate``), InternLM/lmdeploy
(``pytorch/strategies/dllm``), SGLang (``srt/dllm``, ``LowConfidence``). All decode block by block, each block
against the final keys and values of all before it (`FinishedBlocks`). They differ in what a forward keeps,
and in which forwards there are besides: the count of forwards is that of each source.

What is otherwise than there, for all three:

* any batch of prompts of any length, each row with its own end (SDAR's code takes one row, whatever the
  prompt, and looks for stop ids on the device once a block, in all of the answer: the same block ends it);
* an answer ends behind its first end token, and what the block has behind that is not the answer's;
* the mask token is never written; no more cells are filled than there are masks, so that neither the prompt
  nor a token that stands is written over, which SDAR's code does where a block with a part of the prompt, or
  one that has got ahead of its schedule, has fewer masks than the schedule says;
* a block of one column attends as any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence as Ids
from types import MappingProxyType
from typing import Any, ClassVar

from llada_core.errors import ParameterError
from llada_core.parameters import named
from llada_runtime import Filters, Network, Policy, Rule, Sequence, StepAlgorithm, Threshold

from .filters import SDARFilters
from .network import SDARNetwork
from .plugin import LMDEPLOY_PARAMETERS, LOW_CONFIDENCE_PARAMETERS, SDAR_PARAMETERS
from .policies import FinishedBlocks
from .rules import (
    BoundedEntropy,
    DrawnMostConfident,
    DrawnSure,
    Leftmost,
    MostConfident,
    Schedule,
    Sure,
    odds_of,
)

__all__ = ["BLOCK_LENGTH", "LMDeployGeneration", "LowConfidenceGeneration", "SDARGeneration"]

BLOCK_LENGTH = 4
"""Columns of a block where neither a call nor the model's config says: what the published models have."""

_DYNAMIC, _STATIC, _SEQUENTIAL = "low_confidence_dynamic", "low_confidence_static", "sequential"
_BOUNDED = "entropy_bounded"
_PUBLISHED_BOUND = 0.35  # of entropies, in nats


class _BlockGeneration(StepAlgorithm):
    """What the decoders share: blocks that begin at multiples of their width, all of full width."""

    engine = "sdar"
    runs_on, reading = SDARNetwork, SDARNetwork.reading
    whole_blocks = align_blocks = True
    chat_options = ("enable_thinking",)
    read_by: ClassVar[Mapping[str, tuple[str, ...]]] = MappingProxyType({})
    """The strategies that read a parameter which not all of them do."""

    def validate_args(self, **params: Any) -> dict[str, Any]:
        """The effective values of ``params``; what the strategy does not read is None. A ``block_length`` of
        None, where a model is loaded, is the one that it is decoded with, and ``denoising_steps`` of None are
        as many as a block has columns.

        Raises:
            ParameterError: a name is unknown, a value of the wrong type or out of range, or one is given that
                the strategy does not read.
        """
        values: dict[str, Any] = super().validate_args(**params)
        given, strategy = named(params, self.parameters), values.get("remasking_strategy", _DYNAMIC)
        idle = [name for name, by in self.read_by.items() if name in values and strategy not in by]
        for name in (each for each in idle if each in given):
            raise ParameterError(
                f"{self.name}: {name}={given[name]!r} is not read with remasking_strategy={strategy!r}; "
                f"leave it out, or give remasking_strategy={' or '.join(map(repr, self.read_by[name]))}",
                parameter=name,
                value=given[name],
            )
        if "block_length" in values and self.model is not None:
            values["block_length"] = _block_length(self.model, values)
        if "denoising_steps" in values and values["denoising_steps"] is None:
            values["denoising_steps"] = values.get("block_length")
        return {**values, **dict.fromkeys(idle)}

    def load_model_class(self) -> type[SDARNetwork]:
        """The network that the algorithms run on."""
        return SDARNetwork

    def sequence(
        self,
        model: Network,
        prompt_ids: Ids[int],
        params: Mapping[str, Any],
        *,
        answer: Ids[int | None] | None = None,
    ) -> Sequence:
        """A request row, ready to be admitted; a ``block_length`` of None is what the model was trained for.

        Raises:
            PromptError, ParameterError: the prompt or its length does not fit the model.
        """
        chosen = {**params, "block_length": _block_length(model, params)}
        made = super().sequence(model, prompt_ids, chosen, answer=answer)
        if not params.get("do_sample", True):
            made.temperature = 0.0  # the likeliest token; how sure it is, the rule says at the temperature
        return made


class SDARGeneration(_BlockGeneration):
    """SDAR's ``block_diffusion_generate``; a forward for the prompt's whole blocks and one more for each
    finished block, the last too, are counted as there.

    How sure a token is, is its probability under the distribution that it is drawn from, tempered and
    filtered as there (`SDARFilters`): so ``top_k=1`` fills a block at once by ``low_confidence_dynamic``, but
    for columns whose likeliest tokens are equally likely. ``min_p`` is ours, and comes last. Temperature 0,
    at which that code divides by zero, takes the likeliest tokens by the raw probabilities: there is no
    other greedy decoding, and it is the default here.

    ``entropy_bounded`` fails as published (a variable is read before it is set, and the entropy is that of
    one probability and not of the distribution). Here it is the rule of dLLM-RL, which has the same decoder
    in its engine: columns in the order of their entropies as long as the sum stays below ``eb_threshold``.
    It was held to no reference.
    """

    name = "sdar"
    description = "SDAR's own block decoding, with its remasking strategies."
    parameters = SDAR_PARAMETERS
    read_by = MappingProxyType(
        {
            "denoising_steps": (_DYNAMIC, _STATIC, _SEQUENTIAL),
            "threshold": (_DYNAMIC,),
            "eb_threshold": (_BOUNDED,),
        }
    )

    def filters(self, params: Mapping[str, Any]) -> Filters | None:
        """``top_k`` and ``top_p`` in the meaning of SDAR's code."""
        return SDARFilters.of(params)

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return FinishedBlocks(prompt_alone=True, closes_last=True)

    def rule(self, params: Mapping[str, Any]) -> Rule:
        """What the remasking strategy keeps; of ``params`` without a block, by one of the published width."""
        block = params.get("block_length") or BLOCK_LENGTH
        schedule = Schedule.spread(block, params.get("denoising_steps") or block)
        strategy, threshold = params.get("remasking_strategy"), params.get("threshold")
        raw, odds = not params.get("temperature"), odds_of(params, self.filters(params))
        if strategy == _BOUNDED:
            return BoundedEntropy(_bound(params), odds)
        if strategy == _SEQUENTIAL:
            return Leftmost(schedule)
        if strategy == _STATIC:
            return MostConfident(schedule) if raw else DrawnMostConfident(schedule, odds)
        return Sure(schedule, threshold) if raw else DrawnSure(schedule, threshold, odds)

    def validate_args(self, **params: Any) -> dict[str, Any]:
        """The effective values of ``params``, with the bound that none stands for. Raises as the others'."""
        values = super().validate_args(**params)
        if "eb_threshold" in values and values.get("remasking_strategy") == _BOUNDED:
            values["eb_threshold"] = _bound(values)
        return values


class LMDeployGeneration(_BlockGeneration):
    """LMDeploy's decoding of SDAR: a threshold that is reached is passed, and the last block, which nobody
    reads, is not run once more. The prompt's whole blocks run in the first forward of the block after them.

    How sure a token is, is its raw probability, whatever the temperature and the filters: these say only what
    is drawn, and are the runtime's, as LMDeploy's keep ``top_k`` tokens too, however many are equally likely.
    Its ``top_p`` keeps one token more where those before it have exactly this probability. Where
    ``block_length`` is no multiple of ``denoising_steps`` the remainder is dropped, so that a block takes
    more forwards than that, as there; ``denoising_steps=None``, which fails there by a TypeError, is one a
    column.
    """

    name = "sdar_lmdeploy"
    description = "Block decoding as LMDeploy does it."
    parameters = LMDEPLOY_PARAMETERS
    read_by = MappingProxyType({"denoising_steps": (_STATIC, _SEQUENTIAL), "threshold": (_DYNAMIC,)})

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return FinishedBlocks(prompt_alone=False, closes_last=False)

    def rule(self, params: Mapping[str, Any]) -> Rule:
        """What the unmasking strategy keeps; of ``params`` without a block, by one of the published width."""
        block = params.get("block_length") or BLOCK_LENGTH
        schedule = Schedule(block // (params.get("denoising_steps") or block))
        strategy, threshold = params.get("remasking_strategy"), params.get("threshold")
        if strategy == _SEQUENTIAL:
            return Leftmost(schedule)
        if strategy == _STATIC:
            return MostConfident(schedule)
        return MostConfident(Schedule(1)) if threshold is None else Threshold(threshold)


class LowConfidenceGeneration(_BlockGeneration):
    """SGLang's ``LowConfidence`` on SDAR: what is above the threshold, or the best one, and one forward more
    for each finished block. The prompt's whole blocks run in the first forward of the block after them.

    It always takes the likeliest tokens, so that it has no filters. SGLang decodes in blocks of 4 whatever
    the config says; here a ``block_length`` of None is the config's.
    """

    name = "sdar_low_confidence"
    description = "Block decoding as SGLang's LowConfidence does it."
    parameters = LOW_CONFIDENCE_PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return FinishedBlocks(prompt_alone=False, closes_last=True)

    def rule(self, params: Mapping[str, Any]) -> Rule:
        return Sure(Schedule(1), params.get("threshold"))


def _block_length(model: Network, params: Mapping[str, Any]) -> int:
    """The ``block_length`` of effective ``params``, or else the model's, or that of the published ones."""
    trained: int | None = getattr(model.config, "block_size", None)
    return int(params.get("block_length") or trained or BLOCK_LENGTH)


def _bound(params: Mapping[str, Any]) -> float:
    """The ``eb_threshold`` of effective ``params``, or what is published where it is none."""
    given = params.get("eb_threshold")
    return _PUBLISHED_BOUND if given is None else float(given)
