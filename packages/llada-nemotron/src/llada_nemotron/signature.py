"""What a model's own decoding methods take, read from their signatures.

The family has no common interface: the methods differ in names, order and number of parameters. Nothing is
called here.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

__all__ = ["AUTOREGRESSIVE", "DIFFUSION", "LINEAR_SPEC", "Entry", "Mode", "entry_of", "unfit_reason"]

_LENGTHS = ("max_new_tokens", "gen_length")
# What a call can fill in; a method that demands anything else is none of the family's.
_FILLED = frozenset(
    {
        *_LENGTHS,
        "block_length",
        "steps",
        "threshold",
        "shift_logits",
        "temperature",
        "eos_token_id",
        "max_thinking_tokens",
        "end_think_token_id",
        "mask_id",
        "mask_token_id",
        "neg_entropy",
    }
)
_NAMED = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
    inspect.Parameter.KEYWORD_ONLY,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """One way of decoding that a model's own code may offer.

    Attributes:
        methods: what the method may be called, the preferred name first.
        blocks: whether it works in blocks, so that it must take ``block_length``.
        whole_blocks: whether it must be asked for a multiple of that.
        bidirectional: how the layers attend when it starts.
        batches: whether it takes several rows.
        ends_together: whether the end of a row changes what the others write.
        no_threshold: the threshold that a method without one stands for.
        remedy: what to do where a model has no such method.
    """

    methods: tuple[str, ...]
    blocks: bool
    whole_blocks: bool
    bidirectional: bool
    batches: bool
    ends_together: bool
    no_threshold: float | None
    remedy: str


DIFFUSION = Mode(
    methods=("generate", "generate_diffusion", "generate_dllm"),
    blocks=True,
    whole_blocks=True,
    bidirectional=True,
    batches=True,
    ends_together=True,
    no_threshold=None,
    remedy="load a diffusion model of the Nemotron family, or use nemotron_block where its network is known",
)
AUTOREGRESSIVE = Mode(
    methods=("ar_generate",),
    blocks=False,
    whole_blocks=False,
    bidirectional=False,
    batches=True,
    ends_together=False,
    no_threshold=None,
    remedy="use nemotron",
)
LINEAR_SPEC = Mode(
    methods=("linear_spec_generate",),
    blocks=True,
    whole_blocks=False,
    bidirectional=False,
    batches=False,
    ends_together=False,
    no_threshold=0.0,
    remedy="use nemotron",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A method that fits: ``length`` is its name for the number of new tokens, ``takes`` all that it names.

    ``wants_model`` is for the form that is a function: the model comes before the prompt.
    """

    method: str
    length: str
    takes: tuple[str, ...]
    wants_model: bool

    def __str__(self) -> str:
        return f"{self.method}({', '.join(self.takes)})"


def entry_of(model: Any, mode: Mode) -> Entry | None:
    """The first of the mode's methods that can be called, or None where the model has none."""
    found = (_read(model, method, mode) for method in mode.methods)
    return next((each for each in found if isinstance(each, Entry)), None)


def unfit_reason(model: Any, mode: Mode) -> str | None:
    """Why no method of the model can be called, with what was found and the remedy; None where one can."""
    found = [_read(model, method, mode) for method in mode.methods]
    if any(isinstance(each, Entry) for each in found):
        return None
    lengths = " or ".join(_LENGTHS)
    wanted = f"{lengths}, and block_length" if mode.blocks else lengths
    listed = ", ".join(str(each) for each in found)
    return f"its own code has {listed}; needed is one that takes {wanted}; {mode.remedy}"


def _read(model: Any, method: str, mode: Mode) -> Entry | str:
    """The method as an entry, or in words where it does not fit."""
    function = getattr(model, method, None)
    if not callable(function):
        return f"no {method}"
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # a builtin, or a callable that hides its parameters
        return f"{method} with a signature that cannot be read"
    named = [each for each in signature.parameters.values() if each.kind in _NAMED]
    return (
        _fitting(method, named, mode) or f"{method}({', '.join(map(_shown, signature.parameters.values()))})"
    )


def _fitting(method: str, named: list[inspect.Parameter], mode: Mode) -> Entry | None:
    wants_model = bool(named) and named[0].name == "model"
    leading = 2 if wants_model else 1
    prompt, rest = named[leading - 1 : leading], named[leading:]
    takes = tuple(each.name for each in rest)
    length = next((name for name in _LENGTHS if name in takes), None)
    if not prompt or prompt[0].kind is inspect.Parameter.KEYWORD_ONLY or length is None:
        return None
    if mode.blocks and "block_length" not in takes:
        return None
    for each in rest:
        by_keyword = each.kind is not inspect.Parameter.POSITIONAL_ONLY
        if each.default is inspect.Parameter.empty and not (by_keyword and each.name in _FILLED):
            return None
    return Entry(method=method, length=length, takes=takes, wants_model=wants_model)


def _shown(parameter: inspect.Parameter) -> str:
    return str(parameter.replace(annotation=parameter.empty, default=parameter.empty))
