"""The same chats by one call of the library, by `llada batch run`, and over HTTP to a server, in one run.

    python benchmarks/batch.py [--requests 512] [--tokens 64] [--repeats 3] [--json FILE]

The three take turns, each with 32 rows, so that a slow moment of the machine strikes all alike; the fastest
run of each counts, and the median is printed beside it. The library runs in this process; the batch in one
of its own, whose loading does not count (its last line tells the seconds from its first request on); the
server in a third, asked by as many connections at a time as it has rows and places in the queue. Each has
`OMP_NUM_THREADS` threads, on the same processors. Every answer is compared with the library's; one that
differs ends the program.

Printed are a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import torch
from server_process import ENGINE, EXACT, ServerProcess, serving

from llada_core import GenerationRequest, LoadedModel, load_model
from llada_tiny.tasks import held_out

ROWS, CONNECTIONS = 32, 32 + 256  # what library, batch and server have where nothing is said
URL = "/v1/chat/completions"
SECONDS = re.compile(r" · (\d+\.\d+) s · ")
Bodies = list[dict[str, Any]]
Texts = list[str]


def main() -> None:
    options = _options()
    bodies = _bodies(options.requests, options.tokens)
    with load_model(engine=ENGINE, device="cpu", dtype="float32") as model, serving(*EXACT) as server:
        ways: dict[str, Callable[[], tuple[float, Texts]]] = {
            "generate_batch": lambda: library(model, bodies),
            "llada batch run": lambda: batch(bodies),
            "server, HTTP": lambda: asyncio.run(over_http(server, bodies)),
        }
        load = os.getloadavg()[0]
        seconds = _seconds(ways, options.repeats)
        load = max(load, os.getloadavg()[0])
    tokens = sum(len(model.model.encode(text, raw=True)) for text in _KNOWN)
    run = {"about": _about(options, load), "tokens": tokens, "seconds": seconds}
    _print_table(run, options.requests)
    print(json.dumps(run))
    if options.json:
        options.json.write_text(json.dumps(run, indent=1) + "\n")


def library(model: LoadedModel, bodies: Bodies) -> tuple[float, Texts]:
    """One call of ``generate_batch``."""
    requests = [
        GenerationRequest(
            prompt=body["messages"],
            algorithm=body["algorithm"],
            parameters={"max_tokens": body["max_tokens"]},
        )
        for body in bodies
    ]
    began = time.perf_counter()
    results = model.generate_batch(requests)
    return time.perf_counter() - began, [result.text for result in results]


def batch(bodies: Bodies) -> tuple[float, Texts]:
    """One run of the command, on files."""
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
        lines = [
            {"custom_id": str(n), "method": "POST", "url": URL, "body": body} for n, body in enumerate(bodies)
        ]
        source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        command = [sys.executable, "-m", "llada_core", "batch", "run", str(source), "--out", str(out), *EXACT]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"the batch ended with {done.returncode}: {done.stderr}")
        told = sorted(map(json.loads, out.read_text().splitlines()), key=lambda each: int(each["custom_id"]))
        seconds = SECONDS.search(done.stderr)
    assert seconds is not None
    return float(seconds[1]), [_text(each["response"]["body"]) for each in told]


async def over_http(server: ServerProcess, bodies: Bodies) -> tuple[float, Texts]:
    """All requests to a server, so many at a time."""
    places = asyncio.Semaphore(CONNECTIONS)
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(base_url=server.url, timeout=600, limits=limits) as http:

        async def ask(body: dict[str, Any]) -> str:
            async with places:
                return _text((await http.post(URL, json=body)).raise_for_status().json())

        # Connections are made before the clock starts.
        await asyncio.gather(*(http.get("/health") for _ in range(min(CONNECTIONS, len(bodies)))))
        began = time.perf_counter()
        texts = await asyncio.gather(*map(ask, bodies))
        return time.perf_counter() - began, list(texts)


def _text(body: dict[str, Any]) -> str:
    return str(body["choices"][0]["message"]["content"])


def _bodies(count: int, tokens: int) -> Bodies:
    """Word problems, whose answers are some 40 tokens, and as many sums, with some 10."""
    problems = held_out("word_problems", (count + 1) // 2, 2026)
    prompts = [[dict(each) for each in task.messages] for task in problems]
    prompts += [
        [{"role": "user", "content": f"What is {n % 97} + {n % 89}?"}] for n in range(count - len(prompts))
    ]
    random.Random(2026).shuffle(prompts)
    return [{"messages": each, "algorithm": "dual_cache", "max_tokens": tokens} for each in prompts]


_KNOWN: Texts = []


def _seconds(ways: dict[str, Callable[[], tuple[float, Texts]]], repeats: int) -> dict[str, list[float]]:
    """What each run took, in rounds of all in turn, every second one backwards; the first does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(repeats + 1):
        names = list(ways) if number % 2 else list(ways)[::-1]
        for name in names:
            taken, texts = ways[name]()
            _compare(texts, name)
            if number:
                seconds[name].append(taken)
    return seconds


def _compare(texts: Texts, name: str) -> None:
    if not _KNOWN:
        _KNOWN.extend(texts)
    wrong = sum(one != other for one, other in zip(_KNOWN, texts, strict=True))
    if wrong:
        raise SystemExit(f"{name} answers {wrong} of {len(texts)} differently; find out why")


def _about(options: argparse.Namespace, load: float) -> str:
    return (
        f"{options.requests} chats of up to {options.tokens} tokens, dual_cache, {ROWS} rows, llada-tiny, "
        f"float32, {torch.get_num_threads()} thread(s) a side, torch {torch.__version__}, the fastest of "
        f"{options.repeats} runs, load of the machine up to {load:.1f}"
    )


def _print_table(run: dict[str, Any], requests: int) -> None:
    print(run["about"])
    print(f"{'':18}{'seconds':>10}{'median':>10}{'requests/s':>12}{'tokens/s':>10}{'of the library':>16}")
    best = {name: min(each) for name, each in run["seconds"].items()}
    for name, each in run["seconds"].items():
        taken = best[name]
        share = best["generate_batch"] / taken
        print(
            f"{name:18}{taken:10.2f}{statistics.median(each):10.2f}{requests / taken:12.1f}"
            f"{run['tokens'] / taken:10.0f}{share:15.0%}"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=512)
    parser.add_argument("--tokens", type=int, default=64, help="max_tokens of each")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each that count")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
