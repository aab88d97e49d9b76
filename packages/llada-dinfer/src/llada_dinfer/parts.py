"""dInfer's rules and its iteration by name: the functions that make one of effective values.

Source: dInfer (arXiv 2510.08666; inclusionAI/dInfer, ``python/dinfer``). What each function reads of
``params``, its spec in ``plugin`` declares. Under smoothing dInfer's own rules lower their thresholds from 1;
rules of others keep theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from llada_core import ParameterError
from llada_core.parameters import steps_a_block
from llada_runtime import Policy, Rule

from .iteration import Iteration, Smoothing, Vicinity
from .rules import CreditQuota, CreditThreshold, Hierarchy, NearTieThreshold

__all__ = [
    "SMOOTHING",
    "VICINITY",
    "credit",
    "hierarchy",
    "iteration",
    "near_tie",
    "refuse_without_smoothing",
    "vicinity",
]

VICINITY = ("prefix_look", "after_look", "warmup_steps")
SMOOTHING: Mapping[str, float] = {
    "cont_weight_init": 0.15, "cont_weight_growth": 0.02, "threshold_decay": 0.02
}  # fmt: skip
"""What the parameters of smoothing are where it is on and they are None."""


def near_tie(params: Mapping[str, Any]) -> Rule:
    """Every proposal at least ``threshold`` confident; if none is, the best and those within 1e-5."""
    return NearTieThreshold(params["threshold"])


def hierarchy(params: Mapping[str, Any]) -> Rule:
    """The best of every run of masks above ``low_threshold``, and all above ``threshold``."""
    return Hierarchy(params["threshold"], params["low_threshold"])


def credit(params: Mapping[str, Any]) -> Rule:
    """A threshold on logits that credit has raised, or without one the quota of ``steps``."""
    weights = {
        "alpha": params["credit_alpha"],
        "gamma": params["boost_gamma"],
        "beta": params["decay_beta"],
    }
    if params["threshold"] is None:
        return CreditQuota(steps=steps_a_block(params), **weights)
    return CreditThreshold(threshold=params["threshold"], **weights)


def vicinity(params: Mapping[str, Any]) -> Policy:
    """The dual cache with a window around the block, after a warm-up.

    Raises ``ParameterError`` for a parameter of smoothing without ``cont_weight``.
    """
    refuse_without_smoothing(params)
    return iteration(params, cache="dual")


def iteration(params: Mapping[str, Any], *, cache: Literal["none", "prefix", "dual"]) -> Iteration:
    """dInfer's loop over a block, as the effective ``params`` describe it."""
    return Iteration(
        cache=cache,
        update_freq=params["cache_update_freq"],
        maximum_unroll=params["maximum_unroll"],
        expected_tpf=params["expected_tpf"],
        vicinity=_vicinity(params),
        smoothing=_smoothing(params),
    )


def _vicinity(params: Mapping[str, Any]) -> Vicinity | None:
    given = {name: params[name] for name in VICINITY}
    return Vicinity(**given) if any(given.values()) else None


def _smoothing(params: Mapping[str, Any]) -> Smoothing | None:
    if params["cont_weight"] is None:
        return None
    values = {name: usual if params[name] is None else params[name] for name, usual in SMOOTHING.items()}
    return Smoothing(
        weight=params["cont_weight"],
        weight_init=values["cont_weight_init"],
        weight_growth=values["cont_weight_growth"],
        threshold_decay=values["threshold_decay"],
    )


def refuse_without_smoothing(params: Mapping[str, Any]) -> None:
    """Refuse what only works with smoothing, where that is off. Raises ``ParameterError``."""
    for name in SMOOTHING if params["cont_weight"] is None else ():
        if params[name] is not None:
            raise ParameterError(
                f"{name}={params[name]!r} only works with iteration smoothing; give cont_weight "
                "(published: 0.3) or leave it out",
                parameter=name,
                value=params[name],
            )
