"""The same chats by one call of the library, as `llada batch run` does them, and over HTTP, in one run.

    python benchmarks/batch.py [--requests 512] [--tokens 64] [--repeats 3] [--json FILE]

The three take turns, each with 32 rows, so that a slow moment of the machine strikes all alike; the fastest
run of each counts. The library and the batch run in this process, on one model: the batch indexes a file of
requests, reads it once more and writes one of answers, by the parts of the command and without its bar; to
start and to load the model do not count. The server has a process of its own, and is asked by as many
connections at a time as it has rows and places in the queue. Each has `OMP_NUM_THREADS` threads, on the same
processors. Beside the seconds of the clock stand those of the processor, of server and clients together:
others who use the machine change them less. Every answer is compared with the library's; one that differs
ends the program.

Of the 512 requests that are the default, more than rows and queue hold (288), some are read while others are
decoded; of 64, as in the first figures of `NOTES.md`, all are in the queue from the beginning on.

Printed are a table and one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import httpx
import torch
from counts import positive
from outputs import output
from server_process import ENGINE, EXACT, ServerProcess, serving

from llada_core import GenerationRequest, LoadedModel, load_model
from llada_server.batch.answering import Answering
from llada_server.batch.index import Index
from llada_server.batch.output import Output
from llada_server.batch.resuming import Left, marked, take_in
from llada_server.http.served import Served
from llada_server.serving import served_model
from llada_server.settings import ServerSettings
from llada_tiny.tasks import held_out

ROWS, CONNECTIONS = 32, 32 + 256  # what library, batch and server have where nothing is said
# Connections wait while others are made, and requests for all that came before.
PATIENT = ("--keep-alive", "3600", "--client-timeout", "3600", "--request-timeout", "inf")
URL = "/v1/chat/completions"
Bodies = list[dict[str, Any]]
Texts = list[str]


@dataclass(frozen=True, slots=True)
class Taken:
    """Seconds of one run, by the clock and of the processor, and its answers."""

    clock: float
    processor: float
    texts: Texts


def main() -> None:
    options = _options()
    bodies, known = _bodies(options.requests, options.tokens), Texts()
    exact = load_model(engine=ENGINE, device="cpu", dtype="float32")
    with exact as model, batching(model) as served, serving(*EXACT, *PATIENT) as server:
        ways: dict[str, Callable[[], Taken]] = {
            "generate_batch": lambda: library(model, bodies),
            "llada batch": lambda: batch(served, bodies),
            "server, HTTP": lambda: asyncio.run(over_http(server, bodies)),
        }
        load = [os.getloadavg()[0]]
        seconds = _seconds(ways, options.repeats, known)
        load.append(os.getloadavg()[0])
        tokens = sum(len(model.model.encode(text, raw=True)) for text in known)
    run = {"about": _about(options, max(load)), "tokens": tokens, "seconds": seconds}
    _print_table(run, options.requests)
    print(json.dumps(run))
    if options.json:
        options.json.write_text(json.dumps(run, indent=1) + "\n")


def library(model: LoadedModel, bodies: Bodies) -> Taken:
    """One call of ``generate_batch``."""
    requests = [
        GenerationRequest(
            prompt=body["messages"],
            algorithm=body["algorithm"],
            parameters={"max_tokens": body["max_tokens"]},
        )
        for body in bodies
    ]
    began = time.perf_counter(), time.process_time()
    results = model.generate_batch(requests)
    return _taken(began, [result.text for result in results])


@contextmanager
def batching(model: LoadedModel) -> Iterator[Served]:
    """The model as a batch has it."""
    served, _ = served_model(model, ServerSettings(engine=ENGINE, request_timeout=inf))
    served.worker.start()
    try:
        yield served
    finally:
        served.worker.stop()


def batch(served: Served, bodies: Bodies) -> Taken:
    """A file of requests, indexed and answered into another one."""
    lines = [
        {"custom_id": str(n), "method": "POST", "url": URL, "body": body} for n, body in enumerate(bodies)
    ]
    with tempfile.TemporaryDirectory() as folder:
        source, out = Path(folder) / "in.jsonl", Path(folder) / "out.jsonl"
        source.write_text("".join(json.dumps(line) + "\n" for line in lines))
        began = time.perf_counter(), time.process_time()
        with source.open("rb") as file, Output(out) as answers, closing(Index()) as index:
            taken = take_in(index, file, source, most=served.settings.max_body)
            tally = marked(index, taken, answers, source)
            answers.begin()
            for one in Answering(served, Left(file, index, taken)):
                answers.write(one.text.encode() + b"\n")
                tally.take(one)
        taken = _taken(began, [])
        told = sorted(map(json.loads, out.read_text().splitlines()), key=lambda each: int(each["custom_id"]))
    return Taken(taken.clock, taken.processor, [_text(each["response"]["body"]) for each in told])


async def over_http(server: ServerProcess, bodies: Bodies) -> Taken:
    """All requests to a server."""
    places = asyncio.Semaphore(CONNECTIONS)
    limits = httpx.Limits(max_connections=CONNECTIONS)
    async with httpx.AsyncClient(base_url=server.url, timeout=3600, limits=limits) as http:

        async def ask(body: dict[str, Any]) -> str:
            async with places:
                return _text((await http.post(URL, json=body)).raise_for_status().json())

        # Connections are made before the clock starts.
        await asyncio.gather(*(http.get("/health") for _ in range(min(CONNECTIONS, len(bodies)))))
        began, used = (time.perf_counter(), time.process_time()), server.processor_seconds
        texts = await asyncio.gather(*map(ask, bodies))
        taken = _taken(began, list(texts))
    return Taken(taken.clock, taken.processor + server.processor_seconds - used, taken.texts)


def _taken(began: tuple[float, float], texts: Texts) -> Taken:
    return Taken(time.perf_counter() - began[0], time.process_time() - began[1], texts)


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


def _seconds(
    ways: dict[str, Callable[[], Taken]], repeats: int, known: Texts
) -> dict[str, dict[str, list[float]]]:
    """What each run took, in rounds of all in turn, every second one backwards; the first does not count."""
    seconds: dict[str, dict[str, list[float]]] = {name: {"clock": [], "processor": []} for name in ways}
    for number in range(repeats + 1):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            taken = ways[name]()
            known += [] if known else taken.texts
            if taken.texts != known:
                raise SystemExit(f"{name} answers differently than the library; find out why")
            if number:
                seconds[name]["clock"].append(taken.clock)
                seconds[name]["processor"].append(taken.processor)
    return seconds


def _about(options: argparse.Namespace, load: float) -> str:
    return (
        f"{options.requests} chats of up to {options.tokens} tokens, dual_cache, {ROWS} rows, llada-tiny, "
        f"float32, {torch.get_num_threads()} thread(s) a side, torch {torch.__version__}, the fastest of "
        f"{options.repeats} runs, load of the machine up to {load:.1f}"
    )


def _print_table(run: dict[str, Any], requests: int) -> None:
    print(run["about"])
    print(
        f"{'':16}{'seconds':>9}{'requests/s':>12}{'tokens/s':>10}{'processor, s':>14}{'over the library':>18}"
    )
    alone = min(run["seconds"]["generate_batch"]["processor"])
    for name, each in run["seconds"].items():
        clock, processor = min(each["clock"]), min(each["processor"])
        print(
            f"{name:16}{clock:9.2f}{requests / clock:12.1f}{run['tokens'] / clock:10.0f}"
            f"{processor:14.2f}{processor / alone - 1:18.1%}"
        )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=positive, default=512)
    parser.add_argument("--tokens", type=positive, default=64, help="max_tokens of each")
    parser.add_argument("--repeats", type=positive, default=3, help="runs of each that count")
    parser.add_argument("--json", type=output)
    return parser.parse_args()


if __name__ == "__main__":
    main()
