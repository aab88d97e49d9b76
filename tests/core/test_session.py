"""Sessions: requests come and go between steps, and every one ends in exactly one final step."""

from __future__ import annotations

import copy
import gc
import pickle
import random
import re
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llada_core import (
    Answer,
    ContractError,
    GenerationError,
    GenerationRequest,
    LoadedModel,
    ParameterError,
    PromptError,
    Step,
    Ticket,
    TokenizerMissing,
    UsageError,
    get_algorithm,
    load_model,
    register_algorithm,
)

pytestmark = pytest.mark.usefixtures("world")


@pytest.fixture
def lm(folder: Path) -> Iterator[LoadedModel]:
    with load_model(folder) as model:
        yield model


def request(tokens: int = 8, algorithm: str = "pairs", prompt: Any = "Hello") -> GenerationRequest:
    return GenerationRequest(prompt=prompt, algorithm=algorithm, parameters={"max_tokens": tokens})


def register(base: str, name: str, **attributes: Any) -> None:
    """Register an algorithm of the engine ``fake`` that is ``base`` but for ``attributes``."""
    kind = type(get_algorithm(base))
    facts = {"name": name, "engine": "fake", "parameters": get_algorithm(base).parameters}
    register_algorithm(type(name.title(), (kind,), {**facts, **attributes}))


def final(steps: list[Step]) -> dict[Ticket, Step]:
    """The final steps by ticket, of which there is one each."""
    ends = [step for step in steps if step.finished]
    assert max(Counter(step.ticket for step in ends).values(), default=1) == 1
    return {step.ticket: step for step in ends}


def test_requests_come_while_others_run(lm: LoadedModel) -> None:
    with lm.session() as session:
        first = session.submit(request(8))
        session.step()
        second = session.submit(request(4, "singles"))
        assert (first.status, second.status, second.nfe) == ("running", "waiting", 0)
        steps = list(session)
    assert first.result
    assert first.result.text == "Hi there"
    assert second.result
    assert (second.result.text, second.result.nfe, second.index) == ("Hi t", 4, 1)
    assert [step.ticket for step in steps if step.finished] == [first, second]
    assert session.active == 0


def test_a_session_has_so_many_rows_in_flight_and_the_others_wait_their_turn(lm: LoadedModel) -> None:
    with lm.session(rows=2) as session:
        tickets = [session.submit(request(4)) for _ in range(5)]
        assert session.room == 0
        session.step()
        assert [t.status for t in tickets] == ["running"] * 2 + ["waiting"] * 3
        assert lm.model.network.calls == ["step of 2"]
        list(session)
        assert session.room == 2
    admitted = [t.admitted for t in tickets]
    assert admitted == sorted(admitted)  # type: ignore[type-var]


def test_rows_of_all_loops_count(lm: LoadedModel) -> None:
    with lm.session(rows=2) as session:
        for algorithm in ("opaque", "pairs", "opaque", "pairs"):
            session.submit(request(4, algorithm))
        session.step()
        assert lm.model.network.calls == ["generate of 1 with gen_length 4", "step of 1"]


def test_clocks_are_the_rows_own(lm: LoadedModel) -> None:
    with lm.session(rows=1) as session:
        first, second = session.submit(request()), session.submit(request())
        list(session)
    assert first.result
    assert second.result
    assert first.result.finished <= second.result.admitted
    assert second.result.queue_seconds >= first.result.seconds > 0
    assert second.result.seconds == second.result.finished - second.result.admitted
    assert second.result.arrived == second.arrived


def test_a_cancelled_row_has_a_result_with_what_it_had(lm: LoadedModel) -> None:
    with lm.session() as session:
        ticket, other = session.submit(request(8)), session.submit(request(8))
        session.step()
        session.cancel(ticket)
        steps = session.step()
        assert final(steps)[ticket].result is ticket.result
        list(session)
    assert ticket.result
    assert (ticket.result.finish_reason, ticket.result.text, ticket.result.nfe) == ("cancelled", "Hi", 1)
    assert other.result
    assert other.result.finish_reason == "length"


@pytest.mark.parametrize("algorithm", ["pairs", "opaque"])
def test_a_row_that_waits_can_be_cancelled(lm: LoadedModel, algorithm: str) -> None:
    with lm.session(rows=1) as session:
        running, waiting = session.submit(request()), session.submit(request(8, algorithm))
        session.cancel(waiting)
        steps = list(session)
        session.cancel(running)  # has ended: stays as it is
        assert list(session) == []
    assert waiting.result
    assert (waiting.result.finish_reason, waiting.result.token_ids) == ("cancelled", ())
    assert waiting.result.nfe == 0
    assert waiting.result.queue_seconds > 0 == waiting.result.seconds
    assert running.result
    assert running.result.finish_reason == "length"
    assert len(final(steps)) == 2


def test_leaving_cancels_what_runs_and_loses_no_final_step(lm: LoadedModel) -> None:
    with lm.session(rows=2) as session:
        tickets = [session.submit(request(8, name)) for name in ("pairs", "singles", "pairs", "opaque")]
        session.step()
    assert [t.result and t.result.finish_reason for t in tickets] == ["cancelled"] * 4
    assert set(final(session.step())) == set(tickets)
    assert (session.step(), session.active, session.room) == ([], 0, 0)
    with pytest.raises(UsageError, match="this session is closed; open another one"):
        session.submit(request())


def test_what_can_never_run_is_refused_at_once(lm: LoadedModel) -> None:
    with lm.session() as session:
        with pytest.raises(ParameterError, match="gen_length"):
            session.submit(request(-1))
        with pytest.raises(PromptError, match="the prompt is empty"):
            session.submit(request(prompt=""))
        with pytest.raises(ParameterError, match="exceeds the 200 tokens"):
            session.submit(request(200, "opaque"))
        assert session.active == 0


@pytest.mark.parametrize("value", [0, -1, 2.5, True])
def test_a_session_of_no_rows_is_refused(lm: LoadedModel, value: Any) -> None:
    with pytest.raises(UsageError, match=f"rows={value!r} is no count of rows"):
        lm.session(rows=value)
    with pytest.raises(UsageError, match=f"columns={value!r} is no count of columns"):
        lm.session(columns=value)


# -- failures


def test_an_opaque_failure_is_its_rows_own(lm: LoadedModel) -> None:
    plain = type(get_algorithm("opaque")).answers

    def answers(self: Any, model: Any, prompts: Any, params: Any) -> Any:
        if (7, 7) in prompts:
            raise ZeroDivisionError("seven")
        return plain(self, model, prompts, params)

    register("opaque", "sevens", answers=answers)
    with pytest.raises(
        GenerationError, match="sevens failed in row 1: ZeroDivisionError: seven; mend"
    ) as info:
        lm.generate([[1], [7, 7], [2]], algorithm="sevens")
    error = info.value
    assert isinstance(error.__cause__, ZeroDivisionError)
    assert (error.algorithm, error.distribution, error.row) == ("sevens", None, 1)
    assert [result and result.token_ids[:1] for result in error.results] == [(39,), None, (39,)]


def test_what_an_algorithm_raises_where_its_row_is_made_ends_that_row(lm: LoadedModel) -> None:
    def sequence(self: Any, model: Any, prompt_ids: Any, params: Any) -> Any:
        raise KeyError("no such table")

    register("pairs", "unmade", sequence=sequence)
    with lm.session() as session:
        good, bad = session.submit(request(4)), session.submit(request(4, "unmade"))
        assert bad.status == "finished"
        steps = list(session)
    assert isinstance(final(steps)[bad].error, GenerationError)
    assert "unmade failed in row 1: KeyError: 'no such table'" in str(bad.error)
    assert good.result


def test_a_tokenizer_that_fails_is_its_rows_fault(lm: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = type(lm.model).decode

    def decode(self: Any, ids: Any) -> str:
        if len(ids) == 5:
            raise OverflowError("no such id")
        return plain(self, ids)

    monkeypatch.setattr(type(lm.model), "decode", decode)
    with lm.session() as session:
        tickets = [session.submit(request(n)) for n in (4, 5, 6)]
        steps = list(session)
    assert [type(t.error and t.error.__cause__) for t in tickets] == [type(None), OverflowError, type(None)]
    assert len(final(steps)) == 3


def test_a_tokenizer_that_fails_while_a_stop_is_looked_for_is_its_rows_fault(
    lm: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = type(lm.model).decode

    def decode(self: Any, ids: Any) -> str:
        if len(ids) == 4:
            raise OverflowError("no such id")
        return plain(self, ids)

    monkeypatch.setattr(type(lm.model), "decode", decode)
    with lm.session() as session:
        bad = session.submit(replace(request(8), stop=("nowhere",)))
        good = session.submit(request(8))
        steps = list(session)
    assert isinstance(bad.error, GenerationError)
    assert isinstance(bad.error.__cause__, OverflowError)
    assert bad.nfe < good.nfe
    assert good.result
    assert len(final(steps)) == 2


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("Hi", "it answered 'Hi'; its answers must return one Answer a prompt"),
        (
            Answer(token_ids=[1, 2], nfe=1),
            r"its Answer holds \[1, 2\]; token_ids must be a tuple of integers",
        ),  # type: ignore[arg-type]
        (Answer(token_ids=("a",), nfe=1), "token_ids must be a tuple of integers"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_answer_is_told_and_disturbs_nobody(lm: LoadedModel, answer: Any, told: str) -> None:
    register("opaque", "junk", answers=lambda self, model, prompts, params: [answer] * len(prompts))
    with lm.session() as session:
        good = session.submit(request(4, "opaque"))
        bad = [session.submit(request(4, "junk")) for _ in range(2)]
        list(session)
    assert good.result
    for ticket in bad:
        with pytest.raises(ContractError, match=told):
            raise ticket.error


def test_calls_wait_for_one_another_by_their_own_clocks(lm: LoadedModel) -> None:
    def answers(self: Any, model: Any, prompts: Any, params: Any) -> list[Answer]:
        time.sleep(0.02)
        return [Answer(token_ids=(1,), nfe=1) for _ in prompts]

    register("opaque", "slow", answers=answers)
    with lm.session() as session:
        tickets = [session.submit(request(n, "slow")) for n in (4, 5, 6)]
        list(session)
    results = [ticket.result for ticket in tickets]
    assert all(result and 0.02 <= result.seconds < 0.04 for result in results)
    assert results[2]
    assert results[2].queue_seconds >= 0.04


def test_a_ticket_does_not_keep_the_network(lm: LoadedModel) -> None:
    with lm.session() as session:
        ticket = session.submit(request(4))
        list(session)
    network = weakref.ref(lm.model.network)
    lm.close()
    del session
    gc.collect()
    assert network() is None
    assert ticket.text == "Hi t"


def test_somebody_elses_ticket_cannot_be_cancelled(lm: LoadedModel) -> None:
    with lm.session() as mine, lm.session() as theirs:
        ticket = theirs.submit(request(4))
        with pytest.raises(UsageError, match="was not submitted here"):
            mine.cancel(ticket)


def test_a_loop_that_cannot_be_opened_again_ends_those_who_wait_too(lm: LoadedModel) -> None:
    loop_class = type(get_algorithm("pairs")).loop_class
    opened: list[Any] = []

    class Once(loop_class):  # type: ignore[valid-type, misc]
        def __init__(self, *rest: Any, **options: Any) -> None:
            if opened:
                raise MemoryError("no second one")
            opened.append(self)
            super().__init__(*rest, **options)

        def step(self) -> Any:
            raise RuntimeError("the network is gone")

    register("pairs", "once", loop_class=Once)
    with lm.session(rows=1) as session:
        tickets = [session.submit(request(4, "once")) for _ in range(3)]
        steps = list(session)
    causes = [type(t.error and t.error.__cause__) for t in tickets]
    assert causes == [RuntimeError, MemoryError, MemoryError]
    assert len(final(steps)) == 3


def test_an_interrupted_call_is_in_flight_all_the_same(lm: LoadedModel) -> None:
    def answers(self: Any, *rest: Any) -> Any:
        raise KeyboardInterrupt

    register("opaque", "interrupted", answers=answers)
    session = lm.session()
    good, stopped = session.submit(request(2)), session.submit(request(4, "interrupted"))
    with pytest.raises(KeyboardInterrupt), session:
        list(session)
    assert set(final(session.step())) == {good, stopped}
    assert good.result
    assert stopped.result
    assert (good.result.finish_reason, stopped.result.finish_reason) == ("length", "cancelled")


def test_a_row_that_is_in_work_already_fails(lm: LoadedModel) -> None:
    rows: list[Any] = []
    plain = type(get_algorithm("pairs")).sequence

    def sequence(self: Any, *rest: Any) -> Any:
        rows.extend([] if rows else [plain(self, *rest)])
        return rows[0]

    register("pairs", "again", sequence=sequence)
    with lm.session() as session:
        first, second = session.submit(request(4, "again")), session.submit(request(4, "again"))
        assert len(final(list(session))) == 2
    assert first.error is None
    assert isinstance(second.error, ContractError)
    assert "its sequence returned a row that is in work already; make a new one" in str(second.error)


def test_an_error_that_cannot_be_told_is_a_rows_error_all_the_same(lm: LoadedModel) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise ValueError("no words")

    def answers(self: Any, *rest: Any) -> Any:
        raise Mute

    register("opaque", "mute", answers=answers)
    with pytest.raises(GenerationError, match="mute failed in row 0: Mute; mend its code"):
        lm.generate("Hello", algorithm="mute")


class Panic(BaseException):
    """As a Rust extension raises: no ``Exception``, and no interrupt."""


def panic(*arguments: Any, **options: Any) -> Any:
    raise Panic("index out of bounds")


class PanickingLoop:
    """A loop class that fails in one of its methods, once."""

    @staticmethod
    def of(method: str) -> type:
        plain = type(get_algorithm("pairs")).loop_class
        failed: list[str] = []

        def once(self: Any, *arguments: Any) -> Any:
            if not failed:
                failed.append(method)
                raise Panic("index out of bounds")
            return getattr(super(made, self), method)(*arguments)

        made = type("Panicking", (plain,), {method: once})
        return made


PANICS: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
    "a call": ("opaque", lambda: {"generate": panic}),
    "its answers": ("opaque", lambda: {"answers": panic}),
    "making its row": ("pairs", lambda: {"sequence": panic}),
    "opening its loop": ("pairs", lambda: {"open_loop": panic, "loop_class": PanickingLoop.of("step")}),
    "admitting it": ("pairs", lambda: {"loop_class": PanickingLoop.of("admit")}),
    "a step of its loop": ("pairs", lambda: {"loop_class": PanickingLoop.of("step")}),
}


@pytest.mark.parametrize(("base", "attributes"), PANICS.values(), ids=PANICS.keys())
def test_a_fault_that_is_no_exception_ends_its_row_and_no_other(
    lm: LoadedModel, base: str, attributes: Callable[[], dict[str, Any]]
) -> None:
    register(base, "panicking", **attributes())
    with lm.session() as session:
        bad, good = session.submit(request(4, "panicking")), session.submit(request(4))
        assert set(final(list(session))) == {bad, good}
    assert isinstance(bad.error, GenerationError)
    assert "panicking failed in row 0: Panic: index out of bounds; mend its code" in str(bad.error)
    assert good.result is not None


def test_what_a_panic_says_reaches_another_process(lm: LoadedModel) -> None:
    register("opaque", "panicking", generate=panic)
    with pytest.raises(GenerationError) as caught:
        lm.generate("Hello", algorithm="panicking")
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == str(caught.value)
    assert str(again.__cause__) == "Panic: index out of bounds"


@pytest.mark.parametrize("wrong", ["Hello", None, [1, 2]])
def test_only_requests_are_submitted(lm: LoadedModel, wrong: Any) -> None:
    with lm.session() as session, pytest.raises(UsageError, match="is no request; give GenerationRequest"):
        session.submit(wrong)


def test_a_step_survives_a_process_with_what_its_ticket_knew(lm: LoadedModel) -> None:
    with lm.session() as session:
        ticket = session.submit(request(4))
        first, *_ = session.step()
        sent = pickle.loads(pickle.dumps(first))
        (last,) = session.step()
    assert (sent.positions, sent.tokens, sent.nfe) == (first.positions, first.tokens, first.nfe)
    assert (sent.ticket.status, sent.ticket.nfe) == ("running", 1)
    assert sent.ticket.token_ids == ticket.token_ids[:2]
    with pytest.raises(TokenizerMissing, match="decode its token_ids yourself"):
        sent.ticket.text  # noqa: B018  the access is what is tested
    received = pickle.loads(pickle.dumps(last)).ticket
    assert (received.status, received.canvas, received.text) == ("finished", ticket.canvas, ticket.text)
    assert (received.result, received.finished) == (ticket.result, ticket.finished)


def test_a_copy_of_a_step_is_of_the_same_ticket(lm: LoadedModel) -> None:
    with lm.session() as session:
        session.submit(request(4))
        first, *_ = session.step()
    assert copy.copy(first) == first
    assert copy.deepcopy(first).ticket is first.ticket


def test_an_error_of_a_row_survives_a_process(lm: LoadedModel) -> None:
    register("opaque", "faulty", answers=lambda self, *rest: 1 / 0)
    with pytest.raises(GenerationError) as caught:
        lm.generate("Hello", algorithm="faulty")
    for again in (copy.copy(caught.value), pickle.loads(pickle.dumps(caught.value))):
        assert type(again) is GenerationError
        assert (str(again), again.row, again.algorithm) == (str(caught.value), 0, "faulty")


def test_a_stream_goes_on_for_the_others_and_then_raises(lm: LoadedModel) -> None:
    register("opaque", "faulty", answers=lambda self, *rest: 1 / 0)
    steps: list[Step] = []
    with pytest.raises(GenerationError, match="row 0") as caught:
        steps.extend(lm.stream(["a", "b"], algorithm="faulty"))
    assert caught.value.__notes__ == ["2 of 2 rows failed; this is the first one's error"]


def test_a_loop_that_breaks_ends_its_rows_and_the_next_ones_get_a_new_one(lm: LoadedModel) -> None:
    loop_class = type(get_algorithm("pairs")).loop_class

    class Breaking(loop_class):  # type: ignore[valid-type, misc]
        def step(self) -> Any:
            if self.rows_before:
                raise RuntimeError("the network is gone")
            return super().step()

        def admit(self, row: Any) -> bool:
            Breaking.opened += self not in Breaking.seen
            Breaking.seen.append(self)
            return bool(super().admit(row))

        opened, seen = 0, []  # type: ignore[var-annotated]
        rows_before = property(lambda self: Breaking.opened == 1)

    register("pairs", "breaking", loop_class=Breaking)
    with lm.session(rows=2) as session:
        tickets = [session.submit(request(4, "breaking")) for _ in range(3)]
        good = session.submit(request(4))
        steps = list(session)
    assert [type(t.error) for t in tickets] == [GenerationError, GenerationError, type(None)]
    assert "the network is gone" in str(tickets[0].error)
    assert tickets[2].result
    assert good.result
    assert len(final(steps)) == 4


def forgets(steps: list[Step], loop: Any) -> list[Step]:
    loop.sequences.clear()
    return []


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (lambda steps, loop: None, "its loop's step returned None; return a list of Steps"),
        (lambda steps, loop: (), r"its loop's step returned \(\); return a list of Steps"),
        (lambda steps, loop: ["done"], r"its loop's step returned \['done'\]; return a list of Steps"),
        (
            lambda steps, loop: [Step.last(step.ticket) for step in steps] * 2,
            "told of a row that had ended; each",
        ),
        (
            lambda steps, loop: [Step.last(Ticket(step.ticket.row)) for step in steps],
            "told of a row that had",
        ),
        (forgets, "its loop let go of the row without a final step; tell Step.last of its ticket"),
    ],
    ids=["nothing", "a tuple", "words", "twice", "a stranger", "forgotten"],
)
def test_a_loop_that_tells_what_it_may_not_ends_its_rows_and_no_others(
    lm: LoadedModel, changed: Any, told: str
) -> None:
    plain = type(get_algorithm("pairs")).loop_class  # type: ignore[attr-defined]

    class Wrong(plain):  # type: ignore[misc,valid-type]
        def step(self) -> Any:
            return changed(super().step(), self)

    register("pairs", "wrong", loop_class=Wrong)
    with lm.session() as session:
        bad, good = session.submit(request(6, "wrong")), session.submit(request(6, "singles"))
        assert final(list(session)).keys() == {bad, good}
    assert isinstance(bad.error, ContractError)
    assert re.search(told, str(bad.error))
    assert good.result
    assert good.result.text == "Hi the"


@pytest.mark.parametrize("algorithm", ["singles", "pairs", "opaque"])
def test_the_stop_that_is_complete_first_ends_an_answer_however_wide_its_steps(
    lm: LoadedModel, algorithm: str
) -> None:
    """The one that began first did, if the step that completed another one had reached its end."""
    with lm.session() as session:
        ticket = session.submit(replace(request(6, algorithm), stop=("Hi the", "i t", "i")))
        list(session)
        assert ticket.result
        assert (ticket.result.text, ticket.result.finish_reason) == ("H", "stop")
        ticket = session.submit(replace(request(6, algorithm), stop=("Hi the", "i t", "Hi t")))
        list(session)
        assert ticket.result
        assert ticket.result.text == ""


@pytest.mark.parametrize("row", [None, "row", 3])
def test_a_sequence_that_is_no_row_fails(lm: LoadedModel, row: Any) -> None:
    register("pairs", "rowless", sequence=lambda self, *rest: row)
    with pytest.raises(ContractError, match=r"its sequence returned .*; return a row, with its ticket"):
        lm.generate("Hello", algorithm="rowless")


@pytest.mark.parametrize("seed", range(8))
def test_every_ticket_gets_exactly_one_final_step(lm: LoadedModel, seed: int) -> None:
    register("opaque", "faulty", answers=lambda self, *rest: 1 / 0)
    draw = random.Random(seed)
    tickets: list[Ticket] = []
    steps: list[Step] = []
    with lm.session(rows=draw.randint(1, 4)) as session:
        for _ in range(40):
            if draw.random() < 0.5:
                name = draw.choice(["pairs", "singles", "opaque", "faulty"])
                tickets.append(session.submit(request(draw.randint(1, 9), name)))
            if tickets and draw.random() < 0.2:
                session.cancel(draw.choice(tickets))
            if draw.random() < 0.7:
                steps += session.step()
    steps += session.step()
    assert set(final(steps)) == set(tickets)
    assert all((t.result is None) != (t.error is None) for t in tickets)
    assert all((t.error is not None) <= (t.nfe == 0) for t in tickets)
