"""A model's ``config.json`` as far as detection reads it. It may hold anything; what is malformed is not
there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ModelConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The ``fields`` of the config of the model at ``path``, a folder or a hub id."""

    path: str
    fields: Mapping[str, Any]

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
        """The classes in ``auto_map``, such as ``modeling_nvrdiff.DiffEncoderModel``."""
        auto_map = self.fields.get("auto_map")
        listed = auto_map.values() if isinstance(auto_map, dict) else ()
        return tuple(name for name in listed if isinstance(name, str))

    @property
    def auto_modules(self) -> tuple[str, ...]:
        """The modules of those classes, without the ``owner/name--`` of a class in another repository."""
        return tuple(name.rpartition("--")[2].partition(".")[0] for name in self.auto_classes)

    def matches(self, model_types: tuple[str, ...], architectures: tuple[str, ...]) -> bool:
        """Whether the type or one of the architectures is listed, exactly as written."""
        return self.model_type in model_types or not set(architectures).isdisjoint(self.architectures)

    def __str__(self) -> str:
        said = "without model_type" if self.model_type is None else f"model_type {self.model_type}"
        return f"{self.path} ({', '.join((said, *self.architectures))})"
