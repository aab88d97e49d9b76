"""``LoadedModel``: a checkpoint in memory, with every algorithm that can run on it."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, overload

from llada_core import registry
from llada_core.environment import read_environment
from llada_core.errors import (
    AlgorithmUnavailable,
    IncompatibleAlgorithm,
    UnknownAlgorithm,
    UsageError,
)
from llada_core.generation import execution
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.jobs import Job
from llada_core.generation.kinds import is_for
from llada_core.generation.model import Model
from llada_core.generation.prompt_kinds import prompts_of
from llada_core.generation.prompts import AnyPrompts, Prompt, Prompts
from llada_core.generation.results import GenerationRequest, GenerationResult, requests_of
from llada_core.generation.steps import Step
from llada_core.generation.templates import Template
from llada_core.imports import LazyModule
from llada_core.loading.asked import requests_for
from llada_core.loading.measures import Measures
from llada_core.loading.resting import CLOSED, Resting
from llada_core.loading.rounds import Rounds
from llada_core.loading.session import Session
from llada_core.plugins.info import EngineInfo
from llada_core.plugins.specs import EngineSpec

if TYPE_CHECKING:
    from llada_core.generation import tensors
else:
    tensors = LazyModule("llada_core.generation.tensors")

__all__ = ["LoadedModel", "default_algorithm"]


def default_algorithm(engine: EngineInfo) -> str:
    """The algorithm of a call that names none: ``LLADA_ALGORITHM``, or the default of ``engine``.

    Raises ``UnknownAlgorithm`` where the variable names none.
    """
    preferred = read_environment().algorithm
    if preferred is None:
        return engine.default_algorithm
    try:
        return registry.get_algorithm_info(preferred).name
    except UnknownAlgorithm as exc:
        message = f"LLADA_ALGORITHM: {exc}"
        raise UnknownAlgorithm(message, name=exc.name, candidates=exc.candidates) from exc


def _share_models(one: EngineSpec, other: EngineSpec) -> bool:
    """Whether two engines may have networks of one class: they name a model in common, or one names none."""
    own, others = ({*each.model_types, *each.architectures} for each in (one, other))
    return not own or not others or not own.isdisjoint(others)


class LoadedModel(Measures, Rounds):
    """A checkpoint in memory; each call may name its algorithm and parameters, and affects no other.

    Made by ``load_model``. A context manager: leaving it, or ``close``, lets go of the network. ``dcp`` tells
    what was read of a trainer's checkpoint; None for a model that is not of one.
    """

    def __init__(self, loader: GenerationAlgorithm, engine: EngineInfo) -> None:
        self._model: Model | None = Model.of(loader.model, loader.tokenizer, path=loader.model_path)
        self._model_class = loader.network_class()
        self._algorithms: dict[str, GenerationAlgorithm] = {}
        self._resting = Resting(loader, self._model.executions)
        self.engine, self.dcp = engine, loader.dcp

    @property
    def model(self) -> Model:
        """The network and its tokenizer. Raises ``UsageError`` once closed."""
        if self._model is None:
            raise UsageError(CLOSED)
        return self._model

    def ready(self) -> Model:
        """The same of a model that can be asked now, by this or any other thread.

        Raises ``ModelNotReady`` while it sleeps, while it is being given other weights, and while it has none
        of one round; and ``UsageError`` once closed. Everything that asks the network is refused so.
        """
        self._resting.check()
        return self.model

    def algorithm(self, name: str | None = None) -> GenerationAlgorithm:
        """The algorithm of this name or alias, None for the default, holding this model.

        Where the engine's default cannot run on this network without any parameters, the first of its
        algorithms that can is the default. Raises ``UnknownAlgorithm``, ``AlgorithmUnavailable`` where it
        cannot run here or on this network, and ``IncompatibleAlgorithm`` for one of an engine with networks
        of another class.
        """
        info = registry.get_algorithm_info(self._default() if name is None else name)
        kept = self._algorithms.get(info.name)
        if kept is None or kept.info is None or kept.info.spec is not info.spec:
            kept = self._algorithms[info.name] = self._bound(info.name, named=name is not None)
        return kept

    def _default(self) -> str:
        """The algorithm of a call that names none. Raises ``UnknownAlgorithm`` as ``default_algorithm``."""
        preferred = default_algorithm(self.engine)
        if preferred != self.engine.default_algorithm:
            return preferred  # LLADA_ALGORITHM has a reason of its own
        able = (name for name in (preferred, *self.engine.algorithms) if self._can_run(name))
        return next(able, preferred)

    def _can_run(self, name: str) -> bool:
        """Whether the algorithm runs on this network by its default parameters."""
        algorithm, network = self._algorithms.get(name) or registry.get_algorithm(name), self.model.network
        reason = algorithm.unavailable_reason or algorithm.why_unfit(network)
        return reason is None and not algorithm.parameters_on(network)

    def _bound(self, name: str, *, named: bool) -> GenerationAlgorithm:
        """The algorithm, known to run on this model, and holding it."""
        found = registry.get_algorithm(name)
        self._check_runs(found, named=named)
        found.model, found.tokenizer = self.model.network, self.model.tokenizer
        found.model_path, found.executions = self.model.path, self.model.executions
        found.check_fits(self.model.network)
        return found

    def algorithms(self) -> dict[str, str | None]:
        """The algorithms for this model by name, each with the reason why it cannot run on it, or None.

        They are those of its engine, and those of other engines whose networks are of the same class: the
        ones without a reason are those that ``generate`` takes, some with other parameters than their
        defaults only (``lm.algorithm(name).parameters_on(lm.model.network)``).
        """
        found = map(registry.get_algorithm, registry.list_algorithms())
        return {each.name: self._reason(each) for each in found if self._is_for(each)}

    def _instead_of(self, refused: GenerationAlgorithm) -> list[str]:
        """The algorithms that run on this model, but for those of engines that name other models alone: to
        tell the class of their networks, all of each would be imported."""
        asked = {self.engine.name, refused.engine}
        infos = map(registry.get_engine, registry.list_engines())
        asked |= {info.name for info in infos if _share_models(info.spec, self.engine.spec)}
        found = map(registry.get_algorithm_info, registry.list_algorithms())
        near = [registry.get_algorithm(info.name) for info in found if info.engine in asked]
        return [each.name for each in near if self._is_for(each) and self._reason(each) is None]

    def _is_for(self, algorithm: GenerationAlgorithm) -> bool:
        """Whether the algorithm is of this engine, or runs on networks of the class of this one."""
        classes = [] if self._model_class is None else [self._model_class]
        return is_for(algorithm, engine=self.engine.name, classes=classes)

    def _reason(self, algorithm: GenerationAlgorithm) -> str | None:
        return algorithm.unavailable_reason or algorithm.why_unfit(self.model.network)

    def _check_runs(self, algorithm: GenerationAlgorithm, *, named: bool) -> None:
        reason = algorithm.unavailable_reason
        if reason is not None:
            message = f"{algorithm.name} cannot run here: {reason}"
            raise AlgorithmUnavailable(message, name=algorithm.name, reason=reason)
        if not self._is_for(algorithm):
            source = "" if named else " (named by LLADA_ALGORITHM)"
            able = self._instead_of(algorithm)
            raise IncompatibleAlgorithm(
                f"{algorithm.name}{source} runs on the engine {algorithm.engine}, and this model is loaded "
                f"for {self.engine.name}; give one of {', '.join(able)}",
                name=algorithm.name,
                engine=algorithm.engine,
                candidates=able,
            )

    @overload
    def generate(
        self, prompt: Prompt, *, algorithm: str | None = None, raw: bool = False, **params: Any
    ) -> GenerationResult: ...
    @overload
    def generate(
        self, prompt: Prompts, *, algorithm: str | None = None, raw: bool = False, **params: Any
    ) -> list[GenerationResult]: ...
    @overload
    def generate(
        self, prompt: AnyPrompts, *, algorithm: str | None = None, raw: bool = False, **params: Any
    ) -> GenerationResult | list[GenerationResult]: ...
    def generate(
        self, prompt: AnyPrompts, *, algorithm: str | None = None, raw: bool = False, **params: Any
    ) -> GenerationResult | list[GenerationResult]:
        """The answer to one prompt, or the answers to a list of prompts, in its order.

        A prompt is text (one user message of the chat template; ``raw`` takes it as it stands), chat
        messages, or token ids: a list, an array or an integer tensor ``[P]``. Lists of prompts are all other
        iterables, ``[B, P]`` and what a tokenizer returned for several. ``params`` are the algorithm's, by
        name or alias; with a ``seed``, prompt n of a list draws from seed + n. Raises ``UnknownAlgorithm``,
        ``AlgorithmUnavailable``, ``ParameterError``, ``PromptError``, ``TokenizerMissing`` and, for a chat
        template that cannot be used, ``ModelError`` before anything is run; and the ``GenerationError`` of a
        row that failed once all rows have ended, with the ``results`` of the others.
        """
        given = prompts_of(prompt)
        results = self.generate_batch(requests_for(given, algorithm, raw, params))
        return results[0] if given.single else results

    def generate_batch(self, requests: Iterable[GenerationRequest]) -> list[GenerationResult]:
        """One result per request, in their order; requests may differ in algorithm and parameters.

        Those whose algorithms share one step loop run together. Raises as ``generate`` does, and
        ``UsageError`` for what is no request.
        """
        return execution.run_to_end(self.model, self._prepare(requests))

    def stream(
        self, prompt: AnyPrompts, *, algorithm: str | None = None, raw: bool = False, **params: Any
    ) -> Generator[Step, None, None]:
        """The steps of the answer as they happen; the last one of each prompt carries its result.

        An algorithm that cannot be watched gives one final step. Closing the iterator stops the work. Raises
        as ``generate`` does, at the call.
        """
        requests = requests_for(prompts_of(prompt), algorithm, raw, params)
        return execution.run(self.model, self._prepare(requests))

    def infill(
        self,
        template: Template,
        *,
        prompt: Prompt | None = None,
        algorithm: str | None = None,
        raw: bool = False,
        **params: Any,
    ) -> GenerationResult:
        """The template with its blanks filled: ``blanks`` say what is in them, ``text`` is the whole.

        ``{{8}}`` is a blank of eight tokens, ``{{{{`` two braces; a list of texts and blanks
        (``{"max_tokens": 8}``) will do too. With a ``prompt``, the template is the answer to it. All blanks
        stand in one canvas, the model sees what is on both sides, and what is given never changes. Raises as
        ``generate`` does, and ``AlgorithmUnavailable`` where the algorithm cannot fill blanks.
        """
        request = GenerationRequest(
            prompt=prompt, template=template, algorithm=algorithm, raw=raw, parameters=params
        )
        return self.generate_batch([request])[0]

    def session(self, *, rows: int = execution.ROWS, columns: int | None = None) -> Session:
        """An open loop on this model: requests of any algorithms come and go between its steps.

        ``rows`` of them are in flight at a time. ``columns`` bounds the cached columns, of which each row
        holds as many as its prompt and answer are long; None is what the device's memory holds now.
        """
        return Session(self.model, self._job, rows=rows, columns=columns)

    def _prepare(self, requests: Iterable[GenerationRequest]) -> list[Job]:
        return [self._job(request, index) for index, request in enumerate(requests_of(requests))]

    def _job(self, request: GenerationRequest, index: int) -> Job:
        model, algorithm = self.ready(), self.algorithm(request.algorithm)
        return algorithm.prepare(model, request, index=index)

    def close(self) -> None:
        """Let go of the network, and end what runs for it; later calls raise ``UsageError``."""
        if self._model is not None:
            self._resting.close()  # first, so that nobody asks what is about to end
            close = getattr(self._model.network, "close", None)
            if callable(close):
                close()
            self._model = None
            self._algorithms.clear()
            tensors.release_memory()

    def __enter__(self) -> LoadedModel:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __getattr__(self, name: str) -> NoReturn:
        if name == "checkpoint":
            raise AttributeError("LoadedModel.checkpoint is model now; write that")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        path = "closed" if self._model is None else self._model.path
        return f"<LoadedModel {path} on engine {self.engine.name!r}>"
