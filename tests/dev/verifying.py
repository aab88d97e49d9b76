"""``llada verify`` in this process, small models, and a checkout that stands for published code."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from llada_core import register_algorithm
from llada_dev.verify.command import verify
from llada_runtime.testing import write_llada
from tests.support import oracle

__all__ = ["SHORT", "fake_checkout", "findings", "registered", "small_model", "verified"]

SHORT = ("-p", "block_length=4", "--gen-length", "8")
"""Answers of two blocks, which take no time."""


def verified(*arguments: object) -> Result:
    """What became of ``llada verify`` with these arguments; errors are the result's ``exception``."""
    return CliRunner().invoke(verify, [str(each) for each in arguments])


def findings(*arguments: object) -> dict[tuple[str, str], dict[str, Any]]:
    """The findings of a call, by algorithm and check."""
    told = json.loads(verified(*arguments, "--json").stdout)
    return {(each["algorithm"], each["check"]): each for each in told["findings"]}


def small_model(folder: Path, **config: Any) -> Path:
    """A random checkpoint without a tokenizer, whose answers are not all one token."""
    return write_llada(folder, seed=3, **config)


@contextmanager
def registered(algorithm: object) -> Iterator[None]:
    """An algorithm that is there while the context lasts."""
    undo: Callable[[], object] = register_algorithm(algorithm)  # type: ignore[arg-type]
    try:
        yield
    finally:
        undo()


_GENERATE = """
import torch
from oracle import PlainNetwork, Request, decode
import model.modeling_llada

def _run(cache, model, prompt, steps=128, gen_length=128, block_length=128, temperature=0.0,
         remasking="low_confidence", mask_id=126336, threshold=None{factor}):
    network = PlainNetwork.__new__(PlainNetwork)
    network.config, network.weights = dict(vars(model.config), mask_token_id=mask_id), model.weights
    request = Request(prompt=prompt[0].tolist(), cache=cache, gen_length=gen_length,
                      block_length=block_length, steps=steps, threshold=threshold)
    canvas, nfe = decode(network, request)
    print("upstream prints what it likes")
    return torch.tensor([canvas]), nfe + {surplus}

def generate(model, prompt, steps=128, threshold=None{factor}, **options):
    return _run("none", model, prompt, steps=steps, threshold=threshold, **options)

def generate_with_prefix_cache(model, prompt, steps=128, threshold=None{factor}, **options):
    return _run("prefix", model, prompt, steps=steps, threshold=threshold, **options)

def generate_with_dual_cache(model, prompt, steps=128, threshold=None{factor}, **options):
    canvas, nfe = _run("dual", model, prompt, steps=steps, threshold=threshold, **options)
    {damage}
    return canvas, nfe
"""
_NETWORK = """
class LLaDAModelLM:
    def __init__(self, config, init_params=True):
        self.config, self.weights = config, {}

    def state_dict(self):
        return {"model.transformer.ff_out.weight": None}

    def load_state_dict(self, weights):
        self.weights = weights

    def to(self, *where):
        return self

    def eval(self):
        return self
"""
_CONFIGURATION = """
class LLaDAConfig:
    def __init__(self, **fields):
        vars(self).update(fields)
"""


def fake_checkout(folder: Path, *, damage: str = "", surplus: int = 0, factor: bool = True) -> Path:
    """A checkout with the functions and modules of Fast-dLLM, in which the tests' plain oracle decodes.

    ``damage`` is a statement that spoils what the dual cache decoded, ``canvas [1, P + G]``; ``surplus``
    forwards are run in vain. Without ``factor`` its functions are those of a release that has none.
    """
    source = folder / "v1" / "llada"
    (source / "model").mkdir(parents=True)
    shutil.copy(Path(oracle.__file__), source / "oracle.py")
    taken = ", factor=None" if factor else ""
    text = _GENERATE.format(factor=taken, surplus=surplus, damage=damage or "pass")
    (source / "generate.py").write_text(text)
    (source / "model" / "__init__.py").write_text("")
    (source / "model" / "modeling_llada.py").write_text(_NETWORK)
    (source / "model" / "configuration_llada.py").write_text(_CONFIGURATION)
    return folder
