"""``python -m llada_server`` is ``llada serve``."""

from __future__ import annotations

import sys

from llada_core.cli import main

if __name__ == "__main__":
    main(["serve", *sys.argv[1:]])
