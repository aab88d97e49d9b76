"""How an algorithm reads prompts and tells answers: the chat options among its parameters, and the encoding.

A *chat option* is a parameter that the chat template reads as a variable.
"""

from __future__ import annotations

import reprlib
from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from llada_core.errors import ParameterError
from llada_core.generation.loads import LoadsModels
from llada_core.generation.model import Model
from llada_core.generation.prompt_kinds import id_rows, lengths_of, one_prompt, prompts_of
from llada_core.generation.prompts import AnyPrompts, IdArray, Prompt
from llada_core.generation.results import check_raw
from llada_core.imports import LazyModule
from llada_core.parameters import Parameter

if TYPE_CHECKING:
    import torch

    from llada_core.generation import tensors
else:
    tensors = LazyModule("llada_core.generation.tensors")

__all__ = ["ReadsPrompts", "TokenizedPrompts"]


class TokenizedPrompts(NamedTuple):
    """Prompts as tensors: int64 ``[B, P]`` both, rows left-padded, ``attention_mask`` 0 on padding."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor


class ReadsPrompts(LoadsModels):
    """What makes ids of prompts for the model that it holds, and text of ids."""

    chat_options: ClassVar[tuple[str, ...]] = ()
    """Names of parameters whose values are handed to the tokenizer's chat template as variables."""

    parameters: tuple[Parameter, ...]

    @abstractmethod
    def validate_args(self, **params: Any) -> dict[str, object]:
        """The effective values of ``params`` by canonical name, with defaults. Raises ``ParameterError``."""

    def tokenize_prompts(
        self, prompts: AnyPrompts, *, raw: bool = False, **variables: Any
    ) -> TokenizedPrompts:
        """One prompt or a list of them as ids and mask, int64 ``[B, P]``, left-padded, on the model's device.

        A prompt is text (one user message of the chat template), chat messages, or ids, in any of the kinds
        of docs/prompts.md. ``raw`` takes text as it stands; ``variables`` are ``chat_options``. Special
        tokens are added once. Raises ``PromptError``, ``ParameterError`` and ``TokenizerMissing``.
        """
        check_raw(raw)
        effective = self._check_variables(variables)
        model = self._loaded()
        rows = [self.encode(model, prompt, effective, raw=raw) for prompt in prompts_of(prompts).prompts]
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
        self, model: Model, prompt: Prompt | IdArray, params: Mapping[str, object], *, raw: bool = False
    ) -> list[int]:
        """The ids of ``prompt`` for ``model``, the ``chat_options`` of effective ``params`` given to the
        template.

        One that is not at its default and that no template reads is a ``ParameterError``. Raises
        ``PromptError`` and ``TokenizerMissing`` too.
        """
        plain = one_prompt(prompt)
        options = [parameter for parameter in self.parameters if parameter.name in self.chat_options]
        variables = {option.name: params[option.name] for option in options}
        unread = model.unread(plain, variables, raw=raw)
        for option in options:
            value = variables[option.name]
            if option.name in unread and value != option.default:
                message = f"{option.name}={reprlib.repr(value)} has no effect: {unread[option.name]}"
                raise ParameterError(message, parameter=option.name, value=value)
        self.check_chat(params, read=variables.keys() - unread)
        return model.encode(plain, raw=raw, variables=variables)

    def decode_outputs(
        self, output_ids: IdArray | Sequence[Any], prompt_lengths: int | IdArray | Sequence[int]
    ) -> list[str]:
        """The answers in ``output_ids`` ``[B, P+G]`` as text, each up to its first end token.

        ``prompt_lengths`` is the width P of the prompt columns, or the length of each prompt: rows are
        left-padded, so all answers start in the column where the longest prompt ends. Both may be tensors,
        arrays or lists. Raises ``TokenizerMissing``, ``PromptError`` for what holds no ids, and
        ``ModelError``.
        """
        width = max(lengths_of(prompt_lengths))
        model = self._loaded()
        return [model.decode(row[width:]) for row in id_rows(output_ids, "output_ids")]
