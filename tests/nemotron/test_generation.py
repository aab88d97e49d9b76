"""The engine on small models with code of their own: loading, generating, batching, the program."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch.distributed import checkpoint

import llada_core
from llada_core import (
    AlgorithmUnavailable,
    GenerationRequest,
    LoadedModel,
    ModelLoadError,
    ParameterError,
    UsageError,
)
from llada_nemotron import NemotronGeneration, NemotronModel
from tests.nemotron.tiny_models import END_THINK, EOS, MASK, Variant, write_model
from tests.support.program import Llada

IDS = [20, 31, 42, 53]
SHORT: dict[str, Any] = {"gen_length": 20, "block_length": 8}
each_variant = pytest.mark.parametrize("variant", ["gen1", "labs"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return {name: write_model(tmp_path_factory.mktemp(name), name) for name in ("gen1", "labs")}  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def models(folders: dict[str, Path]) -> dict[str, LoadedModel]:
    """Each variant, loaded by its own code."""
    return {
        name: llada_core.load_model(folder, device="cpu", trust_remote_code=True)
        for name, folder in folders.items()
    }


@pytest.fixture(scope="module")
def labs(models: dict[str, LoadedModel]) -> LoadedModel:
    return models["labs"]


@pytest.fixture
def generate(folders: dict[str, Path], llada: Llada) -> Llada:
    """A function that runs ``llada generate`` on the Labs model."""
    return functools.partial(llada, "generate", "--model", str(folders["labs"]), "--max-tokens", "20")


def directly(lm: LoadedModel, ids: list[int], length: int, **asked: Any) -> tuple[list[int], int]:
    """What the model's own code answers to a plain call."""
    model = lm.model.network.native.model
    more = {"steps": length} if asked.pop("steps", False) else {"eos_token_id": EOS}
    output, nfe = model.generate(torch.tensor([ids]), length, block_length=8, threshold=0.9, **more)
    return output[0, len(ids) :].tolist(), nfe


def until_end(ids: list[int]) -> tuple[int, ...]:
    return tuple(ids[: ids.index(EOS)] if EOS in ids else ids)


def prompts(count: int) -> list[list[int]]:
    source = torch.Generator().manual_seed(3)
    return [torch.randint(14, 99, (3 + row % 3,), generator=source).tolist() for row in range(count)]


@each_variant
def test_the_answer_and_the_count_are_those_of_the_models_own_code(
    models: dict[str, LoadedModel], variant: Variant
) -> None:
    lm = models[variant]
    for ids in prompts(4):
        answer, nfe = directly(lm, ids, 24, steps=variant == "gen1")
        result = lm.generate(ids, gen_length=24, block_length=8)
        assert (result.token_ids, result.nfe) == (until_end(answer), nfe)
        assert result.finish_reason == ("stop" if EOS in answer else "length")
        assert (result.algorithm, result.prompt_tokens) == ("nemotron", len(ids))


@each_variant
def test_a_batch_of_unequal_prompts_is_its_rows_alone(
    models: dict[str, LoadedModel], variant: Variant
) -> None:
    lm, rows = models[variant], prompts(12)
    together = lm.generate(rows, **SHORT)
    alone = [lm.generate(ids, **SHORT) for ids in rows]
    assert [result.token_ids for result in together] == [result.token_ids for result in alone]
    assert [result.finish_reason for result in together] == [result.finish_reason for result in alone]
    assert {result.finish_reason for result in alone} == {"stop", "length"}


@each_variant
def test_a_stream_is_one_step_with_the_result(models: dict[str, LoadedModel], variant: Variant) -> None:
    lm = models[variant]
    (step,) = lm.stream(IDS, **SHORT)
    assert step.result is not None
    assert step.result.token_ids == lm.generate(IDS, **SHORT).token_ids
    assert (step.finished, step.nfe) == (True, step.result.nfe)


def test_requests_of_one_call_keep_their_settings(labs: LoadedModel) -> None:
    settings: list[tuple[str, dict[str, Any]]] = [
        ("nemotron", {**SHORT, "threshold": 0.3}),
        ("nemotron_ar", {"gen_length": 20}),
        ("nemotron_linear_spec", SHORT),
        ("nemotron_block", SHORT),
    ]
    requests = [
        GenerationRequest(prompt=IDS, algorithm=algorithm, parameters=params)
        for algorithm, params in settings
    ]
    together = labs.generate_batch(requests)
    alone = [labs.generate(IDS, algorithm=algorithm, **params) for algorithm, params in settings]
    assert [(each.algorithm, each.token_ids, each.nfe) for each in together] == [
        (each.algorithm, each.token_ids, each.nfe) for each in alone
    ]


@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_linear_speculation_writes_what_autoregression_writes(labs: LoadedModel, threshold: float) -> None:
    rows = prompts(8)
    plain = labs.generate(rows, algorithm="nemotron_ar", gen_length=20)
    fast = labs.generate(rows, algorithm="nemotron_linear_spec", threshold=threshold, **SHORT)
    assert [result.token_ids for result in fast] == [result.token_ids for result in plain]
    assert all(result.nfe == len(result.token_ids) + (result.finish_reason == "stop") for result in plain)


def test_the_models_own_code_and_our_network_agree_on_one_loaded_model(labs: LoadedModel) -> None:
    first = labs.generate(IDS, algorithm="nemotron", **SHORT)
    ours = labs.generate(IDS, algorithm="nemotron_block", **SHORT)
    again = labs.generate(IDS, algorithm="nemotron", **SHORT)
    assert first.token_ids == ours.token_ids == again.token_ids


def test_a_plain_model_can_be_passed_to_generate(folders: dict[str, Path], labs: LoadedModel) -> None:
    model = transformers.AutoModel.from_pretrained(
        folders["labs"], trust_remote_code=True, dlm_paradigm="bidirectional"
    )
    output, nfe = NemotronGeneration().generate(model, torch.tensor([IDS]), **SHORT)
    result = labs.generate(IDS, **SHORT)
    assert until_end(output[0, len(IDS) :].tolist()) == result.token_ids
    assert nfe == result.nfe


def test_a_plain_model_that_was_loaded_for_training_is_refused(folders: dict[str, Path]) -> None:
    model = transformers.AutoModel.from_pretrained(folders["labs"], trust_remote_code=True)
    with pytest.raises(AlgorithmUnavailable, match=r"block_diff.* load it with dlm_paradigm='bidirectional'"):
        NemotronGeneration().generate(model, torch.tensor([IDS]))


def test_loading_replaces_a_paradigm_that_is_for_training(
    folders: dict[str, Path], labs: LoadedModel
) -> None:
    assert json.loads((folders["labs"] / "config.json").read_text())["dlm_paradigm"] == "block_diff"
    assert labs.model.network.native.model.config.dlm_paradigm == "bidirectional"


def test_the_dtype_is_the_one_asked_for(folders: dict[str, Path]) -> None:
    model = NemotronModel.from_pretrained(
        folders["gen1"], device="cpu", dtype="bfloat16", trust_remote_code=True
    )
    assert (model.dtype, model.device) == (torch.bfloat16, torch.device("cpu"))
    assert not model.native.model.training


def test_untrusted_code_is_not_run_and_our_network_is_offered(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "labs", "labs")
    for code in folder.glob("*.py"):
        code.write_text("raise SystemExit('this code was run')")
    lm = llada_core.load_model(folder, device="cpu")
    with pytest.raises(
        AlgorithmUnavailable, match=r"nemotron cannot run on .*labs.*--trust-remote-code"
    ) as caught:
        lm.generate(IDS, algorithm="nemotron")
    assert caught.value.reason.endswith("or use nemotron_block")
    with pytest.raises(AlgorithmUnavailable):
        _ = lm.model.network.native
    ours = lm.generate(IDS, algorithm="nemotron_block", **SHORT)
    assert lm.generate(IDS, **SHORT).token_ids == ours.token_ids  # it is the default then


def test_each_algorithm_says_why_it_does_not_fit(models: dict[str, LoadedModel]) -> None:
    assert set(models["labs"].algorithms().values()) == {None}
    reasons = models["gen1"].algorithms()
    assert [name for name, reason in reasons.items() if reason is None] == ["nemotron", "nemotron_block"]
    assert str(reasons["nemotron_ar"]).startswith("its own code has no ar_generate")
    assert str(reasons["nemotron_linear_spec"]).endswith("use nemotron")


def test_a_parameter_that_the_model_does_not_take_is_refused_at_the_call(labs: LoadedModel) -> None:
    with pytest.raises(ParameterError, match="steps=8 cannot be given to this model"):
        labs.stream(IDS, steps=8)


def test_an_unknown_architecture_with_a_fitting_generate_runs_when_named(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "foreign", "gen1", architectures=["Foreign"], eos_token_id=...)
    with pytest.raises(ModelLoadError, match=r"with trust_remote_code=True \(--trust-remote-code\)"):
        llada_core.load_model(folder, engine="nemotron", device="cpu")
    lm = llada_core.load_model(folder, engine="nemotron", device="cpu", trust_remote_code=True)
    assert len(lm.generate(IDS, early_stop=False, **SHORT).token_ids) == 20
    with pytest.raises(AlgorithmUnavailable, match=r"Foreign.*; use nemotron"):
        lm.generate(IDS, algorithm="nemotron_block")


@pytest.mark.parametrize(
    ("name", "trust"), [("nemotron", True), ("nemotron_block", True), ("nemotron_block", False)]
)
def test_answers_end_where_the_whole_checkpoint_says(tmp_path: Path, name: str, trust: bool) -> None:
    folder = write_model(tmp_path / "model", "labs", eos_token_id=40)
    options = {"device": "cpu", "trust_remote_code": trust}
    whole = llada_core.load_model(folder, **options).generate(IDS, algorithm=name, early_stop=False, **SHORT)
    end = whole.token_ids[5]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [40, end]}))
    lm = llada_core.load_model(folder, **options)
    assert {each.id: each.sources for each in lm.model.end_tokens} == {
        40: ("config.json", "generation_config.json"),
        end: ("generation_config.json",),
        EOS: ("the tokenizer's eos_token", "the chat template"),
    }
    result = lm.generate(IDS, algorithm=name, **SHORT)
    assert result.finish_reason == "stop"
    assert result.token_ids == whole.token_ids[: whole.token_ids.index(end)]


def test_what_the_file_leaves_out_comes_from_the_config_class(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "short", "gen1", max_position_embeddings=...)
    lm = llada_core.load_model(folder, device="cpu", trust_remote_code=True)
    assert lm.model.limits.max_length == 40960
    assert lm.generate(IDS, **SHORT).nfe > 0


def test_a_model_that_knows_no_mask_is_refused(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "maskless", "gen1", mask_token_id=...)
    with pytest.raises(ModelLoadError, match="mask_token_id = -1 is not an id"):
        llada_core.load_model(folder, device="cpu", trust_remote_code=True)


def test_the_weights_of_a_distributed_checkpoint_run_by_the_models_own_code(
    folders: dict[str, Path], models: dict[str, LoadedModel], tmp_path: Path
) -> None:
    state = load_file(folders["labs"] / "model.safetensors")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that this is a single process
        checkpoint.save({"model": state}, checkpoint_id=tmp_path / "dcp")
    algorithm = llada_core.get_algorithm("nemotron")
    algorithm.load_model_from_dcp(tmp_path / "dcp", folders["labs"], device="cpu", trust_remote_code=True)
    (result,) = algorithm.generate_batch(IDS, **SHORT)
    assert result.token_ids == models["labs"].generate(IDS, **SHORT).token_ids


def test_a_model_without_a_fitting_generate_is_refused_at_loading(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "other", "gen1", architectures=["Other"])
    code = folder / "modeling_nvrdiff.py"
    code.write_text(code.read_text().replace("def generate(", "def something("))
    with pytest.raises(ModelLoadError, match="its own code has no generate, no generate_diffusion"):
        llada_core.load_model(folder, engine="nemotron", device="cpu", trust_remote_code=True)


def test_code_that_fails_is_told_with_its_type_and_the_remedy(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "broken", "gen1")
    (folder / "modeling_nvrdiff.py").write_text("raise RuntimeError('no such kernel')")
    with pytest.raises(
        ModelLoadError, match=r"cannot load it \(RuntimeError: no such kernel\); see its model"
    ):
        llada_core.load_model(folder, device="cpu", trust_remote_code=True)


@pytest.mark.parametrize(("variant", "told"), [("labs", True), ("gen1", False)])
def test_labs_code_under_an_old_transformers_asks_for_a_newer_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variant: Variant, told: bool
) -> None:
    folder = write_model(tmp_path / "old", variant)
    (code,) = folder.glob("modeling_n*.py")
    code.write_text("from transformers.masking import no_such_function")
    monkeypatch.setattr(transformers, "__version__", "4.57.1")
    with pytest.raises(ModelLoadError) as caught:
        llada_core.load_model(folder, device="cpu", trust_remote_code=True)
    assert ("it needs transformers>=5, and 4.57.1 is installed" in str(caught.value)) is told


def test_weights_that_are_missing_are_not_made_up(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "holes", "labs")
    fields = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**fields, "num_hidden_layers": 3}))
    with pytest.raises(ModelLoadError, match=r"the weights lack encoder\.layers\.2\..* download them again"):
        llada_core.load_model(folder, device="cpu", trust_remote_code=True)


def test_loading_leaves_the_bars_of_transformers_as_they_were(
    folders: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    NemotronModel.from_pretrained(folders["gen1"], device="cpu", trust_remote_code=True)
    assert capfd.readouterr().err == ""
    assert transformers.utils.logging.is_progress_bar_enabled()


def test_masks_that_stay_are_left_out_and_told(models: dict[str, LoadedModel]) -> None:
    result = models["gen1"].generate(IDS, steps=1, threshold=1.0, **SHORT)
    assert MASK not in result.token_ids
    unfilled = 20 - result.completion_tokens
    assert result.warnings == (
        f"the model's own code left {unfilled} of 20 positions unfilled; they are left out: "
        "give more steps, or leave steps out",
    )


def test_a_mask_that_the_network_likes_never_surfaces(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "masks", "labs", predict_mask=True)
    with llada_core.load_model(folder, device="cpu", trust_remote_code=True) as lm:
        for algorithm in ("nemotron", "nemotron_ar", "nemotron_linear_spec"):
            results = lm.generate(prompts(6), algorithm=algorithm, gen_length=24)
            assert all(MASK not in result.token_ids for result in results)


def test_thinking_is_asked_for_in_the_prompt(labs: LoadedModel) -> None:
    plain = labs.generate("Hi", **SHORT)
    thinking = labs.generate("Hi", enable_thinking=True, **SHORT)
    tokenizer = labs.model.tokenizer
    written = [
        tokenizer("<think></think>", add_special_tokens=False),
        tokenizer("<think>\n", add_special_tokens=False),
    ]
    lengths = [len(each["input_ids"]) for each in written]
    assert plain.prompt_tokens - thinking.prompt_tokens == lengths[0] - lengths[1]
    assert thinking.parameters["enable_thinking"] is True
    assert thinking.token_ids != plain.token_ids


@pytest.mark.parametrize("algorithm", ["nemotron", "nemotron_ar", "nemotron_linear_spec"])
def test_a_budget_is_for_a_prompt_that_begins_to_think(labs: LoadedModel, algorithm: str) -> None:
    budget = {"gen_length": 8, "max_thinking_tokens": 3}
    with pytest.raises(ParameterError, match="ends what enable_thinking=False does not begin; give enable"):
        labs.generate("Hi", algorithm=algorithm, **budget)
    assert labs.generate("Hi", algorithm=algorithm, enable_thinking=True, **budget)
    assert labs.generate("<think>", raw=True, algorithm=algorithm, **budget)


def test_a_template_that_always_thinks_takes_a_budget(folders: dict[str, Path]) -> None:
    with llada_core.load_model(folders["labs"], device="cpu", trust_remote_code=True) as lm:
        lm.model.tokenizer.chat_template = "{{ messages[0]['content'] }}<think>"
        assert lm.generate("Hi", max_thinking_tokens=4, gen_length=8)


@pytest.mark.parametrize("variant", ["gen1", "labs"])
def test_a_row_counts_the_forwards_of_the_row_alone(models: dict[str, LoadedModel], variant: Variant) -> None:
    lm, rows = models[variant], [[20 + row, 30, 40] for row in range(6)]
    together = lm.generate(rows, **SHORT)
    assert [result.nfe for result in together] == [lm.generate(ids, **SHORT).nfe for ids in rows]


@pytest.mark.parametrize("algorithm", ["nemotron", "nemotron_ar", "nemotron_linear_spec"])
def test_thinking_ends_within_its_budget(labs: LoadedModel, algorithm: str) -> None:
    for ids in prompts(6):
        result = labs.generate(
            ids, algorithm=algorithm, gen_length=24, max_thinking_tokens=5, early_stop=False
        )
        assert END_THINK in result.token_ids[:6] or result.finish_reason == "stop"


def test_a_seed_repeats_an_answer_whatever_is_beside_it(labs: LoadedModel) -> None:
    sampled = {"temperature": 0.8, "seed": 5, **SHORT}
    alone = [labs.generate(IDS, **{**sampled, "seed": seed}).token_ids for seed in (5, 6)]
    together = [result.token_ids for result in labs.generate([IDS, IDS], **sampled)]
    assert together == alone
    assert alone[0] != alone[1]


def test_the_program_answers_by_the_models_own_code(generate: Any, labs: LoadedModel) -> None:
    status, out, err = generate("Hello", "--trust-remote-code", "--json")
    assert (status, err) == (0, "")
    answer = json.loads(out)
    assert answer["text"] == labs.generate("Hello", gen_length=20).text
    assert (answer["engine"], answer["algorithm"]) == ("nemotron", "nemotron")


def test_the_program_says_what_code_it_does_not_trust(generate: Any) -> None:
    status, out, err = generate("Hello", "--algorithm", "nemotron")
    assert (status, out, err.count("\n")) == (1, "", 1)
    assert "load the model with trust_remote_code=True (--trust-remote-code)" in err


def test_the_program_compares_the_ways_of_decoding(generate: Any) -> None:
    names = ["nemotron", "nemotron_ar", "nemotron_linear_spec", "nemotron_block"]
    status, out, _ = generate(
        "Hi", "--trust-remote-code", "--json", *(f"--algorithm={name}" for name in names)
    )
    assert (status, [answer["algorithm"] for answer in json.loads(out)["results"]]) == (0, names)


def test_the_program_prints_warnings_beside_the_answer(folders: dict[str, Path], llada: Llada) -> None:
    options = ["--model", str(folders["gen1"]), "--trust-remote-code", "-p", "steps=1", "-p", "threshold=1"]
    status, _, err = llada("generate", "Hello", *options)
    assert status == 0
    assert err.startswith("warning: the model's own code left ")


def test_a_closed_model_lets_go_of_the_network(folders: dict[str, Path]) -> None:
    def answers() -> Iterator[Any]:
        with llada_core.load_model(folders["gen1"], device="cpu", trust_remote_code=True) as lm:
            yield lm.generate(IDS, **SHORT)

    assert [answer.algorithm for answer in answers()] == ["nemotron"]


@pytest.mark.gpu
@each_variant
def test_on_a_gpu_it_answers_in_bfloat16_on_the_prompts_device(
    folders: dict[str, Path], variant: Variant
) -> None:
    with llada_core.load_model(folders[variant], trust_remote_code=True) as lm:
        model = lm.model.network
        assert (model.device.type, model.dtype) == ("cuda", torch.bfloat16)
        for device in ("cpu", "cuda"):
            prompt = torch.tensor([IDS], device=device)
            output, nfe = lm.algorithm("nemotron").generate(model, prompt, **SHORT)
            assert (output.shape, output.device, nfe > 0) == ((1, len(IDS) + 20), prompt.device, True)


@pytest.mark.gpu
def test_on_a_gpu_a_seed_repeats_an_answer_and_leaves_the_generators_alone(folders: dict[str, Path]) -> None:
    def generators() -> list[bytes]:
        return [state.numpy().tobytes() for state in (torch.get_rng_state(), torch.cuda.get_rng_state())]

    sampled = {"temperature": 0.8, **SHORT}
    with llada_core.load_model(folders["labs"], trust_remote_code=True) as lm:
        before = generators()
        first, second = (lm.generate(IDS, seed=5, **sampled).token_ids for _ in range(2))
        other = lm.generate(IDS, seed=6, **sampled).token_ids
    assert first == second != other
    assert generators() == before


@pytest.mark.gpu
def test_on_a_gpu_both_ways_run_on_one_copy_of_the_weights(folders: dict[str, Path]) -> None:
    with llada_core.load_model(folders["labs"], trust_remote_code=True, dtype="float32") as lm:
        first = lm.generate(IDS, **SHORT)
        ours = lm.generate(IDS, algorithm="nemotron_block", **SHORT)
        again = lm.generate(IDS, **SHORT)
    assert first.token_ids == ours.token_ids == again.token_ids


def test_weights_are_exchanged_and_released_in_our_own_network_alone(
    tmp_path: Path, models: dict[str, LoadedModel]
) -> None:
    before, after = (write_model(tmp_path / name, "labs", seed=seed) for seed, name in enumerate(("b", "a")))
    asked: dict[str, Any] = {**SHORT, "algorithm": "nemotron_block"}
    with llada_core.load_model(before, device="cpu") as lm:
        first = lm.generate(IDS, **asked).token_ids
        lm.sleep(level=2)
        lm.wake()
        lm.load_weights(load_file(after / "model.safetensors"))
        found = lm.generate(IDS, **asked).token_ids
    with llada_core.load_model(after, device="cpu") as fresh:
        assert fresh.generate(IDS, **asked).token_ids == found != first
    for ask in (models["labs"].sleep, lambda: models["labs"].load_weights({})):
        with pytest.raises(UsageError, match="its own code, whose weights are not ours to exchange"):
            ask()
