"""Fast-dLLM v1 from a checkout of NVlabs/Fast-dLLM."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from torch import Tensor

from .common import Decode, filled, import_from, without_eos

FUNCTIONS = {
    "basic": "generate",
    "prefix_cache": "generate_with_prefix_cache",
    "dual_cache": "generate_with_dual_cache",
}


def decoders(checkout: Path, folder: Path, parameters: dict[str, Any]) -> dict[str, Decode]:
    """Upstream's three functions on upstream's network with the checkpoint in ``folder``."""
    import_from(checkout, "v1/llada", "llada")
    functions = importlib.import_module("generate")
    configuration = importlib.import_module("model.configuration_llada")
    network = importlib.import_module("model.modeling_llada")
    fields = json.loads((folder / "config.json").read_text())
    config = configuration.LLaDAConfig(**{**fields, "init_device": "cpu", "architectures": None})
    model = filled(network.LLaDAModelLM(config, init_params=False), folder)

    def decoder(function: Any) -> Decode:
        def decode(prompt: Tensor) -> tuple[list[int], int]:
            steps = parameters["gen_length"]
            ids, nfe = function(model, prompt, steps=steps, mask_id=fields["mask_token_id"], **parameters)
            return without_eos(ids[0].tolist(), fields["eos_token_id"]), nfe

        return decode

    return {name: decoder(getattr(functions, function)) for name, function in FUNCTIONS.items()}
