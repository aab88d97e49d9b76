"""``--dcp`` and ``--base`` of the commands, and ``llada convert``: a trainer's weights of the small model."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch.distributed import checkpoint

import llada_tiny
from llada_core import ModelLoadError, UsageError, load_dcp, load_model
from llada_core.checkpoints import dcp_folder
from llada_core.checkpoints.dcp_source import DcpSource
from llada_core.cli import opening
from llada_core.loading import Conversion
from llada_runtime.testing import LLADA_CONFIG, llada_weights, write_llada
from tests.support.program import Llada, error, notes_of

QUESTION, ANSWER = "What is 12 + 30?", "12 + 30 = 42."
TINY = str(llada_tiny.model_path())


def save(state: dict[str, Any], folder: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that this is a single process
        checkpoint.save(state, checkpoint_id=folder)
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The weights of the small model behind a prefix, and something beside them."""
    weights = load_file(Path(TINY) / "model.safetensors")
    folder = tmp_path_factory.mktemp("trained") / "step-7"
    return str(save({"policy": {"_orig_mod": weights}, "step": 7, "rng": torch.ones(3)}, folder))


@pytest.fixture
def small(tmp_path: Path) -> tuple[Path, Path]:
    """A random model's checkpoint by a trainer, and a base without weights."""
    (tmp_path / "base").mkdir()
    base = write_llada(tmp_path / "base", torch_dtype="bfloat16")
    (base / "model.safetensors").unlink()
    (base / "tokenizer_note.txt").write_text("of the base")
    beside = {"optimizer": {"exp_avg": torch.ones(2)}, "scheduler": {"last_epoch": 3}}
    return save({"model": llada_weights(), **beside}, tmp_path / "dcp"), base


# -- the commands that load a model


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        (["generate", QUESTION, "--max-tokens", "32"], ANSWER + "\n"),
        (["chat", "--max-tokens", "32"], ANSWER + "\n"),
        (["infill", "--prompt", QUESTION, "12 + 30 = {{2}}."], "12 + 30 = 42.\n"),
        (["score", "--prompt", QUESTION, "12 + 30 = {{1}}.", "42", "--json"], '"text": "42"'),
    ],
    ids=lambda given: given[0] if isinstance(given, list) else "",
)
def test_every_command_takes_a_trainers_weights_and_says_what_it_read(
    llada: Llada, trained: str, command: list[str], answer: str
) -> None:
    ran = llada(*command, "--dcp", trained, "--base", TINY, "--device", "cpu", typed=QUESTION + "\n")
    assert answer in ran.out
    assert notes_of(ran)[0].startswith(f"{trained}: ")
    said = "tensors read, 'policy.' and '_orig_mod.' taken off their names; left out, as not the model's: "
    assert f"{said}rng (1 tensor), step (1 value)\n" in ran.err


def test_the_base_may_be_called_the_model(llada: Llada, trained: str) -> None:
    called = ("generate", QUESTION, "--max-tokens", "32", "--dcp", trained, "--device", "cpu")
    assert llada(*called, "--model", TINY, "--base", TINY).out == ANSWER + "\n"
    assert llada(*called, "--model", TINY, "--dcp-prefix", "policy").out == ANSWER + "\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dcp", "w"], "--dcp holds weights alone; give --base, the model that was trained"),
        (["--base", TINY], "--base is of --dcp, which is not given; give it, or leave --base out"),
        (["--dcp-prefix", "p."], "--dcp-prefix is of --dcp, which is not given"),
        (["--temp-dir", "t"], "--temp-dir is of --dcp, which is not given"),
        (["--dcp", "w", "--base", TINY, "--model", "m"], f"--base is {TINY} and --model m; give one of them"),
    ],
)
def test_a_wrong_call_is_told_before_anything_is_read(llada: Llada, options: list[str], said: str) -> None:
    assert said in error(llada("generate", "Hello", *options), status=2)


@pytest.mark.parametrize("base", [None, ""])
def test_a_base_has_to_be_named_to_python_too(trained: str, base: Any) -> None:
    with pytest.raises(UsageError, match=r"names no model; give a folder|name of the model is empty"):
        load_dcp(trained, base)


@pytest.mark.usefixtures("ending_signals")
def test_a_signal_while_a_trainers_weights_are_loaded_ends_like_ctrl_c(
    llada: Llada, trained: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They may be in a temporary folder of the size of the model."""
    monkeypatch.setattr(opening, "load_on", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    assert llada("generate", QUESTION, "--dcp", trained, "--base", TINY).status == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_checkpoint_that_is_none_is_told(llada: Llada, tmp_path: Path) -> None:
    said = error(llada("generate", "Hello", "--dcp", str(tmp_path), "--base", TINY), status=1)
    assert f"{tmp_path} is not a torch.distributed checkpoint (it has no .metadata file)" in said


# -- convert


def test_what_is_converted_is_loaded_like_any_model(llada: Llada, trained: str, tmp_path: Path) -> None:
    out = tmp_path / "new" / "converted"
    ran = llada("convert", "--dcp", trained, "--base", TINY, "--out", str(out))
    assert ran.out == f"{out}\n"
    told, writing = notes_of(ran)
    assert "'policy.' and '_orig_mod.' taken off" in told
    assert re.fullmatch(rf"{out}: \d+\.\d MiB of \w+ in 1 file, where .* are free", writing)
    assert len({path.stat().st_mode for path in out.iterdir()}) == 1
    names = {path.name for path in out.iterdir()}
    assert {"config.json", "tokenizer.json", "model.safetensors"} <= names
    with load_model(out, device="cpu") as lm:
        assert lm.generate(QUESTION, max_tokens=32).text == ANSWER


def test_what_stands_beside_the_model_under_its_own_prefix_is_named(
    llada: Llada, small: tuple[Path, Path], tmp_path: Path
) -> None:
    heads = {"value_head.weight": torch.ones(2), "value_head.bias": torch.ones(1), "steps": 3}
    model = {"model": {**llada_weights(), **heads}, "optimizer": {"exp_avg": torch.ones(2), "lr": 0.1}}
    trained = save(model, tmp_path / "trained")
    ran = llada("convert", "--dcp", str(trained), "--base", str(small[1]), "--out", str(tmp_path / "out"))
    told = "model.steps (1 value), model.value_head (2 tensors), optimizer (1 tensor, 1 value)"
    assert notes_of(ran)[0].endswith(f"'model.' taken off their names; left out, as not the model's: {told}")
    assert set(load_file(tmp_path / "out" / "model.safetensors")) == set(llada_weights())


def test_shards_have_an_index_and_the_dtype_that_was_asked_for(
    llada: Llada, small: tuple[Path, Path], tmp_path: Path
) -> None:
    (trained, base), out = small, tmp_path / "out"
    call = ["convert", "--dcp", str(trained), "--base", str(base), "--out", str(out), "--json"]
    call += ["--engine", "fast-dllm"]
    record = json.loads(llada(*call, "--dtype", "float16", "--max-shard-size", "4KB").out)
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == set(record["files"])
    assert (
        index["metadata"]["total_size"]
        == record["bytes"]
        == sum(tensor.numel() * 2 for tensor in llada_weights().values())
    )
    held = {name: each for file in record["files"] for name, each in load_file(out / file).items()}
    assert {name: each.half().tolist() for name, each in llada_weights().items()} == {
        name: each.tolist() for name, each in held.items()
    }
    assert all((out / file).stat().st_size < 4000 + 2000 for file in record["files"])  # and a header
    assert json.loads((out / "config.json").read_text())["torch_dtype"] == "float16"
    assert (record["dtypes"], record["checked_by"]) == (["float16"], "fast-dllm")
    assert record["left_out"] == ["optimizer.exp_avg"]
    assert record["values_left_out"] == ["scheduler.last_epoch"]
    assert (out / "tokenizer_note.txt").read_text() == "of the base"


def test_without_a_dtype_weights_stay_as_they_are_and_the_config_says_what_they_are(
    small: tuple[Path, Path], tmp_path: Path
) -> None:
    trained, base = small
    Conversion(DcpSource(path=trained), str(base), tmp_path / "out").write()
    held = load_file(tmp_path / "out" / "model.safetensors").values()
    assert {each.dtype for each in held} == {torch.float32}
    said = {**json.loads((base / "config.json").read_text()), "torch_dtype": "float32"}
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == said


@pytest.mark.parametrize("said", [{}, {"torch_dtype": "float32"}, {"dtype": "float32"}])
def test_a_config_that_is_right_or_says_nothing_is_copied_as_it_is(
    small: tuple[Path, Path], tmp_path: Path, said: dict[str, str]
) -> None:
    trained, base = small
    (base / "config.json").write_text(json.dumps({**LLADA_CONFIG, **said}))
    Conversion(DcpSource(path=trained), str(base), tmp_path / "out").write()
    assert (tmp_path / "out" / "config.json").read_bytes() == (base / "config.json").read_bytes()


def test_weights_of_several_dtypes_leave_the_config_as_it_is(
    small: tuple[Path, Path], tmp_path: Path
) -> None:
    weights = llada_weights()
    weights[next(iter(weights))] = weights[next(iter(weights))].half()
    trained, base = save({"model": weights}, tmp_path / "two"), small[1]
    Conversion(DcpSource(path=trained), str(base), tmp_path / "out").write()
    assert (tmp_path / "out" / "config.json").read_bytes() == (base / "config.json").read_bytes()


SETTINGS = {
    "generation_config.json", "tokenizer.model", "vocab.tiktoken", "merges.txt", "chat_template.jinja",
    "modeling_mine.py", "LICENSE", "NOTICE", "README.md",
}  # fmt: skip
OTHERS = {
    "tf_model.h5", "flax_model.msgpack", "model.onnx", "last.ckpt", "pytorch_model.bin", "old.safetensors",
    "pytorch_model.bin.index.json", "model.safetensors.index.json", ".env", ".hidden.json", "rng_state.pth",
    "model.gguf", "notes.log",
}  # fmt: skip


def test_settings_of_the_base_are_copied_and_nothing_else(small: tuple[Path, Path], tmp_path: Path) -> None:
    trained, base = small
    had = {path.name for path in base.iterdir()}
    for name in SETTINGS | OTHERS:
        (base / name).write_text("of the base")
    (base / "model.safetensors.index.json").write_text('{"weight_map": {}}')
    for name in (".cache", "additional_chat_templates"):
        (base / name).mkdir()
        (base / name / "tools.jinja").write_text("of the base")
    Conversion(DcpSource(path=trained), str(base), tmp_path / "out").write()
    out = {
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    assert out == had | SETTINGS | {"model.safetensors", "additional_chat_templates/tools.jinja"}


def test_an_empty_folder_is_taken_and_no_other(small: tuple[Path, Path], tmp_path: Path) -> None:
    trained, base = small
    out = tmp_path / "out"
    out.mkdir()
    Conversion(DcpSource(path=trained), str(base), out).write()
    with pytest.raises(UsageError, match=f"{out} is not empty; give a new folder"):
        Conversion(DcpSource(path=trained), str(base), out)
    with pytest.raises(UsageError, match=r"config\.json is there and no folder; give a new one"):
        Conversion(DcpSource(path=trained), str(base), out / "config.json")


@pytest.mark.parametrize("way", ["link", "here", "mounted"])
def test_an_empty_folder_by_whatever_name_is_written_into(
    small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """One that is the current folder, or another disk, cannot be replaced by a new one."""
    trained, base = small
    (tmp_path / "disk").mkdir()
    if way == "mounted":
        (tmp_path / "disk" / "lost+found").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    monkeypatch.chdir(tmp_path / "disk")
    out = {"link": tmp_path / "link", "here": ".", "mounted": tmp_path / "disk"}[way]
    measured: list[Path] = []
    usage = shutil.disk_usage
    monkeypatch.setattr(dcp_folder.shutil, "disk_usage", lambda path: measured.append(path) or usage(path))
    number = (tmp_path / "disk").stat().st_ino
    Conversion(DcpSource(path=trained), str(base), out).write()
    assert measured == [tmp_path / "disk"]
    assert (tmp_path / "disk").stat().st_ino == number
    assert (tmp_path / "link").is_symlink()
    names = {path.name for path in (tmp_path / "disk").iterdir()} - {"lost+found"}
    assert names == {"config.json", "model.safetensors", *(path.name for path in base.iterdir())}


def test_what_is_written_meanwhile_is_kept(small: tuple[Path, Path], tmp_path: Path) -> None:
    trained, base = small
    out = tmp_path / "out"
    out.mkdir()
    conversion = Conversion(DcpSource(path=trained), str(base), out)

    def write(_: int) -> None:
        (out / "model.safetensors").write_text("of somebody else")

    with pytest.raises(ModelLoadError, match=r"something else was written to .*out meanwhile"):
        conversion.write(told=write)
    assert [(path.name, path.read_text()) for path in out.iterdir()] == [
        ("model.safetensors", "of somebody else")
    ]


@pytest.mark.parametrize("out", ["dangling", "dangling/below", "file", "file/below", "round"])
def test_what_can_be_no_folder_is_refused_before_anything_is_written(
    small: tuple[Path, Path], tmp_path: Path, out: str
) -> None:
    trained, base = small
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "file" / "nowhere")
    (tmp_path / "round").symlink_to(tmp_path / "round")
    with pytest.raises(UsageError, match=r"is there and no folder; give a new one"):
        Conversion(DcpSource(path=trained), str(base), tmp_path / out)


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """The second file of weights is not written."""
    written: list[Any] = []
    save_file = dcp_folder.save_file

    def fail(*args: Any) -> None:
        if written and isinstance(request.param, signal.Signals):
            os.kill(os.getpid(), request.param)
        elif written:
            raise request.param
        written.append(args)
        save_file(*args)

    monkeypatch.setattr(dcp_folder, "save_file", fail)
    yield
    assert written


@pytest.mark.parametrize(
    ("failing", "raised"),
    [(OSError(28, "No space left on device"), ModelLoadError), (KeyboardInterrupt(), KeyboardInterrupt)],
    indirect=["failing"],
)
@pytest.mark.parametrize("where", ["out", "new/folders/out", "empty"])
@pytest.mark.usefixtures("failing")
def test_what_ends_half_way_leaves_nothing(
    small: tuple[Path, Path], tmp_path: Path, raised: type[BaseException], where: str
) -> None:
    trained, base = small
    out = tmp_path / where
    if where == "empty":
        out.mkdir()
    before = sorted(tmp_path.rglob("*"))
    conversion = Conversion(DcpSource(path=trained), str(base), out, shard_bytes=4000)
    with pytest.raises(raised):
        conversion.write()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("failing", [signal.SIGTERM, signal.SIGHUP], indirect=True)
@pytest.mark.usefixtures("ending_signals", "failing")
def test_a_signal_that_ends_the_program_leaves_nothing(
    llada: Llada, small: tuple[Path, Path], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    (trained, base), number = small, request.node.callspec.params["failing"]
    before, handlers = sorted(tmp_path.rglob("*")), [signal.getsignal(each) for each in signal.Signals]
    call = ["convert", "--dcp", str(trained), "--base", str(base), "--max-shard-size", "4KB"]
    ran = llada(*call, "--out", str(tmp_path / "new" / "out"))
    assert ran.status == 128 + number
    assert sorted(tmp_path.rglob("*")) == before
    assert [signal.getsignal(each) for each in signal.Signals] == handlers


def test_a_disk_without_room_is_told_before_anything_is_written(
    small: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, base = small
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(dcp_folder.shutil, "disk_usage", lambda path: real._replace(free=100))
    said = r"it takes \d+\.\d KiB, and .* has 100 B free; free some, or write elsewhere"
    with pytest.raises(ModelLoadError, match=said):
        Conversion(DcpSource(path=trained), str(base), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"n_layers": 3}, r"lacks model\.transformer\.blocks\.2\.attn_norm\.weight"),
        ({"n_layers": 1}, r"holds model\.transformer\.blocks\.1\.attn_norm\.weight"),
        ({"n_layers": "two"}, r"base cannot be loaded: config\.json: n_layers = 'two' is not"),
    ],
)
def test_weights_that_are_not_the_models_are_not_converted(
    small: tuple[Path, Path], tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    trained, base = small
    (base / "config.json").write_text(json.dumps({**LLADA_CONFIG, **changes}))
    with pytest.raises(ModelLoadError, match=said):
        Conversion(DcpSource(path=trained), str(base), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_model_that_no_engine_knows_is_converted_and_that_is_said(
    llada: Llada, small: tuple[Path, Path], tmp_path: Path
) -> None:
    trained, base = small
    (base / "config.json").write_text(json.dumps({"model_type": "unheard_of"}))
    out = tmp_path / "out"
    ran = llada("convert", "--dcp", str(trained), "--base", str(base), "--out", str(out))
    assert f"no engine here can tell whether these are all weights that {base} needs" in ran.err
    assert set(load_file(out / "model.safetensors")) == set(llada_weights())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dcp", "w"], "--base is missing; give both --dcp and --base"),
        (["--base", TINY], "--dcp is missing; give both --dcp and --base"),
        (["--dcp", "w", "--base", TINY, "--max-shard-size", "some"], "'some' is no size; give one such as"),
        (["--dcp", "w", "--base", TINY, "--max-shard-size", "0"], "'0' is no size; give one such as"),
    ],
)
def test_a_wrong_call_of_convert_is_told(llada: Llada, options: list[str], said: str, tmp_path: Path) -> None:
    assert said in error(llada("convert", "--out", str(tmp_path / "out"), *options), status=2)
