"""Cache policies: which columns the next forward of a sequence covers, and how it uses the cache.

A policy is a pure function of the sequence. Those here are Fast-dLLM's (arXiv 2505.22618): the cache is
rebuilt by one full forward at the start of every block, and that forward commits tokens like any other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal, TypeVar

from torch import Tensor

from llada_runtime.decoding.answering import pair
from llada_runtime.decoding.canvases import Canvases, combined_by_all, combined_by_each
from llada_runtime.decoding.plan import Plan
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.network.protocol import Network

__all__ = [
    "Around",
    "BlockCache",
    "DualCache",
    "NoCache",
    "Plan",
    "Policy",
    "PrefixCache",
    "foresees",
    "policy_of",
    "sees_logits",
    "wants_one",
]

_DEFINE = "define combine or combine_all, which no class above it does"


class Policy(ABC):
    """What an algorithm supplies to plan forwards. One object may serve many sequences: it holds parameters,
    and what changes during generation is in the sequence, in ``policy_state`` if nowhere else.
    """

    part: ClassVar[Literal["policy"]] = "policy"
    """What it is among the parts that algorithms compose by name."""

    checked_by: ClassVar[str] = "llada_runtime.testing:check_policy"
    """The ``"module:attr"`` of what holds one to its contract."""

    looks: ClassVar[bool] = True
    """Whether `after` looks at its logits: a class that defines one which does not may say so, and it is
    given none where that is faster."""

    def __init_subclass__(cls, **given: Any) -> None:
        super().__init_subclass__(**given)
        pair(cls, Policy, "combine", one=combined_by_all, each=combined_by_each, arguments="rows, logits")

    @property
    @abstractmethod
    def caches(self) -> bool:
        """Whether its plans ever read or write the cache."""

    @abstractmethod
    def plan(self, sequence: Sequence) -> Plan:
        """The next forward of ``sequence``, which is not finished. Changes nothing: it may be asked again."""

    def then(self, sequence: Sequence, plan: Plan) -> Plan | None:
        """The plan that comes after ``plan``, which runs now, if that leaves masks in the block.

        None where that is not known. It lets the next forward be launched early. A class that defines `plan`
        must define this too: it is not asked where a subclass plans otherwise, feeds `inputs`, or looks at
        the outcome in `after`.
        """
        return None

    def begin(self) -> Any:
        """What a new sequence starts with as its ``policy_state``."""
        return None

    def inputs(self, sequence: Sequence, plan: Plan) -> Tensor | None:
        """Embeddings ``[hi - lo, d]`` to feed instead of those of the canvas, or None."""
        return None

    @property
    def combines_one(self) -> bool:
        """Whether what it combines may be the canvas alone, ``[1, L, V]``: for a class that looks at the
        logits of every forward, which `combine_all` shows it of all its rows at once."""
        return False

    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        """The logits ``[L, V]`` to decide by, of those ``[1 + canvases, L, V]`` of the sequence's canvases,
        a copy.

        Asked where the plan has further ones, as for guidance; the canvas itself is the first. It may be
        asked again for the same forward: note what is found, by ``sequence.nfe``, and do not add up. A class
        that defines this or `combine_all` is given the other one.
        """
        raise NotImplementedError(f"{type(self).__name__} has canvases to combine; {_DEFINE}")

    @classmethod
    def combine_all(cls, rows: list[Canvases], logits: Tensor) -> Tensor:
        """What `combine` returns, of all the ``rows`` whose policies are of this class: ``[sum of L, V]``.

        For a class that would wait for the device once a row, or launch much for each; any other defines
        `combine`. The ``logits [N, V]`` are those of all canvases of the first row, then of the next, a copy.
        It may be asked again for the same forward, as where it raises for several rows, row by row: note
        what is found, by ``sequence.nfe``, and do not add up.
        """
        raise NotImplementedError(f"{cls.__name__} has canvases to combine; {_DEFINE}")

    def sees_proposals(self, sequence: Sequence) -> bool:
        """Whether `proposed` is to see what the forward that runs now proposes."""
        return False

    def proposed(  # noqa: B027  # a hook, not abstract: most policies do nothing here
        self, sequence: Sequence, logits: Tensor, tokens: Tensor
    ) -> None:
        """Called before the rule ranks the ``tokens [L]`` that are proposed from ``logits [L, V]`` for the
        targets, on the network's device.

        It may end the block earlier by `Sequence.end_block`: what is behind its end is not open any more.
        """

    def after(  # noqa: B027  # a hook, not abstract: most policies do nothing here
        self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network
    ) -> None:
        """Called when a forward's tokens stand on the canvas and before the sequence moves on.

        ``logits`` are raw, ``[columns, V]``: of all columns if the plan asked for the whole, of those of its
        ``look`` if it has one, else those of its targets. A policy that never ``looks`` gets them or an empty
        tensor.
        """

    def stays(self, sequence: Sequence) -> bool:
        """Whether a further forward of this block is due even if no mask is left in it or an EOS ends it."""
        return False

    def block_end(self, sequence: Sequence) -> int | None:
        """Column after the last of the block that begins at ``sequence.block_start``; None is
        ``block_length`` on.

        Asked when the sequence enters the block.
        """
        return None


class Around(Policy):
    """A policy around another one, its ``base``: what a subclass does not define, that one does.

    Both have the same ``policy_state``, the base's. One that overrides a method calls the base's, by
    ``super()``.
    """

    looks = False

    def __init__(self, base: Policy) -> None:
        self.base = base

    @property
    def caches(self) -> bool:
        return self.base.caches

    def plan(self, sequence: Sequence) -> Plan:
        return self.base.plan(sequence)

    def then(self, sequence: Sequence, plan: Plan) -> Plan | None:
        return self.base.then(sequence, plan)

    def begin(self) -> Any:
        return self.base.begin()

    def inputs(self, sequence: Sequence, plan: Plan) -> Tensor | None:
        return self.base.inputs(sequence, plan)

    @property
    def combines_one(self) -> bool:
        return wants_one(self.base)

    def combine(self, sequence: Sequence, plan: Plan, logits: Tensor) -> Tensor:
        return self.base.combine(sequence, plan, logits)

    def sees_proposals(self, sequence: Sequence) -> bool:
        return self.base.sees_proposals(sequence)

    def proposed(self, sequence: Sequence, logits: Tensor, tokens: Tensor) -> None:
        self.base.proposed(sequence, logits, tokens)

    def after(self, sequence: Sequence, plan: Plan, logits: Tensor, network: Network) -> None:
        self.base.after(sequence, plan, logits, network)

    def stays(self, sequence: Sequence) -> bool:
        return self.base.stays(sequence)

    def block_end(self, sequence: Sequence) -> int | None:
        return self.base.block_end(sequence)


def wants_one(policy: object) -> bool:
    """Its ``combines_one``, which one that is no `Policy` need not have."""
    return policy.combines_one if isinstance(policy, Policy) else getattr(policy, "combines_one", False)


_Kind = TypeVar("_Kind", bound=Policy)


def policy_of(sequence: Sequence, kind: type[_Kind]) -> _Kind | None:
    """The policy of this ``kind`` that the sequence's is, or is `Around`; None where there is none."""
    policy: object = sequence.policy
    while isinstance(policy, Around) and not isinstance(policy, kind):
        policy = policy.base
    return policy if isinstance(policy, kind) else None


def sees_logits(policy: Policy) -> bool:
    """Whether its `after` looks at logits. What a class ``looks`` at is not said of an `after` that a
    subclass defines."""
    kind = type(policy)
    told = next(each for each in kind.__mro__ if vars(each).keys() & {"after", "looks"})
    own = kind.after is not Policy.after and bool(vars(told).get("looks", True))
    return own or (isinstance(policy, Around) and sees_logits(policy.base))


def foresees(policy: Policy) -> bool:
    """Whether what it says of the next plan is of its own planning, which nothing else changes."""
    kind = type(policy)
    planner = next(each for each in kind.__mro__ if "plan" in vars(each))
    if "then" not in vars(planner) or sees_logits(policy):
        return False
    if isinstance(policy, Around):
        return kind.inputs is Around.inputs and foresees(policy.base)
    return kind.inputs is Policy.inputs


class NoCache(Policy):
    """Every forward covers the whole canvas."""

    caches = False

    def plan(self, sequence: Sequence) -> Plan:
        return Plan(lo=0, hi=sequence.length)

    def then(self, sequence: Sequence, plan: Plan) -> Plan:
        return plan


class BlockCache(Policy):
    """The first forward of a block rebuilds the cache, and all others of it read that: a subclass says what
    they compute."""

    caches = True

    def plan(self, sequence: Sequence) -> Plan:
        return self.step(sequence) if sequence.cached_block == sequence.block else self.refresh(sequence)

    def then(self, sequence: Sequence, plan: Plan) -> Plan:
        return self.step(sequence)

    def refresh(self, sequence: Sequence) -> Plan:
        """The block's first forward: the whole canvas, unless a subclass leaves some of it out."""
        return Plan(lo=0, hi=sequence.length, writes=True)

    @abstractmethod
    def step(self, sequence: Sequence) -> Plan:
        """The block's next forward on what is cached."""


class PrefixCache(BlockCache):
    """Everything before the block is read from the cache; block and later blocks are computed each time."""

    def step(self, sequence: Sequence) -> Plan:
        return Plan(lo=sequence.block_start, hi=sequence.length, reads=True, writes=True)


class DualCache(BlockCache):
    """Only the block is computed; what is before and behind it is read from the cache."""

    def step(self, sequence: Sequence) -> Plan:
        return Plan(lo=sequence.block_start, hi=sequence.block_end, reads=True, writes=True)
