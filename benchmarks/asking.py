"""Which model benchmarks put tasks to, and whose tasks: options, and the questions as they are asked."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from counts import positive

import llada_core
from llada_core import LoadedModel
from llada_core.bench import Question, tasks
from llada_core.bench.questions import EMBEDDED
from llada_core.checkpoints.embedded import embedded_names

__all__ = ["add_options", "loaded", "model_name", "questions", "tasks_of"]


def add_options(parser: argparse._ActionsContainer, *, instances: int) -> None:
    """The options that the functions below read, and the dtype."""
    parser.add_argument("-n", type=positive, default=instances, help="instances a family")
    parser.add_argument(
        "--model", help="a folder, a hub id or the name of a wheel that holds one; llada-tiny if left out"
    )
    parser.add_argument("--dtype", default="float32")
    parser.add_argument(
        "--tasks-of", metavar="WHEEL", help="whose tasks; those of the model's wheel, or of llada-tiny"
    )
    parser.add_argument("--family", nargs="+", default=[], help="some families of them; all if left out")
    parser.add_argument("--seed", type=int, default=2026, help="of the held-out instances")


def loaded(options: argparse.Namespace) -> LoadedModel:
    """The model on the device of ``options``."""
    return llada_core.load_model(options.model, device=options.device, dtype=options.dtype)


def model_name(options: argparse.Namespace) -> str:
    """What the model is called, wherever it lies."""
    return EMBEDDED if options.model is None else Path(options.model).name


def tasks_of(options: argparse.Namespace) -> str:
    """The wheel whose tasks are asked."""
    named: str = options.model if options.model in embedded_names() else EMBEDDED
    return options.tasks_of or named


def questions(model: LoadedModel, options: argparse.Namespace) -> list[Question]:
    """The held-out instances as ids, those of one length side by side: on a GPU such rows attend together in
    float32 too."""
    asked = tasks(options.n, options.family, wheel=tasks_of(options), seed=options.seed)
    encoded = [replace(each, prompt=model.model.encode(each.prompt)) for each in asked]
    return sorted(encoded, key=lambda each: len(each.prompt))
