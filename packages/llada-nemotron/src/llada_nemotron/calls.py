"""From a request's parameters to the arguments of a model's own method, and from what it returns to answers.

What a request asks for and the method has no name for is refused, never dropped. This module makes no call.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import torch
from torch import Tensor

from llada_core import Answer, ParameterError
from llada_core.parameters import block_count

from .errors import NativeCodeError
from .signature import Entry, Mode

__all__ = ["Call", "Outcome", "call_of", "read_outcome"]

_NEVER = -1  # the id of no token: code that is given it as the EOS does not stop


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What one request asks of ``entry``, whatever the prompt.

    ``keywords`` are all arguments but the prompt and the EOS; ``bounded`` says that there are fewer steps
    than positions, and a threshold, so that the steps may end before the masks do.
    """

    entry: Entry
    mode: Mode
    keywords: Mapping[str, object]
    gen_length: int
    early_stop: bool
    draws: bool
    bounded: bool
    eos_ids: tuple[int, ...]
    mask_id: int | None

    def arguments(self, *, rows: int) -> dict[str, object]:
        """The keywords of a call for so many prompts, which are several only where it ``batches``."""
        assert rows == 1 or self.batches
        if "eos_token_id" not in self.entry.takes:
            return dict(self.keywords)
        return {**self.keywords, "eos_token_id": self.eos_ids[0] if self._stops else _NEVER}

    @property
    def _stops(self) -> bool:
        """Whether a row may end before all of its length is decoded."""
        return self.early_stop and bool(self.eos_ids)

    @property
    def batches(self) -> bool:
        """Whether prompts of one length may share a call: a row must not depend on its neighbours.

        Diffusion ends a block for all rows once one of them has an EOS. Without the EOS it would run the
        whole length, for a row's count too. So its rows share a call only where none of them may end early.
        """
        dependent = self._stops and self.mode.ends_together
        return self.mode.batches and "eos_token_id" in self.entry.takes and not dependent

    def answer(self, written: Sequence[int], nfe: int | None) -> Answer:
        """The answer in what was ``written`` after a prompt, by ``nfe`` forwards; None counts its tokens.

        Raises ``NativeCodeError`` where the code has written too little.
        """
        kept = list(written[: self.gen_length])
        ends = [at for at, token in enumerate(kept) if token in self.eos_ids]
        if ends and self.early_stop:
            kept = kept[: ends[0] + 1]
        filled = tuple(token for token in kept if token != self.mask_id)
        if len(kept) < self.gen_length and not ends and len(filled) == len(kept):
            raise NativeCodeError(
                f"the model's own {self.entry.method} wrote {len(kept)} of {self.gen_length} tokens and no "
                f"end token: {kept[:8]}…; check that its code and its config.json belong together"
            )
        told = () if len(filled) == len(kept) else (self._told(len(kept) - len(filled), len(kept)),)
        return Answer(token_ids=filled, nfe=len(kept) if nfe is None else nfe, warnings=told)

    def _told(self, masks: int, of: int) -> str:
        if not self.mode.bidirectional:
            return (
                f"the model's own code wrote the mask token at {masks} of {of} positions; they are left out"
            )
        told = f"the model's own code left {masks} of {of} positions unfilled; they are left out"
        if self.bounded:
            return f"{told}: give more steps, or leave steps out"
        return f"{told}: it proposed the mask token there; use nemotron_block, which never does"


def call_of(
    entry: Entry,
    mode: Mode,
    params: Mapping[str, Any],
    *,
    algorithm: str,
    eos_ids: tuple[int, ...],
    mask_id: int | None,
    end_think_id: int | None,
) -> Call:
    """The call that effective ``params`` describe. Raises ``ParameterError`` for what ``entry`` cannot do."""
    wanted = _wanted(entry, mode, params, mask_id, end_think_id)
    _refuse_what_is_not_taken(entry, mode, params, algorithm)
    if params.get("max_thinking_tokens") is not None and end_think_id is None:
        raise ParameterError(
            f"{algorithm}: max_thinking_tokens={params['max_thinking_tokens']} needs the id of </think>, and "
            "the model has no tokenizer that knows it; leave max_thinking_tokens out",
            parameter="max_thinking_tokens",
            value=params["max_thinking_tokens"],
        )
    return Call(
        entry=entry,
        mode=mode,
        keywords={name: value for name, value in wanted.items() if name in entry.takes},
        gen_length=params["gen_length"],
        early_stop=params["early_stop"],
        draws=params["temperature"] > 0,
        bounded=_bounded(mode, params),
        eos_ids=eos_ids,
        mask_id=mask_id,
    )


def _bounded(mode: Mode, params: Mapping[str, Any]) -> bool:
    steps = params.get("steps")
    return steps is not None and params.get("threshold") is not None and steps < _length(mode, params)


def _wanted(
    entry: Entry, mode: Mode, params: Mapping[str, Any], mask_id: int | None, end_think_id: int | None
) -> dict[str, object]:
    """Every argument that has a value, whether the method takes it or not."""
    length = _length(mode, params)
    values: dict[str, object] = {
        entry.length: length,
        "steps": params.get("steps") or length,
        "shift_logits": params.get("shift_logits") or False,  # so are all released models called
        "temperature": params["temperature"],
        "neg_entropy": False,  # a threshold is compared with a probability
        "max_thinking_tokens": params.get("max_thinking_tokens"),
        "end_think_token_id": end_think_id,
    }
    values |= {name: params[name] for name in ("block_length", "threshold") if name in params}
    known = {"causal_context": params.get("causal_context"), "mask_id": mask_id, "mask_token_id": mask_id}
    return values | {name: value for name, value in known.items() if value is not None}


def _length(mode: Mode, params: Mapping[str, Any]) -> int:
    """What the call is asked for: whole blocks, where the code works in no other."""
    length: int = params["gen_length"]
    return block_count(params) * int(params["block_length"]) if mode.whole_blocks else length


def _refuse_what_is_not_taken(entry: Entry, mode: Mode, params: Mapping[str, Any], algorithm: str) -> None:
    without = {
        "steps": (None, _length(mode, params)),
        "threshold": (None, mode.no_threshold),
        "shift_logits": (None, False),
        "causal_context": (None, False),
        "temperature": (0.0,),
        "max_thinking_tokens": (None,),
    }
    for name, means_nothing in without.items():
        takes = name in entry.takes and (name != "max_thinking_tokens" or "end_think_token_id" in entry.takes)
        if takes or params.get(name, means_nothing[0]) in means_nothing:
            continue
        says = f" (it runs {_length(mode, params)}, block_length in each block)" if name == "steps" else ""
        remedy = (
            f"leave {name} out" if name != "threshold" or mode.no_threshold == 0 else "give threshold=none"
        )
        raise ParameterError(
            f"{algorithm}: {name}={params[name]!r} cannot be given to this model, whose own {entry} does not "
            f"take it{says}; {remedy}",
            parameter=name,
            value=params[name],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a call returned, checked: what was written after each prompt, and the forwards of all."""

    written: list[list[int]]
    nfe: int


def read_outcome(returned: Any, ids: Tensor, entry: Entry) -> Outcome:
    """The outcome in what ``entry`` ``returned`` for prompts ``ids [B, P]``.

    That is ``(ids, nfe)``, or a third value about times. Raises ``NativeCodeError`` for anything else: a
    count of forwards is not made up.
    """
    if not isinstance(returned, (tuple, list)) or len(returned) not in (2, 3):
        raise _unexpected(entry, _kind(returned))
    output, nfe = returned[0], _count(returned[1])
    if nfe is None:
        raise _unexpected(entry, f"{_kind(returned[1])} in the place of the count: {returned[1]!r}")
    rows, width = ids.shape
    if not isinstance(output, Tensor) or output.is_floating_point() or output.dim() != 2:
        raise _unexpected(entry, f"{_kind(output)} in the place of the ids")
    if output.shape[0] != rows or not torch.equal(output[:, :width].to(ids), ids):
        raise _unexpected(entry, f"ids of shape {list(output.shape)} that do not begin with the prompt")
    return Outcome(written=output[:, width:].tolist(), nfe=nfe)


def _unexpected(entry: Entry, got: str) -> NativeCodeError:
    return NativeCodeError(
        f"the model's own {entry.method} returned {got}, and not ids [B, P+n] that begin with the prompt and "
        "the number of forwards; use a model whose code returns the two"
    )


def _count(value: Any) -> int | None:
    """A number of forwards as an int, or None where it is none."""
    if isinstance(value, Tensor) and value.dim() == 0 and not value.is_floating_point():
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, Integral):
        return None
    return int(value) if int(value) >= 0 else None


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {list(value.shape)} of {value.dtype}"
    if isinstance(value, (tuple, list)):
        return f"a {type(value).__name__} of {len(value)}"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
