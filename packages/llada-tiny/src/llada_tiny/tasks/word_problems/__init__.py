"""Word problems of two to five steps, with each step worked out."""

from __future__ import annotations

from ..instance import Draft
from ..world import World
from .errands import savings, shopping
from .journeys import journey, two_speeds
from .people import compare, sharing
from .stories import collection

_KINDS = (collection, collection, shopping, compare, savings, sharing, journey, two_speeds)


def make(world: World) -> Draft:
    """One word problem of a random kind."""
    return world.rng.choice(_KINDS)(world)
