"""Engines without a network: every answer is the ``reply_ids`` of ``config.json``, then EOS."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import click
import torch

from llada_core.generation.algorithm import GenerationAlgorithm
from llada_core.generation.prompts import Limits, check_prompt
from llada_core.generation.steps import Step, StepLoop, Ticket


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

    def answer(self, gen_length: int, seed: int | None = None) -> list[int]:
        """The reply, backwards where the seed is below 0: so that it does something."""
        eos, step = self.config.eos_token_id, -1 if (seed or 0) < 0 else 1
        return (self.config.reply_ids[::step] + [eos] * gen_length)[:gen_length]


def is_low(threshold: float | None) -> bool:
    """Whether a token more is kept at each step."""
    return threshold is not None and threshold < 0.2


class AlienNetwork(FakeNetwork):
    pass


class Row:
    columns, warnings = 0, ()

    def __init__(self, network, prompt_ids, params, width) -> None:
        check_prompt(prompt_ids, Limits.of(network.config), gen_length=params["gen_length"])
        self.prompt_length, self.gen_length = len(prompt_ids), params["gen_length"]
        self.width = width + is_low(params.get("threshold"))
        self.answer = network.answer(self.gen_length, params.get("seed"))
        self.mask_id = network.config.mask_token_id
        self.canvas = list(prompt_ids) + [self.mask_id] * self.gen_length
        self.nfe, self.done, self.cancelled = 0, 0, False
        self.ticket = Ticket(self)

    @property
    def finished(self) -> bool:
        return self.cancelled or self.done == self.gen_length

    def step(self) -> Step:
        if self.cancelled:
            return Step.last(self.ticket)
        start, self.done = self.done, min(self.done + self.width, self.gen_length)
        tokens = self.answer[start : self.done]
        self.canvas[self.prompt_length + start : self.prompt_length + self.done] = tokens
        self.nfe += 1
        return Step(
            ticket=self.ticket,
            block=0,
            positions=tuple(range(start, self.done)),
            tokens=tuple(tokens),
            confidence=(1.0,) * len(tokens),
            nfe=self.nfe,
            settled=self.done,
            finished=self.finished,
        )


class FakeLoop(StepLoop):
    def __init__(self, model, *, rows, columns=None) -> None:
        self.model, self.rows, self.columns, self.sequences = model, rows, columns, []

    @property
    def room(self):
        return self.rows - len(self.sequences)

    @property
    def active(self):
        return len(self.sequences)

    def refusal(self, row):
        return None

    def admit(self, row):
        if self.room:
            self.sequences.append(row)
        return row in self.sequences

    def cancel(self, row):
        row.cancelled = True

    def step(self):
        self.model.calls.append(f"step of {self.active}")
        steps = [row.step() for row in self.sequences]
        self.sequences = [row for row in self.sequences if not row.finished]
        return steps


class Steps:
    """A step algorithm by structure, as the runtime's is: commits ``width`` tokens a step."""

    loop_class = FakeLoop
    width = 2

    def sequence(self, model, prompt_ids, params):
        return Row(model, prompt_ids, params, self.width)

    def open_loop(self, model, *, rows, columns=None):
        return self.loop_class(model, rows=rows, columns=columns)

    def generate(self, model, prompt, *, attention_mask=None, **params):
        values = self.validate_args(**params)
        rows = [self.sequence(model, ids, values) for ids in prompt.reshape(-1, prompt.shape[-1]).tolist()]
        for row in rows:
            while not row.finished:
                row.step()
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
        answer = model.answer(values["gen_length"], values.get("seed"))
        answers = torch.tensor([answer] * len(prompt))
        return torch.cat((prompt, answers), dim=1), 7 - is_low(values.get("threshold"))


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
