"""A canvas a step: what streams, who leaves when, and what a fault or an interrupt ends."""

from __future__ import annotations

import copy
import pickle
from itertools import pairwise
from typing import Any
from unittest import mock

import pytest
import torch

from llada_core import GenerationError, GenerationRequest
from llada_core.errors import PromptError
from llada_diffusiongemma import CanvasLoop
from llada_diffusiongemma.config import GemmaConfig
from llada_diffusiongemma.loop import affordable_columns
from llada_diffusiongemma.memory import logit_bytes

PROMPTS = ([5, 6, 7], [9], list(range(10, 31)))


def request(ids: Any, **params: Any) -> GenerationRequest:
    return GenerationRequest(prompt=ids, parameters={"gen_length": 20, "seed": 3, **params})


def test_each_step_is_a_canvas_and_what_it_tells_never_changes(lm: Any) -> None:
    told: dict[int, list[int]] = {}
    order = []
    for step in lm.stream([list(ids) for ids in PROMPTS], gen_length=20, seed=3):
        row = told.setdefault(step.ticket.index, [])
        assert step.positions == tuple(range(len(row), len(row) + len(step.tokens)))
        assert len(step.tokens) == (4 if len(row) == 16 else 8) or step.result.finish_reason == "stop"
        assert step.revoked == ()
        assert step.block == len(row) // 8
        row += step.tokens
        assert step.settled == len(row) or (step.finished and step.settled == 20)
        order.append(step.ticket.index)
        if step.finished:
            assert tuple(row[: len(step.result.token_ids)]) == step.result.token_ids
    assert order == sorted(order[:3]) * 3  # in turns


def test_a_trajectory_tells_the_forward_that_ended_a_canvas_and_no_logarithms(lm: Any) -> None:
    asked = GenerationRequest(prompt=PROMPTS[0], parameters={"gen_length": 20, "seed": 3}, trajectory=True)
    with lm.session() as session:
        ticket = session.submit(asked)
        ends = {position: step.nfe for step in session for position in step.positions}
    found = ticket.result.trajectory
    assert dict(zip(found.positions, found.committed_at, strict=True)) == ends
    assert (found.log_probabilities, found.drawn_log_probabilities) == (None, None)


def test_text_grows_canvas_by_canvas(lm: Any) -> None:
    seen = [step.ticket.text for step in lm.stream("Hello", gen_length=24, seed=3)]
    assert len(seen) == 3
    assert all(later.startswith(earlier) for earlier, later in pairwise(seen))


def test_a_cancelled_row_leaves_between_two_canvases_with_what_it_has(lm: Any) -> None:
    alone = lm.generate(PROMPTS[0], gen_length=20, seed=3)
    with lm.session(rows=2) as session:
        gone, kept = session.submit(request(PROMPTS[1])), session.submit(request(PROMPTS[0]))
        (step,) = session.step()
        assert step.ticket is gone
        session.cancel(gone)
        ended, other = session.step()
        assert (ended.ticket, ended.finished, ended.tokens) == (gone, True, ())
        assert other.ticket is kept
        assert (gone.result.finish_reason, gone.result.token_ids) == ("cancelled", step.tokens)
        for _ in session:
            pass
    assert (kept.result.token_ids, kept.nfe) == (alone.token_ids, alone.nfe)


def test_a_row_that_waits_takes_the_place_of_one_that_left(lm: Any) -> None:
    with lm.session(rows=1) as session:
        first, second = session.submit(request(PROMPTS[0])), session.submit(request(PROMPTS[1]))
        session.step()
        assert (first.status, second.status) == ("running", "waiting")
        session.cancel(first)
        session.step()
        session.step()
        assert (first.status, second.status) == ("finished", "running")


def test_rows_that_have_ended_hold_no_cache(lm: Any) -> None:
    network = lm.model.network
    algorithm = lm.algorithm("diffusion_gemma")
    values = algorithm.validate_args(gen_length=16, seed=1)
    rows = [algorithm.sequence(network, ids, values) for ids in PROMPTS[:2]]
    loop = CanvasLoop(network, rows=2)
    assert [loop.admit(row) for row in rows] == [True, True]
    loop.step()
    loop.cancel(rows[0])
    assert rows[0]._cache is not None
    while loop.active:
        loop.step()
    assert [row._cache for row in rows] == [None, None]


def test_rows_keep_to_the_columns_that_there_are(lm: Any) -> None:
    network, algorithm = lm.model.network, lm.algorithm("diffusion_gemma")
    values = algorithm.validate_args(gen_length=20)
    row, other = (algorithm.sequence(network, [5, 6], values) for _ in range(2))
    # Whole canvases, of which the sliding layer keeps 15 columns of half a full layer's size.
    assert (row.columns, GemmaConfig.from_dict(network.config.to_dict()).kv_numbers(26)) == (21, 21 * 64 - 32)
    loop = CanvasLoop(network, rows=4, columns=40)
    assert loop.refusal(row) is None
    assert (loop.admit(row), loop.admit(other), loop.active, loop.room) == (True, False, 1, 3)
    small = CanvasLoop(network, rows=4, columns=20)
    told = (
        "it needs 21 cached columns and the room of 1 more while its prompt is read, and there is memory for"
    )
    assert f"{told} 20; shorten" in str(small.refusal(row))
    with lm.session(columns=20) as session, pytest.raises(PromptError, match="21 cached columns"):
        session.submit(request([5, 6]))


def test_a_row_is_charged_what_its_sliding_layers_keep(lm: Any) -> None:
    """One that its window makes small is not turned away by the count of its tokens: but by the masks of its
    prompt, where they do not fit beside it."""
    algorithm, network = lm.algorithm("diffusion_gemma"), lm.model.network
    row = algorithm.sequence(network, [5] * 400, algorithm.validate_args(gen_length=100))
    assert row.columns == -(-(32 * 15 + 32 * (400 + 104)) // 64) == 260
    masks = 400 * 400 * 6 // (64 * 4)  # two, and a number of float32, of each pair of columns
    with lm.session(columns=260 + masks) as session:
        session.submit(request([5] * 400, gen_length=100))
    with (
        lm.session(columns=259 + masks) as session,
        pytest.raises(PromptError, match=f"room of {masks} more"),
    ):
        session.submit(request([5] * 400, gen_length=100))


def test_masks_of_one_prompt_are_counted_and_of_none_that_has_been_read(lm: Any) -> None:
    network, algorithm = lm.model.network, lm.algorithm("diffusion_gemma")
    values = algorithm.validate_args(gen_length=16, seed=1)
    long, *others = (algorithm.sequence(network, ids, values) for ids in ([5] * 400, [5, 6], [7] * 399))
    masks = 400 * 400 * 6 // (64 * 4)
    loop = CanvasLoop(network, rows=4, columns=long.columns + sum(row.columns for row in others) + masks)
    assert [loop.admit(row) for row in (long, *others)] == [True, True, True]  # one prompt is read at a time
    tight = CanvasLoop(network, rows=4, columns=long.columns + others[0].columns + masks - 1)
    row = algorithm.sequence(network, [5] * 400, values)
    assert (tight.admit(row), tight.admit(others[0])) == (True, False)
    tight.step()
    assert tight.admit(others[0])


def test_columns_are_what_free_memory_holds_beside_the_logits(lm: Any) -> None:
    network = lm.model.network
    config = GemmaConfig.from_dict(network.config.to_dict())
    column = 4 * 2 * (2 * 8 + 1 * 16)  # float32, keys and values of both layers
    room = 1000 * column + logit_bytes(config)
    with mock.patch("llada_diffusiongemma.loop.free_bytes", return_value=room * 10 // 9 + 1):
        assert affordable_columns(network) == 1000
    with mock.patch("llada_diffusiongemma.loop.free_bytes", return_value=0):
        assert affordable_columns(network) == 0


def test_a_fault_ends_its_row_alone(lm: Any) -> None:
    network = lm.model.network
    alone = lm.generate(PROMPTS[0], gen_length=20, seed=3)
    written = type(network).generate

    def faulty(self: Any, ids: Any, **keywords: Any) -> Any:
        if ids.tolist() == [[9]]:
            raise RuntimeError("the experts are on strike")
        return written(self, ids, **keywords)

    with mock.patch.object(type(network), "generate", faulty), pytest.raises(GenerationError) as caught:
        lm.generate([PROMPTS[0], PROMPTS[1]], gen_length=20, seed=3)
    assert "the experts are on strike" in str(caught.value)
    kept, failed = caught.value.results
    assert failed is None
    assert (kept.token_ids, kept.nfe) == (alone.token_ids, alone.nfe)


@pytest.mark.parametrize("where", ["encoder", "decoder"])
def test_an_interrupted_canvas_is_written_again(where: str, lm: Any) -> None:
    """Half-way the cache of some layers has the canvas and that of others not: it is made anew."""
    network = lm.model.network
    alone = lm.generate(PROMPTS[0], gen_length=20, seed=3)
    with lm.session(rows=2) as session:
        ticket = session.submit(request(PROMPTS[0]))
        session.step()
        layers = network.model.encoder.language_model if where == "encoder" else network.model.decoder
        struck = mock.patch.object(layers.layers[1], "forward", side_effect=KeyboardInterrupt)
        with struck, pytest.raises(KeyboardInterrupt):
            session.step()
        assert ticket.status == "running"
        for _ in session:
            pass
    assert ticket.result.token_ids == alone.token_ids
    assert network.config.canvas_length == 8


def test_an_interrupt_behind_a_canvas_loses_nothing_of_it(lm: Any) -> None:
    alone = lm.generate(PROMPTS[0], gen_length=20, seed=3)
    with lm.session() as session:
        ticket = session.submit(request(PROMPTS[0]))
        session.step()
        struck = mock.patch("llada_diffusiongemma.row._told_of", side_effect=KeyboardInterrupt)
        with struck, pytest.raises(KeyboardInterrupt):
            session.step()
        for _ in session:
            pass
    assert (ticket.result.token_ids, ticket.nfe) == (alone.token_ids, alone.nfe)


def test_logits_that_are_no_numbers_end_their_row_alone(lm: Any) -> None:
    """Before anything is drawn from them, which on a GPU would end the process."""
    alone = lm.generate(PROMPTS[0], gen_length=20, seed=3)
    broken = lm.model.network.lm_head.register_forward_hook(lambda *told: told[2] * float("nan"))
    with lm.session() as session:
        first = session.submit(request(PROMPTS[1]))
        session.step()
        broken.remove()
        second = session.submit(request(PROMPTS[0]))
        for _ in session:
            pass
    assert "the network's logits are not finite" in str(first.error)
    assert (second.result.token_ids, second.nfe) == (alone.token_ids, alone.nfe)


def test_probabilities_are_told_where_they_are_asked_for(lm: Any) -> None:
    told = lm.generate_batch(
        [GenerationRequest(prompt=[5, 6], parameters={"gen_length": 12, "seed": 3}, logprobs=2)]
    )[0]
    assert len(told.confidence) == len(told.token_ids) == len(told.alternatives)
    for token, sure, others in zip(told.token_ids, told.confidence, told.alternatives, strict=True):
        # What was written is the likeliest, as the class takes it.
        assert others[0][0] == token
        assert others[0][1] == pytest.approx(sure)
        assert 0 < others[1][1] <= sure <= 1


def test_a_ticket_survives_copy_and_pickle(lm: Any) -> None:
    with lm.session() as session:
        ticket = session.submit(request(PROMPTS[0]))
        session.step()
        assert copy.deepcopy(ticket) is ticket
        there = pickle.loads(pickle.dumps(ticket))
        assert (there.token_ids, there.nfe) == (ticket.token_ids, ticket.nfe)


def test_autocast_of_the_caller_changes_nothing(lm: Any) -> None:
    plain = lm.generate(PROMPTS[0], gen_length=9, seed=3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert lm.generate(PROMPTS[0], gen_length=9, seed=3).token_ids == plain.token_ids
