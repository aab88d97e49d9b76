"""Why something cannot run here: None, or a reason that ends with the remedy.

The stages, in order: what the metadata require, against what is installed (nothing is imported); the modules
of the target, looked for without an import; and only on use, the target's import and the engine's probe.
"""

from __future__ import annotations

import functools
import reprlib
from collections.abc import Iterable, Iterator

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from llada_core.faults import fault_of, one_line
from llada_core.imports import load_target, missing_module
from llada_core.plugins.installed import Installed, Package

__all__ = [
    "core_mismatch",
    "import_failure",
    "missing_requirement",
    "missing_wheel",
    "probe_failure",
    "remedy_of",
    "unfindable",
]

_CORE = "llada-core"
_OURS = (
    "llada-"  # the only distributions whose own requirements are walked, besides extras that are asked for
)
_MODULES = "llada_"  # what they are imported as
_Seen = set[tuple[str, frozenset[str]]]


def core_mismatch(package: Package, installed: Installed) -> str | None:
    """Why ``package`` does not go with the running llada-core, or None."""
    running = installed.find(_CORE)
    for text in package.requires if running is not None else ():
        requirement = _parsed(text)
        if requirement is not None and canonicalize_name(requirement.name) == _CORE:
            reason = _unmet(requirement, package.name, installed)
            if reason is not None:
                return reason
    return None


def missing_requirement(owner: str, requires: Iterable[str], installed: Installed) -> str | None:
    """What is missing of the requirements ``requires`` of ``owner``, or None; the first that is found.

    Markers are evaluated and extras that nobody asks for are skipped. Requirements of ``llada-*``
    distributions are walked too, so that a part which is missing at the bottom is told at the top; of others,
    what the extras bring that are asked for.
    """
    return _first_unmet(owner, filter(None, map(_parsed, requires)), installed, set())


def unfindable(target: str, owner: str) -> str | None:
    """Why ``"module:attr"`` cannot be there, or None where its modules are, as far as that can be told
    without importing any of them."""
    missing = missing_module(target)
    if missing is None:
        return None
    if missing.startswith(_MODULES) and canonicalize_name(missing) != canonicalize_name(owner):
        return f"the module {missing} of {target} is not found; pip install {canonicalize_name(missing)}"
    return f"the module {missing} of {target} is not found; pip install --force-reinstall {owner}"


def remedy_of(exc: BaseException, target: str, owner: str, *, otherwise: str) -> str:
    """What to do where importing ``"module:attr"`` of ``owner`` raised ``exc``: install the module of others
    that is missing, or else ``otherwise``."""
    missing = (exc.name or "").partition(".")[0] if isinstance(exc, ModuleNotFoundError) else ""
    if not missing or missing == target.partition(":")[0].partition(".")[0]:
        return otherwise
    if missing.startswith(_MODULES):
        return f"pip install {canonicalize_name(missing)}"
    return f"pip install {owner}, which installs all that it needs"


def missing_wheel(exc: BaseException, owner: str) -> str | None:
    """The distribution of ours, other than ``owner``, whose module an import did not find; or None."""
    module = (exc.name or "").partition(".")[0] if isinstance(exc, ModuleNotFoundError) else ""
    wheel = canonicalize_name(module)
    return wheel if module.startswith(_MODULES) and wheel != canonicalize_name(owner) else None


def import_failure(target: str, owner: str) -> str | None:
    """Why importing ``"module:attr"`` fails, or None once it is imported."""
    try:
        load_target(target)
    except BaseException as exc:  # a module may raise anything
        remedy = remedy_of(exc, target, owner, otherwise=f"mend that, or upgrade {owner}")
        told = f"importing {target} failed: {one_line(fault_of(exc))}; {remedy}"
        return unfindable(target, owner) or told
    return None


def probe_failure(probe: str, owner: str) -> str | None:
    """What the engine's probe finds wrong with this machine, or None."""
    try:
        reason = load_target(probe)()
        shown = reprlib.repr(reason)
    except BaseException as exc:  # a probe may raise anything
        remedy = remedy_of(exc, probe, owner, otherwise=f"mend that, or upgrade {owner}")
        told = f"its probe {probe} failed: {one_line(fault_of(exc))}; {remedy}"
        return unfindable(probe, owner) or told
    if reason is None or (isinstance(reason, str) and reason.strip()):
        return reason
    return f"its probe {probe} returned {shown}, which is neither None nor a reason; upgrade {owner}"


def _first_unmet(
    owner: str, requirements: Iterable[Requirement], installed: Installed, seen: _Seen
) -> str | None:
    for requirement in requirements:
        reason = _unmet(requirement, owner, installed) or _below(requirement, installed, seen)
        if reason is not None:
            return reason
    return None


def _below(requirement: Requirement, installed: Installed, seen: _Seen) -> str | None:
    """What is missing of the requirements of a distribution that is itself there."""
    name, extras = canonicalize_name(requirement.name), frozenset(requirement.extras)
    walked = extras or name.startswith(_OURS)
    package = installed.find(name) if walked and (name, extras) not in seen else None
    if package is None:
        return None
    seen.add((name, extras))
    return _first_unmet(package.name, _asked_of(package, name, extras), installed, seen)


def _asked_of(package: Package, name: str, extras: frozenset[str]) -> Iterator[Requirement]:
    """The requirements of ``package`` that are walked: of ours all, of others what the extras bring."""
    for text in package.requires:
        plain = _parsed(text)
        if plain is not None and name.startswith(_OURS):
            yield plain
        elif plain is None and (brought := _parsed(text, *sorted(extras))) is not None:
            yield brought


@functools.lru_cache(maxsize=1024)  # the same few are asked for with every question about an algorithm
def _parsed(text: str, *extras: str) -> Requirement | None:
    """The requirement, or None where it cannot be read or its marker does not apply here."""
    try:
        requirement = Requirement(text)
        marker = requirement.marker
        applies = marker is None or any(marker.evaluate({"extra": extra}) for extra in extras or ("",))
    except (ValueError, KeyError):  # pip installed it regardless
        return None
    return requirement if applies else None


def _unmet(requirement: Requirement, owner: str, installed: Installed) -> str | None:
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    place = f" @ {requirement.url}" if requirement.url else requirement.specifier
    wanted = f"{requirement.name}{extras}{place}"
    package = installed.find(requirement.name)
    if package is None:
        return f"{owner} needs {wanted}, which is not installed; pip install '{wanted}'"
    if _satisfies(package.version, requirement):
        return None
    there = f"{owner} needs {wanted}, and {package.version} is installed"
    if _is_past(package.version, requirement):
        return f"{there}; pip install --upgrade {owner}, or, if that is the newest, pip install '{wanted}'"
    return f"{there}; pip install '{wanted}'"


def _satisfies(version: str, requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:  # a version that cannot be compared is not held against the package
        return True


def _is_past(version: str, requirement: Requirement) -> bool:
    """Whether the version is newer than what is wanted, so that who wants it is what is out of date."""
    installed = Version(version)
    failed = [each for each in requirement.specifier if not each.contains(installed, prereleases=True)]
    try:
        return all(Version(each.version.removesuffix(".*")) <= installed for each in failed)
    except InvalidVersion:  # of ===, which compares text
        return False
