"""Rounds of training: weights exchanged between them, and memory for somebody else meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import llada_core
import llada_tiny
from llada_core import (
    CheckpointError,
    GenerationRequest,
    LoadedModel,
    ModelLoadError,
    ModelNotReady,
    Session,
    UsageError,
)
from tests.support.llada_moe import write_llada_moe, write_tokenizer

PROMPTS = ["What is 12 + 30?", "Sort the list 9, 4, 7, 1."]
ASKED: dict[str, Any] = {"max_tokens": 24, "temperature": 2.0, "seed": 3, "threshold": 0.99}

SLOW: dict[str, Any] = {"threshold": 1.0}


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small model as a round of training may leave it."""
    folder = tmp_path_factory.mktemp("after")
    for file in Path(llada_tiny.model_path()).iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    draw = torch.Generator().manual_seed(1)
    save_file(
        {
            name: tensor + 0.2 * tensor.std() * torch.randn(tensor.shape, generator=draw).to(tensor.dtype)
            for name, tensor in load_file(folder / "model.safetensors").items()
        },
        folder / "model.safetensors",
    )
    return folder


@pytest.fixture
def lm() -> Iterator[LoadedModel]:
    with llada_core.load_model(engine="fast-dllm", device="cpu") as model:
        yield model


def weights(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = load_file(folder / "model.safetensors")
    return found


def tokens(lm: LoadedModel, algorithm: str = "dual_cache", prompts: Any = PROMPTS, **asked: Any) -> list[Any]:
    found = lm.generate(prompts, algorithm=algorithm, **{**ASKED, **asked})
    return [(each.token_ids, each.nfe) for each in found]


def test_answers_are_those_of_the_model_freshly_loaded(lm: LoadedModel, after: Path) -> None:
    before = tokens(lm)
    with lm.session(rows=2) as session:  # it stays open, between two rounds
        asked: dict[str, Any] = {"prompt": PROMPTS[0], "algorithm": "dual_cache", "parameters": ASKED}
        session.submit(GenerationRequest(**asked))
        assert [*session]
        lm.load_weights(weights(after))
        ticket = session.submit(GenerationRequest(**asked))
        assert [*session]
    with llada_core.load_model(after, engine="fast-dllm", device="cpu") as fresh:
        wanted = tokens(fresh)
    assert wanted != before
    assert tokens(lm) == wanted
    assert ticket.result is not None
    assert (ticket.result.token_ids, ticket.result.nfe) == wanted[0]
    lm.load_weights(iter(weights(Path(llada_tiny.model_path())).items()))
    assert tokens(lm) == before


def test_so_are_those_of_a_mixture_of_experts(tmp_path: Path) -> None:
    places = [tmp_path / "before", tmp_path / "after"]
    for seed, place in enumerate(places):
        place.mkdir()
        write_tokenizer(write_llada_moe(place, seed=seed))
    asked: dict[str, Any] = {"prompts": ["abc", "xy z"], "max_tokens": 20, "algorithm": "prefix_cache"}
    with llada_core.load_model(places[0], device="cpu") as lm:
        before = tokens(lm, **asked)
        lm.load_weights(weights(places[1]))
        found = tokens(lm, **asked)
    with llada_core.load_model(places[1], device="cpu") as fresh:
        assert tokens(fresh, **asked) == found != before


def test_nothing_is_exchanged_or_released_while_rows_are_in_flight(lm: LoadedModel, after: Path) -> None:
    given = weights(after)
    with lm.session() as session:
        for prompt in PROMPTS:
            session.submit(GenerationRequest(prompt=prompt, parameters={"max_tokens": 64, **SLOW}))
        session.step()
        with pytest.raises(UsageError, match="2 requests are in work on this model, so that its weights"):
            lm.load_weights(given)
        with pytest.raises(UsageError, match="so that its memory cannot be released; let their sessions"):
            lm.sleep()
    lm.load_weights(given)
    stream = lm.stream(PROMPTS[0], **SLOW)
    next(stream)
    with pytest.raises(UsageError, match="1 request is in work"):
        lm.load_weights(given)
    stream.close()
    lm.load_weights(given)


def test_weights_that_come_one_by_one_and_not_to_an_end_are_not_decoded_by(
    lm: LoadedModel, after: Path
) -> None:
    before, given = tokens(lm), weights(after)
    name = min(given)
    with pytest.raises(CheckpointError, match=f"lack {name}"):
        lm.load_weights({key: tensor for key, tensor in given.items() if key != name})
    assert tokens(lm) == before
    with pytest.raises(CheckpointError, match=f"lack {name}"):
        lm.load_weights((key, tensor) for key, tensor in given.items() if key != name)
    for ask in (
        lambda: tokens(lm),
        lambda: lm.score("12 + 30 = {{1}}", ["42"]),
        lambda: lm.load_weights({name: given[name]}, partial=True),
    ):
        with pytest.raises(UsageError, match="weights of two rounds; give it all of one"):
            ask()
    lm.load_weights(given.items())
    with llada_core.load_model(after, engine="fast-dllm", device="cpu") as fresh:
        assert tokens(lm) == tokens(fresh)


@pytest.mark.parametrize(
    "error", [RuntimeError("gather"), ModelLoadError("damaged", path="shard", reason="bytes")]
)
def test_whatever_ends_it_once_a_weight_has_been_written(
    lm: LoadedModel, after: Path, error: Exception
) -> None:
    def given(count: int) -> Iterator[tuple[str, Tensor]]:
        yield from [*weights(after).items()][:count]
        raise error

    before = tokens(lm)
    with pytest.raises(type(error)):
        lm.load_weights(given(0))
    assert tokens(lm) == before
    with pytest.raises(type(error)):
        lm.load_weights(given(9))
    with pytest.raises(UsageError, match="weights of two rounds; give it all of one"):
        tokens(lm)


def test_nothing_is_asked_while_weights_are_written_or_memory_is_moved(
    lm: LoadedModel, after: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def ask(*_: Any) -> None:
        for what in (lambda: lm.generate("Hello"), lambda: lm.load_weights({}, partial=True), lm.sleep):
            with pytest.raises(UsageError) as info:
                what()
            told.append(str(info.value))

    def given() -> Iterator[tuple[str, Tensor]]:
        for pair in weights(after).items():
            if not told:
                ask()
            yield pair

    lm.load_weights(given())
    assert len(told) == 3
    assert all("is being given other weights; ask again once" in each for each in told)
    told.clear()
    loader = lm._resting._loader
    monkeypatch.setattr(loader, "release_memory", ask)
    monkeypatch.setattr(loader, "take_memory", lambda network: None)
    lm.sleep()
    assert all("is about to sleep or to wake; ask again once" in each for each in told)
    lm.wake()
    tokens(lm)


def test_a_sleep_that_ends_half_way_can_be_woken_from(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(network: Any, level: int) -> None:
        raise MemoryError("the host is full")

    before = tokens(lm)
    with monkeypatch.context() as patch:
        patch.setattr(lm._resting._loader, "release_memory", full)
        with pytest.raises(MemoryError):
            lm.sleep()
    assert lm.asleep
    lm.wake()
    assert tokens(lm) == before


def test_likelihoods_are_of_one_round(lm: LoadedModel, after: Path) -> None:
    pairs = [("12 + 30 =", "42"), ("2 + 3 =", "5")]
    how: dict[str, Any] = {"samples": 1, "batch_size": 1}
    running = lm.log_likelihoods(pairs, **how)
    next(running)
    lm.load_weights(weights(after))
    with pytest.raises(ModelNotReady, match="other weights since this was asked; ask it again"):
        next(running)
    running = lm.log_likelihoods(pairs, **how)
    lm.sleep()
    with pytest.raises(ModelNotReady, match="this model sleeps"):
        next(running)


def test_rollouts_go_on_by_the_new_weights_and_end_with_the_model(lm: LoadedModel, after: Path) -> None:
    before = tokens(lm)
    running = lm.rollouts(PROMPTS, rows=1, algorithm="dual_cache", **ASKED)
    first = next(running).result
    lm.load_weights(weights(after))
    second = next(running).result
    with llada_core.load_model(after, engine="fast-dllm", device="cpu") as fresh:
        wanted = tokens(fresh)
    assert [first and first.token_ids, second and second.token_ids] == [before[0][0], wanted[1][0]]
    assert wanted[1] != before[1]
    assert not [*running]
    running = lm.rollouts(PROMPTS, rows=1, max_tokens=4)
    next(running)
    lm.close()
    with pytest.raises(UsageError, match="this model is closed"):
        next(running)


def ways_to_ask(lm: LoadedModel, session: Session) -> dict[str, Callable[[], object]]:
    """All that runs the network of ``lm``."""
    algorithm, request = lm.algorithm(), GenerationRequest(prompt=PROMPTS[0])
    network, ids = lm.model.network, torch.tensor([5, 6, 7])
    return {
        "ready": lm.ready,
        "generate": lambda: lm.generate(PROMPTS),
        "generate_batch": lambda: lm.generate_batch([request]),
        "stream": lambda: lm.stream(PROMPTS[0]),
        "infill": lambda: lm.infill("12 + {{2}} = 42."),
        "session": lambda: session.submit(request),
        "rollouts": lambda: lm.rollouts(PROMPTS),
        "score": lambda: lm.score("12 + 30 = {{1}}.", ["42"]),
        "log_likelihood": lambda: lm.log_likelihood("12 + 30 =", "42"),
        "the algorithm's own": lambda: algorithm.generate_batch(PROMPTS),
        "the algorithm's own of ids": lambda: algorithm.generate(network, ids, max_tokens=4),
    }


def test_a_model_that_cannot_be_asked_says_so_in_every_way_to_ask(lm: LoadedModel, after: Path) -> None:
    session, given = lm.session(), [*weights(after).items()]
    ways = ways_to_ask(lm, session)

    def told() -> dict[str, str]:
        found = {}
        for name, ask in ways.items():
            with pytest.raises(UsageError) as info:
                ask()
            found[name] = f"{type(info.value).__name__}: {info.value}".partition(";")[0]
        return found

    def asks() -> Iterator[tuple[str, Tensor]]:
        yield given[0]
        exchanging.update(told())
        yield from given[1:]

    exchanging: dict[str, str] = {}
    lm.load_weights(asks())
    assert exchanging == dict.fromkeys(ways, "ModelNotReady: this model is being given other weights")
    lm.sleep()
    assert told() == dict.fromkeys(ways, "ModelNotReady: this model sleeps")
    lm.wake()
    assert lm.ready() is lm.model
    lm.close()
    assert told() == dict.fromkeys(ways, "UsageError: this model is closed")


def test_nothing_comes_between_the_check_of_a_request_and_its_work(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As another thread may: what changes the model is called from where requests are made and run."""
    algorithm: Any = lm.algorithm("dual_cache")
    told: list[str] = []
    prepare, sequence, token_odds = algorithm.prepare, algorithm.sequence, algorithm.token_odds

    def sleeps(*args: Any, **options: Any) -> Any:
        job = prepare(*args, **options)
        lm.sleep()
        return job

    def tries(way: Any) -> Any:
        def tried(*args: Any, **options: Any) -> Any:
            changes: list[Callable[[], object]] = [lm.sleep, lambda: lm.load_weights({})]
            for change in changes:
                with pytest.raises(UsageError) as info:
                    change()
                told.append(str(info.value).partition(" on this model")[0])
            return way(*args, **options)

        return tried

    with monkeypatch.context() as patch, lm.session() as session:
        patch.setattr(algorithm, "prepare", sleeps)
        with pytest.raises(ModelNotReady, match="this model sleeps"):
            session.submit(GenerationRequest(prompt=PROMPTS[0], algorithm="dual_cache"))
    assert not session.active
    lm.wake()
    monkeypatch.setattr(algorithm, "sequence", tries(sequence))
    monkeypatch.setattr(algorithm, "token_odds", tries(token_odds))
    lm.generate(PROMPTS[0], algorithm="dual_cache", max_tokens=4)
    lm.log_likelihood("12 + 30 =", "42", algorithm="dual_cache", samples=1, greedy=False)
    assert told == ["1 request is in work"] * 4


@pytest.mark.parametrize("level", [1, 2])
def test_a_model_that_has_slept_answers_as_before(lm: LoadedModel, level: int) -> None:
    before = tokens(lm)
    with lm.session(rows=2) as session:
        request = GenerationRequest(prompt=PROMPTS[0], algorithm="dual_cache", parameters=ASKED)
        session.submit(request)
        assert [*session]
        waiting = lm.rollouts(PROMPTS)
        lm.sleep(level=level)
        assert lm.asleep
        for ask in (
            lambda: next(waiting),
            lambda: lm.generate("Hello"),
            lambda: session.submit(request),
            lambda: lm.load_weights({}),
        ):
            with pytest.raises(UsageError, match=r"this model sleeps; call its wake\(\) first"):
                ask()
        lm.wake()
        assert not lm.asleep
        if level == 2:
            with pytest.raises(
                UsageError, match="no weights since it slept at level 2; give it some by load"
            ):
                session.submit(request)
            lm.load_weights(weights(Path(llada_tiny.model_path())))
        ticket = session.submit(request)
        assert [*session]
    assert ticket.result is not None
    assert (ticket.result.token_ids, ticket.result.nfe) == before[0]
    assert tokens(lm) == before


def test_sleep_and_wake_come_in_turns(lm: LoadedModel) -> None:
    with pytest.raises(UsageError, match="this model is awake"):
        lm.wake()
    for level in (0, 3, True, "1"):
        with pytest.raises(UsageError, match="is none; give 1 to keep the weights in host memory, or 2"):
            lm.sleep(level=level)  # type: ignore[arg-type]
    lm.sleep()
    with pytest.raises(UsageError, match="this model sleeps already"):
        lm.sleep(level=2)


def test_a_closed_model_says_so(lm: LoadedModel) -> None:
    lm.close()
    for ask in (lm.sleep, lm.wake, lambda: lm.load_weights({})):
        with pytest.raises(UsageError, match="this model is closed"):
            ask()


@pytest.mark.gpu
@pytest.mark.parametrize("level", [1, 2])
def test_a_card_has_its_memory_back_while_a_model_sleeps(level: int, after: Path) -> None:
    """Graphs, keys and values, and weights; then answers are as before, with steps as graphs."""
    asked: dict[str, Any] = {"temperature": 0.0, "max_tokens": 64}
    with llada_core.load_model(engine="fast-dllm", device="cuda") as lm:
        network = lm.model.network
        before = tokens(lm, **asked)
        assert network.replays
        kept = sum(each.nbytes for each in network.network.parameters())
        held = torch.cuda.memory_allocated()
        lm.sleep(level=level)
        assert held - torch.cuda.memory_allocated() >= kept
        lm.wake()
        if level == 2:
            lm.load_weights(weights(Path(llada_tiny.model_path())))
        replays = network.replays
        assert tokens(lm, **asked) == before
        assert network.replays > replays
        lm.load_weights(weights(after))
        replays = network.replays
        found = tokens(lm, **asked)
        assert network.replays > replays
    with llada_core.load_model(after, engine="fast-dllm", device="cuda") as fresh:
        assert tokens(fresh, **asked) == found != before
