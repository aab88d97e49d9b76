"""``FakeDistribution``: a distribution in a few words, as an installed folder or as a wheel."""

from __future__ import annotations

import base64
import hashlib
import textwrap
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llada_core.plugins.installed import GROUP

__all__ = ["FakeDistribution"]

_WHEEL = "Wheel-Version: 1.0\nGenerator: llada-core\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeDistribution:
    """A pure Python distribution.

    Attributes:
        name, version: as in its metadata.
        requires: its ``Requires-Dist`` lines.
        entry_points: names in the group ``llada.engines``, with the modules that they name.
        modules: dotted names of modules with their source, which may be indented as a whole.
    """

    name: str
    version: str = "1.0"
    requires: tuple[str, ...] = ()
    entry_points: Mapping[str, str] = field(default_factory=dict)
    modules: Mapping[str, str] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """Name and version as files spell them."""
        return f"{self.name.replace('-', '_')}-{self.version}"

    def install(self, folder: Path) -> Path:
        """Write modules and metadata into ``folder``; returns the ``dist-info`` folder."""
        for name, text in {**self._sources(), **self._metadata()}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        return folder / f"{self.stem}.dist-info"

    def write_wheel(self, folder: Path) -> Path:
        """Write a wheel that pip installs into ``folder``; returns its path."""
        files = {**self._sources(), **self._metadata(), f"{self.stem}.dist-info/WHEEL": _WHEEL}
        lines = [f"{name},{_digest(text)},{len(text.encode())}" for name, text in files.items()]
        record = f"{self.stem}.dist-info/RECORD"
        files[record] = "\n".join([*lines, f"{record},,"]) + "\n"
        path = folder / f"{self.stem}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return path

    def _sources(self) -> dict[str, str]:
        return {
            f"{module.replace('.', '/')}.py": textwrap.dedent(text) for module, text in self.modules.items()
        }

    def _metadata(self) -> dict[str, str]:
        lines = ["Metadata-Version: 2.1", f"Name: {self.name}", f"Version: {self.version}"]
        lines += [f"Requires-Dist: {requirement}" for requirement in self.requires]
        files = {"METADATA": lines}
        if self.entry_points:
            points = [f"{name} = {target}" for name, target in self.entry_points.items()]
            files["entry_points.txt"] = [f"[{GROUP}]", *points]
        return {f"{self.stem}.dist-info/{name}": "\n".join(text) + "\n" for name, text in files.items()}


def _digest(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
