"""A model ready for a command: a wrong call is refused before the model is loaded, with a bar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from llada_core import registry
from llada_core.cli.options import ModelChoice
from llada_core.detection import engine_for
from llada_core.errors import AlgorithmUnavailable
from llada_core.imports import load_target
from llada_core.loading import LoadedModel, default_algorithm, embedded_model, load_on
from llada_core.parameters import resolve

__all__ = ["opened_model"]


def opened_model(
    choice: ModelChoice, algorithms: Sequence[str], parameters: Mapping[str, object]
) -> LoadedModel:
    """The loaded model, once its engine, the algorithms and their parameters are known to be good.

    Whether the algorithms can run on this very model is known when it is loaded, and told before it is used.
    Shows a bar on stderr while it loads, if that is a terminal.
    """
    path, options = choice.model or embedded_model(), choice.options
    for name in algorithms:
        _check_call(name, parameters)
    engine = engine_for(path, options, engine=choice.engine)
    if not algorithms:
        _check_call(default_algorithm(engine), parameters)
    with _loading_bar(path):
        model = load_on(engine, path, options)
    for chosen in algorithms or (None,):
        model.algorithm(chosen)
    return model


def _check_call(name: str, parameters: Mapping[str, object]) -> None:
    """Refuse an algorithm that cannot run here, and parameters that it does not take together."""
    info = registry.get_algorithm_info(name)
    resolve(info.parameters, parameters, algorithm=info.name)  # tells of a typo before torch is imported
    algorithm = registry.get_algorithm(name)
    reason = algorithm.unavailable_reason
    if reason is not None:
        message = f"{algorithm.name} cannot run here: {reason}"
        raise AlgorithmUnavailable(message, name=algorithm.name, reason=reason)
    algorithm.validate_args(**parameters)


@contextmanager
def _loading_bar(path: str) -> Iterator[None]:
    console: Any = load_target("rich.console:Console")(stderr=True)
    if not console.is_terminal:
        yield
        return
    columns = [
        load_target("rich.progress:TextColumn")("{task.description}"),
        load_target("rich.progress:BarColumn")(),
        load_target("rich.progress:TimeElapsedColumn")(),
    ]
    # The bar only pulses: how much of the weights is read, the loader does not say.
    with load_target("rich.progress:Progress")(*columns, console=console, transient=True) as progress:
        progress.add_task(f"Loading {path}", total=None)
        yield
