"""``python -m llada_core`` is ``llada``."""

from llada_core.cli import main

if __name__ == "__main__":
    main()
