"""What a prompt may be given as, and the plain form that everything after this works with.

Text is a ``str``, a conversation a list of messages, ids a tuple of ``int``. Tensors, arrays and a
tokenizer's batch are told by what they offer (``dtype``, ``shape``, ``tolist``; ``input_ids``): no library is
imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from llada_core.errors import PromptError
from llada_core.generation.prompts import EMPTY
from llada_core.values import is_array, shown

if TYPE_CHECKING:
    from typing_extensions import TypeIs

__all__ = [
    "Given",
    "Plain",
    "holds_ids",
    "id_rows",
    "lengths_of",
    "mask_rows",
    "one_prompt",
    "prompts_of",
    "tokenizer_output",
]

Plain: TypeAlias = str | list[Mapping[str, Any]] | tuple[int, ...]

_KINDS = (
    "text, a list of messages ({'role': ..., 'content': ...}), or token ids: a list, array or integer tensor"
)
_MARKS = "1 on the prompt's tokens and 0 on padding, as ids are given"
_INTEGER = re.compile(r"u?int\d+", re.IGNORECASE)
_NUMBER = re.compile(r"bool|float|complex|bfloat|half|double", re.IGNORECASE)
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """The prompts of a call in their plain form; ``single`` where one was given, and not a list of them."""

    prompts: tuple[Plain, ...]
    single: bool


def prompts_of(given: object) -> Given:
    """The prompt or the prompts that a caller gave. Raises ``PromptError`` for what is neither.

    A list, tuple, range, generator or other iterable is one prompt where it holds ids or messages, else a
    list of prompts. Of a tensor or array, ``[P]`` is one prompt and ``[B, P]`` a list; so it is with what a
    tokenizer returned, whose padding is taken out.
    """
    plain = _plain(given)
    if isinstance(plain, list) and plain and all(map(_is_prompt, plain)):
        return Given(
            prompts=tuple(_one(each, f"prompt {row} of the list") for row, each in enumerate(plain)),
            single=False,
        )
    return Given(prompts=(_one(plain, "the prompt"),), single=True)


def one_prompt(given: object) -> Plain:
    """The prompt of a request. Raises ``PromptError`` for what is none, and for a list of prompts."""
    found = prompts_of(given)
    if not found.single:
        raise PromptError(
            f"a request has one prompt, and {shown(given)} is a list of {len(found.prompts)}; "
            "give one request for each"
        )
    return found.prompts[0]


def holds_ids(prompt: Plain) -> TypeIs[tuple[int, ...]]:
    """Whether a prompt in its plain form consists of ids."""
    return isinstance(prompt, tuple)


def id_rows(given: object, what: str = "the prompt") -> list[tuple[int, ...]]:
    """Rows of ids, of which there may be one without a list around it: a tensor, array or lists.

    Raises ``PromptError`` for anything else.
    """
    plain = _parts(given, what)
    rows = [_parts(row, what) for row in plain] if plain and all(map(_is_prompt, plain)) else [plain]
    return [_ids(row, what) for row in rows]


def mask_rows(given: object) -> list[list[bool]]:
    """Rows of an attention mask, of which there may be one without a list around it: True on a token.

    Ones and zeros or booleans, in a tensor, an array or lists. Raises ``PromptError`` for anything else.
    """
    parts = _marks(given)
    rows = [_marks(row) for row in parts] if parts and all(map(_is_prompt, parts)) else [parts]
    return [[_mark(each) for each in row] for row in rows]


def tokenizer_output(given: object) -> tuple[object, object] | None:
    """The ids and the mask (None: nothing is padded) in what a tokenizer returned; None for anything else."""
    if isinstance(given, Mapping):
        return (given["input_ids"], given.get("attention_mask")) if "input_ids" in given else None
    if hasattr(given, "input_ids") and not isinstance(given, type):
        held = cast("Any", given)
        return held.input_ids, getattr(held, "attention_mask", None)
    return None


def lengths_of(given: object) -> tuple[int, ...]:
    """One length or several, from an integer, a tensor, an array or a list. Raises ``PromptError``."""
    single = not isinstance(given, str) and not hasattr(given, "__len__")
    found = (
        (_id(given, "prompt_lengths"),)
        if single or _is_scalar(given)
        else id_rows(given, "prompt_lengths")[0]
    )
    if not found or min(found) < 0:
        raise PromptError(f"prompt_lengths is {shown(given)}; give the width of the prompt columns")
    return found


def _plain(given: object, what: str = "the prompt", *, wanted: str = _KINDS) -> object:
    """Text as it is, everything with parts as a list of them; what has no parts is refused."""
    if isinstance(given, str):
        return given
    encoded = tokenizer_output(given)
    if encoded is not None:
        return _without_padding(*encoded)
    if is_array(given):
        return _listed(given, what)
    if isinstance(given, Iterable) and not isinstance(given, bytes | bytearray | memoryview | Mapping | Set):
        return list(given)
    raise PromptError(f"{what} is {shown(given)}; give {wanted}{_hint(given)}")


def _one(given: object, where: str) -> Plain:
    plain = _plain(given, where)
    if isinstance(plain, str):
        return plain
    parts = cast("list[object]", plain)
    if not parts:
        raise PromptError(EMPTY if where == "the prompt" else f"{where} is empty; leave it out")
    if all(isinstance(part, Mapping) and tokenizer_output(part) is None for part in parts):
        return cast("list[Mapping[str, Any]]", parts)
    if any(isinstance(part, str | Mapping | list | tuple) for part in parts):
        kinds = " and ".join(dict.fromkeys(type(part).__name__ for part in parts))
        raise PromptError(f"{where} is a list that holds {kinds}, which is no prompt; give {_KINDS}")
    return _ids(parts, where)


def _is_prompt(part: object) -> bool:
    """Whether a part of a list is a prompt by itself, and neither an id nor a message."""
    if isinstance(part, str) or tokenizer_output(part) is not None:
        return True
    if is_array(part):
        return not _is_scalar(part)
    return isinstance(part, Iterable) and not isinstance(part, bytes | bytearray | memoryview | Mapping | Set)


def _ids(parts: list[object], where: str) -> tuple[int, ...]:
    """The parts as ids, whatever integers they are. Raises ``PromptError``."""
    if all(type(part) is int for part in parts):
        found = cast("list[int]", parts)
    else:
        found = [_id(part, f"position {position} of {where}") for position, part in enumerate(parts)]
    wide = next((token for token in found if token > _LARGEST), None)
    if wide is not None:
        raise PromptError(f"{where} holds {wide}, which is no id of any vocabulary; give token ids")
    return tuple(found)


def _id(part: object, where: str) -> int:
    """An integer, NumPy's or a tensor's too. Raises ``PromptError``."""
    if not isinstance(part, bool) and "bool" not in str(getattr(part, "dtype", "")):
        try:
            return index(cast("Any", part))
        except (TypeError, ValueError):
            pass
    raise PromptError(f"{where} is {shown(part)}; give token ids as integers")


def _is_scalar(given: object) -> bool:
    return is_array(given) and not len(cast("Any", given).shape)


def _listed(array: Any, what: str) -> object:
    """An array of integers, or of objects that are looked at one by one, as nested lists."""
    kind = str(array.dtype).rpartition(".")[2]
    shape = list(array.shape)
    if _NUMBER.match(kind) and not _INTEGER.fullmatch(kind):
        raise PromptError(f"{what} is a {kind} array of shape {shape}; give ids as integers, such as int64")
    if len(shape) not in (1, 2):
        raise PromptError(f"{what} is an {kind} array of shape {shape}; give ids [P], or [B, P] for several")
    try:
        return array.tolist()
    except Exception as exc:  # as for a tensor without values
        raise PromptError(f"{what} cannot be read ({exc}); give ids that are in memory") from exc


def _without_padding(ids: object, mask: object) -> object:
    """The ids where the mask is 1, as they are nested: of one prompt or of several."""
    listed = _parts(ids, "input_ids")
    if mask is None:
        return listed
    masks = mask_rows(mask)
    if not all(_is_prompt(row) for row in listed) and len(masks) == 1:
        return _own(listed, masks[0])
    if len(masks) != len(listed):
        raise PromptError(
            f"attention_mask has {len(masks)} rows and input_ids {len(listed)}; they must be equal"
        )
    return [_own(_parts(row, "input_ids"), own) for row, own in zip(listed, masks, strict=True)]


def _parts(given: object, what: str) -> list[object]:
    """What a list, array or tensor holds. Raises ``PromptError`` for anything else."""
    wanted = "token ids [n] or [B, n]: a list, array or integer tensor"
    parts = None if isinstance(given, str) else _plain(given, what, wanted=wanted)
    if not isinstance(parts, list):
        raise PromptError(f"{what} is {shown(given)}; give {wanted}")
    return parts


def _marks(given: object) -> list[object]:
    """What a mask or a row of it holds. Raises ``PromptError``."""
    if isinstance(given, Iterable) and not isinstance(given, str | bytes | Mapping | Set):
        return list(cast("Any", given).tolist() if is_array(given) else given)
    raise PromptError(f"attention_mask is {shown(given)}; give {_MARKS}")


def _mark(given: object) -> bool:
    """Whether a mark of a mask is on a token. Raises ``PromptError`` for what is neither 1 nor 0."""
    mark = cast("Any", given).tolist() if is_array(given) else given
    if isinstance(mark, int) and mark in (0, 1):
        return bool(mark)
    raise PromptError(f"attention_mask holds {shown(given)}; give {_MARKS}")


def _own(tokens: list[object], marks: list[bool]) -> list[object]:
    """The ids of a row without its padding."""
    if len(tokens) != len(marks):
        raise PromptError(
            f"attention_mask is {len(marks)} long and input_ids {len(tokens)}; they must be equal"
        )
    kept = [position for position, mark in enumerate(marks) if mark]
    if kept and kept[-1] - kept[0] + 1 != len(kept):
        raise PromptError("attention_mask has a 0 between two 1; pad prompts at their ends only")
    return [tokens[position] for position in kept]


def _hint(given: object) -> str:
    if isinstance(given, bytes | bytearray):
        return "; bytes become text by decode()"
    if isinstance(given, Mapping) and "role" in given:
        return "; put a message in a list"
    if isinstance(given, Set):
        return "; a set has no order"
    return ""
