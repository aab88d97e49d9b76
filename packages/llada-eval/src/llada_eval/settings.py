"""What ``--model_args`` say: of the model, of how it answers, and of how likelihoods are found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from llada_core.errors import UsageError
from llada_core.generation.execution import ROWS
from llada_core.generation.likelihood import Estimate
from llada_core.parameters import STANDARD

__all__ = ["LENGTHS", "Settings", "once"]

_LOADING = ("engine", "dtype", "trust_remote_code", "revision", "quantization", "tensor_parallel")
LENGTHS = STANDARD["gen_length"].names
"""What a parameter may be called that says how long answers are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which model, and how it is asked. Raises ``UsageError`` for what cannot be.

    Attributes:
        pretrained: a folder, hub id or wheel that holds a model; None is the embedded model.
        loading: arguments of ``load_model``, the device among them.
        algorithm: None is the model's default. parameters: of the algorithm; they win over a task's.
        rows: answers in work at a time, and masks in a forward of likelihoods.
        estimate: how likelihoods are found.
        max_gen_toks: tokens of an answer where neither the parameters nor the task say.
        max_length: tokens of prompt and answer together; None is the model's limit.
        truncate: whether a prompt that is too long loses its beginning; else it is refused.
        likelihood_log: a file to which each likelihood is written as a line of JSON.
    """

    pretrained: str | None = None
    loading: Mapping[str, Any] = field(default_factory=dict)
    algorithm: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    rows: int = ROWS
    estimate: Estimate = field(default_factory=Estimate)
    max_gen_toks: int = 256
    max_length: int | None = None
    truncate: bool = False
    likelihood_log: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("max_gen_toks", 1), ("max_length", 2)):  # one before, and one behind it
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < least):
                raise UsageError(f"{name}={value!r} is no number of tokens; give an integer from {least} on")
        if not isinstance(self.truncate, bool):
            raise UsageError(f"truncate={self.truncate!r} is neither; give True or False")

    @classmethod
    def of(
        cls,
        given: Mapping[str, Any],
        *,
        device: str | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
    ) -> Settings:
        """The settings that ``--model_args`` and the harness' own options give.

        What is no setting is a parameter of the algorithm. Raises ``UsageError``.
        """
        rest = dict(given)
        loading = {name: rest.pop(name) for name in _LOADING if name in rest}
        if device not in (None, "auto"):
            loading["device"] = device
        own = {each.name for each in fields(cls)} - {"loading", "parameters", "rows", "estimate"}
        plain = {name: rest.pop(name) for name in own if name in rest}
        rows = _rows(batch_size, max_batch_size)
        return cls(loading=loading, rows=rows, estimate=_estimate(rest, rows), **plain, parameters=rest)

    @property
    def says_length(self) -> bool:
        """Whether the parameters say how long answers are."""
        return any(name in self.parameters for name in LENGTHS)


def _estimate(rest: dict[str, Any], rows: int) -> Estimate:
    """How likelihoods are found, taken out of ``rest``."""
    names = {
        "likelihood": "method",
        "mc_samples": "samples",
        "mc_seed": "seed",
        "chain_order": "order",
        "mc_batch": "batch_size",
    }
    said = {names[name]: rest.pop(name) for name in names if name in rest}
    return Estimate.of({"batch_size": rows, **said})


def _rows(batch_size: int | str | None, most: int | None) -> int:
    """How many rows ``--batch_size`` means; ``auto`` is what a session has."""
    if batch_size is None or str(batch_size).partition(":")[0] == "auto":
        return ROWS if most is None else min(ROWS, most)
    try:
        rows = int(batch_size)
    except ValueError:
        rows = 0
    if rows < 1:
        raise UsageError(f"batch_size={batch_size!r} is no count of rows; give an integer from 1 on, or auto")
    return rows


def once(model_args: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """What ``--model_args`` and the harness' own options give together; an option of "auto" leaves a thing
    open. Raises ``UsageError`` for what both give."""
    given = {
        name: value
        for name, value in options.items()
        if value is not None and not (value == "auto" and name in model_args)
    }
    for name in given.keys() & model_args.keys():
        raise UsageError(
            f"{name} is {model_args[name]!r} in model_args and {given[name]!r} as an option; give one of them"
        )
    return {**model_args, **given}
