"""Calling models by their own code: signatures, arguments, results, state, batches."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from llada_core import AlgorithmUnavailable, Answer, ParameterError, PromptError, UsageError
from llada_nemotron import (
    AutoregressiveGeneration,
    LinearSpecGeneration,
    NativeCodeError,
    NemotronGeneration,
    UnfilledMasks,
)
from tests.nemotron.native_doubles import (
    EOS,
    MASK,
    NFE,
    Autoregressive,
    Demanding,
    Double,
    Gen1,
    Labs,
    Megatron,
    Ministral,
    Peft,
    Returning,
    Veiled,
    Words,
)

PROMPT = torch.tensor([[5, 6, 7]])
VARIANTS = [Gen1, Ministral, Labs, Megatron]
ALGORITHMS = [NemotronGeneration, AutoregressiveGeneration, LinearSpecGeneration]


def last_call(model: Double, **params: Any) -> dict[str, Any]:
    NemotronGeneration().generate(model, PROMPT, **params)
    return model.calls[-1]


def answers(model: Double, prompts: list[list[int]], kind: Any = NemotronGeneration, **params: Any) -> Any:
    algorithm = kind()
    return algorithm.answers(model, prompts, algorithm.validate_args(**params))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_published_signature_runs(variant: type[Double]) -> None:
    output, nfe = NemotronGeneration().generate(variant(), PROMPT, gen_length=40, block_length=32)
    assert output.tolist() == [[5, 6, 7, *[1, 2, 3, 4] * 10]]
    assert (output.dtype, nfe) == (torch.int64, NFE)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_call_is_of_whole_blocks_and_the_answer_is_not(variant: type[Double]) -> None:
    model = variant()
    assert last_call(model, gen_length=33, block_length=16)["length"] == 48
    (answer,) = answers(model, [[5]], gen_length=33, block_length=16)
    assert len(answer.token_ids) == 33


@pytest.mark.parametrize(
    ("given", "steps"), [({}, 64), ({"steps": 3}, 4), ({"steps": 64}, 64), ({"threshold": None}, 64)]
)
def test_steps_are_a_multiple_of_the_blocks(given: dict[str, Any], steps: int) -> None:
    assert last_call(Gen1(), gen_length=50, block_length=32, **given)["steps"] == steps


def test_steps_turn_the_threshold_off_unless_both_are_given() -> None:
    assert last_call(Gen1(), steps=8)["threshold"] is None
    assert last_call(Gen1(), steps=8, threshold=0.5)["threshold"] == 0.5
    assert last_call(Gen1())["threshold"] == 0.9


def test_what_stays_unset_is_what_released_models_are_called_with() -> None:
    call = last_call(Gen1())
    assert (call["temperature"], call["shift_logits"]) == (0.0, False)
    assert last_call(Megatron())["shift"] is False
    assert last_call(Megatron())["neg_entropy"] is False
    assert last_call(Labs())["causal_context"] is True
    assert last_call(Labs(), causal_context=False)["causal_context"] is False


def test_the_mask_of_the_config_is_passed_to_a_function_that_would_guess_it() -> None:
    assert last_call(Megatron(mask_token_id=99))["mask"] == 99


def test_nothing_goes_through_open_keywords() -> None:
    assert set(last_call(Ministral())) == {
        "prompt",
        "length",
        "eos",
        "steps",
        "causal_context",
        "temperature",
    }


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (Labs(), {"steps": 8}),
        (Labs(), {"shift_logits": True}),
        (Gen1(), {"causal_context": True}),
        (Gen1(), {"max_thinking_tokens": 4}),
        (Returning(None), {"temperature": 0.5, "threshold": None}),
        (Returning(None), {"threshold": 0.5}),
    ],
)
def test_what_the_model_does_not_take_is_refused(model: Double, given: dict[str, Any]) -> None:
    name = next(iter(given))
    with pytest.raises(
        ParameterError, match=rf"nemotron: {name}=.* whose own generate\(.* does not"
    ) as caught:
        NemotronGeneration().generate(model, PROMPT, gen_length=16, block_length=8, **given)
    assert (caught.value.parameter, caught.value.value) == (name, given[name])
    assert model.calls == []


@pytest.mark.parametrize(
    ("model", "given"),
    [
        (Labs(), {"steps": 16}),
        (Labs(), {"threshold": None}),
        (Labs(), {"shift_logits": False}),
        (Gen1(), {"causal_context": False}),
    ],
)
def test_what_the_model_does_anyway_is_accepted(model: Double, given: dict[str, Any]) -> None:
    NemotronGeneration().generate(model, PROMPT, gen_length=16, block_length=8, **given)
    assert len(model.calls) == 1


def test_a_loaded_algorithm_refuses_before_anything_is_run() -> None:
    algorithm = NemotronGeneration()
    algorithm.model = Labs()
    with pytest.raises(ParameterError, match="steps=8"):
        algorithm.validate_args(steps=8)
    assert algorithm.get_required_args()["steps"] is None


@pytest.mark.parametrize(
    ("model", "found"),
    [
        (
            Autoregressive(),
            r"generate\(inputs, generation_config, \*\*kwargs\), no generate_diffusion, no gen",
        ),
        (Veiled(), r"generate\(\*args, \*\*kwargs\)"),
        (Demanding(), r"generate\(prompt_ids, max_new_tokens, block_length, secret\)"),
        (Double(), "has no generate, no generate_diffusion, no generate_dllm"),
    ],
)
def test_a_model_without_a_fitting_method_is_refused_with_what_it_has(model: Double, found: str) -> None:
    with pytest.raises(AlgorithmUnavailable, match=found) as caught:
        NemotronGeneration().generate(model, PROMPT)
    assert "max_new_tokens or gen_length, and block_length" in caught.value.reason


def test_a_signature_that_cannot_be_read_does_not_fit() -> None:
    model = Double()
    object.__setattr__(model, "generate", dict.fromkeys)
    model.__dict__["generate"] = type
    reason = NemotronGeneration().unfit_reason(model)
    assert reason is not None
    assert "generate with a signature that cannot be read" in reason


@pytest.mark.parametrize("kind", [AutoregressiveGeneration, LinearSpecGeneration])
def test_a_model_without_the_other_ways_points_to_diffusion(kind: Any) -> None:
    reason = kind().unfit_reason(Gen1())
    assert reason.startswith(f"its own code has no {kind.mode.methods[0]};")
    assert reason.endswith("use nemotron")
    assert kind().unfit_reason(Labs()) is None


def test_a_model_whose_attention_is_for_training_is_refused() -> None:
    reason = NemotronGeneration().unfit_reason(Labs(dlm_paradigm="block_diff"))
    assert reason is not None
    assert reason.endswith("load it with dlm_paradigm='bidirectional'")


def test_a_peft_wrapper_is_taken_off() -> None:
    model = Labs()
    output, _ = NemotronGeneration().generate(Peft(model), PROMPT, gen_length=4, block_length=4)
    assert output.tolist() == [[5, 6, 7, 1, 2, 3, 4]]


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (lambda ids: ids, r"a tensor \[1, 3\] of torch.int64"),
        (lambda ids: (ids,) * 10, "a tuple of 10"),
        (lambda ids: (ids, None), "a NoneType in the place of the count"),
        (lambda ids: (ids, -1), "an int in the place of the count: -1"),
        (lambda ids: (ids, True), "a bool in the place of the count"),
        (lambda ids: (ids, 0.5), "a float in the place of the count"),
        (lambda ids: (ids.tolist(), 1), "a list of 1 in the place of the ids"),
        (lambda ids: (ids.float(), 1), "of torch.float32 in the place of the ids"),
        (lambda ids: (ids[:, 1:], 1), "do not begin with the prompt"),
        (lambda ids: (ids + 1, 1), "do not begin with the prompt"),
        (lambda ids: (ids.repeat(2, 1), 1), "do not begin with the prompt"),
    ],
)
def test_a_result_that_is_not_ids_and_a_count_is_refused(returned: Any, said: str) -> None:
    with pytest.raises(NativeCodeError, match=said):
        NemotronGeneration().generate(Returning(returned), PROMPT, threshold=None)


def test_an_answer_that_is_too_short_is_refused() -> None:
    model = Returning(lambda ids: (torch.cat((ids, ids[:, :2]), dim=1), 1))
    with pytest.raises(NativeCodeError, match="wrote 2 of 8 tokens and no end token"):
        NemotronGeneration().generate(model, PROMPT, gen_length=8, block_length=8, threshold=None)


def test_what_the_code_raises_is_told_with_its_type() -> None:
    model = Returning(lambda ids: ids.unknown)
    with pytest.raises(NativeCodeError, match=r"own generate failed \(AttributeError: .*unknown"):
        NemotronGeneration().generate(model, PROMPT, threshold=None)


def test_memory_that_is_full_is_not_dressed_up() -> None:
    def fill(ids: Any) -> Any:
        raise torch.OutOfMemoryError("full")

    with pytest.raises(torch.OutOfMemoryError):
        NemotronGeneration().generate(Returning(fill), PROMPT, threshold=None)


def test_an_answer_ends_with_its_first_end_token() -> None:
    model = Labs([1, EOS, 2, 3], eos_token_id=[3, EOS])
    (answer,) = answers(model, [[5]], gen_length=8, block_length=4)
    assert answer == Answer(token_ids=(1, EOS), nfe=NFE)
    output, _ = NemotronGeneration().generate(model, PROMPT, gen_length=8, block_length=4)
    assert output[0, 3:].tolist() == [1, *[EOS] * 7]


def test_without_early_stop_every_position_is_decoded() -> None:
    model = Labs([1, EOS, 2])
    output, _ = NemotronGeneration().generate(model, PROMPT, gen_length=6, block_length=3, early_stop=False)
    assert output[0, 3:].tolist() == [1, EOS, 2, 1, EOS, 2]
    assert model.calls[-1]["eos"] == -1


def test_the_tokenizer_stands_in_for_a_config_without_an_end_token() -> None:
    algorithm = NemotronGeneration()
    algorithm.tokenizer = Words()
    model = Labs([1, EOS, 2], eos_token_id=None)
    algorithm.generate(model, PROMPT, gen_length=6, block_length=3)
    assert model.calls[-1]["eos"] == EOS


def test_the_generation_config_of_a_model_ends_answers_too() -> None:
    model = Labs([1, 3, 2], eos_token_id=EOS)
    model.generation_config = SimpleNamespace(eos_token_id=[EOS, 3])
    (answer,) = answers(model, [[5]], gen_length=6, block_length=3)
    assert answer.token_ids == (1, 3)
    output, _ = NemotronGeneration().generate(model, PROMPT, gen_length=6, block_length=3)
    assert output[0, 3:].tolist() == [1, *[3] * 5]


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_no_model_is_told(kind: Any) -> None:
    with pytest.raises(UsageError, match="was given no model; call load_model_from_hf first"):
        kind().generate(None, PROMPT)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int64])
def test_ids_of_every_dtype_give_int64(dtype: torch.dtype) -> None:
    output, _ = NemotronGeneration().generate(Labs([1, 2]), PROMPT.to(dtype), gen_length=4, block_length=4)
    assert output.dtype == torch.int64
    assert output.tolist() == [[5, 6, 7, 1, 2, 1, 2]]


def test_masks_that_are_left_are_taken_out_and_told() -> None:
    few = {"gen_length": 8, "block_length": 8, "steps": 2, "threshold": 0.9}
    (answer,) = answers(Gen1([1, MASK, 2, MASK]), [[5]], **few)
    assert answer.token_ids == (1, 2, 1, 2)
    assert answer.warnings == (
        "the model's own code left 4 of 8 positions unfilled; they are left out: "
        "give more steps, or leave steps out",
    )


@pytest.mark.parametrize(
    ("model", "given"), [(Gen1, {}), (Gen1, {"steps": 8}), (Gen1, {"steps": 8, "threshold": 0.9}), (Labs, {})]
)
def test_where_steps_were_enough_the_network_proposed_the_mask(
    model: type[Double], given: dict[str, Any]
) -> None:
    (answer,) = answers(model([1, MASK]), [[5]], gen_length=8, block_length=8, **given)
    (told,) = answer.warnings
    assert told.endswith("it proposed the mask token there; use nemotron_block, which never does")


def test_masks_behind_the_end_token_are_nobodys_concern() -> None:
    (answer,) = answers(Gen1([1, EOS, MASK]), [[5]], gen_length=6, block_length=6)
    assert answer == Answer(token_ids=(1, EOS), nfe=NFE)


@pytest.mark.parametrize(("pad", "filler"), [(None, EOS), (9, 9)])
def test_tensors_are_filled_up_where_masks_were(pad: int | None, filler: int) -> None:
    algorithm = NemotronGeneration()
    algorithm.tokenizer = Words()
    algorithm.tokenizer.pad_token_id = pad
    with pytest.warns(UnfilledMasks, match="left 2 of 4 positions"):
        output, _ = algorithm.generate(Gen1([1, MASK]), PROMPT, gen_length=4, block_length=4)
    assert output[0, 3:].tolist() == [1, 1, filler, filler]


@pytest.mark.filterwarnings("ignore::llada_nemotron.UnfilledMasks")
def test_nothing_to_fill_up_with_is_an_error() -> None:
    model = Gen1([1, MASK], eos_token_id=None)
    with pytest.raises(NativeCodeError, match="neither an EOS nor a padding"):
        NemotronGeneration().generate(model, PROMPT, gen_length=4, block_length=4)


def test_a_mask_that_was_sampled_is_told_as_such() -> None:
    (answer,) = answers(Labs([1, MASK]), [[5]], AutoregressiveGeneration, gen_length=4)
    assert (answer.token_ids, answer.nfe) == ((1, 1), 4)
    assert answer.warnings[0].startswith("the model's own code wrote the mask token at 2 of 4 positions")


def test_rows_of_one_length_share_a_call_without_an_end_token() -> None:
    model = Labs()
    found = answers(model, [[5, 6], [7], [8, 9]], gen_length=4, block_length=4, early_stop=False)
    assert [call["prompt"] for call in model.calls] == [[[5, 6], [8, 9]], [[7]]]
    assert [call["eos"] for call in model.calls] == [-1, -1]
    assert [answer.token_ids for answer in found] == [(1, 2, 3, 4)] * 3


@pytest.mark.parametrize(("model", "early_stop"), [(Labs, True), (Gen1, True), (Gen1, False)])
def test_rows_run_singly_where_one_may_end_before_the_others(model: type[Double], early_stop: bool) -> None:
    loaded = model()
    answers(loaded, [[5, 6], [8, 9]], early_stop=early_stop)
    assert [call["prompt"] for call in loaded.calls] == [[[5, 6]], [[8, 9]]]


def test_linear_speculation_runs_singly_and_its_overshoot_is_cut() -> None:
    model = Labs()
    found = answers(model, [[5, 6], [8, 9]], LinearSpecGeneration, gen_length=6, block_length=4)
    assert [answer.token_ids for answer in found] == [(1, 2, 3, 4, 1, 2)] * 2
    assert [answer.nfe for answer in found] == [NFE, NFE]
    assert model.calls[0]["mask"] == MASK


@pytest.mark.parametrize("gen_length", [1, 5, 33])
def test_linear_speculation_is_asked_for_no_more_than_it_needs(gen_length: int) -> None:
    model = Labs()
    answers(model, [[5, 6]], LinearSpecGeneration, gen_length=gen_length, block_length=32)
    assert model.calls[0]["length"] == gen_length + 16  # the double writes half a block more than asked for


def test_autoregressive_rows_count_their_own_tokens() -> None:
    model = Labs([1, 2, EOS, 4])
    found = answers(model, [[5], [6]], AutoregressiveGeneration, gen_length=8)
    assert [(answer.token_ids, answer.nfe) for answer in found] == [((1, 2, EOS), 3)] * 2
    assert [call["eos"] for call in model.calls] == [EOS]


def test_a_large_group_is_split() -> None:
    model = Labs()
    assert len(answers(model, [[5]] * 33, early_stop=False)) == 33
    assert [len(call["prompt"]) for call in model.calls] == [32, 1]


def test_padding_is_never_passed() -> None:
    model = Labs()
    ids, mask = torch.tensor([[0, 5], [6, 7]]), torch.tensor([[0, 1], [1, 1]])
    output, _ = NemotronGeneration().generate(model, ids, attention_mask=mask, gen_length=4, block_length=4)
    assert [call["prompt"] for call in model.calls] == [[[5]], [[6, 7]]]
    assert output[:, :2].tolist() == ids.tolist()


def test_one_row_may_come_without_a_batch_dimension() -> None:
    output, _ = NemotronGeneration().generate(Labs(), PROMPT[0], gen_length=4, block_length=4)
    assert output.shape == (1, 7)


@pytest.mark.parametrize(
    ("prompt", "mask", "said"),
    [
        (torch.ones(1, 2), None, "a float32 array of shape"),
        (torch.ones(1, 1, 1, dtype=torch.long), None, r"shape \[1, 1, 1\]"),
        (torch.ones(0, 2, dtype=torch.long), None, "the prompt is empty"),
        (torch.ones(2, 0, dtype=torch.long), None, "the prompt is empty"),
        (torch.tensor([[1, MASK]]), None, "holds the mask token"),
        (torch.tensor([[1, 128]]), None, "out of the vocabulary"),
        (PROMPT, torch.ones(1, 3), "attention_mask holds 1.0"),
        (PROMPT, torch.ones(1, 2, dtype=torch.long), "attention_mask has shape"),
        (PROMPT, torch.tensor([[1, 0, 1]]), "a 0 after a 1"),
    ],
)
def test_a_prompt_that_cannot_be_decoded_is_refused(prompt: Any, mask: Any, said: str) -> None:
    with pytest.raises(PromptError, match=said):
        NemotronGeneration().generate(Labs(), prompt, attention_mask=mask)


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_the_layers_attend_as_the_mode_needs_and_are_put_back(kind: Any) -> None:
    for before in (True, False):
        model = Labs()
        model.attention.diffusion_lm = before
        kind().generate(model, PROMPT)
        assert model.attended == [(kind.mode.bidirectional, False)]
        assert (model.attention.diffusion_lm, model.training) == (before, True)


@pytest.mark.parametrize("off", [True, False])
def test_the_switch_of_adapters_is_put_back(off: bool) -> None:
    class Drafting(Labs):
        def write(self, *args: Any, **asked: Any) -> tuple[Tensor, int]:
            self.attention._disable_adapters = True
            return super().write(*args, **asked)

    model = Drafting()
    model.attention._disable_adapters = off
    LinearSpecGeneration().generate(model, PROMPT)
    assert model.attention._disable_adapters is off


@pytest.mark.parametrize("kind", ALGORITHMS)
@pytest.mark.parametrize("model", ["a name", {}, object()])
def test_what_is_no_model_is_refused(kind: Any, model: Any) -> None:
    with pytest.raises(AlgorithmUnavailable, match=r"its own code has no .*; needed is one that takes"):
        kind().generate(model, PROMPT)


def test_a_prefix_that_is_not_causal_does_not_depend_on_the_call_before() -> None:
    model = Labs()
    AutoregressiveGeneration().generate(model, PROMPT)
    NemotronGeneration().generate(model, PROMPT, causal_context=False)
    assert [flag for flag, _ in model.attended] == [False, True]


def test_a_frozen_part_stays_frozen() -> None:
    model = Labs()
    model.attention.eval()
    NemotronGeneration().generate(model, PROMPT)
    assert (model.training, model.attention.training) == (True, False)


def test_a_model_is_called_by_one_thread_at_a_time() -> None:
    inside, most = [], []

    def slow(ids: Any) -> Any:
        inside.append(1)
        most.append(len(inside))
        threading.Event().wait(0.01)
        inside.pop()
        return torch.cat((ids, ids), dim=1), 1

    model = Returning(slow)
    call = {"gen_length": 3, "block_length": 3, "threshold": None}
    threads = [
        threading.Thread(target=NemotronGeneration().generate, args=(model, PROMPT), kwargs=call)
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1, 1, 1, 1]


def test_a_seed_repeats_a_row_and_leaves_the_generator_of_torch_alone() -> None:
    def sampled(rows: int, seed: int) -> list[list[int]]:
        prompt = PROMPT.repeat(rows, 1)
        output, _ = NemotronGeneration().generate(
            Labs(), prompt, gen_length=8, block_length=8, temperature=1.0, seed=seed
        )
        found: list[list[int]] = output[:, 3:].tolist()
        return found

    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    both = sampled(2, seed=4)
    assert torch.equal(torch.rand(1), expected)
    assert both == [*sampled(1, seed=4), *sampled(1, seed=5)]
    assert both[0] != both[1]


def test_rows_of_one_seed_are_one_answer() -> None:
    first, second = answers(Labs(), [[5], [5]], temperature=1.0, seed=3)
    assert first == second


def test_without_a_seed_sampled_rows_share_a_call() -> None:
    model = Labs()
    answers(model, [[5], [5]], temperature=1.0, early_stop=False)
    assert len(model.calls) == 1


def test_a_thinking_budget_comes_with_the_token_that_ends_it() -> None:
    algorithm, model = NemotronGeneration(), Labs()
    algorithm.tokenizer = Words()
    algorithm.generate(model, PROMPT, max_thinking_tokens=4)
    algorithm.generate(model, PROMPT)
    assert [call["thinking"] for call in model.calls] == [(4, 13), (None, None)]


def test_a_thinking_budget_needs_a_tokenizer() -> None:
    with pytest.raises(ParameterError, match="max_thinking_tokens=4 needs the id of </think>"):
        NemotronGeneration().generate(Labs(), PROMPT, max_thinking_tokens=4)


@pytest.mark.parametrize("kind", ALGORITHMS)
def test_thinking_is_for_the_chat_template(kind: Any) -> None:
    with pytest.raises(ParameterError, match="enable_thinking=True has no effect on a prompt of ids"):
        kind().generate(Labs(), PROMPT, enable_thinking=True)
    kind().generate(Labs(), PROMPT, enable_thinking=False)
    assert answers(Labs(), [[5]], kind, enable_thinking=True)


def test_a_model_that_is_let_go_is_gone() -> None:
    import gc
    import weakref

    model = Labs()
    NemotronGeneration().generate(model, PROMPT)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
