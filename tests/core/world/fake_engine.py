"""Engines without a network: every answer is the ``reply_ids`` of ``config.json``, then EOS."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import click
import torch

from llada_core.generation.algorithm import GenerationAlgorithm


class FakeNetwork:
    def __init__(self, config: dict) -> None:
        self.config = SimpleNamespace(**config)
        self.device = torch.device("cpu")
        self.calls: list[str] = []

    @classmethod
    def from_pretrained(cls, folder, *, device=None, dtype=None):
        config = json.loads((Path(folder) / "config.json").read_text())
        if config.get("damaged"):
            raise ValueError("tensor wte.weight is missing; download the weights again")
        network = cls(config)
        network.loaded_from, network.dtype = Path(folder), dtype
        return network

    def answer(self, gen_length: int) -> list[int]:
        eos = self.config.eos_token_id
        return (self.config.reply_ids + [eos] * gen_length)[:gen_length]


class AlienNetwork(FakeNetwork):
    pass


class Row:
    def __init__(self, network, prompt_ids, params, width) -> None:
        self.prompt_length, self.gen_length, self.width = len(prompt_ids), params["gen_length"], width
        self.answer = network.answer(self.gen_length)
        self.canvas = list(prompt_ids) + [network.config.mask_token_id] * self.gen_length
        self.nfe, self.done, self.cancelled = 0, 0, False

    @property
    def finished(self) -> bool:
        return self.cancelled or self.done == self.gen_length

    def cancel(self) -> None:
        self.cancelled = True

    def step(self) -> FakeStep:
        start, self.done = self.done, min(self.done + self.width, self.gen_length)
        tokens = self.answer[start : self.done]
        self.canvas[self.prompt_length + start : self.prompt_length + self.done] = tokens
        self.nfe += 1
        positions = list(range(start, self.done))
        return FakeStep(self, 0, positions, tokens, [1.0] * len(tokens), self.nfe, self.finished)


@dataclass(frozen=True)
class FakeStep:
    sequence: Row
    block: int
    positions: list[int]
    tokens: list[int]
    confidence: list[float]
    nfe: int
    finished: bool


class Steps:
    """A step algorithm by structure, as the runtime's mixin is: commits ``width`` tokens a step."""

    width = 2

    def sequence(self, model, prompt_ids, params):
        return Row(model, prompt_ids, params, self.width)

    def steps(self, model, sequences):
        model.calls.append(f"steps of {len(sequences)}")
        try:
            while open_rows := [row for row in sequences if not row.finished]:
                for row in open_rows:
                    yield row.step()
        finally:
            model.calls.append("stopped")

    def generate(self, model, prompt, *, attention_mask=None, **params):
        values = self.validate_args(**params)
        rows = [self.sequence(model, ids, values) for ids in prompt.reshape(-1, prompt.shape[-1]).tolist()]
        list(self.steps(model, rows))
        return torch.tensor([row.canvas for row in rows]), max(row.nfe for row in rows)


class Pairs(Steps, GenerationAlgorithm):
    def load_model_class(self):
        return FakeNetwork


class Singles(Pairs):
    width = 1


class Opaque(GenerationAlgorithm):
    def load_model_class(self):
        return FakeNetwork

    def generate(self, model, prompt, *, attention_mask=None, **params):
        values = self.validate_args(**params)
        model.calls.append(f"generate of {len(prompt)} with gen_length {values['gen_length']}")
        answers = torch.tensor([model.answer(values["gen_length"])] * len(prompt))
        return torch.cat((prompt, answers), dim=1), 7


class Alien(Opaque):
    def load_model_class(self):
        return AlienNetwork


class Guest(Opaque):
    """Of the engine ``alien``, but running on the network of the engine ``fake``."""


@click.command()
@click.option("--json", "as_json", is_flag=True)
def report(as_json):
    """A command of a plugin."""
    click.echo("{}" if as_json else "all is well")
