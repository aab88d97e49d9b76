"""How weights are dealt out, and who refuses what cannot be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from llada_core import LladaError, UsageError
from llada_runtime import LLaDAModel, estimate
from llada_runtime.network.checkpoint import fill
from llada_runtime.network.parallel.launched import launched_as
from llada_runtime.network.parallel.start import load_parallel
from llada_runtime.network.ranks import Ranks
from llada_runtime.network.shape import Shape
from llada_runtime.network.sources import SafetensorsSource
from llada_runtime.network.split import Cut, Piece, Split
from llada_runtime.testing import LLADA_CONFIG
from tests.support.ranks import LLADA

SHAPE = Shape(
    width=16, n_layers=2, n_heads=8, n_kv_heads=4, head_dim=2, mlp_width=24, vocabulary=32, eps=1e-5
)  # fmt: skip


def test_a_rank_has_its_share_of_heads_and_channels() -> None:
    part = Split(rank=1, size=4).part(SHAPE)
    assert part == replace(SHAPE, n_heads=2, n_kv_heads=1, mlp_width=6)
    assert Split(rank=0, size=1).part(SHAPE) == SHAPE


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"n_heads": 6}, "tensor_parallel=4 does not divide the model's 6 heads; give one of 1, 2"),
        ({"n_kv_heads": 2}, "the model's 2 heads of keys and values; give one of 1, 2"),
        ({"mlp_width": 9}, "the model's 9 channels of the MLP; give one of 1"),
        ({"vocabulary": 30}, "the model's 30 tokens of the vocabulary; give one of 1, 2"),
    ],
)
def test_what_does_not_divide_is_refused_with_its_number(change: dict[str, int], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        Split(rank=0, size=4).part(replace(SHAPE, **change))
    assert str(refused.value).endswith(told.removeprefix("tensor_parallel=4 does not divide "))


@pytest.mark.parametrize("tied", [False, True])
def test_the_weights_of_a_rank_are_counted_as_they_are(
    write_checkpoint: Callable[..., Path], tied: bool
) -> None:
    folder = write_checkpoint({"weight_tying": tied})
    config = LLaDAModel.config_class.from_pretrained(folder)
    for size in (1, 2):
        split = Split(rank=size - 1, size=size)
        ranks = Ranks(split, torch.device("cpu"))
        network = LLaDAModel(config, device=torch.device("meta"), dtype=torch.float32, ranks=ranks)
        own = {id(tensor): tensor.numel() for tensor in network.parameters()}
        rows = network.head.weight.numel() if tied else 0  # the same memory as the embedding's
        assert sum(own.values()) - rows == split.parameter_count(config.shape)
        assert not ({"model.transformer.wte.weight"} & network.pieces().keys())


def test_every_rank_needs_its_share_of_memory() -> None:
    one, two = (estimate(LLADA_CONFIG, available=10**9, tensor_parallel=size) for size in (1, 2))
    assert two.kv_per_token * 2 == one.kv_per_token
    assert one.weights / 2 < two.weights < one.weights
    assert two.logits_per_row == one.logits_per_row
    with pytest.raises(UsageError, match="does not divide"):
        estimate(LLADA_CONFIG, tensor_parallel=3)


def test_pieces_are_put_together_to_the_whole(write_checkpoint: Callable[..., Path]) -> None:
    folder = write_checkpoint()
    config, place = LLaDAModel.config_class.from_pretrained(folder), torch.device("cpu")
    whole = LLaDAModel(config, device=place, dtype=torch.float32)
    fill(whole.tensors(), SafetensorsSource(folder))
    parts = []
    for rank in range(2):
        ranks = Ranks(Split(rank=rank, size=2), place)
        part = LLaDAModel(config, device=place, dtype=torch.float32, ranks=ranks)
        fill(part.tensors(), SafetensorsSource(folder), pieces=part.pieces())
        parts.append(part)
    pieces = parts[0].pieces()
    for name, tensor in whole.tensors().items():
        both = [part.tensors()[name] for part in parts]
        found = torch.cat(both, dim=pieces[name].dim) if name in pieces else both[1]
        assert torch.equal(found, tensor), name
    dims = {name.split(".")[-2]: piece.dim for name, piece in pieces.items() if "blocks.0" in name}
    assert dims == {
        "q_proj": 0, "k_proj": 0, "v_proj": 0, "attn_out": 1, "ff_proj": 0, "up_proj": 0, "ff_out": 1,
    }  # fmt: skip


def test_a_bias_of_what_is_summed_is_whole() -> None:
    split = Split(rank=1, size=2)
    assert split.piece(Cut.COLUMNS, 2) == Piece(dim=1, index=1, count=2)
    assert split.piece(Cut.COLUMNS, 1) is None
    assert split.piece(Cut.ROWS, 1) == Piece(dim=0, index=1, count=2)
    assert split.piece(Cut.WHOLE, 2) is None


class Unsaid(LLaDAModel):
    """A network one of whose weights nobody has said how to split."""

    cuts = {name: cut for name, cut in LLaDAModel.cuts.items() if name not in ("gate", "up")}  # noqa: RUF012


class Foreign:
    """A network that knows of no ranks."""


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"size": 3}, "tensor_parallel=3 does not divide the model's 4 heads; give one of 1, 2"),
        ({"target": f"{__name__}:Unsaid"}, "Unsaid does not, of its gate, up; leave tensor_parallel out"),
        ({"target": f"{__name__}:Foreign"}, "networks that say how, and Foreign does not; leave tensor"),
        ({"device": "cpu:0"}, "device='cpu:0' is one device, and tensor_parallel=2 takes 2; give 'cuda'"),
    ],
)
def test_what_cannot_be_split_is_refused_before_a_process_is_started(
    write_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], told: str
) -> None:
    monkeypatch.setattr("subprocess.Popen", None)
    asked: dict[str, Any] = {"target": LLADA, "size": 2, "device": "cpu", **given}
    with pytest.raises(UsageError) as refused:
        load_parallel(asked.pop("target"), write_checkpoint(), **asked)
    assert told in str(refused.value)


def test_more_gpus_than_there_are_are_refused(
    write_checkpoint: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = torch.device("cuda")
    monkeypatch.setattr("llada_runtime.network.parallel.start.choose_device", lambda device: gpu)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match="takes 2 GPUs, and torch sees 1; give fewer"):
        load_parallel(LLADA, write_checkpoint(), size=2)


@pytest.mark.parametrize(
    ("variables", "found"),
    [
        ({}, None),
        ({"RANK": "1"}, None),
        ({"RANK": "1", "WORLD_SIZE": "2"}, 1),
        ({"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}, 0),
        ({"RANK": "0", "WORLD_SIZE": "4"}, "torchrun started 4 processes"),
        (
            {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1"},
            "started 1 of 2 processes on this machine",
        ),
    ],
)
def test_the_rank_is_torchruns_where_it_fits(variables: dict[str, str], found: Any) -> None:
    if not isinstance(found, str):
        assert launched_as(2, variables) == found
        return
    with pytest.raises(LladaError, match=found):
        launched_as(2, variables)
