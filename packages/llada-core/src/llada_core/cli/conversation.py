"""A conversation with a loaded model: the turns so far, and how the next one is to be decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from llada_core.cli.options import overridden, spelling_among
from llada_core.cli.output import as_typed
from llada_core.errors import LladaError, ParameterError, PromptError, UsageError
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.prompts import check_prompt
from llada_core.generation.steps import Step
from llada_core.loading import LoadedModel
from llada_core.parameters import STANDARD, parse_assignments

__all__ = ["Conversation"]


@dataclass(slots=True, kw_only=True)
class Conversation:
    """The turns so far and how the next one is to be decoded."""

    model: LoadedModel
    algorithm: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    system: str | None = None
    turns: list[dict[str, str]] = field(default_factory=list)

    def reply(self, text: str) -> Iterator[Step]:
        """The steps of the answer to ``text``. Both join the turns once the answer is complete.

        Raises as ``LoadedModel.generate``; where the earlier turns leave no room, it says what to do.
        """
        turn = {"role": "user", "content": text}
        try:
            stream = self.model.stream(
                self._messages(*self.turns, turn), algorithm=self.algorithm, **self.parameters
            )
            with closing(stream):
                for step in stream:
                    if step.result is not None:
                        self.turns += [turn, {"role": "assistant", "content": step.result.text}]
                    yield step
        except (PromptError, ParameterError) as exc:
            if not self.turns or not self._fits_alone(turn):
                raise
            earlier = f"the {len(self.turns)} earlier messages count too"
            raise UsageError(f"{exc}; {earlier}: /reset forgets them") from exc

    def _messages(self, *turns: dict[str, str]) -> list[dict[str, str]]:
        system = [{"role": "system", "content": self.system}] if self.system else []
        return [*system, *turns]

    def _fits_alone(self, turn: dict[str, str]) -> bool:
        """Whether a conversation could begin with this turn."""
        model = self.model.model
        try:
            values = self.model.algorithm(self.algorithm).validate_args(**self.parameters)
            length = values.get("gen_length")
            ids = model.encode(self._messages(turn))
            check_prompt(ids, model.limits, gen_length=length if isinstance(length, int) else None)
        except LladaError:
            return False
        return True

    def choose_algorithm(self, name: str) -> str:
        """Decode the next turns with the algorithm of this name, without one the default; what changed, in
        words."""
        algorithm = self.model.algorithm(name or None)
        try:
            algorithm.validate_args(**self.parameters)
        except ParameterError as exc:
            given = self._given_as(exc.parameter, algorithm) or exc.parameter
            raise UsageError(_advising(exc, f"/unset {given}")) from exc
        self.algorithm = algorithm.name if name else None
        return f"algorithm {self._which(algorithm)}"

    def set_parameter(self, assignment: str) -> str:
        """Take over ``name=value`` for the next turns; what changed, in words."""
        algorithm = self.model.algorithm(self.algorithm)
        parameters = overridden(algorithm.parameters, self.parameters, parse_assignments([assignment]))
        algorithm.validate_args(**parameters)
        self.parameters = parameters
        return self.settings

    def unset_parameter(self, name: str) -> str:
        """Leave the parameter of this name or alias out of the next turns; what is left, in words."""
        spelling = self._given_as(name, self.model.algorithm(self.algorithm))
        if spelling is None:
            given = ", ".join(self.parameters) or "none"
            raise UsageError(f"no parameter {name!r} is set; those that are: {given}")
        self.parameters = {each: value for each, value in self.parameters.items() if each != spelling}
        return self.settings

    def _given_as(self, name: str, algorithm: GenerationAlgorithm) -> str | None:
        """Under which name the parameter is set; None where it is not."""
        known = (*STANDARD.values(), *algorithm.parameters)  # it may be one that the algorithm does not take
        return spelling_among(known, self.parameters, name)

    def _which(self, algorithm: GenerationAlgorithm) -> str:
        return algorithm.name if self.algorithm else f"{algorithm.name}, the default"

    def reset(self, _: str) -> str:
        """Forget the turns; what changed, in words."""
        self.turns = []
        return "a new conversation"

    @property
    def settings(self) -> str:
        """The parameters that were given, as one gives them."""
        return ", ".join(f"{name}={as_typed(value)}" for name, value in self.parameters.items()) or "defaults"

    def describe(self, _: str = "") -> str:
        """What one is talking to, in lines: model, engine, device, algorithm and parameters."""
        network = self.model.model.network
        found = [getattr(network, name, None) for name in ("device", "dtype")]  # a foreign one may not say
        hardware = [str(each).removeprefix("torch.") for each in found if each is not None]
        algorithm = self.model.algorithm(self.algorithm)
        lines = [
            f"model      {self.model.model.path}",
            f"engine     {' · '.join([self.model.engine.name, *hardware])}",
            f"algorithm  {self._which(algorithm)} · {self.settings}",
        ]
        return "\n".join([*lines, *([f"system     {self.system}"] if self.system else [])])


def _advising(exc: ParameterError, command: str) -> str:
    """What is wrong with a parameter, and the command that leaves it out."""
    said, remedy = str(exc), "leave it out"
    return said.replace(remedy, command, 1) if remedy in said else f"{said}; or {remedy}: {command}"
