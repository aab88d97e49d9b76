"""A model ready for a command: a wrong call is refused before the model is loaded, with a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from llada_core import registry
from llada_core.cli.options import ModelChoice
from llada_core.cli.progress import busy_bar
from llada_core.cli.settings import Setting
from llada_core.detection import engine_for, is_named
from llada_core.errors import AlgorithmUnavailable
from llada_core.loading import LoadedModel, default_algorithm, load_on, named_model
from llada_core.parameters import resolve

__all__ = ["opened_model"]


def opened_model(choice: ModelChoice, settings: Sequence[Setting]) -> LoadedModel:
    """The loaded model, once its engine, the algorithms and their parameters are known to be good.

    Whether the algorithms can run on this very model is known when it is loaded, and told before it is used.
    Shows a bar on stderr while it loads, if that is a terminal.
    """
    path, options = named_model(choice.model), choice.options
    for setting in settings:
        if setting.algorithm is not None:
            _check_call(setting.algorithm, setting.parameters)
    engine = engine_for(path, options, engine=choice.engine)
    for setting in settings:
        if setting.algorithm is None:
            _check_call(default_algorithm(engine), setting.parameters)
    with busy_bar(f"Loading {path}"):
        model = load_on(engine, path, options, named=is_named(choice.engine))
    for setting in settings:
        model.algorithm(setting.algorithm)
    return model


def _check_call(name: str, parameters: Mapping[str, object]) -> None:
    """Refuse an algorithm that cannot run here, and parameters that it does not take together."""
    info = registry.get_algorithm_info(name)
    if info.parameters:  # tells of a typo before torch is imported; else only an object knows
        resolve(info.parameters, parameters, algorithm=info.name, takers=info.takers)
    algorithm = registry.get_algorithm(name)
    reason = algorithm.unavailable_reason
    if reason is not None:
        message = f"{algorithm.name} cannot run here: {reason}"
        raise AlgorithmUnavailable(message, name=algorithm.name, reason=reason)
    algorithm.validate_args(**parameters)
