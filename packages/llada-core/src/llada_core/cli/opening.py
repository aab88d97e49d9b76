"""A model ready for a command: a wrong call is refused before the model is loaded, with a bar."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

from llada_core.cli.options import ModelChoice
from llada_core.cli.output import note
from llada_core.cli.progress import busy_bar
from llada_core.cli.settings import Setting
from llada_core.cli.signals import ended_like_an_interrupt
from llada_core.detection import engine_for, is_named
from llada_core.loading import LoadedModel, check_call, default_algorithm, load_on, named_model
from llada_core.progress import telling

__all__ = ["opened_model"]


def opened_model(choice: ModelChoice, settings: Sequence[Setting]) -> LoadedModel:
    """The loaded model, once its engine, the algorithms and their parameters are known to be good.

    Whether the algorithms can run on this very model is known when it is loaded, and told before it is used.
    Shows a bar on stderr while it loads, if that is a terminal, with how many kinds of steps are captured,
    and says what was read of a trainer's.
    """
    options = choice.options
    path = named_model(choice.named)
    for setting in settings:
        if setting.algorithm is not None:
            check_call(setting.algorithm, setting.parameters)
    engine = engine_for(path, options, engine=choice.engine)
    for setting in settings:
        if setting.algorithm is None:
            check_call(default_algorithm(engine), setting.parameters)
    # A trainer's weights may be copied for the loader, as large as the model is.
    ending = nullcontext() if choice.dcp is None else ended_like_an_interrupt()
    with ending, busy_bar(f"Loading {choice.dcp or path}") as bar, telling(bar.tell("Preparing steps")):
        model = load_on(engine, path, options, named=is_named(choice.engine))
    if model.dcp is not None:
        note(model.dcp.told)
    for setting in settings:
        model.algorithm(setting.algorithm)
    return model
