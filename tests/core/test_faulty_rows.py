"""Rows and loops of plugins that do not tell what they must: each ends by an error that names it, alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from llada_core import ContractError, GenerationError, LoadedModel, Step, Ticket, get_algorithm, load_model
from tests.core.test_session import final, register, request

pytestmark = pytest.mark.usefixtures("world")

MISSING = object()
BAD: dict[str, list[Any]] = {
    "prompt_length": [MISSING, None, "3", -1, 1.0],
    "gen_length": [MISSING, None, -4, True],
    "mask_id": [MISSING, "mask", 1.5],
    "canvas": [MISSING, None, 7, [None] * 99, ["a"] * 99],
    "columns": [MISSING, None, "0", -1],
    "nfe": [MISSING, None, "x"],
    "cancelled": [MISSING, 0, None],
    "warnings": [MISSING, [], ("a", 1), "careful"],
}


@pytest.fixture
def lm(folder: Path) -> Iterator[LoadedModel]:
    with load_model(folder) as model:
        yield model


def bare(self: Any, model: Any, prompt_ids: Any, params: Any) -> Any:
    """A row as a plugin makes one that has not read what rows are."""
    row = SimpleNamespace(columns=0, nfe=0)
    row.ticket = Ticket(row)  # type: ignore[arg-type]
    return row


def spoilt(name: str, value: Any, *, later: bool) -> Callable[..., Any]:
    """A ``sequence`` whose rows have this wrong, or raise at it; ``later``, from their first step on."""

    def sequence(self: Any, model: Any, prompt_ids: Any, params: Any) -> Any:
        row = plain(self, model, prompt_ids, params)
        kind = type(row)
        row.__class__ = type("Spoilt", (kind,), {name: property(tell, keep)})
        row.stored = kind.__dict__.get(name, row.__dict__.get(name))
        row.spoilt = not later
        return row

    def tell(row: Any) -> Any:
        if not row.__dict__.get("spoilt"):
            return row.stored
        if value is MISSING:
            raise AttributeError(name)
        return value

    def keep(row: Any, new: Any) -> None:
        row.stored = new
        row.spoilt = True

    plain = type(get_algorithm("pairs")).sequence  # type: ignore[attr-defined]
    return sequence


@pytest.mark.parametrize(("name", "value"), [(name, value) for name in BAD for value in BAD[name]])
def test_a_row_that_tells_nonsense_names_it_and_its_neighbour_goes_on(
    lm: LoadedModel, name: str, value: Any
) -> None:
    register("pairs", "faulty", sequence=spoilt(name, value, later=False))
    with lm.session() as session:
        bad, good = session.submit(request(6, "faulty")), session.submit(request(6))
        assert final(list(session)).keys() == {bad, good}
    assert isinstance(bad.error, ContractError)
    assert re.search(rf"^faulty .*its row.*\b{name}\b.*; ", str(bad.error))
    assert good.result
    assert good.result.text == "Hi the"


@pytest.mark.parametrize("name", ["nfe", "canvas", "cancelled"])
@pytest.mark.parametrize("value", [MISSING, "x", None])
@pytest.mark.parametrize("cancel", [False, True])
def test_a_row_that_turns_bad_in_work_fails(lm: LoadedModel, name: str, value: Any, cancel: bool) -> None:
    register("pairs", "faulty", sequence=spoilt(name, value, later=True))
    with lm.session() as session:
        bad, good = session.submit(request(6, "faulty")), session.submit(request(6, "opaque"))
        session.step()
        bad.row.spoilt = True  # type: ignore[attr-defined]
        if cancel:
            session.cancel(bad)
        list(session)
    assert isinstance(bad.error, GenerationError)
    assert good.result


@pytest.mark.parametrize("cancel", [False, True])
def test_a_row_that_turns_bad_while_it_waits_fails(lm: LoadedModel, cancel: bool) -> None:
    register("pairs", "faulty", sequence=spoilt("nfe", MISSING, later=True))
    with lm.session(rows=1) as session:
        good, bad = session.submit(request(6)), session.submit(request(6, "faulty"))
        bad.row.spoilt = True  # type: ignore[attr-defined]
        if cancel:
            session.cancel(bad)
        assert final(list(session)).keys() == {bad, good}
    assert isinstance(bad.error, GenerationError)
    assert good.result


def test_a_bare_row_fails_alone(lm: LoadedModel) -> None:
    register("pairs", "bare", sequence=bare)
    with lm.session() as session:
        bad, good = session.submit(request(6, "bare")), session.submit(request(6))
        list(session)
    assert "its row does not tell its prompt_length" in str(bad.error)
    assert good.result


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nfe": "x"}, "has 'x' as nfe; let it be an int"),
        ({"block": None}, "has None as block; let it be an int"),
        ({"settled": 1.5}, "has 1.5 as settled"),
        ({"positions": None}, "has None as positions; let it be a tuple of ints"),
        ({"positions": [0]}, "has a list of 1 as positions"),
        ({"tokens": ("a", "b")}, "has a tuple of 2 as tokens; let it be a tuple of ids"),
        ({"tokens": ()}, "tells 0 tokens at 2 positions"),
        ({"confidence": (0.5,)}, "has 1 of confidence at 2 positions; tell one for each, or none"),
        (
            {"log_probabilities": (-0.5,)},
            "has 1 of log_probabilities at 2 positions",
        ),
        ({"confidence": None}, "has None as confidence"),
        ({"revoked": (None,)}, "has a tuple of 1 as revoked"),
        ({"inserted": ((1, 0),)}, "has a tuple of 1 as inserted; let it be a tuple of offsets, each with"),
        ({"inserted": ((1, 2),)}, "inserts [(1, 2)] and has no gen_length; tell how long the answer"),
        ({"gen_length": -1}, "has -1 as gen_length"),
        ({"alternatives": None}, "has None as alternatives"),
        ({"error": "odd", "finished": True}, "has 'odd' as error; let it be an exception"),
    ],
)
def test_a_step_that_tells_nonsense_ends_its_loop_s_rows_and_no_others(
    lm: LoadedModel, changes: dict[str, Any], told: str
) -> None:
    plain = type(get_algorithm("pairs")).loop_class  # type: ignore[attr-defined]

    class Wrong(plain):  # type: ignore[misc,valid-type]
        def step(self) -> list[Step]:
            return [replace(step, **changes) for step in super().step()]

    register("pairs", "wrong", loop_class=Wrong)
    with lm.session() as session:
        bad, good = session.submit(request(6, "wrong")), session.submit(request(6))
        assert final(list(session)).keys() == {bad, good}
    assert isinstance(bad.error, ContractError)
    assert told in str(bad.error)
    assert good.result


@pytest.mark.parametrize("stop", [False, True])
def test_a_loop_that_cannot_let_go_ends_its_rows_and_no_others(lm: LoadedModel, stop: bool) -> None:
    plain = type(get_algorithm("pairs")).loop_class  # type: ignore[attr-defined]

    class Clinging(plain):  # type: ignore[misc,valid-type]
        def cancel(self, row: Any) -> None:
            raise SystemExit(3)

    register("pairs", "clinging", loop_class=Clinging)
    with lm.session() as session:
        asked = replace(request(6, "clinging"), stop=("H",)) if stop else request(6, "clinging")
        bad, beside = session.submit(asked), session.submit(request(6, "clinging"))
        good = session.submit(request(6))
        steps = session.step()
        if not stop:
            session.cancel(bad)
        steps += list(session)
        assert final(steps).keys() == {bad, beside, good}
        again = session.submit(request(6, "clinging"))
        list(session)
    assert "SystemExit: 3" in str(bad.error)
    assert "SystemExit: 3" in str(beside.error)
    assert good.result
    assert again.result


def with_columns(columns: int) -> Callable[..., Any]:
    """A ``sequence`` whose rows take so many cached columns."""
    plain = type(get_algorithm("pairs")).sequence  # type: ignore[attr-defined]

    def sequence(self: Any, *given: Any) -> Any:
        row = plain(self, *given)
        row.columns = columns
        return row

    return sequence


def test_the_columns_are_those_of_all_loops_and_nobody_overtakes_who_waits(lm: LoadedModel) -> None:
    plain = type(get_algorithm("pairs")).loop_class  # type: ignore[attr-defined]
    register("pairs", "here", sequence=with_columns(6))
    register("pairs", "there", sequence=with_columns(6), loop_class=type("Other", (plain,), {}))
    with lm.session(rows=9, columns=10) as session:
        first, large, small = (session.submit(request(6, name)) for name in ("here", "there", "pairs"))
        session.step()
        assert [each.status for each in (first, large, small)] == ["running", "waiting", "waiting"]
        list(session)
    assert large.admitted is not None
    assert small.admitted is not None
    assert first.finished is not None
    assert first.finished <= large.admitted <= small.admitted
    assert [each.columns for each in (first, large, small)] == [6, 6, 0]
