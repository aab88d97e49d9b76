"""How long listing takes, in a program and by ``llada``, against the imports that it cannot do without.

The bound: at most twice the time of ``python -c "import click, pluggy, importlib_metadata"`` plus 0.15 s.
Prints a table and one line of JSON; exit status 1 where the bound is broken. Knows nothing of what the
commands do.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time

from counts import positive

BASELINE = ("-c", "import click, pluggy, importlib_metadata")
COMMANDS = {
    "list_algorithms()": ("-c", "import llada_core; llada_core.list_algorithms()"),
    "algorithms": ("-m", "llada_core", "algorithms"),
    "algorithms --json": ("-m", "llada_core", "algorithms", "--json"),
    "engines --json": ("-m", "llada_core", "engines", "--json"),
    "plugins --json": ("-m", "llada_core", "plugins", "--json"),
    "--help": ("-m", "llada_core", "--help"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--runs", type=positive, default=15, help="runs of each command, of which the median counts"
    )
    runs = parser.parse_args().runs
    commands = {"baseline": BASELINE, **COMMANDS}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs):  # in turn, so that a slow moment of the machine strikes all alike
        for name, arguments in commands.items():
            seconds[name].append(measure(arguments))
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    bound = 2 * medians["baseline"] + 0.15
    print_report(medians, bound)
    sys.exit(any(taken > bound for taken in medians.values()))


def measure(arguments: tuple[str, ...]) -> float:
    """Wall-clock seconds of one run of Python with ``arguments``."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def print_report(medians: dict[str, float], bound: float) -> None:
    for name, taken in medians.items():
        print(f"{name:<20} {taken * 1000:7.0f} ms")
    print(f"{'bound':<20} {bound * 1000:7.0f} ms")
    print(json.dumps({"seconds": medians, "bound": bound, "holds": max(medians.values()) <= bound}))


if __name__ == "__main__":
    main()
