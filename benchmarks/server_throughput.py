"""What the server costs: 16 chats at once against one after another, mixed algorithms, overhead, start, rest.

    python benchmarks/server_throughput.py [--requests 16] [--tokens 64] [--repeats 3] [--json FILE]

Both sides of each ratio are measured in this run, in turn, so that a slow moment of the machine strikes all
alike. What else runs only ever takes time away, so the fastest run of each counts; the median is printed
beside it. Short measurements are repeated more often, until each had its `--seconds`. The library runs in
this process and the server in its own, on the same processors, with as many threads each
(`OMP_NUM_THREADS`); while one is measured the other rests. Every answer is compared with the library's.
Printed are a table and one line of JSON; exit status 1 where a bound is broken:

* several requests at once are faster than one after another;
* mixed algorithms take at most 15 % longer than the mean of runs that are uniform, of the same work;
* the server takes at most 10 % longer than `LoadedModel.generate_batch` for the same requests;
* at rest its threads wake at most 20 times a second: the web server's clock does so 10 times.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import torch
from counts import positive
from outputs import output
from server_process import ENGINE, EXACT, ServerProcess, serving

from llada_core import GenerationRequest, LoadedModel, load_model
from llada_tiny.tasks import held_out

Prompts = list[list[dict[str, str]]]
SETTINGS: dict[str, tuple[str, str, dict[str, Any]]] = {  # prompts, algorithm, parameters
    "problems, threshold 0.9": ("problems", "dual_cache", {"threshold": 0.9}),
    "sums, one token a step": ("sums", "dual_cache", {"threshold": None, "steps": 64, "early_stop": False}),
    "sums, threshold 0.9": ("sums", "dual_cache", {"threshold": 0.9}),
}
MIXED = ("basic", "prefix_cache", "dual_cache", "dinfer_hierarchy")
MIXED_BOUND, OVERHEAD_BOUND, WAKE_BOUND = 1.15, 1.10, 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One request, as the library and as the server take it."""

    messages: list[dict[str, str]]
    algorithm: str
    parameters: dict[str, Any]

    @property
    def request(self) -> GenerationRequest:
        return GenerationRequest(prompt=self.messages, algorithm=self.algorithm, parameters=self.parameters)

    @property
    def body(self) -> dict[str, Any]:
        return {"messages": self.messages, "algorithm": self.algorithm, **self.parameters}


class Bench:
    """The library and a server of the same model; each measurement is a number of seconds.

    All answers to a chat are compared; one that differs raises ``SystemExit``.
    """

    def __init__(self, model: LoadedModel, server: ServerProcess) -> None:
        self._model, self._server = model, server
        self._known: dict[str, str] = {}

    def library(self, chats: list[Chat]) -> float:
        """All by one call of ``generate_batch``."""
        began = time.perf_counter()
        results = self._model.generate_batch([chat.request for chat in chats])
        taken = time.perf_counter() - began
        for chat, result in zip(chats, results, strict=True):
            self._compare(chat, result.text)
        return taken

    def at_once(self, chats: list[Chat]) -> float:
        """All sent to the server at the same time."""
        return asyncio.run(self._sent(chats, at_once=True))

    def in_turn(self, chats: list[Chat]) -> float:
        """Each sent to the server when the one before is answered."""
        return asyncio.run(self._sent(chats, at_once=False))

    async def _sent(self, chats: list[Chat], *, at_once: bool) -> float:
        limits = httpx.Limits(max_connections=len(chats))
        async with httpx.AsyncClient(base_url=self._server.url, timeout=600, limits=limits) as http:
            # Connections are made before the clock starts: the library needs none.
            await asyncio.gather(*(http.get("/health") for _ in chats))
            began = time.perf_counter()
            if at_once:
                texts = await asyncio.gather(*(_asked(http, chat) for chat in chats))
            else:
                texts = [await _asked(http, chat) for chat in chats]
            taken = time.perf_counter() - began
        for chat, text in zip(chats, texts, strict=True):
            self._compare(chat, text)
        return taken

    def _compare(self, chat: Chat, text: str) -> None:
        known = self._known.setdefault(json.dumps(chat.body), text)
        if text != known:
            raise SystemExit(f"{chat.body} is answered by {text!r} and by {known!r}; find out why")


async def _asked(http: httpx.AsyncClient, chat: Chat) -> str:
    response = await http.post("/v1/chat/completions", json=chat.body)
    response.raise_for_status()
    text: str = response.json()["choices"][0]["message"]["content"]
    return text


def main() -> None:
    options = _options()
    starts = [_start() for _ in range(options.starts)]
    with load_model(engine=ENGINE, device="cpu", dtype="float32") as model, serving(*EXACT) as server:
        bench, prompts = Bench(model, server), _prompts(options.requests)
        measurements = _measurements(bench, prompts, options.tokens)
        seconds = _seconds(measurements, options.repeats, options.seconds)
        rest = _rest(server, options.idle)
    best = {name: min(each) for name, each in seconds.items()}
    figures = _figures(best, starts, rest)
    broken = _broken(figures)
    about = _about(options)
    _print_report(about, seconds, figures, broken)
    run = {"about": about, "seconds": seconds, **figures, "broken": broken}
    print(json.dumps(run))
    if options.json:
        options.json.write_text(json.dumps(run, indent=1) + "\n")
    sys.exit(bool(broken))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=positive, default=16)
    parser.add_argument("--tokens", type=positive, default=64, help="max_tokens of each")
    parser.add_argument("--repeats", type=positive, default=3, help="runs of each measurement at least")
    parser.add_argument("--seconds", type=float, default=30.0, help="that each measurement takes at least")
    parser.add_argument("--starts", type=positive, default=3, help="starts of the server")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds for which it is left alone")
    parser.add_argument("--json", type=output)
    return parser.parse_args()


def _about(options: argparse.Namespace) -> str:
    return (
        f"{options.requests} chats of up to {options.tokens} tokens, llada-tiny, float32, the fastest of "
        f"{options.repeats} runs or more; {torch.get_num_threads()} thread(s) a side, "
        f"torch {torch.__version__}"
    )


def _prompts(count: int) -> dict[str, Prompts]:
    """Word problems, whose answers are some 40 tokens, and sums, with some 10."""
    sums = (f"What is {12 + 3 * number} + {30 + 7 * number}?" for number in range(count))
    problems = held_out("word_problems", count, 2026)
    return {
        "problems": [[dict(each) for each in task.messages] for task in problems],
        "sums": [[{"role": "user", "content": each}] for each in sums],
    }


def _chats(prompts: Prompts, tokens: int, name: str, given: dict[str, Any]) -> list[Chat]:
    parameters = {**given, "max_tokens": tokens}
    if "steps" in given:
        parameters["steps"] = tokens
    return [Chat(messages=prompt, algorithm=name, parameters=parameters) for prompt in prompts]


def _measurements(bench: Bench, prompts: dict[str, Prompts], tokens: int) -> dict[str, Callable[[], float]]:
    """What is measured, by name."""
    made: dict[str, Callable[[], float]] = {}
    for setting, (kind, name, given) in SETTINGS.items():
        chats = _chats(prompts[kind], tokens, name, given)
        made[f"{setting}: library"] = _bound(bench.library, chats)
        made[f"{setting}: at once"] = _bound(bench.at_once, chats)
        made[f"{setting}: in turn"] = _bound(bench.in_turn, chats)
    uniform = [_chats(prompts["problems"], tokens, name, {"threshold": 0.9}) for name in MIXED]
    for name, chats in zip(MIXED, uniform, strict=True):
        made[f"uniform: {name}"] = _bound(bench.at_once, chats)
    for shift in range(len(MIXED)):  # each prompt meets each algorithm once, as in the uniform runs
        chats = [uniform[(at + shift) % len(MIXED)][at] for at in range(len(prompts["problems"]))]
        made[f"mixed: {shift + 1}"] = _bound(bench.at_once, chats)
    return made


def _bound(measure: Callable[[list[Chat]], float], chats: list[Chat]) -> Callable[[], float]:
    return lambda: measure(chats)


def _seconds(
    measurements: dict[str, Callable[[], float]], repeats: int, budget: float
) -> dict[str, list[float]]:
    """What each run took, in rounds of all in turn, the second of two backwards.

    A first round, which warms both sides, does not count. A measurement that had its ``repeats`` and its
    ``budget`` of seconds is left out of the rounds that follow.
    """
    for measure in measurements.values():
        measure()
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    names = list(measurements)
    while names:
        for name in names:
            seconds[name].append(measurements[name]())
        names = [
            each for each in reversed(names) if len(seconds[each]) < repeats or sum(seconds[each]) < budget
        ]
    return {name: seconds[name] for name in measurements}


def _start() -> dict[str, float]:
    """Seconds from the start of the program until `/health` is 200, and until the first answer is there."""
    with serving(*EXACT) as server:
        healthy = time.perf_counter() - server.began
        chat = _chats(_prompts(1)["sums"], 16, "dual_cache", {})[0]
        httpx.post(f"{server.url}/v1/chat/completions", json=chat.body, timeout=120).raise_for_status()
        answered = time.perf_counter() - server.began
        server.stop()
    return {"healthy": healthy, "answered": answered}


def _rest(server: ServerProcess, seconds: float) -> dict[str, float]:
    """Which share of a processor the server uses when nobody asks anything, and how often it wakes."""
    time.sleep(1)  # connections close
    used, woken, began = server.processor_seconds, server.wakeups, time.perf_counter()
    time.sleep(seconds)
    taken = time.perf_counter() - began
    return {
        "processor": (server.processor_seconds - used) / taken,
        "wakeups a second": (server.wakeups - woken) / taken,
    }


def _figures(
    best: dict[str, float], starts: list[dict[str, float]], rest: dict[str, float]
) -> dict[str, Any]:
    uniform = statistics.mean(taken for name, taken in best.items() if name.startswith("uniform"))
    mixed = statistics.mean(taken for name, taken in best.items() if name.startswith("mixed"))
    return {
        "speed-up": {name: best[f"{name}: in turn"] / best[f"{name}: at once"] for name in SETTINGS},
        "overhead": {name: best[f"{name}: at once"] / best[f"{name}: library"] - 1 for name in SETTINGS},
        "mixed to uniform": mixed / uniform,
        "start": {name: min(each[name] for each in starts) for name in ("healthy", "answered")},
        "rest": rest,
    }


def _broken(figures: dict[str, Any]) -> list[str]:
    """The bounds that do not hold, in sentences."""
    broken = [
        f"{name}: at once is not faster than in turn ({ratio:.2f})"
        for name, ratio in figures["speed-up"].items()
        if ratio <= 1
    ]
    broken += [
        f"{name}: the server takes {share:.1%} longer than the library, above {OVERHEAD_BOUND - 1:.0%}"
        for name, share in figures["overhead"].items()
        if share > OVERHEAD_BOUND - 1
    ]
    if figures["mixed to uniform"] > MIXED_BOUND:
        broken.append(
            f"mixed runs take {figures['mixed to uniform']:.2f} of uniform ones, above {MIXED_BOUND}"
        )
    woken = figures["rest"]["wakeups a second"]
    if woken > WAKE_BOUND:
        broken.append(f"at rest the server wakes {woken:.0f} times a second, above {WAKE_BOUND}")
    return broken


def _print_report(
    about: str, seconds: dict[str, list[float]], figures: dict[str, Any], broken: list[str]
) -> None:
    print(about)
    for name, taken in seconds.items():
        print(f"{name:38} {min(taken):8.3f} s   median of {len(taken):3}: {statistics.median(taken):8.3f} s")
    for name in SETTINGS:
        print(
            f"{name:38} {figures['speed-up'][name]:6.2f}x at once, {figures['overhead'][name]:+.1%} over the "
            "library"
        )
    print(f"{'mixed to uniform':38} {figures['mixed to uniform']:6.2f}")
    start = figures["start"]
    print(f"{'start':38} {start['healthy']:.1f} s to /health, {start['answered']:.1f} s to the first answer")
    rest = figures["rest"]
    print(f"{'at rest':38} {rest['processor']:.2%} of a processor")
    print(f"{'':38} {rest['wakeups a second']:.0f} wake-ups a second")
    for each in broken:
        print(f"broken: {each}")


if __name__ == "__main__":
    main()
