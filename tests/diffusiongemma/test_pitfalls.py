"""What transformers' class does that one would not expect, and that an answer of ours does not depend on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LogitsProcessorList
from transformers.models.diffusion_gemma.generation_diffusion_gemma import EntropyBoundSamplerConfig

import llada_core
from llada_core.parameters import parameters_of_row
from llada_diffusiongemma.settings import canvas_of, keywords
from tests.diffusiongemma.published import Published, cut
from tests.diffusiongemma.tiny_models import GENERATION, config_with, write_model
from tests.diffusiongemma.tiny_tokenizer import PAD

IDS = [5, 6, 7]


def loaded(folder: Path, **generation: Any) -> Any:
    config = generation.pop("config", None)
    path = write_model(folder, generation={**GENERATION, **generation}, config=config)
    return llada_core.load_model(path, device="cpu")


def test_the_class_returns_whole_canvases_and_ours_are_cut(lm: Any, published: Published) -> None:
    wanted = published.says(IDS, seed=1, gen_length=3)
    assert len(wanted.written) == 8
    assert lm.generate(IDS, seed=1, gen_length=3).token_ids == cut(wanted.written, 3)


def test_the_class_pads_behind_an_end_and_ours_ends_there(lm: Any, published: Published) -> None:
    asked: Any = {"gen_length": 24, "max_denoising_steps": 1}
    for seed in range(60):
        wanted = published.says(IDS, seed=seed, **asked)
        answer = cut(wanted.written, 24)
        if len(answer) + 2 < len(wanted.written):
            break
    assert set(wanted.written[len(answer) + 1 :]) == {PAD}
    assert lm.generate(IDS, seed=seed, **asked).token_ids == answer


def test_the_class_takes_a_max_length_for_256_new_tokens_and_ours_does_not(
    tmp_path: Path, lm: Any, published: Published
) -> None:
    """256 is what it takes for "not said", so that a checkpoint's max_length comes before it."""
    config = config_with(canvas_length=128)
    long = loaded(tmp_path, max_length=19, config=config, max_denoising_steps=1)
    network = long.model.network
    told = network.generate(torch.tensor([IDS]), max_new_tokens=256, eos_token_id=None)
    assert told.sequences.shape[1] == len(IDS) + 128  # and not 256
    answer = long.generate(IDS, gen_length=256, seed=1, early_stop=False)
    assert (answer.nfe, answer.parameters["gen_length"]) == (4, 256)
    short = loaded(tmp_path / "short", max_length=5)
    assert (
        short.generate(IDS, seed=1, gen_length=20).token_ids
        == lm.generate(IDS, seed=1, gen_length=20).token_ids
    )


def test_a_static_cache_of_the_checkpoint_is_not_shared_between_rows(tmp_path: Path, lm: Any) -> None:
    static = loaded(tmp_path, cache_implementation="static")
    prompts = [IDS, [9], [10, 11]]
    found = [each.token_ids for each in static.generate(prompts, gen_length=20, seed=1)]
    assert found == [each.token_ids for each in lm.generate(prompts, gen_length=20, seed=1)]
    assert not hasattr(static.model.network, "_cache")


def test_one_generator_draws_for_all_rows_of_the_class_and_each_of_ours_has_its_own(
    lm: Any, published: Published
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        together = published.network.generate(torch.tensor([IDS, IDS]), max_new_tokens=8, pad_token_id=None)
    alone = published.says(IDS, seed=1, gen_length=8)
    rows = [row[3:] for row in together.sequences.tolist()]
    assert tuple(rows[1]) != alone.written
    first, second = lm.generate([IDS, IDS], gen_length=8, seed=1)
    assert first.token_ids == cut(alone.written, 8)
    assert second.parameters["seed"] == parameters_of_row({"seed": 1}, 1)["seed"] == 2


def test_the_class_appends_to_the_processors_that_it_is_given_and_none_of_ours_is_kept(
    lm: Any, published: Published
) -> None:
    kept = LogitsProcessorList()
    for count in (1, 2):
        published.network.generate(torch.tensor([IDS]), max_new_tokens=8, logits_processor=kept)
        assert len(kept) == count  # the second call divides by the temperature twice
    first, again = (lm.generate(IDS, gen_length=16, seed=2).token_ids for _ in range(2))
    assert first == again


def test_nothing_that_a_checkpoint_could_say_counts_unseen(lm: Any) -> None:
    """All fields of the class's generation config are given in each call, or are what a call says itself."""
    values = lm.algorithm("diffusion_gemma").validate_args()
    said = set(keywords(values)) | {"max_new_tokens", "eos_token_id"}
    unread = {"bos_token_id", "cache_config", "disable_compile", "transformers_version"}
    fields = {name for name in vars(lm.model.network.generation_config) if not name.startswith("_")}
    assert fields == said | unread


@pytest.mark.parametrize("wrong", [1, 0.0])
def test_the_class_wants_floats_and_ours_takes_numbers(wrong: Any) -> None:
    with pytest.raises(ValueError, match="must be a float > 0"):
        EntropyBoundSamplerConfig(entropy_bound=wrong)


def test_the_class_keeps_only_what_it_thinks_likeliest_at_the_end(lm: Any, published: Published) -> None:
    """Accepted tokens are no promise: what is written is the last step's argmax, whatever was drawn."""
    one, hot = (
        published.says(IDS, seed=3, gen_length=8, max_denoising_steps=1, t_min=0.0, t_max=t)
        for t in (0.1, 50.0)
    )
    assert one.written == hot.written
    assert lm.generate(IDS, seed=3, gen_length=8, max_denoising_steps=1, t_min=0, t_max=50).token_ids == cut(
        hot.written, 8
    )


def test_a_canvas_length_of_a_call_is_put_back(lm: Any) -> None:
    network = lm.model.network
    lm.generate(IDS, gen_length=9, seed=1, canvas_length=3)
    assert network.config.canvas_length == 8


def test_a_canvas_length_of_a_call_is_not_taken_for_the_models_own_meanwhile(lm: Any) -> None:
    """A server prepares requests while a canvas is written."""
    network, algorithm = lm.model.network, lm.algorithm("diffusion_gemma")
    with canvas_of(network, 3):
        assert network.config.canvas_length == 3
        assert algorithm.validate_args()["canvas_length"] == 8
    assert (network.config.canvas_length, algorithm.validate_args()["canvas_length"]) == (8, 8)
