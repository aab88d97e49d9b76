"""The fast path against decoders that are plainly right: `llada_runtime.reference` and the cached oracle."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterable
from typing import Any

import pytest

import llada_core
from llada_runtime import drain, reference
from tests.parity.parity_data import GOLDENS, MODELS, golden_model, needs_engine
from tests.support.oracle import PlainNetwork, Request, decode

pytestmark = needs_engine("fast-dllm")

RULES = (
    {"threshold": None},
    {"steps": 7, "threshold": None},
    {"threshold": 0.9},
    {"threshold": 0.5},
    {"factor": 1.0},
    {"factor": 2.0},
)
ALGORITHMS = {"none": "basic", "prefix": "prefix_cache", "dual": "dual_cache"}


def covering(*values: Iterable[Any], names: tuple[str, ...]) -> pytest.MarkDecorator:
    """Cases of three parameters in which any two values of two of them meet, the third taking turns."""
    first, second, third = map(list, values)
    cases = [
        (one, other, third[(at + row) % len(third)])
        for row, one in enumerate(first)
        for at, other in enumerate(second)
    ]
    return pytest.mark.parametrize(names, cases, ids=str)


plain_network = functools.cache(lambda name: PlainNetwork(GOLDENS / "models" / name))


def prompt_for(name: str, seed: int) -> list[int]:
    source, config = random.Random(f"{name}-{seed}"), golden_model(name).config
    special = {config.mask_token_id, *config.eos_ids}
    ids = [token for token in range(config.vocab_size) if token not in special]
    return source.choices(ids, k=source.randint(1, 40))


def fast(name: str, algorithm: str, prompt: list[int], **params: object) -> tuple[list[int], int]:
    decoder, model = llada_core.get_algorithm(algorithm), golden_model(name)
    sequence = decoder.sequence(model, prompt, decoder.validate_args(**params))
    for _ in drain(model, [sequence], rows=32):
        pass
    return sequence.canvas, sequence.nfe


@covering(MODELS, RULES, [True, False], names=("name", "rule", "early_stop"))
def test_without_a_cache_it_equals_the_reference(name: str, rule: dict, early_stop: bool) -> None:
    prompt = prompt_for(name, 1)
    params = {"gen_length": 29, "block_length": 8, "early_stop": early_stop, **rule}
    assert fast(name, "basic", prompt, **params) == reference.decode(golden_model(name), prompt, **params)


SAMPLING = (
    {},
    {"top_k": 3},
    {"top_p": 0.6},
    {"min_p": 0.2},
    {"top_k": 12, "top_p": 0.8, "min_p": 0.1},
)


@covering(MODELS, SAMPLING, RULES[2:5], names=("name", "sampling", "rule"))
def test_what_is_drawn_is_drawn_by_the_reference_too(name: str, rule: dict, sampling: dict) -> None:
    prompt = prompt_for(name, 3)
    params = {"gen_length": 29, "block_length": 8, "temperature": 0.9, "seed": 4, "early_stop": True}
    params |= rule | sampling
    assert fast(name, "basic", prompt, **params) == reference.decode(golden_model(name), prompt, **params)


@covering(MODELS, RULES, sorted(ALGORITHMS), names=("name", "rule", "cache"))
def test_with_any_cache_it_equals_the_plain_oracle(name: str, rule: dict, cache: str) -> None:
    prompt = prompt_for(name, 2)
    params = {"gen_length": 27, "block_length": 8, "early_stop": True, **rule}
    request = Request(prompt=prompt, cache=cache, **params)
    assert fast(name, ALGORITHMS[cache], prompt, **params) == decode(plain_network(name), request)
