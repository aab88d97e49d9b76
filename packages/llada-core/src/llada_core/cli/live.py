"""The canvas as it fills, on a terminal: masks as ░, what the last step committed in colour."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from contextlib import closing
from itertools import groupby
from typing import Any, Literal

from llada_core.cli.streams import printable
from llada_core.generation.model import Model
from llada_core.generation.results import Canvas, GenerationResult
from llada_core.generation.steps import Step
from llada_core.imports import load_target

__all__ = ["MASK", "Look", "stretches", "watch"]

MASK = "░"
Look = Literal["mask", "fresh", "settled"]
_STYLES: dict[Look, str] = {"mask": "dim", "fresh": "bold green", "settled": ""}


def watch(steps: Generator[Step, None, None], model: Model) -> GenerationResult:
    """The result of one prompt's ``steps``, shown while they happen and cleared when they are over."""
    result: GenerationResult | None = None
    # auto_refresh would draw from another thread, between steps, what has not changed.
    console = load_target("rich.console:Console")(stderr=True)  # answers go to stdout
    picture = load_target("rich.live:Live")(
        console=console, auto_refresh=False, transient=True, redirect_stdout=False
    )
    with closing(steps), picture as live:
        for step in steps:
            live.update(_picture(step, model), refresh=True)
            result = step.result or result
    assert result is not None
    return result


def _picture(step: Step, model: Model) -> Any:
    text = load_target("rich.text:Text")()
    for look, ids in stretches(step.ticket.canvas, fresh=step.positions, ends=model.end_ids):
        shown = MASK * len(ids) if look == "mask" else printable(model.decode(ids))
        text.append(shown, style=_STYLES[look])
    text.append(f"\nNFE {step.nfe} · block {step.block + 1}", style="dim")
    return text


def stretches(
    canvas: Canvas, *, fresh: Collection[int], ends: Collection[int]
) -> Iterator[tuple[Look, list[int]]]:
    """The canvas up to its first end id, in stretches of one look; a mask counts as id 0."""
    looked = []
    for position, token in enumerate(canvas):
        if token in ends:
            break
        look: Look = "mask" if token is None else "fresh" if position in fresh else "settled"
        looked.append((look, token or 0))
    for look, stretch in groupby(looked, key=lambda pair: pair[0]):
        yield look, [token for _, token in stretch]
