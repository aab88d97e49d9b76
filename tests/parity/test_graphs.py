"""Every step decoder commits on graphs what it commits on the plain network, whoever comes and goes.

On the CPU with graphs that are run again, on a GPU with true ones.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch

import llada_core
from llada_core import Step
from llada_runtime import KVCache, LLaDAConfig, LLaDAModel, Loop, Network, Sequence
from llada_runtime.decoding import glance
from llada_runtime.network.capture import CudaGraphs
from llada_runtime.network.graphs import Graphed
from llada_runtime.network.layout import Layout
from llada_runtime.testing import LLADA_CONFIG
from tests.parity.parity_data import needs_engine
from tests.support.graphing import AsCaptured, CountedGraphs, FakeGraphs

ENGINES = {
    "basic": "fast-dllm",
    "prefix_cache": "fast-dllm",
    "dual_cache": "fast-dllm",
    "dinfer_blockwise": "dinfer",
    "dinfer_hierarchy": "dinfer",
    "dinfer_credit": "dinfer",
}
CACHED = set(ENGINES) - {"basic"}
SHAPE = {
    "d_model": 256, "n_heads": 4, "n_kv_heads": 2, "mlp_hidden_size": 256, "vocab_size": 128,
    "embedding_size": 128, "max_sequence_length": 512, "mask_token_id": 126, "eos_token_id": 127,
}  # fmt: skip

each_decoder = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=needs_engine(engine)) for name, engine in ENGINES.items()]
)
Told = list[tuple[Any, ...]]


def random_network(kind: type[LLaDAModel], device: str, dtype: torch.dtype, **changes: Any) -> LLaDAModel:
    network = kind(
        LLaDAConfig.from_dict({**LLADA_CONFIG, **changes}), device=torch.device(device), dtype=dtype
    )
    source = torch.Generator(device).manual_seed(0)
    with torch.no_grad():
        for name, tensor in network.tensors().items():
            if tensor.dim() == 1:
                tensor.fill_(1.0)
            else:
                tensor.normal_(std=0.3 if "wte" in name else 0.1, generator=source)
    return network.pack()


def rows(
    network: Network, name: str, count: int, *, longest: int, seed: int, quota: bool = False
) -> Iterator[Sequence]:
    """Random requests of one algorithm."""
    draw, algorithm = random.Random(seed), llada_core.get_algorithm(name)
    for _ in range(count):
        prompt = draw.choices(range(20), k=draw.randint(1, longest))
        given: dict[str, Any] = {"threshold": draw.choice([0.3, 0.9])}
        given |= {"gen_length": draw.choice([8, 16, 24]), "block_length": 8, "early_stop": False}
        if quota:
            given |= {"threshold": None, "steps": given["gen_length"] // 2}
        yield algorithm.sequence(network, prompt, algorithm.validate_args(**given))


class Crowd:
    """A loop whose rows come in and leave at random, the same ones for the same seed."""

    def __init__(self, network: Network, names: list[str], *, longest: int, seed: int, **how: Any) -> None:
        self.loop = Loop(network, rows=5, columns=8 * (longest + 32))
        self.draw, self.told = random.Random(seed), list[tuple[Any, ...]]()
        made = [
            rows(network, name, 5, longest=longest, seed=seed + at, **how) for at, name in enumerate(names)
        ]
        self.waiting = [row for together in zip(*made, strict=True) for row in together]
        self.numbers = {id(row): at for at, row in enumerate(self.waiting)}
        self.running: list[Sequence] = []

    @property
    def done(self) -> bool:
        return not (self.waiting or self.loop.active)

    def step(self) -> None:
        while self.waiting and self.draw.random() < 0.4 and self.loop.admit(self.waiting[0]):
            self.running.append(self.waiting.pop(0))
        if self.running and self.draw.random() < 0.02:
            self.loop.cancel(self.draw.choice(self.running))
        self.told += [self._what(step) for step in self.loop.step()]
        self.running = [row for row in self.running if not row.finished]

    def _what(self, step: Step) -> tuple[Any, ...]:
        assert step.error is None
        row = step.ticket.row
        return self.numbers[id(row)], step.positions, step.tokens, step.finished


def told(*crowds: Crowd) -> list[Told]:
    """What each crowd commits; they take turns, each for a few steps."""
    draw = random.Random(5)
    while not all(crowd.done for crowd in crowds):
        crowd = draw.choice([crowd for crowd in crowds if not crowd.done])
        for _ in range(draw.randint(1, 4)):
            crowd.step()
    return [crowd.told for crowd in crowds]


def assert_same(plain: Network, graphed: Network, names: list[str], *, longest: int, crowds: int = 1) -> None:
    wanted, found = (
        told(*(Crowd(network, names, longest=longest, seed=seed) for seed in range(crowds)))
        for network in (plain, graphed)
    )
    assert found == wanted


@each_decoder
def test_a_decoder_commits_the_same(name: str) -> None:
    plain, graphs = random_network(AsCaptured, "cpu", torch.float32), FakeGraphs()
    assert_same(plain, Graphed(plain, record=graphs, most=4, after=1), [name], longest=12)
    assert (graphs.replayed > 0) == (name in CACHED)


def gpu_network(dtype: torch.dtype) -> tuple[LLaDAModel, CountedGraphs, Graphed]:
    plain = random_network(LLaDAModel, "cuda", dtype, **SHAPE)
    graphs = CountedGraphs(CudaGraphs(plain.device))
    return plain, graphs, Graphed(plain, record=graphs, after=1)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bf16", "f32"])
@each_decoder
def test_a_decoder_commits_the_same_on_a_gpu(name: str, dtype: torch.dtype) -> None:
    plain, graphs, network = gpu_network(dtype)
    assert_same(plain, network, [name], longest=60)
    assert (graphs.replayed > 0) == (name in CACHED)


@needs_engine("fast-dllm")
@pytest.mark.gpu
@pytest.mark.parametrize("quota", [True, False], ids=["quota", "threshold"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bf16", "f32"])
@pytest.mark.parametrize("names", [["basic"], ["prefix_cache"], ["dual_cache"], ["basic", "dual_cache"]])
def test_a_glance_decides_what_the_plain_way_decides_on_a_gpu(
    monkeypatch: pytest.MonkeyPatch, names: list[str], dtype: torch.dtype, quota: bool
) -> None:
    network = gpu_network(dtype)[2]
    (found,) = told(Crowd(network, names, longest=60, seed=3, quota=quota))
    monkeypatch.setattr(glance, "why_no_kernels", lambda device: "a test wants the plain way")
    (wanted,) = told(Crowd(network, names, longest=60, seed=3, quota=quota))
    assert found == wanted


@needs_engine("fast-dllm")
@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32], ids=["bf16", "f32"])
def test_loops_of_one_network_take_turns_on_a_gpu(dtype: torch.dtype) -> None:
    plain, graphs, network = gpu_network(dtype)
    assert_same(plain, network, ["prefix_cache", "dual_cache"], longest=60, crowds=2)
    assert graphs.replayed > graphs.captured > 1


@needs_engine("fast-dllm")
@pytest.mark.gpu
def test_captures_beside_the_work_of_another_thread_change_nothing() -> None:
    plain, graphs, network = gpu_network(torch.bfloat16)
    mixed = ["prefix_cache", "dual_cache"]
    (wanted,) = told(Crowd(plain, mixed, longest=60, seed=1))
    (beside,) = told(Crowd(plain, ["basic"], longest=60, seed=2))
    with ThreadPoolExecutor(2) as pool:
        mine = pool.submit(lambda: told(Crowd(network, mixed, longest=60, seed=1)))
        others = [pool.submit(lambda: told(Crowd(plain, ["basic"], longest=60, seed=2))) for _ in range(6)]
        assert mine.result() == [wanted]
        assert all(other.result() == [beside] for other in others)
    assert graphs.captured > 1


class Reading(LLaDAModel):
    """A network that waits for a number of the GPU's, which no graph can."""

    def logits(self, layout: Layout, cache: KVCache | None) -> torch.Tensor:
        logits = super().logits(layout, cache)
        assert logits.float().sum().item() < torch.inf
        return logits


@needs_engine("fast-dllm")
@pytest.mark.gpu
def test_a_capture_that_fails_on_a_gpu_leaves_nothing_behind() -> None:
    plain = random_network(Reading, "cuda", torch.bfloat16, **SHAPE)
    (wanted,) = told(Crowd(plain, ["dual_cache"], longest=60, seed=1))
    network = Graphed(plain, record=CudaGraphs(plain.device), after=1)
    with pytest.warns(RuntimeWarning, match="cannot be captured as a CUDA graph"):
        (found,) = told(Crowd(network, ["dual_cache"], longest=60, seed=1))
    assert found == wanted
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    assert torch.rand(3, device="cuda").isfinite().all()  # the generator is not left in the capture
    _, graphs, another = gpu_network(torch.bfloat16)
    assert_same(another.network, another, ["dual_cache"], longest=60)
    assert graphs.replayed > 0


@pytest.mark.gpu
def test_a_thread_may_capture_before_it_has_multiplied_anything() -> None:
    record, some = CudaGraphs(torch.device("cuda")), torch.rand(256, 256, device="cuda")
    wanted, found = some @ some, torch.zeros_like(some)  # this thread's product has loaded the kernel
    with ThreadPoolExecutor(1) as pool:
        replay = pool.submit(record, lambda: torch.mm(some, some, out=found)).result()
    replay()
    assert torch.equal(found, wanted)


@needs_engine("fast-dllm")
@pytest.mark.gpu
def test_two_threads_may_capture() -> None:
    plain, _, one = gpu_network(torch.bfloat16)
    another = Graphed(plain, record=CudaGraphs(plain.device), after=1)
    (wanted,) = told(Crowd(plain, ["dual_cache"], longest=60, seed=1))
    with ThreadPoolExecutor(3) as pool:  # two on one network, which has a lock, and one beside them
        crowds = [Crowd(network, ["dual_cache"], longest=60, seed=1) for network in (one, another, one)]
        assert list(pool.map(told, crowds)) == [[wanted]] * 3


@needs_engine("fast-dllm")
@pytest.mark.gpu
def test_one_answer_after_the_other_uses_the_graphs_of_the_first_on_a_gpu() -> None:
    plain, graphs, network = gpu_network(torch.bfloat16)
    algorithm, prompt = llada_core.get_algorithm("dual_cache"), torch.arange(1, 50)[None]
    wanted, nfe = algorithm.generate(plain, prompt, gen_length=64, block_length=16, early_stop=False)
    for _ in range(3):
        found, forwards = algorithm.generate(
            network, prompt, gen_length=64, block_length=16, early_stop=False
        )
        assert (found.tolist(), forwards) == (wanted.tolist(), nfe)
    assert graphs.captured <= 4  # of steps and of whole forwards, in two places at most
    assert graphs.replayed > 2 * graphs.captured
