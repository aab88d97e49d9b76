"""A row's random numbers are those of torch's generators seeded for it, and nobody else's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch

from llada_diffusiongemma.draws import Stream
from llada_diffusiongemma.settings import canvas_of

CHANCES = torch.tensor([[0.1, 0.2, 0.7], [0.5, 0.25, 0.25]])
DRAWS: dict[str, Callable[[], torch.Tensor]] = {
    "randint": lambda: torch.randint(low=0, high=99, size=(2, 5), device=torch.device("cpu")),
    "multinomial": lambda: torch.multinomial(CHANCES, num_samples=1),
    "multinomial of a tensor": lambda: CHANCES.multinomial(2),
    "rand": lambda: torch.rand(3),
    "randn": lambda: torch.randn(17, dtype=torch.float64),
    "randperm": lambda: torch.randperm(9),
    "bernoulli": lambda: torch.bernoulli(CHANCES),
    "normal": lambda: torch.normal(CHANCES, 2.0),
    "in place": lambda: torch.empty(4).exponential_().add_(torch.empty(4).uniform_()),
    "of a distribution": lambda: torch.distributions.Categorical(probs=CHANCES).sample(),
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("seed", [3, -1, 2**64 - 2])
def test_a_stream_is_a_generator_seeded_alike_and_goes_on(name: str, seed: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        wanted = [DRAWS[name]() for _ in range(3)]
    stream, before = Stream(seed), torch.get_rng_state()
    with stream.drawn_from():
        found = [DRAWS[name]()]
    with stream.drawn_from():
        found += [DRAWS[name](), DRAWS[name]()]
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_stream_stands_still_where_something_is_raised() -> None:
    stream, lost = Stream(3), []

    def interrupted() -> None:
        with stream.drawn_from():
            lost.append(torch.rand(3))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with stream.drawn_from():
        assert torch.equal(torch.rand(3), *lost)


def test_what_is_drawn_from_a_generator_of_the_callers_is_left_to_it() -> None:
    wanted = torch.rand(3, generator=torch.Generator().manual_seed(8))
    with Stream(3).drawn_from():
        assert torch.equal(torch.rand(3, generator=torch.Generator().manual_seed(8)), wanted)


def test_other_threads_draw_meanwhile_and_neither_sees_the_other(lm: Any) -> None:
    """As rows of another model do that take their seeds from torch's own generator."""
    alone = lm.generate([5, 6], gen_length=20, seed=3, early_stop=False)
    drawn: list[int] = []

    def elsewhere(*_: Any) -> None:
        thread = threading.Thread(target=lambda: drawn.append(int(torch.randint(2**62, ()))))
        thread.start()
        thread.join()

    hook = lm.model.network.lm_head.register_forward_hook(elsewhere)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        try:
            found = lm.generate([5, 6], gen_length=20, seed=3, early_stop=False)
        finally:
            hook.remove()
        torch.manual_seed(11)
        assert drawn == [int(torch.randint(2**62, ())) for _ in drawn]
    assert len(drawn) == found.nfe - 3
    assert (found.token_ids, found.nfe) == (alone.token_ids, alone.nfe)


def test_another_thread_that_would_write_on_the_same_model_waits(lm: Any) -> None:
    """Canvases of a call may have another length, which the class reads in the model's config."""
    alone, found = lm.generate([5, 6], gen_length=9, seed=3), []
    thread = threading.Thread(target=lambda: found.append(lm.generate([5, 6], gen_length=9, seed=3)))
    with canvas_of(lm.model.network, 3):
        thread.start()
        thread.join(0.3)
        assert (thread.is_alive(), found) == (True, [])
    thread.join(60)
    assert [each.token_ids for each in found] == [alone.token_ids]
    assert lm.model.network.config.canvas_length == 8
