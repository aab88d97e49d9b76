"""``python -m llada_mymodel FOLDER``: write a model with random weights."""

from __future__ import annotations

import sys
from pathlib import Path

from llada_mymodel.model import write_random

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m llada_mymodel FOLDER")
    write_random(Path(sys.argv[1]))
