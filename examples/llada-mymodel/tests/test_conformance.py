"""The engine and its algorithm keep the contract of the registry, on a model that is written for it."""

from __future__ import annotations

import atexit
import tempfile
from pathlib import Path

from llada_core.testing import AlgorithmConformance, EngineConformance
from llada_mymodel.model import write_random

# Written when this is imported: pytest makes a test of each check while it collects.
_folder = tempfile.TemporaryDirectory(prefix="llada-mymodel-")
atexit.register(_folder.cleanup)
MODEL = str(write_random(Path(_folder.name)))


class TestEngine(EngineConformance):
    engine = "mymodel"
    model = MODEL


class TestAlgorithm(AlgorithmConformance):
    algorithm = "mymodel"
    model = MODEL
