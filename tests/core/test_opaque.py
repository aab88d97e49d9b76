"""Algorithms that are one call: what they answer of each row, and which loaded models they do not fit."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from llada_core import (
    AlgorithmUnavailable,
    Answer,
    ContractError,
    GenerationAlgorithm,
    GenerationRequest,
    LladaError,
    LoadedModel,
    UsageError,
    get_algorithm,
    load_model,
    register_algorithm,
    standard,
)
from tests.support.program import Llada, error, notes_of

pytestmark = pytest.mark.usefixtures("world")

REASON = "it has no head of its own; use pairs"


@pytest.fixture
def lm(folder: Path) -> Iterator[LoadedModel]:
    with load_model(folder) as model:
        yield model


def register(base: str = "opaque", *, name: str = "mine", **attributes: Any) -> None:
    """Register an algorithm of the engine ``fake`` that is ``base`` but for ``attributes``."""
    kind = type(get_algorithm(base))
    parameters = get_algorithm(base).parameters
    register_algorithm(
        type("Mine", (kind,), {"name": name, "engine": "fake", "parameters": parameters, **attributes})
    )


def answers_by_length(self: Any, model: Any, prompts: Any, params: Any) -> list[Answer]:
    """A row of its own facts: the length of its prompt, told in three ways."""
    return [
        Answer(token_ids=(len(ids),), nfe=len(ids), warnings=(f"{len(ids)} tokens\nwere read",))
        for ids in prompts
    ]


def headless(self: Any, model: Any) -> str | None:
    return None if hasattr(model, "head") else REASON


# -- answers


def test_an_answer_ends_with_its_end_token_and_costs_what_generate_says(lm: LoadedModel) -> None:
    opaque = lm.algorithm("opaque")
    params = opaque.validate_args(gen_length=20)
    short, long = opaque.answers(lm.model.network, [(1,), (1, 2, 3)], params)
    assert short == long
    assert short.token_ids == tuple(lm.model.network.config.reply_ids)
    assert (short.nfe, short.warnings) == (7, ())


def test_prompts_are_padded_for_generate(lm: LoadedModel) -> None:
    seen: list[Any] = []

    def generate(self: Any, model: Any, prompt: Any, *, attention_mask: Any = None, **params: Any) -> Any:
        seen.append((prompt.tolist(), attention_mask.tolist()))
        return torch.cat((prompt, prompt[:, -1:]), dim=1), 1

    register(generate=generate)
    assert [result.token_ids for result in lm.generate([[5], [6, 7]], algorithm="mine")] == [(5,), (7,)]
    assert seen == [([[lm.model.pad_id, 5], [6, 7]], [[0, 1], [1, 1]])]


def test_rows_may_have_facts_of_their_own(lm: LoadedModel) -> None:
    register(answers=answers_by_length)
    requests = [GenerationRequest(prompt=[1] * n, algorithm="mine") for n in (3, 5)]
    results = lm.generate_batch(requests)
    assert [(r.token_ids, r.nfe, r.prompt_tokens) for r in results] == [((3,), 3, 3), ((5,), 5, 5)]
    assert results[1].warnings == ("5 tokens\nwere read",)
    assert results[1].as_dict()["warnings"] == ["5 tokens\nwere read"]


def test_an_algorithm_that_loaded_its_own_model_is_asked_the_same_way(folder: Path) -> None:
    register(answers=answers_by_length)
    mine = get_algorithm("mine")
    mine.load_model_from_hf(folder)
    assert [result.nfe for result in mine.generate_batch([[1, 2], [3]])] == [2, 1]


def test_a_stream_of_an_answer_is_one_step_of_it(lm: LoadedModel) -> None:
    register(answers=answers_by_length)
    (step,) = lm.stream([1, 2, 3], algorithm="mine")
    assert (step.positions, step.tokens, step.ticket.canvas, step.nfe) == ((0,), (3,), (3,), 3)
    assert step.result
    assert step.result.warnings


def test_steps_warn_of_nothing(lm: LoadedModel) -> None:
    assert lm.generate("Hello").warnings == ()


def test_a_wrong_number_of_rows_is_told(lm: LoadedModel) -> None:
    register(generate=lambda self, model, prompt, **params: (prompt[:0], 1))
    with pytest.raises(LladaError, match=r"mine failed in row 0: it returned 0 rows for 1 prompts; its gen"):
        lm.generate([[1], [2]], algorithm="mine")


def test_a_wrong_number_of_answers_is_told(lm: LoadedModel) -> None:
    register(answers=lambda self, model, prompts, params: [])
    with pytest.raises(
        LladaError, match=r"mine failed in row 0: it returned 0 answers for 1 prompts; .* one"
    ):
        lm.generate([1], algorithm="mine")


@pytest.mark.parametrize("own", ["generate", "answers"])
def test_an_answer_longer_than_asked_is_told(lm: LoadedModel, own: str) -> None:
    long = {
        "generate": lambda self, model, prompt, **params: (torch.cat((prompt, prompt.repeat(1, 9)), 1), 1),
        "answers": lambda self, model, prompts, params: [Answer(token_ids=(3,) * 9, nfe=1)],
    }
    register(**{own: long[own]})
    told = (
        "mine failed in row 0: it answered with 9 tokens for gen_length=4; return at most gen_length columns"
    )
    with pytest.raises(LladaError, match=told):
        lm.generate([3], algorithm="mine", max_tokens=4)
    assert lm.generate([3], algorithm="mine", max_tokens=9).completion_tokens == 9


@pytest.mark.parametrize("of", [lambda lm: lm, lambda lm: lm.model])
def test_what_holds_the_network_is_no_network(lm: LoadedModel, of: Callable[[LoadedModel], Any]) -> None:
    with pytest.raises(
        UsageError, match=r"opaque was given a .*, which holds the network; give lm\.model\.net"
    ):
        lm.algorithm("opaque").check_fits(of(lm))


def test_padding_behind_the_end_of_an_answer_does_not_count(lm: LoadedModel) -> None:
    end = min(lm.model.end_ids)

    def generate(self: Any, model: Any, prompt: Any, **params: Any) -> Any:
        return torch.cat((prompt, torch.tensor([[3, *[end] * 9]])), dim=1), 1

    register(generate=generate)
    assert lm.generate([3], algorithm="mine", max_tokens=4).token_ids == (3,)


def test_a_mask_in_an_answer_is_told(lm: LoadedModel) -> None:
    mask = lm.model.limits.mask_id
    register(answers=lambda self, model, prompts, params: [Answer(token_ids=(4, mask), nfe=1)])
    with pytest.raises(
        LladaError, match=rf"mine failed in row 0: it left the mask token \(id {mask}\) in an answer; its gen"
    ):
        lm.generate([1], algorithm="mine")


def test_columns_behind_the_answer_are_not_part_of_it(lm: LoadedModel) -> None:
    def sequence(self: Any, model: Any, prompt_ids: Any, params: Any) -> Any:
        row = super(type(self), self).sequence(model, prompt_ids, params)
        row.canvas += [lm.model.limits.mask_id] * 4
        return row

    register("pairs", sequence=sequence)
    *_, last = lm.stream("Hello", algorithm="mine", max_tokens=5)
    assert len(last.ticket.canvas) == 5
    assert last.result
    assert last.result.text == "Hi th"


# -- what does not fit a model


def test_an_algorithm_that_does_not_fit_the_model_says_why(lm: LoadedModel) -> None:
    register(unfit_reason=headless)
    with pytest.raises(AlgorithmUnavailable) as caught:
        lm.generate("Hello", algorithm="mine")
    assert str(caught.value) == f"mine cannot run on {lm.model.path}: {REASON}"
    assert (caught.value.name, caught.value.reason) == ("mine", REASON)


def test_an_algorithm_that_fits_runs(lm: LoadedModel) -> None:
    register(unfit_reason=headless)
    lm.model.network.head = True
    assert lm.generate("Hello", algorithm="mine").algorithm == "mine"


def test_the_algorithm_that_loaded_the_model_may_not_fit_it(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(get_algorithm("pairs")), "unfit_reason", headless)
    with pytest.raises(AlgorithmUnavailable, match="pairs cannot run on"):
        lm.generate("Hello", algorithm="pairs")
    assert lm.generate("Hello").algorithm != "pairs"  # what can run is the default


def test_an_algorithm_with_a_model_of_its_own_says_it_too(folder: Path) -> None:
    register(unfit_reason=headless)
    mine = get_algorithm("mine")
    mine.load_model_from_hf(folder)
    with pytest.raises(AlgorithmUnavailable, match=r"mine cannot run on .*: it has no head"):
        mine.generate_batch(["Hello"])


def test_a_model_lists_its_engines_algorithms_with_what_is_against_them(lm: LoadedModel) -> None:
    register(unfit_reason=headless)
    found = lm.algorithms()
    # ``guest`` is of another engine, and runs on networks of this class; ``alien`` does not.
    assert list(found) == ["broken", "guest", "mine", "opaque", "pairs", "singles"]
    assert found["broken"] == get_algorithm("broken").unavailable_reason
    assert found["mine"] == REASON
    assert [found[name] for name in ("guest", "opaque", "pairs", "singles")] == [None] * 4


# -- on the command line


def test_generate_prints_warnings_on_stderr(folder: Path, llada: Llada) -> None:
    register(answers=answers_by_length)
    arguments = ["generate", "Hello", "--raw", "--model", str(folder), "--algorithm", "mine"]
    assert notes_of(llada(*arguments)) == ["warning: 5 tokens were read"]
    status, out, err = llada(*arguments, "--json")
    assert json.loads(out)["warnings"] == ["5 tokens\nwere read"]
    assert (status, err) == (0, "")


def test_chat_prints_warnings_on_stderr(folder: Path, llada: Llada) -> None:
    register(answers=answers_by_length)
    status, _, err = llada("chat", "--model", str(folder), "--algorithm", "mine", typed="Hello\n")
    assert status == 0
    assert err.startswith("warning: ")


@pytest.mark.parametrize("command", [["generate", "Hello", "--algorithm", "pairs"], ["chat"]])
def test_an_algorithm_that_does_not_fit_is_status_1_before_anything_is_answered(
    command: list[str], folder: Path, llada: Llada
) -> None:
    register(unfit_reason=headless)
    ran = llada(*command, "--model", str(folder), "--algorithm", "mine", typed="Hello\n")
    assert error(ran, status=1) == f"error: mine cannot run on {folder}: {REASON}\n"


def test_a_named_engine_runs_a_foreign_model_whose_code_is_trusted(
    make_folder: Callable[..., Path], llada: Llada
) -> None:
    arguments = ["generate", "Hello", "--model", str(make_folder()), "--engine", "alien"]
    assert "alien does not take" in error(llada(*arguments), status=1)
    status, out, err = llada(*arguments, "--trust-remote-code")
    assert (status, out) == (0, "Hi there.\n")
    assert "alien (alien)" in err


def test_an_algorithm_of_another_engine_that_cannot_run_is_listed_with_the_reason(lm: LoadedModel) -> None:
    kind = type(get_algorithm("guest"))  # on networks of the engine fake
    register_algorithm(
        type("Off", (kind,), {"name": "off", "engine": "alien", "is_available": lambda _: False})
    )
    assert lm.algorithms()["guest"] is None
    reason = lm.algorithms()["off"]
    assert reason is not None
    assert "Off.is_available()" in reason
    with pytest.raises(AlgorithmUnavailable, match="off cannot run here"):
        lm.algorithm("off")


def test_an_algorithm_of_another_engine_and_network_is_not_listed_because_it_cannot_run(
    lm: LoadedModel,
) -> None:
    kind = type(get_algorithm("alien"))
    register_algorithm(
        type("Off", (kind,), {"name": "off", "engine": "alien", "is_available": lambda _: False})
    )
    assert "off" not in lm.algorithms()


def test_a_call_does_not_tell_how_probable_its_tokens_were(lm: LoadedModel) -> None:
    for count in (0, 3):
        with pytest.raises(
            AlgorithmUnavailable, match=r"opaque does not tell how probable .* leave logprobs out"
        ):
            lm.generate_batch([GenerationRequest(prompt="a", algorithm="opaque", logprobs=count)])


def test_rows_that_know_no_alternatives_are_told_so(lm: LoadedModel) -> None:
    asked = GenerationRequest(prompt="a", algorithm="pairs", logprobs=3)
    with pytest.raises(ContractError, match="its rows have no alternatives; give logprobs=0"):
        lm.generate_batch([asked])
    told = lm.generate_batch([GenerationRequest(prompt="a", algorithm="pairs", logprobs=0)])[0]
    assert told.confidence == (1.0,) * len(told.token_ids)


def test_a_generate_that_is_overridden_below_an_answers_is_what_runs(lm: LoadedModel) -> None:
    """An engine's ``answers`` is its way of calling its own ``generate``, not that of a class below it."""

    network = get_algorithm("opaque").load_model_class()

    class Engine(GenerationAlgorithm):
        name, engine, parameters = "engine", "fake", (standard("gen_length"),)

        def load_model_class(self) -> Any:
            return network

        def answers(self, model: Any, prompts: Any, params: Any) -> list[Answer]:
            return [Answer(token_ids=(5,), nfe=1) for _ in prompts]

        def generate(self, model: Any, prompt: Any, *, attention_mask: Any = None, **params: Any) -> Any:
            (answer,) = self.answers(model, [prompt[0].tolist()], params)
            return torch.cat((prompt, torch.tensor([answer.token_ids])), dim=1), answer.nfe

    class Mine(Engine):
        name = "mine"

        def generate(self, model: Any, prompt: Any, *, attention_mask: Any = None, **params: Any) -> Any:
            ids, nfe = super().generate(model, prompt, **params)
            return ids + (ids == 5), nfe + 1

    register_algorithm(Engine)
    register_algorithm(Mine)
    theirs, own = (lm.generate([1, 2], algorithm=name) for name in ("engine", "mine"))
    assert (theirs.token_ids, theirs.nfe) == ((5,), 1)
    assert (own.token_ids, own.nfe) == ((6,), 2)
