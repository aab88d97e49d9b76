"""Builds what a release uploads, looks at it, and tries it where nothing else is: `nox -s release_check`.

Of every package a source distribution and a wheel are built, and a second wheel from the source distribution,
which must hold the same. `twine` says whether an index can show them. Then they are installed into an empty
environment in the order of dependence, and the blocks of the README run there.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from packages import ROOT, in_order, projects

BLOCK = re.compile(r"^```(sh|python) testable\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
Archives = dict[str, tuple[Path, Path]]
"""Source distribution and wheel of each package, in the order of dependence."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, help="keep the archives there, in a folder for each package")
    parser.add_argument("--tag", help="the tag of the release, which must be v and the packages' version")
    options = parser.parse_args()
    order = in_order(projects())
    check_version(options.tag)
    check_out(options.out)
    with tempfile.TemporaryDirectory(prefix="llada-release-") as folder:
        place = Path(folder)
        archives = {name: build(name, place / "dist" / name) for name in order}
        for name, pair in archives.items():
            check_rebuilt(name, *pair, place / "again" / name)
        run("-m", "twine", "check", "--strict", *(str(path) for pair in archives.values() for path in pair))
        python = install(archives, place / "venv")
        run_readme(python, place / "elsewhere")
        if options.out:
            keep(archives, options.out)
    print(f"checked: {', '.join(order)}")


def run(*arguments: str, python: str = sys.executable, cwd: Path | None = None) -> None:
    """Run a module or program, free of what the caller's environment would add; end where it fails."""
    if subprocess.run([python, *arguments], cwd=cwd, env=clean()).returncode:
        sys.exit(f"release_check: failed: python {' '.join(arguments)}")


def clean() -> dict[str, str]:
    """The environment without the checkout and without the caller's settings of llada."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LLADA_", "PYTHON"))}
    return {**kept, "OMP_NUM_THREADS": "1"}


def check_version(tag: str | None) -> None:
    """Refuse packages of several versions, and a tag of another one."""
    versions = {str(project["version"]) for project in projects().values()}
    if len(versions) > 1:
        sys.exit(f"release_check: versions {sorted(versions)}; give all packages the same")
    (version,) = versions
    if tag is not None and tag != f"v{version}":
        sys.exit(f"release_check: the tag {tag} is not v{version}, the version of the packages")


def check_out(out: Path | None) -> None:
    """Make the folder that the archives are kept in, or refuse it before anything is built."""
    if out is None:
        return
    try:
        out.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out).close()
    except OSError as exc:
        sys.exit(f"release_check: --out {out} cannot be written ({exc.strerror}); give another folder")


def build(name: str, out: Path) -> tuple[Path, Path]:
    """The source distribution and the wheel of a package, both built from the checkout."""
    source = str(ROOT / "packages" / name)
    run("-m", "build", "--no-isolation", "--sdist", "--wheel", "--outdir", str(out), source)
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    return sdist, wheel


def check_rebuilt(name: str, sdist: Path, wheel: Path, place: Path) -> None:
    """Refuse a source distribution of which another wheel is made than of the checkout."""
    with tarfile.open(sdist) as archive:
        archive.extraction_filter = getattr(tarfile, "data_filter", None)  # Python 3.11.0 to 3.11.3 have none
        archive.extractall(place)
    (source,) = place.iterdir()
    run("-m", "build", "--no-isolation", "--wheel", "--outdir", str(place / "dist"), str(source))
    (again,) = (place / "dist").glob("*.whl")
    first, second = contents(wheel), contents(again)
    different = sorted(path for path in first | second if first.get(path) != second.get(path))
    if different:
        sys.exit(f"release_check: {name}: the wheel from its source distribution differs in {different}")


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def install(archives: Archives, place: Path) -> Path:
    """The interpreter of an empty environment into which the wheels went one by one.

    Of ours, pip may bring nothing along: a package whose dependency is not there yet is out of order.
    """
    venv.create(place, with_pip=False)
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    pip = ["-m", "pip", "--python", str(python)]
    done: list[str] = []
    for name, (_, wheel) in archives.items():
        run(*pip, "install", "--quiet", "-c", str(ROOT / "constraints.txt"), str(wheel))
        done.append(name)
        there = ours_in(place)
        if there != set(done):
            sys.exit(f"release_check: {name} brought {sorted(there - set(done))} along, which comes later")
    run(*pip, "check")
    return python


def ours_in(place: Path) -> set[str]:
    found = (path.name.partition("-")[0] for path in place.rglob("llada_*.dist-info"))
    return {name.replace("_", "-") for name in found}


def run_readme(python: Path, place: Path) -> None:
    """Run the blocks of the README that are marked ``testable`` with what was installed."""
    place.mkdir()
    blocks = BLOCK.findall((ROOT / "README.md").read_text())
    if not blocks:
        sys.exit("release_check: README.md has no testable block, and so no quick start")
    env = {**clean(), "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}"}
    for language, text in blocks:
        command = [str(python), "-c", text] if language == "python" else ["sh", "-euc", text]
        if subprocess.run(command, cwd=place, env=env).returncode:
            sys.exit(f"release_check: this block of README.md failed:\n{text}")


def keep(archives: Mapping[str, Iterable[Path]], out: Path) -> None:
    """Copy the archives, in a folder for each package, as uploads go package by package."""
    for name, paths in archives.items():
        (out / name).mkdir(parents=True, exist_ok=True)
        for path in paths:
            shutil.copy2(path, out / name)


if __name__ == "__main__":
    main()
