"""What holds of requests that run together, one after the other, watched, or not to their end. Imported only
through ``LazyModule``: it needs torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch

from llada_core import registry
from llada_core.errors import AlgorithmUnavailable, GenerationError
from llada_core.faults import fault_of, one_line
from llada_core.generation import execution
from llada_core.generation.model import Model
from llada_core.generation.moved import follow
from llada_core.generation.steps import Step
from llada_core.loading import LoadedModel
from llada_core.parameters import parameters_of_row
from llada_core.testing.answered import check_trajectory, facts_of, jobs_of, results
from llada_core.testing.checks import NotRun
from llada_core.testing.companions import companions_of
from llada_core.testing.runs import params_of, params_on, prompts_of
from llada_core.testing.samples import Setting, varied
from llada_core.testing.subject import REPEATS

if TYPE_CHECKING:
    from llada_core.testing.subject import Subject

__all__ = ["check_repeats", "sharing_checks"]

_SHORT, _VARIED = 12, 6


def sharing_checks(subject: Subject) -> Iterator[tuple[str, Callable[[], object]]]:
    """The checks of requests of ``subject``, by the loop that all callers use."""
    yield REPEATS, subject.repeating.check
    yield "another object of it has the same answer", lambda: _is_any_object(subject)
    yield "the same seed draws the same answer", lambda: _repeats_draws(subject)
    yield "its rows do not depend on other algorithms beside them", lambda: _mixes(subject)
    yield "its rows do not depend on the parameters of others", lambda: _keeps_parameters_apart(subject)
    yield "a stream ends with the canvas of the result", lambda: _streams(subject)
    yield "a stream that is closed early leaves the model usable", lambda: _closes(subject)
    yield "lm.algorithms() agrees with what runs", lambda: _agrees(subject)
    yield "a generate that is overridden is what runs", lambda: _honours_generate(subject)


def check_repeats(subject: Subject) -> None:
    """Check two answers of one object, with another request between."""
    subject.returning.get()
    model, rows, params = _asked(subject)
    first = results(subject.algorithm, model, rows, params)
    results(subject.algorithm, model, [list(reversed(row)) for row in rows[:1]], params)
    again = results(subject.algorithm, model, rows, params)
    assert first == again, (
        "it answers the same request otherwise the second time; keep what changes during a request in its "
        "row (policy_state, rule_state), and nothing in the algorithm, its class or its module"
    )


def _is_any_object(subject: Subject) -> None:
    subject.repeating.get()
    model, rows, params = _asked(subject)
    first = results(subject.algorithm, model, rows, params)
    other = results(subject.fresh(), model, rows, params)
    assert first == other, (
        "another object of it answers the same request otherwise; keep no state in its class or its module, "
        "and let its constructor set nothing that differs"
    )


def _asked(subject: Subject) -> tuple[Model, Sequence[Sequence[int]], Setting]:
    """The model, the prompts and the parameters of requests that can be repeated."""
    return subject.model, prompts_of(subject), params_of(subject)


def _repeats_draws(subject: Subject) -> None:
    subject.repeating.get()
    declared = {each.name: each for each in subject.algorithm.parameters}
    if "seed" not in declared:
        raise NotRun("it takes no seed")
    drawing: Setting = {"temperature": 0.8} if "temperature" in declared else {}
    model, rows = subject.model, prompts_of(subject)
    params = {**params_of(subject), **drawing, "seed": 11}
    first = results(subject.algorithm, model, rows, params)
    other = subject.fresh() if subject.renewable else subject.algorithm
    jobs = jobs_of(other, model, rows, params)
    torch.manual_seed(1)  # what others draw meanwhile is nothing to it
    again = [facts_of(each) for each in execution.run_to_end(model, jobs)]
    assert first == again, (
        "with seed=11 it draws other tokens the second time; draw from sequence.generator(device), or from a "
        "torch.Generator that is seeded with the row's seed, and not from torch's global one"
    )


def _mixes(subject: Subject) -> None:
    subject.repeating.get()
    model, rows, params = _asked(subject)
    others = companions_of(subject)
    if not others:
        raise NotRun("no other algorithm that is installed runs on this model")
    alone = [
        results(subject.algorithm, model, [row], parameters_of_row(params, at))[0]
        for at, row in enumerate(rows)
    ]
    jobs = jobs_of(subject.algorithm, model, rows, params)
    for other in others:
        short = params_on(other, model.network, gen_length=24)
        jobs += jobs_of(other, model, rows[:2], short, first=len(jobs))
    try:
        found: Sequence[Any] = execution.run_to_end(model, jobs)
    except GenerationError as exc:  # of another's row, perhaps: that is nothing to its own
        found = exc.results
        if not all(found[: len(rows)]):
            message = f"beside rows of others its own fails: {exc}; let nothing of a row depend on them"
            raise AssertionError(message) from exc
    mixed = [facts_of(each) for each in found[: len(rows)]]
    names = ", ".join(other.name for other in others)
    assert mixed == alone, (
        f"beside rows of {names} its own have other answers or forward counts than alone; let nothing of a "
        "row depend on its neighbours"
    )


def _keeps_parameters_apart(subject: Subject) -> None:
    subject.repeating.get()
    model, rows, params = _asked(subject)
    asked = [{**_short(params), **given} for given in ({}, *_varied(subject, params))]
    if len(asked) == 1:
        raise NotRun("it has no parameter that two rows could differ in")
    asked, alone = _that_run(subject, model, rows[:1], asked)
    torch.manual_seed(0)
    jobs = [jobs_of(subject.algorithm, model, rows[:1], each, first=at)[0] for at, each in enumerate(asked)]
    together = [facts_of(each) for each in execution.run_to_end(model, jobs)]
    for given, one, other in zip(asked, alone, together, strict=True):
        assert one == other, (
            f"beside rows of other parameters a row with {given} has another answer or forward count than "
            "alone; give each row what its own parameters say, and keep none of them in the algorithm"
        )


def _that_run(
    subject: Subject, model: Model, rows: Sequence[Sequence[int]], asked: Sequence[Setting]
) -> tuple[list[Setting], list[Any]]:
    """The settings with which it answers, and its answers: where it does not, other checks tell."""
    found = []
    for each in asked:
        with contextlib.suppress(GenerationError):
            found.append((each, results(subject.algorithm, model, rows, each)[0]))
    return [each for each, _ in found], [answer for _, answer in found]


def _short(params: Setting) -> Setting:
    return {**params, **({"gen_length": min(params["gen_length"], _SHORT)} if "gen_length" in params else {})}


def _varied(subject: Subject, params: Setting) -> list[Setting]:
    """Settings of one other value each, by which it runs."""
    algorithm = subject.algorithm
    declared = [each for each in algorithm.parameters if each.name not in algorithm.chat_options]
    return varied(
        lambda given: algorithm.validate_args(**given),
        declared,
        _short(params),
        most=_VARIED,
        beside=algorithm.tried_beside,
    )


def _streams(subject: Subject) -> None:
    subject.repeating.get()
    model, rows, params = _asked(subject)
    jobs = jobs_of(subject.algorithm, model, rows, params, trajectory=True)
    canvases: dict[int, dict[int, int]] = {job.index: {} for job in jobs}
    ended: list[int] = []
    for step in execution.run(model, jobs):
        _written(step, canvases[step.ticket.index])
        if step.finished:
            ended.append(step.ticket.index)
            _ends_alike(model, step, canvases[step.ticket.index])
    assert sorted(ended) == sorted(canvases), (
        f"final steps were told of the rows {sorted(ended)}, of {len(jobs)}; tell each row's once"
    )


def _written(step: Step, canvas: dict[int, int]) -> None:
    """Write on ``canvas`` what the step says; what it takes back is gone."""
    if step.inserted and step.gen_length is not None:
        follow(canvas, step.inserted, step.gen_length)
    for position in step.revoked:
        canvas.pop(position, None)
    canvas.update(zip(step.positions, step.tokens, strict=True))


def _ends_alike(model: Model, step: Step, told: dict[int, int]) -> None:
    assert step.result is not None, f"its final step has no result: {step.error}"
    final = step.ticket.canvas
    result = tuple(step.result.token_ids)
    shown = model.cut([token for token in final if token is not None])[0]
    assert shown == result, (
        f"the canvas of its final step reads {list(shown)}, and the result {list(result)}; change the canvas "
        "before the final step only"
    )
    kept = tuple(told.get(position, -1) for position in range(len(result)))
    assert kept == result, (
        f"its steps told of {list(kept)} (-1: nothing), and the result is {list(result)}; tell every token "
        "that is written, and what is taken back as revoked"
    )
    check_trajectory(step.result)


def _closes(subject: Subject) -> None:
    subject.repeating.get()
    model, rows, params = _asked(subject)
    before = results(subject.algorithm, model, rows, params)
    stream = execution.run(model, jobs_of(subject.algorithm, model, rows, params))
    next(stream)
    stream.close()
    try:
        after = results(subject.algorithm, model, rows, params)
    except BaseException as exc:  # whatever it left behind may raise anything
        told = one_line(fault_of(exc))
        raise AssertionError(
            f"after a stream was closed at its first step, generating fails: {told}; keep what a "
            "request needs in its row"
        ) from exc
    assert before == after, (
        "after a stream was closed at its first step, the same requests have other answers; keep what "
        "changes during a request in its row, and put back what is changed on the network"
    )


def _agrees(subject: Subject) -> None:
    if not subject.registered or subject.engine is None:
        raise NotRun("it is not registered")
    network = subject.loaded
    holder = registry.get_algorithm(subject.name)
    holder.model, holder.tokenizer = network, subject.algorithm.tokenizer
    holder.model_path = subject.algorithm.model_path
    lm = LoadedModel(holder, subject.engine)
    told = lm.algorithms()
    assert subject.name in told, (
        "lm.algorithms() does not list it for a model of its engine; let load_model_class name the class of "
        "its networks"
    )
    reason = told[subject.name]
    if reason is None:
        subject.returning.get()
    failure = _failure(lm, subject)
    if reason is None:
        assert failure is None, (
            f"lm.algorithms() says that it runs, and generating fails: {failure}; let unfit_reason say so"
        )
    else:
        assert failure is not None, (
            f"lm.algorithms() says that it cannot run ({reason}), and it does; let unfit_reason return None"
        )


def _failure(lm: LoadedModel, subject: Subject) -> str | None:
    """What a short generation fails with, by ``generate`` of the object where ``lm`` refuses it."""
    ids = [token for token in range(4, 8) if token not in {lm.model.limits.mask_id, *lm.model.end_ids}]
    params = params_of(subject)
    try:
        lm.generate(ids, algorithm=subject.name, **params)
    except AlgorithmUnavailable:
        try:
            subject.algorithm.generate(lm.model.network, torch.tensor([ids]), **params)
        except BaseException as exc:  # an algorithm may raise anything
            return one_line(fault_of(exc))
    except BaseException as exc:
        return one_line(fault_of(exc))
    return None


def _honours_generate(subject: Subject) -> None:
    """A subclass with a ``generate`` of its own, as a user may write it, is one call of that."""
    subject.repeating.get()
    model, ids = subject.model, list(prompts_of(subject)[0])
    token = ids[0]

    def generate(self: Any, model: Any, prompt: torch.Tensor, **params: Any) -> tuple[torch.Tensor, int]:
        return torch.cat((prompt, prompt.new_full((len(prompt), 3), token)), dim=1), 5

    kind = type(subject.algorithm)
    made: Any = object.__new__(type(f"Own{kind.__name__}", (kind,), {"generate": generate}))
    vars(made).update(vars(subject.algorithm))
    found = results(made, model, [ids], params_of(subject))
    assert found == [((token,) * 3, 5)], (
        f"a subclass with a generate of its own answers {list(found[0][0])} in {found[0][1]} forwards, where "
        f"that generate returns {[token] * 3} and 5; let answers and open_loop come with generate, or call it"
    )
