"""``python -m llada_eval`` is ``llada eval``."""

from __future__ import annotations

import sys

from llada_core.cli import main

if __name__ == "__main__":
    main(["eval", *sys.argv[1:]])
