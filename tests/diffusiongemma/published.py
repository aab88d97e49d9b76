"""What the engine is held to: transformers' own class, loaded and called by nobody but transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import DiffusionGemmaForBlockDiffusion
from transformers.models.diffusion_gemma.generation_diffusion_gemma import EntropyBoundSamplerConfig

from tests.diffusiongemma.tiny_tokenizer import EOS, TURN_END

__all__ = ["FACTS", "Published", "Said", "cut"]

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "published.json").read_text())
"""The published model: its ``config``, where that is from, and what its file of weights holds."""

_ENDS = (EOS, TURN_END)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """All that was written, in whole canvases, and the forwards of encoder and decoder that it took."""

    written: tuple[int, ...]
    encoded: int
    denoised: int

    @property
    def nfe(self) -> int:
        return self.encoded + self.denoised


class Published:
    """The checkpoint in a folder, by transformers alone."""

    def __init__(self, folder: Path) -> None:
        self.network: Any = DiffusionGemmaForBlockDiffusion.from_pretrained(str(folder)).eval()
        self._forwards = {"encoder": 0, "decoder": 0}
        for name in self._forwards:
            getattr(self.network.model, name).register_forward_hook(
                lambda *_, name=name: self._forwards.update({name: self._forwards[name] + 1})
            )

    def says(self, ids: Sequence[int], *, seed: int, gen_length: int, **params: Any) -> Said:
        """What one call of ``generate`` writes behind ``ids``, of torch's generators seeded with ``seed``."""
        keywords = {name: value for name, value in params.items() if value is not None}
        bound, canvas = keywords.pop("entropy_bound", None), keywords.pop("canvas_length", None)
        if bound is not None:
            keywords["sampler_config"] = EntropyBoundSamplerConfig(entropy_bound=bound)
        if not keywords.pop("early_stop", True):
            keywords["eos_token_id"] = None
        before, usual = dict(self._forwards), self.network.config.canvas_length
        self.network.config.canvas_length = canvas or usual
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                told = self.network.generate(torch.tensor([list(ids)]), max_new_tokens=gen_length, **keywords)
            finally:
                self.network.config.canvas_length = usual
        return Said(
            written=tuple(told.sequences[0, len(ids) :].tolist()),
            encoded=self._forwards["encoder"] - before["encoder"],
            denoised=self._forwards["decoder"] - before["decoder"],
        )


def cut(written: Sequence[int], gen_length: int) -> tuple[int, ...]:
    """The answer in what was written: up to its length, and before its first end."""
    kept = tuple(written[:gen_length])
    ends = [kept.index(end) for end in _ENDS if end in kept]
    return kept[: min(ends)] if ends else kept
