"""Fast-dLLM v1 from a checkout of NVlabs/Fast-dLLM: any of its releases, on its own network."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from llada_dev.verify.upstream.mapping import check_neutral, check_whole_blocks
from llada_dev.verify.upstream.source import Source
from llada_dev.verify.upstream.weights import PUBLISHED, Decode, fields_of, filled, made_in

__all__ = [
    "EQUAL_WORK",
    "FUNCTIONS",
    "comparable",
    "decoder",
    "decoders_on",
    "network",
    "random_decoders",
    "random_network",
    "surplus",
]

FUNCTIONS = {
    "basic": "generate",
    "prefix_cache": "generate_with_prefix_cache",
    "dual_cache": "generate_with_dual_cache",
}
EQUAL_WORK = {"early_stop": False}
"""What ours is to be given to do the same work: upstream decodes every position."""

_NEUTRAL = {"temperature": 0.0, "remasking": "low_confidence", "early_stop": False}


def network(checkout: Path, folder: Path, *, device: torch.device, dtype: torch.dtype) -> Any:
    """Upstream's network with the checkpoint in ``folder``."""
    with made_in(dtype):
        model = _empty(checkout, {**fields_of(folder), "init_device": "cpu"})
    return filled(model, folder, device=device, dtype=dtype)


def decoder(
    checkout: Path, name: str, model: Any, fields: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Decode:
    """Upstream's function of ours of this name, with our effective ``parameters``.

    Raises ``UsageError`` for what upstream has no counterpart of.
    """
    check_neutral("Fast-dLLM", parameters, _NEUTRAL)
    check_whole_blocks("Fast-dLLM", parameters)
    function = getattr(_source(checkout).module("generate"), FUNCTIONS[name])
    options = {key: parameters[key] for key in ("gen_length", "block_length", "threshold")}
    options |= {"steps": parameters["steps"] or parameters["gen_length"], "mask_id": fields["mask_token_id"]}
    if parameters["factor"] is not None or "factor" in inspect.signature(function).parameters:
        options["factor"] = parameters["factor"]  # the first release refuses it in its own words

    def decode(prompt: Tensor) -> tuple[list[int], int]:
        ids, nfe = function(model, prompt, **options)
        return ids[0].tolist(), nfe

    return decode


def surplus(checkout: Path, name: str, forwards_of_blocks: Sequence[int]) -> int:
    """How many forwards more this release runs, of an answer of which each block took so many of ours.

    The first release (24cc59e, without ``factor``) runs a forward from the cache in a block that the one
    which fills the cache has filled already; later ones do not.
    """
    function = getattr(_source(checkout).module("generate"), FUNCTIONS[name])
    if name == "basic" or "factor" in inspect.signature(function).parameters:
        return 0
    return sum(count == 1 for count in forwards_of_blocks)


def comparable(answer: list[int], fields: Mapping[str, Any]) -> list[int]:
    """What is compared of an answer: all of it."""
    return answer


def random_decoders(
    checkout: Path, fields: dict[str, Any], ours: Any, parameters: dict[str, Any]
) -> dict[str, Callable[[Tensor], tuple[Tensor, int]]]:
    """Upstream's three functions on upstream's network with the weights and device of our model ``ours``."""
    model = random_network(checkout, fields, ours)
    return decoders_on(checkout, model, fields["mask_token_id"], parameters)


def random_network(checkout: Path, fields: dict[str, Any], ours: Any) -> Any:
    """Upstream's network with the weights, dtype and device of our model ``ours``."""
    with made_in(ours.dtype):
        model = _empty(checkout, {**PUBLISHED, **fields, "init_device": str(ours.device)})
    model.config.use_cache = False
    model.load_state_dict(ours.tensors())
    return model.to(ours.device, ours.dtype).eval()


def decoders_on(
    checkout: Path, model: Any, mask_id: int, parameters: dict[str, Any]
) -> dict[str, Callable[[Tensor], tuple[Tensor, int]]]:
    """Upstream's three functions on ``model``, which is upstream's network."""
    functions = _source(checkout).module("generate")
    return {
        name: partial(_call, getattr(functions, function), model, {"mask_id": mask_id, **parameters})
        for name, function in FUNCTIONS.items()
    }


def _call(function: Any, model: Any, options: dict[str, Any], prompt: Tensor) -> tuple[Tensor, int]:
    return function(model, prompt, **options)  # type: ignore[no-any-return]


def _source(checkout: Path) -> Source:
    return Source(checkout, "v1/llada", "llada")


def _empty(checkout: Path, fields: dict[str, Any]) -> Any:
    source = _source(checkout)
    configuration = source.module("model.configuration_llada")
    config = configuration.LLaDAConfig(**{**fields, "architectures": None})
    return source.module("model.modeling_llada").LLaDAModelLM(config, init_params=False)
