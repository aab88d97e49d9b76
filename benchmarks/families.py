"""Time the engines of further families on random weights, each against what it is held to.

    python benchmarks/families.py [--family sdar] [--prompts 64 512] [--rows 1 4] [--repeat 3] [--json FILE]

``sdar``: the exact prefix cache against the same algorithm without it, which runs all columns so far at every
step, under the same mask of blocks. Both commit the same tokens in the same steps; the runs take turns.

``seconds`` are of the processor, which others may be using too: give it one thread (OMP_NUM_THREADS=1).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from counts import positive
from outputs import output

from llada_runtime import Plan, Policy, Sequence, drain
from llada_sdar import SDARConfig, SDARGeneration, SDARNetwork

SDAR: dict[str, Any] = {
    "model_type": "sdar",
    "hidden_size": 384,
    "intermediate_size": 1152,
    "num_hidden_layers": 6,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "vocab_size": 8192,
    "rms_norm_eps": 1e-6,
    "rope_theta": 1e6,
    "max_position_embeddings": 4096,
    "block_size": 4,
    "mask_token_id": 8191,
    "eos_token_id": 8190,
}
GEN_LENGTH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One way of decoding ``rows`` prompts of so many tokens: its forwards of a row, and the median of the
    runs in seconds of the processor; ``ratio`` is how many times those of the first way it took."""

    family: str
    way: str
    prompt: int
    rows: int
    nfe: int
    seconds: float
    ratio: float
    same_tokens: bool


class Recomputed(Policy):
    """All columns up to the block's end, at every step, under the mask of blocks."""

    caches = False

    def plan(self, sequence: Sequence) -> Plan:
        end = sequence.block_end
        return Plan(lo=0, hi=end, end=end, stride=sequence.block_length)

    def stays(self, sequence: Sequence) -> bool:
        return bool(sequence.open_columns)


class RecomputedGeneration(SDARGeneration):
    """The same algorithm without the cache."""

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return Recomputed()


WAYS: Mapping[str, type[SDARGeneration]] = {"exact cache": SDARGeneration, "recomputed": RecomputedGeneration}


def main() -> None:
    options = _options()
    timings = [timing for family in options.family for timing in FAMILIES[family](options)]
    text = json.dumps({"torch": torch.__version__, "cases": [asdict(timing) for timing in timings]})
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--family", nargs="+", choices=sorted(FAMILIES), default=sorted(FAMILIES))
    parser.add_argument(
        "--prompts", nargs="+", type=positive, default=[64, 512], help="lengths of the prompts"
    )
    parser.add_argument("--rows", nargs="+", type=positive, default=[1, 4])
    parser.add_argument("--repeat", type=positive, default=3)
    parser.add_argument("--json", type=output)
    return parser.parse_args()


def sdar(options: argparse.Namespace) -> Iterator[Timing]:
    """The exact prefix cache against none, on the CPU in float32."""
    network = _random_network()
    for prompt in options.prompts:
        for rows in options.rows:
            prompts = _prompts(rows, prompt)
            decode = {way: _decoder(kind(), network, prompts) for way, kind in WAYS.items()}
            yield from _compared("sdar", prompt, rows, decode, repeat=options.repeat)


FAMILIES: Mapping[str, Callable[[argparse.Namespace], Iterator[Timing]]] = {"sdar": sdar}


@torch.no_grad()
def _random_network() -> SDARNetwork:
    network = SDARNetwork(SDARConfig.from_dict(SDAR), device=torch.device("cpu"), dtype=torch.float32)
    source = torch.Generator().manual_seed(0)
    for name, weight in network.tensors().items():
        weight.fill_(1.0) if "norm" in name else weight.normal_(std=0.02, generator=source)
    network.tensors()["lm_head.weight"].mul_(25)  # some columns are sure, and some are not
    return network.pack()


def _prompts(rows: int, length: int) -> list[list[int]]:
    source = torch.Generator().manual_seed(1)
    return [torch.randint(8000, (length + 3 * row,), generator=source).tolist() for row in range(rows)]


def _decoder(
    algorithm: SDARGeneration, network: SDARNetwork, prompts: list[list[int]]
) -> Callable[[], list[Sequence]]:
    params = algorithm.validate_args(gen_length=GEN_LENGTH, threshold=0.6, early_stop=False)

    def decode() -> list[Sequence]:
        rows = [algorithm.sequence(network, prompt, params) for prompt in prompts]
        for step in drain(network, rows, rows=len(rows)):
            if step.error is not None:
                raise step.error
        return rows

    return decode


def _compared(
    family: str, prompt: int, rows: int, decode: Mapping[str, Callable[[], list[Sequence]]], *, repeat: int
) -> Iterator[Timing]:
    """Each way in turn, the first of which is what the others are compared with."""
    made = {way: run() for way, run in decode.items()}  # warms up
    taken: dict[str, list[float]] = {way: [] for way in decode}
    for _ in range(repeat):
        for way, run in decode.items():
            begin = time.process_time()
            run()
            taken[way].append(time.process_time() - begin)
    first, *_ = decode
    for way in decode:
        seconds = statistics.median(taken[way])
        timing = Timing(
            family=family,
            way=way,
            prompt=prompt,
            rows=rows,
            nfe=max(row.nfe for row in made[way]),
            seconds=seconds,
            ratio=seconds / statistics.median(taken[first]),
            same_tokens=[row.canvas for row in made[way]] == [row.canvas for row in made[first]],
        )
        _print(timing, begins=way == first)
        yield timing


def _print(timing: Timing, *, begins: bool) -> None:
    if begins:
        print("\nfamily  way             prompt  rows   NFE  seconds  times  same tokens")
    print(
        f"{timing.family:<8}{timing.way:<16}{timing.prompt:>6}{timing.rows:>6}{timing.nfe:>6}"
        f"{timing.seconds:>9.2f}{timing.ratio:>7.2f}  {timing.same_tokens}",
        flush=True,
    )


if __name__ == "__main__":
    main()
