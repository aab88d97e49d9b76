"""The tiny models do what is known of the real ones, misbehaviour included, and make eventful tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import AutoModel
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from tests.nemotron.tiny_models import BLOCK, EOS, MASK, Variant, write_model

# They change with tests/nemotron/tiny_models.py alone.
pytestmark = pytest.mark.slow

UNUSED = -1  # an end token that is never predicted
VARIANTS: tuple[Variant, ...] = ("gen1", "labs")

each_variant = pytest.mark.parametrize("variant", VARIANTS)
Load = Callable[..., Any]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """``load(variant, paradigm="bidirectional", **fields)``: the model of a new folder."""

    def load(variant: Variant, paradigm: str | None = "bidirectional", **fields: Any) -> Any:
        folder = write_model(tmp_path_factory.mktemp(variant), variant, tokenizer=False, **fields)
        override = {} if paradigm is None else {"dlm_paradigm": paradigm}
        return AutoModel.from_pretrained(
            folder, trust_remote_code=True, dtype=torch.float32, **override
        ).eval()

    return load


@pytest.fixture(scope="module")
def gen1(load: Load) -> Any:
    return load("gen1")


@pytest.fixture(scope="module")
def loaded_labs(load: Load) -> Any:
    return load("labs")


@pytest.fixture
def labs(loaded_labs: Any) -> Any:
    """The model as it is after loading: what it last did is forgotten."""
    loaded_labs.switch_diffusion(True)
    return loaded_labs


@pytest.fixture
def models(gen1: Any, labs: Any) -> dict[Variant, Any]:
    return {"gen1": gen1, "labs": labs}


def prompts(count: int, length: int, rows: int = 1) -> list[Tensor]:
    source = torch.Generator().manual_seed(5)
    return [torch.randint(14, 99, (rows, length), generator=source) for _ in range(count)]


def decode(model: Any, prompt: Tensor, length: int = 32, **options: Any) -> tuple[Tensor, int]:
    """``generate`` without an early stop, unless asked for: the answers ``[B, length]`` and the NFE."""
    if model.config.model_type == "nvrdiff":
        options.setdefault("steps", length)
    else:
        options.setdefault("eos_token_id", UNUSED)
    ids, nfe = model.generate(prompt, max_new_tokens=length, block_length=BLOCK, **options)
    assert torch.equal(ids[:, : prompt.shape[1]], prompt)
    return ids[:, prompt.shape[1] :], nfe


def spread(model: Any) -> Tensor:
    """The confidences of the first proposals after many prompts."""
    masks = torch.full((1, BLOCK), MASK)
    some = [prompt for length in (5, 13, 29) for prompt in prompts(10, length)]
    with torch.no_grad():
        logits = [model(torch.cat((prompt, masks), dim=1)).logits[0, -BLOCK:] for prompt in some]
    return torch.cat(logits).softmax(-1).amax(-1)


def flags(model: Any) -> set[bool]:
    return {layer.self_attn.diffusion_lm for layer in model.encoder.layers}


# Eventful


@each_variant
def test_proposals_are_sometimes_sure_and_sometimes_not(models: dict[Variant, Any], variant: Variant) -> None:
    confidence = spread(models[variant])
    assert confidence.min() < 0.3
    assert confidence.max() > 0.99
    assert 0.1 < (confidence > 0.9).float().mean() < 0.5


@each_variant
@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_steps_commit_one_position_or_several(
    models: dict[Variant, Any], variant: Variant, threshold: float
) -> None:
    counts = {decode(models[variant], prompt, threshold=threshold)[1] for prompt in prompts(8, 9)}
    assert min(counts) < 32
    assert len(counts) > 3


@each_variant
def test_some_answers_hold_an_end_token_and_some_do_not(models: dict[Variant, Any], variant: Variant) -> None:
    ended = [bool((decode(models[variant], p, threshold=0.9)[0] == EOS).any()) for p in prompts(12, 9)]
    assert 2 <= sum(ended) <= 10


@each_variant
def test_answers_are_varied(models: dict[Variant, Any], variant: Variant) -> None:
    answers = torch.cat([decode(models[variant], prompt, threshold=0.9)[0] for prompt in prompts(6, 9)])
    assert answers.unique().numel() > 30
    assert min(row.unique().numel() for row in answers) >= 6


@each_variant
def test_the_mask_id_is_never_predicted(load: Load, variant: Variant) -> None:
    for seed in range(3):
        model = load(variant, seed=seed)
        with torch.no_grad():
            logits = model(torch.arange(128)[None].repeat(1, 2)).logits
        assert (logits[..., MASK] < logits.amax(-1) - 20).all()


@each_variant
def test_a_model_that_likes_the_mask_id_leaves_masks(load: Load, variant: Variant) -> None:
    model = load(variant, predict_mask=True)
    masks = [int((decode(model, prompt, threshold=0.9)[0] == MASK).sum()) for prompt in prompts(12, 9)]
    assert any(masks)
    assert not all(count == 32 for count in masks)


def test_seeds_and_only_seeds_change_the_weights(load: Load) -> None:
    first, again, other = load("labs"), load("labs"), load("labs", seed=1)
    assert torch.equal(first.diffusion_head.weight, again.diffusion_head.weight)
    assert not torch.equal(first.diffusion_head.weight, other.diffusion_head.weight)


# The network


@each_variant
def test_tensors_have_the_published_names(models: dict[Variant, Any], variant: Variant) -> None:
    layer = {f"self_attn.{name}_proj.weight" for name in "qkvo"}
    layer |= {f"mlp.{name}_proj.weight" for name in ("gate", "up", "down")}
    layer |= {"input_layernorm.weight", "post_attention_layernorm.weight"}
    if variant == "gen1":
        layer |= {"self_attn.q_norm.weight", "self_attn.k_norm.weight"}
    names = {f"encoder.layers.{index}.{name}" for index in range(2) for name in layer}
    names |= {"encoder.embed_tokens.weight", "encoder.norm.weight", "diffusion_head.weight"}
    assert set(models[variant].state_dict()) == names


def test_the_first_generation_can_do_without_norms_and_with_biases(load: Load) -> None:
    names = set(load("gen1", disable_qk_norm=True, attention_bias=True).state_dict())
    assert not any("q_norm" in name for name in names)
    assert {f"encoder.layers.1.self_attn.{name}_proj.bias" for name in "qkvo"} <= names


@pytest.mark.parametrize("fields", [{"rope_theta": 1e4}, {"rope_parameters": {"rope_theta": 1e4}}])
def test_the_first_generation_takes_another_theta(load: Load, gen1: Any, fields: dict[str, Any]) -> None:
    (ids,) = prompts(1, 20)
    assert not torch.allclose(load("gen1", **fields)(ids).logits, gen1(ids).logits)


def test_heads_are_wider_than_the_hidden_size_divided_among_them(labs: Any) -> None:
    assert labs.encoder.layers[0].self_attn.q_proj.weight.shape == (64, 48)


def test_frequencies_are_those_of_yarn(labs: Any) -> None:
    expected, factor = ROPE_INIT_FUNCTIONS["yarn"](labs.config, torch.device("cpu"))
    no_positions = torch.zeros(1, 1, dtype=torch.long)
    cosine, _, _ = labs.encoder.places(no_positions, torch.float32)
    one, sine_of_one, _ = labs.encoder.places(no_positions + 1, torch.float32)
    torch.testing.assert_close(torch.atan2(sine_of_one, one)[0, 0, 0, :8], expected)
    torch.testing.assert_close(cosine, torch.full_like(cosine, factor))
    plain = 1e4 ** -(torch.arange(0, 16, 2) / 16)
    assert len({round(float(ratio), 2) for ratio in expected / plain}) == 3  # kept, on the ramp, slowed


def test_queries_grow_past_the_original_length(labs: Any) -> None:
    scale = labs.encoder.places(torch.tensor([[0, 31, 32, 64]]), torch.float32)[2].flatten()
    torch.testing.assert_close(scale, 1 + 0.1 * torch.log(torch.tensor([1.0, 1.0, 2.0, 3.0])))


@pytest.mark.parametrize("on", [True, False])
@each_variant
def test_a_cached_call_sees_what_a_full_one_would(
    models: dict[Variant, Any], variant: Variant, on: bool
) -> None:
    """The context was encoded without what follows: where layers look both ways, the full call must too."""
    model, (ids,) = models[variant], prompts(1, 40, rows=2)
    model.switch_diffusion(on)
    with torch.no_grad():
        context = model(ids[:, :29], use_cache=True, use_causal_mask=not on)
        cached = model(ids[:, 29:], past_key_values=context.past_key_values, use_causal_mask=not on).logits
        full = full_logits(model, ids, 29)
    model.switch_diffusion(True)
    torch.testing.assert_close(cached, full[:, 29:])


def full_logits(model: Any, ids: Tensor, split: int) -> Tensor:
    """Logits of one call without a cache; where it looks both ways, the first ``split`` ids see no others."""
    attentions = [layer.self_attn for layer in model.encoder.layers]
    mask = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool)
    mask[:split, split:] = False
    if attentions[0].diffusion_lm:
        for attention in attentions:
            attention.mask = lambda *_: mask
    logits: Tensor = model(ids).logits
    for attention in attentions:
        attention.__dict__.pop("mask", None)
    return logits


def test_an_uncached_call_leaves_the_cache_alone(labs: Any) -> None:
    (ids,) = prompts(1, 20)
    cache = labs(ids, use_cache=True).past_key_values
    first = labs(ids[:, :BLOCK], past_key_values=cache).logits
    assert cache.get_seq_length() == 20
    assert torch.equal(labs(ids[:, :BLOCK], past_key_values=cache, use_cache=True).logits, first)
    assert cache.get_seq_length() == 20 + BLOCK


def test_a_causal_call_ignores_what_follows(labs: Any) -> None:
    (ids,) = prompts(1, 20)
    labs.switch_diffusion(False)
    torch.testing.assert_close(labs(ids).logits[:, :9], labs(ids[:, :9]).logits)


def test_a_mask_hides_padding_from_a_causal_call_only(labs: Any) -> None:
    (ids,) = prompts(1, 20)
    kept = torch.ones_like(ids)
    kept[:, :3] = 0
    assert torch.equal(labs(ids, attention_mask=kept).logits, labs(ids).logits)
    labs.switch_diffusion(False)
    assert not torch.equal(labs(ids, attention_mask=kept).logits[:, 3:], labs(ids).logits[:, 3:])


def test_the_attention_of_training_is_not_that_of_generation(load: Load, labs: Any) -> None:
    (ids,) = prompts(1, 20)
    as_saved = load("labs", paradigm=None)
    assert as_saved.config.dlm_paradigm == "block_diff"
    assert not torch.allclose(as_saved(ids).logits, labs(ids).logits)


def test_an_autoregressive_model_starts_causal(load: Load, labs: Any) -> None:
    (ids,) = prompts(1, 20)
    model = load("labs", paradigm="autoregressive")
    assert flags(model) == {False}
    labs.switch_diffusion(False)
    assert torch.equal(model(ids).logits, labs(ids).logits)


@each_variant
def test_an_unknown_paradigm_is_refused(load: Load, variant: Variant) -> None:
    with pytest.raises(ValueError, match="dlm_paradigm 'sideways' is unknown"):
        load(variant, paradigm="sideways")


# Denoising


@pytest.mark.parametrize(
    ("variant", "options", "forwards"),
    [("gen1", {}, 8), ("labs", {}, 7), ("labs", {"causal_context": False}, 8)],
)
@pytest.mark.parametrize("threshold", [1.01, None])
def test_a_block_takes_a_forward_a_position_and_one_to_commit(
    models: dict[Variant, Any],
    variant: Variant,
    options: dict[str, Any],
    forwards: int,
    threshold: float | None,
) -> None:
    for prompt in prompts(2, 9):
        assert decode(models[variant], prompt, threshold=threshold, **options)[1] == 4 * (forwards + 1)


@each_variant
def test_threshold_0_fills_a_block_at_once(models: dict[Variant, Any], variant: Variant) -> None:
    for prompt in prompts(2, 9):
        assert decode(models[variant], prompt, threshold=0.0)[1] == 4 * (1 + 1)


@pytest.mark.parametrize(("steps", "per_block"), [(4, 1), (12, 3), (32, 8), (64, 8)])
def test_steps_bound_the_forwards_of_a_block(gen1: Any, steps: int, per_block: int) -> None:
    answer, nfe = decode(gen1, prompts(1, 9)[0], steps=steps, threshold=None)
    assert nfe == 4 * (per_block + 1)
    assert not (answer == MASK).any()


def test_too_few_steps_for_a_threshold_leave_masks(gen1: Any) -> None:
    answer, nfe = decode(gen1, prompts(1, 9)[0], steps=8, threshold=1.01)
    assert nfe == 4 * (2 + 1)
    assert (answer == MASK).sum() == 4 * (BLOCK - 2)


def test_the_first_step_commits_what_reaches_the_threshold_or_the_best(gen1: Any) -> None:
    committed = set()
    for prompt in prompts(12, 9):
        answer, _ = decode(gen1, prompt, BLOCK, steps=1, threshold=0.8)
        cache = gen1(prompt, use_cache=True).past_key_values
        logits = gen1(torch.full((1, BLOCK), MASK), past_key_values=cache).logits
        confidence, token = logits.softmax(-1).max(-1)
        sure = (confidence >= 0.8) | (confidence == confidence.amax())
        assert torch.equal(answer, torch.where(sure, token, MASK))
        committed.add(int(sure.sum()))
    assert len(committed) > 2


def test_a_shift_reads_the_logits_one_to_the_left(gen1: Any) -> None:
    (prompt,) = prompts(1, 9)
    answer, _ = decode(gen1, prompt, BLOCK, steps=1, threshold=0.0, shift_logits=True)
    context = gen1(prompt, use_cache=True)
    block = torch.full((1, BLOCK), MASK)
    logits = gen1(block, past_key_values=context.past_key_values).logits
    expected = torch.cat((context.logits[:, -1:], logits[:, :-1]), dim=1).argmax(-1)
    assert torch.equal(answer, expected)


def test_a_seed_of_the_causal_context_opens_each_block(labs: Any) -> None:
    (prompt,) = prompts(1, 9)
    answer, _ = decode(labs, prompt, threshold=0.5)
    ids = torch.cat((prompt, answer), dim=1)
    labs.switch_diffusion(False)
    following = labs(ids).logits.argmax(-1)
    starts = torch.arange(9, 9 + 32, BLOCK)
    assert torch.equal(ids[:, starts], following[:, starts - 1])


@each_variant
def test_two_rows_of_one_length_decode_as_each_alone(models: dict[Variant, Any], variant: Variant) -> None:
    model, (pair,) = models[variant], prompts(1, 9, rows=2)
    together, nfe = decode(model, pair, threshold=0.9)
    alone = [decode(model, row[None], threshold=0.9) for row in pair]
    assert torch.equal(together, torch.cat([answer for answer, _ in alone]))
    assert max(count for _, count in alone) <= nfe <= sum(count for _, count in alone)


@each_variant
def test_temperature_draws_from_the_global_source(models: dict[Variant, Any], variant: Variant) -> None:
    def drawn(seed: int) -> Tensor:
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return decode(models[variant], prompts(1, 9)[0], threshold=0.9, temperature=1.0)[0]

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


@each_variant
def test_a_length_must_be_whole_blocks(models: dict[Variant, Any], variant: Variant) -> None:
    with pytest.raises(AssertionError, match="multiple of block_length"):
        decode(models[variant], prompts(1, 9)[0], 30, threshold=0.9)


def test_steps_must_be_shared_by_the_blocks(gen1: Any) -> None:
    with pytest.raises(AssertionError, match="multiple of the number of blocks"):
        decode(gen1, prompts(1, 9)[0], steps=30)


# Ends


def ending(model: Any, where: Callable[[int], bool] = lambda place: True) -> tuple[Tensor, Tensor, int]:
    """A prompt, its answer without an early stop, and where in it the first end token stands."""
    for prompt in prompts(40, 9):
        answer, _ = decode(model, prompt, threshold=0.9)
        places = (answer[0] == EOS).nonzero().flatten().tolist()
        if places and where(places[0]):
            return prompt, answer, places[0]
    raise AssertionError("no answer ends there")


def test_the_first_generation_is_deaf_to_ends(gen1: Any) -> None:
    _, answer, place = ending(gen1, lambda place: place < 24)
    assert answer.shape == (1, 32)
    assert (answer[0, place + 1 :] != EOS).any()


@pytest.mark.parametrize("given", [EOS, None])
def test_one_row_is_cut_after_its_first_end(labs: Any, given: int | None) -> None:
    prompt, answer, place = ending(labs, lambda place: place < 31)
    shorter, _ = decode(labs, prompt, threshold=0.9, eos_token_id=given)
    assert torch.equal(shorter, answer[:, : place + 1])


def test_a_block_left_at_an_end_saves_forwards(labs: Any) -> None:
    full = BLOCK - 1 + 1  # the seed stands already, and the commit counts
    ended = [decode(labs, p, BLOCK, threshold=1.01, eos_token_id=EOS) for p in prompts(40, 9)]
    assert all(nfe == full for answer, nfe in ended if EOS not in answer)
    assert any(nfe < full for answer, nfe in ended if EOS in answer)


def test_in_a_batch_an_end_leaves_the_other_rows_masked(labs: Any) -> None:
    def left_masked(pair: Tensor) -> bool:
        plain, _ = decode(labs, pair, threshold=0.9)
        if EOS not in plain[0] or EOS in plain[1]:
            return False
        answers, _ = decode(labs, pair, threshold=0.9, eos_token_id=EOS)
        end = int(plain[0].eq(EOS).int().argmax())
        assert torch.equal(answers[0, : end + 1], plain[0, : end + 1])
        return bool((answers[1] == MASK).any())

    assert any(map(left_masked, prompts(20, 9, rows=2)))


def test_a_batch_is_cut_after_the_latest_of_the_first_ends(labs: Any) -> None:
    ended = (decode(labs, p, threshold=0.0, eos_token_id=EOS) for p in prompts(60, 9))
    places = [answer.shape[1] if answer[0, -1] == EOS else None for answer, _ in ended]
    in_first = [
        (p, at) for p, at in zip(prompts(60, 9), places, strict=True) if at is not None and at <= BLOCK
    ]
    (early, first), (late, second) = (
        min(in_first, key=lambda one: one[1]),
        max(in_first, key=lambda one: one[1]),
    )
    assert first < second
    answers, nfe = decode(labs, torch.cat((early, late)), threshold=0.0, eos_token_id=EOS)
    assert answers.shape == (2, second)
    assert nfe == 2


# Thinking


def test_a_budget_ends_the_thinking(labs: Any) -> None:
    (prompt,) = prompts(1, 9)
    budget = {"max_thinking_tokens": 11, "end_think_token_id": 127}
    answer, _ = decode(labs, prompt, threshold=0.9, **budget)
    plain, _ = decode(labs, prompt, threshold=0.9)
    assert (answer == 127).nonzero().tolist() == [[0, 11]]
    assert torch.equal(answer[:, :BLOCK], plain[:, :BLOCK])


def test_a_budget_that_ends_with_a_block_is_spent_in_the_next(labs: Any) -> None:
    (prompt,) = prompts(1, 9)
    answer, _ = decode(labs, prompt, threshold=0.9, max_thinking_tokens=BLOCK, end_think_token_id=127)
    assert answer[0, BLOCK] == 127


def test_a_row_that_has_stopped_thinking_keeps_its_budget(labs: Any) -> None:
    (prompt,) = prompts(1, 9)
    plain, _ = decode(labs, prompt, threshold=0.9)
    stopped = int(plain[0, 2])
    answer, _ = decode(labs, prompt, threshold=0.9, max_thinking_tokens=20, end_think_token_id=stopped)
    assert torch.equal(answer, plain)


def test_ar_and_speculation_spend_the_same_budget(labs: Any) -> None:
    (prompt,) = prompts(1, 9)
    options = {"eos_token_id": UNUSED, "max_thinking_tokens": 11, "end_think_token_id": 127}
    expected, _ = labs.ar_generate(prompt, 32, **options)
    ids, _ = labs.linear_spec_generate(prompt, 32, BLOCK, **options)
    assert expected[0, 9 + 11] == 127
    assert torch.equal(ids[:, :41], expected)


# One token at a time, and speculation


def test_ar_decoding_appends_what_the_causal_model_says(labs: Any) -> None:
    (prompt,) = prompts(1, 9, rows=2)
    ids, nfe = labs.ar_generate(prompt, 12, eos_token_id=UNUSED)
    assert nfe == 12
    assert torch.equal(ids[:, 9:], labs(ids).logits.argmax(-1)[:, 8:-1])


def test_ar_decoding_stops_when_all_rows_end_at_once(labs: Any) -> None:
    alone = [labs.ar_generate(prompt, 64) for prompt in prompts(20, 9)]
    ends = {tuple(ids[0, :9].tolist()): nfe for ids, nfe in alone if ids[0, -1] == EOS and nfe < 64}
    prompt = torch.tensor([min(ends, key=ends.__getitem__)])
    twins, nfe = labs.ar_generate(prompt.repeat(2, 1), 64)
    assert twins.shape[1] == 9 + nfe
    other = next(ids[:, :9] for ids, count in alone if count != nfe)
    assert labs.ar_generate(torch.cat((prompt, other)), 64)[1] > nfe


@pytest.mark.parametrize("threshold", [0.0, 0.7])
def test_speculation_says_what_ar_decoding_says(labs: Any, threshold: float) -> None:
    drafts = set()
    for prompt in prompts(3, 9):
        expected, _ = labs.ar_generate(prompt, 32, eos_token_id=UNUSED)
        ids, nfe = labs.linear_spec_generate(prompt, 32, BLOCK, eos_token_id=UNUSED, threshold=threshold)
        assert torch.equal(ids[:, :41], expected)
        drafts.add(nfe)
    assert len(drafts) > 1


def test_speculation_stops_at_an_end(labs: Any) -> None:
    for prompt in prompts(12, 9):
        expected, count = labs.ar_generate(prompt, 64)
        ids, _ = labs.linear_spec_generate(prompt, 64, BLOCK)
        assert torch.equal(ids[:, :73], expected)
        assert (ids[0, 9:-1] != EOS).all()
        assert count == 64 or ids.shape == expected.shape


def test_speculation_can_overshoot(labs: Any) -> None:
    lengths = {
        labs.linear_spec_generate(prompt, length, BLOCK, eos_token_id=UNUSED)[0].shape[1] - 9 - length
        for prompt in prompts(2, 9)
        for length in range(2, 12)
    }
    assert min(lengths) == 0
    assert 0 < max(lengths) < BLOCK


def test_speculation_counts_the_prompt_the_drafts_and_the_verifications(labs: Any) -> None:
    calls: list[None] = []
    hook = labs.register_forward_hook(lambda *_: calls.append(None))
    _, nfe = labs.linear_spec_generate(prompts(1, 9)[0], 32, BLOCK, eos_token_id=UNUSED)
    hook.remove()
    assert nfe == len(calls)
    assert nfe % 2 == 1


def test_speculation_takes_one_row(labs: Any) -> None:
    with pytest.raises(ValueError, match="takes one row, not 2"):
        labs.linear_spec_generate(prompts(1, 9, rows=2)[0])


# State


def test_calls_leave_the_attention_as_they_used_it(labs: Any) -> None:
    (prompt,) = prompts(1, 9)
    labs.ar_generate(prompt, 2)
    assert flags(labs) == {False}
    labs.generate(prompt, BLOCK, BLOCK, causal_context=False)
    assert flags(labs) == {False}
    labs.generate(prompt, BLOCK, BLOCK)
    assert flags(labs) == {True}
    labs.generate(prompt, BLOCK, BLOCK, causal_context=False)
    assert flags(labs) == {True}
    labs.linear_spec_generate(prompt, 2, BLOCK)
    assert flags(labs) == {False}


def test_without_causal_context_an_answer_depends_on_the_call_before(labs: Any) -> None:
    (prompt,) = prompts(1, 9)
    fresh, _ = decode(labs, prompt, threshold=0.9, causal_context=False)
    labs.ar_generate(prompt, 2)
    after, _ = decode(labs, prompt, threshold=0.9, causal_context=False)
    assert not torch.equal(fresh, after)
