"""`StepAlgorithm`: the contract for authors of decoders that work step by step.

Supply a cache policy and a commit rule; batching with any other step algorithm, ragged prompts, streaming
and cancellation follow.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Sequence as Ids
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import torch
from torch import Tensor

from llada_core.errors import ContractError, UnsupportedArchitecture, UsageError
from llada_core.generation.execution import finished_tickets
from llada_core.generation.model import Model
from llada_core.generation.results import Answer, GenerationRequest
from llada_core.generation.steps import StepLoop
from llada_core.imports import LazyModule
from llada_core.parameters import parameters_of_row
from llada_core.values import told
from llada_runtime.caching import refuse_caching, without_cache
from llada_runtime.decoding.filters import Filters
from llada_runtime.decoding.loop import Loop
from llada_runtime.decoding.policies import Policy
from llada_runtime.decoding.rules import Rule
from llada_runtime.decoding.sequence import Sequence
from llada_runtime.likelihoods import TellsLikelihoods
from llada_runtime.network.protocol import Network, is_network
from llada_runtime.network.reading import Reading, other_class
from llada_runtime.prompts import padded_answers, prompt_rows

if TYPE_CHECKING:
    from llada_runtime import reference, testing
else:  # on use: who decodes tests nothing
    reference = LazyModule("llada_runtime.reference")
    testing = LazyModule("llada_runtime.testing")

__all__ = ["StepAlgorithm"]

_OPAQUE = "its generate is its own, and answers in one call; let it define reference_answer"


class StepAlgorithm(TellsLikelihoods):
    """A decoder given by what it plans and what it keeps.

    One with a ``generate`` of its own needs neither: it is run as one call, and shares only how models are
    loaded. A complete decoder that always keeps the two most confident tokens::

        class Pairs(StepAlgorithm):
            def policy(self, params):
                return DualCache()

            def rule(self, params):
                return BestTwo()

        class BestTwo(BestFirst):
            @classmethod
            def counts(cls, parameters, ranked, open_counts):
                return open_counts.clamp(max=2)
    """

    loop_class: ClassVar[type[StepLoop]] = Loop
    """Rows of all algorithms with the same one share forwards; it is made by ``open_loop``."""

    reading: ClassVar[Reading] = Reading()
    """How it reads a network; one that declares another reading is refused."""

    runs_on: ClassVar[type[Any] | None] = None
    """The class of the networks that it was made for, and no others that are read so; None is any."""

    whole_blocks: ClassVar[bool] = False
    """Whether the last block is decoded at its full width and then cut, instead of being a short one."""

    align_blocks: ClassVar[bool] = False
    """Whether blocks begin at multiples of their width, the first perhaps inside the prompt, and not where
    that ends; a parameter ``start_block_align`` may ask for it too."""

    uncached: ClassVar[str] = (
        "it caches, and this network's keys and values cannot be cached; take an algorithm that does not "
        "cache"
    )
    """Why it cannot run on a network that caches nothing, if by whatever parameters its policy caches."""

    tried_with: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    """Parameters by which the checks of `conformance_checks` try the others, where at the short answers that
    they ask for its defaults leave some of them nothing to do."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for part in () if cls.yields_steps() else ("policy", "rule"):
            if getattr(getattr(cls, part), "__isabstractmethod__", False):
                setattr(cls, part, _not_asked)  # else Python would not make an object of it

    @abstractmethod
    def policy(self, params: Mapping[str, Any]) -> Policy:
        """How one sequence with these effective parameters plans its forwards."""

    @abstractmethod
    def rule(self, params: Mapping[str, Any]) -> Rule:
        """How one sequence with these effective parameters chooses tokens."""

    def first_length(self, params: Mapping[str, Any]) -> int | None:
        """How many masks an answer begins with where its policy makes it longer, up to ``gen_length``; None
        is ``gen_length``."""
        return None

    def filters(self, params: Mapping[str, Any]) -> Filters | None:
        """What is left out of the distribution that tokens are drawn from, by ``top_k``, ``top_p`` and
        ``min_p``.

        To be overridden by a decoder that declares these names in another meaning: to return `Filters` of its
        own, or None where its rule knows them.
        """
        return Filters.of(params)

    def sequence(
        self,
        model: Network,
        prompt_ids: Ids[int],
        params: Mapping[str, Any],
        *,
        answer: Ids[int | None] | None = None,
    ) -> Sequence:
        """A request row, ready to be admitted; nothing is run yet.

        Args:
            params: effective values by canonical name, as ``validate_args`` returns them.
            answer: ids that stand in the answer from the beginning, None where a mask does; of ``gen_length``
                positions. None is masks only.

        Without a ``block_length`` among them the answer is one block.

        Raises:
            PromptError, ParameterError: the prompt or its length does not fit the model.
            ContractError: there is no ``gen_length`` among them, or no policy and rule are made of them.
        """
        length = params.get("gen_length")
        if length is None:
            raise ContractError(
                "it has no gen_length, and the loop must know how many masks to write; "
                "add standard('gen_length') to its parameters, or override sequence"
            )
        return Sequence(
            prompt_ids,
            model.config,
            gen_length=self.first_length(params) or length,
            longest=length,
            block_length=params.get("block_length") or length,
            policy=_made(self, "policy", params, Policy),
            rule=_made(self, "rule", params, Rule),
            temperature=params.get("temperature") or 0.0,
            filters=self.filters(params),
            random_order=params.get("remasking") == "random",
            seed=params.get("seed"),
            early_stop=params.get("early_stop", True),
            end_ids=self.end_ids(model),
            align_blocks=self.align_blocks or params.get("start_block_align", False),
            whole_blocks=self.whole_blocks,
            answer=answer,
            idle_limit=self.idle_limit(params),
            forward_limit=self.forward_limit(params),
        )

    def reference_answer(self, model: Network, prompt_ids: Ids[int], params: Mapping[str, Any]) -> Answer:
        """The answer by this decoder's own policy and rule, on a forward that is written out
        (`llada_runtime.reference`).

        Raises AlgorithmUnavailable for a decoder or a network of which there is no such.
        """
        if not self.yields_steps():
            self._cannot("be held to a reference", _OPAQUE)
        try:
            canvas, nfe = reference.follow(model, self.sequence(model, prompt_ids, params))
        except UnsupportedArchitecture as exc:
            self._cannot("be held to a reference", str(exc))
        return Answer(token_ids=tuple(canvas[len(prompt_ids) :]), nfe=nfe)

    def end_ids(self, model: Any) -> frozenset[int]:
        """The ids that end an answer of ``model``: all that its checkpoint declares."""
        return Model.of(model, self.tokenizer).end_ids

    def unfit_reason(self, model: Any) -> str | None:
        """Why it would misread the network, or why a decoder whose policy caches, whatever its parameters,
        cannot run on one that does not."""
        if not self.yields_steps():
            return None
        misread = self.reading.misread(model) or other_class(model, self.runs_on)
        if misread is not None or getattr(model, "caches", True):
            return misread
        return self.uncached if without_cache(self, self.get_required_args()) is None else None

    def parameters_on(self, model: Any) -> Mapping[str, Any]:
        """What a call has to give on a network that caches nothing, where its policy caches by default."""
        if not self.yields_steps() or getattr(model, "caches", True):
            return {}
        return without_cache(self, self.get_required_args()) or {}

    def check_parameters_fit(self, model: Any, params: Mapping[str, Any]) -> None:
        """Refuse parameters by which its policy caches for a network that does not, by ``ParameterError``."""
        if self.yields_steps() and not getattr(model, "caches", True):
            refuse_caching(self, params)

    def check_fits(self, model: Any) -> None:
        """Refuse what is no network, by ``UsageError``, and one that the algorithm cannot run on, by
        ``AlgorithmUnavailable``."""
        super().check_fits(model)
        if self.yields_steps() and not is_network(model):
            raise UsageError(
                f"{self.name} was given {told(model)}, which is no network; give what load_model_from_hf "
                "returns, or lm.model.network of what load_model returns"
            )

    def idle_limit(self, params: Mapping[str, Any]) -> int | None:
        """Forwards in a row that may fill nothing before a row has failed; None is two a column of a block,
        and 16.

        To be overridden by a decoder that lets forwards pass without filling anything.
        """
        return None

    def forward_limit(self, params: Mapping[str, Any]) -> int | None:
        """Forwards after which a row has failed; None is eight a column of its blocks, and 64."""
        return None

    def open_loop(self, model: Network, *, rows: int, columns: int | None = None) -> StepLoop:
        """A loop on ``model`` for ``rows`` rows and ``columns`` cached columns; None is what is free.

        Rows of other algorithms take part in it: every sequence brings its own policy and rule.
        """
        return self.loop_class(model, rows=rows, columns=columns)  # type: ignore[call-arg]

    def generate(
        self, model: Network, prompt: Tensor, *, attention_mask: Tensor | None = None, **params: Any
    ) -> tuple[Tensor, int]:
        """The prompts with their answers, and how many forwards the slowest row took.

        Args:
            prompt: ids ``[B, P]`` or ``[P]`` of any integer dtype; an array, lists or what a tokenizer
                returned will do too. Rows are padded on the left where ``attention_mask`` is 0; padding is
                not seen by the network and comes back unchanged.
            attention_mask: ``[B, P]``, 1 on the prompt's tokens; None if nothing is padded.
            params: decoding parameters or their aliases. With a ``seed``, row r draws from stream seed + r.

        Returns:
            ``(output_ids, nfe)``: int64 ``[B, P + gen_length]`` on the prompt's device, the CPU where it has
            none, and the largest of the rows' forward counts. Of decoders that find an answer's length it is
            the longest one's, and shorter ones have an end token behind them.

        Raises:
            ParameterError: a parameter is unknown, of a wrong type or out of range.
            PromptError: a prompt is empty, holds no ids or the mask token, or is too long for the model.
            UsageError: what was given as the model is no network.
            AlgorithmUnavailable: the algorithm cannot run on this network.
            GenerationError: a row failed; raised once all have ended.
        """
        self.check_fits(model)
        padded, rows = prompt_rows(prompt, attention_mask)
        loaded = self._around(model)
        jobs = [
            self.prepare(
                loaded, GenerationRequest(prompt=ids, parameters=parameters_of_row(params, row)), index=row
            )
            for row, ids in enumerate(rows)
        ]
        # By steps, also where a subclass has a generate that calls this one.
        tickets = finished_tickets(loaded, [replace(job, runner=self) for job in jobs])
        end = next(iter(model.config.eos_ids), loaded.pad_id)
        answers = padded_answers([ticket.canvas for ticket in tickets], end)
        return torch.cat((padded, answers.to(padded)), dim=1), max(ticket.nfe for ticket in tickets)

    def conformance_checks(self) -> Iterable[tuple[str, Callable[[], object]]]:
        """What ``llada_core.testing.check_algorithm`` is to check besides: its rule and its policy."""
        return testing.algorithm_checks(self) if self.yields_steps() else ()

    def __getattr__(self, name: str) -> NoReturn:
        if name == "steps":
            raise AttributeError(
                "steps is open_loop now: admit sequences to the loop that it makes, and step it"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _not_asked(self: StepAlgorithm, params: Mapping[str, Any]) -> NoReturn:
    """Stands for the policy or the rule of a decoder that has none."""
    raise NotImplementedError(
        f"{type(self).__name__} decodes by its own generate; give it policy and rule, and no generate, "
        "where it is to be run by steps"
    )


def _made(algorithm: StepAlgorithm, part: str, params: Mapping[str, Any], kind: type) -> Any:
    """The ``part`` that an algorithm makes of effective ``params``. Raises ``ContractError`` where it is no
    ``kind``."""
    made = getattr(algorithm, part)(params)
    if not isinstance(made, kind):
        wanted = f"an object of it, {made.__name__}(…)" if isinstance(made, type) else f"a {kind.__name__}"
        raise ContractError(f"its {part} returned {told(made)}; return {wanted}")
    return made
