"""The hooks that a plugin may implement. Each docstring holds a plugin that works as it stands.

A hook that contributes is a plural noun and returns specs; a hook that decides is a verb and returns an
answer. A plugin is a module named by an entry point of the group ``llada.engines``::

    [project.entry-points."llada.engines"]
    my-engine = "my_package.plugin"
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from llada_core.plugins.info import EngineInfo
    from llada_core.plugins.specs import (
        AlgorithmSpec,
        CommandSpec,
        EngineSpec,
        PolicySpec,
        RuleSpec,
        WheelSpec,
    )

__all__ = [
    "PROJECT",
    "hookimpl",
    "llada_algorithms",
    "llada_commands",
    "llada_detect_engine",
    "llada_engines",
    "llada_policies",
    "llada_rules",
    "llada_wheels",
]

PROJECT = "llada"

hookimpl = pluggy.HookimplMarker(PROJECT)
_hookspec = pluggy.HookspecMarker(PROJECT)


@_hookspec
def llada_engines() -> Iterable[EngineSpec]:
    """The engines that the plugin brings, each with its algorithms.

    ::

        from llada_core import AlgorithmSpec, EngineSpec, hookimpl, standard

        @hookimpl
        def llada_engines():
            yield EngineSpec(
                name="my-engine",
                target="my_package.engine:MyEngine",
                default_algorithm="my_decoder",
                algorithms=(
                    AlgorithmSpec(
                        name="my_decoder",
                        engine="my-engine",
                        target="my_package.engine:MyDecoder",
                        summary="Fills the masks from left to right.",
                        parameters=(standard("gen_length"), standard("temperature")),
                    ),
                ),
                model_types=("my_model",),
                priority=10,
            )
    """
    raise NotImplementedError


@_hookspec
def llada_algorithms() -> Iterable[AlgorithmSpec]:
    """Algorithms that run on an engine of another distribution.

    ::

        from llada_core import AlgorithmSpec, hookimpl, standard

        @hookimpl
        def llada_algorithms():
            yield AlgorithmSpec(
                name="my_decoder",
                engine="their-engine",
                target="my_package.decoder:MyDecoder",
                summary="Fills the masks from right to left.",
                aliases=("backwards",),
                parameters=(standard("gen_length"), standard("steps")),
            )
    """
    raise NotImplementedError


@_hookspec
def llada_rules() -> Iterable[RuleSpec]:
    """Commit rules that algorithms compose by name; the targets are functions ``(params)`` that make one.

    ::

        from llada_core import Parameter, RuleSpec, hookimpl

        @hookimpl
        def llada_rules():
            yield RuleSpec(
                name="best_few",
                target="my_package.rules:best_few",
                summary="Keeps the most confident positions, so many a step.",
                parameters=(Parameter(name="width", kind=int, default=2, minimum=1, summary="So many."),),
            )
    """
    raise NotImplementedError


@_hookspec
def llada_policies() -> Iterable[PolicySpec]:
    """Cache policies that algorithms compose by name; the targets are functions ``(params)`` that make one.

    ::

        from llada_core import Parameter, PolicySpec, hookimpl

        @hookimpl
        def llada_policies():
            yield PolicySpec(
                name="around",
                target="my_package.policies:around",
                summary="The block and so many columns on both sides are computed, all else is cached.",
                parameters=(Parameter(name="margin", kind=int, default=8, minimum=0, summary="So many."),),
            )
    """
    raise NotImplementedError


@_hookspec(firstresult=True)
def llada_detect_engine(config: Mapping[str, Any], engines: Sequence[EngineInfo]) -> str | None:
    """The name of the engine for the model whose ``config.json`` is ``config``, or None to leave it to
    others.

    Needed only where ``model_types`` and ``architectures`` cannot tell. ``engines`` are all that are
    installed, available or not.

    ::

        from llada_core import hookimpl

        @hookimpl
        def llada_detect_engine(config, engines):
            return "my-engine" if config.get("my_noise_schedule") else None
    """
    raise NotImplementedError


@_hookspec
def llada_commands() -> Iterable[CommandSpec]:
    """Subcommands of the ``llada`` program; the targets are click commands, imported when they are run.

    ::

        from llada_core import CommandSpec, hookimpl

        @hookimpl
        def llada_commands():
            yield CommandSpec(
                name="my-report", target="my_package.cli:my_report", summary="Print a report of my engine."
            )
    """
    raise NotImplementedError


@_hookspec
def llada_wheels() -> Iterable[WheelSpec]:
    """Distributions whose engines take models that would else be refused without advice.

    Of those that are not installed, ``llada detect`` and the errors say what to install. What an installed
    engine says of itself always counts more, and so does an earlier row for the same engine.

    ::

        from llada_core import WheelSpec, hookimpl

        @hookimpl
        def llada_wheels():
            yield WheelSpec(
                distribution="llada-their-engine",
                engine="their-engine",
                summary="Decoders for the models that their laboratory publishes.",
                model_types=("their_model",),
                architectures=("TheirModelLM",),
            )
    """
    raise NotImplementedError
