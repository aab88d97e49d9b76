"""dInfer's decoders as step algorithms: one iteration policy, three commit rules.

Source: dInfer (arXiv 2510.08666; inclusionAI/dInfer, ``python/dinfer``). Differences from upstream: any batch
of ragged prompts, also for hierarchy; credit begins anew with every request and block; iteration smoothing on
dense models; no endless loop, as the mask token is never proposed; nothing survives after an end-of-sequence
token; by default no surplus iterations are run.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any

from llada_core import Parameter, ParameterError
from llada_core.parameters import steps_a_block, whole_steps
from llada_runtime import Policy, Quota, RemoteNetwork, Rule, StepAlgorithm

from . import parts
from .parts import SMOOTHING, VICINITY
from .plugin import BLOCKWISE_PARAMETERS, CREDIT_PARAMETERS, HIERARCHY_PARAMETERS

__all__ = ["BlockWiseGeneration", "CreditGeneration", "DInferGeneration", "HierarchyGeneration"]


class DInferGeneration(StepAlgorithm):
    """What dInfer's decoders share: the iteration and its parameters. Subclasses give the commit rule."""

    engine = "dinfer"
    parameters = BLOCKWISE_PARAMETERS

    @abstractmethod
    def rule(self, params: Mapping[str, Any]) -> Rule:
        """The commit rule of the decoder."""

    def policy(self, params: Mapping[str, Any]) -> Policy:
        """The iteration that the effective parameters describe."""
        params = _complete(params)
        return parts.iteration(params, cache=params["cache"])

    def check_parameters_fit(self, model: Any, params: Mapping[str, Any]) -> None:
        """Refuse a cache where nothing can be cached, and smoothing where embeddings cannot be replaced, by
        ``ParameterError``."""
        super().check_parameters_fit(model, params)
        if isinstance(model, RemoteNetwork) and params.get("cont_weight") is not None:
            raise ParameterError(
                f"cont_weight={params['cont_weight']!r} replaces embeddings, and the code that this model "
                "runs by takes none; leave cont_weight out",
                parameter="cont_weight",
                value=params["cont_weight"],
            )

    def validate_args(self, **params: Any) -> dict[str, Any]:
        """The effective values of ``params``; smoothing's parameters are None where smoothing is off.

        A subclass may declare fewer: the others are then at their defaults. One with a ``generate`` of its
        own decides itself what may be combined.

        Raises:
            ParameterError: a name is unknown, a value of the wrong type or out of range, or two parameters
                contradict each other.
        """
        values: dict[str, Any] = super().validate_args(**params)
        if not self.yields_steps():
            return values
        known = _complete(values)
        _check_cache(known)
        if known["cont_weight"] is None:
            parts.refuse_without_smoothing(known)
        else:
            _refuse_decay_without_threshold(known)
            for name in SMOOTHING.keys() & values.keys():
                values[name] = SMOOTHING[name] if values[name] is None else values[name]
        # Hierarchy has no schedule.
        return _with_steps(values) if {"steps", "gen_length"} <= values.keys() else values


class BlockWiseGeneration(DInferGeneration):
    """Upstream's threshold decoder, or a fixed schedule where ``steps`` is given."""

    name = "dinfer_blockwise"
    description = "Commits every position whose confidence passes a threshold."

    def rule(self, params: Mapping[str, Any]) -> Rule:
        if params.get("threshold") is None:
            return Quota(steps_a_block(params))
        return parts.near_tie(params)


class HierarchyGeneration(DInferGeneration):
    """Upstream's hierarchy decoder: commits split runs of masks until none is left."""

    name = "dinfer_hierarchy"
    description = "Commits the best position of every run of masks, so that runs keep splitting."
    parameters = HIERARCHY_PARAMETERS

    def rule(self, params: Mapping[str, Any]) -> Rule:
        return parts.hierarchy(_complete(params, HIERARCHY_PARAMETERS))


class CreditGeneration(DInferGeneration):
    """Upstream's credit decoder: a threshold on logits raised by what was likely before."""

    name = "dinfer_credit"
    description = "Tokens that stay likely earn credit, which is added to their logits."
    parameters = CREDIT_PARAMETERS

    def rule(self, params: Mapping[str, Any]) -> Rule:
        given = {"threshold": params.get("threshold")}  # whose default is none here, where steps are not
        return parts.credit(_complete(params, CREDIT_PARAMETERS) | given)


def _complete(
    params: Mapping[str, Any], declared: Iterable[Parameter] = BLOCKWISE_PARAMETERS
) -> dict[str, Any]:
    """``params`` with the defaults of those ``declared`` here that a subclass leaves out."""
    return {each.name: each.default for each in declared} | dict(params)


def _with_steps(values: dict[str, Any]) -> dict[str, Any]:
    """Steps of a fixed schedule, rounded up to a multiple of the blocks; None where a threshold rules."""
    if values.get("threshold") is not None:
        return {**values, "steps": None}
    if values.get("start_block_align"):
        raise ParameterError(
            f"steps={values['steps']!r} cannot be spread with start_block_align=True, as the number of "
            "blocks then depends on the prompt; use a threshold or leave the blocks unaligned",
            parameter="steps",
            value=values["steps"],
        )
    return {**values, "steps": whole_steps(values, values["steps"] or values["gen_length"])}


def _check_cache(values: Mapping[str, Any]) -> None:
    cache = values["cache"]
    wide = next((name for name in VICINITY if values[name]), None)
    if wide is not None and cache != "dual":
        raise ParameterError(
            f"{wide}={values[wide]!r} needs cache='dual', and cache is {cache!r}: the vicinity window lies "
            f"around a block whose surroundings are cached; leave out {wide} or use the dual cache",
            parameter=wide,
            value=values[wide],
        )
    if values["cache_update_freq"] is not None and cache == "none":
        raise ParameterError(
            f"cache_update_freq={values['cache_update_freq']!r} has nothing to rebuild with cache='none'; "
            "leave it out or choose a cache",
            parameter="cache_update_freq",
            value=values["cache_update_freq"],
        )


def _refuse_decay_without_threshold(values: Mapping[str, Any]) -> None:
    decay = values["threshold_decay"]
    if decay is not None and values["threshold"] is None:
        raise ParameterError(
            f"threshold_decay={decay!r} has no threshold to lower, as threshold is None here; "
            "give a threshold or leave it out",
            parameter="threshold_decay",
            value=decay,
        )
