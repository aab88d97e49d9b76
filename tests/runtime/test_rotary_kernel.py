"""The kernel that rotates queries and keys and keeps keys and values, held to float64: what is written in
`test_kernels` on where these run holds here too."""

from __future__ import annotations

import pytest
import torch

from llada_runtime.network.rotary import Rotary
from tests.runtime.kernel_cases import (
    DEVICE,
    DTYPE,
    MARKS,
    SMALL,
    close,
    drawn,
    index,
    kernels_or_skip,
    nothing,
    overlaps,
    poison,
    rotated,
)

kernels = kernels_or_skip()

pytestmark = MARKS


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    poison(monkeypatch)


@overlaps
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize(
    ("columns", "heads", "kv", "hd"), [(32, 32, 32, 128), (5, 8, 2, 64), (33, 12, 4, 128), (1, 4, 4, 64)]
)
def test_queries_are_rotated_and_keys_and_values_kept(
    columns: int, heads: int, kv: int, hd: int, fused: bool, overlap: bool
) -> None:
    rotary = Rotary.plain(500000.0, hd)
    frequencies = rotary.frequencies.to(DEVICE)
    turn = Rotary(frequencies=frequencies).at(torch.randint(0, 300, (columns,), device=DEVICE))
    places = torch.randperm(200, device=DEVICE)[:columns]
    places[columns // 2] = -1 if columns > 1 else 7
    keys, values = nothing(200, kv, hd), nothing(200, kv, hd)
    width = 512 // SMALL
    x, weight = drawn(columns, width), drawn((heads + 2 * kv) * hd, width, scale=width**-0.5)
    kept = places >= 0
    if fused:
        query = kernels.rotated_product(
            x, weight, turn.cos, turn.sin, places, keys, values,
            tiling=kernels.Tiling(outputs=64, inputs=64, stages=3), overlap=overlap,
        )  # fmt: skip
        qkv = (x.double() @ weight.double().T).view(columns, -1, hd)
    else:
        made = (x.float() @ weight.float().T).to(DTYPE).view(columns, -1, hd)
        qkv = made.double()
        kernels.rotate_and_keep(
            made, turn.cos, turn.sin, heads=heads, places=places, keys=keys, values=values
        )
        query = made[:, :heads]
        assert torch.equal(made[kept, heads : heads + kv], keys[places[kept]])
        assert torch.equal(made[:, heads + kv :].double(), qkv[:, heads + kv :])
    q, k, v = qkv.split((heads, kv, kv), 1)
    close(query, rotated(q, turn.cos, turn.sin))
    close(keys[places[kept]], rotated(k, turn.cos, turn.sin)[kept])
    close(values[places[kept]], v[kept])
    untouched = torch.ones(200, dtype=torch.bool, device=DEVICE)
    untouched[places[kept]] = False
    assert keys[untouched].isnan().all()
    assert values[untouched].isnan().all()


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize(("heads", "kv", "hd"), [(8, 2, 128), (3, 3, 64)])
def test_queries_and_keys_are_normalised_before_they_turn(heads: int, kv: int, hd: int, parts: int) -> None:
    turn = Rotary(frequencies=Rotary.plain(1e4, hd).frequencies.to(DEVICE)).at(torch.arange(9, device=DEVICE))
    made, norms = drawn(9, parts, heads + 2 * kv, hd, scale=3.0), (1 + drawn(hd, scale=0.3), drawn(hd))
    qkv = made.double().sum(1)
    places, keys, values = index(list(range(20, 29))), nothing(40, kv, hd), nothing(40, kv, hd)
    kernels.rotate_and_keep(
        made if parts == 2 else made[:, 0], turn.cos, turn.sin, heads=heads, places=places, keys=keys,
        values=values, norms=norms, eps=1e-3,
    )  # fmt: skip
    normed = qkv * (qkv.square().mean(-1, keepdim=True) + 1e-3).rsqrt()
    q, k = normed[:, :heads] * norms[0].double(), normed[:, heads : heads + kv] * norms[1].double()
    close(made[:, 0, :heads], rotated(q, turn.cos, turn.sin))
    close(keys[20:29], rotated(k, turn.cos, turn.sin))
    close(values[20:29], qkv[:, heads + kv :])
    assert torch.equal(keys[20:29], made[:, 0, heads : heads + kv])


@pytest.mark.parametrize(("hd", "turned"), [(128, 64), (64, 16), (64, 2)])
def test_a_part_of_a_heads_channels_may_turn(hd: int, turned: int) -> None:
    turn = Rotary(frequencies=Rotary.plain(1e4, turned).frequencies.to(DEVICE)).at(
        torch.arange(9, device=DEVICE)
    )
    qkv, norms = drawn(9, 12, hd, scale=3.0), (1 + drawn(hd, scale=0.3), drawn(hd))
    before, places, keys, values = qkv.double(), index(list(range(9))), nothing(9, 3, hd), nothing(9, 3, hd)
    kernels.rotate_and_keep(
        qkv, turn.cos, turn.sin, heads=6, places=places, keys=keys, values=values, norms=norms, eps=1e-3
    )
    normed = before * (before.square().mean(-1, keepdim=True) + 1e-3).rsqrt()
    normed = torch.cat((normed[:, :6] * norms[0].double(), normed[:, 6:9] * norms[1].double()), 1)
    close(qkv[:, :9, :turned], rotated(normed[..., :turned], turn.cos, turn.sin))
    close(qkv[:, :9, turned:], normed[..., turned:])
    assert torch.equal(qkv[:, 6:9], keys)
    assert torch.equal(values.double(), before[:, 9:])


def test_rotation_without_a_pool_keeps_nothing() -> None:
    turn = Rotary(frequencies=Rotary.plain(1e4, 64).frequencies.to(DEVICE)).at(torch.arange(5, device=DEVICE))
    qkv = drawn(5, 8, 64)
    before = qkv.double()
    kernels.rotate_and_keep(qkv, turn.cos, turn.sin, heads=4)
    close(qkv[:, :6], rotated(before[:, :6], turn.cos, turn.sin))
    assert torch.equal(qkv[:, 6:].double(), before[:, 6:])
