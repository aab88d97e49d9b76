"""What a checkpoint says of decoding in its ``generation_config.json``, checked."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import transformers
from transformers.models.diffusion_gemma.generation_diffusion_gemma import (
    DiffusionGemmaGenerationConfig,
    EntropyBoundSamplerConfig,
)

from llada_core import CheckpointError, ParameterError
from llada_core.checkpoints import read_fields
from llada_core.checkpoints.guard import raised_as
from llada_core.faults import one_line

from .plugin import PARAMETERS, PUBLISHED

__all__ = ["check_file", "check_told"]

_FILE = "generation_config.json"
_SAMPLER = EntropyBoundSamplerConfig.__name__
_NAMES = {"gen_length": "max_new_tokens", "entropy_bound": "sampler_config.entropy_bound"}
_KNOWN = {each.name: each for each in PARAMETERS if each.name in PUBLISHED}


def check_file(folder: Path) -> None:
    """Refuse a file whose values the class would not take, or take and stumble over while it decodes.

    There need not be one. Raises ``CheckpointError``, which names the file and the field.
    """
    if not (folder / _FILE).exists():
        return
    fields = read_fields(folder, _FILE)
    sampler = fields.get("sampler_config")
    if sampler is not None and (
        not isinstance(sampler, Mapping)
        or sampler.get("_cls_name") != _SAMPLER
        or not sampler.keys() <= {"_cls_name", "entropy_bound"}
    ):
        raise CheckpointError(
            f"{folder / _FILE}: sampler_config is {reprlib.repr(sampler)}; it must hold an entropy_bound and "
            f"_cls_name {_SAMPLER!r}, the sampler that transformers {transformers.__version__} has"
        )
    told = {name: fields.get(_NAMES.get(name, name)) for name in PUBLISHED}
    told["entropy_bound"] = None if sampler is None else sampler.get("entropy_bound")
    if sampler is not None and told["entropy_bound"] is None:
        raise CheckpointError(f"{folder / _FILE}: sampler_config has no entropy_bound; give a number above 0")
    check_told(told, where=str(folder / _FILE))
    _check_floats(folder / _FILE, told)
    with raised_as(lambda exc: _refused(folder / _FILE, exc)):
        DiffusionGemmaGenerationConfig.from_pretrained(str(folder), local_files_only=True)


def check_told(told: Mapping[str, Any], *, where: str = _FILE) -> None:
    """Refuse values, by the names of parameters, that the parameters would not take; None is nothing said.

    Raises ``CheckpointError``, which tells the field by its published name and ``where`` it stands.
    """
    for name, value in told.items():
        if value is None:
            continue
        try:
            _KNOWN[name].check(value)
        except ParameterError as exc:
            raise CheckpointError(
                f"{where}: {_NAMES.get(name, name)} is {reprlib.repr(value)}; it must be "
                f"{_KNOWN[name].expected.removesuffix(', or none')}: correct it"
            ) from exc
    low, high = (PUBLISHED[name] if told[name] is None else told[name] for name in ("t_min", "t_max"))
    if high <= low:
        raise CheckpointError(
            f"{where}: t_max ({high!r}) is not above t_min ({low!r}), and the temperature falls from one to "
            "the other; correct them"
        )


def _check_floats(file: Path, told: Mapping[str, Any]) -> None:
    """Refuse whole numbers where transformers wants a point in them, and says something else."""
    for name in ("entropy_bound", "confidence_threshold"):
        if type(told[name]) is int:
            raise CheckpointError(
                f"{file}: {_NAMES.get(name, name)} is {told[name]}, and transformers "
                f"{transformers.__version__} takes a float there; write {told[name]}.0"
            )


def _refused(file: Path, exc: BaseException) -> CheckpointError:
    return CheckpointError(
        f"{file}: transformers {transformers.__version__} cannot read it ({one_line(exc)}); correct it, or "
        "see the model card for the version that it needs"
    )
