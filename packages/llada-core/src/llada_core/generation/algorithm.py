"""``GenerationAlgorithm``: what every way of filling masks offers.

Importing this module needs no torch; loading and generating do.
"""

from __future__ import annotations

import os
import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from llada_core.checkpoints.hub import resolve_model
from llada_core.checkpoints.options import LoadOptions, check_loader
from llada_core.checkpoints.tokenizer import load_tokenizer
from llada_core.errors import (
    AlgorithmUnavailable,
    ContractError,
    ModelLoadError,
    ParameterError,
    UsageError,
)
from llada_core.generation import execution
from llada_core.generation.jobs import Job
from llada_core.generation.model import Model
from llada_core.generation.prompts import Prompt, Prompts, is_batch
from llada_core.generation.results import Answer, GenerationResult
from llada_core.generation.steps import SupportsSteps
from llada_core.imports import LazyModule
from llada_core.parameters import Parameter, parameters_of_row, resolve

if TYPE_CHECKING:
    import torch

    from llada_core.checkpoints import dcp
    from llada_core.generation import tensors
    from llada_core.plugins.info import AlgorithmInfo
else:
    dcp = LazyModule("llada_core.checkpoints.dcp")
    tensors = LazyModule("llada_core.generation.tensors")

__all__ = ["GenerationAlgorithm", "SupportsSteps", "TokenizedPrompts"]


class TokenizedPrompts(NamedTuple):
    """Prompts as tensors: int64 ``[B, P]`` both, rows left-padded, ``attention_mask`` 0 on padding."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor


class GenerationAlgorithm(ABC):
    """One way of filling masks, together with how its checkpoints are loaded and its text is read.

    Subclasses give ``load_model_class`` and ``generate``. An object obtained from the registry carries what
    its spec says (``name``, ``engine``, ``parameters``, ``aliases`` …); a class used without the registry
    sets these itself. Objects do not share state: each remembers the model and tokenizer that it loaded, in
    ``model`` and ``tokenizer``.
    """

    chat_options: ClassVar[tuple[str, ...]] = ()
    """Names of parameters whose values are handed to the tokenizer's chat template as variables."""

    name: str = ""
    description: str = ""
    engine: str = ""
    aliases: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    info: AlgorithmInfo | None = None

    model: Any = None
    tokenizer: Any = None
    model_path: str = "the model"

    def _bind(self, info: AlgorithmInfo) -> None:
        """Take over what the registry knows; called once, by the registry."""
        self.info = info
        self.name = info.name
        self.description = info.description
        self.engine = info.engine
        self.aliases = info.aliases
        self.parameters = info.parameters

    @property
    def unavailable_reason(self) -> str | None:
        """Why the algorithm cannot run here, ending with the remedy; None where it can."""
        return None if self.info is None else self.info.reason

    def is_available(self) -> bool:
        """Whether the algorithm can run here; ``unavailable_reason`` says why not."""
        return self.unavailable_reason is None

    def unfit_reason(self, model: Any) -> str | None:
        """Why the algorithm cannot run on this loaded network, ending with the remedy; None where it can.

        To be overridden where not every network that the engine loads will do.
        """
        return None

    def check_fits(self, model: Any) -> None:
        """Refuse a loaded network that the algorithm cannot run on. Raises ``AlgorithmUnavailable``."""
        reason = self.unfit_reason(model)
        if reason is not None:
            message = f"{self.name} cannot run on {self.model_path}: {reason}"
            raise AlgorithmUnavailable(message, name=self.name, reason=reason)

    def get_required_args(self) -> dict[str, object]:
        """The parameters that ``generate`` takes, by canonical name, with their defaults."""
        return self.validate_args()

    def validate_args(self, **params: Any) -> dict[str, object]:
        """The effective values of ``params`` by canonical name, with defaults. Raises ``ParameterError``."""
        return resolve(self.parameters, params, algorithm=self.name or type(self).__name__)

    @abstractmethod
    def load_model_class(self) -> Any:
        """The class whose ``from_pretrained(folder, *, device, dtype)`` reads the checkpoints."""

    def load_network(self, folder: Path, options: LoadOptions) -> Any:
        """The network in ``folder``: the seam for an engine that loads in its own way.

        May raise ``OSError``, ``ValueError`` or ``RuntimeError``, which callers see as ``ModelLoadError``.
        """
        return self.load_model_class().from_pretrained(folder, device=options.device, dtype=options.dtype)

    def load_model_from_hf(
        self,
        model_path: str | os.PathLike[str],
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | str | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
    ) -> Any:
        """The model in a folder or under a hub id, kept as ``model`` with its ``tokenizer``.

        ``device`` None is CUDA where there is one; ``dtype`` None is bfloat16 on CUDA and float32 elsewhere.
        Honours ``HF_HOME``, ``HF_HUB_OFFLINE`` and ``HF_TOKEN``. A folder without a tokenizer loads too.
        Raises ``AlgorithmUnavailable``, ``ModelNotFound``, ``ModelLoadError`` and ``UsageError``.
        """
        options = LoadOptions(
            device=device, dtype=dtype, trust_remote_code=trust_remote_code, revision=revision
        )
        return self.load_checkpoint(model_path, options)

    def load_model_from_dcp(
        self,
        dcp_path: str | os.PathLike[str],
        base_model: str | os.PathLike[str],
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | str | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        temp_dir: str | os.PathLike[str] | None = None,
    ) -> Any:
        """The model whose weights are a ``torch.distributed.checkpoint`` folder, kept likewise.

        Config and tokenizer are those of ``base_model`` (folder or hub id, at ``revision``). The weights pass
        through a temporary folder of the size of the model, made in ``temp_dir`` and removed before this
        returns. The format keeps a pickle, which can run code: load only what you trust.
        """
        options = LoadOptions(
            device=device, dtype=dtype, trust_remote_code=trust_remote_code, revision=revision
        )
        base = resolve_model(base_model, revision=revision, weights=False, code=trust_remote_code)
        with dcp.as_hf_folder(Path(dcp_path), base, temp_dir=temp_dir) as folder:
            model = self.load_checkpoint(folder, options)
        self.model_path = os.fspath(dcp_path)
        return model

    def load_checkpoint(self, model_path: str | os.PathLike[str], options: LoadOptions) -> Any:
        """What ``load_model_from_hf`` does, for callers that have the options as one value."""
        check_loader(self.load_network, owner=self.name or type(self).__name__)
        folder = resolve_model(model_path, revision=options.revision, code=options.trust_remote_code)
        path = os.fspath(model_path)
        try:
            model = self.load_network(folder, options)
        except (OSError, ValueError, RuntimeError) as exc:
            raise ModelLoadError(f"{path} cannot be loaded: {exc}", path=path, reason=str(exc)) from exc
        tokenizer = load_tokenizer(folder, trust_remote_code=options.trust_remote_code)
        self.model, self.tokenizer, self.model_path = model, tokenizer, path
        return model

    def tokenize_prompts(
        self, prompts: Prompt | Prompts, *, raw: bool = False, **variables: Any
    ) -> TokenizedPrompts:
        """One prompt or a list of them as ids and mask, int64 ``[B, P]``, left-padded, on the model's device.

        A prompt is text (one user message of the chat template), chat messages, or ids. ``raw`` takes text as
        it stands; ``variables`` are ``chat_options``. Special tokens are added once. Raises ``PromptError``,
        ``ParameterError`` and ``TokenizerMissing``.
        """
        effective = self._check_variables(variables)
        model = self._loaded()
        rows = [self.encode(model, prompt, effective, raw=raw) for prompt in _as_batch(prompts)]
        device = getattr(self.model, "device", None)
        return TokenizedPrompts(*tensors.pad_left(rows, model.pad_id, device))

    def check_chat(self, params: Mapping[str, object], *, read: Collection[str]) -> None:
        """Refuse effective ``params`` that do not suit a prompt whose template reads the options ``read``.

        This one refuses ``chat_options`` that are not read and not at their defaults: to be called with none
        by a ``generate`` that takes ids, and extended where a parameter depends on what is read. Raises
        ``ParameterError``.
        """
        for option in self.parameters:
            if option.name not in self.chat_options or option.name in read:
                continue
            if params[option.name] == option.default:
                continue
            raise ParameterError(
                f"{self.name}: {option.name}={params[option.name]!r} has no effect on a prompt of ids; "
                "give it to tokenize_prompts, which writes the prompt",
                parameter=option.name,
                value=params[option.name],
            )

    def _check_variables(self, variables: Mapping[str, Any]) -> dict[str, object]:
        effective = self.validate_args(**variables)
        options = [parameter for parameter in self.parameters if parameter.name in self.chat_options]
        for name, value in variables.items():
            if not any(name in option.names for option in options):
                known = ", ".join(option.name for option in options) or "no variables"
                message = (
                    f"{name} does not change the prompts of {self.name}, which take {known}; leave it out"
                )
                raise ParameterError(message, parameter=name, value=value)
        return effective

    def encode(
        self, model: Model, prompt: Prompt, params: Mapping[str, object], *, raw: bool = False
    ) -> list[int]:
        """The ids of ``prompt`` for ``model``, the ``chat_options`` of effective ``params`` given to the
        template.

        One that is not at its default and that no template reads is a ``ParameterError``. Raises
        ``PromptError`` and ``TokenizerMissing`` too.
        """
        options = [parameter for parameter in self.parameters if parameter.name in self.chat_options]
        variables = {option.name: params[option.name] for option in options}
        unread = model.unread(prompt, variables, raw=raw)
        for option in options:
            value = variables[option.name]
            if option.name in unread and value != option.default:
                message = f"{option.name}={reprlib.repr(value)} has no effect: {unread[option.name]}"
                raise ParameterError(message, parameter=option.name, value=value)
        self.check_chat(params, read=variables.keys() - unread)
        return model.encode(prompt, raw=raw, variables=variables)

    def prepare(
        self,
        model: Model,
        prompt: Prompt,
        params: Mapping[str, object],
        *,
        index: int = 0,
        raw: bool = False,
    ) -> Job:
        """A job of ``prompt`` and ``params`` (names or aliases), ready to be submitted; nothing is run.

        Raises ``ParameterError``, ``PromptError`` and ``TokenizerMissing``.
        """
        effective = self.validate_args(**params)
        ids = self.encode(model, prompt, effective, raw=raw)
        return Job(index=index, algorithm=self, prompt_ids=tuple(ids), parameters=effective)

    def decode_outputs(self, output_ids: torch.Tensor, prompt_lengths: int | Sequence[int]) -> list[str]:
        """The answers in ``output_ids`` ``[B, P+G]`` as text, each up to its first end token.

        ``prompt_lengths`` is the width P of the prompt columns, or the length of each prompt: rows are
        left-padded, so all answers start in the column where the longest prompt ends. Raises
        ``TokenizerMissing``.
        """
        width = prompt_lengths if isinstance(prompt_lengths, int) else max(prompt_lengths, default=0)
        model = self._loaded()
        return [model.decode(answer) for answer in tensors.answer_rows(output_ids, width)]

    def _loaded(self) -> Model:
        return Model.of(self.model, self.tokenizer, path=self.model_path)

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
        get its ``nfe`` and no warnings. An engine that knows more of each row, or that cannot take padding,
        overrides it. Algorithms that yield their steps are not asked.
        """
        loaded = Model.of(model, self.tokenizer, path=self.model_path)
        ids, mask = tensors.pad_left(prompts, loaded.pad_id, getattr(model, "device", None))
        output_ids, nfe = self.generate(model, ids, attention_mask=mask, **params)
        rows = tensors.answer_rows(output_ids, ids.shape[1])
        if len(rows) != len(prompts):
            raise ContractError(
                f"it returned {len(rows)} rows for {len(prompts)} prompts; "
                "its generate must return ids of shape [B, P+G], prompt columns included"
            )
        return [Answer(token_ids=loaded.through_end(row), nfe=nfe) for row in rows]

    def conformance_checks(self) -> Iterable[tuple[str, Callable[[], object]]]:
        """What ``llada_core.testing.check_algorithm`` is to check besides: what holds, and a function that
        raises where it does not.

        To be extended by a base class that asks more of its algorithms.
        """
        return ()

    def generate_batch(
        self, prompts: Prompt | Prompts, *, raw: bool = False, **params: Any
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
            self.prepare(model, prompt, parameters_of_row(params, index), index=index, raw=raw)
            for index, prompt in enumerate(_as_batch(prompts))
        ]
        return execution.run_to_end(model, jobs)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r} of engine {self.engine!r}>"


def _as_batch(prompts: Prompt | Prompts) -> list[Any]:
    return list(prompts) if is_batch(prompts) else [prompts]
