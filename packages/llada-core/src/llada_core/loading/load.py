"""``load_model``: detect the engine, load the checkpoint. This module does not know any engine by name."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from llada_core import registry
from llada_core.checkpoints.dcp_source import DcpSource
from llada_core.checkpoints.hub import read_config
from llada_core.checkpoints.options import LoadOptions
from llada_core.checkpoints.places import model_name
from llada_core.detection import EngineSkipped, engine_by_own_code, engine_for, is_named
from llada_core.errors import EngineUnavailable, ModelLoadError, ModelNotFound, UnsupportedArchitecture
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.imports import load_target
from llada_core.loading.loaded import LoadedModel
from llada_core.plugins.info import EngineInfo

if TYPE_CHECKING:
    import torch

__all__ = ["embedded_model", "load_dcp", "load_model", "load_on", "loader_of", "named_model"]


def embedded_model() -> str:
    """The folder of the checkpoint that the distribution ``llada-tiny`` holds. Raises ``ModelNotFound``."""
    try:
        folder: str = os.fspath(load_target("llada_tiny:model_path")())
    except ImportError as exc:
        raise ModelNotFound(
            "no model is named and the embedded one is not installed; pip install llada-tiny, "
            "or name a folder, a hub id or another wheel that holds one",
            path="llada-tiny",
        ) from exc
    return folder


def named_model(path_or_id: str | os.PathLike[str] | None) -> str:
    """The name that a caller means, of a folder, a hub id or a wheel; None is the embedded model.

    Raises ``UsageError`` for what can name no model, and ``ModelNotFound`` as ``embedded_model``.
    """
    return embedded_model() if path_or_id is None else model_name(path_or_id)


def load_model(
    path_or_id: str | os.PathLike[str] | None = None,
    *,
    engine: str | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = None,
    trust_remote_code: bool = False,
    revision: str | None = None,
    quantization: str | None = None,
    tensor_parallel: int = 1,
) -> LoadedModel:
    """The checkpoint in a folder, under a hub id or in a wheel (None: the embedded one), loaded by the engine
    that fits.

    A folder of that name wins over the others; ``~`` is expanded. ``engine`` overrules detection; ``device``
    None is CUDA where there is one; ``dtype`` None is bfloat16 on CUDA and float32 elsewhere. The
    checkpoint's own code is run only under ``trust_remote_code``: then a masked model that no engine knows
    is run by it, slower. ``revision`` is of a hub id. ``quantization`` "fp8" or "int8" puts weights in eight
    bits, where the engine can. ``tensor_parallel`` splits the network between so many GPUs, each with a
    process of its own, which end when the model is closed or this process does. Raises ``ModelNotFound``,
    ``ModelLoadError``, ``UnsupportedModel``, ``IncompatibleEngine``, ``UnknownEngine``,
    ``EngineUnavailable`` and ``UsageError``.
    """
    options = LoadOptions(
        device=device,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        revision=revision,
        quantization=quantization,
        tensor_parallel=tensor_parallel,
    )
    path = named_model(path_or_id)
    return load_on(engine_for(path, options, engine=engine), path, options, named=is_named(engine))


def load_dcp(
    dcp_path: str | os.PathLike[str],
    base_model: str | os.PathLike[str],
    *,
    engine: str | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = None,
    trust_remote_code: bool = False,
    revision: str | None = None,
    quantization: str | None = None,
    tensor_parallel: int = 1,
    prefix: str | None = None,
    temp_dir: str | os.PathLike[str] | None = None,
) -> LoadedModel:
    """The base model with weights that a trainer wrote by ``torch.distributed.checkpoint``.

    ``prefix`` and ``temp_dir`` are those of ``GenerationAlgorithm.load_model_from_dcp``, the others those of
    ``load_model`` for the base, which has to be named. ``LoadedModel.dcp`` tells what was read.
    Of the pickles that the format keeps no code is run. Raises as ``load_model``.
    """
    options = LoadOptions(
        device=device,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        revision=revision,
        quantization=quantization,
        tensor_parallel=tensor_parallel,
        dcp=DcpSource(path=dcp_path, prefix=prefix, temp_dir=temp_dir),
    )
    base = model_name(base_model)
    return load_on(engine_for(base, options, engine=engine), base, options, named=is_named(engine))


def load_on(engine: EngineInfo, path: str, options: LoadOptions, *, named: bool = True) -> LoadedModel:
    """The checkpoint, loaded by an engine that is known to take it; with ``options.dcp``, the weights there
    on ``path`` as their base.

    Where that engine does not implement the model and its own code is trusted, an engine for such models
    loads it, with the warning ``EngineSkipped``, unless the first was ``named`` by somebody. Raises
    ``ModelNotFound``, ``ModelLoadError`` and ``EngineUnavailable``.
    """
    loader = loader_of(engine)
    try:
        loader.load_checkpoint(path, options)
    except ModelLoadError as exc:
        other = None if engine.spec.foreign else _engine_for_own_code(exc, path, options)
        if other is None:
            raise
        if named or not options.trust_remote_code:
            raise _advising(exc, other, named=named) from exc.__cause__
        message = f"{path} is given to {other}: {engine.name} does not implement it: {exc.reason}"
        warnings.warn(message, EngineSkipped, stacklevel=3)
    else:
        return LoadedModel(loader, engine)
    return load_on(registry.get_engine(other), path, options)


def _advising(exc: ModelLoadError, other: str, *, named: bool) -> ModelLoadError:
    """The same error with the advice to let the engine ``other`` run the model by its own code."""
    python = "trust_remote_code=True" if not named else f"engine={other!r} and trust_remote_code=True"
    program = "--trust-remote-code" if not named else f"--engine {other} --trust-remote-code"
    reason = (
        f"{exc.reason}; {other} can run it by the Python code that comes with it: give {python} ({program}) "
        "if you trust that code"
    )
    return ModelLoadError(f"{exc.path} cannot be loaded: {reason}", path=exc.path, reason=reason)


def _engine_for_own_code(exc: ModelLoadError, path: str, options: LoadOptions) -> str | None:
    """The engine that can run the model by its own code, where its own engine does not implement it."""
    if not isinstance(exc.__cause__, UnsupportedArchitecture):
        return None
    return engine_by_own_code(read_config(path, revision=options.revision))


def loader_of(engine: EngineInfo) -> GenerationAlgorithm:
    """The first algorithm of ``engine`` that can run here, its default before others: each loads its models.

    None behind it is imported.
    """
    reason = None
    for name in dict.fromkeys((engine.default_algorithm, *engine.algorithms)):
        algorithm = registry.get_algorithm(name)
        if algorithm.is_available():
            return algorithm
        reason = reason or algorithm.unavailable_reason
    message = f"the engine {engine.name} cannot run here: {reason}"
    raise EngineUnavailable(message, name=engine.name, reason=reason or "")
