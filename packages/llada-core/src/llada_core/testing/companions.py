"""Other algorithms, for rows beside those of one that is checked. Imported only through ``LazyModule``: it
needs torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llada_core import registry
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.kinds import is_for, network_class_of

if TYPE_CHECKING:
    from llada_core.testing.subject import Subject

__all__ = ["companions_of"]

_MOST = 3


def companions_of(subject: Subject) -> list[GenerationAlgorithm]:
    """Some that are installed and run on the network of ``subject``, which they hold; those of a loop with it
    first.

    A network that the model's own code runs is not of the class that its engine names, and runs with all that
    name this one. Raises ``NotRun`` where ``subject`` has no network.
    """
    network, algorithm = subject.network, subject.algorithm
    named = network_class_of(algorithm)
    classes = [type(network), *([] if named is None else [named])]
    found = []
    for name in registry.list_available_algorithms():
        other = registry.get_algorithm(name)
        if name == subject.name or not other.is_available() or other.why_unfit(network) is not None:
            continue
        if is_for(other, engine=algorithm.engine, classes=classes):
            other.model, other.tokenizer = network, algorithm.tokenizer
            found.append(other)
    found.sort(key=lambda each: each.yields_steps() is not algorithm.yields_steps())
    return found[:_MOST]
