"""Engines and algorithms by name: the public functions, and the state that they share."""

from __future__ import annotations

from llada_core.registry.functions import (
    diagnose_algorithm,
    diagnose_engine,
    get_algorithm,
    get_algorithm_info,
    get_default_algorithm_for_engine,
    get_engine,
    list_algorithms,
    list_algorithms_by_engine,
    list_available_algorithms,
    list_available_algorithms_by_engine,
    list_commands,
    list_engines,
    load_engine_class,
    plugin_statuses,
    register_algorithm,
    register_engine,
    reload,
    shared,
    using,
)

__all__ = [
    "diagnose_algorithm",
    "diagnose_engine",
    "get_algorithm",
    "get_algorithm_info",
    "get_default_algorithm_for_engine",
    "get_engine",
    "list_algorithms",
    "list_algorithms_by_engine",
    "list_available_algorithms",
    "list_available_algorithms_by_engine",
    "list_commands",
    "list_engines",
    "load_engine_class",
    "plugin_statuses",
    "register_algorithm",
    "register_engine",
    "reload",
    "shared",
    "using",
]
