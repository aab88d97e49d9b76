"""Settings to decode with: each ``--algorithm`` of a call with the ``-p`` that belong to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import click

from llada_core import registry
from llada_core.cli.options import decoding_options, given_parameters, overridden
from llada_core.cli.output import as_typed
from llada_core.parameters import parse_assignments

__all__ = [
    "Setting",
    "SettingsCommand",
    "common",
    "labels",
    "settings_of",
    "settings_options",
    "settings_options_without_length",
]

_Command = TypeVar("_Command", bound=Callable[..., Any])
_ORDER = "llada_core.order"


class SettingsCommand(click.Command):
    """A command whose ``-p`` belong to the ``--algorithm`` before them."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        # click hands over the values of each option by itself: only its parser knows their order.
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        ctx.meta[_ORDER] = [option.name for option in order]
        return super().parse_args(ctx, args)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """An algorithm, None for the default, with the parameters that the call gives it."""

    algorithm: str | None
    parameters: Mapping[str, Any]


def settings_options(command: _Command) -> _Command:
    """The options that ``settings_of`` reads; the command is a ``SettingsCommand``."""
    return _settings_options(command, one_length=True)


def settings_options_without_length(command: _Command) -> _Command:
    """The same for a command that has lengths of its own."""
    return _settings_options(command, one_length=False)


def _settings_options(command: _Command, *, one_length: bool) -> _Command:
    decorate = click.option(
        "--algorithm",
        "algorithms",
        metavar="NAME",
        multiple=True,
        help="Algorithm to decode with; repeatable, to compare. Default: LLADA_ALGORITHM, or the engine's.",
    )
    parameters = decoding_options(
        "A parameter of the --algorithm before it; before the first one, of all. Repeatable. "
        "llada algorithms NAME shows what one takes.",
        one_length=one_length,
    )
    return decorate(parameters(command))


def settings_of(ctx: click.Context, otherwise: Sequence[str] = ()) -> list[Setting]:
    """The settings of a call, in its order. Where it names none, those of the algorithms ``otherwise``, or
    else one of the default algorithm.

    What stands before the first ``--algorithm``, --max-tokens and --seed hold for all; the former give way to
    what an algorithm is given itself. A command may be without these two. Raises ``UnknownAlgorithm`` and
    ``UsageError``.
    """
    before, own = _grouped(ctx.meta[_ORDER], ctx.params["algorithms"], ctx.params["assignments"])
    options: dict[str, Any] = {name: ctx.params.get(name) for name in ("max_tokens", "seed")}
    for_all = given_parameters(before, **options)
    own = own or [(name, []) for name in otherwise]
    if not own:
        return [Setting(algorithm=None, parameters=for_all)]
    settings = []
    for name, words in own:
        info = registry.get_algorithm_info(name)
        # An option holds for all: a -p of the same would not give way to it, nor it to that.
        given_parameters(words, **options, taken=info.parameters)
        given = parse_assignments(words)
        settings.append(Setting(algorithm=info.name, parameters=overridden(info.parameters, for_all, given)))
    return settings


def _grouped(
    order: Sequence[str], algorithms: Sequence[str], assignments: Sequence[str]
) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The assignments before the first algorithm, and each algorithm with those that follow it."""
    names, words = iter(algorithms), iter(assignments)
    before: list[str] = []
    own: list[tuple[str, list[str]]] = []
    for option in order:
        if option == "algorithms":
            own.append((next(names), []))
        elif option == "assignments":
            (own[-1][1] if own else before).append(next(words))
    return before, own


def common(settings: Sequence[Setting]) -> dict[str, Any]:
    """The parameters that all settings are given alike."""
    first, *others = settings
    return {
        name: value
        for name, value in first.parameters.items()
        if all(name in each.parameters and each.parameters[name] == value for each in others)
    }


def labels(settings: Sequence[Setting]) -> list[str]:
    """What tells each setting from the others: its algorithm, and the parameters that not all have alike."""
    alike = common(settings)
    named = [_label(setting, alike) for setting in settings]
    seen = Counter[str]()
    unique = []
    for label in named:
        seen[label] += 1
        unique.append(f"{label} #{seen[label]}" if named.count(label) > 1 else label)
    return unique


def _label(setting: Setting, alike: Mapping[str, Any]) -> str:
    given = [f"{name}={as_typed(value)}" for name, value in setting.parameters.items() if name not in alike]
    return " ".join([setting.algorithm or "default", *given])
