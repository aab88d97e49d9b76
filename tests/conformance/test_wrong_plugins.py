"""Each wrong plugin fails the check that names its fault, and the guide says which."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from llada_core import AlgorithmSpec, EngineSpec, register_engine
from llada_core.testing import FakeSite, Outcome, Suite, fake_site, suites_of
from llada_core.testing.suites import algorithm_suites
from llada_runtime.testing import write_llada
from tests.conformance.wrong import calls, facts, loops, parts
from tests.conformance.wrong.distributions import WRONG_DISTRIBUTIONS
from tests.conformance.wrong.engines import WRONG_ENGINES, NotesItself, spec_of
from tests.conformance.wrong.tables import WRONG_ALGORITHMS, Good, GoodCall

MODULES = (calls, facts, loops, parts)
GUIDE = Path(__file__).parents[2] / "docs" / "plugins.md"
SLOW = [pytest.mark.slow, pytest.mark.timeout(300)]
GOOD = {"good": Good, "good_call": GoodCall, "notes_itself": NotesItself}
# What no plugin can be wrong about and be registered.
UNREACHABLE = {
    "it has a name",
    "its default algorithm is one of its own",
}


def algorithm_spec(name: str, kind: type) -> AlgorithmSpec:
    return AlgorithmSpec(
        name=name,
        engine="wrong",
        target=f"{kind.__module__}:{kind.__name__}",
        summary="One of many.",
        aliases=(f"{name}_too",),
        parameters=kind.parameters,  # type: ignore[attr-defined]
        streams=kind.yields_steps(),  # type: ignore[attr-defined]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llada(tmp_path_factory.mktemp("model"), scale=0.4, max_sequence_length=128)


@pytest.fixture
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FakeSite]:
    """A registry of the good algorithms and of a wrong one, if the test has one, and of nothing else."""
    callspec = getattr(request.node, "callspec", None)
    name = None if callspec is None else callspec.params.get("name")
    kinds = {**GOOD, **({name: WRONG_ALGORITHMS[name].kind} if name in WRONG_ALGORITHMS else {})}
    calls.GrowsTired.calls = 0
    with fake_site(tmp_path) as made, made.shared():
        algorithms = tuple(algorithm_spec(name, kind) for name, kind in kinds.items())
        register_engine(
            EngineSpec(
                name="wrong",
                target=algorithms[0].target,
                default_algorithm="good",
                algorithms=algorithms,
                model_types=("llada",),
            )
        )
        yield made


def suite(name: str, kind: str, folder: Path | None) -> Suite:
    model = None if folder is None else str(folder)
    return next(each for each in suites_of(name, model=model) if each.kind == kind)


def outcome(suite: Suite, check: str) -> Outcome:
    """What becomes of one check."""
    return next(Outcome.of(each) for each in suite.checks if each[0] == check)


def failing(suite: Suite) -> set[str]:
    return {each.check for each in suite.outcomes() if each.status == "failed"}


@pytest.mark.parametrize("name", WRONG_ALGORITHMS)
def test_a_wrong_algorithm_fails_the_check_that_names_its_fault(
    site: FakeSite, folder: Path, name: str
) -> None:
    found = outcome(suite(name, "algorithm", folder), WRONG_ALGORITHMS[name].check)
    assert found.status == "failed", found
    assert found.reason
    assert ";" in found.reason or found.reason.endswith("needs"), "it should end with what to do"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", WRONG_ALGORITHMS)
def test_a_wrong_algorithm_fails_no_other_check_than_it_must(site: FakeSite, folder: Path, name: str) -> None:
    known = WRONG_ALGORITHMS[name]
    assert failing(suite(name, "algorithm", folder)) - {*known.also} == {known.check}


@pytest.mark.parametrize(
    "name",
    ["good", *(pytest.param(name, marks=SLOW) for name in GOOD if name != "good")],
)
def test_what_is_good_passes(site: FakeSite, folder: Path, name: str) -> None:
    assert failing(suite(name, "algorithm", folder)) == set()


@contextlib.contextmanager
def wrong_distribution(name: str, place: Path) -> Iterator[Suite]:
    """The suite of a wrong distribution that is installed."""
    wrong, module = WRONG_DISTRIBUTIONS[name], name.replace("-", "_")
    modules = {module: wrong.plugin, "mine_code": wrong.more}
    with fake_site(place) as made:
        made.add(name, modules=modules, entry_points={"mine": module})
        with made.shared():
            yield suite(name, "distribution", None)


@pytest.mark.parametrize("name", WRONG_DISTRIBUTIONS)
def test_a_wrong_distribution_fails_the_check_that_names_its_fault(tmp_path: Path, name: str) -> None:
    with wrong_distribution(name, tmp_path) as found:
        assert outcome(found, WRONG_DISTRIBUTIONS[name].check).status == "failed"


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", WRONG_DISTRIBUTIONS)
def test_a_wrong_distribution_fails_no_other_check(tmp_path: Path, name: str) -> None:
    with wrong_distribution(name, tmp_path) as found:
        assert failing(found) == {WRONG_DISTRIBUTIONS[name].check}


@pytest.mark.parametrize("name", WRONG_ENGINES)
def test_a_wrong_engine_fails_the_check_that_names_its_fault_alone(
    tmp_path: Path, folder: Path, name: str
) -> None:
    wrong = WRONG_ENGINES[name]
    with fake_site(tmp_path) as made, made.shared():
        register_engine(spec_of(name, wrong))
        assert failing(suite(name, "engine", folder)) == {wrong.check}


def test_an_engine_is_known_by_its_alias_too_and_a_path_is_a_model(tmp_path: Path, folder: Path) -> None:
    plugin = WRONG_DISTRIBUTIONS["llada-late"]
    text = plugin.plugin.replace('EngineSpec(name="mine",', 'EngineSpec(name="mine", aliases=("mein",),')
    with fake_site(tmp_path) as made:
        modules = {"llada_mine": text, "mine_code": plugin.more}
        made.add("llada-mine", modules=modules, entry_points={"mine": "llada_mine"})
        with made.shared():
            assert [each.subject for each in suites_of("mein")] == ["llada-mine", "mine", "mine"]
            offered, _ = algorithm_suites("mine", model=folder)
            assert outcome(offered, "its memory estimate is told without torch").status == "failed"


def test_there_is_a_wrong_plugin_for_every_check(site: FakeSite, folder: Path) -> None:
    everywhere = {check for name in GOOD for check, _ in suite(name, "algorithm", folder).checks}
    everywhere |= {check for check, _ in suite("wrong", "engine", folder).checks}
    everywhere |= {"it says how to check it"}
    tables = (WRONG_ALGORITHMS, WRONG_DISTRIBUTIONS, WRONG_ENGINES)
    found = {each.check for table in tables for each in table.values()}  # type: ignore[attr-defined]
    assert everywhere - found == UNREACHABLE


def rows() -> list[str]:
    """The rows of the guide's table."""
    tables = (WRONG_DISTRIBUTIONS, WRONG_ENGINES, WRONG_ALGORITHMS)
    each_row = [each for table in tables for each in table.values()]  # type: ignore[attr-defined]
    return [f"| {each.fault.removesuffix('.')} | {each.check.replace('|', '')} |" for each in each_row]


def test_the_guide_tells_which_wrong_plugin_fails_which_check() -> None:
    assert MODULES
    written = GUIDE.read_text()
    missing = [row for row in rows() if row not in written]
    assert missing == [], "\n".join(["docs/plugins.md should have these rows:", *rows()])
