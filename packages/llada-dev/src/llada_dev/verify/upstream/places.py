"""Which published codes there are, and where their checkouts are on this machine. Imports no torch."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from llada_core import UsageError

__all__ = ["UPSTREAMS", "Checkout", "Upstream", "checkout_of", "upstream_of"]

_FOLDER = "3rdparty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A published code.

    Attributes:
        name: of the project, and of its folder in ``3rdparty``. url: of its repository.
        commit: what the submodule names, and our decoders reproduce.
        variable: names a checkout elsewhere.
        sources: the folders of a checkout that may hold the code, the first that exists counts.
        module: of this package, calls it. algorithms: ours that it publishes.
    """

    name: str
    url: str
    commit: str
    variable: str
    sources: tuple[str, ...]
    module: str
    algorithms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A folder with the code; ``commit`` is None where it is no repository of its own. ``changed`` is whether
    files of that commit have been edited."""

    upstream: Upstream
    path: Path
    commit: str | None
    changed: bool


UPSTREAMS = (
    Upstream(
        name="Fast-dLLM",
        url="https://github.com/NVlabs/Fast-dLLM",
        commit="a9b81e4caa240c8cad4f7dc1889ff4852a0fca5b",
        variable="LLADA_FASTDLLM_PATH",
        sources=("v1/llada", "llada"),
        module="llada_dev.verify.upstream.fast_dllm",
        algorithms=("basic", "prefix_cache", "dual_cache"),
    ),
    Upstream(
        name="dInfer",
        url="https://github.com/inclusionAI/dInfer",
        commit="fce4e32804103baa5d55230dff0352da0cdd6ceb",
        variable="LLADA_DINFER_PATH",
        sources=("python",),
        module="llada_dev.verify.upstream.dinfer",
        algorithms=("dinfer_blockwise", "dinfer_hierarchy", "dinfer_credit"),
    ),
)


def upstream_of(algorithm: str) -> Upstream | None:
    """The code that publishes the algorithm of this name; None where none does."""
    return next((each for each in UPSTREAMS if algorithm in each.algorithms), None)


def checkout_of(upstream: Upstream, environ: Mapping[str, str] | None = None) -> Checkout:
    """Where the code is: what its variable names, else ``3rdparty`` here or in a folder above.

    Raises ``UsageError`` where there is none, with how to get one.
    """
    named = (os.environ if environ is None else environ).get(upstream.variable)
    if named:
        path, remedy = Path(named).expanduser(), f"let {upstream.variable} name a checkout of {upstream.url}"
    else:
        here = Path.cwd()
        places = [folder / _FOLDER / upstream.name for folder in (here, *here.parents)]
        path = next((place for place in places if place.is_dir()), places[0])
        remedy = (
            f"git submodule update --init {_FOLDER}/{upstream.name} in a clone of this project, or let "
            f"{upstream.variable} name a checkout of {upstream.url}"
        )
    if not any((path / source).is_dir() for source in upstream.sources):
        wanted = " nor ".join(upstream.sources)
        raise UsageError(f"there is no {upstream.name} in {path}: it holds no {wanted}; {remedy}")
    commit = _commit(path.absolute())
    changed = commit is not None and _is_changed(path.absolute())
    return Checkout(upstream=upstream, path=path.absolute(), commit=commit, changed=changed)


def _commit(path: Path) -> str | None:
    """The commit that is checked out in ``path``, where that is the top of a repository."""
    told = _git(path, "rev-parse", "--show-toplevel", "HEAD")
    if told is None:
        return None
    top, _, commit = told.partition("\n")
    return commit if Path(top).resolve() == path.resolve() else None


def _is_changed(path: Path) -> bool:
    """Whether a file that git knows is other than in the commit; what git does not know is not looked at."""
    return _git(path, "status", "--porcelain", "--untracked-files=no") != ""


def _git(path: Path, *command: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(path), *command], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository: then it is not known
        return None
    return done.stdout.strip()
