"""How probable texts are in a blank: candidates of one length share a forward."""

from __future__ import annotations

import reprlib
from collections.abc import Generator, Iterable, Sequence
from itertools import chain

from llada_core.errors import AlgorithmUnavailable, ParameterError, PromptError
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.encoding import encode_fixed
from llada_core.generation.model import Model
from llada_core.generation.odds import refuse_nan
from llada_core.generation.prompts import Prompt, check_prompt, check_vocabulary
from llada_core.generation.results import Score
from llada_core.generation.templates import Blank, Piece, Template, check_cloze, pieces_of

__all__ = ["score_steps"]


def score_steps(
    algorithm: GenerationAlgorithm,
    model: Model,
    template: Template,
    candidates: Iterable[str],
    *,
    prompt: Prompt | None,
    raw: bool,
) -> Generator[None, None, list[Score]]:
    """What each candidate has in the one blank of ``template``, in their order, with a pause after each
    forward.

    Raises ``PromptError``, ``ParameterError``, ``TokenizerMissing`` and ``AlgorithmUnavailable``, and
    ``NumericalError`` where the network tells NaN.
    """
    texts, mask = _texts(candidates), _mask(algorithm, model)
    pieces = pieces_of(template)
    if sum(isinstance(piece, Blank) for piece in pieces) > 1:
        raise PromptError("the template has several blanks, and candidates stand in one; leave one of them")
    before, behind = _sides(algorithm, model, pieces, prompt, raw)
    ids = _ids(model, texts, beside=len(before) + len(behind))
    found: dict[str, Score] = {}
    for length in sorted({len(each) for each in ids.values()}):
        alike = [text for text in ids if len(ids[text]) == length]
        canvas = [*before, *[mask] * length, *behind]
        blank = (len(before), len(before) + length)
        told = algorithm.log_probabilities(model.network, canvas, blank, [ids[text] for text in alike])
        refuse_nan(chain.from_iterable(told), algorithm.name)
        for text, each in zip(alike, told, strict=True):
            found[text] = Score(text=text, token_ids=ids[text], log_probability=sum(each))
        yield
    return [found[text] for text in texts]


def _texts(candidates: Iterable[str]) -> list[str]:
    if isinstance(candidates, str):
        raise PromptError(f"candidates={candidates!r} is one text; give a list of them")
    texts = list(candidates)
    wrong = next((text for text in texts if not isinstance(text, str)), None)
    if wrong is not None:
        raise PromptError(f"the candidate {wrong!r} is no text; give a list of texts")
    return texts


def _ids(model: Model, texts: Sequence[str], *, beside: int) -> dict[str, tuple[int, ...]]:
    """The ids of each candidate. Refuses one that is empty, or does not fit beside so many tokens."""
    most, ids = model.limits.max_length, {}
    for text in texts:
        found = ids[text] = tuple(encode_fixed(model.tokenizer, text, most=most))
        if not found:
            raise PromptError(f"the candidate {text!r} has no tokens; give text")
        _check_fixed(model, found, f"the candidate {reprlib.repr(text)}")
        if most is not None and len(found) + beside > most:
            raise ParameterError(
                f"the candidate {reprlib.repr(text)} has {len(found)} tokens, beside {beside} of prompt and "
                f"template, and the model takes {most} in all; leave it out, or shorten the text",
                parameter="candidates",
                value=text,
            )
    return ids


def _mask(algorithm: GenerationAlgorithm, model: Model) -> int:
    mask = model.limits.mask_id
    if mask is None:
        reason = algorithm.infill_reason()
        if reason is not None:  # there are no blanks at all
            message = f"{algorithm.name} cannot score: {reason}"
            raise AlgorithmUnavailable(message, name=algorithm.name, reason=reason)
        raise PromptError(
            "this model names no mask token, so nothing can be scored; take one that fills masks, or give "
            "mask_token_id where it does"
        )
    return mask


def _sides(
    algorithm: GenerationAlgorithm, model: Model, pieces: Sequence[Piece], prompt: Prompt | None, raw: bool
) -> tuple[list[int], list[int]]:
    """The ids before the blank, those of the prompt among them, and those behind it."""
    cloze = model.cloze(
        [Blank(1) if isinstance(piece, Blank) else piece for piece in pieces], in_prompt=prompt is None
    )
    if prompt is None:
        ids = model.encode_before(cloze)
    else:
        ids = algorithm.encode(model, prompt, algorithm.validate_args(), raw=raw)
    check_cloze(cloze, len(ids), model.limits.max_length)
    check_prompt(ids, model.limits, gen_length=None)
    (begin, end), cells = cloze.blanks[0], cloze.cells
    before, behind = ([cell for cell in side if cell is not None] for side in (cells[:begin], cells[end:]))
    _check_fixed(model, [*before, *behind], "the template")
    return [*ids, *before], behind


def _check_fixed(model: Model, ids: Sequence[int], what: str) -> None:
    """Refuse tokens of text that the network does not have, and the mask token."""
    check_vocabulary(ids, model.limits.vocab_size, model.tokenizer, what=what)
    if model.limits.mask_id in ids:
        raise PromptError(
            f"{what} holds the mask token (id {model.limits.mask_id}); leave it out: only the blank is masked"
        )
