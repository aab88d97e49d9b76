"""What it costs to pass requests and their events on: one server, the ingress of replicas, Ray's proxy.

    python benchmarks/passing_on.py [--way one replicas proxied] [--clients 8] [--pace 0.025] [--json FILE]

The model decides at once and then waits, as a GPU lets one wait: a plugin whose network returns prepared
logits after `--pace` seconds. So what processors do is the server's work alone, and each forward of a row is
an event of its own, as it is where forwards take that long. Asked are whole answers of few and of many
forwards, streams of the same, and streams with a frame for each forward:

    one         `llada serve`
    replicas    `llada serve --replicas 1`: the ingress is in the process that listens
    proxied     the application `llada_server.ray:app` behind Ray's own proxy, all on this machine

Of every process its seconds of the processor are taken before and after, less what it takes when nobody asks;
the clients are in this one. The least of the repeats counts, for each kind of process. Printed are
milliseconds a request by kind of process, then what follows of them: a request besides its forwards, a
forward of a row, an event, a frame. Absolute times are this machine's, and rough where others
use it. Runs on Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import httpx
from counts import positive
from outputs import output
from processes import seconds_by_process, used_by_kind
from server_process import ServerProcess, serving

from llada_core.machine import processor
from llada_core.testing import FakeDistribution

A_FORWARD = 4  # tokens
URL = "/v1/chat/completions"
_PLUGIN = """
    from llada_core import AlgorithmSpec, EngineSpec, hookimpl
    from llada_fastdllm.plugin import PARAMETERS

    @hookimpl
    def llada_engines():
        algorithm = AlgorithmSpec(
            name="paced", engine="paced", target="llada_paced_engine:Paced", summary="Waits.",
            parameters=PARAMETERS,
        )
        yield EngineSpec(
            name="paced", target="llada_paced_engine:Paced", summary="Waits.", default_algorithm="paced",
            algorithms=(algorithm,), memory="llada_runtime.memory:estimate", model_types=("llada",),
        )
"""
_ENGINE = """
    import time

    import torch
    from llada_fastdllm import DualCacheGeneration

    class Paced(DualCacheGeneration):
        name, engine = "paced", "paced"

        def load_network(self, folder, options):
            network = super().load_network(folder, options)
            row = torch.zeros(1, network.config.embedding_size)
            row[0, TOKEN] = 9.0

            def logits(layout, cache):
                time.sleep(PACE)
                return row.repeat(len(layout.ids if layout.head is None else layout.head), 1)

            network.logits = logits
            return network
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """How ``clients`` ask, each ``requests`` times one after the other, for answers of so many ``tokens``."""

    name: str
    tokens: int
    requests: int
    stream: bool = False
    frames: bool = False

    @property
    def forwards(self) -> int:
        return self.tokens // A_FORWARD

    @property
    def body(self) -> dict[str, Any]:
        given = {"max_tokens": self.tokens, "steps": self.forwards, "threshold": None, "early_stop": False}
        body = {"messages": [{"role": "user", "content": "What is 12 + 30?"}], "stream": self.stream, **given}
        return {**body, "stream_options": {"denoise": True}} if self.frames else body


CASES = (
    Case(name="whole, few forwards", tokens=32, requests=16),
    Case(name="whole", tokens=256, requests=2),
    Case(name="stream", tokens=256, requests=2, stream=True),
    Case(name="stream, frames", tokens=256, requests=2, stream=True, frames=True),
)


def main() -> None:
    options = _options()
    if options.port is not None:
        return serve_behind_proxy(options.port)
    found = {}
    print(about(options))
    with tempfile.TemporaryDirectory() as folder:
        install(Path(folder), options.pace)
        for way in options.way:
            with started(way, Path(folder)) as server:
                healthy = time.perf_counter() - server.began
                cases = asyncio.run(measured(server, options))
                server.stop()
            found[way] = {"seconds to /health": healthy, "cases": cases, "costs": costs(cases)}
            report(way, found[way])
    run = {"about": about(options), "ways": found}
    print(json.dumps(run))
    if options.json:
        options.json.write_text(json.dumps(run, indent=1) + "\n")
    return None


def _options() -> argparse.Namespace:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=raw)
    parser.add_argument("--way", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--clients", type=positive, default=8, help="that ask at a time")
    parser.add_argument("--pace", type=float, default=0.025, help="seconds of a forward")
    parser.add_argument("--repeats", type=positive, default=3)
    parser.add_argument("--json", type=output)
    parser.add_argument("--port", type=int, help=argparse.SUPPRESS)  # of the process behind the proxy
    return parser.parse_args()


def about(options: argparse.Namespace) -> str:
    return (
        f"{options.clients} clients, a forward every {options.pace * 1e3:g} ms, {A_FORWARD} tokens a "
        f"forward, least of {options.repeats}; {processor()}, {os.cpu_count()} cores, load "
        f"{os.getloadavg()[0]:.1f}"
    )


def install(folder: Path, pace: float) -> None:
    """Install the plugin whose network waits for ``pace`` seconds into ``folder``."""
    from llada_core import load_model

    with load_model(device="cpu") as model:
        token = model.model.encode(" and", raw=True)[-1]
    FakeDistribution(
        name="llada-paced",
        entry_points={"paced": "llada_paced"},
        modules={
            "llada_paced": _PLUGIN,
            "llada_paced_engine": _ENGINE.replace("TOKEN", str(token)).replace("PACE", str(pace)),
        },
    ).install(folder)


_SERVED = ("--engine", "paced", "--device", "cpu", "--dtype", "float32", "--no-log-requests")
WAYS: dict[str, tuple[str, ...]] = {"one": (), "replicas": ("--replicas", "1"), "proxied": ()}


def started(way: str, folder: Path) -> AbstractContextManager[ServerProcess]:
    """What is measured, with the plugin in ``folder``."""
    if way == "proxied":
        return serving(path=folder, program=(str(Path(__file__).resolve()),))
    return serving(*_SERVED, *WAYS[way], path=folder)


def serve_behind_proxy(port: int) -> None:
    """Serve the application with one replica behind the proxy of a cluster of its own until SIGTERM."""
    from llada_server.ray import app
    from llada_server.ray.library import imported

    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray, serve = imported()
    ray.init(address="local", include_dashboard=False)
    serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
    args = {"engine": "paced", "device": "cpu", "dtype": "float32", "log_requests": False}
    try:
        serve.run(app(args))
        signal.pause()
    finally:
        serve.shutdown()
        ray.shutdown()


async def measured(server: ServerProcess, options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Of each case the milliseconds of the processor a request, by kind of process, and what came."""
    limits = httpx.Limits(max_connections=options.clients)
    found: dict[str, dict[str, Any]] = {}
    async with httpx.AsyncClient(base_url=server.url, timeout=600, limits=limits) as http:
        for case in CASES:
            await asked(http, case, options.clients, requests=1)  # warms up
        rest = await resting(server)
        for _ in range(options.repeats):
            for case in CASES:
                once = await measured_once(server, http, case, options.clients, rest)
                found[case.name] = least(found.get(case.name, once), once)
    return found


async def resting(server: ServerProcess, seconds: float = 5.0) -> dict[str, float]:
    """The share of a processor that each kind of process takes when nobody asks."""
    before, began = seconds_by_process(server.process.pid), time.perf_counter()
    await asyncio.sleep(seconds)
    used, taken = seconds_by_process(server.process.pid), time.perf_counter() - began
    return {kind: each / taken for kind, each in used_by_kind(before, used).items()}


async def measured_once(
    server: ServerProcess, http: httpx.AsyncClient, case: Case, clients: int, rest: dict[str, float]
) -> dict[str, Any]:
    before, began = seconds_by_process(server.process.pid), time.perf_counter()
    chunks, sizes = await asked(http, case, clients, requests=case.requests)
    used, taken = seconds_by_process(server.process.pid), time.perf_counter() - began
    count = clients * case.requests
    spent = used_by_kind(before, used)
    return {
        "ms a request": {
            kind: max(each - rest.get(kind, 0.0) * taken, 0.0) / count * 1e3 for kind, each in spent.items()
        },
        "ms a forward, by the clock": taken / case.requests / case.forwards * 1e3,
        "events a request": chunks / count,
        "bytes a request": sizes / count,
    }


def least(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Of two measurements what each kind of process took least, and the rest of the quicker one."""
    ours, theirs = one["ms a request"], other["ms a request"]
    kinds = {kind: min(ours.get(kind, inf), theirs.get(kind, inf)) for kind in ours.keys() | theirs.keys()}
    quicker = min(one, other, key=lambda each: each["ms a forward, by the clock"])
    return {**quicker, "ms a request": kinds}


async def asked(http: httpx.AsyncClient, case: Case, clients: int, *, requests: int) -> tuple[int, int]:
    """Have all clients ask: how many events came, and how many bytes."""

    async def ask() -> tuple[int, int]:
        events = size = 0
        for _ in range(requests):
            async with http.stream("POST", URL, json=case.body) as response:
                response.raise_for_status()
                body = b"".join([part async for part in response.aiter_raw()])
            if case.stream and not body.endswith(b"data: [DONE]\n\n"):
                raise SystemExit(f"a stream has no end: {body[-300:]!r}; see the server's log")
            events, size = events + body.count(b"data: {"), size + len(body)
        return events, size

    told = await asyncio.gather(*(ask() for _ in range(clients)))
    return sum(events for events, _ in told), sum(size for _, size in told)


def costs(cases: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Milliseconds by kind of process: of a request besides its forwards, of a forward of one row, of the
    event that tells of a forward, and of a frame beside it."""
    few, whole, stream, frames = CASES
    found = {}
    for kind in cases[whole.name]["ms a request"]:
        a, b, c, d = (
            cases[each.name]["ms a request"].get(kind, 0.0) for each in (few, whole, stream, frames)
        )
        forward = (b - a) / (whole.forwards - few.forwards)
        found[kind] = {
            "request": a - few.forwards * forward,
            "forward": forward,
            "event": (c - b) / stream.forwards,
            "frame": (d - c) / frames.forwards,
        }
    return found


def report(way: str, told: dict[str, Any]) -> None:
    print(f"\n{way}: {told['seconds to /health']:.1f} s to /health")
    for name, case in told["cases"].items():
        each = ", ".join(f"{kind} {ms:.2f}" for kind, ms in case["ms a request"].items() if ms >= 0.005)
        print(
            f"  {name:20} ms a request: {each}; {case['events a request']:.0f} events, "
            f"{case['bytes a request']:.0f} bytes, {case['ms a forward, by the clock']:.1f} ms a forward"
        )
    print(f"  {'ms':20}{'request':>10}{'forward':>10}{'event':>10}{'frame':>10}")
    for kind, each in told["costs"].items():
        print(f"  {kind:20}" + "".join(f"{each[name]:10.3f}" for name in each), flush=True)


if __name__ == "__main__":
    main()
