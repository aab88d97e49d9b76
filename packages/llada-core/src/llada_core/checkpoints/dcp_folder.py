"""What ``torch.distributed.checkpoint`` wrote, written in the Hugging Face layout, a shard at a time.

For good, or into a temporary folder for a loader that reads nothing else. Imported only through
``LazyModule``: it needs torch and safetensors.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from llada_core.checkpoints.dcp import DcpTensors
from llada_core.checkpoints.dcp_metadata import refusal
from llada_core.checkpoints.dcp_source import SHARD_BYTES, DcpContents, DcpSource
from llada_core.checkpoints.guard import raised_as
from llada_core.errors import ModelError, ModelLoadError, UsageError
from llada_core.faults import one_line
from llada_core.machine import amount

__all__ = ["DcpFolder", "as_hf_folder", "names_in_base"]

_SINGLE, _INDEX = "model.safetensors", "model.safetensors.index.json"
# What of a base model's folder goes with new weights: config, tokenizer, templates, code, and its papers.
_SETTINGS = (
    "*.json", "*.jinja", "*/*.jinja", "*.model", "*.tiktoken", "*.txt", "*.py",
    "LICENSE*", "NOTICE*", "README*",
)  # fmt: skip
_OF_WEIGHTS = "*.index.json"
_META = {"format": "pt"}
_DTYPE_FIELDS = ("torch_dtype", "dtype")  # of config.json, by transformers 4 and 5


class DcpFolder:
    """The tensors of a model, of ``contents``, to be written into a folder in the Hugging Face layout.

    Attributes:
        size: bytes that they take.
        files: the names of the files of weights.
        dtypes: what they are, by torch's names without ``torch.``.
    """

    def __init__(
        self,
        tensors: DcpTensors,
        contents: DcpContents,
        base: Path,
        *,
        dtype: str | None = None,
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        """``base`` has all else that goes into the folder. ``dtype`` is what floating-point numbers become,
        by torch's name, None leaves them; ``shard_bytes`` are those of a file of several tensors at most."""
        self._tensors, self._contents, self._base = tensors, contents, base
        self._wanted: torch.dtype | None = None if dtype is None else getattr(torch, dtype)
        shards = list(self._shards(shard_bytes))
        count = len(shards)
        numbered = [f"model-{number:05d}-of-{count:05d}.safetensors" for number in range(1, count + 1)]
        self.files = tuple(numbered) if count > 1 else (_SINGLE,)
        self._of_file = dict(zip(self.files, shards, strict=True))
        self.size = sum(map(self._bytes, contents.names))
        used = {self._dtype(name) for name in contents.names}
        self.dtypes = tuple(sorted(str(each).removeprefix("torch.") for each in used))
        self._floating = {each for each in used if each.is_floating_point}
        self._settings = tuple(_settings(base))

    def check_room(self, folder: Path, remedy: str) -> int:
        """Bytes that are free where ``folder`` is. Raises ``ModelLoadError`` where more is needed, for the
        weights and what is copied of the base."""
        free = shutil.disk_usage(folder).free
        wanted = self.size + sum(file.stat().st_size for file in self._settings)
        if free < wanted:
            raise refusal(
                self._tensors.folder,
                f"it takes {amount(wanted)}, and {folder} has {amount(free)} free; {remedy}",
            )
        return free

    def write(self, folder: Path, *, told: Callable[[int], object] | None = None) -> None:
        """Write into an existing ``folder``; ``told`` is called with 1 when a file of weights is complete.

        May raise ``OSError`` besides what reading raises.
        """
        self._copy_settings(folder)
        weight_map = {}
        for file, stored in self._of_file.items():
            save_file({self._contents.names[name]: self._read(name) for name in stored}, folder / file, _META)
            shutil.copymode(folder / "config.json", folder / file)  # it is the owner's alone
            weight_map.update({self._contents.names[name]: file for name in stored})
            if told is not None:
                told(1)
        if len(self.files) > 1:
            index = {"metadata": {"total_size": self.size}, "weight_map": weight_map}
            (folder / _INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")

    def _copy_settings(self, folder: Path) -> None:
        for file in self._settings:
            place = folder / file.relative_to(self._base)
            place.parent.mkdir(exist_ok=True)
            shutil.copyfile(file, place)
        if len(self._floating) == 1:
            (dtype,) = self._floating
            _say_dtype(folder / "config.json", str(dtype).removeprefix("torch."))

    def _read(self, name: str) -> torch.Tensor:
        tensor = torch.empty(self._tensors.shape(name), dtype=self._dtype(name))
        self._tensors.read_into({name: tensor})
        return tensor

    def _dtype(self, name: str) -> torch.dtype:
        stored = self._tensors.dtype(name)
        return self._wanted if self._wanted is not None and stored.is_floating_point else stored

    def _bytes(self, name: str) -> int:
        size: int = self._dtype(name).itemsize
        return size * prod(self._tensors.shape(name))

    def _shards(self, room: int) -> Iterator[list[str]]:
        shard: list[str] = []
        left = room
        for name in self._contents.names:
            size = self._bytes(name)
            if shard and size > left:
                yield shard
                shard, left = [], room
            shard.append(name)
            left -= size
        yield shard


@contextmanager
def as_hf_folder(
    source: DcpSource, base: Path, *, names: Collection[str] | None = None
) -> Iterator[tuple[Path, DcpContents]]:
    """A temporary folder with the weights of ``source`` and all else of ``base``, removed on leaving; and
    what the weights are.

    ``names`` are those of the model's tensors, and tell where in the checkpoint the model is. With None, the
    weights in ``base`` are asked for names, and where these do not help the names in the checkpoint itself.
    What is not the model's is left out. Errors of loading that are raised inside name the checkpoint or
    ``base``.

    Raises ``ModelNotFound`` where there is no such checkpoint, ``ModelLoadError`` where it cannot be read or
    holds none of the model's tensors, and ``UsageError`` where it holds the model several times.
    """
    tensors = DcpTensors(source)
    contents = tensors.find(*((names_in_base(base), ()) if names is None else (names,)))
    made = DcpFolder(tensors, contents, base)
    with _scratch(source.temp_dir) as folder:
        remedy = "give a temp_dir (--temp-dir) with room for the model"
        made.check_room(folder.parent, remedy)
        with raised_as(
            lambda exc: refusal(
                tensors.folder, f"it cannot be copied to {folder.parent} ({one_line(exc)}); {remedy}"
            )
        ):
            made.write(folder)
        with _named_by_source(folder, tensors.folder, base):
            yield folder, contents


def names_in_base(base: Path) -> Collection[str]:
    """The tensor names of the base model, as far as its folder tells them; empty where it has no weights."""
    try:
        if not (base / _SINGLE).is_file() and (base / _INDEX).is_file():
            return set(json.loads((base / _INDEX).read_text(encoding="utf-8"))["weight_map"])
        names: set[str] = set()
        for file in base.glob("*.safetensors"):
            with safe_open(file, framework="pt") as tensors:
                names.update(tensors.keys())
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as exc:
        reason = f"the names of its tensors cannot be read ({exc}); replace the weights, or remove them"
        raise ModelLoadError(f"{base}: {reason}", path=str(base), reason=reason) from exc
    return names


@contextmanager
def _scratch(temp_dir: str | os.PathLike[str] | None) -> Iterator[Path]:
    """A new folder in ``temp_dir``, removed on leaving. Raises ``UsageError`` where none can be made."""
    try:
        made = tempfile.TemporaryDirectory(prefix="llada-dcp-", dir=temp_dir)
    except (OSError, TypeError, ValueError) as exc:
        message = f"temp_dir={temp_dir!r} takes no folder ({exc}); give one that can be written"
        raise UsageError(message) from exc
    with made as folder:
        yield Path(folder)


@contextmanager
def _named_by_source(made: Path, source: Path, base: Path) -> Iterator[None]:
    """Let errors of loading name the folders that the caller gave: the one that was made is gone."""

    def told(text: str) -> str:
        text = re.sub(rf"{re.escape(str(made))}/model[-.][\w.-]*", str(source), text)
        text = re.sub(rf"{re.escape(str(made))}/(?=\w)", f"{base}/", text)
        return text.replace(str(made), str(source))

    try:
        yield
    except ModelError as exc:
        exc.args = tuple(told(arg) if isinstance(arg, str) else arg for arg in exc.args)
        exc.path = told(exc.path)
        if isinstance(exc, ModelLoadError):
            exc.reason = told(exc.reason)
        raise


def _settings(base: Path) -> Iterator[Path]:
    """The files of a base model that are copied: nothing hidden, no weights, and nothing unheard of."""
    for file in sorted({found for pattern in _SETTINGS for found in base.glob(pattern)}):
        hidden = any(part.startswith(".") for part in file.relative_to(base).parts)
        if not hidden and not file.match(_OF_WEIGHTS) and file.is_file():
            yield file


def _say_dtype(config: Path, dtype: str) -> None:
    """Let ``config.json`` say what the weights are, where it says something else of it."""
    fields = json.loads(config.read_text(encoding="utf-8"))
    wrong = [field for field in _DTYPE_FIELDS if fields.get(field, dtype) != dtype]
    if wrong:
        config.write_text(
            json.dumps({**fields, **dict.fromkeys(wrong, dtype)}, indent=2) + "\n", encoding="utf-8"
        )
