"""The variables that are honoured, ``LLADA_*`` and torchrun's, read when asked for and never at import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from packaging.utils import canonicalize_name

from llada_core.errors import UsageError

__all__ = ["Environment", "check_one_process", "read_environment"]

_SWITCH = {"": False, "0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """The variables' values.

    ``engine`` and ``algorithm`` are names or None. ``load_plugins`` is the allow-list, None where the
    variable is not set (an empty one allows no plugin); ``block_plugins`` is the deny-list. Both hold
    normalised names. ``graphs`` is whether block steps may run as CUDA graphs.
    """

    engine: str | None = None
    algorithm: str | None = None
    load_plugins: frozenset[str] | None = None
    block_plugins: frozenset[str] = frozenset()
    strict_plugins: bool = False
    graphs: bool = True


def read_environment(environ: Mapping[str, str] | None = None) -> Environment:
    """What the variables say now. Raises ``UsageError`` where one that is a switch is neither on nor off."""
    variables = os.environ if environ is None else environ
    allowed = variables.get("LLADA_LOAD_PLUGINS")
    return Environment(
        engine=variables.get("LLADA_ENGINE") or None,
        algorithm=variables.get("LLADA_ALGORITHM") or None,
        load_plugins=None if allowed is None else _names(allowed),
        block_plugins=_names(variables.get("LLADA_BLOCK_PLUGINS", "")),
        strict_plugins=_switch("LLADA_STRICT_PLUGINS", variables.get("LLADA_STRICT_PLUGINS", "")),
        graphs=_switch("LLADA_GRAPHS", variables.get("LLADA_GRAPHS") or "1"),
    )


def check_one_process(split: str) -> None:
    """Refuse to be one of several processes, of which each would answer everything.

    ``split`` is the option that divides a model. Raises ``UsageError``.
    """
    count = os.environ.get("WORLD_SIZE", "1")
    if count != "1":
        raise UsageError(
            f"WORLD_SIZE={count}: each process would answer everything; start one, and give {split} "
            "where the model is to be split"
        )


def _names(text: str) -> frozenset[str]:
    return frozenset(canonicalize_name(word.strip()) for word in text.split(",") if word.strip())


def _switch(variable: str, text: str) -> bool:
    if text.strip().lower() not in _SWITCH:
        raise UsageError(f"{variable}={text!r} is neither on nor off; set it to 1 or 0")
    return _SWITCH[text.strip().lower()]
