"""The errors that say why a model gets no engine, or not the one that was named, and what to do about it."""

from __future__ import annotations

from llada_core.checkpoints.config import ModelConfig
from llada_core.detection.candidates import Candidate
from llada_core.errors import EngineUnavailable, IncompatibleEngine, LladaError, UnsupportedModel
from llada_core.registry.registry import Registry

__all__ = ["incompatible", "no_engine"]


def incompatible(
    config: ModelConfig,
    registry: Registry,
    candidates: tuple[Candidate, ...],
    engine: str,
    *,
    by_variable: bool,
) -> IncompatibleEngine:
    """The engine that was named, by the caller or LLADA_ENGINE, does not take the model."""
    fitting = [candidate.engine for candidate in candidates if candidate.installed]
    remedy = f"choose {' or '.join(fitting)}" if fitting else _install(candidates) or "choose another model"
    named = f"{engine}, which LLADA_ENGINE names," if by_variable else engine
    kind = config.kind_among(registry.strangers())
    told = f"{config}, which is {kind}" if kind is not None else str(config)
    message = f"the engine {named} does not take {told}; {remedy}"
    return IncompatibleEngine(message, path=config.path, engine=engine, candidates=fitting)


def no_engine(
    config: ModelConfig,
    registry: Registry,
    candidates: tuple[Candidate, ...],
    by_own_code: tuple[Candidate, ...],
) -> LladaError:
    """None of the engines that take the model can run here, or there is none; ``by_own_code`` are those that
    would run it by the code that it brings, were that trusted."""
    if candidates and candidates[0].installed:
        best = candidates[0]
        reason = best.reason or ""
        message = f"{best.engine} takes {config}, and cannot run here: {reason}"
        return EngineUnavailable(message, name=best.engine, reason=reason)
    kind = config.kind_among(registry.strangers())
    if candidates:
        remedy = _unusable(registry, candidates) or _install(candidates)
        message = f"no installed engine takes {config}; {remedy}"
    elif kind is not None:
        message = f"{config} is {kind}; {_taken(registry)}"
    elif by_own_code:
        message = f"no known engine takes {config}; {_trusting(by_own_code)}"
    else:
        message = f"no known engine takes {config}; {_without_mask(config, registry)}{_taken(registry)}"
    names = [candidate.distribution or candidate.engine for candidate in candidates or by_own_code]
    return UnsupportedModel(message, path=config.path, model_type=config.model_type, candidates=names)


def _install(candidates: tuple[Candidate, ...]) -> str:
    """How to get the candidates that are not installed, or an empty string."""
    missing = [candidate.distribution for candidate in candidates if candidate.distribution]
    return f"pip install {' or '.join(missing)}" if missing else ""


def _unusable(registry: Registry, candidates: tuple[Candidate, ...]) -> str | None:
    """Why the first of the candidates whose wheel is installed cannot be used all the same, or None."""
    return next(filter(None, (registry.unusable(candidate.engine) for candidate in candidates)), None)


def _trusting(by_own_code: tuple[Candidate, ...]) -> str:
    """That the model's own code could be trusted."""
    return (
        f"{by_own_code[0].engine} can run it by the Python code that comes with it: give "
        "trust_remote_code=True (--trust-remote-code) if you trust that code"
    )


def _without_mask(config: ModelConfig, registry: Registry) -> str:
    """What a model lacks that an engine could run by the code that it brings, as the beginning of advice."""
    foreign = [name for name in registry.engines() if registry.engine(name).spec.foreign]
    if not foreign or not config.brings_a_network:
        return ""
    return (
        "if it fills masks, give the id of its mask token as mask_token_id in config.json, so that "
        f"{foreign[0]} can run it by its own code, or "
    )


def _taken(registry: Registry) -> str:
    """What the installed engines take, as advice."""
    specs = [registry.engine(name).spec for name in registry.engines()]
    takes = {spec.name: ", ".join((*spec.model_types, *spec.architectures)) for spec in specs}
    told = "; ".join(f"{name} takes {listed or 'what it is given'}" for name, listed in takes.items())
    empty = registry.why_empty()
    if empty is None:
        return f"choose a model of an installed engine: {told}"
    known = ", ".join(sorted(kind for row in registry.missing_wheels() for kind in row.model_types))
    return f"choose a model of a known type ({known}); {empty}"
