"""Where a checkpoint's files are: a local folder, or the cache of the Hugging Face hub.

The hub's own variables are honoured: ``HF_HOME``, ``HF_HUB_OFFLINE``, ``HF_TOKEN``. Knows nothing of what is
in the files, but that one of them is the config.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from llada_core.checkpoints.config import ModelConfig, read_fields
from llada_core.checkpoints.guard import raised_as
from llada_core.checkpoints.mask import TOKENIZER_SETTINGS, mask_token_id
from llada_core.checkpoints.places import check_config, local_folder, model_name
from llada_core.errors import CheckpointError, ModelNotFound
from llada_core.faults import one_line
from llada_core.imports import load_target

__all__ = ["read_config", "read_mask_token_id", "resolve_model"]

_SETTINGS = ("*.json", "*.jinja", "*.model", "*.txt", "*.tiktoken")
_WEIGHTS = ("*.safetensors",)
_CODE = ("*.py",)


def resolve_model(
    path_or_id: str | os.PathLike[str],
    *,
    revision: str | None = None,
    weights: bool = True,
    code: bool = False,
) -> Path:
    """The local folder of a checkpoint, downloaded first where ``path_or_id`` is a hub id that is not cached.

    A folder of that name wins over a hub id; ``~`` is expanded. ``weights=False`` leaves the safetensors out;
    ``code=True`` brings the repository's Python files along. Raises ``ModelNotFound`` where there is nothing,
    or no ``config.json`` in it, and ``UsageError`` for what can name no model and for a ``revision`` of a
    folder.
    """
    name = model_name(path_or_id)
    folder = local_folder(name, revision=revision)
    if folder is None:
        patterns = (*_SETTINGS, *(_WEIGHTS if weights else ()), *(_CODE if code else ()))
        folder = _download(name, patterns, revision)
    check_config(name, folder)
    return folder


def read_config(path_or_id: str | os.PathLike[str], *, revision: str | None = None) -> ModelConfig:
    """The config of a folder, hub id or wheel, for which no other file is read or fetched. Raises as
    ``resolve_model`` does."""
    name = model_name(path_or_id)
    folder = local_folder(name, revision=revision) or _download(name, ("config.json",), revision)
    check_config(name, folder)
    try:
        return ModelConfig(path=name, fields=read_fields(folder), revision=revision)
    except CheckpointError as exc:
        raise ModelNotFound(f"{name} is no checkpoint: {exc}", path=name) from exc


def read_mask_token_id(config: ModelConfig) -> int | None:
    """The id of the mask token by the model's config or its tokenizer's files, which are fetched where need
    be; None where neither tells."""
    told = mask_token_id(config.fields, None)
    if told is not None:
        return told
    try:
        folder = local_folder(config.path, revision=config.revision)
        folder = folder or _download(config.path, TOKENIZER_SETTINGS, config.revision)
    except ModelNotFound:  # the hub cannot be asked now
        return None
    return mask_token_id(config.fields, folder)


def _download(model_id: str, patterns: Iterable[str], revision: str | None) -> Path:
    try:
        # For a single file too: without a network, hf_hub_download retries for half a minute.
        snapshot_download = load_target("huggingface_hub:snapshot_download")
    except ImportError as exc:
        remedy = "pip install huggingface_hub, or give an existing folder"
        message = f"there is no folder {model_id}, and hub ids need huggingface_hub: {remedy}"
        raise ModelNotFound(message, path=model_id) from exc
    # Which HTTP client's errors come through depends on the hub's version.
    with raised_as(lambda exc: ModelNotFound(_explain(model_id, revision, exc), path=model_id)):
        return Path(snapshot_download(model_id, revision=revision, allow_patterns=list(patterns)))


def _explain(model_id: str, revision: str | None, exc: BaseException) -> str:
    kinds = {kind.__name__ for kind in type(exc).__mro__}
    where = f"{model_id} at revision {revision}" if revision else model_id
    if "GatedRepoError" in kinds:
        return f"{where} is gated; accept its terms on huggingface.co and set HF_TOKEN"
    if "RevisionNotFoundError" in kinds:
        return f"{model_id} has no revision {revision}; name one of its branches, tags or commits"
    if "RepositoryNotFoundError" in kinds:
        remedy = "check the spelling, or set HF_TOKEN if it is private"
        return f"{where} is neither a folder nor on the hub; {remedy}"
    if "LocalEntryNotFoundError" in kinds and load_target("huggingface_hub.constants:HF_HUB_OFFLINE"):
        return (
            f"{where} is neither a folder nor in the hub's cache, and HF_HUB_OFFLINE is set; "
            "unset it, or give an existing folder"
        )
    if "LocalEntryNotFoundError" in kinds:
        return (
            f"{where} is neither a folder nor in the hub's cache, and the hub cannot be reached; "
            "give an existing folder, or check the connection"
        )
    return f"{where} could not be fetched from the hub ({one_line(exc)}); give an existing folder"
