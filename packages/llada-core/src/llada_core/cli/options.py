"""The options that commands share, as decorators, and the values that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from llada_core.checkpoints.options import LoadOptions
from llada_core.errors import UsageError
from llada_core.parameters import parse_assignments

__all__ = ["ModelChoice", "decoding_options", "model_options", "output_options", "parameters_of"]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """Which model is to be loaded, by what and how; the fields are the arguments of ``load_model``."""

    model: str | None
    engine: str | None
    device: str | None
    dtype: str | None
    trust_remote_code: bool
    revision: str | None

    @property
    def options(self) -> LoadOptions:
        """How it is to be loaded. Raises ``UsageError``."""
        return LoadOptions(
            device=self.device,
            dtype=self.dtype,
            trust_remote_code=self.trust_remote_code,
            revision=self.revision,
        )


def output_options(command: _Command) -> _Command:
    """``--json`` (argument ``as_json``) and ``--debug``."""

    def switch_on(ctx: click.Context, _: click.Parameter, value: bool) -> None:
        if value:
            ctx.meta["llada_core.debug"] = True

    return _apply(
        command,
        click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        click.option(
            "--debug", is_flag=True, expose_value=False, callback=switch_on, help="Show tracebacks."
        ),
    )


def model_options(command: _Command) -> _Command:
    """The fields of ``ModelChoice``."""
    return _apply(
        command,
        click.option("--model", metavar="PATH|ID", help="Folder or hub id. Default: the embedded model."),
        click.option("--engine", metavar="NAME", help="Engine to load it with. Default: the one that fits."),
        click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1 … Default: cuda if there is one."),
        click.option(
            "--dtype", type=click.Choice(_DTYPES), help="Default: bfloat16 on cuda, float32 elsewhere."
        ),
        click.option("--trust-remote-code", is_flag=True, help="Run code that comes with the checkpoint."),
        click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub id."),
    )


def decoding_options(command: _Command) -> _Command:
    """``assignments``, ``max_tokens`` and ``seed``: what ``parameters_of`` takes."""
    return _apply(
        command,
        click.option(
            "-p",
            "--parameter",
            "assignments",
            metavar="NAME=VALUE",
            multiple=True,
            help="A parameter of the algorithm; repeatable. llada algorithms --json lists them.",
        ),
        click.option("--max-tokens", type=int, metavar="N", help="Length of the answer, at most."),
        click.option("--seed", type=int, metavar="N", help="Seed of what is drawn at random."),
    )


def parameters_of(
    assignments: tuple[str, ...], max_tokens: int | None, seed: int | None
) -> dict[str, object]:
    """The parameters that the options give. Raises ``UsageError`` where one is given in two ways."""
    parameters = parse_assignments(assignments)
    for name, option, value in (("max_tokens", "--max-tokens", max_tokens), ("seed", "--seed", seed)):
        if value is None:
            continue
        if name in parameters:
            raise UsageError(f"{name} is given by -p and by {option}; give it once")
        parameters[name] = value
    return parameters


def _apply(command: _Command, *decorators: Callable[[_Command], _Command]) -> _Command:
    for decorate in reversed(decorators):
        command = decorate(command)
    return command
