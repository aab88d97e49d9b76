"""What a new plugin may be called: no name that is taken here, and none that an index or Python refuses."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
import unicodedata
from importlib import metadata

from packaging.utils import canonicalize_name

from llada_core import registry
from llada_core.errors import UnknownAlgorithm, UsageError
from llada_core.registry.wheels import published

__all__ = ["algorithm_named", "check_algorithm", "check_distribution", "class_of", "module_of"]

_DISTRIBUTION = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")  # as indexes write names
_ALGORITHM = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_PREFIX = "llada-"
_LONGEST = 40  # letters, so that lines of the template stay lines


def module_of(distribution: str) -> str:
    """The import package of a distribution."""
    return distribution.replace("-", "_")


def algorithm_named(distribution: str) -> str:
    """What the algorithm of a distribution is called where nobody says: its name without ``llada-``."""
    return module_of(distribution.removeprefix(_PREFIX))


def class_of(algorithm: str) -> str:
    """An algorithm's name as classes are written: ``my_decoder`` is ``MyDecoder``."""
    return "".join(word.capitalize() for word in algorithm.split("_"))


def check_distribution(name: str) -> None:
    """Refuse what can be no distribution's name, or is one's already. Raises ``UsageError``."""
    if not _DISTRIBUTION.fullmatch(name):
        plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
        meant = canonicalize_name(re.sub(r"[^A-Za-z0-9]+", "-", plain)).strip("-") or "my-decoder"
        raise UsageError(
            f"{name!r} is no name for a distribution, which has small letters, digits and single hyphens; "
            f"take {meant}"
        )
    _check_length(name)
    if name in published().distributions:
        raise UsageError(
            f"{name} is the name of a distribution of llada itself, which the new one would be taken for; "
            "take another name"
        )
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        _check_module(name)
    else:
        raise UsageError(
            f"a distribution {name} is installed ({version}), and the new one would take its place; "
            f"take another name, or pip uninstall {name}"
        )


def _check_length(name: str) -> None:
    if len(name) > _LONGEST:
        raise UsageError(f"{name} has {len(name)} letters; take a name of at most {_LONGEST}")


def _check_module(name: str) -> None:
    module = module_of(name)
    advice = f"take another name, such as {_PREFIX}{name.removeprefix(_PREFIX)}"
    if not module.isidentifier() or keyword.iskeyword(module):
        raise UsageError(f"Python cannot import a package called {module}; {advice}")
    if module in sys.stdlib_module_names or _is_module(module):
        raise UsageError(f"there is a module {module}, which the new package would hide; {advice}")


def _is_module(name: str) -> bool:
    """Whether a module of this name can be imported; a mere folder is none."""
    found = importlib.util.find_spec(name)
    return found is not None and found.origin is not None


def check_algorithm(name: str) -> None:
    """Refuse what can be no algorithm's name, or stands for one already. Raises ``UsageError``."""
    if not _ALGORITHM.fullmatch(name):
        meant = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_0123456789") or "my_decoder"
        raise UsageError(
            f"{name!r} is no name for an algorithm, which begins with a letter and has small letters, "
            f"digits and single underscores; give --algorithm {meant}"
        )
    _check_length(name)
    try:
        taken = registry.get_algorithm_info(name)
    except UnknownAlgorithm:
        _check_not_elsewhere(name)
        return
    owner = taken.distribution or "this program"
    called = "an algorithm" if taken.name == name else f"an alias of {taken.name}"
    raise UsageError(f"{name} is {called} of {owner} already; give --algorithm another name")


def _check_not_elsewhere(name: str) -> None:
    """Refuse what is one of an engine that is known and not installed: where both are, one is dropped."""
    for row in registry.shared().missing_wheels():
        if name in row.algorithms:
            raise UsageError(
                f"{name} is an algorithm of {row.distribution}, which is not installed here; give "
                "--algorithm another name"
            )
