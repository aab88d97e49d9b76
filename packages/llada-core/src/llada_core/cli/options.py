"""The options that commands share, as decorators, and the values that they stand for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import click

from llada_core.checkpoints.dcp_source import DcpSource
from llada_core.checkpoints.options import DTYPES, LoadOptions
from llada_core.errors import UsageError
from llada_core.parameters import Parameter, parse_assignments

__all__ = [
    "MODEL",
    "ModelChoice",
    "dcp_options",
    "decoding_options",
    "given_parameters",
    "loading_options",
    "model_options",
    "output_options",
    "overridden",
    "parameter_option",
    "quantization_option",
    "spelling_among",
    "split_option",
    "trust_option",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_QUANTIZATIONS = ("fp8", "int8")
MODEL = "Folder, hub id, or wheel of a model (llada-tiny-long)"
"""What names a model, for the help of commands."""

_OF_DCP = "Weights that torch.distributed.checkpoint wrote; --base has the rest."
_OF_BASE = "The model that was trained to what --dcp holds."


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChoice:
    """Which model is to be loaded, by what and how; the fields are the arguments of ``load_model``, and
    ``dcp``, ``base``, ``dcp_prefix`` and ``temp_dir`` those of ``load_dcp`` besides."""

    model: str | None
    engine: str | None
    device: str | None
    dtype: str | None
    trust_remote_code: bool
    revision: str | None
    quantization: str | None
    tensor_parallel: int
    dcp: str | None = None
    base: str | None = None
    dcp_prefix: str | None = None
    temp_dir: str | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> ModelChoice:
        """The choice among the values of a command's options."""
        return cls(**{field.name: given[field.name] for field in fields(cls)})

    @property
    def options(self) -> LoadOptions:
        """How it is to be loaded. Raises ``UsageError``."""
        return LoadOptions(
            device=self.device,
            dtype=self.dtype,
            trust_remote_code=self.trust_remote_code,
            revision=self.revision,
            quantization=self.quantization,
            tensor_parallel=self.tensor_parallel,
            dcp=self._source,
        )

    @property
    def named(self) -> str | None:
        """The model whose config is read, None for the embedded one: with ``dcp``, the base of its weights.

        Raises ``UsageError`` where it is named twice, or there is ``dcp`` and it is not named.
        """
        if None not in (self.base, self.model) and self.base != self.model:
            raise UsageError(f"--base is {self.base} and --model {self.model}; give one of them")
        named = self.model if self.base is None else self.base
        if self.dcp is not None and named is None:
            raise UsageError("--dcp holds weights alone; give --base, the model that was trained")
        return named

    @property
    def _source(self) -> DcpSource | None:
        if self.dcp is not None:
            return DcpSource(path=self.dcp, prefix=self.dcp_prefix, temp_dir=self.temp_dir)
        for name in ("base", "dcp_prefix", "temp_dir"):
            if getattr(self, name) is not None:
                option = f"--{name.replace('_', '-')}"
                raise UsageError(f"{option} is of --dcp, which is not given; give it, or leave {option} out")
        return None


def output_options(command: _Command) -> _Command:
    """``--json`` (argument ``as_json``)."""
    return _apply(command, click.option("--json", "as_json", is_flag=True, help="Print JSON."))


def trust_option(help_text: str) -> Callable[[_Command], _Command]:
    """``--trust-remote-code``."""
    return click.option("--trust-remote-code", is_flag=True, help=help_text)


def parameter_option(help_text: str) -> Callable[[_Command], _Command]:
    """``-p`` (argument ``assignments``)."""
    return click.option(
        "-p", "--parameter", "assignments", metavar="NAME=VALUE", multiple=True, help=help_text
    )


def quantization_option(help_text: str) -> Callable[[_Command], _Command]:
    """``--quantization``."""
    return click.option("--quantization", type=click.Choice(_QUANTIZATIONS), help=help_text)


def split_option(help_text: str) -> Callable[[_Command], _Command]:
    """``--tensor-parallel-size`` (argument ``tensor_parallel``)."""
    return click.option(
        "--tensor-parallel-size",
        "tensor_parallel",
        type=click.IntRange(min=1),
        default=1,
        metavar="N",
        help=help_text,
    )


def dcp_options(command: _Command) -> _Command:
    """``--dcp``, ``--base`` and ``--dcp-prefix``: weights of a trainer, and what they are of."""
    return _apply(
        command,
        click.option("--dcp", "--dcp-path", "dcp", metavar="PATH", help=_OF_DCP),
        click.option("--base", "--base-model", "base", metavar="MODEL", help=_OF_BASE),
        click.option(
            "--dcp-prefix", metavar="PREFIX", help="Where in --dcp the model is. Default: as found."
        ),
    )


def model_options(command: _Command) -> _Command:
    """The fields of ``ModelChoice``."""
    return _apply(
        dcp_options(command),
        click.option("--model", metavar="MODEL", help=f"{MODEL}. Default: the embedded model."),
        loading_options,
    )


def loading_options(command: _Command) -> _Command:
    """The fields of ``ModelChoice`` but ``model``, for a command that takes it as an argument."""
    return _apply(
        command,
        click.option("--engine", metavar="NAME", help="Engine to load it with. Default: the one that fits."),
        click.option("--device", metavar="DEVICE", help="cpu, cuda, cuda:1 … Default: cuda if there is one."),
        click.option(
            "--dtype", type=click.Choice(DTYPES), help="Default: bfloat16 on cuda, float32 elsewhere."
        ),
        trust_option("Run code that comes with the checkpoint."),
        click.option("--revision", metavar="REV", help="Branch, tag or commit of a hub id."),
        quantization_option("Weights in eight bits, made when loaded."),
        split_option("Split the model between so many GPUs, each with a process of its own."),
        click.option(
            "--temp-dir",
            metavar="PATH",
            help="Where --dcp is converted for an engine that cannot read it. Default: the system's.",
        ),
    )


def decoding_options(help_of_parameter: str, *, one_length: bool = True) -> Callable[[_Command], _Command]:
    """``assignments``, ``max_tokens`` where there is ``one_length``, and ``seed``: what ``given_parameters``
    takes."""

    def decorate(command: _Command) -> _Command:
        length = click.option("--max-tokens", type=int, metavar="N", help="Length of an answer, at most.")
        return _apply(
            command,
            parameter_option(help_of_parameter),
            *([length] if one_length else []),
            click.option("--seed", type=int, metavar="N", help="Seed of what is drawn at random."),
        )

    return decorate


def given_parameters(
    assignments: Sequence[str],
    max_tokens: int | None,
    seed: int | None,
    *,
    taken: Iterable[Parameter] = (),
) -> dict[str, object]:
    """The parameters that the options give. Raises ``UsageError`` where one is given in two ways, under
    whatever names of it, as far as ``taken`` tells these."""
    parameters, spellings = parse_assignments(assignments), _spellings(taken)
    for name, option, value in (("max_tokens", "--max-tokens", max_tokens), ("seed", "--seed", seed)):
        if value is None:
            continue
        twice = [each for each in spellings.get(name, (name,)) if each in parameters]
        if twice:
            raise UsageError(f"{twice[0]} is given by -p and by {option}; give it once")
        parameters[name] = value
    return parameters


def overridden(
    parameters: Iterable[Parameter], kept: Mapping[str, object], given: Mapping[str, object]
) -> dict[str, object]:
    """``kept`` with what is ``given`` in its place, under whatever name of a parameter each stands."""
    spellings = _spellings(parameters)
    replaced = {spelling for name in given for spelling in spellings.get(name, (name,))}
    return {**{name: value for name, value in kept.items() if name not in replaced}, **given}


def spelling_among(parameters: Iterable[Parameter], given: Iterable[str], name: str) -> str | None:
    """Which of the ``given`` names is the parameter ``name``, under whatever name of it; None where none
    is."""
    known, names = set(given), _spellings(parameters).get(name, ())
    return next((each for each in (name, *names) if each in known), None)


def _spellings(parameters: Iterable[Parameter]) -> dict[str, tuple[str, ...]]:
    """All names of the parameter that each name stands for."""
    return {name: parameter.names for parameter in parameters for name in parameter.names}


def _apply(command: _Command, *decorators: Callable[[_Command], _Command]) -> _Command:
    for decorate in reversed(decorators):
        command = decorate(command)
    return command
