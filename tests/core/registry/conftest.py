"""A site of fake distributions: what a test writes is all that is installed, whatever this machine has."""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from llada_core.environment import Environment
from llada_core.plugins.installed import Installed
from llada_core.registry.registry import Registry

DECODERS = """
    from llada_core import GenerationAlgorithm

    class Echo(GenerationAlgorithm):
        def load_model_class(self):
            return dict

        def generate(self, model, prompt, **params):
            return prompt, 0
"""


@dataclass(frozen=True, slots=True)
class Site:
    """A folder on ``sys.path`` that holds distributions and their modules."""

    folder: Path

    def add(
        self,
        name: str,
        *,
        version: str = "1.0",
        requires: tuple[str, ...] = (),
        plugin: str | None = None,
        modules: Mapping[str, str] | None = None,
        entry_points: Mapping[str, str] | None = None,
    ) -> Path:
        """Install a distribution; ``plugin`` is the source of a module that its entry point names."""
        module = name.replace("-", "_")
        sources, points = dict(modules or {}), dict(entry_points or {})
        if plugin is not None:
            sources[module] = plugin
            points.setdefault(name.removeprefix("llada-"), module)
        for path, source in sources.items():
            file = self.folder.joinpath(*path.split(".")).with_suffix(".py")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(source))
        return self.add_metadata(f"{module}-{version}", name, version, requires, points)

    def add_metadata(
        self, stem: str, name: str, version: str, requires: tuple[str, ...], points: Mapping[str, str]
    ) -> Path:
        info = self.folder / f"{stem}.dist-info"
        info.mkdir()
        lines = [f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {line}" for line in requires)]
        (info / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n")
        if points:
            listed = "\n".join(f"{point} = {target}" for point, target in points.items())
            (info / "entry_points.txt").write_text(f"[llada.engines]\n{listed}\n")
        return info

    def add_engine(
        self,
        name: str,
        *,
        algorithms: Mapping[str, tuple[str, ...]],
        distribution: str | None = None,
        requires: tuple[str, ...] = (),
        spec_requires: tuple[str, ...] = (),
        target: str | None = None,
        **fields: object,
    ) -> None:
        """Install a distribution with one engine; ``algorithms`` are names with their aliases."""
        distribution = distribution or f"llada-{name}"
        decoders = f"{distribution.replace('-', '_')}_decoders"
        where = target or f"{decoders}:Echo"
        specs = ", ".join(
            f"AlgorithmSpec(name={algorithm!r}, engine={name!r}, target={where!r}, summary='An echo.', "
            f"aliases={aliases!r}, parameters=(standard('gen_length'),))"
            for algorithm, aliases in algorithms.items()
        )
        settings = {
            "target": where,
            "default_algorithm": next(iter(algorithms)),
            "requires": spec_requires,
            **fields,
        }
        more = ", ".join(f"{field}={value!r}" for field, value in settings.items())
        self.add(
            distribution,
            requires=requires,
            modules={decoders: DECODERS},
            plugin=f"""
                from llada_core import AlgorithmSpec, EngineSpec, hookimpl, standard

                @hookimpl
                def llada_engines():
                    yield EngineSpec(name={name!r}, algorithms=({specs},), {more})
            """,
        )

    def installed(self) -> Installed:
        return Installed([str(self.folder)])

    def registry(self, **variables: object) -> Registry:
        """A registry of this site; ``variables`` are the fields of ``Environment``."""
        return Registry(self.installed(), Environment(**variables))  # type: ignore[arg-type]


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("LLADA_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    # A fake distribution may bear the name of an engine that other tests have imported.
    for name in list(sys.modules):
        if name.startswith("llada_") and not name.startswith("llada_core"):
            monkeypatch.delitem(sys.modules, name)
    site = Site(folder)
    site.add("llada-core", version="0.1.0")
    before = set(sys.modules)
    yield site
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
