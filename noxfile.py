"""Orchestration: what is checked, and where. ``.venv/bin/nox --list`` shows the sessions.

Sessions that only need the development environment run in it (``venv_backend="none"``), so that torch is
installed once. ``wheels`` and ``core_alone`` make fresh environments outside the tree, because what they
show is that the built wheels work where the checkout does not exist. ``site``, ``release_check`` and ``fuzz``
install their tools into environments of their own.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import nox

ROOT = Path(__file__).parent
# By its path, as nox puts nothing that lies beside this file where Python imports from.
PROJECTS: dict[str, Mapping[str, Any]] = runpy.run_path(str(ROOT / "tools" / "packages.py"))["projects"]()
EXAMPLES = sorted(path.parent for path in ROOT.glob("examples/*/pyproject.toml"))
PLUGINS = [name for name, project in PROJECTS.items() if "llada.engines" in project.get("entry-points", {})]
# Folders of tests that an engine's wheel must pass besides tests/<its short name>.
MORE_TESTS = {"llada-decoders": ["parity"], "llada-dinfer": ["parity"], "llada-fastdllm": ["parity"]}
# Engines for other models than llada-tiny's: the tests of such an engine generate on models of their own.
OTHER_MODELS = {"llada-diffusiongemma", "llada-dream", "llada-llada2", "llada-nemotron", "llada-sdar"}
# What the tests of a plugin need besides the plugin. One that brings no engine needs one.
TEST_TOOLS = ["pytest", "pytest-timeout", "pytest-xdist", "hypothesis", "llada-tiny"]
MORE_TOOLS = {
    "llada-dev": ["llada-fastdllm", "llada-dinfer", "llada-nemotron", "ruff"],
    "llada-eval": ["llada-fastdllm", "llada-server", "llada-tiny-long", "httpx", "tenacity"],
    "llada-server": ["llada-fastdllm", "llada-dinfer", "llada-nemotron", "httpx", "openai"],
}
# As `make test` runs them.
TWO_AT_A_TIME = ["--numprocesses", "2", "--dist", "loadgroup"]
# What somebody has who is about to write a decoder. The engine comes with what `llada new` makes.
STRANGERS = ["llada-dev", "llada-server", "llada-tiny", "pip", "tox"]
# Where upstream checkouts are, and the option of cpu_vs_upstream.py that takes each.
UPSTREAM = {"LLADA_FASTDLLM_PATH": "--fastdllm", "LLADA_DINFER_PATH": "--dinfer"}
# The checkout and the caller's settings must not leak into a fresh environment. There bytecode is written.
CLEAN: dict[str, str | None] = {
    "OMP_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": None,
    "PYTHONPATH": None,
    **dict.fromkeys((name for name in os.environ if name.startswith("LLADA_")), None),
}

nox.needs_version = ">=2025.2.9"
# CI runs `template`, `examples` and `release_check` besides, and `make test` holds `docs`.
nox.options.sessions = ["lint", "types", "layers", "core_alone", "wheels", "site"]


def in_dev_environment(session: nox.Session, module: str, *arguments: str) -> None:
    """Run a module with the interpreter that runs nox, which is the one of ``.venv``."""
    session.run(sys.executable, "-m", module, *arguments, env={"OMP_NUM_THREADS": "1"}, external=True)


@nox.session(venv_backend="none")
def tests(session: nox.Session) -> None:
    """Run the whole test suite, slow ones too; arguments after ``--`` go to pytest."""
    in_dev_environment(session, "pytest", *TWO_AT_A_TIME, *session.posargs)


@nox.session(venv_backend="none")
def thorough(session: nox.Session) -> None:
    """Run the slow tests with all of their random cases, of which `make test-slow` takes a fifth."""
    arguments = ["-m", "pytest", *TWO_AT_A_TIME, "-m", "slow", *session.posargs]
    env = {"OMP_NUM_THREADS": "1", "LLADA_TEST_CASES": "all"}
    session.run(sys.executable, *arguments, env=env, external=True)


@nox.session(venv_backend="none")
def lint(session: nox.Session) -> None:
    """Check rules and formatting with ruff."""
    in_dev_environment(session, "ruff", "check", ".")
    in_dev_environment(session, "ruff", "format", "--check", ".")


@nox.session(venv_backend="none")
def types(session: nox.Session) -> None:
    """Check types with mypy: how strictly for which package, pyproject.toml says."""
    sources = [*ROOT.glob("packages/*/src"), *ROOT.glob("examples/*/src")]
    in_dev_environment(session, "mypy", *map(str, sorted(sources)))
    in_dev_environment(session, "mypy", "noxfile.py", *map(str, sorted(ROOT.glob("tools/*.py"))))


@nox.session(venv_backend="none")
def layers(session: nox.Session) -> None:
    """Check who imports whom with import-linter: between packages, then inside them (annotations count)."""
    program = str(Path(sys.executable).with_name("lint-imports"))
    session.run(program, external=True)
    session.run(program, "--config", "layers.toml", external=True)


@nox.session(venv_backend="none")
def docs(session: nox.Session) -> None:
    """Run the examples of the documentation, resolve its links, look for every hook and parameter."""
    in_dev_environment(session, "pytest", "tests/docs", *session.posargs)


@nox.session(venv_backend="venv", reuse_venv=True)
def site(session: nox.Session) -> None:
    """Build the site of the documentation into docs/_build/html and follow its links; a warning is an error.

    Its tools have an environment of their own; what they document comes from the development environment.
    """
    session.install("-c", "constraints.txt", "-r", "docs/requirements.txt", env=CLEAN)
    documented = [sysconfig.get_path("purelib"), *map(str, sorted(ROOT.glob("packages/*/src")))]
    strict = ["--fail-on-warning", "--keep-going", "--nitpicky", "--fresh-env"]
    session.run(
        *["python", "-m", "sphinx", *strict, "--doctree-dir", "docs/_build/doctrees"],
        *["--builder", "html", "docs", "docs/_build/html"],
        env={**CLEAN, "PYTHONPATH": os.pathsep.join(documented)},
    )
    session.run("python", "tools/check_site.py", "docs/_build/html", env=CLEAN)


@nox.session(venv_backend="venv", reuse_venv=True)
def release_check(session: nox.Session) -> None:
    """Build what a release uploads, try it alone, run the README with it; ``-- --out dist`` keeps it."""
    session.install("-c", "constraints.txt", "build", "hatchling", "twine", env=CLEAN)
    session.run("python", "tools/release_check.py", *session.posargs, env=CLEAN)


@nox.session(venv_backend="venv")
def fuzz(session: nox.Session) -> None:
    """Ask the server whatever its OpenAPI document allows, and more; arguments after ``--`` go to ``st run``.

    No status of the 500s, and nothing that the document does not tell. ``--seed 1`` repeats a run.
    """
    session.install("schemathesis>=4.20,<5", env=CLEAN)  # 5 may name its checks in other ways
    checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
    bounds = ["--max-examples", "8", "--phases", "examples,coverage,fuzzing", "--max-time", "150"]
    with small_server(session) as url:
        session.run(
            *["st", "run", f"{url}/openapi.json", "--wait-for-schema", "60", "--checks", checks],
            *["--continue-on-failure", *bounds, *session.posargs],
            env={**CLEAN, "SCHEMATHESIS_HOOKS": "tests.server.fuzzing"},
        )


@contextmanager
def small_server(session: nox.Session) -> Iterator[str]:
    """The address of a server of the small model, which is to end by itself when asked to."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    command = [sys.executable, "-m", "llada_server", "--port", port, "--max-model-len", "256"]
    server = subprocess.Popen(
        [*command, "--log-level", "warning"], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        if server.wait(60) != 0:
            session.error(f"the server ended with status {server.returncode}")


@nox.session(venv_backend="none")
def bench(session: nox.Session) -> None:
    """Run the benchmarks of a CPU; arguments after ``--`` go to evaluate.py (``-n 50`` for a quick look)."""
    benchmark(session, "cli_startup")
    benchmark(session, "joins_and_leaves")
    benchmark(session, "evaluate", *session.posargs)
    checkouts = [
        word for name in UPSTREAM if name in os.environ for word in (UPSTREAM[name], os.environ[name])
    ]
    if checkouts:
        benchmark(session, "cpu_vs_upstream", *checkouts)
    else:
        session.warn(
            f"no comparison with upstream: {' and '.join(UPSTREAM)} are not set, see 3rdparty/README.md"
        )


def benchmark(session: nox.Session, name: str, *arguments: str) -> None:
    program = str(ROOT / "benchmarks" / f"{name}.py")
    session.run(sys.executable, program, *arguments, env={"OMP_NUM_THREADS": "1"}, external=True)


@nox.session(venv_backend="none")
def wheels(session: nox.Session) -> None:
    """Build all packages, test each plugin's wheel in an environment of its own; names after ``--`` choose.

    Of its tests those run that are marked ``alone``: that the others pass, ``make test`` has shown.
    """
    with outside_the_tree(session) as place:
        wheel_paths = build(session, packages(PROJECTS), place / "dist")
        others = of_others(session, wheel_paths, place / "others")
        for plugin in session.posargs or PLUGINS:
            check_plugin(session, plugin, wheel_paths, others, place / plugin)


@nox.session(venv_backend="none")
def core_alone(session: nox.Session) -> None:
    """Show that llada-core without torch and without an engine runs every command but generation."""
    with outside_the_tree(session) as place:
        wheel_paths = build(session, packages(["llada-core"]), place / "dist")
        python = fresh_environment(session, place / "venv")
        install(session, python, wheel_paths, str(wheel_paths["llada-core"]))
        session.run(str(python), "-I", str(ROOT / "tests/isolation/core_alone.py"), external=True, env=CLEAN)


@nox.session(venv_backend="none")
def template(session: nox.Session) -> None:
    """Walk a stranger's path from the built wheels: ``llada new``, then install, run, serve and test that."""
    with outside_the_tree(session) as place:
        wheel_paths = build(session, packages(PROJECTS), place / "dist")
        python = fresh_environment(session, place / "venv")
        install(session, python, wheel_paths, *STRANGERS)
        links = filter(None, [str(place / "dist"), os.environ.get("PIP_FIND_LINKS")])
        env = {
            **CLEAN,
            "PIP_FIND_LINKS": " ".join(links),
            "PIP_CONSTRAINT": " ".join(map(str, constraints(python))),
        }
        with session.chdir(place):
            program = str(ROOT / "tests" / "isolation" / "stranger.py")
            session.run(str(python), "-I", program, external=True, env=env)


@nox.session(venv_backend="none")
def examples(session: nox.Session) -> None:
    """Test each example's wheel in a fresh environment beside what it asks for; names after ``--`` choose."""
    with outside_the_tree(session) as place:
        wheel_paths = build(session, packages(PROJECTS), place / "dist")
        own = build(session, EXAMPLES, place / "dist")
        for example in session.posargs or own:
            path = own[example]
            python = fresh_environment(session, place / example / "venv")
            install(session, python, wheel_paths, f"{example}[test] @ {path.as_uri()}")
            pip(session, python, "check")
            shutil.copytree(ROOT / "examples" / example / "tests", place / example / "tests")
            shutil.copy(ROOT / "examples" / example / "pyproject.toml", place / example)
            with session.chdir(place / example):
                session.run(str(python), "-m", "pytest", external=True, env=CLEAN)


def of_others(session: nox.Session, wheel_paths: Mapping[str, Path], place: Path) -> Path:
    """A folder of packages: all that llada-runtime and the tools of tests require, and nothing of ours.

    Every plugin is tested beside the runtime, so each environment would have these. What else a plugin
    requires, and whatever is ours, its own environment has or it is missing.
    """
    python = fresh_environment(session, place)
    install(session, python, wheel_paths, "llada-runtime", *TEST_TOOLS)
    (folder,) = place.glob("lib/python*/site-packages")
    ours = [name for name in PROJECTS if any(folder.glob(f"{name.replace('-', '_')}-*.dist-info"))]
    pip(session, python, "uninstall", "--quiet", "--yes", *ours)
    return folder


def check_plugin(
    session: nox.Session, plugin: str, wheel_paths: Mapping[str, Path], others: Path, place: Path
) -> None:
    """Install one plugin's wheel by path, then run its tests and the CLI away from the checkout."""
    python = fresh_environment(session, place / "venv")
    (own,) = place.glob("venv/lib/python*/site-packages")
    (own / "others.pth").write_text(f"{others}\n")
    install(session, python, wheel_paths, str(wheel_paths[plugin]))
    pip(session, python, "check")
    install(session, python, wheel_paths, *TEST_TOOLS, *MORE_TOOLS.get(plugin, []))
    copy_tests(plugin, place)
    with session.chdir(place):
        check_algorithms(session, python)
        session.run(
            *[str(python), "-m", "pytest", *TWO_AT_A_TIME, "tests", "-m", "alone and not slow"],
            external=True,
            env=CLEAN,
        )
        if plugin not in OTHER_MODELS:  # the small model works from its wheel, too
            llada = str(python.with_name("llada"))
            session.run(llada, "generate", "What is 2 + 3?", external=True, env=CLEAN)
            session.run(llada, "bench", "--tasks", "1", "--repeats", "1", external=True, env=CLEAN)


def check_algorithms(session: nox.Session, python: Path) -> None:
    """Algorithms are listed, and each can run."""
    llada = str(python.with_name("llada"))
    printed = session.run(llada, "algorithms", "--json", external=True, env=CLEAN, silent=True)
    reasons = {algorithm["name"]: algorithm["reason"] for algorithm in json.loads(str(printed))}
    session.log(f"llada algorithms: {reasons}")
    if not reasons or any(reasons.values()):
        session.error("every algorithm should be listed and available")


def copy_tests(plugin: str, place: Path) -> None:
    """The plugin's tests, what they share with others, and pytest's settings."""
    for folder in ["support", plugin.removeprefix("llada-"), *MORE_TESTS.get(plugin, [])]:
        shutil.copytree(ROOT / "tests" / folder, place / "tests" / folder)
    for file in ("__init__.py", "conftest.py"):
        shutil.copy(ROOT / "tests" / file, place / "tests")
    shutil.copy(ROOT / "pyproject.toml", place)  # pytest's settings


def packages(names: Iterable[str]) -> list[Path]:
    """The folders of these packages."""
    return [ROOT / "packages" / name for name in names]


def build(session: nox.Session, folders: Iterable[Path], out: Path) -> dict[str, Path]:
    """Wheels of the distributions in these folders by name, each built from its own source distribution."""
    for folder in folders:
        in_dev_environment(session, "build", "--no-isolation", "--outdir", str(out), str(folder))
    return {folder.name: next(out.glob(f"{folder.name.replace('-', '_')}-*.whl")) for folder in folders}


def fresh_environment(session: nox.Session, folder: Path) -> Path:
    """The interpreter of a new virtual environment with nothing in it."""
    in_dev_environment(session, "venv", "--without-pip", str(folder))
    return folder / "bin" / "python"


def install(session: nox.Session, python: Path, wheel_paths: Mapping[str, Path], *what: str) -> None:
    """Install under the constraints; any package of ours can only be the wheel that was just built.

    Nothing is compiled: most of torch and transformers is never imported, and Python writes the bytecode of
    what is.
    """
    pins, ours = constraints(python)
    ours.write_text("".join(f"{name} @ {path.as_uri()}\n" for name, path in wheel_paths.items()))
    pip(session, python, "install", "--quiet", "--no-compile", "-c", str(pins), "-c", str(ours), *what)


def constraints(python: Path) -> tuple[Path, Path]:
    """What an environment is installed under: the pins of this repository, and the wheels that were built."""
    return ROOT / "constraints.txt", python.parent.parent.with_suffix(".constraints")


def pip(session: nox.Session, python: Path, *arguments: str) -> None:
    in_dev_environment(session, "pip", "--python", str(python), *arguments)


@contextmanager
def outside_the_tree(session: nox.Session) -> Iterator[Path]:
    """A folder outside the checkout that is gone afterwards."""
    place = Path(tempfile.mkdtemp(prefix="llada-"))
    session.log(f"working in {place}")
    try:
        yield place
    finally:
        shutil.rmtree(place)
