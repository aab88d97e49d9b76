"""``FakeNetwork`` proposes what it is told, sees what a plan lets it see, and passes for a network."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from llada_core.testing import ConformanceError
from llada_runtime import (
    DualCache,
    LLaDAModel,
    NoCache,
    Policy,
    PrefixCache,
    Quota,
    Sequence,
    Threshold,
    drain,
)
from llada_runtime.network.layout import Layout, Span
from llada_runtime.testing import EOS, MASK, FakeConfig, FakeNetwork, check_network, small_llada


def row(network: FakeNetwork, policy: Policy, **options: object) -> Sequence:
    settings = {"gen_length": 10, "block_length": 4, "rule": Quota(4), "early_stop": False, **options}
    return Sequence([1, 2, 3], network.config, policy=policy, **settings)  # type: ignore[arg-type]


def decode(network: FakeNetwork, *rows: Sequence) -> list[float]:
    """The confidences of what was kept."""
    steps = list(drain(network, rows, rows=8))
    assert [step.error for step in steps if step.error] == []
    return [sure for step in steps for sure in step.confidence]


@pytest.mark.parametrize("policy", [NoCache(), PrefixCache(), DualCache()])
def test_a_scripted_network_says_its_script_with_its_confidence(policy: Policy) -> None:
    script = [9, 9, 9, *range(11, 21)]
    network = FakeNetwork.scripted(script, [0.25 + 0.05 * column for column in range(13)])
    sequence = row(network, policy, rule=Threshold(0.5))
    assert sorted(decode(network, sequence)) == pytest.approx([0.25 + 0.05 * c for c in range(3, 13)])
    assert sequence.canvas == [1, 2, 3, *range(11, 21)]


@pytest.mark.parametrize(("token", "confidence"), [(7, 1.0), (EOS, 0.5), (7, 1 / 30)])
def test_one_token_may_stand_for_all_columns(token: int, confidence: float) -> None:
    network = FakeNetwork.scripted(token, confidence)
    assert decode(network, row(network, NoCache())) == pytest.approx([confidence] * 10)


def test_a_network_that_likes_the_mask_never_gets_it() -> None:
    network = FakeNetwork.scripted(MASK)
    sequence = row(network, NoCache())
    decode(network, sequence)
    assert MASK not in sequence.canvas


def test_random_logits_are_a_function_of_the_canvas() -> None:
    propose = FakeNetwork.random(1)._propose
    canvas, other = torch.tensor([1, 2, MASK, MASK]), torch.tensor([1, 3, MASK, MASK])
    assert torch.equal(propose(canvas, 2, 4), propose(canvas, 2, 4))
    assert torch.equal(propose(canvas, 0, 4)[2:], propose(canvas, 2, 4))
    assert not torch.equal(propose(canvas, 2, 4), propose(other, 2, 4))
    assert not torch.equal(propose(canvas, 2, 4), FakeNetwork.random(2)._propose(canvas, 2, 4))


def test_it_sees_cached_tokens_as_they_were_when_they_were_written() -> None:
    seen: list[list[int]] = []

    def propose(canvas: torch.Tensor, lo: int, hi: int) -> torch.Tensor:
        seen.append(canvas.tolist())
        return torch.eye(32)[5].repeat(hi - lo, 1)

    network = FakeNetwork(propose)
    cache = network.new_cache(columns=9)
    cache.take(2)
    extent = cache.take(4)
    first = Span(ids=[1, 2, 3, 4], lo=0, hi=4, length=4, head_lo=3, head_hi=4, extent=extent)
    later = Span(ids=[7], lo=2, hi=3, length=4, head_lo=2, head_hi=3, extent=extent, reads=True)
    for spans in ([first], [later], [later, Span(ids=[9], lo=0, hi=1, length=1, head_lo=0, head_hi=1)]):
        network.logits(Layout.of(spans, device=network.device, merge=False), cache)
    assert seen == [[1, 2, 3, 4], [1, 2, 7, 4], [1, 2, 7, 4], [9]]
    assert network.forwards == [((0, 4),), ((2, 3),), ((2, 3), (0, 1))]


@pytest.mark.parametrize("merges", [False, True])
def test_rows_come_and_go_as_on_a_transformer(merges: bool) -> None:
    network = FakeNetwork(FakeNetwork.random()._propose, merges=merges)
    policies = [NoCache(), DualCache(), PrefixCache(), DualCache(), NoCache()]
    rows = [row(network, policy, gen_length=3 + 2 * n) for n, policy in enumerate(policies)]
    list(drain(network, rows, rows=2))
    for n, (policy, together) in enumerate(zip(policies, rows, strict=True)):
        alone = row(network, policy, gen_length=3 + 2 * n)
        decode(network, alone)
        assert (together.canvas, together.nfe) == (alone.canvas, alone.nfe)


# -- check_network


@pytest.mark.parametrize(
    "network", [FakeNetwork.random(), FakeNetwork.scripted(3)], ids=["random", "scripted"]
)
def test_a_fake_network_is_a_network(network: FakeNetwork) -> None:
    assert "a forward gives the logits of the head columns" in check_network(network)


def test_our_own_network_is_one(model: LLaDAModel) -> None:
    assert len(check_network(model)) == 6


def failures(network: object) -> list[str]:
    with pytest.raises(ConformanceError) as caught:
        check_network(network)  # type: ignore[arg-type]
    return [failure.check for failure in caught.value.failures]


def test_what_a_network_lacks_is_found() -> None:
    class Bare:
        config = FakeConfig()

    assert "it has every member of a network" in failures(Bare())


class Leaking(FakeNetwork):
    """Its logits depend on all rows of a forward."""

    def logits(self, layout, cache):
        return super().logits(layout, cache) + layout.ids.sum()


class Short(FakeNetwork):
    """It returns the logits of all packed columns but one."""

    def logits(self, layout, cache):
        return super().logits(layout, cache)[:-1]


class Halved(FakeNetwork):
    """Its mixtures are not those of its embeddings."""

    def mix(self, probabilities):
        return super().mix(probabilities) / 2


class Uncached(FakeNetwork):
    caches = False


@pytest.mark.parametrize(
    ("kind", "check"),
    [
        (Leaking, "rows that are laid out apart do not see each other"),
        (Short, "a forward gives the logits of the head columns"),
        (Halved, "embeddings are [..., d], and a mixture of one token is its own"),
        (Uncached, "a cache has the columns that were asked for"),
    ],
)
def test_a_network_that_does_otherwise_is_found(kind: type[FakeNetwork], check: str) -> None:
    assert check in failures(kind.random())


def test_special_tokens_outside_the_vocabulary_are_found() -> None:
    assert "its special tokens are in its vocabulary" in failures(
        FakeNetwork.random(config=FakeConfig(eos_token_id=32))
    )


def test_a_damaged_checkpoint_is_found(tmp_path: Path) -> None:
    broken = small_llada(weights={"model.transformer.ln_f.weight": torch.full((16,), torch.nan)})
    assert "a forward gives the logits of the head columns" in failures(broken)
