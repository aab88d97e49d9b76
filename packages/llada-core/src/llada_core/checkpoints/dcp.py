"""The tensors in a ``torch.distributed.checkpoint`` folder, whichever and however many ranks wrote it.

What there is, its metadata say; numbers are read on demand, in one process, into the tensors that want them.
Imported only where torch is: through ``LazyModule``, or by a runtime.
"""

from __future__ import annotations

import pickle
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn

import torch
from torch import Tensor
from torch.distributed import checkpoint as dcp
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex, TensorStorageMetadata
from torch.distributed.checkpoint.planner_helpers import create_read_items_for_chunk_list

from llada_core.checkpoints.contents import is_dcp, meant_inside
from llada_core.checkpoints.dcp_metadata import Reader, refusal
from llada_core.checkpoints.dcp_source import DcpContents, DcpSource
from llada_core.checkpoints.guard import raised_as
from llada_core.checkpoints.places import local_folder, model_name, shown
from llada_core.checkpoints.prefixes import AmbiguousPrefix, names_in_model
from llada_core.errors import ModelLoadError, ModelNotFound, UsageError
from llada_core.faults import one_line
from llada_core.names import some

__all__ = ["DcpTensors"]

_NO_OFFSETS: Mapping[str, tuple[int, ...]] = MappingProxyType({})


class DcpTensors:
    """The tensors in the folder that ``source`` names; numbers stay on the disk until they are asked for.

    Raises ``ModelNotFound`` where it is no such folder, and ``ModelLoadError`` where its metadata cannot be
    read, or name what could run code.

    Attributes:
        folder: where they are.
        facts: size, dtype and chunks of each tensor, by its stored name.
    """

    def __init__(self, source: DcpSource) -> None:
        self._source = source
        self.folder = _folder_of(source)
        self._reader = Reader(self.folder)
        metadata = self._reader.read_metadata()
        with raised_as(
            lambda exc: self._refusal(f"its .metadata are damaged ({one_line(exc)}); save it again")
        ):
            self._reader.set_up_storage_reader(metadata, is_coordinator=True)
            stored = dict(metadata.state_dict_metadata)
        self.facts: Mapping[str, TensorStorageMetadata] = {
            name: facts for name, facts in stored.items() if isinstance(facts, TensorStorageMetadata)
        }
        self._values = tuple(sorted(stored.keys() - self.facts.keys()))
        if not self.facts:
            raise self._refusal("it holds no tensors; give the checkpoint of a model")

    def find(self, *candidates: Collection[str]) -> DcpContents:
        """The tensors that are a model's, by the names that it gives them.

        Of several ``candidates`` the first counts by which some are found; one that is empty, which says that
        nobody knows the names, finds them by what trainers put before names. Raises ``ModelLoadError`` where
        there are none, or one of them is not there whole, and ``UsageError`` where the model is there several
        times.
        """
        found = next(filter(None, map(self._named, candidates)), None)
        if found is None:
            raise self._strange(candidates[0])
        counts = Counter(found.values())
        twice = [name for name in found if counts[found[name]] > 1]
        if twice:
            raise self._refusal(
                f"it holds {found[twice[0]]} several times, as {some(twice)}; save the model once"
            )
        self._check_whole(found)
        left_out = tuple(sorted(self.facts.keys() - found))
        return DcpContents(path=str(self.folder), names=found, left_out=left_out, values=self._values)

    def dtype(self, name: str) -> torch.dtype:
        """What the numbers of the tensor are stored as."""
        dtype: torch.dtype = self.facts[name].properties.dtype
        return dtype

    def shape(self, name: str) -> tuple[int, ...]:
        """The shape of the whole tensor, whoever stored which part."""
        return tuple(self.facts[name].size)

    def read(self, name: str) -> Tensor:
        """A copy of the tensor, on the CPU."""
        tensor = torch.empty(self.shape(name), dtype=self.dtype(name))
        self.read_into({name: tensor})
        return tensor

    def read_into(
        self, targets: Mapping[str, Tensor], offsets: Mapping[str, tuple[int, ...]] = _NO_OFFSETS
    ) -> None:
        """Fill each target with the tensor of its stored name, casting as needed; chunk by chunk, so that no
        more than the largest one is held beside.

        A target with ``offsets`` is the piece of its shape that begins there: only the chunks that have a
        part in it are read. Raises ``ModelLoadError``.
        """
        items = []
        for name, target in targets.items():
            first = offsets.get(name, (0,) * target.dim())
            wanted = ChunkStorageMetadata(offsets=torch.Size(first), sizes=target.size())
            items += create_read_items_for_chunk_list(name, self.facts[name], [wanted])
        told = "its weights cannot be read"
        with (
            raised_as(lambda exc: self._refusal(f"{told} ({_reason(exc)}); save it again")),
            torch.no_grad(),
        ):
            self._reader.read_data(dcp.LoadPlan(items), _Into(targets)).wait()

    def _named(self, known: Collection[str]) -> dict[str, str]:
        """The names to be read, each with its name in the model; empty where none is one of the ``known``."""
        try:
            return names_in_model(self.facts, known, prefix=self._source.behind)
        except AmbiguousPrefix as exc:
            raise UsageError(
                f"{self.folder} holds the model several times, under {exc}; give the prefix of the one that "
                f"you mean, such as prefix={exc.prefixes[0]!r} (--dcp-prefix {exc.prefixes[0]!r})"
            ) from exc

    def _strange(self, known: Collection[str]) -> ModelLoadError:
        where = "" if self._source.prefix is None else f" behind the prefix {self._source.prefix!r}"
        wanted = f" ({some(known)})" if known else ""
        return self._refusal(
            f"none of its tensors ({some(self.facts)}) is one of the model's{wanted}{where}; "
            "give the base model that it was trained from"
        )

    def _check_whole(self, names: Iterable[str]) -> None:
        """Refuse tensors of which chunks or files are missing: torch would leave there what is in memory."""
        wanted = set(names)
        for name in sorted(wanted):
            facts = self.facts[name]
            held, size = sum(prod(chunk.sizes) for chunk in facts.chunks), facts.size.numel()
            if held != size:
                raise self._refusal(
                    f"it holds {held} of the {size} numbers of {name}; save it again, with all ranks"
                )
        ends: dict[str, int] = {}
        for index, place in self._reader.storage_data.items():
            if index.fqn in wanted:
                ends[place.relative_path] = max(ends.get(place.relative_path, 0), place.offset + place.length)
        for file, end in sorted(ends.items()):
            self._check_file(file, end)

    def _check_file(self, name: str, size: int) -> None:
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise self._refusal(f"its numbers are to be in {name}, outside of it; save it again")
        try:
            held = (self.folder / name).stat().st_size
        except OSError as exc:
            said = f"its file {name} cannot be read ({exc.strerror})"
            raise self._refusal(f"{said}; copy the files of all ranks into one folder") from exc
        if held < size:
            raise self._refusal(f"its file {name} has {held} of {size} bytes; copy it again")

    def _refusal(self, reason: str) -> ModelLoadError:
        return refusal(self.folder, reason)


_NAMED = re.compile(r"(?:GLOBAL|class|Unsupported (?:global|class))[: ]+`?([\w.]+)")


def _reason(exc: BaseException) -> str:
    """What was wrong with numbers. Torch's advice to read pickles with their code is not passed on."""
    if not isinstance(exc, pickle.UnpicklingError) and "weights_only" not in str(exc):
        return one_line(exc)
    named = _NAMED.search(str(exc))
    if named is None:
        return "they are no tensors as torch.save writes them"
    return f"they name {named[1]}, which no tensor has need of and which could run code: nothing of it is run"


class _Into(dcp.DefaultLoadPlanner):  # type: ignore[misc]  # torch has no types for it
    """Says where the numbers go: into the targets themselves."""

    def __init__(self, targets: Mapping[str, Tensor]) -> None:
        super().__init__()
        self._targets = targets

    def lookup_tensor(self, index: MetadataIndex) -> Tensor:
        return self._targets[index.fqn]

    def load_bytes(self, read_item: dcp.ReadItem, value: object) -> NoReturn:
        """Refuse what is no tensor, which torch would unpickle whole; nothing here asks for any."""
        raise AssertionError(f"{read_item.storage_index.fqn} is no tensor")


_REMEDY = "give the folder that dcp.save wrote"


def _folder_of(source: DcpSource) -> Path:
    """The folder of a checkpoint. Raises ``ModelNotFound`` where it is none."""
    name = model_name(source.path)
    folder = local_folder(name, instead=_REMEDY)
    assert folder is not None, "none is of the hub"
    if not is_dcp(folder):
        told = meant_inside(folder, "*/.metadata")
        if (folder / "config.json").is_file():
            told = "it is in the Hugging Face layout; load it with load_model_from_hf, or by --model"
        raise ModelNotFound(
            f"{shown(name)} is not a torch.distributed checkpoint (it has no .metadata file); "
            f"{told or _REMEDY}",
            path=name,
        )
    return folder
