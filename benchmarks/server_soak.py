"""Let many clients ask one server everything at once, for minutes, and check each answer by the library's.

    python benchmarks/server_soak.py [--minutes 5] [--clients 64] [--json FILE]
    python benchmarks/server_soak.py --minutes 0.3 --clients 8 --cases 60

First the answers to a few hundred requests are taken from `LoadedModel`, each request alone. Then a server
of its own, with a plugin whose decoders raise for some prompts, is asked for them by clients that mix
algorithms, lengths, streams, gaps, scores and wrong requests, and hang up midway in a fifth of the cases.
Printed are what was asked and what was found wrong; exit status 1 where anything was. Checked are:

* every answer, its token counts and its forwards are those of the request alone, under the request's id;
* no request is lost, and nothing is in work once all clients have gone;
* cancelled rows take part in one more step at most, as the server's metric counts them;
* the server's memory is flat: in the last third of the time (of two minutes or more) the median is at most
  5 % above that of the middle third. Caches and pools fill in the first one;
* 99 % of `/health` come within 100 ms, and the server ends with status 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from counts import positive
from outputs import output
from server_clients import Client, Heard, metric
from server_process import ENGINE, EXACT, ServerProcess, probe_health, quantile, serving
from server_requests import Case, cases_of, install_faulty_decoders

from llada_core import load_model

HEALTHY = 0.1  # seconds that /health may take
GROWTH = 0.05  # share by which the median of the last third may exceed that of the middle one
JUDGED = 2.0  # minutes from which growth tells something: before, pools and caches still fill
SHOWN = 20  # findings that are printed
LOUD = ("Task exception was never retrieved", "Exception in ASGI application", "model's thread broke")


@dataclass(slots=True)
class Soak:
    """What one run saw."""

    heard: Heard = field(default_factory=Heard)
    resident: list[int] = field(default_factory=list)
    health: list[float] = field(default_factory=list)
    figures: str = ""
    left: float = 0.0
    status: int | None = None
    log: str = ""

    @property
    def growth(self) -> float:
        """By what share the median of memory grew from the middle third of the time to the last one."""
        third = max(1, len(self.resident) // 3)
        last = self.resident[-third:]
        middle = self.resident[-2 * third : -third] or last  # one sample tells nothing
        return statistics.median(last) / statistics.median(middle) - 1


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        install_faulty_decoders(Path(folder))
        sys.path.insert(0, folder)
        with load_model(engine=ENGINE, device="cpu", dtype="float32") as model:
            cases = cases_of(model, options.cases)
        print(
            f"{len(cases)} answers known; {options.clients} clients for {options.minutes:g} min", flush=True
        )
        rows = ("--max-num-seqs", str(options.rows), "--max-queue", str(4 * options.clients))
        with serving(*EXACT, *rows, path=Path(folder)) as server:
            soak = asyncio.run(_soaked(server, cases, options))
            soak.status = server.stop()
            soak.log = server.log.read_text(errors="replace")
    wrong = findings(soak, options.minutes)
    _print_report(soak, wrong)
    if options.json:
        options.json.write_text(
            json.dumps({"about": _about(options), **_figures(soak), "wrong": wrong}) + "\n"
        )
    sys.exit(bool(wrong))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--clients", type=positive, default=64)
    parser.add_argument("--cases", type=positive, default=400, help="how many different requests")
    parser.add_argument(
        "--rows", type=positive, default=32, help="requests that the server decodes at a time"
    )
    parser.add_argument("--json", type=output)
    return parser.parse_args()


def _about(options: argparse.Namespace) -> str:
    return (
        f"{options.clients} clients, {options.minutes:g} min, {options.rows} rows at a time, {options.cases} "
        f"requests, float32, {torch.get_num_threads()} thread(s), torch {torch.__version__}"
    )


async def _soaked(server: ServerProcess, cases: list[Case], options: argparse.Namespace) -> Soak:
    """Everything that was seen from outside while the clients were there, and right after."""
    soak, until = Soak(), time.monotonic() + 60 * options.minutes
    context = multiprocessing.get_context("spawn")
    ended, (receiver, sender) = context.Event(), context.Pipe(duplex=False)
    prober = context.Process(target=probe_health, args=(server.url, ended, sender), daemon=True)
    prober.start()
    clients = [Client(server.url, cases, soak.heard, seed) for seed in range(options.clients)]
    memory = asyncio.create_task(_watch_memory(server, soak.resident))
    await asyncio.gather(*(client.ask_until(until) for client in clients))
    memory.cancel()
    ended.set()
    soak.health = await asyncio.to_thread(receiver.recv)
    prober.join()
    soak.left = await asyncio.to_thread(_left, server)
    soak.figures = await asyncio.to_thread(server.metrics)
    return soak


async def _watch_memory(server: ServerProcess, resident: list[int]) -> None:
    while True:
        resident.append(server.resident)
        await asyncio.sleep(0.5)


def _left(server: ServerProcess, patience: float = 10.0) -> float:
    """Requests that are still in work when clients have gone for ``patience`` seconds, mostly fewer."""
    until = time.monotonic() + patience
    while True:
        stats = server.stats()
        left = stats["num_requests_running"] + stats["num_requests_waiting"]
        if not left or time.monotonic() > until:
            return left
        time.sleep(0.05)


def findings(soak: Soak, minutes: float) -> list[str]:
    """What was wrong, in sentences; empty where nothing was."""
    wrong = list(soak.heard.wrong)
    if soak.left:
        wrong.append(f"{soak.left:g} requests are in work after all clients have gone")
    wrong += _wrong_counts(soak)
    slow = quantile(soak.health, 0.99)
    if slow > HEALTHY:
        wrong.append(f"the 99th percentile of /health is {slow * 1000:.0f} ms, above {HEALTHY * 1000:.0f}")
    if minutes >= JUDGED and soak.growth > GROWTH:
        wrong.append(
            f"memory grew by {soak.growth:.1%} from the middle third to the last, above {GROWTH:.0%}"
        )
    if soak.status != 0:
        wrong.append(f"the server ended with {soak.status} at SIGTERM, not 0")
    wrong += [f"the log says {loud!r}" for loud in LOUD if loud in soak.log]
    return wrong


def _wrong_counts(soak: Soak) -> list[str]:
    """Where the server's figures contradict what its clients saw, or count rows that stayed too long."""
    heard, figures = soak.heard, soak.figures
    wrong = []
    ended = metric(figures, "llada_request_success_total") - metric(
        figures, "llada_request_success_total", finished_reason="cancelled"
    )
    if ended < heard.answers:
        wrong.append(f"clients got {heard.answers} answers, and the server counts {ended:g}")
    failed = metric(figures, "llada_request_failure_total")
    if failed < heard.outcomes["failed"]:
        wrong.append(f"{heard.outcomes['failed']} requests failed, and the server counts {failed:g}")
    freed = metric(figures, "llada_forwards_after_cancel_count")
    soon = metric(figures, "llada_forwards_after_cancel_bucket", le="1.0")
    if freed != soon:
        wrong.append(f"{freed - soon:g} of {freed:g} cancelled rows took part in more than one step more")
    if heard.outcomes["hung up"] and not freed:
        wrong.append("clients hung up, and the server counts no cancelled row")
    return wrong


def _figures(soak: Soak) -> dict[str, Any]:
    heard = soak.heard
    return {
        "outcomes": dict(heard.outcomes),
        "kinds": {
            kind: {"asked": len(taken), "p50": quantile(taken, 0.5), "p99": quantile(taken, 0.99)}
            for kind, taken in sorted(heard.seconds.items())
        },
        "health": {"asked": len(soak.health), "p50": quantile(soak.health, 0.5)}
        | {"p99": quantile(soak.health, 0.99), "longest": max(soak.health)},
        "memory": {"growth": soak.growth, "mib": [size // 2**20 for size in _spread(soak.resident)]},
        "cancelled": metric(soak.figures, "llada_forwards_after_cancel_count"),
        "status": soak.status,
    }


def _spread(values: list[int], count: int = 12) -> list[int]:
    """About ``count`` of the values, evenly over all of them, with the last."""
    return [*values[: -1 : max(1, len(values) // count)], values[-1]]


def _print_report(soak: Soak, wrong: list[str]) -> None:
    figures = _figures(soak)
    print(", ".join(f"{count} {outcome}" for outcome, count in sorted(figures["outcomes"].items())))
    print(f"{'kind':20} {'answered':>8} {'p50 ms':>8} {'p99 ms':>8}")
    for kind, row in {**figures["kinds"], "/health": figures["health"]}.items():
        print(f"{kind:20} {row['asked']:8} {row['p50'] * 1000:8.0f} {row['p99'] * 1000:8.0f}")
    memory = figures["memory"]
    print(
        f"memory {', '.join(map(str, memory['mib']))} MiB, {memory['growth']:+.1%} from the middle third to "
        f"the last; {figures['cancelled']:g} rows cancelled"
    )
    for finding, count in list(Counter(wrong).items())[:SHOWN]:
        print(f"wrong: {finding}" + (f" ({count} times)" if count > 1 else ""))
    print(f"{len(wrong)} findings" if wrong else "nothing wrong")


if __name__ == "__main__":
    main()
