"""``compose``: a decoder of parts that are named: cache policy, horizon, block schedule, commit rule.

Cache policies and rules are those of all installed distributions (``llada_policies``, ``llada_rules``). What
is around the policy is of this package: `Horizon`, `AdaptiveBlocks`, `EndsWithBlock`, and what a rule has to
see besides its block. Published decoders that are such combinations decode as these do, token for token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llada_core import PartInfo
from llada_core.parameters import whole_steps
from llada_fastdllm import FastDLLMGeneration
from llada_runtime import Policy, Rule

from .blocks import AdaptiveBlocks, TakesDelimiters, delimiters_of
from .chosen import chosen, made, refuse_chance, refuse_contradictions, refuse_rivals, refuse_unread
from .declared.compose import ALGORITHM, PARAMETERS
from .ending import EndsWithBlock
from .horizon import Horizon
from .klass import LooksAhead
from .trying import beside

__all__ = ["ComposeGeneration"]

_WINDOW = 32
_LEAST = 0.3


class ComposeGeneration(TakesDelimiters):
    """The policy and the rule that are named, with what is around them; parts take parameters of their
    own."""

    name = ALGORITHM.name
    description = ALGORITHM.summary
    parameters = PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        horizon, (_, cache) = params["horizon"], chosen(params)
        policy: Policy = made(cache, params)
        if horizon != "full":
            policy = Horizon(policy, params["window_size"], far=horizon == "window_far")
        if params["rule"] == "klass":
            policy = LooksAhead(policy)
        if params["schedule"] == "adaptive":
            ids = delimiters_of(params["delimiter_ids"], self.tokenizer)
            policy = AdaptiveBlocks(policy, delimiters=ids, least=params["delimiter_threshold"])
        return EndsWithBlock(policy) if params["end_with_block"] else policy

    def rule(self, params: Mapping[str, Any]) -> Rule:
        rule: Rule = made(chosen(params)[0], params)
        return rule

    def validate_args(self, **params: Any) -> dict[str, Any]:
        """The effective values of ``params``, with those of the parts that are chosen; the parameters of all
        other parts are None.

        Raises:
            ParameterError: a name is unknown, of a part too, a value of the wrong type or out of range,
                nothing reads a parameter that is given, two choices contradict each other, or a part cannot
                be imported here.
            ContractError: a part's function fails, or returns something else.
        """
        values: dict[str, Any] = super(FastDLLMGeneration, self).validate_args(**params)
        rule, cache = chosen(values)
        values |= {"rule": rule.name, "cache": cache.name}
        refuse_unread(values, self.parameters, (rule, cache))
        refuse_rivals(values, (rule, cache))
        given = dict(values)
        if values["horizon"] != "full" and values["window_size"] is None:
            values["window_size"] = _WINDOW
        if values["schedule"] == "adaptive" and values["delimiter_threshold"] is None:
            values["delimiter_threshold"] = _LEAST
        values |= _of_parts(values, rule, cache)
        refuse_contradictions(values, given, self.parameters)
        self.policy(values)  # a part may refuse what goes together in it
        refuse_chance(values, self.rule(values))
        return values

    def tried_beside(self, name: str) -> Mapping[str, Any]:
        """The part that takes the parameter, and where that does something."""
        return beside(name)


def _of_parts(values: Mapping[str, Any], rule: PartInfo, cache: PartInfo) -> dict[str, Any]:
    """The effective values of the parts' own parameters; steps that rule are those of whole blocks.

    One that both have stays as it is given, where that or their defaults mean different things to them.
    """
    of_rule: dict[str, Any] = rule.effective(values)
    of_cache = cache.effective(values)
    if "steps" in of_rule and of_rule.get("threshold") is None:
        of_rule["steps"] = whole_steps(values, of_rule["steps"] or values["gen_length"])
    differ = [name for name in of_rule.keys() & of_cache.keys() if of_rule[name] != of_cache[name]]
    return of_rule | of_cache | {name: values.get(name) for name in differ}
