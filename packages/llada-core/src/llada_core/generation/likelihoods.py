"""Log-likelihoods of many texts: their masks are looked at together, whosever they are."""

from __future__ import annotations

import math
import reprlib
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TypeAlias

from llada_core.errors import GenerationError, ParameterError, PromptError
from llada_core.faults import one_line
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.encoding import encode_fixed
from llada_core.generation.likelihood import Estimate, LogLikelihood, Question, Text, measured
from llada_core.generation.model import Model
from llada_core.generation.odds import Odds, refuse_nan
from llada_core.generation.prompt_kinds import id_rows
from llada_core.generation.prompts import IdArray, Prompt, check_prompt, check_vocabulary

__all__ = ["Continuation", "likelihoods", "texts_of"]

Continuation: TypeAlias = str | Sequence[int] | IdArray
"""A text, or its ids: a list, an array or an integer tensor ``[L]``."""
_HEADS = 4096  # columns of logits in a forward: 1 GB of bfloat16 for LLaDA's vocabulary
_RECOVERY = 1 / 512  # of the bound that memory sets, for each forward that meets it


def likelihoods(
    algorithm: GenerationAlgorithm, model: Model, texts: Sequence[Text], estimate: Estimate
) -> Generator[list[tuple[int, LogLikelihood]], None, None]:
    """After each forward, who has ended by it: the number of a text among ``texts``, and what it has.

    Where memory does not hold a forward, it is asked for again in parts. Raises ``AlgorithmUnavailable``
    where the algorithm cannot tell, ``GenerationError`` where not even one canvas has room, and of these
    ``NumericalError`` where the network tells NaN.
    """
    coming = (_Asking(number, text, estimate) for number, text in enumerate(texts))
    asked: deque[tuple[_Asking, Question]] = deque()
    room = _Room(estimate.batch_size)
    while True:
        _fill(asked, coming, estimate.batch_size)
        batch = room.take(asked)
        if not batch:
            return
        looks = [asking.text.look(question) for asking, question in batch]
        try:
            told = algorithm.token_odds(model.network, looks, likeliest=estimate.likeliest)
        except MemoryError as exc:
            if len(batch) == 1:
                raise _too_small(algorithm, batch[0][0].text, exc) from exc
            room.narrow(batch)
            asked.extendleft(reversed(batch))
            continue
        refuse_nan((each.log_probability for odds in told for each in odds), algorithm.name)
        ended = []
        for (asking, question), odds in zip(batch, told, strict=True):
            asked.extend((asking, more) for more in asking.hear(question, odds))
            if asking.found is not None:
                ended.append((asking.number, asking.found))
        yield ended


def _fill(asked: deque[tuple[_Asking, Question]], coming: Iterator[_Asking], rows: int) -> None:
    """Let texts begin until so many forwards of a row are ``asked`` for."""
    while len(asked) < rows:
        new = next(coming, None)
        if new is None:
            return
        asked.extend((new, question) for question in new.go_on())


class _Room:
    """How much of what is asked for a forward has room for: so many rows, so many columns whose logits are
    computed, and, once memory ran out, so many columns in all. One row at least.

    The third bound grows back a little with every forward that meets it, as that of the decoders does.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._widest: float = math.inf

    def take(self, asked: deque[tuple[_Asking, Question]]) -> list[tuple[_Asking, Question]]:
        """Take the next batch off ``asked``, none where nothing is."""
        batch: list[tuple[_Asking, Question]] = []
        heads = width = 0
        while asked and len(batch) < self._rows:
            heads += _heads(asked[0])
            width += _width(asked[0])
            if batch and heads > _HEADS:
                break
            if batch and width > self._widest:
                self._widest *= 1 + _RECOVERY
                break
            batch.append(asked.popleft())
        return batch

    def narrow(self, batch: Sequence[tuple[_Asking, Question]]) -> None:
        """Take half as much from now on as this batch, for which there was no memory."""
        self._widest = sum(map(_width, batch)) / 2


def _heads(asked: tuple[_Asking, Question]) -> int:
    """Of how many columns logits are computed: from the first to the last of which something is asked."""
    _, (_, places) = asked
    return places[-1] - places[0] + 1


def _width(asked: tuple[_Asking, Question]) -> int:
    text = asked[0].text
    return len(text.context) + len(text.tokens)


def _too_small(algorithm: GenerationAlgorithm, text: Text, exc: MemoryError) -> GenerationError:
    return GenerationError(
        f"memory does not hold a forward of one canvas of {len(text.context) + len(text.tokens)} columns "
        f"({one_line(exc)}); shorten the context or what stands behind it, or load the model in a smaller "
        "dtype",
        algorithm=algorithm.name,
    )


class _Asking:
    """A text on its way: what it waits for, and what is ``found`` of it once it has ended."""

    def __init__(self, number: int, text: Text, estimate: Estimate) -> None:
        self.number, self.text = number, text
        self.found: LogLikelihood | None = None
        self._steps: Generator[Sequence[Question], None, LogLikelihood] | None = measured(text, estimate)
        self._waits: set[Question] = set()

    def go_on(self) -> list[Question]:
        """Go on as far as what was seen allows: what is to be looked at next, none where it has ended."""
        assert self._steps is not None, "one that has ended waits for nothing"
        try:
            while not self._waits:
                wanted = dict.fromkeys(next(self._steps))
                new = [question for question in wanted if not self.text.knows(question)]
                self._waits.update(new)
                if new:
                    return new
        except StopIteration as end:
            self.found = end.value
            self.text.seen, self._steps = {}, None  # thousands of texts may be still to come
        return []

    def hear(self, question: Question, odds: Sequence[Odds]) -> list[Question]:
        """Take what was seen: what is to be looked at next, if that was the last."""
        self.text.hear(question, odds)
        self._waits.remove(question)
        return self.go_on()


def texts_of(
    algorithm: GenerationAlgorithm,
    model: Model,
    pairs: Iterable[tuple[Prompt, Continuation]],
    *,
    raw: bool,
) -> list[Text]:
    """The ids of contexts and what stands behind them, known to be such that the network can be asked.

    An empty list or array of ids is no context: then nothing but masks is before the text. Raises
    ``PromptError``, ``ParameterError`` and ``TokenizerMissing``.
    """
    params = algorithm.validate_args()
    mask = model.limits.mask_id
    if mask is None:
        raise PromptError(
            "this model names no mask token, so no likelihood can be told; take one that fills masks, or "
            "give mask_token_id where it does"
        )
    made = []
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise PromptError(f"{reprlib.repr(pair)} is no pair; give a context and what stands behind it")
        context: list[int] = []
        if not _is_empty(pair[0]):
            context = algorithm.encode(model, pair[0], params, raw=raw)
            check_prompt(context, model.limits, gen_length=None)
        tokens = _tokens(model, pair[1])
        _check_fits(model, context, tokens)
        made.append(Text(context=tuple(context), tokens=tokens, mask_id=mask))
    return made


def _is_empty(context: Prompt) -> bool:
    """Whether it is ids, and none of them."""
    if isinstance(context, list | tuple):
        return not context
    shape = getattr(context, "shape", None)
    return shape is not None and tuple(shape) == (0,)


def _tokens(model: Model, continuation: Continuation) -> tuple[int, ...]:
    told = f"the continuation {reprlib.repr(continuation)}"
    if isinstance(continuation, str):
        tokenizer, most = model.reads_text("encoded"), model.limits.max_length
        ids = tuple(encode_fixed(tokenizer, continuation, most=most, where="the continuation"))
        check_vocabulary(ids, model.limits.vocab_size, tokenizer, what=told)
    else:
        ids, *more = id_rows(continuation, told)
        if more:
            raise PromptError(f"{told} is a list of {1 + len(more)}; give a pair for each")
        check_vocabulary(ids, model.limits.vocab_size, what=told)
    if not ids:
        raise PromptError(f"{told} has no tokens; give text, or ids")
    if model.limits.mask_id in ids:
        raise PromptError(f"{told} holds the mask token (id {model.limits.mask_id}); leave it out")
    return ids


def _check_fits(model: Model, context: Sequence[int], tokens: Sequence[int]) -> None:
    most, width = model.limits.max_length, len(context) + len(tokens)
    if most is not None and width > most:
        raise ParameterError(
            f"the continuation has {len(tokens)} tokens behind a context of {len(context)}, and the model "
            f"takes {most} in all; shorten the context by {width - most}",
            parameter="continuation",
            value=len(tokens),
        )
