"""What a row tells of itself: checked, since anybody's algorithm makes rows, and kept as it stood."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from llada_core.errors import ContractError
from llada_core.faults import fault_of, one_line
from llada_core.values import told

__all__ = ["Record", "check_row", "fact_of", "record_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A row as it stood when its ticket was pickled."""

    prompt_length: int
    gen_length: int
    mask_id: int | None
    canvas: tuple[int, ...]
    columns: int
    nfe: int
    cancelled: bool
    warnings: tuple[str, ...]


def record_of(row: Any) -> Record:
    """The row as it stands."""
    return Record(
        prompt_length=row.prompt_length,
        gen_length=row.gen_length,
        mask_id=row.mask_id,
        canvas=tuple(row.canvas),
        columns=row.columns,
        nfe=row.nfe,
        cancelled=row.cancelled,
        warnings=row.warnings,
    )


def check_row(row: object) -> None:
    """Raise ``ContractError`` for a row that does not tell all that ``Row`` says, and name what is wrong.

    Its canvas may be shorter than prompt and answer, where there is no mask to fill it with.
    """
    found = {name: fact_of(row, name) for name in (*_KINDS, "canvas")}
    for name, (fits, wanted) in _KINDS.items():
        if not fits(found[name]):
            raise ContractError(f"its row's {name} is {told(found[name])}; let it be {wanted}")
    try:
        ids = list(found["canvas"][: found["prompt_length"] + found["gen_length"]])
    except BaseException as exc:  # it may be anything
        said = f"is {told(found['canvas'])} ({one_line(fault_of(exc))})"
        raise ContractError(f"its row's canvas {said}; let it be a list of ids") from exc
    odd = [token for token in ids if type(token) is not int]
    if odd:
        raise ContractError(f"its row's canvas holds {told(odd[0])}; let it be a list of ids, as ints")


def fact_of(row: object, name: str) -> Any:
    """What the row says of itself. Raises ``ContractError`` where it does not."""
    try:
        return getattr(row, name)
    except BaseException as exc:  # a property is its algorithm's code too
        raise ContractError(
            f"its row does not tell its {name} ({one_line(fault_of(exc))}); "
            "rows have all attributes of llada_core.generation.steps.Row"
        ) from exc


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


_KINDS: Mapping[str, tuple[Callable[[Any], bool], str]] = {
    "prompt_length": (_count, "an int, 0 or more"),
    "gen_length": (_count, "an int, 0 or more"),
    "mask_id": (lambda value: value is None or type(value) is int, "an id, or None"),
    "columns": (_count, "an int, 0 or more"),
    "nfe": (_count, "an int, 0 or more"),
    "cancelled": (lambda value: type(value) is bool, "a bool"),
    "warnings": (
        lambda value: isinstance(value, tuple) and all(isinstance(each, str) for each in value),
        "a tuple of sentences",
    ),
}
