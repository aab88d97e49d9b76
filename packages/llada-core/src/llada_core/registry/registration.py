"""What a program registers at run time, beside what the plugins brought: engines and algorithms.

Each is taken in whole or not at all, and can be undone. This module does not know what can run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from llada_core.errors import (
    UsageError,
)
from llada_core.faults import fault_of, one_line
from llada_core.imports import load_target
from llada_core.names import Claim, NameTable
from llada_core.plugins.specs import AlgorithmSpec, EngineSpec
from llada_core.registry.catalogue import AlgorithmEntry, Catalogue, EngineEntry

__all__ = ["Registrations"]


class Registrations:
    """Changes of a ``catalogue``; the caller sees to it that they come one after another."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def add_algorithm(
        self, spec: AlgorithmSpec, factory: Callable[[], Any], *, owner: str
    ) -> Callable[[], None]:
        """Take in an algorithm, in the place of one of this name and ``owner``; returns what undoes it.

        Where its engine bears its own name and nobody has that, it comes as an engine too. Raises
        ``UsageError`` where something else has one of its names, or nobody has its engine.
        """
        own = self._engine_of(spec)
        _check_free(self._catalogue.algorithm_names, "algorithm", spec, owner)
        if own is not None:
            _check_free(self._catalogue.engine_names, "engine", own, owner)
            self._put_engine(own, owner, own=True)
        else:
            self._drop_own_engine(spec.name)  # of what it replaces
        entry = self._entry(spec, factory)
        self._put_algorithm(entry, owner)

        def undo() -> None:
            self._drop_algorithm(entry)
            if own is not None:
                self._drop_engine(own)

        return undo

    def add_engine(self, spec: EngineSpec) -> Callable[[], None]:
        """Take in an engine with its algorithms, in the place of one of this name and target; returns what
        undoes it.

        Raises ``UsageError`` where something else has one of their names, or a target cannot be imported.
        """
        _check_importable(spec)
        for each in spec.algorithms:
            _check_importable(each)
        _check_free(self._catalogue.engine_names, "engine", spec, spec.target)
        for algorithm in spec.algorithms:
            _check_free(self._catalogue.algorithm_names, "algorithm", algorithm, algorithm.target)
        self._put_engine(spec, spec.target)
        entries = [self._entry(each) for each in spec.algorithms]
        for entry in entries:
            self._put_algorithm(entry, entry.spec.target)

        def undo() -> None:
            for entry in entries:
                self._drop_algorithm(entry)
            self._drop_engine(spec)

        return undo

    def _entry(self, spec: AlgorithmSpec, factory: Callable[[], Any] | None = None) -> AlgorithmEntry:
        parameters = self._catalogue.parts.parameters_of(spec)
        return AlgorithmEntry(spec=spec, distribution=None, parameters=parameters, factory=factory)

    def _engine_of(self, spec: AlgorithmSpec) -> EngineSpec | None:
        """The engine that an algorithm which names none is; None where there is the one that it names."""
        names = self._catalogue.engine_names
        found = self._catalogue.engines.get(names.resolve(spec.engine) or "")
        if found is not None and not (found.own and found.spec.name == spec.name):
            return None
        if spec.engine == spec.name:
            return EngineSpec(
                name=spec.name,
                target=spec.target,
                default_algorithm=spec.name,
                algorithms=(spec,),
                summary=spec.summary,
            )
        near = names.closest(spec.engine)
        known = f"did you mean {near[0]}? There are" if near else "there are"
        listed = ", ".join(sorted(self._catalogue.engines)) or "none yet"
        raise UsageError(
            f"{spec.name} is for the engine {spec.engine}, which nobody has; {known} {listed}. Name one of "
            "these, register yours first with register_engine, or leave engine out to make it one of its own"
        )

    def _put_algorithm(self, entry: AlgorithmEntry, owner: str) -> None:
        catalogue, spec = self._catalogue, entry.spec
        _claim(catalogue.algorithm_names, spec, owner)
        catalogue.algorithms = {**catalogue.algorithms, spec.name: entry}

    def _drop_algorithm(self, entry: AlgorithmEntry) -> None:
        """Nothing happens where the entry has been replaced or dropped already."""
        catalogue, name = self._catalogue, entry.spec.name
        if catalogue.algorithms.get(name) is entry:
            catalogue.algorithms = {n: kept for n, kept in catalogue.algorithms.items() if n != name}
            catalogue.algorithm_names.release(name)

    def _put_engine(self, spec: EngineSpec, owner: str, *, own: bool = False) -> None:
        catalogue = self._catalogue
        _claim(catalogue.engine_names, spec, owner)
        entry = EngineEntry(spec=spec, distribution=None, default_algorithm=spec.default_algorithm, own=own)
        catalogue.engines = {**catalogue.engines, spec.name: entry}

    def _drop_own_engine(self, name: str) -> None:
        found = self._catalogue.engines.get(name)
        if found is not None and found.own:
            self._drop_engine(found.spec)

    def _drop_engine(self, spec: EngineSpec) -> None:
        catalogue = self._catalogue
        found = catalogue.engines.get(spec.name)
        if found is not None and found.spec is spec:
            catalogue.engines = {n: kept for n, kept in catalogue.engines.items() if n != spec.name}
            catalogue.engine_names.release(spec.name)


def _names(spec: EngineSpec | AlgorithmSpec) -> Iterator[str]:
    yield from (spec.name, *spec.aliases)


def _check_free(table: NameTable, what: str, spec: EngineSpec | AlgorithmSpec, owner: str) -> None:
    """Refuse names that stand for something else, or for a thing of this name that is somebody else's."""
    for name in _names(spec):
        holder = table.owner(name)
        if holder is not None and (table.resolve(name), holder) != (spec.name, owner):
            raise UsageError(f"the {what} name {name} is taken by {holder}; register under another name")


def _claim(table: NameTable, spec: EngineSpec | AlgorithmSpec, owner: str) -> None:
    table.release(spec.name)
    for name in _names(spec):
        table.claim(Claim(name=name, target=spec.name, owner=owner))


def _check_importable(spec: EngineSpec | AlgorithmSpec) -> None:
    try:
        load_target(spec.target)
    except BaseException as exc:
        raise UsageError(
            f"the target {spec.target} of {spec.name} cannot be imported: {one_line(fault_of(exc))}; "
            "name a module that can be, and a class in it"
        ) from exc
