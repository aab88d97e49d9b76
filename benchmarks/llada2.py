"""Time LLaDA2's decoders with their exact prefix cache against the same without one, on random weights.

    python benchmarks/llada2.py [--prompts 64 512] [--gen-length 64] [--rows 1 4] [--repeat 3] [--json FILE]

Without one, each forward runs all columns up to the block's end, as the published code does. Both ways commit
and edit the same tokens in the same forwards; the runs take turns, and the median counts. Seconds are of the
processor.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from counts import positive
from outputs import output

from llada_llada2 import EditGeneration, LLaDA2Config, LLaDA2Generation, LLaDA2Network
from llada_llada2.policies import Blocks, Edited
from llada_runtime import Plan, Policy, Sequence, StepAlgorithm, drain

CONFIG: dict[str, Any] = {
    "model_type": "llada2_moe",
    "vocab_size": 8192,
    "hidden_size": 384,
    "intermediate_size": 960,
    "moe_intermediate_size": 96,
    "num_hidden_layers": 6,
    "first_k_dense_replace": 1,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "num_experts": 32,
    "num_experts_per_tok": 4,
    "num_shared_experts": 1,
    "n_group": 8,
    "topk_group": 4,
    "routed_scaling_factor": 2.5,
    "partial_rotary_factor": 0.5,
    "rope_theta": 600000,
    "rms_norm_eps": 1e-6,
    "max_position_embeddings": 4096,
    "mask_token_id": 8191,
    "eos_token_id": 8190,
}


def _whole(plan: Plan) -> Plan:
    """The same block decided by a forward of all columns up to its end."""
    return replace(plan, lo=0, reads=False, writes=False)


class _Uncached(Blocks):
    caches = False

    def plan(self, sequence: Sequence) -> Plan:
        return _whole(super().plan(sequence))

    def then(self, sequence: Sequence, plan: Plan) -> Plan:
        return _whole(super().then(sequence, plan))


class _EditedUncached(Edited):
    caches = False

    def plan(self, sequence: Sequence) -> Plan:
        return _whole(super().plan(sequence))


class _Recomputing(LLaDA2Generation):
    def policy(self, params: Mapping[str, Any]) -> Policy:
        return _Uncached(closing=False)


class _EditRecomputing(EditGeneration):
    def policy(self, params: Mapping[str, Any]) -> Policy:
        return _EditedUncached(most_post=params["max_post_steps"])


WAYS: Mapping[str, tuple[type[StepAlgorithm], type[StepAlgorithm], dict[str, Any]]] = {
    "llada2": (LLaDA2Generation, _Recomputing, {}),
    "llada2_edit": (EditGeneration, _EditRecomputing, {"editing_threshold": 0.3, "max_post_steps": 4}),
}


def network() -> LLaDA2Network:
    """Weights that are random and decode eventfully, on the CPU in float32."""
    made = LLaDA2Network(LLaDA2Config.from_dict(CONFIG), device=torch.device("cpu"), dtype=torch.float32)
    source = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        for name, tensor in made.tensors().items():
            if name.endswith("norm.weight"):
                tensor.fill_(1.0)
            elif name.endswith("expert_bias"):
                tensor.normal_(std=0.1, generator=source)
            else:
                scale = 5.0 if name == "lm_head.weight" else 1.0
                tensor.normal_(std=scale / tensor.shape[1] ** 0.5, generator=source)
        made.tensors()["lm_head.weight"][8190:] = 0.0  # neither the mask nor an end token is likely
    return made.pack()


def decode(
    model: LLaDA2Network, algorithm: StepAlgorithm, prompts: list[list[int]], params: Mapping[str, Any]
) -> tuple[float, list[list[int]], int]:
    """Seconds of the processor, the canvases, and the forwards of the slowest row."""
    rows = [algorithm.sequence(model, prompt, params) for prompt in prompts]
    start = time.process_time()
    for step in drain(model, rows, rows=len(rows)):
        if step.error is not None:
            raise step.error
    return time.process_time() - start, [row.canvas for row in rows], max(row.nfe for row in rows)


def compare(
    model: LLaDA2Network, name: str, prompt: int, rows: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Both ways of one setting in turns."""
    cached, recomputing, more = WAYS[name]
    source = torch.Generator().manual_seed(prompt + rows)
    prompts = [torch.randint(8000, (prompt,), generator=source).tolist() for _ in range(rows)]
    ways = [cached(), recomputing()]
    params = ways[0].validate_args(
        gen_length=options.gen_length, threshold=0.5, early_stop=False, block_length=32, **more
    )
    seconds: list[list[float]] = [[], []]
    for _ in range(options.repeat):
        found = [decode(model, way, prompts, params) for way in ways]
        assert found[0][1:] == found[1][1:], "both ways write the same tokens in the same forwards"
        for each, (taken, *_) in zip(seconds, found, strict=True):
            each.append(taken)
    medians = [statistics.median(each) for each in seconds]
    return {
        "algorithm": name,
        "prompt": prompt,
        "rows": rows,
        "gen_length": options.gen_length,
        "nfe": found[0][2],
        "cached_s": medians[0],
        "recomputed_s": medians[1],
        "ratio": medians[1] / medians[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--prompts", nargs="+", type=positive, default=[64, 512], help="lengths of the prompts"
    )
    parser.add_argument("--gen-length", type=positive, default=64)
    parser.add_argument("--rows", nargs="+", type=positive, default=[1, 4])
    parser.add_argument("--repeat", type=positive, default=3)
    parser.add_argument("--json", type=output)
    options = parser.parse_args()
    model = network()
    cases = [
        compare(model, name, prompt, rows, options)
        for name in WAYS
        for prompt in options.prompts
        for rows in options.rows
    ]
    text = json.dumps(
        {"torch": torch.__version__, "threads": torch.get_num_threads(), "cases": cases}, indent=1
    )
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
