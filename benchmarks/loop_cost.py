"""What a step costs besides the network, and how many bytes of keys and values rows take when admitted.

    python benchmarks/loop_cost.py [--against FOLDER] [--rows 1 8 32] [--tokens 128 1024] [--json FILE]

Rows are decoded by a network that returns prepared logits at once, four tokens a step in blocks of 32, with
the dual cache. Printed are microseconds of the processor a step and row, the least of the repeats:

    loop          `Loop.step` of the runtime alone
    session       the same behind core's queue, steps unread
    deltas        ``stream``, whose reader looks at positions and tokens
    text          ``stream``, whose reader asks for the whole text at each step; the tokenizer returns at once

With ``--against``, a checkout of this repository, in its state of 0.1 or a later one, is measured in turn
with this one, each in a process of its own, and the ratio is printed. 0.1 has no sessions: there "session" is
the loop behind its ``execution.run``.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from counts import positive
from outputs import output

HERE = Path(__file__).resolve().parents[1]
PROMPT, BLOCK, A_STEP = 64, 32, 4
VOCABULARY, MASK, EOS = 64, 63, 62
LLADA_8B = {"width": 4096, "n_layers": 32, "n_heads": 32, "n_kv_heads": 32, "head_dim": 128,
            "mlp_width": 12288, "vocabulary": 126464, "eps": 1e-5}  # fmt: skip
SMALL = {**LLADA_8B, "width": 64, "n_layers": 2, "n_heads": 4, "n_kv_heads": 4, "head_dim": 16}
CANVASES = (100, 768, 4096)  # columns of the rows that are admitted together
WAYS = ("loop", "session", "deltas", "text")


def main() -> None:
    options = _options()
    if options.worker:
        return work()
    from llada_core.machine import processor  # not above: a checkout that is measured may be without it

    sides = {"here": HERE, **({"against": options.against.resolve()} if options.against else {})}
    workers = {side: Worker(folder) for side, folder in sides.items()}
    found = [
        {"way": way, "rows": rows, "tokens": tokens, **timed(workers, (way, rows, tokens), options.repeat)}
        for way in options.way
        for tokens in options.tokens
        for rows in options.rows
    ]
    memory = {side: worker.ask("memory") for side, worker in workers.items()}
    cpu = processor()
    report(found, memory, cpu)
    text = json.dumps({"cpu": cpu, "microseconds": found, "bytes": memory})
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    return None


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout, measured in turn")
    parser.add_argument("--rows", type=positive, nargs="+", default=[1, 8, 32])
    parser.add_argument("--tokens", type=positive, nargs="+", default=[128, 1024], help="tokens of an answer")
    parser.add_argument("--way", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--repeat", type=positive, default=7)
    parser.add_argument("--json", type=output)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


class Worker:
    """A process that measures one checkout."""

    def __init__(self, folder: Path) -> None:
        sources = [str(source) for source in sorted(folder.glob("packages/*/src"))]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sources), "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--worker"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip

    def ask(self, *question: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(question), file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline()
        if not answer:
            sys.exit("the process that measures has ended; its error is above")
        return json.loads(answer)


def timed(workers: dict[str, Worker], case: tuple[str, int, int], repeat: int) -> dict[str, float]:
    """The microseconds a step and row of each side, by turns."""
    found: dict[str, list[float]] = {side: [] for side in workers}
    for turn in range(repeat + 1):
        for side in sorted(workers, reverse=bool(turn % 2)):
            found[side].append(workers[side].ask(*case))
    return {side: min(times[1:]) for side, times in found.items()}  # the first one warms up


def report(found: list[dict[str, Any]], memory: dict[str, Any], cpu: str) -> None:
    both = "against" in memory
    print(f"{cpu}; prompt {PROMPT}, blocks of {BLOCK}, {A_STEP} tokens a step; µs a step and row")
    print(f"{'':9} {'tokens':>6} {'rows':>4} {'here':>8}" + (f" {'against':>8} {'ratio':>6}" if both else ""))
    for row in found:
        other = f" {row['against']:8.1f} {row['against'] / row['here']:5.2f}x" if both else ""
        print(f"{row['way']:9} {row['tokens']:6} {row['rows']:4} {row['here']:8.1f}{other}")
    print(f"\nrows of {CANVASES} columns admitted together: MiB of keys and values")
    for side, bytes_ in memory.items():
        print(f"{side:9} {bytes_['columns']:6} columns: {bytes_['8B'] / 2**20:8.0f} for LLaDA-8B in bfloat16 "
              f"by arithmetic; {bytes_['small'] / 2**20:.2f} of a small network as measured")  # fmt: skip
        print("          one row of " + ", ".join(f"{n}: {b / 2**20:.0f}" for n, b in bytes_["row"].items()))


# What follows runs in the processes that measure; the names of 0.1 and the later ones meet here.


def work() -> None:
    """Answer the questions on standard input, a line each."""
    side = Side()
    for line in sys.stdin:
        match json.loads(line):
            case ["memory"]:
                print(json.dumps(side.memory()), flush=True)
            case [way, rows, tokens]:
                print(side.microseconds(way, rows, tokens), flush=True)


class Instant:
    """A network whose logits are there before they are asked for."""

    caches, merges = True, False
    max_sequence_length, embedding_size, mask_token_id, eos_ids = 4096, VOCABULARY, MASK, (EOS,)

    def __init__(self, shape: dict[str, Any]) -> None:
        import torch

        from llada_runtime import KVCache, Shape

        self.config, self.device = self, torch.device("cpu")
        source = torch.Generator().manual_seed(0)
        self._logits = torch.randn(32 * BLOCK, VOCABULARY, generator=source)
        self._logits[:, EOS] = -torch.inf  # no answer ends early
        self.shape: Any = Shape(**shape)
        self.pool: Any = None
        self._new_cache = partial(KVCache, self.shape, device=self.device, dtype=torch.bfloat16)

    def new_cache(self, *, columns: int = 0, rows: int = 0, length: int = 0) -> Any:
        """Room for ``columns``, or, in 0.1, for ``rows`` of ``length`` each."""
        size = {"columns": columns} if columns else {"slots": rows, "length": length}
        self.pool = self._new_cache(**size)
        return self.pool

    def affordable_columns(self) -> int:
        return 2**20

    def logits(self, layout: Any, cache: Any) -> Any:
        head = layout.ids if layout.head is None else layout.head
        return self._logits[: len(head)]


class Silent:
    """A tokenizer that has nothing to say, at once."""

    chat_template = eos_token_id = pad_token_id = None

    def decode(self, ids: Any, **options: Any) -> str:
        return ""

    def convert_tokens_to_ids(self, token: str) -> None:
        return None


class Side:
    """The measurements on the packages that this process imports."""

    def __init__(self) -> None:
        import torch

        from llada_runtime import DualCache, Quota, StepAlgorithm

        class Fixed(StepAlgorithm):
            name, engine = "fixed", "none"

            def policy(self, params: Any) -> Any:
                return DualCache()

            def rule(self, params: Any) -> Any:
                return Quota(BLOCK // A_STEP)

        torch.set_num_threads(1)
        self._algorithm = Fixed()
        self._old = not hasattr(self._algorithm, "open_loop")

    def microseconds(self, way: str, rows: int, tokens: int) -> float:
        """Processor time a step and row of decoding ``rows`` answers of ``tokens`` tokens."""
        network = Instant(SMALL)
        params = {"gen_length": tokens, "block_length": BLOCK}
        prompts = [(1,) * (PROMPT - row % 5) for row in range(rows)]  # of several lengths
        if way == "loop":
            run = self._loop(network, prompts, params)
        else:
            run = self._core(way, network, prompts, params)
        gc.collect()
        gc.disable()
        begin = time.process_time()
        steps = run()
        seconds = time.process_time() - begin
        gc.enable()
        assert steps == rows * tokens // A_STEP, f"{steps} steps"
        return seconds / steps * 1e6

    def _loop(self, network: Instant, prompts: Any, params: Any) -> Callable[[], int]:
        from llada_runtime import Loop

        sequences = [self._algorithm.sequence(network, list(prompt), params) for prompt in prompts]
        length = {"length": max(sequence.length for sequence in sequences)} if self._old else {}
        loop: Any = Loop(network, rows=len(sequences), **length)
        for sequence in sequences:
            loop.admit(sequence)

        def run() -> int:
            count = 0
            while loop.active:
                count += len(loop.step())
            return count

        return run

    def _core(self, way: str, network: Instant, prompts: Any, params: Any) -> Callable[[], int]:
        if self._old:
            from llada_core.checkpoint import Checkpoint as Model
            from llada_core.execution import Job, run
        else:
            from llada_core.generation.execution import Execution, run
            from llada_core.generation.jobs import Job
            from llada_core.generation.model import Model

        model = Model.of(network, Silent())
        fields = Job.__dataclass_fields__
        runner = {"runner": self._algorithm} if "runner" in fields else {}  # an earlier state has none
        jobs = [
            Job(index=index, algorithm=self._algorithm, prompt_ids=prompt, parameters=params, **runner)
            for index, prompt in enumerate(prompts)
        ]
        if way == "session" and not self._old:
            execution = Execution(model)
            for job in jobs:
                execution.submit(job)

            def stepped() -> int:
                count = 0
                while execution.active:
                    count += len(execution.step())
                return count

            return stepped
        steps, read = run(model, jobs), _READERS[way, self._old]
        return lambda: sum(read(step) for step in steps)

    def memory(self) -> dict[str, Any]:
        """Bytes that rows of ``CANVASES`` columns take when they have been admitted to one loop."""
        network, large = Instant(SMALL), Instant(LLADA_8B).shape
        from llada_runtime import Loop

        params = {"gen_length": BLOCK, "block_length": BLOCK}
        prompts = [[1] * (columns - BLOCK) for columns in CANVASES]
        sequences = [self._algorithm.sequence(network, prompt, params) for prompt in prompts]
        loop: Any = Loop(network, rows=len(prompts), **({"length": max(CANVASES)} if self._old else {}))
        for sequence in sequences:
            loop.admit(sequence)
        pool: Any = network.pool
        layers = [pool.layer(index) for index in range(network.shape.n_layers)]
        column = 2 * large.n_layers * large.n_kv_heads * large.head_dim * 2  # bytes: bfloat16 has two
        taken = {columns: max(CANVASES) if self._old else columns for columns in CANVASES}  # of each row
        return {
            "columns": sum(taken.values()),
            "8B": sum(taken.values()) * column,
            "small": sum(part.nbytes for layer in layers for part in layer),
            "row": {name: columns * column for name, columns in taken.items()},
        }


def _whole(step: Any) -> int:
    return 1 + len(step.text)


def _ticket(step: Any) -> int:
    return 1 + len(step.ticket.text)


def _deltas(step: Any) -> int:
    return 1 if step.positions and step.tokens else 0


def _nothing(step: Any) -> int:
    return 1


_READERS: dict[tuple[str, bool], Callable[[Any], int]] = {
    ("session", True): _nothing,
    ("deltas", True): _deltas,
    ("deltas", False): _deltas,
    ("text", True): _whole,
    ("text", False): _ticket,
}


if __name__ == "__main__":
    main()
