"""``FakeSite``: a folder of fake distributions that is all there is, whatever this machine has installed."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

from llada_core import __version__, registry
from llada_core.environment import Environment
from llada_core.plugins.installed import Installed
from llada_core.registry.registry import Registry
from llada_core.testing.distributions import FakeDistribution

__all__ = ["FakeSite", "fake_site"]

_ECHO = """
from llada_core import GenerationAlgorithm

class Echo(GenerationAlgorithm):
    def load_model_class(self):
        return dict

    def generate(self, model, prompt, **params):
        return prompt, 0
"""


class FakeSite:
    """Distributions in ``folder``. `fake_site` makes one and puts it on the path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._inside = os.path.join(os.path.abspath(folder), "")
        self._hidden: dict[str, ModuleType] = {}

    def install(self, distribution: FakeDistribution) -> Path:
        """Install ``distribution``; returns its ``dist-info`` folder.

        Modules of its modules' names that are imported from elsewhere are out of the way until the site
        goes.
        """
        for name in {module.partition(".")[0] for module in distribution.modules}:
            self._hide(name)
        info = distribution.install(self.folder)
        importlib.invalidate_caches()
        return info

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
        sources, points = dict(modules or {}), dict(entry_points or {})
        if plugin is not None:
            module = name.replace("-", "_")
            sources[module] = plugin
            points.setdefault(name.removeprefix("llada-"), module)
        return self.install(
            FakeDistribution(
                name=name, version=version, requires=requires, entry_points=points, modules=sources
            )
        )

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
    ) -> Path:
        """Install a distribution with one engine whose algorithms give the prompt back.

        Args:
            algorithms: their names with their aliases; the first is the default.
            distribution: its name; by default ``llada-`` and the engine's.
            requires: what the distribution requires.
            spec_requires: what the engine requires besides.
            target: of all specs; by default an algorithm that is written along.
            fields: further fields of ``EngineSpec``.
        """
        distribution = distribution or f"llada-{name}"
        echo = f"{distribution.replace('-', '_')}_decoders"
        target = target or f"{echo}:Echo"
        settings = {
            "name": name,
            "target": target,
            "default_algorithm": next(iter(algorithms)),
            "requires": spec_requires,
            **fields,
        }
        plugin = _plugin(settings, algorithms, target)
        return self.add(distribution, requires=requires, modules={echo: _ECHO}, plugin=plugin)

    def installed(self) -> Installed:
        """What is installed here, and nothing else."""
        return Installed([str(self.folder)])

    def registry(self, **variables: object) -> Registry:
        """A registry of this site; ``variables`` are the fields of ``Environment``."""
        return Registry(self.installed(), Environment(**variables))  # type: ignore[arg-type]

    @contextlib.contextmanager
    def shared(self, **variables: object) -> Iterator[Registry]:
        """Let `llada_core`'s functions answer from this site while the context lasts."""
        made = self.registry(**variables)
        with registry.using(made):
            yield made

    def _hide(self, package: str) -> None:
        """Set aside a package that was imported from elsewhere."""
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            if not self._owns(sys.modules[name]):
                self._hidden[name] = sys.modules.pop(name)

    def _owns(self, module: ModuleType) -> bool:
        file = getattr(module, "__file__", None)  # one of thousands: no Path of each
        return isinstance(file, str) and file.startswith(self._inside)

    def _leave(self) -> None:
        """Forget the modules that were imported from here, and bring back those that were out of the way."""
        for name in [name for name, module in list(sys.modules.items()) if self._owns(module)]:
            del sys.modules[name]
        sys.modules.update(self._hidden)


@contextlib.contextmanager
def fake_site(folder: Path | None = None, *, core: str | None = None) -> Iterator[FakeSite]:
    """A site that is on ``sys.path`` while the context lasts, with a llada-core in it.

    ::

        with fake_site() as site:
            site.add_engine("mine", algorithms={"my_decoder": ("md",)})
            with site.shared():
                assert llada_core.list_algorithms() == ["my_decoder"]

    ``folder`` is made where it does not exist; None is a temporary one. ``core`` is the version that
    llada-core seems to have; None is its own. Afterwards modules that were imported from the site are
    forgotten.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="llada-site-")))
        folder.mkdir(parents=True, exist_ok=True)
        site = FakeSite(folder)
        site.add("llada-core", version=core or __version__)
        wrote = sys.dont_write_bytecode
        sys.path.insert(0, str(folder))
        # A module that is written twice within a second would else be read from the first one's bytecode.
        sys.dont_write_bytecode = True
        try:
            yield site
        finally:
            sys.path.remove(str(folder))
            sys.dont_write_bytecode = wrote
            site._leave()


def _plugin(settings: Mapping[str, object], algorithms: Mapping[str, tuple[str, ...]], target: str) -> str:
    """The source of a plugin with one engine of these fields."""
    specs = "".join(
        f"        AlgorithmSpec(name={name!r}, engine={settings['name']!r}, target={target!r}, "
        f"summary='An echo.', aliases={aliases!r}, parameters=(standard('gen_length'),)),\n"
        for name, aliases in algorithms.items()
    )
    fields = ", ".join(f"{field}={value!r}" for field, value in settings.items())
    return (
        "from llada_core import AlgorithmSpec, EngineSpec, hookimpl, standard\n\n"
        "@hookimpl\ndef llada_engines():\n"
        f"    algorithms = (\n{specs}    )\n"
        f"    yield EngineSpec({fields}, algorithms=algorithms)\n"
    )
