"""A small trained LLaDA checkpoint with long answers, and the tasks that it was trained on.

It goes on from llada-tiny: the same network, tokenizer and API. `llada_tiny_long.tasks` is the seeded task
generator: training draws from it, and the held-out sets on which decoders are compared come from it.
"""

from __future__ import annotations

from pathlib import Path

__version__ = "0.2.0"

__all__ = ["model_path"]


def model_path() -> Path:
    """The folder of the checkpoint: config.json, model.safetensors and the tokenizer's files."""
    return Path(__file__).resolve().parent / "checkpoint"
