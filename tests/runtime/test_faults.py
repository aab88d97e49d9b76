"""A row fails alone: whatever its policy, its rule or its logits do, the others are as if it had not been."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import ContractError, NoProgress, NumericalError, Step
from llada_core.faults import one_line
from llada_core.generation.outcomes import let_go  # what a session does with a row's error
from llada_runtime import (
    DualCache,
    LLaDAModel,
    Loop,
    NoCache,
    Plan,
    Policy,
    PrefixCache,
    Quota,
    Rule,
    Sequence,
)
from llada_runtime.decoding.plan import Plan as PlanOf

PROMPTS = [[1, 2, 3], [4, 5], [6], [9, 8, 7, 6]]


class Boom(Exception):
    pass


def row(model: LLaDAModel, prompt: Iterable[int] = (1, 2), **options: Any) -> Sequence:
    settings: dict[str, Any] = {
        "gen_length": 10, "block_length": 4, "policy": DualCache(), "rule": Quota(4), "early_stop": False,
    }  # fmt: skip
    return Sequence(prompt, model.config, **{**settings, **options})


def good_rows(model: LLaDAModel) -> list[Sequence]:
    policies: list[Policy] = [DualCache(), PrefixCache(), NoCache(), DualCache()]
    return [row(model, prompt, policy=policy) for prompt, policy in zip(PROMPTS, policies, strict=True)]


def run(model: LLaDAModel, rows: Iterable[Sequence]) -> list[Step]:
    loop, steps = Loop(model, rows=8), []
    for each in rows:
        assert loop.admit(each)
    while loop.active:
        steps += loop.step()
        assert len(steps) < 1000
    return steps


def ends(steps: list[Step]) -> dict[Any, Step]:
    """The final step of each row, of which there is one."""
    final = [step for step in steps if step.finished]
    assert len({step.ticket for step in final}) == len(final)
    return {step.ticket.row: step for step in final}


def at_forward(number: int, action: Callable[[], Any]) -> Callable[[Sequence], None]:
    def check(sequence: Sequence) -> None:
        if sequence.nfe == number:
            action()

    return check


def boom() -> None:
    raise Boom("boom")


class BadPolicy(DualCache):
    """Raises in one of its hooks, at its third forward."""

    def __init__(self, hook: str) -> None:
        self.hook, self.check = hook, at_forward(2 + (hook in ("after", "stays")), boom)

    def plan(self, sequence: Sequence) -> Plan:
        if self.hook == "plan":
            self.check(sequence)
        return super().plan(sequence)

    def inputs(self, sequence: Sequence, plan: Plan) -> Tensor | None:
        if self.hook == "inputs":
            self.check(sequence)
        return None

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Any) -> None:
        if self.hook == "after":
            self.check(sequence)

    def stays(self, sequence: Sequence) -> bool:
        if self.hook == "stays":
            self.check(sequence)
        return False


class BadRule(Quota):
    """Raises in one of its hooks, at its third forward."""

    __slots__ = ()
    hook = "select"
    rescores = revokes = True

    def rescore(self, sequence: Sequence, logits: Tensor, open_: Tensor) -> None:
        if self.hook == "rescore":
            at_forward(2, boom)(sequence)

    def score(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> None:
        if self.hook == "score":
            at_forward(2, boom)(sequence)

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        if self.hook == "revoke":
            at_forward(2, boom)(sequence)
        return ()

    @classmethod
    def select(cls, sequences: list[Sequence], scores: Tensor, open_: Tensor) -> Tensor:
        if cls.hook == "select":
            for sequence in sequences:
                at_forward(2, boom)(sequence)
        return super().select(sequences, scores, open_)


def bad_rule(hook: str) -> Rule:
    return type("Bad", (BadRule,), {"hook": hook, "__slots__": ()})(4)


HOOKS = [("policy", hook) for hook in ("plan", "inputs", "after", "stays")]
HOOKS += [("rule", hook) for hook in ("rescore", "score", "revoke", "select")]


@pytest.mark.parametrize(("part", "hook"), HOOKS, ids=[hook for _, hook in HOOKS])
def test_what_a_hook_raises_ends_its_row_and_no_other(model: LLaDAModel, part: str, hook: str) -> None:
    alone = good_rows(model)
    for each in alone:
        run(model, [each])
    bad = row(model, [3, 3], **{part: BadPolicy(hook) if part == "policy" else bad_rule(hook)})
    rows = good_rows(model)
    steps = run(model, [*rows[:2], bad, *rows[2:]])
    assert isinstance(ends(steps)[bad].error, Boom)
    assert [(r.canvas, r.nfe) for r in rows] == [(r.canvas, r.nfe) for r in alone]
    told = [step.nfe for step in steps if step.ticket is rows[0].ticket]
    assert told == list(range(1, rows[0].nfe + 1))  # no step of a neighbour is lost
    assert all(ends(steps)[each].error is None for each in rows)


class Panic(BaseException):
    """As a Rust extension raises: no ``Exception``, and no interrupt."""


@pytest.mark.parametrize(("part", "hook"), HOOKS, ids=[hook for _, hook in HOOKS])
def test_a_fault_that_is_no_exception_ends_its_row_and_no_other(
    model: LLaDAModel, monkeypatch: pytest.MonkeyPatch, part: str, hook: str
) -> None:
    monkeypatch.setitem(globals(), "Boom", Panic)
    bad = row(model, [3, 3], **{part: BadPolicy(hook) if part == "policy" else bad_rule(hook)})
    good = row(model)
    final = ends(run(model, [bad, good]))
    assert isinstance(final[bad].error, Exception)
    assert one_line(final[bad].error) == "Panic: boom"
    assert isinstance(final[bad].error.__cause__, Panic)
    assert final[good].error is None


@pytest.mark.parametrize(("part", "hook"), HOOKS, ids=[hook for _, hook in HOOKS])
def test_an_interrupt_in_a_hook_passes(
    model: LLaDAModel, monkeypatch: pytest.MonkeyPatch, part: str, hook: str
) -> None:
    monkeypatch.setitem(globals(), "Boom", KeyboardInterrupt)
    bad = row(model, [3, 3], **{part: BadPolicy(hook) if part == "policy" else bad_rule(hook)})
    with pytest.raises(KeyboardInterrupt):
        run(model, [bad, row(model)])


def test_a_network_that_panics_ends_its_rows(write_checkpoint: Any) -> None:
    class Panicking(LLaDAModel):
        def logits(self, layout: Any, cache: Any) -> Tensor:
            raise Panic("a kernel is gone")

    rows = good_rows(network := Panicking.from_pretrained(write_checkpoint()))
    final = ends(run(network, rows))
    told = {str(final[each].error) for each in rows}
    assert told == {"the network failed: Panic: a kernel is gone"}


def test_of_several_rows_of_one_rule_the_culprit_is_found(model: LLaDAModel) -> None:
    class Picky(Quota):
        __slots__ = ()

        @classmethod
        def select(cls, sequences: list[Sequence], scores: Tensor, open_: Tensor) -> Tensor:
            if any(sequence.prompt_length == 2 for sequence in sequences):
                raise Boom("two")
            return super().select(sequences, scores, open_)

    rows = [row(model, prompt, rule=Picky(4)) for prompt in PROMPTS]
    plain = [row(model, prompt) for prompt in PROMPTS]
    steps, _ = run(model, rows), run(model, plain)
    assert [type(ends(steps)[each].error) for each in rows] == [type(None), Boom, type(None), type(None)]
    assert [r.canvas for r in rows if r is not rows[1]] == [r.canvas for r in plain if r is not plain[1]]


def test_what_was_kept_before_a_fault_is_told(model: LLaDAModel) -> None:
    steps = run(model, [row(model, policy=BadPolicy("after"))])
    assert [len(step.positions) for step in steps] == [1, 1, 1]
    assert [step.finished for step in steps] == [False, False, True]


def test_a_row_whose_logits_are_nan_fails_alone(model: LLaDAModel) -> None:
    class Poisoned(NoCache):
        def inputs(self, sequence: Sequence, plan: Plan) -> Tensor:
            return torch.full((plan.hi - plan.lo, model.shape.width), torch.nan)

    good, bad, alone = row(model), row(model, policy=Poisoned()), row(model)
    steps = run(model, [bad, good])
    run(model, [alone])
    assert isinstance(ends(steps)[bad].error, NumericalError)
    assert (good.canvas, good.nfe) == (alone.canvas, alone.nfe)


@pytest.mark.parametrize(
    "chosen",
    [
        lambda open_: open_.long(),
        lambda open_: open_[:1],
        lambda open_: open_.float(),
        lambda open_: open_.tolist(),
        lambda open_: None,
    ],
    ids=["ints", "one row", "floats", "a list", "nothing"],
)
def test_a_choice_that_is_no_mask_of_the_rows_is_told(model: LLaDAModel, chosen: Any) -> None:
    class Wrong(Rule):
        @classmethod
        def choose(cls, parameters: Tensor, scores: Tensor, open_: Tensor) -> Tensor:
            return chosen(open_)  # type: ignore[no-any-return]

    rows = [row(model, rule=Wrong()), row(model, rule=Wrong()), row(model)]
    errors = [ends(run(model, rows))[each].error for each in rows]
    if errors[0] is not None or "one row" not in str(chosen):
        assert errors[2] is None
    for error in errors[:2]:
        if error is not None:
            assert isinstance(error, ContractError)
            assert "Wrong chose by " in str(error)
            assert "return a bool tensor [1, 4] on cpu" in str(error)


def test_what_a_rule_does_to_its_arguments_is_nothing_to_anybody(model: LLaDAModel) -> None:
    class Careless(Quota):
        __slots__ = ()

        @classmethod
        def select(cls, sequences: list[Sequence], scores: Tensor, open_: Tensor) -> Tensor:
            chosen = super().select(sequences, scores, open_)
            scores.fill_(0.0)
            open_.fill_(True)
            return chosen | open_

    rows, plain = [row(model, p, rule=Careless(4)) for p in PROMPTS], good_rows(model)
    final = ends(run(model, [*rows, *plain]))
    assert all(step.error is None for step in final.values())
    alone = good_rows(model)
    run(model, alone)
    assert [(each.canvas, each.nfe) for each in plain] == [(each.canvas, each.nfe) for each in alone]
    assert [each.nfe for each in rows] == [3] * 4  # a block a step, and nothing that stood was written over


WIDTH = 16  # of the small network


@pytest.mark.parametrize(
    "given",
    [
        lambda columns: torch.zeros(columns - 1, WIDTH),
        lambda columns: torch.zeros(columns + 3, WIDTH),
        lambda columns: torch.zeros(WIDTH),
        lambda columns: torch.zeros(columns, WIDTH + 1),
        lambda columns: [[0.0] * WIDTH] * columns,
    ],
    ids=["too few", "too many", "one", "too wide", "a list"],
)
def test_inputs_of_another_shape_are_their_rows_fault(model: LLaDAModel, given: Any) -> None:
    class Wrong(NoCache):
        def inputs(self, sequence: Sequence, plan: Plan) -> Any:
            return given(plan.hi - plan.lo)

    bad, good, alone = row(model, policy=Wrong()), row(model), row(model)
    final = ends(run(model, [bad, good]))
    run(model, [alone])
    assert "Wrong.inputs returned a" in str(final[bad].error)
    assert f"return embeddings [12, {WIDTH}] on cpu" in str(final[bad].error)
    assert good.canvas == alone.canvas


@pytest.mark.parametrize(
    "made",
    [lambda logits: logits[0].numpy(), lambda logits: logits, lambda logits: None],
    ids=["an array", "all of them", "nothing"],
)
def test_several_canvases_combined_to_something_else_are_their_rows_fault(
    model: LLaDAModel, made: Any
) -> None:
    class Wrong(NoCache):
        def plan(self, sequence: Sequence) -> Plan:
            return PlanOf(lo=0, hi=sequence.length, canvases=(tuple(sequence.canvas),))

        def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Any:
            return made(logits)

    bad, good = row(model, policy=Wrong()), row(model)
    final = ends(run(model, [bad, good]))
    assert "Wrong.combine returned " in str(final[bad].error)
    assert final[good].error is None


@pytest.mark.parametrize("options", [{"temperature": 0.7}, {"random_order": True}])
def test_a_seed_that_no_generator_takes_is_its_rows_fault(model: LLaDAModel, options: dict[str, Any]) -> None:
    bad, good = row(model, seed="seven", **options), row(model)
    final = ends(run(model, [bad, good]))
    assert "manual_seed" in str(final[bad].error)
    assert final[good].error is None


def test_only_a_rule_that_rescores_is_asked_to(model: LLaDAModel) -> None:
    class Silent(Quota):
        __slots__ = ()

        def rescore(self, sequence: Sequence, logits: Tensor, open_: Tensor) -> None:
            logits[:, 3] = 1000.0

    class Loud(Silent):
        __slots__ = ()
        rescores = True

    rows, alone = [row(model, rule=Silent(4)), row(model, [9], rule=Loud(4))], row(model, rule=Silent(4))
    run(model, rows)
    run(model, [alone])
    assert rows[0].canvas == alone.canvas
    assert rows[1].canvas[1:] == [3] * 10


def test_an_error_keeps_neither_loop_nor_cache_alive(model: LLaDAModel) -> None:
    loop = Loop(model, rows=2)
    loop.admit(row(model, policy=BadPolicy("after")))
    steps: list[Step] = []
    while loop.active:
        steps += loop.step()
    error, known = steps[-1].error, weakref.ref(loop)
    let_go(error)
    del loop
    gc.collect()
    assert known() is None
    assert isinstance(error, Boom)


def test_a_rule_that_chooses_nothing_says_what_to_define(model: LLaDAModel) -> None:
    class Empty(Rule):
        pass

    bad = row(model, rule=Empty())
    assert "Empty chooses nothing; define choose, or select" in str(ends(run(model, [bad]))[bad].error)


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        (PlanOf(lo=0, hi=99), "it covers columns 0 to 99 of 12"),
        (PlanOf(lo=4, hi=8, reads=True, writes=True), "the policy says that it does not cache"),
        (PlanOf(lo=0, hi=12, targets=(11, 13)), "it decides columns (11, 13), and the canvas has 12"),
        (PlanOf(lo=0, hi=12, targets=(0, 2), shift=1), "it decides (0, 2) from the logits of -1 to 1"),
        (PlanOf(lo=0, hi=12, targets=(0, 2), shift=1, whole=True), "from the logits of -1 to 1"),
        (PlanOf(lo=0, hi=5, end=5, targets=(4, 7), whole=True), "from the logits of 4 to 7"),
        (PlanOf(lo=0, hi=12, look=(3, 13)), "it looks at columns 3 to 13, and covers 0 to 12"),
        (PlanOf(lo=0, hi=12, look=(5, 5)), "it looks at columns 5 to 5"),
        (PlanOf(lo=0, hi=12, look=(0, 3)), "which it leaves out"),
        (PlanOf(lo=0, hi=12, writes=True), "the policy says that it does not cache"),
        (PlanOf(lo=0, hi=12, canvases=((99,) * 12,)), "an id that is out of the vocabulary"),
        (PlanOf(lo=2, hi=12), "it reads no cache and leaves out columns of 0 to 12"),
        (PlanOf(lo=0, hi=12, end=13), "it covers columns 0 to 12 of 13"),
    ],
)
def test_a_plan_that_cannot_be_run_is_told(model: LLaDAModel, plan: Plan, told: str) -> None:
    class Wrong(NoCache):
        def plan(self, sequence: Sequence) -> Plan:
            return plan

    bad, good = row(model, policy=Wrong()), row(model)
    final = ends(run(model, [bad, good]))
    assert isinstance(final[bad].error, ContractError)
    assert "Wrong planned what cannot be run: " in str(final[bad].error)
    assert told in str(final[bad].error)
    assert final[good].error is None


# -- progress


class Never(Rule):
    @classmethod
    def choose(cls, parameters: Tensor, scores: Tensor, open_: Tensor) -> Tensor:
        return torch.zeros_like(open_)


class Idle(NoCache):
    def plan(self, sequence: Sequence) -> Plan:
        return PlanOf(lo=0, hi=sequence.length, targets=(sequence.length, sequence.length))


class Undoing(Quota):
    """Takes everything back, forward after forward."""

    __slots__ = ()
    revokes = True

    def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Iterable[int]:
        return [c for c in range(sequence.block_start, sequence.block_end) if sequence.may_revoke(c)]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rule": Never()}, "25 forwards in a row filled nothing of block 0; its rule must keep"),
        ({"policy": Idle()}, "25 forwards in a row filled nothing"),
        ({"rule": Undoing(4)}, "after 144 forwards there are masks left; .* larger forward_limit"),
        ({"rule": Undoing(4), "forward_limit": 7}, "after 7 forwards"),
    ],
    ids=["a rule that keeps nothing", "a plan without targets", "endless revoking", "its own limit"],
)
def test_a_row_that_gets_nowhere_ends(model: LLaDAModel, options: dict[str, Any], told: str) -> None:
    bad, good, alone = row(model, **options), row(model), row(model)
    final = ends(run(model, [bad, good]))
    run(model, [alone])
    assert isinstance(final[bad].error, NoProgress)
    with pytest.raises(NoProgress, match=told):
        raise final[bad].error
    assert (good.canvas, good.nfe) == (alone.canvas, alone.nfe)


def test_an_algorithm_says_how_long_its_rows_may_wait(model: LLaDAModel) -> None:
    class Slow(Quota):
        """Keeps nothing in the first thirty forwards of a block."""

        __slots__ = ()

        @classmethod
        def parameters(cls, sequences: list[Sequence]) -> Tensor:
            return torch.tensor([[float(s.block_nfe >= 30)] for s in sequences])

        @classmethod
        def choose(cls, parameters: Tensor, scores: Tensor, open_: Tensor) -> Tensor:
            return open_ & parameters.bool()

    impatient, patient = row(model, rule=Slow(4)), row(model, rule=Slow(4), idle_limit=40)
    final = ends(run(model, [impatient, patient]))
    assert "or the sequence needs a larger idle_limit" in str(final[impatient].error)
    assert final[patient].error is None
    assert patient.nfe == 3 * 31


# -- memory


class Narrow(LLaDAModel):
    """A network whose forwards hold ``limit`` columns."""

    limit = 20
    widths: list[int]

    def logits(self, layout: Any, cache: Any) -> Tensor:
        self.widths.append(len(layout.ids))
        if len(layout.ids) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return super().logits(layout, cache)  # type: ignore[no-any-return]


@pytest.fixture
def narrow(write_checkpoint: Any) -> Narrow:
    network = Narrow.from_pretrained(write_checkpoint())
    network.widths = []
    return network


def test_where_memory_runs_out_fewer_rows_share_a_forward_and_none_fails(narrow: Narrow) -> None:
    rows = [row(narrow, prompt, policy=NoCache(), seed=1, temperature=0.5) for prompt in PROMPTS]
    alone = [row(narrow, prompt, policy=NoCache(), seed=1, temperature=0.5) for prompt in PROMPTS]
    final = ends(run(narrow, rows))
    assert all(final[each].error is None for each in rows)
    failed = [width for width in narrow.widths if width > narrow.limit]
    assert len(failed) <= 3  # it learns
    for each in alone:
        run(narrow, [each])
    assert [(r.canvas, r.nfe) for r in rows] == [(r.canvas, r.nfe) for r in alone]


def test_where_memory_runs_out_before_a_choice_fewer_rows_share_it(
    model: LLaDAModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = torch.cat

    def cat(parts: Any, *rest: Any, **options: Any) -> Tensor:
        if len(parts) > 2 and parts[0].shape[-1] == 32:  # logits of three rows
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(parts, *rest, **options)

    rows, alone = good_rows(model), good_rows(model)
    for each in alone:
        run(model, [each])
    with monkeypatch.context() as patched:
        patched.setattr("llada_runtime.decoding.loop.torch.cat", cat)
        final = ends(run(model, rows))
    assert all(final[each].error is None for each in rows)
    assert [(r.canvas, r.nfe) for r in rows] == [(r.canvas, r.nfe) for r in alone]


class Combining(NoCache):
    """Runs its canvas twice, for which there is memory of so many rows in a forward."""

    most, together = 2, 0

    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.length, canvases=(tuple(sequence.canvas),))

    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        Combining.together += 1
        if Combining.together > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return logits.mean(0)


def test_where_memory_runs_out_as_canvases_are_combined_fewer_rows_share_a_forward(
    write_checkpoint: Any,
) -> None:
    class Counting(LLaDAModel):
        def logits(self, *given: Any) -> Tensor:
            Combining.together = 0
            return super().logits(*given)

    network = Counting.from_pretrained(write_checkpoint())
    rows, alone = ([row(network, prompt, policy=Combining()) for prompt in PROMPTS] for _ in range(2))
    final = ends(run(network, rows))
    assert [str(final[each].error) for each in rows] == ["None"] * len(rows)
    for each in alone:
        run(network, [each])
    assert [(r.canvas, r.nfe) for r in rows] == [(r.canvas, r.nfe) for r in alone]


def test_a_row_whose_canvases_cannot_be_combined_by_themselves_fails_alone(model: LLaDAModel) -> None:
    class Full(Combining):
        most = -1

    rows = [row(model, policy=Full()), row(model)]
    final = ends(run(model, rows))
    assert isinstance(final[rows[0]].error, torch.OutOfMemoryError)
    assert final[rows[1]].error is None


def test_a_limit_that_memory_set_is_forgotten_with_the_last_row(narrow: Narrow) -> None:
    loop = Loop(narrow, rows=4)
    for prompt in PROMPTS:
        loop.admit(row(narrow, prompt, policy=NoCache()))
    while loop.active:
        loop.step()
    narrow.limit = 1000
    narrow.widths.clear()
    rows = [row(narrow, prompt, policy=NoCache()) for prompt in PROMPTS]
    for each in rows:
        loop.admit(each)
    loop.step()
    assert narrow.widths == [sum(each.length for each in rows)]


def test_a_budget_that_memory_cut_is_asked_for_again(
    model: LLaDAModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, first = Loop(model, rows=4), row(model)

    def full(self: Any, capacity: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patched:
        patched.setattr("llada_runtime.network.cache.KVCache._resize", full)
        assert not loop.admit(first)
        assert loop.columns == 0
    assert loop.admit(first)
    assert loop.columns == 4 * 64


def test_a_row_that_is_too_large_by_itself_fails_alone(narrow: Narrow) -> None:
    large, good = row(narrow, range(1, 14), policy=NoCache()), row(narrow, policy=NoCache())
    final = ends(run(narrow, [large, good]))
    assert isinstance(final[large].error, torch.OutOfMemoryError)
    assert final[good].error is None


def test_the_cpus_allocator_counts_too(narrow: Narrow, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Any, layout: Any, cache: Any) -> Tensor:
        if len(layout.ids) > 20:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: not enough memory")
        return super(Narrow, self).logits(layout, cache)  # type: ignore[no-any-return]

    monkeypatch.setattr(Narrow, "logits", fail)
    rows = [row(narrow, policy=NoCache()) for _ in range(4)]
    assert all(ends(run(narrow, rows))[each].error is None for each in rows)


def test_where_the_cache_cannot_grow_a_row_waits(model: LLaDAModel, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, first, second = Loop(model, rows=4), row(model), row(model)
    assert loop.admit(first)

    def full(self: Any, columns: int) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patched:
        patched.setattr("llada_runtime.network.cache.KVCache.take", full)
        assert not loop.admit(second)
    assert loop.admit(second)


def test_what_only_the_network_finds_wrong_with_a_row_ends_that_row(model: LLaDAModel) -> None:
    class Crooked(NoCache):
        def plan(self, sequence: Sequence) -> Plan:
            return PlanOf(lo=0, hi=sequence.length, stride=2.5)  # type: ignore[arg-type]

    bad, rows, alone = row(model, policy=Crooked()), good_rows(model), good_rows(model)
    final = ends(run(model, [*rows[:2], bad, *rows[2:]]))
    for each in alone:
        run(model, [each])
    assert final[bad].error is not None
    assert [(r.canvas, r.nfe) for r in rows] == [(r.canvas, r.nfe) for r in alone]


def test_a_network_that_fails_only_for_several_rows_ends_them(write_checkpoint: Any) -> None:
    class Solitary(LLaDAModel):
        def logits(self, layout: Any, cache: Any) -> Tensor:
            if len(layout.form.places) > 1:
                raise RuntimeError("one at a time")
            return super().logits(layout, cache)  # type: ignore[no-any-return]

    rows = good_rows(Solitary.from_pretrained(write_checkpoint()))
    loop = Loop(Solitary.from_pretrained(write_checkpoint()), rows=4)
    for each in rows:
        loop.admit(each)
    final = ends(loop.step())
    assert [str(final[each].error) for each in rows] == [
        "the network failed: RuntimeError: one at a time"
    ] * 4  # fmt: skip


def test_a_rule_that_makes_the_mask_likely_does_not_write_it(model: LLaDAModel) -> None:
    class Masking(Quota):
        __slots__ = ()
        rescores = True

        def rescore(self, sequence: Sequence, logits: Tensor, open_: Tensor) -> None:
            logits[:, sequence.mask_id] = 1000.0

    masked, plain = row(model, rule=Masking(4)), row(model)
    run(model, [masked])
    run(model, [plain])
    assert masked.canvas == plain.canvas


def test_a_fixed_token_is_not_taken_back_by_a_tensor(model: LLaDAModel) -> None:
    class Wrong(Undoing):
        __slots__ = ()

        def revoke(self, sequence: Sequence, start: int, logits: Tensor) -> Any:
            return torch.tensor([3])

    fixed = row(model, rule=Wrong(4), answer=[None, 7, *[None] * 8])
    error = ends(run(model, [fixed]))[fixed].error
    assert isinstance(error, ContractError)
    assert fixed.canvas[3] == 7


def test_a_broken_network_ends_every_row_and_the_loop_can_begin_anew(model: LLaDAModel) -> None:
    class Breaking(LLaDAModel):
        broken = True

        def logits(self, layout: Any, cache: Any) -> Tensor:
            if self.broken:
                raise RuntimeError("device-side assert")
            return super().logits(layout, cache)  # type: ignore[no-any-return]

    model.__class__, kept = Breaking, model.__class__
    try:
        loop, rows = Loop(model, rows=4), good_rows(model)
        for each in rows:
            loop.admit(each)
        final = ends(loop.step())
        told = "the network failed: RuntimeError: device-side assert"
        assert [str(final[each].error) for each in rows] == [told] * 4
        assert (loop.active, loop.room) == (0, 4)
        Breaking.broken = False
        again, alone = row(model), row(model)
        loop.admit(again)
        while loop.active:
            loop.step()
        run(model, [alone])
        assert again.canvas == alone.canvas
    finally:
        model.__class__ = kept
