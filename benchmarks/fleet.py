"""Write the tables of docs/scale.md, which follow from the inputs in its own block of code.

    python benchmarks/fleet.py [--write]

Printed are the tables; with `--write` they are put into the page. Nothing is measured.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from math import ceil
from pathlib import Path
from types import ModuleType
from typing import Any

PAGE = Path(__file__).parents[1] / "docs" / "scale.md"
_SOURCE = re.compile(r"^```python file=fleet\.py\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
_MARKS = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", flags=re.DOTALL)

# Whole answers that were measured, in tokens a second: card, rows, tokens a forward, tokens, columns.
MEASURED = (
    ("H200", 1, 1, 256, 768, "206"),
    ("H200", 1, 2, 256, 768, "377"),
    ("H200", 1, 4, 256, 768, "632 to 656"),
    ("H200", 1, 8, 256, 768, "974"),
    ("H200", 8, 1, 256, 768, "635"),
    ("H200", 8, 4, 256, 768, "1,245 to 1,280"),
    ("H200", 32, 4, 256, 768, "1,280"),
    ("H200", 1, 4, 1024, 1536, "467 to 470"),
    ("H200", 8, 4, 1024, 1536, "714"),
    ("H200", 32, 4, 1024, 1536, "745"),
    ("H200, fp8", 1, 4, 256, 768, "729 to 741"),
    ("H200, fp8", 8, 4, 256, 768, "1,196"),
    ("H100", 8, 4, 256, 768, "1,202"),
    ("H100", 32, 4, 256, 768, "1,306"),
)
ROWS, A_FORWARD, CARDS, FLEETS = (1, 2, 8, 32), (1, 2, 4, 8), ("H200", "H200, fp8", "H100"), (1, 2, 8, 64)
PARTS = ("one server", "ingress", "proxy", "ingress behind it")
MOST = 0.7  # of a core, so that what passes through does not wait long


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--write", action="store_true", help="into docs/scale.md")
    page = PAGE.read_text()
    for name, written in tables(arithmetic(page)).items():
        print(f"{name}\n\n{written}\n")
    if parser.parse_args().write:
        PAGE.write_text(with_tables(page))


def arithmetic(page: str) -> Any:
    """The module whose text stands in the page."""
    found = _SOURCE.search(page)
    assert found, "docs/scale.md has no block file=fleet.py"
    module = ModuleType("fleet_of_the_page")
    exec(compile(found[1], str(PAGE), "exec", dont_inherit=True), module.__dict__)
    return module


def with_tables(page: str) -> str:
    """The page with its tables as its arithmetic makes them."""
    written = tables(arithmetic(page))
    return _MARKS.sub(lambda found: f"{found[1]}\n{written[found[2]]}\n{found[3]}", page)


def tables(fleet: Any) -> dict[str, str]:
    """The tables of the page by name."""
    made = {name: make(fleet) for name, (_, make) in _TABLES.items()}
    return {name: table(_TABLES[name][0].split(" | "), rows) for name, rows in made.items()}


def table(heading: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table of Markdown whose first column is text."""
    heading = list(heading)
    lines = [heading, ["---", *("---:" for _ in heading[1:])], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def cards(fleet: Any) -> Iterable[list[str]]:
    for card in CARDS:
        for rows in ROWS:
            each = [fleet.Gpu(card=card, a_forward=n) for n in A_FORWARD]
            speeds = [f"{gpu.tokens_a_second(rows):,.0f}" for gpu in each]
            yield [card, str(rows), *speeds, f"{each[2].seconds(rows):.2f}"]


def measured(fleet: Any) -> Iterable[list[str]]:
    for card, rows, a_forward, tokens, columns, told in MEASURED:
        gpu = fleet.Gpu(card=card, tokens=tokens, a_forward=a_forward, columns=columns)
        speed = gpu.tokens_a_second(rows)
        best = float(told.replace(",", "").split()[-1])
        high = f"{100 * (speed / best - 1):.0f} %"
        yield [card, f"{tokens:,}, {columns:,}", str(rows), str(a_forward), f"{speed:,.0f}", told, high]


def waiting(fleet: Any) -> Iterable[list[str]]:
    gpu = fleet.Gpu()
    for share in (0.25, 0.5, 0.75, 0.9, 0.95):
        offered = share * gpu.answers()
        told = fleet.waiting(gpu, offered)
        yield [
            f"{share:.0%}",
            f"{offered:.2f}",
            f"{told.rows:.1f}",
            f"{told.queue:.1f}",
            f"{told.seconds:.1f}",
        ]


def fleets(fleet: Any) -> Iterable[list[str]]:
    gpu = fleet.Gpu()
    for count in FLEETS:
        answers = count * gpu.answers()
        passed = [fleet.cores("ingress", answers, events) for events in traffic(gpu).values()]
        passed += [fleet.cores("replica", gpu.answers(), gpu.forwards)]
        speeds = [answers * gpu.tokens, answers * gpu.forwards]
        told = [f"{answers:,.1f}", *(f"{each:,.0f}" for each in speeds), *(f"{each:.2f}" for each in passed)]
        yield [str(count), *told]


def traffic(gpu: Any) -> dict[str, float]:
    """How many events an answer brings along on its way, by what it is."""
    return {"whole answers": 0, "streams": gpu.forwards}


def full(fleet: Any) -> Iterable[list[str]]:
    gpu = fleet.Gpu()
    for way, events in traffic(gpu).items():
        for part in PARTS:
            a_core = 1 / fleet.cores(part, 1, events)
            yield [way, part, f"{a_core:,.0f}", f"{a_core / gpu.answers():,.1f}"]


def limits(fleet: Any) -> Iterable[list[str]]:
    gpu = fleet.Gpu()
    for count in FLEETS:
        for way, events in traffic(gpu).items():
            answers = count * gpu.answers()
            needed = {part: fleet.cores(part, answers, events) for part in ("proxy", "ingress behind it")}
            here = limit(answers, {"ingress": fleet.cores("ingress", answers, events)})
            enough = [f"{ceil(each / MOST)}" for each in needed.values()]
            yield [str(count), way, here, limit(answers, needed), *enough]


def limit(answers: float, needed: dict[str, float]) -> str:
    """Which part limits, and to how many answers a second; ``needed`` are the cores that each would need."""
    part = max(needed, key=lambda each: needed[each])
    if needed[part] <= 1:
        return "GPUs"
    return f"{part}, {answers / needed[part]:,.0f} of {answers:,.0f}"


def memory(fleet: Any) -> Iterable[list[str]]:
    for columns in (768, 1536, 4096):
        yield [f"{columns:,}", *(str(fleet.rows_in_memory(card, columns)) for card in ("H200", "H100"))]


_TABLES = {  # by name: the heading, and what makes the rows
    "card": ("card | rows | 1 a forward | 2 a forward | 4 a forward | 8 a forward | seconds at 4", cards),
    "measured": (
        "card | tokens, columns | rows | tokens a forward | model, tokens/s | measured | model is high by",
        measured,
    ),
    "waiting": ("share of the GPU | requests/s | rows | in the queue | seconds to the answer", waiting),
    "fleet": (
        "GPUs | answers/s | tokens/s | events/s | ingress: whole answers | streams | each replica: streams",
        fleets,
    ),
    "full": ("what passes through | process | answers/s of a core | GPUs that fill it", full),
    "limits": (
        "GPUs | traffic | `--replicas` | Serve, one of each | proxies | ingress replicas",
        limits,
    ),
    "memory": ("columns of a row | H200 | H100", memory),
}


if __name__ == "__main__":
    main()
