"""How probable tokens were when they were committed, against plain arithmetic on the canvas as it was."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_runtime import Filters, NoCache, Quota, Sequence, drain
from llada_runtime.decoding import glance
from llada_runtime.decoding.traces import trace
from llada_runtime.decoding.turn import Turn
from llada_runtime.testing import MASK, FakeNetwork

PROMPT, LENGTH = [1, 2, 3], 12
CPU = torch.device("cpu")


class Favoured(Quota):
    """Makes token 7 likelier than the network does."""

    rescores = True

    def rescore(self, sequence: Sequence, logits: Tensor, open_: Tensor) -> None:
        logits[:, 7] += 2.0


class Sevens(Quota):
    """Puts the token 7 in the place of what stands, once."""

    revokes = True

    def replace(self, sequence: Sequence, start: int, logits: Tensor) -> Mapping[int, int]:
        standing = [c for c in range(sequence.block_start, sequence.block_end) if sequence.may_revoke(c)]
        return {column: 7 for column in standing[:1] if sequence.canvas[column] != 7}


def decoded(network: Any, rule: Any, **changes: Any) -> tuple[list[list[int]], list[Any]]:
    """The canvases before each step, and the steps of a traced row."""
    row = Sequence(
        PROMPT,
        network.config,
        gen_length=LENGTH,
        block_length=6,
        policy=NoCache(),
        rule=rule,
        seed=4,
        early_stop=False,
        **changes,
    )
    row.traced = True
    canvases, steps = [list(row.canvas)], []
    for step in drain(network, [row], rows=1):
        steps.append(step)
        canvases.append(list(row.canvas))
    return canvases, steps


def logits_at(network: Any, canvas: list[int], positions: tuple[int, ...]) -> Tensor:
    logits = network._propose(torch.tensor(canvas), 0, len(canvas)).clone()
    logits[:, MASK] = -torch.inf
    return logits[[len(PROMPT) + position for position in positions]]


def logs(logits: Tensor, tokens: tuple[int, ...]) -> list[float]:
    return [float(row.double().log_softmax(-1)[token]) for row, token in zip(logits, tokens, strict=True)]


@pytest.mark.parametrize("rule", [Quota, Favoured, Sevens])
@pytest.mark.parametrize(
    ("temperature", "filters"),
    [(0.0, None), (0.7, None), (1.0, None), (3.0, {"top_k": 5}), (1.3, {"top_p": 0.8, "min_p": 0.05})],
    ids=str,
)
def test_logarithms_are_those_of_the_network_and_of_what_was_drawn_from(
    rule: type[Quota], temperature: float, filters: dict[str, Any] | None
) -> None:
    network, kept = FakeNetwork.random(3), None if filters is None else Filters(**filters)
    canvases, steps = decoded(network, rule(3), temperature=temperature, filters=kept)
    assert sum(len(step.tokens) for step in steps) >= LENGTH
    for canvas, step in zip(canvases, steps, strict=False):
        plain = logits_at(network, canvas, step.positions)
        assert step.log_probabilities == pytest.approx(logs(plain, step.tokens), abs=2e-5)
        made = plain.clone()
        made[:, 7] += 2.0 * (rule is Favoured)
        wanted = [0.0] * len(step.tokens)
        if temperature:
            warm = made.double() / temperature
            if kept is not None:
                warm[~kept.kept(made, temperature)] = -torch.inf
            wanted = logs(warm, step.tokens)
        replaced = [position in step.revoked for position in step.positions]
        wanted = [0.0 if was else log for log, was in zip(wanted, replaced, strict=True)]
        assert step.drawn_log_probabilities == pytest.approx(wanted, abs=2e-5)
        assert any(replaced) or not step.revoked


def test_rows_are_read_once_however_much_they_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is told what it is told alone."""
    read, tolist = [], Tensor.tolist

    def noted(self: Tensor) -> Any:
        read.append(self)
        return tolist(self)

    logits = [torch.randn(200, 32) for _ in WROTE]
    together, alone = ([written(*each, of) for each, of in zip(WROTE, logits, strict=True)] for _ in range(2))
    for turn, of in zip(alone, logits, strict=True):
        trace([turn], (of,), {})
    monkeypatch.setattr(Tensor, "tolist", noted)
    trace(together, tuple(logits), faults := {})
    assert len(read) == 1
    assert not faults
    for turn, single in zip(together, alone, strict=True):
        assert len(turn.log_probabilities) == len(turn.columns)
        assert turn.log_probabilities == single.log_probabilities
        assert turn.drawn_log_probabilities == single.drawn_log_probabilities


def written(count: int, temperature: float, filters: Filters | None, logits: Tensor) -> Any:
    """A turn of a traced row that has written on so many of its columns."""
    sequence = SimpleNamespace(
        temperature=temperature, filters=filters, mask_id=MASK, traced=True, rescores=True, revokes=False
    )
    return SimpleNamespace(
        sequence=sequence,
        targets=(3, 3 + len(logits)),
        deciding=logits,
        columns=[*range(3, 3 + count)],
        tokens=[column % 7 for column in range(count)],
        revoked=[],
        log_probabilities=[],
        drawn_log_probabilities=[],
    )


WROTE: list[tuple[int, float, Filters | None]] = [
    (150, 0.7, None),
    (0, 0.7, None),
    (3, 1.3, Filters(top_k=4)),
    (64, 0.0, None),
    (62, 2.0, None),
]


def test_filters_that_raise_end_their_own_row() -> None:
    class Broken(Filters):
        def kept(self, logits: Tensor, temperature: float) -> Tensor:
            raise RuntimeError("no")

    logits = torch.randn(200, 32)
    turns = [written(5, 0.7, None, logits), written(5, 0.7, Broken(), logits)]
    trace(turns, (logits, logits), faults := {})
    assert [str(fault) for fault in faults.values()] == ["no"]
    assert [*faults] == [1]
    assert len(turns[0].log_probabilities) == 5


def test_a_token_too_improbable_for_a_probability_has_its_logarithm() -> None:
    logits = torch.zeros(32)
    logits[5] = 200.0
    network = FakeNetwork(lambda canvas, lo, hi: logits.expand(len(canvas), -1)[lo:hi].clone())
    _, steps = decoded(network, Quota(1), temperature=1e6)
    told = [log for step in steps for log in step.log_probabilities]
    assert min(told) == pytest.approx(-200.0)
    assert all(math.isfinite(log) for log in told)


def test_rows_that_nobody_traces_tell_nothing_and_traced_ones_draw_the_same() -> None:
    network = FakeNetwork.random(3)
    facts: dict[str, Any] = {
        "gen_length": LENGTH,
        "block_length": 6,
        "policy": NoCache(),
        "rule": Quota(3),
        "seed": 4,
    }
    plain = Sequence(PROMPT, network.config, temperature=0.9, early_stop=False, **facts)
    steps = [*drain(network, [plain], rows=1)]
    assert all(step.log_probabilities == step.drawn_log_probabilities == () for step in steps)
    canvases, _ = decoded(network, Quota(3), temperature=0.9)
    assert canvases[-1] == plain.canvas


def test_a_traced_row_that_takes_the_likeliest_is_glanced_at_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It costs no look at the logits: a glance tells the confidence, and the logarithm follows from it."""
    monkeypatch.setattr(glance, "why_no_kernels", lambda device: None)
    network = FakeNetwork.random(3)

    def fits(temperature: float, *, traced: bool) -> bool:
        row = Sequence(
            PROMPT, network.config, gen_length=6, block_length=6, policy=NoCache(), rule=Quota(3),
            temperature=temperature,
        )  # fmt: skip
        row.traced = traced
        turn = Turn(sequence=row, plan=row.policy.plan(row), targets=(3, 9), spans=[])
        return glance.may_glance([turn], CPU)

    assert fits(0.0, traced=True)
    assert fits(0.0, traced=False)
    assert not fits(0.5, traced=True)
