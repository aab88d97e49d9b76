"""The settings of all LLaDA decoders that are compared: published defaults, and a small grid around them.

Published values that follow from the length of the answer, such as one token a step, are of the length that
is given. What a decoder's paper or code has as its own values is said where it is not the default here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

__all__ = ["BASELINE", "FROZEN", "LAST_BLOCK", "PRUNED", "SERIES", "Setting", "settings"]

BASELINE = "one-token"
"""One token a step over the whole canvas, the surest first: what LLaDA itself does by default."""

SERIES: Mapping[str, str] = {
    "basic": "Fast-dLLM, no cache",
    "prefix_cache": "Fast-dLLM, prefix cache",
    "dual_cache": "Fast-dLLM, dual cache",
    "dinfer_blockwise": "dInfer",
    "dinfer_hierarchy": "dInfer, hierarchy",
    "dinfer_credit": "dInfer, credit",
    "llada": "LLaDA",
    "eb_sampler": "EB-Sampler",
    "klass": "KLASS",
    "wino": "WINO",
    "streaming": "Streaming-dLLM",
    "adablock": "AdaBlock",
    "multiblock": "d3LLM's multi-block",
    "freedave": "FreeDave",
    "daedal": "DAEDAL",
    "compose": "Composed",
}
"""Whose each algorithm is, as the pictures tell it."""

FROZEN: Mapping[str, object] = {"cache": "frozen"}
"""Parameters of ``compose``: everything is computed once, and then all of the answer as a block begins."""
LAST_BLOCK: Mapping[str, object] = {**FROZEN, "refresh_back": 32, "refresh_ahead": 0}
"""As a block begins, it and the last one are computed."""
PRUNED: Mapping[str, object] = {"horizon": "window", "window_size": 32}
"""Behind the block, no forward sees more than a block of masks."""

_SMOOTH: Mapping[str, object] = {"cont_weight": 0.3}
_VICINITY: Mapping[str, object] = {"prefix_look": 16, "after_look": 16, "warmup_steps": 4}


class Setting(NamedTuple):
    """An algorithm with the parameters that are not as everywhere."""

    algorithm: str
    parameters: Mapping[str, Any]


def settings(gen_length: int) -> dict[str, Setting]:
    """All of them by name, the baseline first, for answers of at most ``gen_length`` tokens."""
    parts = (
        _fast_dllm, _dinfer, _orders, _budgets, _revising, _caches, _lengths, _drafts, _composed, _longest,
    )  # fmt: skip
    return dict(each for part in parts for each in part(gen_length))


_Named = Iterator[tuple[str, Setting]]


def _fast_dllm(gen_length: int) -> _Named:
    """Fast-dLLM (arXiv 2505.22618); published thresholds are 0.9 and factors 1."""
    yield BASELINE, Setting("basic", {"steps": gen_length})
    yield "one-token-dual", Setting("dual_cache", {"steps": gen_length})
    yield "two-tokens", Setting("basic", {"steps": gen_length // 2})
    yield "four-tokens-dual", Setting("dual_cache", {"steps": gen_length // 4})
    for threshold in (0.9, 0.7, 0.5):
        yield f"basic-{threshold}", Setting("basic", {"threshold": threshold})
        yield f"dual-{threshold}", Setting("dual_cache", {"threshold": threshold})
    yield "prefix-0.9", Setting("prefix_cache", {"threshold": 0.9})
    yield "prefix-0.7", Setting("prefix_cache", {"threshold": 0.7})
    yield "basic-factor-1", Setting("basic", {"factor": 1.0})
    yield "dual-factor-1", Setting("dual_cache", {"factor": 1.0})


def _dinfer(gen_length: int) -> _Named:
    """dInfer (arXiv 2510.08666)."""
    name = "dinfer_blockwise"
    yield "blockwise-0.9", Setting(name, {"threshold": 0.9})
    yield "blockwise-no-cache", Setting(name, {"cache": "none"})
    yield "blockwise-vicinity", Setting(name, _VICINITY)
    yield "blockwise-smooth", Setting(name, _SMOOTH)
    yield "blockwise-smooth-vicinity-0.8", Setting(name, {**_VICINITY, **_SMOOTH, "threshold": 0.8})
    yield "hierarchy", Setting("dinfer_hierarchy", {})
    yield "hierarchy-0.92-0.62", Setting("dinfer_hierarchy", {"threshold": 0.92, "low_threshold": 0.62})
    yield "hierarchy-no-cache", Setting("dinfer_hierarchy", {"cache": "none"})
    yield "credit", Setting("dinfer_credit", {})
    yield "credit-no-cache", Setting("dinfer_credit", {"cache": "none"})
    yield "credit-smooth-no-cache", Setting("dinfer_credit", {**_SMOOTH, "cache": "none"})


def _orders(gen_length: int) -> _Named:
    """LLaDA's sampler (arXiv 2502.09992) by other orders, and with guidance."""
    yield "llada-entropy", Setting("llada", {"order": "entropy", "steps": gen_length})
    yield "llada-margin", Setting("llada", {"order": "margin", "steps": gen_length})
    yield "llada-guided-two", Setting("llada", {"cfg_scale": 0.5, "steps": gen_length // 2})
    yield "llada-random-two", Setting("llada", {"remasking": "random", "seed": 1, "steps": gen_length // 2})


def _budgets(gen_length: int) -> _Named:
    """EB-Sampler (arXiv 2505.24857), over the whole answer as PC-Sampler has it; KLASS (arXiv 2511.05664)
    with the values of its code for HumanEval and GSM8K, in blocks of 64; d3LLM's decoder (arXiv 2601.07568),
    whose evaluations open the next block at a tenth."""
    for gamma in (0.01, 0.1, 0.5, 1.0):
        yield f"eb-{gamma}", Setting("eb_sampler", {"gamma": gamma})
    yield "eb-0.1-whole", Setting("eb_sampler", {"gamma": 0.1, "block_length": gen_length})
    yield "klass", Setting("klass", {})
    sure = {"conf_threshold": 0.6, "kl_threshold": 0.015}
    yield "klass-0.6", Setting("klass", sure)
    yield "klass-0.6-64", Setting("klass", {**sure, "block_length": 64})
    yield "multiblock", Setting("multiblock", {})
    yield "multiblock-0.1", Setting("multiblock", {"block_add_threshold": 0.1})
    yield "multiblock-early-stop", Setting("multiblock", {"eos_early_stop": True})
    yield "multiblock-one-block", Setting("multiblock", {"block_add_threshold": 1.0})


def _revising(gen_length: int) -> _Named:
    """WINO (arXiv 2507.18578), whose configurations have blocks of 128 and a threshold of 0.5."""
    yield "wino", Setting("wino", {})
    yield "wino-0.5", Setting("wino", {"threshold": 0.5})
    yield "wino-0.5-128", Setting("wino", {"threshold": 0.5, "block_length": min(128, gen_length)})
    yield "wino-nothing-back", Setting("wino", {"threshold_back": 0.0})


def _caches(gen_length: int) -> _Named:
    """Streaming-dLLM (arXiv 2601.17917), with windows of 96 to 192 and an alpha of 0.3 to 0.6 in its scripts;
    AdaBlock (arXiv 2509.26432) with its three caches."""
    yield "streaming", Setting("streaming", {})
    yield "streaming-window-96", Setting("streaming", {"window_size": 96})
    yield "streaming-alpha-0", Setting("streaming", {"confidence_alpha": 0.0})
    yield "streaming-alpha-0.6", Setting("streaming", {"confidence_alpha": 0.6})
    yield "adablock", Setting("adablock", {})
    yield "adablock-prefix", Setting("adablock", {"cache": "prefix"})
    yield "adablock-no-cache", Setting("adablock", {"cache": "none"})
    yield "adablock-0.7", Setting("adablock", {"threshold": 0.7})


def _drafts(gen_length: int) -> _Named:
    """FreeDave (arXiv 2510.00294); its README has four states a forward."""
    yield "freedave", Setting("freedave", {})
    yield "freedave-dual", Setting("freedave", {"cache": "dual"})
    yield "freedave-0.9", Setting("freedave", {"threshold": 0.9})


def _composed(gen_length: int) -> _Named:
    """Rules and caches of several decoders together; nothing of it is published."""
    name = "compose"
    for threshold in (0.9, 0.7):
        yield f"frozen-{threshold}", Setting(name, {**FROZEN, "threshold": threshold})
        yield f"last-block-{threshold}", Setting(name, {**LAST_BLOCK, "threshold": threshold})
    yield "last-block-one-token", Setting(name, {**LAST_BLOCK, "rule": "quota", "steps": gen_length})
    for every in (4, 2):
        again = {**LAST_BLOCK, "refresh_every": every, "threshold": 0.9}
        yield f"last-block-every-{every}", Setting(name, again)
        yield f"last-block-every-{every}-pruned", Setting(name, {**again, **PRUNED})
    behind = {**FROZEN, "refresh_back": 0, "refresh_ahead": 32}
    yield "block-and-32-0.9", Setting(name, {**behind, "threshold": 0.9})
    yield "last-block-pruned-0.9", Setting(name, {**LAST_BLOCK, **PRUNED, "threshold": 0.9})
    yield "last-block-eb-0.1", Setting(name, {**LAST_BLOCK, "rule": "entropy_budget", "gamma": 0.1})
    yield "last-block-adaptive", Setting(name, {**LAST_BLOCK, "schedule": "adaptive", "threshold": 0.9})
    yield "guided-0.9", Setting(name, {"cache": "guided", "cfg_scale": 0.5, "threshold": 0.9})


def _longest(gen_length: int) -> _Named:
    """LLaDA's sampler over the whole answer at once, as published, which takes longest: so it comes last."""
    yield "llada-whole", Setting("llada", {"block_length": gen_length, "steps": gen_length})


def _lengths(gen_length: int) -> _Named:
    """DAEDAL (arXiv 2508.00819), from 64 masks on as published, and from fewer and more."""
    yield "daedal", Setting("daedal", {})
    yield "daedal-16", Setting("daedal", {"initial_gen_length": 16})
    yield "daedal-full", Setting("daedal", {"initial_gen_length": gen_length})
    yield "daedal-0.7", Setting("daedal", {"high_conf_threshold": 0.7})
