"""Why something cannot run here: None, or a reason that ends with the remedy.

The stages, in order: what the metadata require, against what is installed (nothing is imported); the target's
package on the path; and only on use, the target's import and the engine's probe.
"""

from __future__ import annotations

from collections.abc import Iterable

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from llada_core.errors import one_line
from llada_core.imports import load_target, target_is_findable
from llada_core.plugins.installed import Installed, Package

__all__ = ["core_mismatch", "import_failure", "missing_requirement", "probe_failure", "unfindable"]

_CORE = "llada-core"
_OURS = "llada-"  # the only distributions whose own requirements are walked


def core_mismatch(package: Package, installed: Installed) -> str | None:
    """Why ``package`` does not go with the running llada-core, or None."""
    running = installed.find(_CORE)
    for text in package.requires if running is not None else ():
        requirement = _parsed(text, ("",))
        if requirement is not None and canonicalize_name(requirement.name) == _CORE:
            reason = _unmet(requirement, package.name, installed)
            if reason is not None:
                return reason
    return None


def missing_requirement(owner: str, requires: Iterable[str], installed: Installed) -> str | None:
    """What is missing of the requirements ``requires`` of ``owner``, or None; the first that is found.

    Markers are evaluated and extras that nobody asks for are skipped. Requirements of ``llada-*``
    distributions are walked too, so that a part which is missing at the bottom is told at the top.
    """
    return _walk(owner, tuple(requires), ("",), installed, set())


def unfindable(target: str, owner: str) -> str | None:
    """Why ``"module:attr"`` cannot be there, or None; looks at its top-level package only, importing
    nothing."""
    if target_is_findable(target):
        return None
    package = target.partition(":")[0].partition(".")[0]
    return f"the package {package} of {target} is not found; pip install --force-reinstall {owner}"


def import_failure(target: str, owner: str) -> str | None:
    """Why importing ``"module:attr"`` fails, or None once it is imported."""
    try:
        load_target(target)
    except (Exception, SystemExit) as exc:
        return f"importing {target} failed: {one_line(exc)}; mend that, or upgrade {owner}"
    return None


def probe_failure(probe: str | None, owner: str) -> str | None:
    """What the engine's probe finds wrong with this machine, or None."""
    if probe is None:
        return None
    try:
        reason = load_target(probe)()
    except (Exception, SystemExit) as exc:
        return f"its probe {probe} failed: {one_line(exc)}; mend that, or upgrade {owner}"
    return None if reason is None else str(reason)


def _walk(
    owner: str, requires: tuple[str, ...], extras: tuple[str, ...], installed: Installed, seen: set[str]
) -> str | None:
    for text in requires:
        requirement = _parsed(text, extras)
        if requirement is None:
            continue
        reason = _unmet(requirement, owner, installed) or _below(requirement, installed, seen)
        if reason is not None:
            return reason
    return None


def _below(requirement: Requirement, installed: Installed, seen: set[str]) -> str | None:
    """What is missing of the requirements of a ``llada-*`` distribution that is itself there."""
    name = canonicalize_name(requirement.name)
    package = installed.find(name)
    if package is None or not name.startswith(_OURS) or name in seen:
        return None
    seen.add(name)
    return _walk(package.name, package.requires, ("", *sorted(requirement.extras)), installed, seen)


def _parsed(text: str, extras: tuple[str, ...]) -> Requirement | None:
    """The requirement, or None where it cannot be read or its marker does not apply here."""
    try:
        requirement = Requirement(text)
    except InvalidRequirement:  # pip installed it regardless
        return None
    marker = requirement.marker
    return (
        requirement if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras) else None
    )


def _unmet(requirement: Requirement, owner: str, installed: Installed) -> str | None:
    wanted = f"{requirement.name}{requirement.specifier}"
    package = installed.find(requirement.name)
    if package is None:
        return f"{owner} needs {wanted}, which is not installed; pip install '{wanted}'"
    if _satisfies(package.version, requirement):
        return None
    return f"{owner} needs {wanted}, and {package.version} is installed; pip install '{wanted}'"


def _satisfies(version: str, requirement: Requirement) -> bool:
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:  # a version that cannot be compared is not held against the package
        return True
