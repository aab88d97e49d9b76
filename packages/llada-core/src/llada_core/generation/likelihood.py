"""How probable a text is behind another one, by a network that only fills masks: two ways to tell.

Of one text each; whose masks are looked at together with whose, ``likelihoods`` says. What a text draws, it
draws by the seed and its context, so that its value depends on no other text and on no batch.
"""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import combinations
from statistics import fmean, variance
from typing import Any, Literal, TypeAlias

from llada_core.errors import UsageError
from llada_core.generation.odds import Look, Odds
from llada_core.names import closest
from llada_core.values import shown

__all__ = ["Estimate", "LogLikelihood", "Question", "Text", "measured"]

Method: TypeAlias = Literal["monte_carlo", "chain"]
Order: TypeAlias = Literal["left_to_right", "most_confident"]
Masked: TypeAlias = tuple[int, ...] | range
"""The positions of a text that are masked, ascending, one at least; a range where they stand together (see
`_mask`)."""
Question: TypeAlias = tuple[Masked, Masked]
"""What is masked, and which of these places are asked of: what is told of one costs memory as long as a
vocabulary."""

_SAMPLES, _SEED, _ORDER = 128, 0, "left_to_right"
_PAIR = 2  # draws of a stratum: as few as tell how far they are apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How a log-likelihood is to be found. Raises ``UsageError`` for what cannot be.

    Attributes:
        method: ``"monte_carlo"`` or ``"chain"``.
        samples: masks that are drawn by ``"monte_carlo"``; None is 128. Where a text has no more masks than
            that, as one of 7 tokens has 127, all are looked at instead. seed: of these; None is 0.
        paired: whether texts of one length behind one context have the same masks, as they are to be compared
            by; None is True. By False, the text itself says along which ones are drawn, as is right for a
            sum: the errors of its parts are independent then.
        order: of ``"chain"``: ``"left_to_right"``, which None is, or ``"most_confident"``.
        batch_size: rows of a forward at most. No value depends on it.
        likeliest: how many of the likeliest tokens a chain tells of each place.
        greedy: whether it is to be found, too, if the model itself writes the text; more forwards, where it
            writes the beginning.
    """

    method: Method = "monte_carlo"
    samples: int | None = None
    seed: int | None = None
    paired: bool | None = None
    order: Order | None = None
    batch_size: int = 32
    likeliest: int = 1
    greedy: bool = True

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Estimate:
        """The estimate with these attributes. Raises ``UsageError`` for a name that is none of them, too."""
        known = [each.name for each in fields(cls)]
        for name in given:
            if name not in known:
                near = closest(name, known)
                hint = f"did you mean {near[0]}?" if near else f"give some of {', '.join(known)}"
                raise UsageError(f"{name} says nothing of how a likelihood is found; {hint}")
        return cls(**given)

    def as_given(self) -> dict[str, Any]:
        """What is not left open, by name: ``of`` takes it."""
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in named.items() if value is not None}

    def __post_init__(self) -> None:
        if self.method not in ("monte_carlo", "chain"):
            raise UsageError(f"method={shown(self.method)} is none; give 'monte_carlo' or 'chain'")
        if self.order not in (None, "left_to_right", "most_confident"):
            known = "'left_to_right' or 'most_confident'"
            raise UsageError(f"order={shown(self.order)} is none; give {known}")
        foreign = ("order",) if self.method == "monte_carlo" else ("samples", "seed", "paired")
        for name in foreign:
            if getattr(self, name) is not None:
                other = "chain" if self.method == "monte_carlo" else "monte_carlo"
                raise UsageError(f"{name} is of method={other!r}; leave it out, or give that method")
        for name in ("samples", "batch_size", "likeliest"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise UsageError(f"{name}={shown(value)} is no count; give an integer from 1 on")
        for name in ("greedy", "paired"):
            value = getattr(self, name)
            if not isinstance(value, bool) and (name == "greedy" or value is not None):
                raise UsageError(f"{name}={shown(value)} is neither; give True or False")
        if self.seed is not None and type(self.seed) is not int:
            raise UsageError(f"seed={shown(self.seed)} is no seed; give an integer")


@dataclass(frozen=True, slots=True, kw_only=True)
class LogLikelihood:
    """How probable a text is behind a context.

    Attributes:
        value: natural log. By ``"chain"``, of the product of its tokens' probabilities, each given the
            context and those that come before it in the order. By ``"monte_carlo"``, the mean of this over
            all orders, or an estimate of it. -inf where the network rules the text out, as one that never
            writes some of its vocabulary.
        standard_error: of the estimate, 0 where nothing was left to chance; None where one sample tells
            nothing of it.
        samples: masks that were drawn; None where none was: of a chain, and where all were looked at.
        tokens: how many the text has.
        is_greedy: whether the model itself writes this text: a token a forward, the surest first. None where
            nobody asked.
        nfe: forwards of this text, each of which it may have shared with others.
        conditionals: of a chain, the odds of each token in its turn, in the order of the text; else None.
    """

    value: float
    standard_error: float | None
    samples: int | None
    tokens: int
    is_greedy: bool | None
    nfe: int
    conditionals: tuple[Odds, ...] | None = None


@dataclass(slots=True, eq=False)
class Text:
    """A text behind its context, as ids, and, until its likelihood is found, what was ``seen`` of it: under
    each mask that was looked at, the odds of tokens in it, by their places, ascending. ``nfe`` counts masks.
    """

    context: tuple[int, ...]
    tokens: tuple[int, ...]
    mask_id: int
    seen: dict[Masked, dict[int, Odds]] = field(default_factory=dict)
    nfe: int = 0

    def knows(self, question: Question) -> bool:
        """Whether all that is asked of was seen."""
        masked, asked = question
        return self.seen.get(masked, {}).keys() >= set(asked)

    def look(self, question: Question) -> Look:
        """What the network is asked."""
        masked, asked = question
        canvas, start = [*self.context, *self.tokens], len(self.context)
        for place in masked:
            canvas[start + place] = self.mask_id
        return Look(
            canvas=tuple(canvas),
            columns=tuple(start + place for place in asked),
            tokens=tuple(self.tokens[place] for place in asked),
        )

    def hear(self, question: Question, odds: Sequence[Odds]) -> None:
        """Keep what a forward told."""
        masked, asked = question
        self.seen[masked] = dict(zip(asked, odds, strict=True))
        self.nfe += 1


def measured(text: Text, estimate: Estimate) -> Generator[Sequence[Question], None, LogLikelihood]:
    """The log-likelihood of the text. What is yielded are questions whose answers are to be ``seen`` next;
    some may have been."""
    places = range(len(text.tokens))
    conditionals: tuple[Odds, ...] | None = None
    error: float | None = 0.0
    samples: int | None = None
    is_greedy: bool | None = None
    if estimate.method == "monte_carlo":
        samples = estimate.samples or _SAMPLES
        if 2 ** len(places) - 1 <= samples:
            samples, value = None, (yield from _exact(text, places))
        else:
            value, error = yield from _monte_carlo(text, estimate, samples)
        if estimate.greedy:
            is_greedy = yield from _greedy(text, places)
    else:
        conditionals, is_greedy = yield from _chain(text, places, estimate)
        value = math.fsum(each.log_probability for each in conditionals)
    return LogLikelihood(
        value=value,
        standard_error=error,
        samples=samples,
        tokens=len(places),
        is_greedy=is_greedy,
        nfe=text.nfe,
        conditionals=conditionals,
    )


def _exact(text: Text, places: Masked) -> Generator[Sequence[Question], None, float]:
    """What the estimate is of: of all sets of l tokens the mean, and of these means that over all l."""
    sets = [[_mask(masked) for masked in combinations(places, size + 1)] for size in places]
    yield [(masked, masked) for alike in sets for masked in alike]
    return fmean(
        fmean(_weighted(text.seen[masked].values(), len(places)) for masked in alike) for alike in sets
    )


def _monte_carlo(
    text: Text, estimate: Estimate, samples: int
) -> Generator[Sequence[Question], None, tuple[float, float | None]]:
    """The estimate of LLaDA (arXiv:2502.09992, appendix B.5) and its standard error.

    A sample masks l of the L tokens, l from 1 to L being equally probable, and so all sets of l of them; its
    value is the sum of the masked tokens' logs times L / l. As upstream's, the l are spread evenly: each two
    are drawn from a stratum of their own, whose difference tells the error, and the mean stays unbiased.
    """
    length = len(text.tokens)
    source = _source(text, estimate)
    strata = [[_drawn(length, share, source) for share in shares] for shares in _strata(samples, source)]
    yield [(masked, masked) for stratum in strata for masked in stratum]
    values = [[_weighted(text.seen[masked].values(), length) for masked in stratum] for stratum in strata]
    mean = fmean(value for stratum in values for value in stratum)
    if mean == -math.inf:  # one mask in which the text cannot be is enough
        return mean, 0.0
    if samples == 1:
        return mean, None
    return mean, math.sqrt(sum(len(stratum) * variance(stratum) for stratum in values)) / samples


def _source(text: Text, estimate: Estimate) -> random.Random:
    """What the masks of a text are drawn from: others of other contexts, so that the errors of documents are
    independent, and a mean over them has less of it."""
    seed = _SEED if estimate.seed is None else estimate.seed
    drawn_by = [text.context] if estimate.paired is not False else [text.context, text.tokens]
    return random.Random(f"{seed}:{':'.join(' '.join(map(str, ids)) for ids in drawn_by)}")


def _strata(samples: int, source: random.Random) -> list[list[float]]:
    """Numbers from 0 to below 1, two of each part of that range, and three of the last where it comes out
    so."""
    sizes = [_PAIR] * (samples // _PAIR) or [0]
    sizes[-1] += samples % _PAIR
    return [
        [(_PAIR * index + size * source.random()) / samples for _ in range(size)]
        for index, size in enumerate(sizes)
    ]


def _drawn(length: int, share: float, source: random.Random) -> Masked:
    count = min(int(share * length) + 1, length)  # a share next to 1 may be rounded to it
    return _mask(sorted(source.sample(range(length), count)))


def _mask(places: Sequence[int]) -> Masked:
    """These places, ascending: a range where they stand together, of which a chain holds one a token."""
    first, end = places[0], places[-1] + 1
    return range(first, end) if end - first == len(places) else tuple(places)


def _without(places: Masked, place: int) -> Masked:
    left = [each for each in places if each != place]
    return _mask(left) if left else ()


def _weighted(odds: Collection[Odds], length: int) -> float:
    return math.fsum(each.log_probability for each in odds) * length / len(odds)


def _chain(
    text: Text, places: Masked, estimate: Estimate
) -> Generator[Sequence[Question], None, tuple[tuple[Odds, ...], bool | None]]:
    """The odds of each token in its turn, in the order of the text, and whether the model writes it."""
    is_greedy: bool | None = None
    if estimate.order == "most_confident":  # it goes as the model writes
        found = yield from _most_confident(text, places)
        if estimate.greedy:
            is_greedy = all(odds.is_likeliest for odds in found.values())
    else:
        if estimate.greedy:  # first: it asks of more places, under masks that may be the chain's
            is_greedy = yield from _greedy(text, places)
        found = yield from _left_to_right(text, places)
    return tuple(found[place] for place in places), is_greedy


def _left_to_right(text: Text, places: Masked) -> Generator[Sequence[Question], None, dict[int, Odds]]:
    """The odds of each token with those before it given: all can be looked at together."""
    yield [(places[place:], (place,)) for place in places]
    return {place: text.seen[places[place:]][place] for place in places}


def _most_confident(text: Text, places: Masked) -> Generator[Sequence[Question], None, dict[int, Odds]]:
    """The odds of each token, where each in turn is given in whose place the model is surest of anything."""
    found: dict[int, Odds] = {}
    while places:
        yield [(places, places)]
        told = text.seen.pop(places)  # nobody asks again
        place = _surest(told)
        found[place] = told[place]
        places = _without(places, place)
    return found


def _greedy(text: Text, places: Masked) -> Generator[Sequence[Question], None, bool]:
    """Whether the model writes these tokens itself, as upstream's ``suffix_greedy_prediction`` asks: the
    first that it writes otherwise settles it."""
    while places:
        yield [(places, places)]
        told = text.seen.pop(places)
        if isinstance(places, range):  # of it a chain from left to right may ask again
            text.seen[places] = {places[0]: told[places[0]]}
        place = _surest(told)
        if not told[place].is_likeliest:
            return False
        places = _without(places, place)
    return True


def _surest(told: Mapping[int, Odds]) -> int:
    """The place whose likeliest token is the most probable; the first of equal ones."""
    return max(told, key=lambda place: (told[place].likeliest[0][1], -place))
