"""A model's ``config.json``: how it is read, here and by every engine, and what it says the model is.

It may hold anything; what is malformed is not there. This module does not know what engines there are.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llada_core.checkpoints.contents import how_to_get
from llada_core.errors import CheckpointError
from llada_core.plugins.specs import StrangerSpec

__all__ = ["ModelConfig", "read_fields"]


def read_fields(folder: str | os.PathLike[str], name: str = "config.json") -> dict[str, Any]:
    """The JSON object in ``folder/config.json``, or in the file called so. Raises ``CheckpointError`` where
    there is none."""
    file = Path(folder) / name
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as exc:
        raise CheckpointError(f"{file} does not exist; point at a folder that holds a checkpoint") from exc
    except (OSError, ValueError, RecursionError) as exc:
        raise CheckpointError(f"{file} cannot be read as JSON ({exc}); {how_to_get(file)}") from exc
    if not isinstance(fields, dict):
        raise CheckpointError(f"{file} does not hold a JSON object; download it again")
    return fields


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The ``fields`` of the config of the model at ``path``: a folder, or a hub id at ``revision``."""

    path: str
    fields: Mapping[str, Any]
    revision: str | None = None

    @property
    def model_type(self) -> str | None:
        """``model_type``, or None."""
        value = self.fields.get("model_type")
        return value if isinstance(value, str) else None

    @property
    def architectures(self) -> tuple[str, ...]:
        """``architectures``, the class names that the checkpoint was saved from."""
        listed = self.fields.get("architectures")
        return tuple(name for name in listed if isinstance(name, str)) if isinstance(listed, list) else ()

    @property
    def auto_classes(self) -> tuple[str, ...]:
        """The classes in ``auto_map``, such as ``modeling_theirs.TheirModel``."""
        auto_map = self.fields.get("auto_map")
        listed = auto_map.values() if isinstance(auto_map, dict) else ()
        return tuple(name for name in listed if isinstance(name, str))

    @property
    def auto_modules(self) -> tuple[str, ...]:
        """The modules of those classes, without the ``owner/name--`` of a class in another repository."""
        return tuple(name.rpartition("--")[2].partition(".")[0] for name in self.auto_classes)

    @property
    def brings_a_network(self) -> bool:
        """Whether ``auto_map`` names a class that code beside the weights makes the model with."""
        auto_map = self.fields.get("auto_map")
        names = auto_map.items() if isinstance(auto_map, dict) else ()
        return any(name.startswith("AutoModel") and isinstance(value, str) for name, value in names)

    def matches(self, model_types: tuple[str, ...], architectures: tuple[str, ...]) -> bool:
        """Whether the type or one of the architectures is listed, exactly as written."""
        return self.model_type in model_types or not set(architectures).isdisjoint(self.architectures)

    def kind_among(self, strangers: Iterable[StrangerSpec]) -> str | None:
        """What the model is, by the first of ``strangers`` that includes it; None where none does."""
        names = (*self.architectures, *self.auto_classes, self.model_type or "")
        return next((each.kind for each in strangers if any(map(each.includes, names))), None)

    def __str__(self) -> str:
        said = "without model_type" if self.model_type is None else f"model_type {self.model_type}"
        return f"{self.path} ({', '.join((said, *self.architectures))})"
