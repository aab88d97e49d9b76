"""The three ways of decoding that a model's own code may offer, as algorithms.

Differences from calling that code: the method's signature is read, so that every release of the family runs;
rows of different lengths never share a call, so that no padding is seen; each answer is cut at its own end
token and holds no mask; lengths and steps that do not divide are rounded up for the call.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from llada_core import Answer, GenerationAlgorithm, ParameterError
from llada_core.generation.model import Model
from llada_core.generation.prompts import check_prompt
from llada_core.parameters import block_count, parameters_of_row, whole_steps
from llada_runtime.prompts import prompt_rows

from .calls import Call, call_of, read_outcome
from .errors import NativeCodeError, UnfilledMasks
from .model import NemotronModel, OnNemotron
from .native import NativeModel
from .plugin import AUTOREGRESSIVE_PARAMETERS, LINEAR_SPEC_PARAMETERS, NATIVE_PARAMETERS
from .signature import AUTOREGRESSIVE, DIFFUSION, LINEAR_SPEC, Mode

__all__ = ["AutoregressiveGeneration", "LinearSpecGeneration", "NativeGeneration", "NemotronGeneration"]

_END_OF_THINKING = "</think>"


class NativeGeneration(OnNemotron, GenerationAlgorithm):
    """What the three share. Subclasses give the ``mode``; a model is a ``NemotronModel`` or a loaded one."""

    mode: ClassVar[Mode]
    max_rows: ClassVar[int] = 32
    """How many prompts of one length share a call at most."""

    def unfit_reason(self, model: Any) -> str | None:
        """Why ``model`` cannot decode so: its code is not trusted, or has no such method; else None."""
        if isinstance(model, NemotronModel) and model.native_reason is not None:
            return model.native_reason
        return _native(model).unfit_reason(self.mode)

    def get_required_args(self) -> dict[str, object]:
        return self._resolve({})

    def validate_args(self, **params: Any) -> dict[str, object]:
        """The effective values of ``params``; where a model is loaded, they are known to suit its code.

        Raises:
            ParameterError: a name is unknown, a value of the wrong type or out of range, or the model's own
                code cannot do what is asked.
        """
        values = self._resolve(params)
        if self.model is not None and self.unfit_reason(self.model) is None:
            self._call(_native(self.model), values)
        return values

    def _resolve(self, params: Mapping[str, object]) -> dict[str, object]:
        return super().validate_args(**params)

    def answers(
        self, model: Any, prompts: Sequence[Sequence[int]], params: Mapping[str, object]
    ) -> list[Answer]:
        """One answer a prompt, each as if it were alone but for its count of forwards.

        Raises ``AlgorithmUnavailable``, ``ParameterError``, and ``NativeCodeError`` where the code fails.
        """
        self.check_fits(model)
        return self._answers(_native(model), prompts, [params] * len(prompts))

    def generate(
        self,
        model: Any,
        prompt: Tensor,
        *,
        attention_mask: Tensor | None = None,
        **params: Any,
    ) -> tuple[Tensor, int]:
        """``(output_ids, nfe)``: int64 ``[B, P+gen_length]``, and the largest count of forwards.

        ``prompt`` is int64 ``[B, P]`` or ``[P]``, rows left-padded where ``attention_mask`` is 0. Behind an
        EOS stands that EOS. Where the model's code leaves masks they are taken out, padding fills the row up,
        and ``UnfilledMasks`` warns. With a ``seed``, row r draws from seed + r.

        Raises ``AlgorithmUnavailable``, ``ParameterError``, ``PromptError`` and ``NativeCodeError``.
        """
        self.check_fits(model)
        native = _native(model)
        padded, rows = prompt_rows(prompt, attention_mask)
        of_rows = [self._resolve(parameters_of_row(params, row)) for row in range(len(rows))]
        self.check_chat(of_rows[0], read=())
        limits = Model.of(native.model).limits
        width: Any = of_rows[0]["gen_length"]
        for ids in rows:
            check_prompt(ids, limits, gen_length=width)
        answers = self._answers(native, rows, of_rows)
        for told in dict.fromkeys(told for answer in answers for told in answer.warnings):
            warnings.warn(told, UnfilledMasks, stacklevel=2)
        written = torch.tensor([self._filled_up(native, answer, width) for answer in answers])
        return torch.cat((padded, written.to(padded)), dim=1), max(answer.nfe for answer in answers)

    def check_chat(self, params: Mapping[str, object], *, read: Collection[str]) -> None:
        super().check_chat(params, read=read)
        budget, thinks = params["max_thinking_tokens"], params["enable_thinking"]
        if budget is not None and "enable_thinking" in read and not thinks:
            raise ParameterError(
                f"{self.name}: max_thinking_tokens={budget!r} ends what enable_thinking=False does not "
                "begin; give enable_thinking=True, or leave max_thinking_tokens out",
                parameter="max_thinking_tokens",
                value=budget,
            )

    def _answers(
        self, native: NativeModel, prompts: Sequence[Sequence[int]], of_rows: Sequence[Mapping[str, Any]]
    ) -> list[Answer]:
        calls = [self._call(native, params) for params in of_rows]
        found: dict[int, Answer] = {}
        for rows in self._groups(calls, prompts, of_rows):
            ids = torch.tensor([prompts[row] for row in rows])
            answers = self._run(native, calls[rows[0]], ids, of_rows[rows[0]]["seed"])
            found |= dict(zip(rows, answers, strict=True))
        return [found[row] for row in range(len(prompts))]

    def _groups(
        self, calls: Sequence[Call], prompts: Sequence[Sequence[int]], of_rows: Sequence[Mapping[str, Any]]
    ) -> Iterator[list[int]]:
        """The rows that share a call: of one length, and none that draws from a seed of its own."""
        groups: dict[tuple[int, int | None], list[int]] = {}
        for row, (call, prompt, params) in enumerate(zip(calls, prompts, of_rows, strict=True)):
            alone = not call.batches or (call.draws and params["seed"] is not None)
            groups.setdefault((len(prompt), row if alone else None), []).append(row)
        for rows in groups.values():
            yield from (rows[at : at + self.max_rows] for at in range(0, len(rows), self.max_rows))

    def _run(self, native: NativeModel, call: Call, ids: Tensor, seed: int | None) -> list[Answer]:
        returned = native.call(
            call.entry,
            ids,
            call.arguments(rows=len(ids)),
            bidirectional=self.mode.bidirectional,
            draws=call.draws,
            seed=seed,
        )
        outcome = read_outcome(returned, ids, call.entry)
        return [call.answer(written, self._nfe(outcome.nfe)) for written in outcome.written]

    def _nfe(self, counted: int) -> int | None:
        """The count of a row in a call of ``counted`` forwards; None where each of its tokens is one."""
        return counted

    def _call(self, native: NativeModel, params: Mapping[str, Any]) -> Call:
        entry = native.entry(self.mode)
        assert entry is not None, "unfit_reason comes first"
        return call_of(
            entry,
            self.mode,
            params,
            algorithm=self.name,
            eos_ids=self._eos_ids(native),
            mask_id=native.mask_id,
            end_think_id=None if params["max_thinking_tokens"] is None else self._end_think_id(),
        )

    def _eos_ids(self, native: NativeModel) -> tuple[int, ...]:
        return tuple(end.id for end in Model.of(native.model, self.tokenizer).end_tokens)

    def _end_think_id(self) -> int | None:
        """The last id of ``</think>``, or None where there is no tokenizer that knows it."""
        if self.tokenizer is None:
            return None
        ids = self.tokenizer.encode(_END_OF_THINKING, add_special_tokens=False)
        known = ids and ids[-1] != getattr(self.tokenizer, "unk_token_id", None)
        return int(ids[-1]) if known else None

    def _filled_up(self, native: NativeModel, answer: Answer, width: int) -> list[int]:
        """The tokens of an answer, up to ``width`` of them: the rest is its EOS, or padding."""
        eos_ids = self._eos_ids(native)
        missing = width - len(answer.token_ids)
        if not missing:
            return list(answer.token_ids)
        pad = getattr(self.tokenizer, "pad_token_id", None)
        fillers = [token for token in answer.token_ids if token in eos_ids]
        fillers += [] if pad is None else [pad]
        fillers += eos_ids
        if not fillers:
            raise NativeCodeError(
                f"the answer has {len(answer.token_ids)} of {width} tokens, and the model has neither an EOS "
                "nor a padding token to fill it up with; add eos_token_id to its config.json"
            )
        return [*answer.token_ids, *[fillers[0]] * missing]


class NemotronGeneration(NativeGeneration):
    """Diffusion by the model's own ``generate``, ``generate_diffusion`` or ``generate_dllm``."""

    name = "nemotron"
    description = "The diffusion decoding of the model's own code."
    parameters = NATIVE_PARAMETERS
    mode = DIFFUSION

    def _resolve(self, params: Mapping[str, object]) -> dict[str, object]:
        """``steps`` rounded up to a multiple of the blocks, and spelled out where no threshold decides."""
        values: dict[str, Any] = super()._resolve(params)
        if values["steps"] is not None:
            values["steps"] = whole_steps(values, values["steps"])
        elif values["threshold"] is None:
            values["steps"] = block_count(values) * values["block_length"]
        return values


class AutoregressiveGeneration(NativeGeneration):
    """One token after another, by the model's own ``ar_generate``; a forward is one token."""

    name = "nemotron_ar"
    description = "The model's own code, one token after another."
    parameters = AUTOREGRESSIVE_PARAMETERS
    mode = AUTOREGRESSIVE

    def _nfe(self, counted: int) -> None:
        return None


class LinearSpecGeneration(NativeGeneration):
    """Linear self-speculation by the model's own ``linear_spec_generate``, one row at a time.

    At temperature 0 the answer is that of ``nemotron_ar``, unless an adapter takes part in one and not the
    other: the code verifies without.
    """

    name = "nemotron_linear_spec"
    description = "The model's own code: diffusion drafts a block, one causal forward verifies it."
    parameters = LINEAR_SPEC_PARAMETERS
    mode = LINEAR_SPEC


def _native(model: Any) -> NativeModel:
    return model.native if isinstance(model, NemotronModel) else NativeModel(model)
