"""A trainer's checkpoint made one in the Hugging Face layout, for good.

What is wrong is told before anything is written, and what is written is there whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TYPE_CHECKING

from llada_core.checkpoints.dcp_source import SHARD_BYTES, DcpContents, DcpSource
from llada_core.checkpoints.guard import loading, raised_as
from llada_core.checkpoints.hub import resolve_model
from llada_core.checkpoints.options import DTYPES, LoadOptions
from llada_core.detection import engine_for
from llada_core.errors import (
    EngineUnavailable,
    LladaError,
    ModelLoadError,
    UnsupportedArchitecture,
    UnsupportedModel,
    UsageError,
)
from llada_core.faults import one_line
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.imports import LazyModule, missing_module
from llada_core.loading.load import loader_of
from llada_core.loading.new_folder import NewFolder
from llada_core.machine import amount

if TYPE_CHECKING:
    from llada_core.checkpoints import dcp, dcp_folder, dcp_metadata
    from llada_core.generation import networks
else:
    dcp = LazyModule("llada_core.checkpoints.dcp")
    dcp_folder = LazyModule("llada_core.checkpoints.dcp_folder")
    dcp_metadata = LazyModule("llada_core.checkpoints.dcp_metadata")
    networks = LazyModule("llada_core.generation.networks")

__all__ = ["Conversion"]


class Conversion:
    """What is to be written of a trainer's checkpoint, known to be a whole model and to have room.

    Attributes:
        out: the folder.
        contents: what of the checkpoint is the model.
        checked_by: the engine whose network was asked what it needs; None where no engine here can tell:
            names are then those of the base's weights, or those in the checkpoint.
        files: the files of weights. dtypes: what these are in. size, free: bytes that they take, and that
            there are.
    """

    def __init__(
        self,
        source: DcpSource,
        base: str,
        out: str | os.PathLike[str],
        *,
        engine: str | None = None,
        dtype: str | None = None,
        shard_bytes: int = SHARD_BYTES,
        revision: str | None = None,
    ) -> None:
        """Config, tokenizer and all else are of ``base``, a folder, hub id or wheel at ``revision``.

        ``dtype`` is what weights become, None leaves them; ``shard_bytes`` are those of a file at most, of
        which one may hold a larger tensor alone. Raises ``UsageError`` where ``out`` holds something, and
        else what loading the checkpoint would raise.
        """
        if dtype is not None and dtype not in DTYPES:
            raise UsageError(f"dtype {dtype!r} cannot be written; give one of {', '.join(DTYPES)}")
        _check_installed()
        self._place = NewFolder(out)
        self.out = self._place.path
        options = LoadOptions(revision=revision, dcp=source)
        folder = resolve_model(base, revision=revision, weights=False, code=True)
        loader, name = _loader(base, options, engine)
        with dcp_metadata.read_once():
            tensors = dcp.DcpTensors(source)
            contents = None if loader is None else _checked(loader, base, folder, options)
        self.checked_by = None if contents is None else name
        self.contents: DcpContents = contents or tensors.find(*_names(loader, folder))
        self._folder = dcp_folder.DcpFolder(
            tensors, self.contents, folder, dtype=dtype, shard_bytes=shard_bytes
        )
        self.files, self.size, self.dtypes = self._folder.files, self._folder.size, self._folder.dtypes
        self.free = self._folder.check_room(self._place.disk, "free some, or write elsewhere")

    @property
    def told(self) -> str:
        """What will be written where, in one line."""
        count = len(self.files)
        return (
            f"{self.out}: {amount(self.size)} of {' and '.join(self.dtypes)} in {count} "
            f"file{'' if count == 1 else 's'}, where {amount(self.free)} are free"
        )

    def write(self, *, told: Callable[[int], object] | None = None) -> None:
        """Write it into a hidden folder, which becomes ``out`` once it is whole; or whose files go there,
        where that is there already. What goes wrong leaves nothing behind.

        ``told`` is called with 1 for every file of weights that is complete. Raises ``ModelLoadError``.
        """
        with raised_as(self._unwritten), self._place.filled() as folder:
            self._folder.write(folder, told=told)

    def _unwritten(self, exc: BaseException) -> ModelLoadError:
        reason = f"it cannot be written to {self.out} ({one_line(exc)}); give a folder that can be written"
        path = self.contents.path
        return ModelLoadError(f"{path} is not converted: {reason}", path=path, reason=reason)


def _loader(
    base: str, options: LoadOptions, engine: str | None
) -> tuple[GenerationAlgorithm | None, str | None]:
    """What would load the model, and the name of its engine; none where no engine here knows it."""
    try:
        chosen = engine_for(base, options, engine=engine)
        return loader_of(chosen), chosen.name
    except (EngineUnavailable, UnsupportedModel):
        if engine is not None:
            raise
        return None, None


def _checked(
    loader: GenerationAlgorithm, base: str, folder: Path, options: LoadOptions
) -> DcpContents | None:
    """What the network needs, known to be there; None where it does not tell, or its engine does not
    implement this variant of the model."""
    with loading(base):
        loader.tensor_names(folder)  # a config that is wrong is the base's fault
    try:
        return loader.checked_dcp(folder, options)
    except ModelLoadError as exc:
        if isinstance(exc.__cause__, UnsupportedArchitecture):
            return None
        raise


def _names(loader: GenerationAlgorithm | None, folder: Path) -> tuple[Collection[str], ...]:
    """The names of the model's tensors: of a network that reads no such checkpoint, or as the base tells."""
    names = None if loader is None else loader.tensor_names(folder)
    return (dcp_folder.names_in_base(folder), ()) if names is None else (names,)


def _check_installed() -> None:
    """Refuse to begin without what reads and writes weights."""
    missing = [name for name in ("torch", "safetensors") if missing_module(f"{name}:")]
    if missing:
        raise LladaError(f"converting needs {' and '.join(missing)}; pip install {' '.join(missing)}")
    networks.check_distributed()
