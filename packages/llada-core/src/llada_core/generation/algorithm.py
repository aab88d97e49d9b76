"""``GenerationAlgorithm``: what every way of filling masks offers.

Importing this module needs no torch; loading and generating do.
"""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from llada_core.errors import (
    AlgorithmUnavailable,
    ContractError,
    GenerationError,
    LladaError,
    ParameterError,
    UsageError,
)
from llada_core.faults import fault_of, one_line
from llada_core.generation import execution
from llada_core.generation.calls import Calls
from llada_core.generation.chat import ReadsPrompts, TokenizedPrompts
from llada_core.generation.fitting import fitting
from llada_core.generation.jobs import Job
from llada_core.generation.model import Model
from llada_core.generation.networked import RunsNetworks
from llada_core.generation.prompt_kinds import prompts_of
from llada_core.generation.prompts import AnyPrompts
from llada_core.generation.results import Answer, GenerationRequest, GenerationResult, check_request
from llada_core.generation.signature import Undeclared, depth, rows_of_a_call, takes_all, takes_mask
from llada_core.generation.steps import SupportsSteps
from llada_core.generation.templates import parameters_for
from llada_core.imports import LazyModule
from llada_core.parameters import Parameter, parameters_of_row, resolve, spelled_out, without
from llada_core.values import told

if TYPE_CHECKING:
    import torch

    from llada_core.generation import returned, tensors
    from llada_core.plugins.info import AlgorithmInfo
else:
    returned = LazyModule("llada_core.generation.returned")
    tensors = LazyModule("llada_core.generation.tensors")

__all__ = ["GenerationAlgorithm", "SupportsSteps", "TokenizedPrompts"]


class GenerationAlgorithm(RunsNetworks, ReadsPrompts):
    """One way of filling masks, together with how its checkpoints are loaded and its text is read.

    Subclasses give ``load_model_class`` and ``generate``. An object obtained from the registry carries what
    its spec says (``name``, ``engine``, ``parameters``, ``aliases`` …); a class used without the registry
    sets these itself, or hands ``name``, ``description`` and ``engine`` to ``__init__``. A class that
    declares no ``parameters`` takes those that its ``generate`` names; so does one that inherits them and has
    a ``generate`` of its own without ``**``. Objects do not share state: each remembers the model and
    tokenizer that it loaded, in ``model`` and ``tokenizer``.
    """

    description: str = ""
    engine: str = ""
    aliases: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = cast("tuple[Parameter, ...]", Undeclared())

    def __init__(
        self, name: str | None = None, description: str | None = None, engine: str | None = None
    ) -> None:
        given = {"name": name, "description": description, "engine": engine}
        for field, value in given.items():
            if value is not None:
                setattr(self, field, value)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        declared = inspect.getattr_static(cls, "parameters")
        if isinstance(declared, tuple) and _names_its_own(cls):
            cls.parameters = cast("tuple[Parameter, ...]", Undeclared(declared))

    def _bind(self, info: AlgorithmInfo) -> None:
        """Take over what the registry knows; called once, by the registry."""
        self.info = info
        self.name = info.name
        self.description = info.description
        self.engine = info.engine
        self.aliases = info.aliases
        if info.parameters and info.parameters != self.parameters:
            self.parameters = info.parameters

    @classmethod
    def yields_steps(cls) -> bool:
        """Whether its rows are run step by step, on the loop that its class opens.

        They are not where a class has a ``generate`` or ``answers`` of its own that does not come from where
        its ``open_loop`` does: what is overridden is what runs, in one call.
        """
        opens = depth(cls, "open_loop")
        return opens is not None and all(opens <= (depth(cls, own) or 0) for own in ("generate", "answers"))

    @classmethod
    def calls_generate(cls) -> bool:
        """Whether its rows are calls of its ``generate``, and not of an ``answers`` that came after it.

        One that is overridden below an engine's ``answers`` is what runs.
        """
        own, answers = depth(cls, "generate") or 0, depth(cls, "answers") or 0
        return own < answers and not cls.yields_steps()

    def runner(self) -> SupportsSteps:
        """What makes its rows and the loop that runs them: itself, or else what calls it."""
        return cast("SupportsSteps", self) if self.yields_steps() else Calls(self)

    def get_required_args(self) -> dict[str, object]:
        """The parameters that ``generate`` takes, by canonical name, with their defaults."""
        return self.validate_args()

    def validate_args(self, **params: Any) -> dict[str, object]:
        """The effective values of ``params`` by canonical name, with defaults. Raises ``ParameterError``.

        Where no parameters are declared, ``steps`` none is the number that it stands for.
        """
        takers = {} if self.info is None else self.info.takers
        absent = {} if self.info is None else self.info.absent
        owner = self.name or type(self).__name__
        if not isinstance(inspect.getattr_static(self, "parameters"), Undeclared):
            return resolve(self.parameters, params, algorithm=owner, takers=takers, absent=absent)
        taken = {name for parameter in self.parameters for name in parameter.names}
        try:
            return spelled_out(resolve(self.parameters, params, algorithm=owner, takers=takers))
        except ParameterError as exc:
            if exc.parameter in taken:
                raise
            advice = f"to take it, name it in {type(self).__name__}.generate, or declare it in parameters"
            raise ParameterError(f"{exc}; {advice}", parameter=exc.parameter, value=exc.value) from exc

    def prepare(self, model: Model, request: GenerationRequest, *, index: int = 0) -> Job:
        """A job of the request, whatever algorithm it names, ready to be submitted; nothing is run.

        Raises ``ParameterError``, ``PromptError``, ``UsageError`` and ``TokenizerMissing``, and
        ``GenerationError`` where the algorithm's own checks fail.
        """
        check_request(request)
        runner, cloze = self.runner(), None
        self._check_able(request)
        bounded = model.within(request.max_length)
        if request.template is not None:
            cloze = bounded.cloze(request.template, in_prompt=request.prompt is None)
        effective = self._validated(parameters_for(cloze, request.parameters, self.parameters))
        if request.prompt is not None:
            ids = self.encode(bounded, request.prompt, effective, raw=request.raw)
        else:
            assert cloze is not None, "a request has one of both"
            ids = bounded.encode_before(cloze)
        shorter = fitting(request, effective, len(ids), cloze, bounded.limits.max_length)
        if shorter is not None:
            rest = without("gen_length", request.parameters, self.parameters)
            effective = self._validated({**rest, "gen_length": shorter})
        self.check_parameters_fit(model.network, effective)
        return Job(
            index=index,
            algorithm=self,
            runner=runner,
            prompt_ids=tuple(ids),
            parameters=effective,
            cloze=cloze,
            stop=bounded.stops(request.stop),
            logprobs=request.logprobs,
            trajectory=request.trajectory and self.yields_steps(),
        )

    def _check_able(self, request: GenerationRequest) -> None:
        """Refuse what the algorithm does for no prompt, as ``AlgorithmUnavailable``."""
        reason = None if request.template is None else self.infill_reason()
        if reason is not None:
            message = f"{self.name} cannot fill blanks: {reason}"
            raise AlgorithmUnavailable(message, name=self.name, reason=reason)
        if request.logprobs is not None and not self.yields_steps():
            reason = "it answers in one call; leave logprobs out, or take one that works step by step"
            message = f"{self.name} does not tell how probable its tokens were: {reason}"
            raise AlgorithmUnavailable(message, name=self.name, reason=reason)

    def infill_reason(self) -> str | None:
        """Why the algorithm cannot fill blanks in a text that goes on behind them; None where it can.

        It can where its rows are decoded step by step and its ``sequence`` takes an ``answer``. To be
        overridden where the network does not see what is behind a blank.
        """
        if not self.yields_steps():
            return "it answers in one call; take an algorithm that works step by step"
        if "answer" not in inspect.signature(self.runner().sequence).parameters:
            return "its sequence takes no answer; take another algorithm"
        return None

    def _validated(self, params: Mapping[str, object]) -> dict[str, object]:
        """What ``validate_args`` makes of them, whoever wrote it."""
        try:
            effective: Any = self.validate_args(**params)
        except LladaError:
            raise
        except BaseException as exc:  # it may be a plugin's, and raise anything
            raise GenerationError(
                f"{self._whose}: its validate_args failed: {one_line(fault_of(exc))}; "
                "let it raise ParameterError for what it does not accept",
                algorithm=self.name,
            ) from exc
        if not isinstance(effective, dict):
            raise ContractError(
                f"{self._whose}: its validate_args returned {told(effective)}; "
                "return the effective values as a dict",
                algorithm=self.name,
            )
        return effective

    @abstractmethod
    def generate(
        self,
        model: Any,
        prompt: torch.Tensor,
        *,
        attention_mask: torch.Tensor | None = None,
        **params: Any,
    ) -> tuple[torch.Tensor, int]:
        """``(output_ids, nfe)``: int64 ``[B, P+G]``, prompt included, and the largest count of forwards.

        ``prompt`` is int64 ``[B, P]`` or ``[P]``, rows left-padded where ``attention_mask`` (same shape) is
        0. Raises ``ParameterError``.
        """

    def answers(
        self, model: Any, prompts: Sequence[Sequence[int]], params: Mapping[str, object]
    ) -> list[Answer]:
        """One ``Answer`` a prompt, in their order, on ``model``; ``params`` are effective and hold for all.

        Prompts are ids without padding. This one pads them on the left and calls ``generate``, so all rows
        get its ``nfe`` and no warnings; a ``generate`` that names no ``attention_mask`` is given prompts of
        one length. An engine that knows more of each row, or that cannot take padding, overrides it.
        Algorithms that yield their steps are not asked. Raises ``ContractError`` for what may not be
        returned.
        """
        loaded = Model.of(model, self.tokenizer, path=self.model_path)
        found: dict[int, Answer] = {}
        for rows in rows_of_a_call(self.generate, prompts):
            ids, mask = tensors.pad_left(
                [prompts[row] for row in rows], loaded.pad_id, getattr(model, "device", None)
            )
            padding = {"attention_mask": mask} if takes_mask(self.generate) else {}
            made = returned.read_returned(self.generate(model, ids.clone(), **padding, **params), ids)
            for row, answer in zip(rows, made.answers, strict=True):
                found[row] = Answer(token_ids=loaded.through_end(answer), nfe=made.nfe)
        return [found[row] for row in range(len(prompts))]

    def answered(
        self, model: Any, prompts: Sequence[Sequence[int]], params: Mapping[str, object]
    ) -> list[Answer]:
        """What ``answers`` returns, or what a ``generate`` makes of them that was overridden below it."""
        if self.calls_generate():
            return GenerationAlgorithm.answers(self, model, prompts, params)
        return self.answers(model, prompts, params)

    def tried_beside(self, name: str) -> Mapping[str, Any]:
        """What checks are to give besides, where they try values of the parameter of this name: by default
        nothing.

        To be overridden where a value is taken, or does something, beside values of several others only.
        """
        return {}

    def conformance_checks(self) -> Iterable[tuple[str, Callable[[], object]]]:
        """What ``llada_core.testing.check_algorithm`` is to check besides: what holds, and a function that
        raises where it does not.

        To be extended by a base class that asks more of its algorithms.
        """
        return ()

    def generate_batch(
        self, prompts: AnyPrompts, *, raw: bool = False, **params: Any
    ) -> list[GenerationResult]:
        """One result per prompt, on the model that this object loaded; the parameters hold for all.

        With a ``seed``, prompt n draws from seed + n.

        Raises ``UsageError`` before a model is loaded, ``AlgorithmUnavailable`` where it cannot run on that
        model, ``ParameterError``, ``PromptError`` and ``TokenizerMissing``, and a row's ``GenerationError``
        once all rows have ended, with the ``results`` of the others.
        """
        if self.model is None:
            raise UsageError(f"{self.name} has no model yet; call load_model_from_hf first")
        model = self._loaded()
        self.check_fits(self.model)
        jobs = [
            self.prepare(
                model,
                GenerationRequest(prompt=prompt, raw=raw, parameters=parameters_of_row(params, index)),
                index=index,
            )
            for index, prompt in enumerate(prompts_of(prompts).prompts)
        ]
        return execution.run_to_end(model, jobs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of engine {self.engine!r}>"


def _names_its_own(cls: type[GenerationAlgorithm]) -> bool:
    """Whether the ``generate`` that is called is younger than the parameters and takes only what it names."""
    younger = (depth(cls, "generate") or 0) < (depth(cls, "parameters") or 0)
    return younger and cls.calls_generate() and not takes_all(cls.generate)
