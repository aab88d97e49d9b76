"""``load_model``: detect the engine, load the checkpoint. This module does not know any engine by name."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llada_core import registry
from llada_core.checkpoints.options import LoadOptions
from llada_core.detection import engine_for
from llada_core.errors import EngineUnavailable, ModelNotFound
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.imports import load_target
from llada_core.loading.loaded import LoadedModel
from llada_core.plugins.info import EngineInfo

if TYPE_CHECKING:
    import torch

__all__ = ["embedded_model", "load_model", "load_on"]


def embedded_model() -> str:
    """The folder of the checkpoint that the distribution ``llada-tiny`` holds. Raises ``ModelNotFound``."""
    try:
        folder: str = os.fspath(load_target("llada_tiny:model_path")())
    except ImportError as exc:
        raise ModelNotFound(
            "no model is named and the embedded one is not installed; pip install llada-tiny, "
            "or name a folder or a hub id",
            path="llada-tiny",
        ) from exc
    return folder


def load_model(
    path_or_id: str | os.PathLike[str] | None = None,
    *,
    engine: str | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | str | None = None,
    trust_remote_code: bool = False,
    revision: str | None = None,
) -> LoadedModel:
    """The checkpoint in a folder or under a hub id (None: the embedded one), loaded by the engine that fits.

    ``engine`` overrules detection; ``device`` None is CUDA where there is one; ``dtype`` None is bfloat16 on
    CUDA and float32 elsewhere. The checkpoint's own code is run only under ``trust_remote_code``. Raises
    ``ModelNotFound``, ``ModelLoadError``, ``UnsupportedModel``, ``IncompatibleEngine``, ``UnknownEngine``,
    ``EngineUnavailable`` and ``UsageError``.
    """
    options = LoadOptions(device=device, dtype=dtype, trust_remote_code=trust_remote_code, revision=revision)
    path = embedded_model() if path_or_id is None else os.fspath(path_or_id)
    return load_on(engine_for(path, options, engine=engine), path, options)


def load_on(engine: EngineInfo, path: str, options: LoadOptions) -> LoadedModel:
    """The checkpoint, loaded by an engine that is known to take it. Raises ``ModelNotFound``,
    ``ModelLoadError`` and ``EngineUnavailable``."""
    loader = _loader(engine)
    loader.load_checkpoint(path, options)
    return LoadedModel(loader, engine)


def _loader(engine: EngineInfo) -> GenerationAlgorithm:
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
