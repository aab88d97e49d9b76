"""Algorithms whose rule or policy is wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from llada_runtime import BestFirst, NoCache, Plan, Rule, Threshold, rules_of
from tests.conformance.wrong.tables import WIDTH, Good, wrong

ALONE = "its rule chooses for each row as if it were alone"
PADDED = "its rule chooses the same whatever the padding"
PURE = "its policy changes nothing when it plans"
ROWS = "its policy serves rows as if each were alone"
MIXED = "its rows do not depend on other algorithms beside them"
BESIDE = "its rows are the same beside rows of other parameters, rules and policies"
AGAIN = "its rule and policy answer the same where they are asked again of a forward"
OTHERS = "its rows do not depend on the parameters of others"


def rule(check: str, *also: str) -> Callable[[type[Rule]], type[Rule]]:
    """Enter the step algorithm of a rule."""

    def enter(kind: type[Rule]) -> type[Rule]:
        members = {"rule": lambda self, params: kind(), "__doc__": kind.__doc__, "__module__": __name__}
        made = type(f"{kind.__name__}Generation", (Good,), members)
        globals()[made.__name__] = wrong(check, *also)(made)
        return kind

    return enter


def best(scores: Any, open_: Any) -> Any:
    return (scores == scores.amax(-1, keepdim=True)) & open_


@rule("its rule returns a choice, bool [R, L]")
class ChoosesByNumbers(Rule):
    """Its rule returns numbers instead of bools."""

    @classmethod
    def choose(cls, parameters: Any, scores: Any, open_: Any) -> Any:
        return best(scores, open_).long()


@rule("its rule keeps an open position of every row")
class WaitsForCertainty(Rule):
    """Its rule keeps nothing where nothing is certain."""

    @classmethod
    def choose(cls, parameters: Any, scores: Any, open_: Any) -> Any:
        return (scores >= 1.0) & open_


@rule("its rule keeps nothing that is not open")
class KeepsWhatStands(Rule):
    """Its rule keeps positions that are not open, too."""

    @classmethod
    def choose(cls, parameters: Any, scores: Any, open_: Any) -> Any:
        return torch.ones_like(open_)


@rule("its rule changes nothing when it chooses")
class MarksItsScores(Rule):
    """Its rule changes the scores that it is given."""

    @classmethod
    def choose(cls, parameters: Any, scores: Any, open_: Any) -> Any:
        found = best(scores, open_)
        scores.masked_fill_(found, 0.0)
        return found


@rule("its rule changes nothing when it chooses")
class CountsChoices(Rule):
    """Its rule counts in `rule_state` how often it is asked."""

    def begin(self) -> list[int]:
        return [0]

    @classmethod
    def select(cls, sequences: Any, scores: Any, open_: Any) -> Any:
        for sequence in sequences:
            sequence.rule_state[0] += 1
        return best(scores, open_)


@rule(ALONE)
class ComparesRows(Rule):
    """Its rule lets the surest row of a call decide for all."""

    @classmethod
    def choose(cls, parameters: Any, scores: Any, open_: Any) -> Any:
        return (best(scores, open_) | (scores >= scores.max() / 2)) & open_


class Wide(BestFirst):
    """Keeps ``width`` a step."""

    def __init__(self, width: int) -> None:
        self.width = width

    @classmethod
    def parameters(cls, sequences: Any) -> Any:
        return torch.tensor([[rule.width] for rule in rules_of(sequences, cls)], dtype=torch.float64)

    @classmethod
    def counts(cls, parameters: Any, ranked: Any, open_counts: Any) -> Any:
        return parameters[:, 0].long()


class First(Wide):
    """Says of every row what the first one's rule says."""

    @classmethod
    def parameters(cls, sequences: Any) -> Any:
        return super().parameters(sequences)[:1].repeat(len(sequences), 1)


class Widest(Wide):
    """Keeps in every row what the widest keeps."""

    @classmethod
    def counts(cls, parameters: Any, ranked: Any, open_counts: Any) -> Any:
        return parameters[:, 0].max().long().repeat(len(ranked))


class Shared(Wide):
    """Has the ``width`` of the rule that was made last."""

    last = 1

    def __init__(self, width: int) -> None:
        type(self).last = width

    @property
    def width(self) -> int:  # type: ignore[override]
        return self.last


class OfWidth(Good):
    """Decodes by ``kind``."""

    parameters = (*Good.parameters, WIDTH)
    kind = Wide

    def rule(self, params: Any) -> Any:
        return self.kind(params["width"])


@wrong(ALONE, OTHERS)
class AsksTheFirst(OfWidth):
    """Its rule gives every row the parameters of the first."""

    kind = First


@wrong(ALONE, OTHERS)
class AsksTheWidest(OfWidth):
    """Its rule keeps in every row as many as the row that keeps most."""

    kind = Widest


@wrong(BESIDE, OTHERS)
class KeepsItsWidth(OfWidth):
    """Its rows have the parameters of the row that was made last."""

    kind = Shared


@rule(PADDED, MIXED, OTHERS)
class CountsPadding(BestFirst):
    """Its rule keeps half as many as the tensor is wide."""

    @classmethod
    def counts(cls, parameters: Any, ranked: Any, open_counts: Any) -> Any:
        return torch.full_like(open_counts, ranked.shape[-1] // 2)


@rule("its rule works on any device")
class StaysAtHome(BestFirst):
    """Its rule makes tensors on the CPU, wherever the scores are."""

    @classmethod
    def counts(cls, parameters: Any, ranked: Any, open_counts: Any) -> Any:
        return open_counts.minimum(torch.tensor([2]))


@rule(AGAIN)
class CountsScores(Threshold):
    """Its rule counts in `rule_state` how often it scores, and not which forwards."""

    def __init__(self) -> None:
        super().__init__(0.3)

    def begin(self) -> list[int]:
        return [0]

    @classmethod
    def score_all(cls, rows: Any) -> Any:
        for row in rows:
            row.sequence.rule_state[0] += 1
        return [row.confidence * (row.sequence.rule_state[0] % 3 - 1) for row in rows]


@rule(AGAIN)
class CountsEdits(Threshold):
    """Its rule edits three times a row, and counts how often it is asked."""

    revokes = True

    def __init__(self) -> None:
        super().__init__(0.3)

    def begin(self) -> list[int]:
        return [0]

    @classmethod
    def replace_all(cls, rows: Any) -> Any:
        return [cls.edited(row.sequence) for row in rows]

    @staticmethod
    def edited(sequence: Any) -> dict[int, int]:
        standing = [at for at in range(sequence.block_start, sequence.block_end) if sequence.may_revoke(at)]
        sequence.rule_state[0] += bool(standing)
        return {at: 3 for at in standing if sequence.rule_state[0] <= 3}


@wrong("its rule keeps an open position of every row")
class RunsOnItsOwn(Good):
    """Its rule keeps nothing where nothing is certain, and it runs on networks of its own only."""

    def rule(self, params: Any) -> Any:
        return WaitsForCertainty()

    def unfit_reason(self, model: Any) -> str | None:
        known = type(model).__name__ == "LLaDAModel"
        return None if known else "it is for LLaDA models; load one"


def policy(check: str, *also: str) -> Callable[[type], type]:
    """Enter the step algorithm of a policy."""

    def enter(kind: type) -> type:
        members = {"policy": lambda self, params: kind(), "__doc__": kind.__doc__, "__module__": __name__}
        made = type(f"{kind.__name__}Generation", (Good,), members)
        globals()[made.__name__] = wrong(check, *also)(made)
        return kind

    return enter


@policy(PURE)
class CountsPlans(NoCache):
    """Its policy counts how often it was asked for a plan."""

    def begin(self) -> list[int]:
        return [0]

    def plan(self, sequence: Any) -> Any:
        sequence.policy_state[0] += 1
        return super().plan(sequence)


@policy(AGAIN)
class CountsCombining(NoCache):
    """Its policy combines a canvas with less of another in each forward, by how often it was asked."""

    def begin(self) -> list[int]:
        return [0]

    def plan(self, sequence: Any) -> Plan:
        hidden = tuple(
            sequence.mask_id if sequence.is_given(at) else token for at, token in enumerate(sequence.canvas)
        )
        return Plan(lo=0, hi=sequence.length, canvases=(hidden,))

    @classmethod
    def combine_all(cls, rows: Any, logits: Any) -> Any:
        made = []
        for row, part in zip(rows, logits.split([row.columns for row in rows]), strict=True):
            row.sequence.policy_state[0] += 1
            seen, unseen = part.split(row.width)
            made.append(seen - unseen / row.sequence.policy_state[0])
        return torch.cat(made)


@policy("its policy plans what can be run, until nothing is masked", PURE, ROWS)
class NeverDecides(NoCache):
    """Its policy plans forwards that decide nothing."""

    def plan(self, sequence: Any) -> Any:
        return replace(super().plan(sequence), targets=(sequence.length, sequence.length))


class Narrowing(NoCache):
    """Decides one column at a time where ``narrow`` holds."""

    def plan(self, sequence: Any) -> Any:
        start = min(sequence.open_columns)
        end = start + 1 if self.narrow(sequence) else sequence.block_end
        return replace(super().plan(sequence), targets=(start, end))

    def narrow(self, sequence: Any) -> bool:
        raise NotImplementedError


@policy(ROWS, "a batch is its rows alone")
class RemembersTheLastRow(Narrowing):
    """Its policy keeps on itself what belongs to a row."""

    last = 0

    def after(self, sequence: Any, plan: Any, logits: Any, network: Any) -> None:
        type(self).last = sequence.length

    def narrow(self, sequence: Any) -> bool:
        return self.last not in (0, sequence.length)


@policy(ROWS)
class CountsNeighbours(Narrowing):
    """Its policy looks at how many rows share a forward."""

    def after(self, sequence: Any, plan: Any, logits: Any, network: Any) -> None:
        sequence.policy_state = len(getattr(network, "forwards", [()])[-1]) > 1

    def narrow(self, sequence: Any) -> bool:
        return bool(sequence.policy_state)


@policy(MIXED)
class ReadsTheNetwork(Narrowing):
    """Its policy looks at what another algorithm leaves on the network."""

    def after(self, sequence: Any, plan: Any, logits: Any, network: Any) -> None:
        noted = getattr(network, "noted", 0)
        first, _ = sequence.policy_state or (noted, False)
        sequence.policy_state = (first, noted != first)

    def narrow(self, sequence: Any) -> bool:
        return sequence.policy_state is not None and sequence.policy_state[1]
