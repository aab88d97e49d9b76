"""``check_algorithm``: what a good algorithm is told, and that each way of being bad is found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from llada_core import Parameter, UsageError, get_algorithm, register_algorithm, standard
from llada_core.parameters import parameters_of_row
from llada_core.testing import ConformanceError, FakeSite, check_algorithm
from llada_core.testing.runs import params_of, params_on
from llada_core.testing.subject import Subject

pytestmark = pytest.mark.usefixtures("world")

PARAMETERS = (standard("gen_length"),)
MIXES = "its rows do not depend on other algorithms beside them"


def faulty(**members: Any) -> Any:
    """An object of the class of ``opaque`` in which some members are others."""
    good = get_algorithm("opaque")
    made = type("Mine", (type(good),), members)()
    for field in ("name", "engine", "parameters"):
        setattr(made, field, members.get(field, getattr(good, field)))
    return made


def generating(change: Callable[[torch.Tensor, int, torch.Tensor], tuple[Any, Any]]) -> Any:
    """One whose ``generate`` returns what ``change`` makes of ids, NFE and prompt."""
    good = get_algorithm("opaque")

    def generate(self: Any, model: Any, prompt: torch.Tensor, **params: Any) -> tuple[Any, Any]:
        ids, nfe = good.generate(model, prompt, **params)
        return change(ids.clone(), nfe, prompt)

    return faulty(generate=generate)


def failures(algorithm: Any, folder: Path) -> list[str]:
    """The checks that fail."""
    with pytest.raises(ConformanceError) as caught:
        check_algorithm(algorithm, model=folder)
    return [failure.check for failure in caught.value.failures]


@pytest.mark.parametrize("name", ["pairs", "singles", "opaque"])
def test_a_good_algorithm_passes_and_what_was_checked_is_told(name: str, folder: Path) -> None:
    held = check_algorithm(name, model=folder)
    assert "the registered facts are the object's" in held
    assert "a batch is its rows alone" in held


def test_an_object_needs_no_registry(folder: Path) -> None:
    held = check_algorithm(faulty(), model=folder)
    assert "the registered facts are the object's" not in held
    assert "an unknown parameter is refused" in held


def test_the_model_of_the_object_is_taken_and_else_the_embedded_one(
    folder: Path, make_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llada_tiny.model_path", lambda: folder)
    assert check_algorithm("opaque") == check_algorithm("opaque", model=folder)
    loaded = get_algorithm("opaque")
    network = loaded.load_model_from_hf(folder)
    network.calls.clear()
    check_algorithm(loaded)
    # All prompts together, each of three alone, and what follows.
    assert network.calls[:4] == [f"generate of {rows} with gen_length 40" for rows in (3, 1, 1, 1)]


def test_parameters_reach_generate_by_any_name(folder: Path) -> None:
    algorithm = get_algorithm("opaque")
    network = algorithm.load_model_from_hf(folder)
    check_algorithm(algorithm, prompts=[[1, 2]], max_tokens=7)
    assert network.calls[:2] == ["generate of 1 with gen_length 7"] * 2


@pytest.mark.parametrize(
    ("change", "check"),
    [
        (lambda ids, nfe, prompt: (ids.int(), nfe), "generate returns int64 [B, P+G]"),
        (lambda ids, nfe, prompt: (torch.cat((ids, ids[:, -1:]), 1), nfe), "generate returns int64 [B, P+G]"),
        (lambda ids, nfe, prompt: (ids[0], nfe), "generate returns int64 [B, P+G]"),
        (lambda ids, nfe, prompt: (ids.fliplr(), nfe), "the prompt comes back unchanged"),
        (lambda ids, nfe, prompt: (ids, 0), "an answer takes one forward at least"),
        (lambda ids, nfe, prompt: (ids, torch.tensor(7)), "an answer takes one forward at least"),
        (
            lambda ids, nfe, prompt: (ids.index_fill(1, torch.tensor([-40]), len(prompt)), nfe),
            "a batch is its rows alone",
        ),
        (
            lambda ids, nfe, prompt: (ids, nfe + len(prompt)),
            "a batch takes as many forwards as its slowest row",
        ),
    ],
)
def test_what_generate_returns_is_held_to_its_promise(change: Any, check: str, folder: Path) -> None:
    assert check in failures(generating(change), folder)


def drawing(self: Any, model: Any, prompt: torch.Tensor, **params: Any) -> tuple[Any, Any]:
    """A ``generate`` that draws whatever it is given: from the row's seed, or without one anew each time."""
    values = self.validate_args(**params)
    rows = []
    for row in range(len(prompt)):
        seed, source = parameters_of_row(values, row)["seed"], torch.Generator()
        source.manual_seed(seed) if isinstance(seed, int) else source.seed()
        rows.append(torch.randint(5, 8, (int(values["gen_length"]),), generator=source))
    return torch.cat((prompt, torch.stack(rows)), dim=1), 7


def test_one_that_draws_unasked_is_given_a_seed_so_that_its_answers_can_be_compared(folder: Path) -> None:
    held = check_algorithm(faulty(generate=drawing, parameters=(*PARAMETERS, standard("seed"))), model=folder)
    assert {"a batch is its rows alone", "the same request twice has the same answer"} <= set(held)


def test_an_answer_may_be_shorter_than_gen_length(folder: Path) -> None:
    short = generating(lambda ids, nfe, prompt: (ids[:, :-1], nfe))
    assert "generate returns int64 [B, P+G]" in check_algorithm(short, model=folder)


def test_a_mask_that_is_left_is_found(make_folder: Callable[..., Path], tokenizer: Any) -> None:
    mask = tokenizer.convert_tokens_to_ids("<|mdm_mask|>")
    folder = make_folder(reply_ids=[5, mask, 7])
    assert failures("opaque", folder) == ["no mask is left"]


def test_a_generate_that_raises_is_a_finding(folder: Path) -> None:
    def generate(self: Any, *args: Any, **params: Any) -> Any:
        raise RuntimeError("two\nlines")

    with pytest.raises(ConformanceError, match="it generates: RuntimeError: two lines; "):
        check_algorithm(faulty(generate=generate), model=folder)


def test_a_model_that_cannot_be_loaded_is_a_finding(tmp_path: Path) -> None:
    with pytest.raises(ConformanceError, match=r"it loads its model: ModelNotFound: .*give model="):
        check_algorithm("opaque", model=tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("members", "check"),
    [
        ({"name": ""}, "it has a name"),
        ({"get_required_args": lambda self: {}}, "its parameters have values where none is given"),
        ({"validate_args": lambda self, **params: dict(params)}, "an unknown parameter is refused"),
        (
            {"validate_args": lambda self, **params: {"gen_length": params.get("gen_length", 3)}},
            "each alias stands for its parameter",
        ),
        ({"unavailable_reason": "no card; buy one"}, "it can run here"),
    ],
)
def test_what_an_object_says_of_itself_is_checked(members: dict[str, Any], check: str, folder: Path) -> None:
    assert check in failures(faulty(**members), folder)


def test_facts_that_differ_from_the_registered_ones_are_found(folder: Path) -> None:
    kind = type(get_algorithm("opaque"))

    class Renaming(kind):  # type: ignore[misc, valid-type]
        name, engine, description = "mine", "fake", "As registered."

        def _bind(self, info: Any) -> None:
            super()._bind(info)
            self.description = "Another."
            self.parameters = (Parameter(name="other", kind=int, default=1),)

    register_algorithm(Renaming)
    assert "the registered facts are the object's" in failures("mine", folder)


def test_a_spec_that_is_wrong_about_streams_is_found(world: FakeSite, folder: Path) -> None:
    world.add_engine("mine", algorithms={"mine": ()}, target="fake_engine:Opaque")
    with world.shared():
        assert failures("mine", folder) == ["the registered facts are the object's"]


def test_an_algorithm_that_is_missing_is_told_with_its_reason(folder: Path) -> None:
    with pytest.raises(ConformanceError) as caught:
        check_algorithm("broken", model=folder)
    assert caught.value.subject == "broken"
    (failure,) = caught.value.failures
    assert failure.check == "it can run here"
    assert failure.problem == get_algorithm("broken").unavailable_reason


def test_the_checks_that_an_algorithm_brings_are_run(folder: Path) -> None:
    def refuse() -> None:
        raise AssertionError("it is green; paint it")

    def checks(self: Any) -> Iterable[tuple[str, Callable[[], object]]]:
        return [("it is red", refuse), ("it is round", lambda: None)]

    algorithm = faulty(conformance_checks=checks)
    assert failures(algorithm, folder) == ["it is red"]
    told = "opaque fails 1 of its checks:\n- it is red: it is green; paint it"
    with pytest.raises(ConformanceError, match=told):
        check_algorithm(algorithm, model=folder)


def test_an_algorithm_that_cannot_say_its_checks_is_found(folder: Path) -> None:
    def checks(self: Any) -> Iterable[Any]:
        raise LookupError("where?")

    assert failures(faulty(conformance_checks=checks), folder) == ["it says how to check it"]


def test_all_failures_are_told_at_once(folder: Path) -> None:
    algorithm = generating(lambda ids, nfe, prompt: (ids.int(), 0))
    assert len(failures(algorithm, folder)) == 2


def test_a_class_is_checked_as_an_object_of_it(folder: Path) -> None:
    mine = faulty(name="mine", parameters=PARAMETERS)
    of_class, of_object = check_algorithm(type(mine), model=folder), check_algorithm(mine, model=folder)
    assert set(of_class) - set(of_object) == {"another object of it has the same answer"}


@pytest.mark.parametrize("thing", [None, dict, 3, object()])
def test_what_is_no_algorithm_is_told(thing: Any) -> None:
    with pytest.raises(
        UsageError, match="is no algorithm; give a name, or a GenerationAlgorithm or its class"
    ):
        check_algorithm(thing)


def test_a_class_that_cannot_be_made_is_told() -> None:
    kind = type(get_algorithm("opaque"))

    class Needy(kind):  # type: ignore[misc,valid-type]
        def __init__(self, wish: str) -> None:
            super().__init__()

    with pytest.raises(UsageError, match=r"Needy\(\) failed: TypeError: .*; give an object of it"):
        check_algorithm(Needy)


def test_prompts_of_different_lengths_need_a_mask_that_is_named(folder: Path) -> None:
    good = get_algorithm("opaque")
    blind = faulty(generate=lambda self, model, prompt, **params: good.generate(model, prompt, **params))
    assert check_algorithm(blind, model=folder)
    with pytest.raises(ConformanceError, match="names no attention_mask, so that only prompts of one length"):
        check_algorithm(blind, model=folder, prompts=[[1], [2, 3]])


def test_a_spec_that_promises_steps_of_one_call_is_told(world: FakeSite, folder: Path) -> None:
    plugin = (
        "from llada_core import AlgorithmSpec, hookimpl, standard\n\n\n@hookimpl\ndef llada_algorithms():\n"
        "    yield AlgorithmSpec(name='own', engine='fake', target='own_code:Own', summary='Its own.',\n"
        "                        parameters=(standard('gen_length'),))\n"
    )
    code = "from fake_engine import Opaque, Pairs\n\n\nclass Own(Pairs):\n    generate = Opaque.generate\n"
    world.add(
        "llada-own", modules={"own_plugin": plugin, "own_code": code}, entry_points={"own": "own_plugin"}
    )
    with world.shared(), pytest.raises(ConformanceError) as caught:
        check_algorithm("own", model=folder)
    assert [failure.check for failure in caught.value.failures] == ["the registered facts are the object's"]
    assert "is one call, as its generate or answers is its own; write streams=False" in str(caught.value)


def test_early_stop_is_judged_by_answers_that_end(folder: Path, make_folder: Callable[..., Path]) -> None:
    stopping = faulty(parameters=(*PARAMETERS, standard("early_stop")))
    effect = "each parameter changes something, or is declared neutral"
    assert failures(stopping, folder) == [effect]  # an answer there has an end
    assert effect not in check_algorithm(stopping, model=make_folder(reply_ids=[5] * 64))


class OwnCode:
    """A network that runs by a model's own code: of none of the classes that engines name."""

    def __init__(self, network: Any) -> None:
        self._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


@pytest.mark.parametrize("name", ["pairs", "opaque"])
def test_rows_are_mixed_with_those_of_all_that_are_for_the_model(name: str, folder: Path) -> None:
    network = get_algorithm("pairs").load_model_from_hf(folder)
    assert MIXES in check_algorithm(name, model=OwnCode(network))


def test_an_algorithm_that_is_alone_with_its_networks_is_not_mixed(folder: Path) -> None:
    network = OwnCode(get_algorithm("pairs").load_model_from_hf(folder))
    lonely = faulty(engine="of-its-own", load_model_class=lambda self: OwnCode)
    assert MIXES not in check_algorithm(lonely, model=network)


def test_what_a_network_needs_gives_way_to_what_is_asked_instead(folder: Path) -> None:
    needing = faulty(
        parameters=(*PARAMETERS, standard("threshold", default=None), standard("factor")),
        parameters_on=lambda self, network: {"threshold": 0.5, "gen_length": 12},
    )
    network = get_algorithm("opaque").load_model_from_hf(folder)
    for given, asked in (({}, {"threshold": 0.5}), ({"factor": 1.0}, {"factor": 1.0})):
        assert params_of(Subject(needing, model=network, params=given)) == {**asked, "gen_length": 12}
    assert params_on(needing, network, gen_length=40, seed=3) == {"threshold": 0.5, "gen_length": 12}
