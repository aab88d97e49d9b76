"""What a caller gives for a model: the name of a folder or wheel, or a hub id. Nothing is downloaded here."""

from __future__ import annotations

import os
import re
import reprlib
import stat
from pathlib import Path

from llada_core.checkpoints.contents import other_contents
from llada_core.checkpoints.embedded import embedded_folder, embedded_names
from llada_core.errors import ModelNotFound, UsageError
from llada_core.names import closest

__all__ = ["check_config", "local_folder", "model_name", "shown", "surely_a_model"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_HUB_PAGE = re.compile(r"(https?://)?(www\.)?(huggingface\.co|hf\.co)/(?P<id>[^/]+/[^/?#]+).*")
_EXAMPLE = "a hub id such as GSAI-ML/LLaDA-8B-Instruct"


def model_name(model: object) -> str:
    """The name of a model as text, of a ``str`` or ``os.PathLike``. Raises ``UsageError`` for all else."""
    try:
        name: object = os.fspath(model)  # type: ignore[call-overload]  # anything may be given
    except TypeError:
        name = None
    if not isinstance(name, str):
        raise UsageError(
            f"{reprlib.repr(model)} names no model; give a folder, as str or os.PathLike, or {_EXAMPLE}"
        )
    if not name.strip():
        raise UsageError(f"the name of the model is empty; give a folder or {_EXAMPLE}, or leave it out")
    return name


def local_folder(name: str, *, revision: str | None = None, instead: str | None = None) -> Path | None:
    """The folder called ``name``, ``~`` expanded as a shell does, or that of the model which the wheel
    ``name`` holds; None where only the hub can have it.

    Where ``instead`` says which folder is wanted, no wheel and no hub has such ones.

    Raises ``ModelNotFound`` where none can, and ``UsageError`` where a folder is to have a ``revision``.
    """
    path = os.path.expanduser(name)
    mode = _mode(name, path)
    if mode is None:
        if instead is not None:
            raise ModelNotFound(f"there is no folder {shown(name)}; {instead}", path=name)
        embedded = embedded_folder(name)
        if embedded is None:
            _check_hub_id(name)
            return None
        _refuse_revision(name, revision, "model of a wheel")
        return embedded
    if not stat.S_ISDIR(mode):
        near = os.path.dirname(path) or "."
        is_meant = any(os.path.isfile(os.path.join(near, file)) for file in ("config.json", ".metadata"))
        remedy = (
            f"give its folder, {near}" if is_meant else instead or "give the folder that holds config.json"
        )
        raise ModelNotFound(f"{shown(name)} is a file; {remedy}", path=name)
    _refuse_revision(name, revision, "folder")
    return Path(path)


def surely_a_model(name: str, *, hub: bool) -> bool:
    """Whether the name can hardly be of anything else: of a wheel that holds a model, of a folder with a
    ``config.json``, or, where ``hub`` is to be thought of, a hub id with its owner."""
    if name in embedded_names() or (hub and "/" in name and _HUB_ID.fullmatch(name)):
        return True
    return os.path.isfile(os.path.join(os.path.expanduser(name), "config.json"))


def check_config(name: str, folder: Path) -> None:
    """Refuse a folder that holds no ``config.json``, and say what it holds. Raises ``ModelNotFound``."""
    if not os.path.isfile(folder / "config.json"):
        told = other_contents(folder) or "give the folder of a checkpoint in the Hugging Face layout"
        raise ModelNotFound(f"{shown(name)} holds no config.json; {told}", path=name)


def shown(name: str) -> str:
    """``name`` in a message: as it is, or quoted and cut where it would not fit on a line."""
    return name if name.isprintable() and len(name) <= 300 else _CUT.repr(name)


_CUT = reprlib.Repr()
_CUT.maxstring = 120


def _refuse_revision(name: str, revision: str | None, kind: str) -> None:
    if revision is not None:
        raise UsageError(
            f"revision={revision!r} is of a hub id, and {shown(name)} is a {kind}; leave revision out"
        )


def _mode(name: str, path: str) -> int | None:
    """What kind of file is called ``path``; None where there is none."""
    try:
        return os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: of NUL or half a character
        return None
    except OSError as exc:
        message = f"{shown(name)} cannot be opened ({exc.strerror}); give an existing folder that can be read"
        raise ModelNotFound(message, path=name) from exc


def _check_hub_id(name: str) -> None:
    if _HUB_ID.fullmatch(name):
        return
    page = _HUB_PAGE.fullmatch(name)
    remedy = f"give an existing folder, or {_EXAMPLE}"
    if page is not None:
        remedy = f"give the hub id {page['id']}"
    elif near := closest(name, embedded_names()):
        remedy = f"did you mean {near[0]}? Else {remedy}"
    raise ModelNotFound(f"there is no folder {shown(name)}; {remedy}", path=name)
