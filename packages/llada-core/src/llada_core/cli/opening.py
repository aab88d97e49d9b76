"""A model ready for a command: a wrong call is refused before the model is loaded, with a bar."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from llada_core import registry
from llada_core.cli.options import ModelChoice
from llada_core.detection import detect_engine
from llada_core.errors import AlgorithmUnavailable
from llada_core.imports import load_target
from llada_core.loading import LoadedModel, default_algorithm, embedded_model, load_model
from llada_core.parameters import resolve

__all__ = ["opened_model"]


def opened_model(
    choice: ModelChoice, algorithms: Sequence[str], parameters: Mapping[str, object]
) -> LoadedModel:
    """The loaded model, once its engine, the algorithms and their parameters are known to be good.

    Whether the algorithms can run on this very model is known when it is loaded, and told before it is used.
    Shows a bar on stderr while it loads, if that is a terminal.
    """
    path = choice.model or embedded_model()
    for name in algorithms:
        _check_call(name, parameters)
    if not algorithms:
        engine = detect_engine(
            path, engine=choice.engine, revision=choice.revision, check=not choice.trust_remote_code
        )
        _check_call(default_algorithm(registry.get_engine(engine)), parameters)
    options = {name: value for name, value in asdict(choice).items() if name != "model"}
    with _loading_bar(path):
        model = load_model(path, **options)
    for chosen in algorithms or (None,):
        model.algorithm(chosen)
    return model


def _check_call(name: str, parameters: Mapping[str, object]) -> None:
    info = registry.get_algorithm_info(name)
    resolve(info.parameters, parameters, algorithm=info.name)
    if info.reason is not None:
        message = f"{info.name} cannot run here: {info.reason}"
        raise AlgorithmUnavailable(message, name=info.name, reason=info.reason)


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
