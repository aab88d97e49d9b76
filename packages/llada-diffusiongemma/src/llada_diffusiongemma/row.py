"""``CanvasRow``: one answer, written a canvas at a time by transformers' own ``generate``.

``generate`` writes a whole answer in one call. A row calls it for one canvas, and gives it at the next call
what the last one returned, the cache, with the canvas that is not in it yet, and random numbers that go on
where they stopped. So every number is that of one call for the whole answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList
from transformers.generation.streamers import BaseStreamer

from llada_core import Step, Ticket
from llada_core.errors import NumericalError

from .cache import WindowCache
from .config import GemmaConfig
from .draws import Stream
from .settings import canvas_of, keywords

__all__ = ["CanvasRow", "Listener", "asked"]

_NOT_FINITE = (
    "the network's logits are not finite (NaN or infinity), so that no token can be drawn; load it in "
    "bfloat16 or float32, and check that the weights are whole"
)


class Listener(BaseStreamer, LogitsProcessor):
    """What ``generate`` tells while it works.

    Attributes:
        drafts: how many denoising steps there were, each one forward of the decoder.
        canvases: how many canvases were written, each behind one forward of the encoder.
        ids: of the last canvas.
        logits: float32 ``[1, C, V]`` of its last step, before they are divided by a temperature.
    """

    def __init__(self) -> None:
        self.drafts, self.canvases = 0, -1  # what is put first is the prompt
        self.ids: list[int] = []
        self.logits: Tensor | None = None

    @property
    def nfe(self) -> int:
        """Forwards of encoder and decoder."""
        return self.drafts + self.canvases

    def put(self, value: Tensor) -> None:
        self.canvases += 1
        self.ids = value[0].tolist()

    def put_draft(self, value: Tensor) -> None:
        self.drafts += 1

    def end(self) -> None:
        pass

    def __call__(self, input_ids: Tensor, scores: Tensor, cur_step: object) -> Tensor:
        """The logits as they are. Raises ``NumericalError`` where some are no numbers: to draw from these
        ends the process on a GPU."""
        if not torch.isfinite(scores).all():
            raise NumericalError(_NOT_FINITE)
        self.logits = scores
        return scores


class CanvasRow:
    """One request. Everything that changes while it is decoded is its own.

    Args:
        prompt_ids: known to be of the vocabulary and to fit.
        values: filled, as ``settings.filled`` returns them.
        config: of the model.
        end_ids: the tokens that end an answer.
    """

    mask_id = None
    warnings: tuple[str, ...] = ()

    def __init__(
        self,
        prompt_ids: Sequence[int],
        values: Mapping[str, Any],
        *,
        config: GemmaConfig,
        end_ids: frozenset[int],
    ) -> None:
        self.values, self.end_ids, self._config = values, end_ids, config
        self.prompt_length, self.gen_length = len(prompt_ids), int(values["gen_length"])
        self.width = int(values["canvas_length"])
        self.canvas: list[int] = list(prompt_ids)
        self.alternatives = 0
        self.nfe = self.block = 0
        self.cancelled = False
        self._stream = Stream(values["seed"])
        self._whole: list[int] = list(prompt_ids)  # with all of each canvas, also what is cut off
        self._cache: Any = None
        self.ticket = Ticket(self)

    @property
    def columns(self) -> int:
        """Keys and values at most, the canvas in work among them, in columns that every layer keeps."""
        columns = self.prompt_length + self.width * -(-self.gen_length // self.width)
        return -(-self._config.kv_numbers(columns) // self._config.kv_numbers(1))

    @property
    def unread(self) -> int:
        """Columns that one forward is going to read at once: of the prompt, until it has been."""
        return 0 if self._cache is not None else len(self._whole)

    def write(self, model: Any) -> Step:
        """Write the next canvas: what it changed.

        What is raised, Ctrl-C too, leaves the row as it was, but that the cache, whose layers may then
        differ, is made anew.
        """
        cache, self._cache = self._cache, None
        new = self._whole if cache is None else self._whole[-self.width :]
        if cache is None:
            cache = WindowCache.of(model)
        heard = Listener()
        # They decide nothing within one canvas; the first releases of the class need to be told of some.
        ends = sorted(self.end_ids) or None
        with self._stream.drawn_from():
            returned = asked(
                model, new, self.values, heard, past_key_values=cache, length=self.width, eos_token_id=ends
            )
            step = self._step(heard)
        self._take(heard, step)
        self._cache = None if step.finished else returned.past_key_values
        return step

    def let_go(self) -> None:
        """Give the cache back: who asks about a row that has ended needs none."""
        self._cache = None

    def _step(self, heard: Listener) -> Step:
        """What the canvas that was heard adds to the answer, up to its length and its first end."""
        begin = len(self.canvas) - self.prompt_length
        ids = heard.ids[: self.gen_length - begin]
        ends = [at for at, token in enumerate(ids) if token in self.end_ids]
        stopped = bool(ends) and self.values["early_stop"]
        if stopped:
            ids = ids[: ends[0] + 1]
        confidence, likeliest = _told_of(heard, ids, self.alternatives)
        # Whatever is behind an end is the end, and settled with it.
        settled = self.gen_length if stopped else begin + len(ids)
        return Step(
            ticket=self.ticket,
            block=self.block,
            positions=tuple(range(begin, begin + len(ids))),
            tokens=tuple(ids),
            confidence=confidence,
            alternatives=likeliest,
            nfe=self.nfe + heard.nfe,
            settled=settled,
            finished=settled == self.gen_length,
        )

    def _take(self, heard: Listener, step: Step) -> None:
        """Take over what was written. Nothing here can fail, so that it is all done or none of it."""
        behind = self.prompt_length + step.settled - len(self.canvas) - len(step.tokens)
        self.canvas += [*step.tokens, *[step.tokens[-1]] * behind]
        self._whole += heard.ids
        self.nfe, self.block = step.nfe, self.block + 1


def asked(
    model: Any, ids: Sequence[int], values: Mapping[str, Any], heard: Listener, *, length: int, **further: Any
) -> Any:
    """What ``generate`` of ``model`` returns for ``length`` tokens behind ``ids``, told to ``heard``.

    The list of processors is a new one each time, as ``generate`` appends to it.
    """
    with (
        canvas_of(model, values["canvas_length"]),
        torch.autocast(model.device.type, enabled=False),  # as for a network of ours
    ):
        return model.generate(
            torch.tensor([list(ids)], device=model.device),
            streamer=heard,
            logits_processor=LogitsProcessorList([heard]),
            max_new_tokens=length,
            **keywords(values),
            **further,
        )


def _told_of(
    heard: Listener, ids: Sequence[int], count: int
) -> tuple[tuple[float, ...], tuple[tuple[tuple[int, float], ...], ...]]:
    """Of each of ``ids`` its probability in the last step, and the ``count`` likeliest tokens there."""
    assert heard.logits is not None, "a canvas has one step at least"
    chances = heard.logits[0, : len(ids)].softmax(-1)
    own = chances.gather(1, torch.tensor(ids, device=chances.device)[:, None])[:, 0].tolist()
    if not count:
        return tuple(own), ()
    best = chances.topk(min(count, chances.shape[-1]), dim=-1)
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return tuple(own), tuple(tuple(zip(tokens, sure, strict=True)) for tokens, sure in pairs)
