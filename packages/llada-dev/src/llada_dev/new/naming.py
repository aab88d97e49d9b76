"""What a new plugin may be called: no name that is taken here, and none that an index or Python refuses."""

from __future__ import annotations

import importlib.util
import keyword
import re
import sys
from importlib import metadata

from packaging.utils import canonicalize_name

from llada_core import registry
from llada_core.errors import UnknownAlgorithm, UsageError

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
        meant = canonicalize_name(re.sub(r"[^A-Za-z0-9]+", "-", name)).strip("-") or "my-decoder"
        raise UsageError(
            f"{name!r} is no name for a distribution, which has small letters, digits and single hyphens; "
            f"take {meant}"
        )
    _check_length(name)
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
        return
    owner = taken.distribution or "this program"
    called = "an algorithm" if taken.name == name else f"an alias of {taken.name}"
    raise UsageError(f"{name} is {called} of {owner} already; give --algorithm another name")
