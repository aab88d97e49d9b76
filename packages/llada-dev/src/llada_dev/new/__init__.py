"""``llada new``: a plugin from the template."""

from __future__ import annotations

from llada_dev.new.project import Project, planned
from llada_dev.new.writing import write

__all__ = ["Project", "planned", "write"]
