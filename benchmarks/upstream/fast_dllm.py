"""Fast-dLLM v1 from a checkout of NVlabs/Fast-dLLM."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .common import PUBLISHED, Decode, filled, import_from, without_eos

FUNCTIONS = {
    "basic": "generate",
    "prefix_cache": "generate_with_prefix_cache",
    "dual_cache": "generate_with_dual_cache",
}


def decoders(checkout: Path, folder: Path, parameters: dict[str, Any]) -> dict[str, Decode]:
    """Upstream's three functions on upstream's network with the checkpoint in ``folder``."""
    import_from(checkout, "v1/llada", "llada")
    fields = json.loads((folder / "config.json").read_text())
    model = filled(_network({**fields, "init_device": "cpu"}), folder)

    def trimmed(decode: Any) -> Decode:
        def run(prompt: Tensor) -> tuple[list[int], int]:
            ids, nfe = decode(prompt)
            return without_eos(ids[0].tolist(), fields["eos_token_id"]), nfe

        return run

    steps = {"steps": parameters["gen_length"]}
    found = decoders_on(model, fields["mask_token_id"], {**steps, **parameters})
    return {name: trimmed(decode) for name, decode in found.items()}


def random_decoders(
    checkout: Path, fields: dict[str, Any], ours: Any, parameters: dict[str, Any]
) -> dict[str, Callable[[Tensor], tuple[Tensor, int]]]:
    """Upstream's three functions on upstream's network with the weights and device of our model ``ours``."""
    return decoders_on(random_network(checkout, fields, ours), fields["mask_token_id"], parameters)


def random_network(checkout: Path, fields: dict[str, Any], ours: Any) -> Any:
    """Upstream's network with the weights, dtype and device of our model ``ours``."""
    import_from(checkout, "v1/llada", "llada")
    default = torch.get_default_dtype()
    torch.set_default_dtype(ours.dtype)
    try:
        model = _network({**PUBLISHED, **fields, "init_device": str(ours.device)})
    finally:
        torch.set_default_dtype(default)
    model.config.use_cache = False
    model.load_state_dict(ours.tensors())
    return model.to(ours.device, ours.dtype).eval()


def _network(fields: dict[str, Any]) -> Any:
    configuration = importlib.import_module("model.configuration_llada")
    network = importlib.import_module("model.modeling_llada")
    return network.LLaDAModelLM(
        configuration.LLaDAConfig(**{**fields, "architectures": None}), init_params=False
    )


def decoders_on(model: Any, mask_id: int, parameters: dict[str, Any]) -> dict[str, Any]:
    """Upstream's three functions on ``model``, which is upstream's network."""
    functions = importlib.import_module("generate")
    return {
        name: partial(_call, getattr(functions, function), model, {"mask_id": mask_id, **parameters})
        for name, function in FUNCTIONS.items()
    }


def _call(function: Any, model: Any, options: dict[str, Any], prompt: Tensor) -> tuple[Tensor, int]:
    return function(model, prompt, **options)  # type: ignore[no-any-return]
