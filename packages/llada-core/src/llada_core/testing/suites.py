"""What ``llada check NAME`` and the plugin of pytest check: the suites of a distribution, an engine or an
algorithm by its name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

from llada_core import registry
from llada_core.checkpoints.hub import read_config
from llada_core.errors import ModelNotFound, ParameterError, UnknownAlgorithm, UnknownEngine, UsageError
from llada_core.faults import fault_of
from llada_core.names import closest
from llada_core.plugins.installed import EntryPoints, Installed
from llada_core.registry.advice import advice
from llada_core.testing.checks import Suite
from llada_core.testing.conformance import algorithm_checks
from llada_core.testing.distribution import distribution_checks, offer_of
from llada_core.testing.engine import config_for, engine_checks
from llada_core.testing.subject import Given, Subject

__all__ = ["algorithm_suites", "engine_suites", "suites_of"]


def suites_of(
    name: str,
    *,
    model: str | None = None,
    params: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
) -> Iterator[Suite]:
    """The suites of what ``name`` names: an algorithm, else a distribution, else an engine; algorithms
    and engines by name or alias.

    The suites of an algorithm are those of its distribution and its own; of an engine those of its
    distribution, its own and its algorithms'; of a distribution those of all that it brings. Each is made
    when it is asked for. Raises ``UsageError`` where nothing has this name, and for ``params`` of what is no
    algorithm.
    """
    how: dict[str, Any] = {"model": model, "trust_remote_code": trust_remote_code}
    _check_there(model)
    algorithm = _algorithm_called(name)
    if algorithm is not None:
        return algorithm_suites(algorithm, params=params, **how)
    if params:
        given = next(iter(params))
        raise UsageError(f"{name} is no algorithm, and {given} is a parameter of one; leave it out")
    offer = offer_of(name)
    if offer is not None:
        return _of_distribution(offer, **how)
    engine = _engine_called(name)
    if engine is not None:
        return engine_suites(engine, **how)
    raise _unknown(name)


def algorithm_suites(
    algorithm: Given,
    *,
    model: Any = None,
    params: Mapping[str, Any] | None = None,
    trust_remote_code: bool = False,
) -> Iterator[Suite]:
    """The suite of the distribution that an algorithm came with, if it did, and its own."""
    subject = Subject(algorithm, model=model, params=params, trust_remote_code=trust_remote_code)
    _check_taken(subject)
    info = subject.info
    offer = None if info is None or info.distribution is None else offer_of(info.distribution)
    if offer is not None:
        yield _suite(offer, os.fspath(model) if isinstance(model, str | os.PathLike) else None)
    yield Suite(kind="algorithm", subject=subject.name, checks=tuple(algorithm_checks(subject)))


def engine_suites(name: str, *, model: str | None = None, trust_remote_code: bool = False) -> Iterator[Suite]:
    """The suite of the distribution that an engine came with, if it did, its own, and its algorithms'."""
    info = registry.get_engine(name)
    offer = None if info.distribution is None else offer_of(info.distribution)
    if offer is not None:
        yield _suite(offer, model)
    yield from _of_engine(info.name, model, trust_remote_code)


def _of_distribution(offer: EntryPoints, *, model: str | None, trust_remote_code: bool) -> Iterator[Suite]:
    own = offer.package.name
    yield _suite(offer, model)
    engines = [name for name in registry.list_engines() if registry.get_engine(name).distribution == own]
    for engine in engines:
        yield from _of_engine(engine, model, trust_remote_code, own=own)
    for name in registry.list_algorithms():
        info = registry.get_algorithm_info(name)
        if info.distribution == own and info.engine not in engines:
            yield _of_algorithm(name, model, trust_remote_code)


def _of_engine(
    name: str, model: str | None, trust_remote_code: bool, *, own: str | None = None
) -> Iterator[Suite]:
    """The suite of an engine and those of its algorithms, or of those that ``own`` brought."""
    checks = engine_checks(name, model=model, trust_remote_code=trust_remote_code)
    yield Suite(kind="engine", subject=name, checks=tuple(checks))
    for each in registry.list_algorithms_by_engine(name):
        if own is None or registry.get_algorithm_info(each).distribution == own:
            yield _of_algorithm(each, model, trust_remote_code)


def _of_algorithm(name: str, model: str | None, trust_remote_code: bool) -> Suite:
    subject = Subject(name, model=model, trust_remote_code=trust_remote_code)
    return Suite(kind="algorithm", subject=name, checks=tuple(algorithm_checks(subject)))


def _suite(offer: EntryPoints, model: str | None) -> Suite:
    own = offer.package.name
    engines = [name for name in registry.list_engines() if registry.get_engine(name).distribution == own]
    checks = tuple(distribution_checks(offer, lambda: config_for(engines, model)))
    return Suite(kind="distribution", subject=own, checks=checks)


def _check_there(model: str | None) -> None:
    """Refuse a model that is not there: no plugin is to blame for it. Raises ``UsageError``."""
    if model is None:
        return
    try:
        read_config(model)
    except ModelNotFound as exc:
        raise UsageError(f"--model: {exc}") from exc


def _check_taken(subject: Subject) -> None:
    """Refuse parameters that the algorithm does not take. Raises ``ParameterError``."""
    if not subject.params or not subject.algorithm.is_available():
        return
    try:
        subject.algorithm.validate_args(**subject.params)
    except ParameterError:
        raise
    except Exception as exc:  # a plugin's method may raise anything; that, the checks tell
        fault_of(exc)


def _algorithm_called(name: str) -> str | None:
    try:
        return registry.get_algorithm_info(name).name
    except UnknownAlgorithm:
        return None


def _engine_called(name: str) -> str | None:
    try:
        return registry.get_engine(name).name
    except UnknownEngine:
        return None


def _unknown(name: str) -> UsageError:
    lost = registry.shared().missing_algorithm(name)
    if lost is not None:
        return UsageError(lost)
    statuses = registry.plugin_statuses()
    troubled = {status.distribution for status in statuses if status.reason is not None}
    known = [each.package.name for each in Installed().plugins() if each.package.name not in troubled]
    near = closest(name, [*registry.list_algorithms(), *registry.list_engines(), *known], limit=1)
    told = advice(name, near, listing="plugins", statuses=statuses)
    return UsageError(f"no algorithm, engine or distribution with a plugin is called {name!r}; {told}")
