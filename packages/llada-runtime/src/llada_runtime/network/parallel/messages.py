"""How a forward is laid out, as ints. What is fed is sent from device to device, and is not in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from llada_runtime.network.calls import Merge
from llada_runtime.network.layout import Form, Layout
from llada_runtime.network.spans import Place

__all__ = ["Forward", "message_of", "read_message"]

_NOWHERE = -1  # of a start and of a tail, and of a cache's number
_ALL = 0  # of a stride
_NO_SHADOW = (0, 0)
_PLACE = len(Place._fields) + 1  # a shadow has two


class Forward(NamedTuple):
    """What a rank needs to know of a forward besides tokens and embeddings.

    Attributes:
        cache: its number, or None.
        form: None is that of the forward before.
        inputs: first column and width of what is fed as embeddings.
    """

    cache: int | None
    form: Form | None
    inputs: tuple[tuple[int, int], ...]


def message_of(layout: Layout, *, cache: int | None, last: Form | None) -> list[int]:
    """The forward of ``layout`` on the cache of this number, after one of the form ``last``."""
    ints = [_NOWHERE if cache is None else cache, len(layout.inputs)]
    for start, inputs in layout.inputs:
        ints += start, len(inputs)
    if layout.form is not last:
        ints.append(layout.form.merge)
        for place in layout.form.places:
            ints += _numbers(place)
    return ints


def read_message(ints: Sequence[int]) -> Forward:
    """What `message_of` wrote."""
    number, count = ints[:2]
    fed, rest = ints[2 : 2 + 2 * count], ints[2 + 2 * count :]
    form = None
    if rest:
        merge, *numbers = rest
        runs = (numbers[first : first + _PLACE] for first in range(0, len(numbers), _PLACE))
        form = Form.of(tuple(map(_place, runs)), Merge(merge))
    pairs = zip(fed[::2], fed[1::2], strict=True)
    return Forward(cache=None if number == _NOWHERE else number, form=form, inputs=tuple(pairs))


def _numbers(place: Place) -> tuple[int, ...]:
    lo, hi, length, head_lo, head_hi, start, reads, stride, shadow, tail, apart = place
    nowhere, way = _NOWHERE if start is None else start, _ALL if stride is None else stride
    far = _NOWHERE if tail is None else tail
    return lo, hi, length, head_lo, head_hi, nowhere, reads, way, *(shadow or _NO_SHADOW), far, apart


def _place(numbers: Sequence[int]) -> Place:
    lo, hi, length, head_lo, head_hi, start, reads, stride, *shadow, tail, apart = numbers
    return Place(
        lo, hi, length, head_lo, head_hi,
        None if start == _NOWHERE else start, bool(reads), None if stride == _ALL else stride,
        None if tuple(shadow) == _NO_SHADOW else (shadow[0], shadow[1]),
        None if tail == _NOWHERE else tail, bool(apart),
    )  # fmt: skip
