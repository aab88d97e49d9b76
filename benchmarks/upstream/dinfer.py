"""dInfer's dense LLaDA from a checkout of inclusionAI/dInfer.

Its packages import vLLM and every model at once; only the dense network and the decoders are imported here,
with the two functions of vLLM that they name standing for one process.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from .common import PUBLISHED, Decode, filled, import_from, without_eos


def decoders(checkout: Path, folder: Path, parameters: dict[str, Any]) -> dict[str, Decode]:
    """Upstream's three decoders, blockwise with dual cache, on upstream's dense network."""
    _bare_packages(import_from(checkout, "python"))
    strategy = importlib.import_module("dinfer.decoding.parallel_strategy")
    fields = json.loads((folder / "config.json").read_text())
    model = filled(_empty_network(fields, "cpu"), folder)
    common = {
        "temperature": 0.0,
        "threshold": parameters["threshold"],
        "mask_id": fields["mask_token_id"],
        "eos_id": fields["eos_token_id"],
    }
    make = {
        "dinfer_blockwise": lambda: strategy.ThresholdParallelDecoder(**common),
        "dinfer_hierarchy": lambda: strategy.HierarchyDecoder(low_threshold=0.4, **common),
        "dinfer_credit": lambda: strategy.CreditThresholdParallelDecoder(**common),
    }
    return {name: _decoder(model, maker, parameters, fields) for name, maker in make.items()}


def random_network(checkout: Path, fields: dict[str, Any], ours: Any, *, compiled: bool) -> Any:
    """Upstream's dense network with the weights, dtype and device of our model ``ours``.

    Where ``compiled``, as in upstream's benchmark: CUDA graphs of what torch.compile makes of it.
    """
    _bare_packages(import_from(checkout, "python"))
    default = torch.get_default_dtype()
    torch.set_default_dtype(ours.dtype)
    try:
        model = _empty_network({**PUBLISHED, **fields}, str(ours.device))
    finally:
        torch.set_default_dtype(default)
    model.config.use_cache = False
    model.load_state_dict(ours.tensors())
    model = model.to(ours.device, ours.dtype).eval()
    if compiled:
        model.forward = torch.compile(model.forward, mode="reduce-overhead", fullgraph=False, dynamic=True)
    return model


def decode_fixed(
    model: Any,
    fields: dict[str, Any],
    prompt: Tensor,
    *,
    gen_length: int,
    block_length: int,
    steps_a_block: int,
) -> tuple[Tensor, int]:
    """Upstream's blockwise decoder with dual cache, in a fixed number of steps a block."""
    loops = importlib.import_module("dinfer.decoding.generate_uniform")
    tools = importlib.import_module("dinfer.decoding.utils")
    strategy: Any = importlib.import_module("dinfer.decoding.parallel_strategy")
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


def _decoder(model: Any, make: Any, parameters: dict[str, Any], fields: dict[str, Any]) -> Decode:
    loops = importlib.import_module("dinfer.decoding.generate_uniform")
    tools = importlib.import_module("dinfer.decoding.utils")

    def decode(prompt: Tensor) -> tuple[list[int], int]:
        llm = loops.BlockWiseDiffusionLLM(
            model,
            make(),  # anew each time: upstream's credit leaks from one request into the next
            tools.BlockIteratorFactory(start_block_align=False),
            cache_factory=tools.KVCacheFactory("dual"),
            early_stop=True,
            maximum_unroll=4,
            expected_tpf=8,
        )
        ids = llm.generate(
            prompt, gen_length=parameters["gen_length"], block_length=parameters["block_length"]
        )
        return without_eos(ids[0].tolist(), fields["eos_token_id"]), llm.num_forwards

    return decode


def _empty_network(fields: dict[str, Any], device: str) -> Any:
    configuration = importlib.import_module("dinfer.model.configuration_llada")
    network = importlib.import_module("dinfer.model.modeling_llada")
    config = configuration.LLaDAConfig(**{**fields, "architectures": None})
    inner = network.create_model_config_from_pretrained_config(config)
    inner.init_device = device
    return network.LLaDAModelLM(config, model=network.LLaDAModel(inner, init_params=False))


def _bare_packages(source: Path) -> None:
    """Packages whose ``__init__`` is not run, and vLLM's two functions as one process sees them."""
    for name in ("dinfer", "dinfer.model", "dinfer.decoding"):
        package = ModuleType(name)
        package.__path__ = [str(source / name.replace(".", "/"))]
        sys.modules[name] = package
    distributed = ModuleType("vllm.distributed")
    distributed.get_tensor_model_parallel_rank = lambda: 0  # type: ignore[attr-defined]
    distributed.get_tensor_model_parallel_world_size = lambda: 1  # type: ignore[attr-defined]
    sys.modules["vllm"] = ModuleType("vllm")
    sys.modules["vllm.distributed"] = distributed
