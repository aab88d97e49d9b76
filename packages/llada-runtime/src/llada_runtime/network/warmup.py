"""Block steps captured before the first request needs them, on memory that later caches use.

What is captured is what dual caches run: so many rows, each with a whole block, and the whole forwards of one
row, of every length that is captured at all. Steps of other widths, and what comes when a cache outgrows the
reserved memory, are captured when they have been met a few times.

A network whose decoders run something else says so by its `Reading`, whose shift is how many columns of a
block tell of no token of it, and where columns see their own block there are no whole forwards; and in its
config, where ``step_widths`` are the columns of a block, and ``whole_widths`` how many columns of a whole
forward are asked for logits. A forward of more columns than the network has ``most_captured`` is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import product

from llada_core.progress import listener
from llada_runtime.network.cache import Extent
from llada_runtime.network.calls import Merge
from llada_runtime.network.form import WHOLES
from llada_runtime.network.graphs import Graphed, Reduction
from llada_runtime.network.layout import Layout, Span
from llada_runtime.network.likeliest import Likeliest
from llada_runtime.network.machine import why_no_kernels
from llada_runtime.network.protocol import Network
from llada_runtime.network.reading import reading_of
from llada_runtime.network.shortage import is_out_of_memory

__all__ = ["warm_up"]

_WIDTHS = (16, 32, 64)
_LONGEST = 4096


def warm_up(
    network: Network,
    *,
    rows: Iterable[int] = (1,),
    widths: Iterable[int] | None = None,
    columns: int | None = None,
    told: Callable[[int, int], None] | None = None,
) -> float | None:
    """Seconds that it took to capture steps of these numbers of ``rows`` and these widths of a block.

    None where the network has no graphs that serve rows anywhere, or where memory does not hold them: steps
    are captured as they are met then.

    Args:
        widths: None is what the network's config says, or 16, 32 and 64. What is given holds for steps, and
            for whole forwards where the config does not say of which widths these are.
        columns: of keys and values to reserve memory for; None is one row as long as the model takes, and at
            most 4,096.
        told: is called with how many are done and how many there are, at the beginning and after each; None
            is whoever listens (`llada_core.progress`).

    Raises:
        UsageError: rows are being decoded on the memory that is reserved.
        torch.OutOfMemoryError: memory does not hold them, and other ranks have parts of the network.
    """
    if not isinstance(network, Graphed) or network.merges is not Merge.RAGGED:
        return None
    begin, tell, ways = time.perf_counter(), told or listener(), _outcomes(network)
    longest = columns or min(network.config.max_sequence_length, _LONGEST)
    steps, wholes = _kinds(network, rows, widths, longest)
    total = len(steps) + len(wholes)
    try:
        cache = network.reserve(longest)
        for done, (count, width) in enumerate(steps):
            tell(done, total)
            if count * width <= cache.capacity:
                layout = _steps(network, count, width)
                for way in ways:
                    network.prepare(layout, cache, way)
        for done, (count, width) in enumerate(wholes, start=len(steps)):
            tell(done, total)
            network.prepare(_whole(network, count, width), cache, ways[0])
    except Exception as exc:
        if not is_out_of_memory(exc) or not network.alone:  # what one rank leaves out, the others wait for
            raise
        network.let_go()
        return None
    tell(total, total)
    return time.perf_counter() - begin


def _kinds(
    network: Network, rows: Iterable[int], widths: Iterable[int] | None, longest: int
) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """The steps, by rows and width of a block, and the whole forwards, by columns and those of the head."""
    config, most = network.config, getattr(network, "most_captured", None)
    chosen = set(getattr(config, "step_widths", _WIDTHS) if widths is None else widths)
    in_blocks = reading_of(network).attention == "blocks"  # so that no row has whole forwards without strides
    heads = set() if in_blocks else set(getattr(config, "whole_widths", chosen))
    steps = list(product(sorted(set(rows)), sorted(chosen)))
    wholes = [(count, width) for count, width in product(WHOLES, sorted(heads)) if width <= count <= longest]
    if most is not None:
        steps = [(count, width) for count, width in steps if count * width <= most]
        wholes = [(count, width) for count, width in wholes if count <= most]
    return steps, wholes


def _outcomes(network: Graphed) -> list[Reduction | None]:
    """What is asked of steps: what is likeliest, where there is a kernel for it, and logits."""
    if not network.alone or why_no_kernels(network.device) is not None:
        return [None]
    return [Likeliest(network.config.mask_token_id), None]


def _steps(network: Network, rows: int, width: int) -> Layout:
    """A block of ``width`` columns in each row. A graph reads where they lie: here next to each other."""
    ids, head = [0] * width, max(width - reading_of(network).shift, 1)
    spans = [
        Span(
            ids=ids, lo=0, hi=width, length=width, head_lo=0, head_hi=head, reads=True,
            extent=Extent(start=row * width, length=width),
        )
        for row in range(rows)
    ]  # fmt: skip
    return Layout.of(spans, device=network.device, merge=network.merges)


def _whole(network: Network, columns: int, width: int) -> Layout:
    """A row's whole forward, and logits of a block."""
    extent = Extent(start=0, length=columns)
    span = Span(ids=[0] * columns, lo=0, hi=columns, length=columns, head_lo=0, head_hi=width, extent=extent)
    return Layout.of([span], device=network.device, merge=network.merges)
