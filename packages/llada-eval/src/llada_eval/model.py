"""``LladaLM``: a model of the registry as lm-evaluation-harness asks it, under the name ``llada``.

Answers come of one session, whatever tasks they are of; likelihoods of masks that share forwards.
"""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window, simple_parse_args_string
from tqdm import tqdm

import llada_core
from llada_core.environment import check_one_process
from llada_core.errors import GenerationError, ParameterError, UsageError
from llada_core.generation.encoding import encode_fixed
from llada_core.generation.likelihood import Estimate, LogLikelihood
from llada_core.generation.steps import Ticket
from llada_eval.asking import length_of, numbers_of, request_of
from llada_eval.reported import Reported
from llada_eval.settings import Settings, once

__all__ = ["LladaLM"]

_WINDOW = 2048  # tokens, where nothing bounds the model: as lm-eval's own models
_Tokenized = tuple[tuple[str, str] | None, Sequence[int], Sequence[int]]


class LladaLM(TemplateLM):
    """``--model llada``; ``model_args`` are those of ``Settings``, and parameters of the algorithm.

    Args:
        pretrained: a folder, hub id or wheel that holds a model; None is the embedded model.
        device, batch_size, max_batch_size: the harness' options; "auto" is the registry's default.

    Raises ``UsageError`` for what is no setting, in more than one process, and what ``load_model`` raises.
    """

    def __init__(
        self,
        pretrained: str | None = None,
        *,
        device: str | None = None,
        batch_size: int | str | None = None,
        max_batch_size: int | None = None,
        **model_args: Any,
    ) -> None:
        super().__init__()
        check_one_process("tensor_parallel in model_args")
        given = {"pretrained": pretrained, **model_args}
        self.settings = settings = Settings.of(
            given, device=device, batch_size=batch_size, max_batch_size=max_batch_size
        )
        self.reported = Reported(settings.likelihood_log)  # before a model is loaded, which may take minutes
        self.lm = llada_core.load_model(settings.pretrained, **settings.loading)
        chosen = self.lm.algorithm(settings.algorithm)
        chosen.validate_args(**settings.parameters)  # before tasks are read, which may take minutes
        self.tokenizer = self.lm.model.reads_text("encoded")
        self._template: str | None = None  # None is the tokenizer's own

    @classmethod
    def create_from_arg_obj(
        cls, arg_dict: Mapping[str, Any], additional_config: Mapping[str, Any] | None = None
    ) -> Self:
        """The model of these ``model_args`` and the harness' own options. Raises ``UsageError`` for what both
        give."""
        return cls(**once(arg_dict, additional_config or {}))

    @classmethod
    def create_from_arg_string(
        cls, arg_string: str, additional_config: Mapping[str, Any] | None = None
    ) -> Self:
        """The same of ``model_args`` as text."""
        return cls.create_from_arg_obj(simple_parse_args_string(arg_string), additional_config)

    @property
    def max_length(self) -> int | None:
        """Tokens of prompt and answer together; None where nothing bounds them."""
        return self.lm.model.within(self.settings.max_length).limits.max_length

    @property
    def eot_token_id(self) -> int:
        """The id that ends an answer."""
        return min(self.lm.model.end_ids, default=self.lm.model.pad_id)

    @property
    def prefix_token_id(self) -> int:
        """The id before a text that has no context: the one that begins texts, or else one that ends them."""
        first: int | None = self.tokenizer.bos_token_id
        return self.eot_token_id if first is None else first

    @property
    def tokenizer_name(self) -> str:
        """What requests are cached under."""
        return self.lm.model.path.replace("/", "__")

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The template that ``--apply_chat_template`` means: the checkpoint's, or of several the one of that
        name. lm-eval's command line asks for it, and not ``simple_evaluate`` without a tracker.

        Raises ``UsageError`` for a name where there is one template, and ``ValueError`` for one that is none.
        """
        if isinstance(chat_template, str) and not isinstance(self.tokenizer.chat_template, dict):
            raise UsageError(
                f"--apply_chat_template {chat_template}: its templates have no names; give it alone"
            )
        self._template = super().chat_template(chat_template)
        return self._template

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The messages as the model's chat template writes them; without ``add_generation_prompt``, up to the
        last one, which is to be gone on with."""
        text: str = self.tokenizer.apply_chat_template(
            chat_history,
            chat_template=self._template,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )
        return text

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **kwargs: Any) -> list[int]:
        """The ids of a text; special tokens are added once, or, by False, not at all."""
        if add_special_tokens is False:
            return encode_fixed(self.tokenizer, string, where="the text")
        return self.lm.model.encode(string, raw=True)

    def _encode_pair(self, context: str, continuation: str) -> tuple[list[int], list[int]]:
        """The ids of both, as they are in the whole. White space at the end of a context, which lm-eval moves
        behind it, stays where its tokens do: masks in what a chat template writes are nothing that a model
        was trained on."""
        before, whole = self.tok_encode(context), self.tok_encode(context + continuation)
        if before and whole[: len(before)] == before and len(whole) > len(before):
            return before, whole[len(before) :]
        found: tuple[list[int], list[int]] = super()._encode_pair(context, continuation)
        return found

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        """The answers, in the order of the requests, each up to the first of its ``until``.

        Raises ``PromptError`` and ``ParameterError`` before anything is run, and the ``GenerationError`` of a
        row that failed once all have ended.
        """
        made = [self._request(*each) for each in zip(numbers_of(requests), requests, strict=True)]
        with self.lm.session(rows=self.settings.rows) as session:
            tickets = [session.submit(request) for request in made]
            asked = dict(zip(tickets, requests, strict=True))
            with tqdm(total=len(tickets), desc="Generating", disable=disable_tqdm) as bar:
                for step in session:
                    if step.finished:
                        bar.update()
                        self._keep(step.ticket, asked[step.ticket])
        _raise_first(tickets)
        return [ticket.result.text for ticket in tickets if ticket.result is not None]

    def _request(self, number: int, asked: Instance) -> llada_core.GenerationRequest:
        text, how = asked.args
        length = length_of(self.settings, how)
        whose = f"the prompt of {asked.task_name}, document {asked.doc_id},"
        prompt = self._fitting(self.tok_encode(text), length, whose, "ask for shorter answers")
        declared = self.lm.algorithm(self.settings.algorithm).parameters
        return request_of(self.settings, prompt, how, number, declared)

    def _fitting(self, ids: Sequence[int], behind: int, whose: str, remedy: str) -> Sequence[int]:
        """The ids before ``behind`` further ones; where they are too many and may be cut, the last that
        fit. Raises ``ParameterError``, which says ``whose`` they are and a ``remedy``."""
        most = self.max_length
        if most is None or len(ids) + behind <= most:
            return ids
        if self.settings.truncate and behind < most:
            return ids[behind - most :]
        raise ParameterError(
            f"{whose} has {len(ids)} tokens and leaves no room for {behind} more: the model takes {most} in "
            f"all; give truncate=True, which cuts the beginning, or {remedy}",
            parameter="max_length",
            value=len(ids) + behind,
        )

    def _keep(self, ticket: Ticket, asked: Instance) -> None:
        """Let the harness' cache have an answer at once: what is killed goes on from there."""
        if ticket.result is not None:
            self.cache_hook.add_partial("generate_until", asked.args, ticket.result.text)

    def _loglikelihood_tokens(
        self, requests: list[_Tokenized], disable_tqdm: bool = False, **kwargs: Any
    ) -> list[tuple[float, bool]]:
        """``(value, is_greedy)`` of each ``((context, continuation), ids, ids)``, in their order."""
        found: dict[int, tuple[float, bool]] = {}
        for number, each in self._likelihoods(requests, self.settings.estimate, disable_tqdm):
            assert each.is_greedy is not None, "it was asked for"
            found[number] = each.value, each.is_greedy
            texts = requests[number][0]
            if texts is not None:
                self.cache_hook.add_partial("loglikelihood", texts, found[number])
        return [found[number] for number in range(len(requests))]

    def _likelihoods(
        self, requests: Sequence[_Tokenized], estimate: Estimate, disable_tqdm: bool
    ) -> Iterator[tuple[int, LogLikelihood]]:
        """The likelihood of each request with its number, as they end; they are reported."""
        pairs = [(list(self._context(each)), list(each[2])) for each in requests]
        how = estimate.as_given()
        with tqdm(total=len(pairs), desc="Likelihoods", disable=disable_tqdm) as bar:
            for number, each in self.lm.log_likelihoods(pairs, algorithm=self.settings.algorithm, **how):
                bar.update()
                self.reported.take(requests[number][0], each)
                yield number, each
        self.reported.tell()

    def _context(self, asked: _Tokenized) -> Sequence[int]:
        texts, context, behind = asked
        whose = f"the context of {reprlib.repr(texts[1] if texts else behind)}"
        return self._fitting(context, len(behind), whose, "leave such documents out, or give fewer examples")

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        """Of each text the sum over its windows, each behind one token: what comes before, or at the
        beginning the prefix."""
        windows: list[_Tokenized] = []
        owners: list[int] = []
        for number, asked in enumerate(requests):
            for each in self._windows(asked.args[0]):
                windows.append((None, *each))
                owners.append(number)
        sums = [0.0] * len(requests)
        values = [0.0] * len(windows)
        for number, found in self._likelihoods(windows, self._of_windows(), disable_tqdm):
            values[number] = found.value
        for owner, value in zip(owners, values, strict=True):  # in order: a sum's bits depend on it
            sums[owner] += value
        for asked, value in zip(requests, sums, strict=True):
            self.cache_hook.add_partial("loglikelihood_rolling", asked.args, value)
        return sums

    def _of_windows(self) -> Estimate:
        """How windows are asked of: nobody wants to know if the model writes them itself, and contexts of one
        token, which many have in common, are no reason for the same masks."""
        estimate = self.settings.estimate
        paired = False if estimate.method == "monte_carlo" else None
        return replace(estimate, greedy=False, paired=paired)

    def _windows(self, text: str) -> list[tuple[list[int], list[int]]]:
        most = (self.max_length or _WINDOW + 1) - 1
        rolled = get_rolling_token_windows(
            token_list=self.tok_encode(text, add_special_tokens=False),
            prefix_token=self.prefix_token_id,
            max_seq_len=most,
            context_len=1,
        )
        return [make_disjoint_window(each) for each in rolled]

    def get_model_info(self) -> dict[str, Any]:
        """What the harness writes into ``config`` of its results: how it was asked, and how sure likelihoods
        are."""
        settings = self.settings
        return {
            "llada": {
                "model": self.lm.model.path,
                "engine": self.lm.engine.name,
                "algorithm": self.lm.algorithm(settings.algorithm).name,
                "parameters": dict(settings.parameters),
                "rows": settings.rows,
                "likelihoods": {**settings.estimate.as_given(), **self.reported.summary},
            }
        }


def _raise_first(tickets: Sequence[Ticket]) -> None:
    """Raise the error of the first row that failed, if any did."""
    failed = [ticket.error for ticket in tickets if ticket.error is not None]
    if failed:
        first = failed[0]
        if isinstance(first, GenerationError):
            first.add_note(f"{len(failed)} of {len(tickets)} answers failed; this is the first one's error")
        raise first
