"""Random rows of all algorithms that are installed for LLaDA models, and of random compositions."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import llada_core
from llada_core import ParameterError

__all__ = ["NAMES", "drawn"]

Params = dict[str, Any]
Options = dict[str, list[Any]]

_FAST_DLLM: list[Options] = [
    {"threshold": [0.05, 0.3, 0.9]},
    {"factor": [0.5, 1.0]},
    {"steps": [3, 6, 9]},
    {"temperature": [0.7], "top_p": [0.5, None], "threshold": [0.2]},
    {"remasking": ["random"], "steps": [5]},
]
_VICINITY: Options = {
    "prefix_look": [0, 1, 3], "after_look": [0, 2, 5], "warmup_steps": [0, 2], "maximum_unroll": [1, 3],
    "cont_weight": [None, None, 0.3], "cache_update_freq": [None, 2],
}  # fmt: skip
_ADAPTIVE: Options = {"delimiter_ids": ["1,3,4,8"], "delimiter_threshold": [0.05, 0.2]}
_ALGORITHMS: dict[str, list[Options]] = {
    **dict.fromkeys(("basic", "prefix_cache", "dual_cache"), _FAST_DLLM),
    **{name: [{**_VICINITY, "threshold": [0.05, 0.5]}] for name in ("dinfer_blockwise", "dinfer_credit")},
    "dinfer_hierarchy": [{**_VICINITY, "threshold": [None, 0.5], "low_threshold": [None, 0.2]}],
    "llada": [
        {"cfg_scale": [0.0, 0.7], "steps": [5, 9], "order": ["confidence", "entropy", "margin"]},
        {"confidence_eos_eot_inf": [True], "logits_eos_inf": [False, True]},
    ],
    "eb_sampler": [
        {"gamma": [0.5, 2.0, 3.0], "order": ["confidence", "entropy", "margin"], "cfg_scale": [0.0, 0.5]}
    ],
    "klass": [{"conf_threshold": [0.1], "kl_threshold": [0.5, 1.0], "unmask_strategy": ["all", "random"]}],
    "adablock": [{**_ADAPTIVE, "threshold": [0.1, 0.3], "cache": ["none", "prefix", "dual"]}],
    "multiblock": [
        {"threshold": [1.5, 2.5], "block_add_threshold": [0.1, 0.6]},
        {"threshold": [2.5], "eos_early_stop": [True]},
    ],
    "streaming": [
        {"threshold": [0.1, 0.3], "window_size": [0, 2, 5]},
        {"temperature": [0.8], "window_size": [1]},
        {"factor": [1.0], "window_size": [3]},
    ],
    "freedave": [{"draft_steps": [1, 3, 5], "cache": ["prefix", "dual"], "threshold": [None, 0.4]}],
    "wino": [{"threshold": [0.0, 0.3], "threshold_back": [0.5, 1.0]}],
    "daedal": [
        {
            "initial_gen_length": [4], "high_conf_threshold": [0.8], "low_conf_threshold": [0.7],
            "expansion_factor": [2, 3], "eos_confidence_threshold": [0.0], "cfg_scale": [0.0, 0.5],
            "expand_eos_confidence_threshold": [1.5], "eos_check_tokens": [2],
        }
    ],
}  # fmt: skip

_RULES: dict[str, Options] = {
    "threshold": {"threshold": [0.05, 0.3]},
    "factor": {"factor": [0.5, 1.0]},
    "quota": {"steps": [3, 7]},
    "near_tie": {"threshold": [0.05, 0.5]},
    "hierarchy": {"threshold": [0.3], "low_threshold": [0.1]},
    "credit": {"threshold": [0.1, 0.5], "credit_alpha": [0.7, 1.0]},
    "entropy_budget": {"gamma": [0.5, 3.0], "order": ["confidence", "entropy", "margin"]},
    "klass": {"conf_threshold": [0.1], "kl_threshold": [0.5], "unmask_strategy": ["all", "min_kl"]},
    "margin": {"steps": [5]},
    "entropy": {"steps": [5]},
    "falling": {"threshold": [0.1, 0.4], "confidence_alpha": [0.3, 0.9]},
}
_POLICIES: dict[str, Options] = {
    "vicinity": _VICINITY,
    "frozen": {"refresh_back": [None, 0, 3], "refresh_ahead": [None, 0, 2], "refresh_every": [None, 2]},
    "guided": {"cfg_scale": [0.4, 1.0]},
}
_AROUND: Options = {
    "horizon": ["full", "full", "window", "window_far"], "schedule": ["fixed", "adaptive"],
    "remasking": ["low_confidence", "low_confidence", "random"], "temperature": [0.0, 0.0, 0.6],
    "end_with_block": [False, True], "start_block_align": [False, False, True],
}  # fmt: skip

NAMES = (*_ALGORITHMS, "compose")


def _one_of_each(source: random.Random, options: Options) -> Params:
    return {name: source.choice(values) for name, values in options.items()}


def _composition(source: random.Random) -> Params:
    """Some choice of parts, which may contradict."""
    cache, rule = source.choice(llada_core.list_policies()), source.choice(llada_core.list_rules())
    params = {"cache": cache, "rule": rule, **_one_of_each(source, _AROUND)}
    params |= _one_of_each(source, _POLICIES.get(cache, {})) | _one_of_each(source, _RULES.get(rule, {}))
    if params["horizon"] != "full":
        params["window_size"] = source.choice([0, 2, 5])
    if params["schedule"] == "adaptive":
        params |= _one_of_each(source, _ADAPTIVE)
    return params


def drawn(name: str, source: random.Random) -> Params:
    """Effective parameters of the algorithm, drawn until it takes them."""
    algorithm = llada_core.get_algorithm(name)
    draw: Callable[[], Params] = (
        (lambda: _composition(source))
        if name == "compose"
        else (lambda: _one_of_each(source, source.choice(_ALGORITHMS[name])))
    )
    names = {each.name for each in algorithm.parameters}
    while True:
        shape = {
            "gen_length": source.randint(1, 16), "block_length": source.choice([1, 3, 4, 8]),
            "early_stop": source.random() < 0.5, "seed": source.randrange(9),
        }  # fmt: skip
        try:
            effective: Params = algorithm.validate_args(
                **draw(), **{name: value for name, value in shape.items() if name in names}
            )
        except ParameterError:
            continue
        return effective
