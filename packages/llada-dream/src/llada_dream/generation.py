"""Dream's decoders as step algorithms: the published sampler, and Fast-dLLM's three for Dream.

Sources: ``generation_utils.py`` of Dream-v0 (Dream-org; DiffuCoder and Dream-Coder carry the same), and
Fast-dLLM's ``dream/`` as first released (arXiv 2505.22618; NVlabs/Fast-dLLM, commit 24cc59e).

Kept of upstream: schedules are float32 numbers cut off to whole ones, so that a forward may fill nothing; a
schedule runs all its forwards, and a cached block one that reads at least (both without ``early_stop``
alone); a block's first token is taken whatever its confidence; cached decoders rank a schedule by entropy.

Not kept: the mask token is never proposed, so that none is left in an answer and no loop is endless; any
batch of ragged prompts is decoded, each row as if alone; neither ``steps`` nor ``gen_length`` need divide;
with one step a block the cached schedule fills the block instead of leaving masks; a measure that a cached
decoder would not look at is refused; draws come from the row's own stream; nothing is printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_core import ParameterError
from llada_core.parameters import block_count, named, steps_a_block, whole_steps
from llada_runtime import Filters, Policy, Rule, StepAlgorithm, Threshold

from .network import DreamNetwork
from .plugin import CACHE_PARAMETERS, PARAMETERS, THRESHOLD_PARAMETERS
from .policies import SeededBlocks, WholeCanvas
from .rules import ByChance, CappedThreshold, MeasuredCappedThreshold, MeasuredThreshold, Timed
from .sampling import Confidence, DreamFilters, Measure

__all__ = [
    "CachedGeneration",
    "DreamGeneration",
    "DualCacheGeneration",
    "OnDream",
    "PrefixCacheGeneration",
    "ThresholdGeneration",
]

_TOKENS_A_STEP = 32  # of Fast-dLLM's scripts, which divide the length by the width of a block
_MOST_STEPS = 131072  # of a schedule: a forward a token of the longest answer that a published model takes
_DEFAULT_THRESHOLD = 0.9
_DEFAULT_EPS = 1e-3
_MEASURES: Mapping[str, Measure] = {
    "entropy": "entropy",
    "maskgit_plus": "probability",
    "topk_margin": "margin",
}


class OnDream(StepAlgorithm):
    """What the engine's algorithms share: the network, and that its logits are those of the next column."""

    engine = "dream"
    runs_on, reading = DreamNetwork, DreamNetwork.reading

    def filters(self, params: Mapping[str, Any]) -> Filters | None:
        """``top_p`` and ``top_k`` in Dream's meaning."""
        return DreamFilters.of(params)

    def load_model_class(self) -> type[DreamNetwork]:
        """The network that the engine decodes on."""
        return DreamNetwork

    def _confidence(self, params: Mapping[str, Any], measure: Measure) -> Confidence:
        return Confidence(
            measure=measure,
            temperature=params.get("temperature") or 0.0,
            filters=DreamFilters.of(params),
        )


class DreamGeneration(OnDream):
    """Upstream's ``diffusion_generate``: ``steps`` forwards of the whole canvas, filled in any order.

    ``alg`` says which positions a forward fills: ``origin`` each mask by chance, the others the surest of the
    whole answer, by their measure. There are no blocks, and no position waits for the ones before it.
    """

    name = "dream"
    description = "The published sampler: a schedule of forwards of the whole canvas."
    parameters = PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return WholeCanvas(calls=_steps(params))

    def rule(self, params: Mapping[str, Any]) -> Rule:
        steps, eps, alg = _steps(params), params.get("eps", _DEFAULT_EPS), params.get("alg", "origin")
        if alg == "origin":
            return ByChance(steps, eps)
        confidence = self._confidence(params, _MEASURES[alg])
        return Timed(confidence, steps, eps, params.get("alg_temp") or 0.0)

    def validate_args(self, **params: Any) -> dict[str, Any]:
        """The effective values of ``params``.

        Raises:
            ParameterError: a name is unknown, a value of the wrong type or out of range, or ``alg_temp`` is
                given to ``origin``, which has no confidences.
        """
        values: dict[str, Any] = super().validate_args(**params)
        if not self.yields_steps():
            return values
        if values.get("alg") == "origin" and values.get("alg_temp"):
            raise _without(values, "alg_temp", "alg='origin' draws positions evenly", "another alg")
        return _with_steps(values, _steps(values)) if {"steps", "gen_length"} <= values.keys() else values

    def idle_limit(self, params: Mapping[str, Any]) -> int:
        """As many as there are steps: all of them but the last may fill nothing."""
        return _steps(params)

    def forward_limit(self, params: Mapping[str, Any]) -> int:
        return _steps(params) + 1


class ThresholdGeneration(OnDream):
    """Fast-dLLM's ``confidence_threshold`` without a cache: parallel over the whole canvas, up to a share.

    A forward fills what is sure enough among its candidates, and the surest in any case. It takes ``steps``
    forwards at least, where there are as many masks. As nothing holds positions to their order, published
    scores of this mode are below those of the ones in blocks.
    """

    name = "dream_threshold"
    description = "Fast-dLLM without a cache: confident positions of the whole canvas, up to a share."
    parameters = THRESHOLD_PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return WholeCanvas()

    def rule(self, params: Mapping[str, Any]) -> Rule:
        threshold, steps = params.get("threshold", _DEFAULT_THRESHOLD), _scripted_steps(params)
        confidence = self._confidence(params, "probability")
        if confidence.plain:
            return CappedThreshold(threshold, steps)
        return MeasuredCappedThreshold(threshold, steps, confidence)

    def validate_args(self, **params: Any) -> dict[str, Any]:
        """The effective values of ``params``, with the number of ``steps`` that none stands for. Raises
        ``ParameterError``."""
        values: dict[str, Any] = super().validate_args(**params)
        if self.yields_steps() and {"steps", "gen_length"} <= values.keys():
            values["steps"] = _scripted_steps(values)
        return values


class CachedGeneration(OnDream):
    """What Fast-dLLM's decoders with a cache share: blocks, which a forward of the whole canvas begins.

    It fills the block's first column, whatever its confidence. By ``confidence_threshold`` each further
    forward fills what is sure enough, and the surest in any case; by ``entropy`` it follows a schedule.
    """

    parameters = CACHE_PARAMETERS

    def rule(self, params: Mapping[str, Any]) -> Rule:
        threshold = params.get("threshold")
        if threshold is not None:
            confidence = self._confidence(params, "probability")
            return Threshold(threshold) if confidence.plain else MeasuredThreshold(threshold, confidence)
        confidence = self._confidence(params, "entropy")
        eps, alg_temp = params.get("eps", _DEFAULT_EPS), params.get("alg_temp") or 0.0
        return Timed(confidence, steps_a_block(params), eps, alg_temp, seeded=True)

    def validate_args(self, **params: Any) -> dict[str, Any]:
        """The effective values of ``params``: of ``threshold`` and ``steps`` the one that is not looked at is
        None. A threshold wins over steps where ``alg`` is none.

        Raises:
            ParameterError: a name is unknown, a value of the wrong type or out of range, or ``alg_temp``,
                ``eps`` or ``steps`` is given where there is no schedule, a threshold where there is one, or
                no threshold where one is asked for.
        """
        values: dict[str, Any] = super().validate_args(**params)
        if not self.yields_steps() or not {"alg", "threshold", "steps", "gen_length"} <= values.keys():
            return values
        _check_alg(values, named(params, self.parameters))
        if values["alg"] is None:
            values["alg"] = "entropy" if values["threshold"] is None else "confidence_threshold"
        if values["alg"] == "entropy":
            return _with_steps({**values, "threshold": None}, whole_steps(values, _steps(values)))
        _check_threshold(values)
        return {**values, "steps": None}

    def idle_limit(self, params: Mapping[str, Any]) -> int | None:
        """A block's steps, and the forward before them, in a schedule; else the usual."""
        return None if params.get("threshold") is not None else steps_a_block(params) + 1

    def forward_limit(self, params: Mapping[str, Any]) -> int | None:
        if params.get("threshold") is not None:
            return None
        return block_count(params) * (steps_a_block(params) + 2) + 1


class PrefixCacheGeneration(CachedGeneration):
    """Upstream's ``generation_utils_block`` with ``dual_cache=False``: everything before the block is
    cached."""

    name = "dream_prefix_cache"
    description = "Fast-dLLM in blocks: keys and values of everything before the block are cached."

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return SeededBlocks(dual=False)


class DualCacheGeneration(CachedGeneration):
    """Upstream's ``generation_utils_block`` with ``dual_cache=True``: all but the block is cached."""

    name = "dream_dual_cache"
    description = "Fast-dLLM in blocks: keys and values before and behind the block are cached."

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return SeededBlocks(dual=True)


def _steps(params: Mapping[str, Any]) -> int:
    return int(params.get("steps") or params["gen_length"])


def _with_steps(values: dict[str, Any], steps: int) -> dict[str, Any]:
    """``values`` with the number of steps in force; refuse more than a schedule may have, and a longer
    answer, which these would follow from."""
    if values["gen_length"] > _MOST_STEPS:
        raise ParameterError(
            f"gen_length={values['gen_length']!r} is longer than any answer; give {_MOST_STEPS} at most",
            parameter="gen_length",
            value=values["gen_length"],
        )
    if steps > _MOST_STEPS:
        raise ParameterError(
            f"steps={steps!r} are more forwards than any answer has tokens; give {_MOST_STEPS} at most",
            parameter="steps",
            value=steps,
        )
    return {**values, "steps": steps}


def _scripted_steps(params: Mapping[str, Any]) -> int:
    """``steps``, or one for 32 tokens, as the published scripts give them."""
    return int(params.get("steps") or -(-params["gen_length"] // _TOKENS_A_STEP))


def _check_alg(values: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    """Refuse what is ``given`` beside the ``alg`` of ``values`` that does not look at it."""
    if values["alg"] == "entropy" and "threshold" in given:
        raise _without(given, "threshold", "alg='entropy' follows a schedule", "alg='confidence_threshold'")
    if values["alg"] == "confidence_threshold" and "steps" in given:
        raise _without(given, "steps", "alg='confidence_threshold' has no schedule", "alg='entropy'")


def _check_threshold(values: Mapping[str, Any]) -> None:
    """Refuse what a threshold has no use for, and that there is none."""
    if values.get("alg_temp"):
        raise _without(values, "alg_temp", "a threshold draws no positions", "alg='entropy'")
    if values.get("eps", _DEFAULT_EPS) != _DEFAULT_EPS:
        raise _without(values, "eps", "a threshold has no schedule", "alg='entropy'")
    if values["threshold"] is None:
        raise _without(values, "threshold", "alg='confidence_threshold' needs one", "alg='entropy'")


def _without(values: Mapping[str, Any], name: str, why: str, instead: str) -> ParameterError:
    return ParameterError(
        f"{name}={values[name]!r} cannot be: {why}; leave it out, or give {instead}",
        parameter=name,
        value=values[name],
    )
