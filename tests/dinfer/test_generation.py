"""The engine's classes: parameters that go together, ragged batches, and what upstream gets wrong."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

import llada_core
import llada_dinfer
from llada_core import GenerationAlgorithm, ParameterError
from llada_dinfer import BlockWiseGeneration, CreditGeneration, DInferGeneration, HierarchyGeneration
from llada_dinfer.iteration import Iteration, Smoothing, Vicinity
from llada_dinfer.rules import CreditQuota, CreditThreshold, Hierarchy, Ledger, NearTieThreshold
from llada_runtime import LLaDAModel, Quota, RemoteNetwork, Sequence, drain
from llada_runtime.testing import EOS, MASK, FakeNetwork, constant_llada, small_llada

pytestmark = pytest.mark.alone

ALGORITHMS = ["dinfer_blockwise", "dinfer_hierarchy", "dinfer_credit"]
needs_fast_dllm = pytest.mark.skipif(
    "fast-dllm" not in llada_core.list_engines(), reason="the engine fast-dllm is not installed"
)
SHORT = {"gen_length": 12, "block_length": 4}


@pytest.fixture(scope="module")
def model() -> LLaDAModel:
    return small_llada(scale=0.4, max_sequence_length=256)


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> GenerationAlgorithm:
    return llada_core.get_algorithm(request.param)


def decoded(algorithm: Any, model: LLaDAModel, prompts: list[list[int]], **given: Any) -> list[Sequence]:
    params = algorithm.validate_args(**given)
    sequences = [algorithm.sequence(model, prompt, params) for prompt in prompts]
    for _ in drain(model, sequences, rows=32):
        pass
    return sequences


def test_the_public_classes_are_these() -> None:
    assert llada_dinfer.__all__ == [
        "BlockWiseGeneration",
        "CreditGeneration",
        "DInferGeneration",
        "HierarchyGeneration",
    ]


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("dinfer_blockwise", BlockWiseGeneration),
        ("dinfer", BlockWiseGeneration),
        ("dinfer_block", BlockWiseGeneration),
        ("blockwise", BlockWiseGeneration),
        ("dinfer_hierarchy", HierarchyGeneration),
        ("dinfer_hierarchical", HierarchyGeneration),
        ("dinfer_credit", CreditGeneration),
        ("dinfer_credit_threshold", CreditGeneration),
    ],
)
def test_names_and_aliases_give_these_classes(name: str, cls: type) -> None:
    assert type(llada_core.get_algorithm(name)) is cls
    assert issubclass(cls, DInferGeneration)


@needs_fast_dllm
def test_the_engine_is_preferred_for_llada_over_fast_dllm() -> None:
    dinfer, fast_dllm = llada_core.get_engine("dinfer"), llada_core.get_engine("fast-dllm")
    assert dinfer.default_algorithm == "dinfer_blockwise"
    assert dinfer.priority > fast_dllm.priority


def test_the_engine_estimates_memory_as_the_runtime_does() -> None:
    assert llada_core.get_engine("dinfer").spec.memory == "llada_runtime.memory:estimate"


def test_the_defaults_are_the_dual_cache_without_surplus_iterations(algorithm: Any) -> None:
    policy = algorithm.policy(algorithm.validate_args())
    assert policy == Iteration(cache="dual", update_freq=None, maximum_unroll=1, expected_tpf=8)


@pytest.mark.parametrize(
    ("given", "vicinity"),
    [
        ({"prefix_look": 0}, None),
        ({"prefix_look": 4}, Vicinity(prefix_look=4, after_look=0, warmup_steps=0)),
        ({"after_look": 4, "warmup_steps": 2}, Vicinity(prefix_look=0, after_look=4, warmup_steps=2)),
    ],
)
def test_one_of_three_parameters_opens_the_vicinity_window(
    algorithm: Any, given: dict[str, Any], vicinity: Vicinity | None
) -> None:
    assert algorithm.policy(algorithm.validate_args(**given)).vicinity == vicinity


def test_cont_weight_switches_smoothing_on_with_the_published_values(algorithm: Any) -> None:
    values = algorithm.validate_args(cont_weight=0.3, threshold_decay=0.05)
    expected = Smoothing(weight=0.3, weight_init=0.15, weight_growth=0.02, threshold_decay=0.05)
    assert algorithm.policy(values).smoothing == expected
    assert values["cont_weight_init"] == 0.15
    assert algorithm.validate_args()["cont_weight_init"] is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            {"prefix_look": 4, "cache": "prefix"},
            "prefix_look=4 needs cache='dual', and",
        ),
        ({"warmup_steps": 1, "cache": None}, "warmup_steps=1 needs cache='dual', and cache is 'none'"),
        ({"cache_update_freq": 2, "cache": "none"}, "cache_update_freq=2 has nothing to rebuild"),
        ({"cont_weight_init": 0.1}, "cont_weight_init=0.1 only works with iteration smoothing"),
        ({"threshold_decay": 0.1}, "threshold_decay=0.1 only works with iteration smoothing"),
        ({"cache": "full"}, "cache"),
        ({"maximum_unroll": 0}, "maximum_unroll"),
        ({"prefix_look": -1}, "prefix_look"),
        ({"cont_weight": 2.0}, "cont_weight"),
        ({"factor": 1.0}, "factor"),
        ({"remasking": "random"}, "remasking"),
        ({"threshold": 2}, "threshold"),
        ({"block_length": 0}, "block_length"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(
    algorithm: Any, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        algorithm.validate_args(**given)


@pytest.mark.parametrize(
    ("name", "foreign"),
    [
        ("dinfer_blockwise", "low_threshold"),
        ("dinfer_hierarchy", "steps"),
        ("dinfer_blockwise", "credit_alpha"),
    ],
)
def test_a_parameter_of_another_decoder_is_refused(name: str, foreign: str) -> None:
    with pytest.raises(ParameterError, match=foreign):
        llada_core.get_algorithm(name).validate_args(**{foreign: 1})


def test_a_decay_without_a_threshold_is_refused(algorithm: Any) -> None:
    with pytest.raises(ParameterError, match="has no threshold to lower"):
        algorithm.validate_args(cont_weight=0.3, threshold_decay=0.1, threshold=None)


@pytest.mark.parametrize("name", ["dinfer_blockwise", "dinfer_credit"])
def test_a_schedule_with_aligned_blocks_is_refused(name: str) -> None:
    with pytest.raises(ParameterError, match="blocks then depends on the prompt"):
        llada_core.get_algorithm(name).validate_args(steps=16, start_block_align=True)


@pytest.mark.parametrize(
    ("name", "given", "rule"),
    [
        ("dinfer_blockwise", {"threshold": 0.8}, NearTieThreshold(0.8)),
        ("dinfer_blockwise", {"steps": 10}, Quota(3)),
        ("dinfer_blockwise", {"threshold": None}, Quota(32)),
        ("dinfer_hierarchy", {"threshold": None}, Hierarchy(None, 0.4)),
        ("dinfer_hierarchy", {"low_threshold": None}, Hierarchy(0.9, None)),
        ("dinfer_credit", {}, CreditThreshold(threshold=0.9, alpha=0.7, gamma=0.2, beta=0.8)),
        (
            "dinfer_credit",
            {"steps": 4, "credit_alpha": 1},
            CreditQuota(steps=1, alpha=1.0, gamma=0.2, beta=0.8),
        ),
    ],
)
def test_the_parameters_choose_the_rule(name: str, given: dict[str, Any], rule: Any) -> None:
    algorithm: Any = llada_core.get_algorithm(name)
    assert algorithm.rule(algorithm.validate_args(**given)) == rule


def test_ragged_rows_of_any_decoder_answer_as_if_alone(algorithm: Any, model: LLaDAModel) -> None:
    prompts = [[1, 2, 3, 4, 5], [6], [7, 8, 9]]
    together = decoded(algorithm, model, prompts, **SHORT, threshold=0.5)
    alone = [decoded(algorithm, model, [prompt], **SHORT, threshold=0.5)[0] for prompt in prompts]
    assert [(s.canvas, s.nfe) for s in together] == [(s.canvas, s.nfe) for s in alone]


def test_each_request_has_its_own_temperature_threshold_and_steps(model: LLaDAModel) -> None:
    algorithm: Any = llada_core.get_algorithm("dinfer_blockwise")
    requests = [{"threshold": 0.0}, {"threshold": 1.0}, {"steps": 6}, {"temperature": 4.0, "seed": 1}]
    params = [algorithm.validate_args(early_stop=False, cache="none", **SHORT, **given) for given in requests]
    sequences = [algorithm.sequence(model, [1, 2, 3], values) for values in params]
    for _ in drain(model, sequences, rows=32):
        pass
    assert [sequence.nfe for sequence in sequences[:3]] == [3, 12, 6]
    assert sequences[3].canvas != sequences[1].canvas


def test_the_nfe_is_the_number_of_forwards(algorithm: Any, model: LLaDAModel) -> None:
    calls = 0
    original = model.logits

    def counted(*args: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return original(*args)

    model.logits = counted  # type: ignore[method-assign]
    try:
        _, nfe = algorithm.generate(model, torch.tensor([[1, 2]]), maximum_unroll=3, expected_tpf=1, **SHORT)
    finally:
        del model.logits
    assert nfe == calls


def test_surplus_iterations_cost_forwards_and_change_nothing(model: LLaDAModel) -> None:
    algorithm = llada_core.get_algorithm("dinfer_blockwise")
    (lean,) = decoded(algorithm, model, [[1, 2]], **SHORT, threshold=0.0)
    (unrolled,) = decoded(
        algorithm, model, [[1, 2]], **SHORT, threshold=0.0, maximum_unroll=4, expected_tpf=1
    )
    assert lean.canvas == unrolled.canvas
    assert lean.nfe < unrolled.nfe


def test_credit_of_one_request_does_not_leak_into_the_next(model: LLaDAModel) -> None:
    algorithm = llada_core.get_algorithm("dinfer_credit")
    runs = [decoded(algorithm, model, [[3, 1, 2]], **SHORT, credit_alpha=2.0)[0] for _ in range(3)]
    assert len({(tuple(run.canvas), run.nfe) for run in runs}) == 1


def test_credit_is_what_the_dense_matrix_would_be() -> None:
    rule = CreditThreshold(threshold=0.9, alpha=0.7, gamma=0.2, beta=0.8)
    sequence: Any = SimpleNamespace(rule_state=None, block=0)
    dense = torch.zeros(6, 40)
    source = torch.Generator().manual_seed(0)
    for _ in range(12):
        logits = torch.randn(6, 40, generator=source) * 2
        open_ = torch.rand(6, generator=source) < 0.8
        probability, best = logits.softmax(-1).max(-1)
        dense *= 0.8
        dense[torch.arange(6), best] += probability.pow(0.2) * open_
        fused = logits.clone()
        rule.rescore(sequence, fused, open_)
        torch.testing.assert_close(fused, logits + 0.7 * dense.log1p())


def test_credit_begins_anew_with_each_block() -> None:
    rule = CreditThreshold(threshold=0.9, alpha=0.7, gamma=0.2, beta=0.8)
    sequence: Any = SimpleNamespace(rule_state=None, block=0)
    logits = torch.randn(4, 9, generator=torch.Generator().manual_seed(1))
    everywhere = torch.ones(4, dtype=torch.bool)
    first, second = logits.clone(), logits.clone()
    rule.rescore(sequence, first, everywhere)
    sequence.block = 1
    rule.rescore(sequence, second, everywhere)
    assert torch.equal(first, second)


def test_credit_takes_kilobytes_where_a_dense_matrix_takes_megabytes() -> None:
    rule = CreditThreshold(threshold=0.9, alpha=0.7, gamma=0.2, beta=0.8)
    sequence: Any = SimpleNamespace(rule_state=None, block=0)
    forwards, positions = 64, 64
    for seed in range(forwards):
        logits = torch.randn(positions, 2000, generator=torch.Generator().manual_seed(seed))
        rule.rescore(sequence, logits, torch.ones(positions, dtype=torch.bool))
    ledger: Ledger = sequence.rule_state
    held = sum(t.numel() * t.element_size() for t in (ledger.tokens, ledger.credit))
    assert held <= positions * forwards * 12  # bytes: an int64 and a float32 a position and forward
    assert held < positions * 126464 * 4 / 500


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.5, 0.7, None, 0.6, 0.45], [1, 3]),  # the best of each run
        ([0.5, 0.7, 0.6, 0.45, 0.41], [1]),  # one run: one
        ([0.5, 0.95, 0.92, None, 0.3], [1, 2]),  # above the threshold; a run below the low one waits
        ([0.1, 0.2, None, 0.15, None], [1]),  # none above the low threshold: the best of all
        ([0.5, 0.5, 0.2, None, 0.2], [0, 1]),  # equals of a run are all its best
        ([None, None, None, None, 0.1], [4]),
        ([None] * 5, []),
    ],
)
def test_hierarchy_keeps_the_best_of_every_run(scores: list[float | None], expected: list[int]) -> None:
    row = torch.tensor([[-1.0 if s is None else s for s in scores]], dtype=torch.float64)
    sequence: Any = SimpleNamespace(rule=Hierarchy(0.9, 0.4), policy=None, policy_state=None)
    kept = Hierarchy.select([sequence], row, row >= 0)
    assert kept[0].nonzero()[:, 0].tolist() == expected


def test_hierarchy_decides_ties_in_float32() -> None:
    scores = torch.tensor([[1 - 1e-9, 1 - 1e-10, 0.99, 1 - 1e-6]], dtype=torch.float64)
    sequence: Any = SimpleNamespace(rule=Hierarchy(None, 0.4), policy=None, policy_state=None)
    assert Hierarchy.select([sequence], scores, scores >= 0).tolist() == [[True, True, False, False]]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [
        ([0.5, 0.5 - 5e-6, 0.4], [0, 1]),  # a near tie below the threshold
        ([0.5, 0.5 - 5e-5, 0.4], [0]),
        ([0.95, 0.9, 0.89], [0, 1]),
        ([None, 0.2, None], [1]),
        ([None, None, None], []),
    ],
)
def test_the_threshold_keeps_near_ties_of_the_best(scores: list[float | None], expected: list[int]) -> None:
    row = torch.tensor([[-1.0 if s is None else s for s in scores]], dtype=torch.float64)
    sequence: Any = SimpleNamespace(rule=NearTieThreshold(0.9), policy=None, policy_state=None)
    assert NearTieThreshold.select([sequence], row, row >= 0)[0].nonzero()[:, 0].tolist() == expected


def test_smoothing_lowers_the_threshold_from_one() -> None:
    smoothing = Smoothing(weight=0.3, weight_init=0.15, weight_growth=0.02, threshold_decay=0.1)
    assert [smoothing.threshold_at(t, 0.75) for t in (0, 1, 2, 3, 9)] == [1.0, 0.9, 0.8, 0.75, 0.75]
    assert [round(smoothing.weight_at(t), 2) for t in (0, 1, 7, 8, 99)] == [0.15, 0.17, 0.29, 0.3, 0.3]


@pytest.mark.parametrize("extra", [{}, {"cont_weight": 0.3}, {"cache": None}, {"maximum_unroll": 4}])
def test_a_model_that_only_wants_masks_comes_to_an_end(algorithm: Any, extra: dict[str, Any]) -> None:
    (row,) = decoded(algorithm, constant_llada(MASK), [[1, 2]], early_stop=False, **SHORT, **extra)
    assert MASK not in row.canvas


def test_nothing_survives_after_an_end_of_sequence(algorithm: Any) -> None:
    (row,) = decoded(algorithm, constant_llada(EOS), [[1, 2]], **SHORT)
    assert row.canvas[2:] == [EOS] * 12
    assert row.block == 0


def test_tokens_behind_an_end_of_sequence_in_its_block_are_dropped(model: LLaDAModel) -> None:
    algorithm: Any = llada_core.get_algorithm("dinfer_blockwise")
    row = algorithm.sequence(model, [1, 2], algorithm.validate_args(**SHORT))
    row.commit([2, 3, 4, 5], [7, EOS, 8, 9])
    row.advance()
    assert row.finished
    assert row.canvas == [1, 2, 7] + [EOS] * 11


def test_without_early_stop_no_mask_is_left_behind_an_end_of_sequence(algorithm: Any) -> None:
    (row,) = decoded(algorithm, constant_llada(EOS), [[1, 2]], early_stop=False, **SHORT)
    assert row.block == 2
    assert MASK not in row.canvas


def test_aligned_blocks_begin_at_multiples_of_their_width(model: LLaDAModel) -> None:
    algorithm: Any = llada_core.get_algorithm("dinfer_blockwise")
    params = algorithm.validate_args(start_block_align=True, early_stop=False, threshold=0.0, **SHORT)
    row = algorithm.sequence(model, [1, 2, 3, 4, 5, 6], params)
    steps = [step.positions for step in drain(model, [row], rows=32) if step.positions]
    assert steps == [(0, 1), (2, 3, 4, 5), (6, 7, 8, 9), (10, 11)]


@needs_fast_dllm
def test_both_engines_share_one_network_and_one_batch(model: LLaDAModel) -> None:
    names = ["dual_cache", "dinfer_credit", "basic", "dinfer_hierarchy"]
    algorithms: list[Any] = [llada_core.get_algorithm(name) for name in names]
    assert len({algorithm.loop_class for algorithm in algorithms}) == 1
    assert len({algorithm.load_model_class() for algorithm in algorithms}) == 1
    rows = [a.sequence(model, [1, 2, 3], a.validate_args(**SHORT)) for a in algorithms]
    for _ in drain(model, rows, rows=32):
        pass
    for algorithm, row in zip(algorithms, rows, strict=True):
        assert row.canvas == decoded(algorithm, model, [[1, 2, 3]], **SHORT)[0].canvas


def test_standard_parameters_pass_at_the_value_that_is_implemented_anyway(
    algorithm: GenerationAlgorithm,
) -> None:
    plain = algorithm.validate_args(threshold=0.95)
    passed = algorithm.validate_args(threshold=0.95, remasking=True, factor=None, steps=None)
    assert passed == plain
    with pytest.raises(
        ParameterError, match=r"does not take factor=1\.0; leave it out, or give factor=none, which"
    ):
        algorithm.validate_args(factor=1.0)
    with pytest.raises(
        ParameterError, match="does not take remasking=False; leave it out, or give remasking=low"
    ):
        algorithm.validate_args(remasking=False)


@needs_fast_dllm
def test_a_refusal_names_the_algorithms_that_take_it() -> None:
    with pytest.raises(ParameterError, match=r"; basic, .*dual_cache.* take it$"):
        llada_core.get_algorithm("dinfer_hierarchy").validate_args(factor=1.0)


@pytest.mark.parametrize("base", [BlockWiseGeneration, HierarchyGeneration, CreditGeneration])
@pytest.mark.parametrize("names", [["gen_length"], ["gen_length", "steps"], ["gen_length", "cont_weight"]])
def test_a_decoder_may_declare_fewer_parameters(
    model: LLaDAModel, base: type[DInferGeneration], names: list[str]
) -> None:
    known = {each.name: each for each in base.parameters} | {"steps": llada_core.standard("steps")}
    few: Any = type("Few", (base,), {"name": "few", "parameters": tuple(known[name] for name in names)})
    (sequence,) = decoded(few(), model, [[1, 2]], gen_length=8)
    assert MASK not in sequence.canvas


def test_a_generate_of_its_own_takes_what_it_names_and_combines_it_itself() -> None:
    class Own(BlockWiseGeneration):
        def generate(self, model: Any, prompt: Any, *, gen_length: int = 4, after_look: int = 2) -> Any:  # type: ignore[override]
            return prompt, 1

    assert Own().validate_args() == {"gen_length": 4, "after_look": 2}


# -- a network that caches nothing


def uncached() -> FakeNetwork:
    network = FakeNetwork.random()
    network.caches = False
    return network


def test_without_a_cache_it_runs_where_nothing_can_be_cached(algorithm: GenerationAlgorithm) -> None:
    prompt = torch.tensor([[4, 5, 6]])
    there = algorithm.generate(FakeNetwork.random(), prompt, cache="none", **SHORT)
    here = algorithm.generate(uncached(), prompt, cache="none", **SHORT)
    assert (here[0].tolist(), here[1]) == (there[0].tolist(), there[1])


@pytest.mark.parametrize("given", [{}, {"cache": "prefix"}, {"cache": "dual", "after_look": 2}])
def test_a_cache_is_refused_there_with_the_value_that_runs(
    algorithm: GenerationAlgorithm, given: dict[str, Any]
) -> None:
    told = f"cache='{given.get('cache', 'dual')}' caches, .* cannot be cached; give cache='none'"
    with pytest.raises(ParameterError, match=told):
        algorithm.generate(uncached(), torch.tensor([[4, 5, 6]]), **given, **SHORT)


def test_smoothing_is_refused_where_embeddings_cannot_be_replaced(
    model: LLaDAModel, algorithm: GenerationAlgorithm
) -> None:
    own = RemoteNetwork(model, model.config)
    with pytest.raises(
        ParameterError, match=r"cont_weight=0\.3 replaces embeddings, .*; leave cont_weight out"
    ):
        algorithm.generate(own, torch.tensor([[4, 5, 6]]), cache="none", cont_weight=0.3, **SHORT)
