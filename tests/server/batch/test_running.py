"""The command: files that it takes and refuses, where it goes on, how it ends, and with which status."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llada_server.batch import running, telling
from llada_server.batch.output import Output
from llada_server.settings import ServerSettings
from tests.server.batch.files import answers_in, completion, texts_of, write
from tests.server.batch.scripted import scripted
from tests.server.fakes import ScriptedSession
from tests.server.test_worker import until
from tests.support.program import Llada, Ran


class Batch:
    """``llada batch run`` on a scripted model, in this process."""

    def __init__(self, folder: Path, llada: Llada) -> None:
        self.source, self.out = folder / "in.jsonl", folder / "out.jsonl"
        self.session, self.settings = ScriptedSession(), list[ServerSettings]()
        self._llada = llada
        self.before: Callable[[], object] = lambda: None  # done while the model is loaded

    def opened(self, settings: ServerSettings) -> Any:
        self.before()
        self.settings.append(settings)
        return scripted(settings, self.session)

    def run(self, *flags: str) -> Ran:
        return self._llada("batch", "run", str(self.source), "--out", str(self.out), *flags)

    def refused(self, *flags: str) -> str:
        """What is said of a call that is wrong, before a model is loaded."""
        ran = self.run(*flags)
        assert ran.status == 2, ran
        assert ran.err.startswith("error: ")
        assert ran.err.count("\n") == 1
        assert not self.settings
        return ran.err


@pytest.fixture
def batch(tmp_path: Path, llada: Llada, monkeypatch: pytest.MonkeyPatch) -> Batch:
    made = Batch(tmp_path, llada)
    monkeypatch.setattr(running, "opened", made.opened)
    monkeypatch.setattr(running, "freeze", lambda: None)
    return made


def test_every_line_is_answered_and_the_figures_are_told(batch: Batch) -> None:
    write(batch.source, [completion("a", "abc"), completion("b", "de")])
    ran = batch.run()
    assert (ran.status, ran.out) == (0, "")
    assert {name: texts_of(each) for name, each in answers_in(batch.out).items()} == {
        "a": ["abc"],
        "b": ["de"],
    }
    first, last = ran.err.splitlines()
    assert first == ("model scripted by scripted, basic where a line names none, up to 32 requests at a time")
    assert last.startswith("2 requests · 0 failed · 5 tokens · ")
    assert last.endswith(" · NFE 5 · 1.00 tokens/forward")


def test_without_a_terminal_a_line_tells_now_and_then_how_far_it_is(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(batch.source, [completion("a", "!"), completion("b", "b" * 60)])
    batch.session.breaks = lambda: time.sleep(0.005)
    monkeypatch.setattr(telling, "_PERIOD", 0.02)
    told = batch.run().err
    assert re.search(r"^1 of 2 lines, 1 failed, 0 tokens/s, less than a minute left$", told, re.MULTILINE)


def test_a_file_of_another_model_is_refused_before_one_is_loaded(batch: Batch) -> None:
    lines = [completion(str(number), "a", model="gpt-4") for number in range(10)]
    write(batch.source, [*lines, completion("right", "a")])
    assert "is for the model 'gpt-4', and 'llada-tiny' is to answer; load that one, or let" in batch.refused()
    assert batch.out.read_bytes() == b""
    batch.refused("--served-model-name", "another")
    write(batch.source, [*lines[1:], completion("right", "a")])
    assert batch.run().status == running.FAILED
    assert answers_in(batch.out)["9"]["response"]["status_code"] == 404


def test_what_has_answers_goes_on_whatever_it_begins_with(batch: Batch) -> None:
    write(batch.source, [completion("right", "a"), "no JSON"])
    batch.run()
    write(batch.source, [*(f"no JSON {number}" for number in range(20)), completion("right", "a")])
    assert batch.run().status == running.FAILED
    assert len(batch.settings) == 2


@pytest.mark.parametrize(("flag", "value"), [("--ray-address", "local"), ("--replicas", "2")])
def test_what_is_of_a_cluster_is_refused_without_one(batch: Batch, flag: str, value: str) -> None:
    write(batch.source, [completion("a", "a")])
    assert f"{flag} {value} is of a cluster; give --ray too, or leave it out" in batch.refused(flag, value)


def test_without_the_library_a_cluster_is_refused_by_the_extra(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(batch.source, [completion("a", "a")])
    monkeypatch.setitem(sys.modules, "ray", None)
    told = batch.refused("--ray")
    assert "Ray Data cannot be imported" in told
    assert "pip install 'llada-server[ray]', or leave --ray out" in told


def test_lines_without_an_answer_have_a_status_of_their_own_also_when_all_is_done(batch: Batch) -> None:
    write(batch.source, [completion("a", "abc"), completion("b", "!"), "no JSON"])
    for told in ("3 requests · 2 failed · 3 tokens", "3 requests · 2 failed · 3 done before · 0 tokens"):
        ran = batch.run()
        assert (ran.status, ran.err.splitlines()[-1].startswith(told)) == (running.FAILED, True), ran.err
    assert len(batch.settings) == 1  # the second needs no model
    assert len(batch.out.read_bytes().splitlines()) == 3


def test_a_second_run_goes_on(batch: Batch) -> None:
    lines = [completion(str(number), "ab") for number in range(9)]
    write(batch.source, lines)
    batch.run()
    whole = batch.out.read_bytes().splitlines(keepends=True)
    batch.out.write_bytes(b"".join(whole[:4]) + whole[4][:-3])
    assert batch.run().status == 0
    assert answers_in(batch.out).keys() == {str(number) for number in range(9)}
    assert batch.out.read_bytes().startswith(b"".join(whole[:4]))
    write(batch.source, [*lines, completion("new", "c")])
    assert batch.run().status == 0
    assert len(answers_in(batch.out)) == 10


def test_a_line_that_was_mended_is_answered(batch: Batch) -> None:
    write(batch.source, [completion("a", "a"), "no JSON", "no JSON either"])
    assert batch.run().status == running.FAILED
    write(batch.source, [completion("a", "a"), completion("b", "b"), completion("c", "c")])
    assert batch.run().status == 0
    told = [json.loads(each)["custom_id"] for each in batch.out.read_bytes().splitlines()]
    assert sorted(filter(None, told)) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "in.jsonl cannot be read (No such file or directory); give a file of requests"),
        ("", "in.jsonl has no line; write a request a line"),
        ("\n \n", "in.jsonl has no line"),
        (f"{completion('a', 'b')}\n\n{completion('a', 'c')}", "lines 1 and 3 have one custom_id, 'a'"),
    ],
)
def test_inputs_that_cannot_be_are_refused(batch: Batch, text: str | None, said: str) -> None:
    if text is not None:
        batch.source.write_text(text)
    assert said in batch.refused()


def test_folders_and_pipes_are_no_inputs(batch: Batch) -> None:
    batch.source.mkdir()
    assert "in.jsonl is no file, and lines are read twice" in batch.refused()
    batch.source.rmdir()
    os.mkfifo(batch.source)
    assert "is no file" in batch.refused()


@pytest.mark.parametrize("how", ["same", "symlink", "link"])
def test_the_input_is_not_written_to(batch: Batch, how: str) -> None:
    text = write(batch.source, [completion("a", "b")]).read_bytes()
    if how == "same":
        batch.out = batch.source
    elif how == "symlink":
        batch.out.symlink_to(batch.source)
    else:
        batch.out.hardlink_to(batch.source)
    assert "is the input; give another file" in batch.refused()
    assert batch.source.read_bytes() == text


def test_outputs_of_others_are_refused_and_stay(batch: Batch) -> None:
    write(batch.source, [completion("a", "b"), completion("b", "b")])
    batch.run()
    batch.settings.clear()
    whole = batch.out.read_bytes()
    for text, said in [
        (b"some text\n", "line 1 of .* is no answer of a batch; give another --out"),
        (b"text\n" + b"\0" * 40, "line 1 of .* is no answer of a batch"),
        (b"text\n{", "line 1 of .* is no answer of a batch"),
        (b"\0" * 40, "ends with half a line that is no answer of a batch"),
        (b'{"id": 7}\n', "line 1 of .* is no answer of a batch"),
        (b"[" * 9000 + b"\n", "line 1 of .* is no answer of a batch"),
        (b'{"id":"batch_req_1","custom_id":"a","response":[1]}\n', "line 1 of .* is no answer of a batch"),
        (b'{"id":"batch_req_1","custom_id":null,"error":"a"}\n', "line 1 of .* is no answer of a batch"),
        (b'{"id":"batch_req_1","custom_id":null}\n', "line 1 of .* is no answer of a batch"),
        (whole * 2, "line 3 of .* answers custom_id '[ab]' once more"),
        (
            whole.replace(b'_id":"a"', b'_id":"z"'),
            "answers custom_id 'z', which .*in.jsonl does not have; give",
        ),
    ]:
        batch.out.write_bytes(text)
        assert re.search(said, batch.refused())
        assert batch.out.read_bytes() == text


def test_a_line_that_is_too_long_now_names_the_limit(batch: Batch) -> None:
    write(batch.source, [completion("a", "b"), completion("b", "b", metadata={"c": "d" * 200})])
    assert batch.run().status == 0
    batch.settings.clear()
    told = batch.refused("--max-body", "150")
    assert "answers custom_id 'b', which" in told
    assert "raise --max-body, as 1 of its lines have more than 150 bytes, or give the input" in told


@pytest.mark.parametrize("after", [["a"], ["a", "c"], ["z", "b"]])
def test_an_input_that_changes_while_it_is_answered_is_told(batch: Batch, after: list[str]) -> None:
    write(batch.source, [completion(each, "x") for each in "ab"])
    batch.before = lambda: write(batch.source, [completion(each, "x") for each in after])
    ran = batch.run()
    assert ran.status == 1
    assert ran.err.splitlines()[-1].startswith("error: the input changed while it was answered: ")


def test_lines_that_come_while_it_is_answered_are_of_the_next_run(batch: Batch) -> None:
    write(batch.source, [completion("a", "x")])
    batch.before = lambda: write(batch.source, [completion(each, "x") for each in "ab"])
    for known in ({"a"}, {"a", "b"}):
        assert batch.run().status == 0
        assert answers_in(batch.out).keys() == known


@pytest.mark.parametrize("flags", [(), ("-tp", "2")])
def test_one_of_several_processes_is_refused(
    batch: Batch, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    write(batch.source, [completion("a", "b")])
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        assert "WORLD_SIZE=2: each process would answer everything; start one" in batch.refused(*flags)
    assert not batch.out.exists()


def test_another_process_s_output_is_refused(batch: Batch) -> None:
    write(batch.source, [completion("a", "b")])
    with Output(batch.out):
        assert "another process writes" in batch.refused()


def test_settings_are_those_of_the_server_without_a_time_limit(
    batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(batch.source, [completion("a", "b")])
    monkeypatch.setenv("LLADA_SERVE_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("LLADA_SERVE_MAX_WAIT", "1")
    monkeypatch.setenv("LLADA_SERVE_MAX_QUEUE", "7")
    assert batch.run("--model", "m", "--max-running-requests", "3", "-p", "threshold=0.8").status == 0
    (given,) = batch.settings
    assert (given.model, given.max_num_seqs, given.max_queue) == ("m", 3, 7)
    assert (given.parameters, given.request_timeout, given.max_wait) == ({"threshold": 0.8}, float("inf"), 0)
    assert batch.run("--port", "81").status == 2


def test_what_is_about_clients_says_nothing(batch: Batch, monkeypatch: pytest.MonkeyPatch) -> None:
    write(batch.source, [completion("a", "b")])
    for name, value in [
        ("LLADA_API_KEY", ""),
        ("LLADA_SERVE_SSL_KEYFILE", "key"),
        ("LLADA_SERVE_PORT", "99999"),
        ("LLADA_SERVE_CORS_ORIGINS", "no origin"),
        ("LLADA_SERVE_REPLICAS", "0"),
    ]:
        monkeypatch.setenv(name, value)
    assert batch.run().status == 0


def test_a_thread_that_breaks_is_told_and_what_was_answered_stays(batch: Batch) -> None:
    write(batch.source, [completion("a", "a"), completion("b", "b" * 9)])

    def breaks() -> None:
        if batch.session.steps == 3:
            raise RuntimeError("boom")

    batch.session.breaks = breaks
    ran = batch.run()
    assert ran.status == 1
    told = ran.err.splitlines()[-1]
    assert told.startswith("error: the model's thread broke: ")
    assert told.endswith("has 1 of 2 lines; give the same command again to go on")
    assert answers_in(batch.out).keys() == {"a"}
    batch.session = ScriptedSession()
    assert batch.run().status == 0
    assert answers_in(batch.out).keys() == {"a", "b"}


@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.usefixtures("ending_signals")
def test_a_signal_ends_it_well_and_says_how_to_go_on(
    tmp_path: Path, sent: signal.Signals, status: int
) -> None:
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    write(source, [completion("short", "a"), completion("long", "b" * 100_000)])
    command = [sys.executable, "-m", "tests.server.batch.scripted", "0.01", str(source), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as run:
        until(lambda: run.poll() is not None or (out.exists() and out.stat().st_size > 0), seconds=30)
        run.send_signal(sent)
        _, told = run.communicate(timeout=20)
    assert run.returncode == status, told
    assert told.splitlines()[-1] == f"stopped: {out} has 1 of 2 lines; give the same command again to go on"
    assert answers_in(out).keys() == {"short"}
