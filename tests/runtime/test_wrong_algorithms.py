"""Every wrong algorithm is told by name, distribution and remedy, and ends nobody's row but its own."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llada_core import (
    AlgorithmUnavailable,
    GenerationError,
    GenerationRequest,
    LladaError,
    LoadedModel,
    load_model,
)
from llada_core.testing import fake_site
from llada_runtime.testing import write_llada
from tests.runtime.wrong_algorithms import GOOD, REFUSED, WRONG

MODULE = "tests.runtime.wrong_algorithms"
PLUGIN = f"""
from llada_core import AlgorithmSpec, EngineSpec, hookimpl
from {MODULE} import GOOD, PARAMETERS, REFUSED, WRONG


def spec(name, kind):
    target = "{MODULE}:" + kind.__name__
    return AlgorithmSpec(name=name, engine="wrong", target=target, summary="", parameters=PARAMETERS)


@hookimpl
def llada_engines():
    named = {{name: kind for name, (kind, _) in {{**WRONG, **REFUSED}}.items()}}
    algorithms = tuple(spec(name, kind) for name, kind in {{**GOOD, **named}}.items())
    yield EngineSpec(
        name="wrong",
        target="{MODULE}:Good",
        default_algorithm="good",
        algorithms=algorithms,
        model_types=("llada",),
    )
"""
OPTIONS = {"gen_length": 10, "block_length": 4}


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedModel]:
    """A small model, and a distribution with all of the algorithms."""
    folder = write_llada(tmp_path_factory.mktemp("model"))
    with fake_site(tmp_path_factory.mktemp("site")) as site:
        site.add("llada-wrong", modules={"wrong_plugin": PLUGIN}, entry_points={"wrong": "wrong_plugin"})
        with site.shared(), load_model(folder, engine="wrong", device="cpu", dtype="float32") as model:
            yield model


def request(prompt: tuple[int, ...], name: str) -> GenerationRequest:
    return GenerationRequest(prompt=list(prompt), algorithm=name, parameters=OPTIONS)


@pytest.mark.parametrize("name", WRONG)
def test_its_error_names_it_and_its_distribution_and_says_what_to_do(lm: LoadedModel, name: str) -> None:
    with pytest.raises(GenerationError) as caught:
        lm.generate_batch([request((1, 2), name)])
    told = str(caught.value)
    assert told.startswith(f"{name} of llada-wrong failed in row 0: ")
    assert WRONG[name][1] in told
    assert (caught.value.algorithm, caught.value.distribution, caught.value.row) == (name, "llada-wrong", 0)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_known_before_is_refused_before(lm: LoadedModel, name: str) -> None:
    with pytest.raises(LladaError) as caught:
        lm.generate_batch([request((1, 2), "good"), request((1, 2), name)])
    assert REFUSED[name][1] in str(caught.value)
    assert name in str(caught.value)
    if isinstance(caught.value, AlgorithmUnavailable):
        assert lm.algorithms()[name] == caught.value.reason


Row = tuple[str, tuple[int, ...]]
prompts = st.lists(st.integers(0, 25), min_size=1, max_size=6).map(tuple)
good_rows = st.lists(st.tuples(st.sampled_from(sorted(GOOD)), prompts), min_size=1, max_size=5)


@given(
    good=good_rows,
    bad=st.lists(
        st.tuples(st.sampled_from(sorted(WRONG)), prompts, st.integers(0, 5)), min_size=1, max_size=2
    ),
)
@settings(max_examples=8, deadline=None)
def test_neighbours_have_what_they_have_alone(
    lm: LoadedModel, good: list[Row], bad: list[tuple[str, tuple[int, ...], int]]
) -> None:
    check(lm, good, bad)


@pytest.mark.parametrize("name", WRONG)
def test_none_disturbs_its_neighbours(lm: LoadedModel, name: str) -> None:
    good: list[Row] = [("good", (1, 2, 3)), ("goodcall", (4,)), ("goodprefix", (5, 6)), ("good", (7,))]
    check(lm, good, [(name, (1, 2), 1), (name, (8, 9, 10), 3)])


def check(lm: LoadedModel, good: list[Row], bad: list[tuple[str, tuple[int, ...], int]]) -> None:
    """Run the rows together: the bad ones fail, each good one is told as if it were alone."""
    rows = list(good)
    for name, prompt, place in bad:
        rows.insert(place, (name, prompt))
    with lm.session(rows=16) as session:
        tickets = [session.submit(request(prompt, name)) for name, prompt in rows]
        finals = [step.ticket for step in session if step.finished]
    assert sorted(ticket.index for ticket in finals) == list(range(len(rows)))
    for (name, prompt), ticket in zip(rows, tickets, strict=True):
        if name in WRONG:
            assert isinstance(ticket.error, GenerationError)
            assert ticket.error.algorithm == name
            assert ticket.result is None
        else:
            assert ticket.error is None
            assert ticket.result is not None
            assert (ticket.result.token_ids, ticket.result.nfe) == alone(lm, name, prompt)


@functools.cache
def alone(lm: LoadedModel, name: str, prompt: tuple[int, ...]) -> tuple[tuple[int, ...], int]:
    (result,) = lm.generate_batch([request(prompt, name)])
    return result.token_ids, result.nfe
