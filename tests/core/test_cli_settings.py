"""``llada generate`` with several settings: which ``-p`` is whose, and how they are compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from llada_core import LoadedModel
from llada_core.cli.settings import Setting, common, labels
from tests.support.program import Llada, Ran, error

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def generate(llada: Llada, folder: Path) -> Llada:
    """A function that runs ``llada generate`` on a fake checkpoint."""

    def call(*arguments: str) -> Ran:
        return llada("generate", "--model", str(folder), "Hello", *arguments)

    return call


def words(text: str) -> list[str]:
    return text.split()


def failing(*_: Any, **__: Any) -> None:
    raise RuntimeError("the rule has a bug")


def given(ran: Ran) -> list[tuple[str, Any, Any]]:
    """Algorithm, gen_length and seed of each result."""
    return [
        (each["algorithm"], each["parameters"]["gen_length"], each["parameters"].get("seed"))
        for each in json.loads(ran.out)["results"]
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (
            "--algorithm pairs -p seed=1 --algorithm pairs -p seed=2 --algorithm pairs",
            [("pairs", 128, 1), ("pairs", 128, 2), ("pairs", 128, None)],
        ),
        (
            "-p gen_length=8 -p seed=3 --algorithm pairs --algorithm pairs -p max_tokens=6",
            [("pairs", 8, 3), ("pairs", 6, 3)],
        ),
        (
            "--algorithm pairs -p seed=1 --algorithm singles --max-tokens 9",
            [("pairs", 9, 1), ("singles", 9, None)],
        ),
        (
            "--algorithm=pairs -pseed=1 --algorithm two --parameter=seed=2",
            [("pairs", 128, 1), ("pairs", 128, 2)],
        ),
    ],
)
def test_a_parameter_belongs_to_the_algorithm_before_it(generate: Any, options: str, expected: Any) -> None:
    assert given(generate("--json", *words(options))) == expected


def test_a_parameter_before_the_first_algorithm_holds_for_all(generate: Any) -> None:
    status, _, err = generate(*words("-p seed=1 -p max_tokens=4 --algorithm pairs --algorithm singles"))
    assert status == 0
    assert "; all with seed=1 max_tokens=4" in err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("--algorithm pairs --algorithm singles -p threshold=2", "singles: threshold=2 is out of range"),
        ("--algorithm pairs -p seed=1 -p seed=2", "seed is given twice; give it once"),
        ("--algorithm pairs -p seed=1 --seed 2", "seed is given by -p and by --seed; give it once"),
        ("--algorithm pairs --algorithm singels", "no algorithm is called 'singels'; did you mean singles"),
        ("--algorithm pairs -p seed", "'seed' is not an assignment; write name=value"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_is_run(generate: Any, options: str, said: str) -> None:
    assert said in error(generate(*words(options)), status=2)


def test_answers_stand_under_headings_and_figures_in_one_table(generate: Any) -> None:
    status, out, err = generate(
        *words("--max-tokens 32 --algorithm pairs -p seed=1 --algorithm pairs -p seed=2")
    )
    assert (status, out) == (0, "==> pairs seed=1 <==\nHi there.\n\n==> pairs seed=2 <==\nHi there.\n")
    blank, heading, first, second, conditions = err.splitlines()
    headings = ["setting", "tokens", "NFE", "tokens/forward", "seconds", "tokens/s", "answer"]
    assert (blank, heading.split()) == ("", headings)
    assert first.split()[:5] == ["pairs", "seed=1", "9", "16", "0.56"]
    assert [line.split()[-1] for line in (first, second)] == ["A", "A"]
    said = "each setting ran alone, after a few steps to warm up; all with max_tokens=32"
    assert conditions == said


def test_where_answers_differ_is_told(generate: Any) -> None:
    options = "--algorithm pairs -p max_tokens=32 --algorithm pairs -p max_tokens=4 --algorithm singles"
    _, _, err = generate(*words(options))
    answers = [line.split()[-1] for line in err.splitlines()[2:5]]
    assert answers == ["A", "B", "A"]
    assert 'answer B differs from A at character 5: its end for "here."' in err


def test_json_of_several_settings_is_one_object(generate: Any) -> None:
    ran = generate("--json", *words("--algorithm pairs --algorithm singles -p max_tokens=4"))
    first, second = json.loads(ran.out)["results"]
    assert (first["setting"], second["setting"]) == ("pairs", "singles max_tokens=4")
    assert (first["same_answer_as_first"], second["same_answer_as_first"]) == (True, False)
    assert (first["text"], second["text"]) == ("Hi there.", "Hi t")


def test_each_setting_that_has_steps_is_warmed_up_and_all_are_run_alone(
    generate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    networks: list[Any] = []
    close = LoadedModel.close

    def kept(self: LoadedModel) -> None:
        networks.append(self.model.network)
        close(self)

    monkeypatch.setattr(LoadedModel, "close", kept)
    ran = generate(*words("--max-tokens 12 --algorithm pairs --algorithm singles --algorithm opaque"))
    measured = [*["step of 1"] * 18, "generate of 1 with gen_length 12"]
    warm = len(networks[0].calls) - len(measured)
    assert networks[0].calls[warm:] == measured
    assert networks[0].calls[:warm] == ["step of 1"] * 8  # what comes all at once does not run twice
    said = "alone, after a few steps to warm up (opaque: none, as the answer comes all at once); all with"
    assert said in ran.err


def test_where_no_setting_has_steps_none_is_warmed_up(generate: Any) -> None:
    ran = generate(*words("--algorithm opaque --algorithm opaque -p max_tokens=4"))
    assert "each setting ran alone, without warming up: their answers come all at once" in ran.err


@pytest.mark.parametrize("name", ["gen_length", "max_tokens", "max_new_tokens"])
def test_what_an_option_gives_to_all_is_not_given_again(generate: Any, name: str) -> None:
    ran = generate(*words(f"--max-tokens 8 --algorithm pairs --algorithm singles -p {name}=16"))
    assert f"{name} is given by -p and by --max-tokens; give it once" in error(ran, status=2)


def test_a_setting_that_fails_does_not_lose_the_others(
    generate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fake_engine.Opaque.generate", failing)
    arguments = words("--max-tokens 32 --algorithm pairs --algorithm opaque --algorithm singles")
    status, out, err = generate(*arguments)
    assert (status, out) == (1, "==> pairs <==\nHi there.\n\n==> singles <==\nHi there.\n")
    assert "error: opaque: opaque of fake-engine failed in row 0: RuntimeError: the rule has a bug" in err
    rows = [line.split() for line in err.splitlines() if line.startswith(("pairs ", "opaque ", "singles "))]
    assert [row[-1] for row in rows] == ["A", "failed", "A"]
    status, out, _ = generate("--json", *arguments)
    results = json.loads(out)["results"]
    assert (status, [result["setting"] for result in results]) == (1, ["pairs", "opaque", "singles"])
    assert "RuntimeError: the rule has a bug" in results[1]["error"]


def test_debug_shows_the_traceback_of_a_setting_that_fails(
    generate: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fake_engine.Opaque.generate", failing)
    arguments = words("--algorithm pairs --algorithm opaque")
    assert "Traceback" not in generate(*arguments).err
    assert "Traceback" in generate(*arguments, "--debug").err


def test_what_was_answered_before_ctrl_c_is_not_lost(generate: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llada_core.cli.generate.warm_up", lambda *_, **__: None)
    monkeypatch.setattr("fake_engine.Opaque.generate", interrupt)
    status, out, _ = generate("--json", *words("--algorithm pairs --algorithm opaque"))
    assert (status, [each["setting"] for each in json.loads(out)["results"]]) == (130, ["pairs"])


def test_settings_are_told_apart_by_what_is_not_alike() -> None:
    settings = [
        Setting(algorithm="a", parameters={"x": 1, "y": 0.5}),
        Setting(algorithm="a", parameters={"x": 1, "y": None}),
        Setting(algorithm="b", parameters={"x": 1}),
        Setting(algorithm="b", parameters={"x": 1}),
    ]
    assert common(settings) == {"x": 1}
    assert labels(settings) == ["a y=0.5", "a y=none", "b #1", "b #2"]
