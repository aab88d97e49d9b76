"""dInfer's dense LLaDA from a checkout of inclusionAI/dInfer.

Its packages import vLLM and every model at once; only the dense network and the decoders are imported here.
The two functions of vLLM that they name are those of one process: where vLLM is not installed, stand-ins are
imported from; where it is, it stays what it is for everybody else.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from llada_core import UsageError
from llada_dev.verify.upstream.mapping import check_neutral, check_whole_blocks
from llada_dev.verify.upstream.source import Source
from llada_dev.verify.upstream.weights import PUBLISHED, Decode, fields_of, filled, made_in

__all__ = ["EQUAL_WORK", "comparable", "decode_fixed", "decoder", "network", "random_network", "surplus"]

EQUAL_WORK = {"maximum_unroll": 4, "expected_tpf": 8}
"""What ours is to be given to do the same work: upstream's defaults, by which iterations that are not needed
are run too."""

_NEUTRAL = {
    "temperature": 0.0,
    "early_stop": True,  # without it, upstream ends at an end token nevertheless, and leaves masks behind it
    "prefix_look": 0,
    "after_look": 0,
    "warmup_steps": 0,
    "cont_weight": None,
    "steps": None,
    **EQUAL_WORK,
}
_RANKS = {"get_tensor_model_parallel_rank": lambda: 0, "get_tensor_model_parallel_world_size": lambda: 1}


def network(checkout: Path, folder: Path, *, device: torch.device, dtype: torch.dtype) -> Any:
    """Upstream's dense network with the checkpoint in ``folder``."""
    with made_in(dtype):
        model = _empty_network(_source(checkout), fields_of(folder), "cpu")
    return filled(model, folder, device=device, dtype=dtype)


def decoder(
    checkout: Path, name: str, model: Any, fields: Mapping[str, Any], parameters: Mapping[str, Any]
) -> Decode:
    """Upstream's blockwise loop with its decoder of ours of this name, with our effective ``parameters``.

    Raises ``UsageError`` for what is not compared.
    """
    check_neutral("dInfer", parameters, _NEUTRAL)
    check_whole_blocks("dInfer", parameters)
    if parameters["threshold"] is None:
        raise UsageError("dInfer is compared by its threshold decoders; give a threshold")
    source = _source(checkout)
    loops, tools = source.module("dinfer.decoding.generate_uniform"), source.module("dinfer.decoding.utils")
    cache, update = (parameters[name] for name in ("cache", "cache_update_freq"))
    lengths = {name: parameters[name] for name in ("gen_length", "block_length")}

    def decode(prompt: Tensor) -> tuple[list[int], int]:
        blocks = _Blocks(tools.BlockIteratorFactory(start_block_align=parameters["start_block_align"]))
        llm = loops.BlockWiseDiffusionLLM(
            model,
            _strategy(
                source, name, fields, parameters
            ),  # anew: upstream's credit leaks into the next request
            blocks,
            cache_factory=None if cache == "none" else tools.KVCacheFactory(cache, update),
            early_stop=True,
            **EQUAL_WORK,
        )
        llm.generate(prompt, **lengths)
        return blocks.canvas.data[0].tolist(), llm.num_forwards

    return decode


def surplus(checkout: Path, name: str, forwards_of_blocks: Sequence[int]) -> int:
    """Forwards that this release runs and ours does not: none."""
    return 0


def comparable(answer: list[int], fields: Mapping[str, Any]) -> list[int]:
    """What is compared of an answer: up to its first end token. What upstream fills the block with behind one
    stays there, and with ours it does not."""
    end = fields["eos_token_id"]
    return answer[: answer.index(end) + 1] if end in answer else answer


class _Blocks:
    """Upstream's iterators over the blocks of a canvas, which is remembered: what it returns of that is
    without end tokens, wherever these stood."""

    def __init__(self, factory: Any) -> None:
        self._factory: Any = factory
        self.canvas: Any = None

    def create(self, canvas: Any, block_length: int) -> Any:
        """What upstream's factory makes."""
        self.canvas = canvas
        return self._factory.create(canvas, block_length)


def random_network(checkout: Path, fields: dict[str, Any], ours: Any, *, compiled: bool) -> Any:
    """Upstream's dense network with the weights, dtype and device of our model ``ours``.

    Where ``compiled``, as in upstream's benchmark: CUDA graphs of what torch.compile makes of it.
    """
    with made_in(ours.dtype):
        model = _empty_network(_source(checkout), {**PUBLISHED, **fields}, str(ours.device))
    model.config.use_cache = False
    model.load_state_dict(ours.tensors())
    model = model.to(ours.device, ours.dtype).eval()
    if compiled:
        model.forward = torch.compile(model.forward, mode="reduce-overhead", fullgraph=False, dynamic=True)
    return model


def decode_fixed(
    checkout: Path,
    model: Any,
    fields: dict[str, Any],
    prompt: Tensor,
    *,
    gen_length: int,
    block_length: int,
    steps_a_block: int,
) -> tuple[Tensor, int]:
    """Upstream's blockwise decoder with dual cache, in a fixed number of steps a block."""
    source = _source(checkout)
    loops, tools = source.module("dinfer.decoding.generate_uniform"), source.module("dinfer.decoding.utils")
    strategy = source.module("dinfer.decoding.parallel_strategy")
    strategy.mask_id, strategy.steps = fields["mask_token_id"], steps_a_block  # globals that it reads
    decoder = strategy.FixedParallelDecoder(0.0, steps_a_block, mask_id=fields["mask_token_id"])
    decoder.eos_id = fields["eos_token_id"]  # which its loop reads
    llm = loops.BlockWiseDiffusionLLM(
        model,
        decoder,
        tools.BlockIteratorFactory(start_block_align=False),
        cache_factory=tools.KVCacheFactory("dual"),
        early_stop=False,
        maximum_unroll=min(4, steps_a_block - 1),  # more forwards than there are steps raise IndexError
        expected_tpf=8,
    )
    ids = llm.generate(prompt, gen_length=gen_length, block_length=block_length)
    return ids, llm.num_forwards


def _strategy(source: Source, name: str, fields: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
    strategies = source.module("dinfer.decoding.parallel_strategy")
    common = {
        "temperature": 0.0,
        "threshold": parameters["threshold"],
        "mask_id": fields["mask_token_id"],
        "eos_id": fields["eos_token_id"],
    }
    if name == "dinfer_blockwise":
        return strategies.ThresholdParallelDecoder(**common)
    if name == "dinfer_hierarchy":
        return strategies.HierarchyDecoder(low_threshold=parameters["low_threshold"], **common)
    credit = {each: parameters[each] for each in ("credit_alpha", "boost_gamma", "decay_beta")}
    return strategies.CreditThresholdParallelDecoder(**credit, **common)


def _empty_network(source: Source, fields: dict[str, Any], device: str) -> Any:
    configuration = source.module("dinfer.model.configuration_llada")
    modelling = _with_one_rank(source)
    config = configuration.LLaDAConfig(**{**fields, "architectures": None})
    inner = modelling.create_model_config_from_pretrained_config(config)
    inner.init_device = device
    return modelling.LLaDAModelLM(config, model=modelling.LLaDAModel(inner, init_params=False))


def _source(checkout: Path) -> Source:
    source = Source(checkout, "python")
    source.bare("dinfer", "dinfer.model", "dinfer.decoding")
    return source


def _with_one_rank(source: Source) -> Any:
    """The module of upstream's network, to which this process is the only rank."""
    if "vllm" not in sys.modules and importlib.util.find_spec("vllm") is None:
        for name in ("vllm", "vllm.distributed"):
            sys.modules[name] = ModuleType(name)
        vars(sys.modules["vllm.distributed"]).update(_RANKS)
    found = source.module("dinfer.model.modeling_llada")
    vars(found).update(_RANKS)
    return found
