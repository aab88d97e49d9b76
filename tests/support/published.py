"""Published models, as far as their files are known: a family's are in the ``published.json`` of its tests.

Of each model it has the config, where that is from, and how many parameters it is published with. A model
may be another one but for some fields. What its tensors are called is told by templates, and by nothing that
the network under test says.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import torch

import llada_core

__all__ = ["NUMBERS", "Model", "check_detected", "check_network", "check_shape", "read_published"]

NUMBERS = {
    "width": "hidden_size",
    "n_layers": "num_hidden_layers",
    "n_heads": "num_attention_heads",
    "n_kv_heads": "num_key_value_heads",
    "vocabulary": "vocab_size",
    "eps": "rms_norm_eps",
    "tied": "tie_word_embeddings",
}
"""What fields are called in the files of all families."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One of them.

    Attributes:
        source: where its config is from.
        parameters, within: how many it is published with, and how far the number is rounded.
        experts: how many a layer has. dense: the layers that have none all the same.
        templates: the names of its tensors, by what they are of: "model", "layer", "mlp", "mixture" or
            "expert".
    """

    config: Mapping[str, Any]
    source: str
    parameters: float
    within: float = 0.0
    experts: int = 0
    dense: tuple[int, ...] = ()
    templates: Mapping[str, list[str]] = field(default_factory=dict)

    def tensors(self) -> set[str]:
        """The names of the tensors of its checkpoint."""
        found = set(self.templates["model"])
        for layer in range(self.config["num_hidden_layers"]):
            mixed = self.experts > 0 and layer not in self.dense
            inside = [*self.templates["layer"], *self.templates["mixture" if mixed else "mlp"]]
            found |= {f"model.layers.{layer}.{name}" for name in inside}
            for expert in range(self.experts if mixed else 0):
                found |= {f"model.layers.{layer}.{name.format(expert)}" for name in self.templates["expert"]}
        return found


def read_published(file: Path) -> dict[str, Model]:
    """The models in ``file``, by name."""
    told = json.loads(file.read_text())
    found: dict[str, Model] = {}
    for name, facts in told["models"].items():
        like = found.get(facts.get("like"))
        fields = {} if like is None else {each: getattr(like, each) for each in Model.__dataclass_fields__}
        own = {each: facts[each] for each in facts if each not in ("like", "config")}
        own["config"] = {**fields.get("config", {}), **facts.get("config", {})}
        known = {**fields, "templates": told["tensors"], **own}
        found[name] = Model(**{**known, "dense": tuple(known.get("dense", ()))})
    return found


def check_detected(model: Model, folder: Path, *, engine: str, default: str) -> None:
    """The model gets ``engine``, whose default algorithm is ``default``; no variable names one."""
    (folder / "config.json").write_text(json.dumps(dict(model.config)))
    with mock.patch.dict(os.environ):
        os.environ.pop("LLADA_ENGINE", None)
        assert llada_core.detect_engine(folder) == engine
    assert llada_core.get_default_algorithm_for_engine(engine) == default


def check_shape(model: Model, read: Any, words: Mapping[str, str], experts: Mapping[str, str]) -> None:
    """What was ``read`` has the numbers of the config: those of the network by our ``words`` for its fields,
    and those of its experts."""
    assert {ours: getattr(read.shape, ours) for ours in words} == {
        ours: model.config[field] for ours, field in words.items()
    }
    assert (read.shape.experts is not None) is bool(model.experts)
    assert {ours: getattr(read.shape.experts, ours) for ours in experts if model.experts} == {
        ours: model.config[field] for ours, field in experts.items() if model.experts
    }
    assert read.shape.dense_layers == model.dense


def check_network(model: Model, kind: type[Any], read: Any, estimate: Any) -> None:
    """A network of ``kind``, of numbers alone, has the published tensors, and the estimate counts them."""
    tensors = kind(read, device=torch.device("meta"), dtype=torch.bfloat16).tensors()
    assert tensors.keys() == model.tensors()
    held = sum(each.numel() for each in {id(each): each for each in tensors.values()}.values())
    assert estimate(model.config, dtype="float32").weights == 4 * held
    assert abs(held - model.parameters) <= model.within
