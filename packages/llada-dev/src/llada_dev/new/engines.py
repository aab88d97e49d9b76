"""The engine that a new algorithm runs on, and the wheel that brings it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from packaging.version import Version

import llada_core
from llada_core import registry
from llada_core.errors import UnknownEngine, UsageError
from llada_core.plugins.specs import WheelSpec
from llada_core.registry.wheels import published

__all__ = ["Base", "base_of", "default_engine", "installed_version", "range_of"]

_MODEL_TYPE = "llada"  # of the models that the template's decoder and its tests are for


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """An engine by its name, and the distribution that brings it with the version that is here, or would
    be."""

    engine: str
    distribution: str
    version: str


def default_engine() -> str:
    """The engine of the distribution that is recommended to whoever has none."""
    known = published()
    return next(row.engine for row in known.rows if row.distribution == known.recommended)


def base_of(engine: str) -> Base:
    """The engine of this name or alias: one that is installed, or one of a wheel that is known.

    Raises ``UnknownEngine``, and ``UsageError`` for one that does not run the models of the template.
    """
    try:
        found = registry.get_engine(engine)
    except UnknownEngine:
        row = _known(engine)
        if row is None:
            raise
        _check_models(row.engine, row.model_types)
        return Base(engine=row.engine, distribution=row.distribution, version=llada_core.__version__)
    _check_models(found.name, found.spec.model_types)
    if found.distribution is None:
        raise UsageError(f"{found.name} was registered by a program; take an engine that a wheel brings")
    return Base(
        engine=found.name,
        distribution=found.distribution,
        version=installed_version(found.distribution),
    )


def _known(engine: str) -> WheelSpec | None:
    return next((row for row in registry.shared().missing_wheels() if row.engine == engine), None)


def _check_models(engine: str, model_types: tuple[str, ...]) -> None:
    if _MODEL_TYPE not in model_types:
        takes = ", ".join(model_types) or "none by their type"
        raise UsageError(
            f"the template is for engines of {_MODEL_TYPE} models, and {engine} takes {takes}; "
            f"take --engine {default_engine()}, or write the plugin by hand as docs/plugins.md tells"
        )


def installed_version(distribution: str) -> str:
    """The version of the distribution that is installed here, or else llada-core's: all of ours are released
    together."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return llada_core.__version__


def range_of(version: str) -> str:
    """The versions that what is written against ``version`` can rely on: from it up to the next that may
    break."""
    parsed = Version(version)
    beyond = f"0.{parsed.minor + 1}" if parsed.major == 0 else str(parsed.major + 1)
    return f">={parsed.public},<{beyond}"
