"""What has gone wrong where these models are decoded, a test each: which of it is kept, and which is not.

The numbers are those of the list of upstream's bugs: L1 to L4, L6, L7, L9 and L10. L5 (everything before the
block is run again in every forward), L8 (a router in bfloat16) and L11 (transformers 5) are not of this code:
`test_network` and `test_goldens` show the first two.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import llada_core
from llada_core import GenerationRequest, LoadedModel, ParameterError, PromptError
from llada_llada2.policies import Edited, Grouped
from llada_llada2.rules import DrawnSchedule, Editing, Penalised, Schedule, Surest
from llada_runtime.network.layout import Layout, Span
from tests.llada2.golden_data import CASES, golden_model, run, sequence_of
from tests.llada2.random_rows import NAMES, prompt
from tests.llada2.tiny_models import MASK, write_model

each_algorithm = pytest.mark.parametrize("name", NAMES)
SHORT: dict[str, Any] = {"gen_length": 16, "block_length": 8, "early_stop": False}


@pytest.fixture(scope="module")
def likes_masks(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A network whose likeliest token is often the mask."""
    folder = write_model(tmp_path_factory.mktemp("masks"), predict_mask=True)
    return llada_core.load_model(folder, device="cpu")


def likes(lm: LoadedModel, ids: list[int]) -> int:
    """How many of ``ids`` the network would have be the mask."""
    network, length = lm.model.network, len(ids)
    span = Span(ids=ids, lo=0, hi=length, length=length, head_lo=0, head_hi=length, stride=8)
    logits = network.logits(Layout.of([span], device=network.device, merge=network.merges), None)
    return int((logits.argmax(-1) == MASK).sum())


@each_algorithm
def test_the_mask_is_never_written_nor_edited_in(likes_masks: LoadedModel, name: str) -> None:
    """L6, not kept: upstream may commit the mask, or edit a token back into it, and loops without end."""
    source = random.Random(name)
    assert sum(likes(likes_masks, [*prompt(source), *[MASK] * 16]) for _ in range(4)) > 0
    for step in likes_masks.stream(prompt(source), algorithm=name, **SHORT):
        assert MASK not in step.tokens
    assert None not in step.ticket.canvas


@pytest.mark.parametrize("name", ["llada2_edit", "llada2_joint_threshold"])
@pytest.mark.parametrize("most", [0, 1, 5])
def test_tokens_that_change_places_for_ever_end_with_the_budget(
    lm: LoadedModel, name: str, most: int
) -> None:
    """L10, kept: two tokens may swap in each forward of a full block. SGLang's last look at the budget costs
    a forward, which edits nothing."""
    source, looks = random.Random(7), name == "llada2_joint_threshold"
    spent = 0
    for _ in range(2):
        ids = [source.randrange(14, 100) for _ in range(8)]
        asked = {**SHORT, "threshold": 0.3, "edit_threshold": 0.0, "max_post_edit_steps": most}
        steps = list(lm.stream(ids, algorithm=name, **asked))
        for block in (0, 1):
            own = [step for step in steps if step.block == block]
            full = [step for step in own if len(step.positions) == len(step.revoked)]
            assert own[len(own) - len(full) :] == full  # once it is full no mask comes back
            assert len(full) <= most + looks
            spent += len(full) == most + looks
            assert not (looks and full[-1].positions)
    assert spent > 0


@each_algorithm
def test_an_end_token_in_the_prompt_ends_nothing(name: str) -> None:
    """L4, not kept: upstream's search for the first end token begins with the prompt."""
    network = golden_model("moe-64")  # which never proposes an end token
    (eos,) = network.config.eos_ids
    asked = {"gen_length": 16, "block_length": 8, **({"eos_early_stop": True} if name == "llada2" else {})}
    answer, nfe = answer_of(network, [20, eos, 21], name, asked)
    assert eos not in answer
    assert nfe >= 3  # three blocks


def answer_of(network: Any, ids: list[int], name: str, asked: dict[str, Any]) -> tuple[list[int], int]:
    algorithm = llada_core.get_algorithm(name)
    output, nfe = algorithm.generate(network, torch.tensor([ids]), **asked)
    return output[0, len(ids) :].tolist(), nfe


@each_algorithm
def test_the_answer_is_the_answer_alone_and_no_longer_than_asked(lm: LoadedModel, name: str) -> None:
    """L3, not kept: upstream's early stop returns the prompt too, and text behind ``gen_length``."""
    ids = list(range(20, 31))
    for length in (1, 5, 13):
        output, _ = lm.algorithm(name).generate(
            lm.model.network, torch.tensor([ids]), gen_length=length, block_length=8
        )
        assert output.shape == (1, len(ids) + length)
        assert output[0, : len(ids)].tolist() == ids


def test_early_stop_inside_a_block_saves_forwards_and_changes_no_token() -> None:
    """Kept from 2.0: without ``eos_early_stop`` the block of the end token is decoded to its end."""
    saved = 0
    for case in CASES:
        if case["algorithm"] != "llada2_generate" or "eos" not in " ".join(case["covers"]):
            continue
        rows = []
        for stops in (False, True):
            params = {**case["params"], "eos_early_stop": stops}
            rows.append(sequence_of({**case, "params": params}))
        run(case["model"], *rows)
        (eos,) = golden_model(case["model"]).config.eos_ids
        answers = [row.canvas[row.prompt_length :] for row in rows]
        cut = [answer[: answer.index(eos) + 1] if eos in answer else answer for answer in answers]
        assert cut[0] == cut[1]
        saved += rows[0].nfe - rows[1].nfe
    assert saved > 0


def test_2_1_decodes_behind_an_end_token_only_if_asked_to(lm: LoadedModel) -> None:
    """Kept as ``early_stop=False``: the answer is the same, and blocks behind its end are run for nothing."""
    source, spent = random.Random(1), 0
    for _ in range(4):
        ids = prompt(source)
        asked = {"gen_length": 16, "block_length": 4, "threshold": 0.5}
        stopped, whole = (
            lm.generate(ids, algorithm="llada2_edit", early_stop=stops, **asked) for stops in (True, False)
        )
        assert stopped.token_ids == whole.token_ids
        spent += whole.nfe - stopped.nfe
    assert spent > 0


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
def test_an_editing_threshold_of_0_overwrites_at_every_disagreement(
    lm: LoadedModel, threshold: float
) -> None:
    """Kept from HF and SGLang; in diffusers the same number switches editing off."""
    asked = {"gen_length": 16, "block_length": 8, "threshold": 0.3, "max_post_steps": 2}
    edits = sum(
        len(step.revoked)
        for step in lm.stream(
            list(range(20, 26)), algorithm="llada2_edit", editing_threshold=threshold, **asked
        )
    )
    assert (edits > 0) is (threshold < 1)


def test_only_generated_tokens_of_the_block_in_work_are_edited(lm: LoadedModel) -> None:
    """What a prompt has in the first block stands, and so does a finished block."""
    ids = list(range(20, 31))  # three of them in the second block
    asked = {**SHORT, "threshold": 0.3, "editing_threshold": 0.0, "max_post_steps": 4}
    for step in lm.stream(ids, algorithm="llada2_edit", **asked):
        assert step.ticket.row.canvas[: len(ids)] == ids
        first = 0 if step.block == 0 else 8 * step.block - 3
        assert all(first <= position < 8 * step.block + 5 for position in step.revoked)


def test_the_published_code_takes_steps_of_2_1_and_ignores_them() -> None:
    """L7, not kept: what does nothing is refused."""
    for name in ("steps", "minimal_topk"):
        with pytest.raises(ParameterError, match=f"{name}"):
            llada_core.get_algorithm("llada2_edit").validate_args(**{name: 4})


@pytest.mark.parametrize("name", ["llada2", "llada2_edit"])
def test_a_drawn_token_is_as_sure_as_what_it_was_drawn_from(lm: LoadedModel, name: str) -> None:
    """L9, kept: above temperature 0, confidence is the probability after temperature and filters. With one
    token left to draw it is 1, and all positions pass any threshold."""
    asked = {**SHORT, "threshold": 0.99, "temperature": 2.0, "top_k": 1, "seed": 5}
    more = {"max_post_steps": 0} if name == "llada2_edit" else {}
    steps = list(lm.stream(list(range(20, 28)), algorithm=name, **asked, **more))
    assert [len(step.positions) - len(step.revoked) for step in steps] == [8, 8]
    assert min(sure for step in steps for sure in step.confidence) < 0.9  # what is told is the network's own


FILTERED = {"top_k": 4, "top_p": 0.9, "min_p": 0.01}
EXTREMES = [5e-324, 1e-300, 1e-45, 1e-39, 1e-3, 1e30, 1e300]


@pytest.mark.parametrize(("name", "more"), [("llada2", FILTERED), ("llada2_edit", {})])
@pytest.mark.parametrize("temperature", EXTREMES)
def test_any_temperature_above_0_decodes(
    lm: LoadedModel, name: str, temperature: float, more: dict[str, Any]
) -> None:
    """What no number holds any more is as cold or as hot as can be: the likeliest token, or any."""
    asked = {"gen_length": 8, "block_length": 8, "temperature": temperature, "seed": 1, **more}
    found = lm.generate(list(range(20, 28)), algorithm=name, early_stop=False, **asked)
    assert found.nfe >= 1


@pytest.mark.parametrize("temperature", EXTREMES)
def test_a_drawn_token_has_the_probability_of_the_limit(lm: LoadedModel, temperature: float) -> None:
    algorithm = lm.algorithm("llada2")
    params = algorithm.validate_args(gen_length=8, temperature=temperature)
    row = algorithm.sequence(lm.model.network, [20], params)
    logits = torch.tensor([[1.0, 3.0, 2.0, -torch.inf]]).expand(3, -1)
    found = row.rule.score(row, logits, torch.tensor([1, 2, 3])).tolist()
    first, second = (1.0, 0.0) if temperature < 1 else (1 / 3, 1 / 3)
    assert found == pytest.approx([first, second, 0.0], abs=1e-9)


def test_an_edit_takes_the_likeliest_token_by_its_raw_probability(lm: LoadedModel) -> None:
    """Part of L9 that is not kept: the published code edits by the token that it draws."""
    algorithm = lm.algorithm("llada2_edit")
    asked = {"gen_length": 6, "block_length": 8, "editing_threshold": 0.6, "temperature": 50.0, "top_k": 2}
    row = algorithm.sequence(lm.model.network, [20, 21], algorithm.validate_args(**asked))
    row.commit([2, 3], [30, 31])
    logits = torch.full((8, lm.model.network.config.vocab_size), -99.0)
    logits[2, [30, 40]] = torch.tensor([0.0, 1.0])  # 0.73 at temperature 1, and no 0.6 at 50
    logits[3, [31, 41]] = torch.tensor([0.0, 0.1])
    for _ in range(20):
        assert row.rule.replace(row, 0, logits) == {2: 40}


def test_an_answer_that_is_shortened_below_minimal_topk_has_a_step(lm: LoadedModel) -> None:
    asked = {"gen_length": 64, "minimal_topk": 8, "threshold": None}
    request = GenerationRequest(prompt=[20] * 508, algorithm="llada2", parameters=asked, shorten=True)
    (found,) = lm.generate_batch([request])
    assert 1 <= len(found.token_ids) <= 4
    assert lm.generate([20] * 4, gen_length=4, minimal_topk=8, threshold=None, block_length=4).nfe == 1


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Schedule(threshold=0.5, steps=0), "steps=0 is out of range; give 1 or more"),
        (lambda: Surest(threshold=0.5, least=0), "least=0"),
        (lambda: DrawnSchedule(threshold=0.5, least=-1, steps=4), "least=-1"),
        (lambda: Editing(threshold=0.5, editing_threshold=0.5, most_post=-1), "most_post=-1"),
        (lambda: Penalised(threshold=0.5, editing_threshold=0.5, most_post=1, penalty=-0.5), "penalty=-0.5"),
        (lambda: Penalised(threshold=0.5, editing_threshold=0.5, most_post=1, penalty=math.nan), "=nan"),
        (lambda: Edited(most_post=-1), "most_post=-1"),
        (lambda: Grouped(maximum_unroll=0, expected_tpf=1), "maximum_unroll=0"),
        (lambda: Grouped(maximum_unroll=1, expected_tpf=0), "expected_tpf=0"),
    ],
)  # fmt: skip
def test_rules_and_policies_refuse_numbers_that_cannot_be(make: Callable[[], object], told: str) -> None:
    with pytest.raises(ParameterError, match=told):
        make()


def test_each_publication_means_its_own_by_eos_early_stop(lm: LoadedModel) -> None:
    """2.0 leaves a block at once, 2.1 ends the answer behind one; what else there is has no such name."""
    told = {
        name: [one.name for one in lm.algorithm(name).parameters if "eos_early_stop" in one.names]
        for name in NAMES
    }
    assert told.pop("llada2") == ["eos_early_stop"]
    assert told.pop("llada2_edit") == ["early_stop"]
    assert not any(told.values())


@each_algorithm
def test_a_prompt_that_holds_the_mask_is_refused(lm: LoadedModel, name: str) -> None:
    """SGLang protects such tokens by a mask of the prompt; here they are no text, and an error."""
    with pytest.raises(PromptError, match="mask"):
        lm.generate([20, MASK, 21], algorithm=name)


@each_algorithm
def test_an_answer_beyond_the_models_length_is_refused(lm: LoadedModel, name: str) -> None:
    with pytest.raises(ParameterError, match=r"give a gen_length .* of at most 12, or shorten the prompt"):
        lm.generate([20] * 500, algorithm=name, gen_length=13)
    assert lm.generate(
        [20] * 500, algorithm=name, gen_length=12, block_length=32
    ).nfe  # the canvas may be longer


def test_a_penalty_holds_for_the_token_before(lm: LoadedModel) -> None:
    """Kept from SGLang: the logit of what stands one position before is lowered, inside the block. Behind a
    mask that is the mask's, which is -inf in a decode: there it changes nothing, unlike in SGLang."""
    algorithm = lm.algorithm("llada2_joint_threshold")
    params = algorithm.validate_args(gen_length=6, block_length=4, penalty_lambda=2.0)
    row = algorithm.sequence(lm.model.network, [20, 21, 22, 23, 24], params)
    row.commit([6], [30])
    assert row.rescores
    logits = torch.zeros(4, lm.model.network.config.vocab_size)
    logits[:, MASK] = -torch.inf
    row.rule.rescore(row, logits, torch.tensor([False, True, False, True]))
    assert (logits[:, MASK] == -torch.inf).all()
    logits[:, MASK] = 0
    lowered = {tuple(place): float(logits[tuple(place)]) for place in logits.nonzero().tolist()}
    assert lowered == {(1, 24): -2.0, (3, 30): -2.0}
    plain = algorithm.rule(algorithm.validate_args())
    assert not plain.rescores


def test_a_block_of_one_position_has_nothing_before_it_to_be_penalised(lm: LoadedModel) -> None:
    asked = {"gen_length": 4, "block_length": 1, "penalty_lambda": 2.0, "max_post_edit_steps": 1}
    answer, _ = answer_of(lm.model.network, [20, 21], "llada2_joint_threshold", asked)
    assert MASK not in answer


def test_a_penalty_changes_confidences_and_so_what_is_written(lm: LoadedModel) -> None:
    asked, source, changed = {**SHORT, "edit_threshold": 0.3, "max_post_edit_steps": 2}, random.Random(3), 0
    for _ in range(2):
        ids = prompt(source)
        none, tiny, much = (
            answer_of(lm.model.network, ids, "llada2_joint_threshold", {**asked, "penalty_lambda": by})
            for by in (0.0, 1e-9, 8.0)
        )
        assert none == tiny
        changed += none != much
    assert changed > 0


def test_a_rule_edits_what_stands_and_leaves_masks_and_the_prompt(lm: LoadedModel) -> None:
    """On logits written by hand: one token is to change, one is sure of itself, one is not sure enough."""
    algorithm = lm.algorithm("llada2_edit")
    params = algorithm.validate_args(gen_length=6, block_length=8, editing_threshold=0.9)
    row = algorithm.sequence(lm.model.network, [20, 21], params)
    row.commit([2, 3, 4], [30, 31, 32])
    logits = torch.zeros(8, lm.model.network.config.vocab_size)
    for column, token, height in ((0, 40, 99), (2, 41, 99), (3, 31, 99), (4, 42, 5), (6, 43, 99)):
        logits[column, token] = height
    rule = row.rule
    assert isinstance(rule, Editing)
    assert rule.replace(row, 0, logits) == {2: 41}


def test_a_wrong_mask_of_attention_is_not_possible(tmp_path: Path) -> None:
    """L1 and L2, not kept: no mask is added, in whatever dtype, and blocks see what they should."""
    network = llada_core.load_model(write_model(tmp_path), device="cpu").model.network
    ids = list(range(20, 36))
    changed = [*ids[:8], *reversed(ids[8:])]
    logits = []
    for each in (ids, changed):
        span = Span(ids=each, lo=0, hi=16, length=16, head_lo=0, head_hi=16, stride=8)
        logits.append(network.logits(Layout.of([span], device=network.device, merge=network.merges), None))
    assert torch.equal(logits[0][:8], logits[1][:8])
    assert (logits[0][8:] - logits[1][8:]).abs().max() > 0.1


def test_a_blank_is_not_filled_nor_scored(lm: LoadedModel) -> None:
    for name in NAMES:
        with pytest.raises(
            llada_core.AlgorithmUnavailable, match="cannot fill blanks: its network sees nothing"
        ):
            lm.infill("a{{2}}b", algorithm=name)
        with pytest.raises(llada_core.AlgorithmUnavailable, match="cannot score: its network sees nothing"):
            lm.score("a{{1}}b", ["c"], algorithm=name)


def test_a_request_names_its_algorithm_by_upstreams_name(lm: LoadedModel) -> None:
    asked = GenerationRequest(
        prompt=[20, 21], algorithm="sglang_joint_threshold", parameters={"gen_length": 4}
    )
    (result,) = lm.generate_batch([asked])
    assert result.algorithm == "llada2_joint_threshold"
