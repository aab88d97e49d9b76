"""What a server says at its start, and what bounds the memory of its cache."""

from __future__ import annotations

import math
import re
import socket
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.torch import load_file
from torch.distributed import checkpoint

from llada_core import LoadedModel, ParameterError, load_model, registry
from llada_core.checkpoints.config import ModelConfig
from llada_core.errors import TokenizerMissing, UsageError
from llada_core.machine import main_memory
from llada_server import announcing
from llada_server import room as rooms
from llada_server.announcing import address_lines, start_lines, steps_line, why_engine
from llada_server.opening import config_of, loaded
from llada_server.reading import Reading
from llada_server.room import Room, room_of
from llada_server.serving import bound, columns_of, listen, served_model
from llada_server.settings import ServerSettings
from tests.server.test_worker import until

pytestmark = pytest.mark.alone

GIB = 2**30
# As an 8B model has them on a card of 80 GiB.
LARGE = Room(dtype="bfloat16", weights=15 * GIB, column=2**19, logits=2**25, total=80 * GIB)


@pytest.fixture(autouse=True)
def no_engine_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LLADA_ENGINE", raising=False)


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model(engine="fast-dllm", device="cpu")


@pytest.fixture
def config() -> ModelConfig:
    return config_of(ServerSettings())


def lines(
    model: LoadedModel,
    *,
    room: Room | str = LARGE,
    columns: int | None = None,
    steps: str | None = None,
    weights: str | None = None,
    **given: Any,
) -> str:
    settings = ServerSettings(**given)
    served, _ = served_model(model, settings)
    told = start_lines(served, why="W", room=room, columns=columns, seconds=2.5, steps=steps, weights=weights)
    return "\n".join((*told, *address_lines(settings, 8765)))


def test_the_start_tells_model_engine_algorithms_limits_and_address(model: LoadedModel) -> None:
    told = lines(model, max_num_seqs=4, max_queue=7, root_path="/llada")
    assert f"model llada-tiny from {model.model.path}, loaded in 2.5 s" in told
    assert "engine fast-dllm: W" in told
    assert re.search(r"^algorithms .*\bbasic, .*\bdinfer_blockwise, ", told, re.M)
    assert "requests that name none get dual_cache" in told
    assert "up to 4 requests at a time, 7 more may wait" in told
    assert "listening on http://127.0.0.1:8765/llada" in told
    assert "warning" not in told


def test_the_start_tells_what_weights_and_cache_take(model: LoadedModel) -> None:
    free = lines(model, max_num_seqs=4, max_model_len=1000)
    assert "weights 15.0 GiB in bfloat16, cache 512.0 KiB a token" in free
    assert (
        "2.0 GiB for 4 requests of 1000 tokens; the cache takes up to nine tenths of what is free of 80.0 GiB"
        in free
    )
    bound = lines(model, columns=116672, gpu_memory_utilization=0.9)
    assert "0.9 of 80.0 GiB leave the cache 116672 tokens" in bound
    assert "memory not known: no estimate" in lines(model, room="no estimate")


def test_a_default_that_cannot_run_on_the_network_is_refused_at_the_start() -> None:
    class Choosy(type(registry.get_algorithm("basic"))):  # type: ignore[misc]
        name = "choosy"

        def check_parameters_fit(self, model: Any, params: Any) -> None:
            raise ParameterError("not on this network", parameter="steps", value=params["steps"])

    undo = registry.register_algorithm(Choosy)
    try:
        with pytest.raises(ParameterError, match="not on this network"):
            loaded(ServerSettings(algorithm="choosy", parameters={"steps": 4}, device="cpu"))
    finally:
        undo()


def test_the_start_tells_what_was_read_of_a_trainers_weights(model: LoadedModel, tmp_path: Path) -> None:
    base = Path(model.model.path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch tells that this is a single process
        checkpoint.save({"policy": load_file(base / "model.safetensors")}, checkpoint_id=tmp_path / "step-7")
    settings = ServerSettings(dcp_path=str(tmp_path / "step-7"), base_model=str(base), device="cpu")
    with loaded(settings) as trained:
        assert trained.dcp is not None
        told = lines(model, weights=trained.dcp.told)
    assert re.search(r"^weights .*step-7: \d+ tensors read, 'policy\.' taken off their names", told, re.M)
    assert "weights /" not in lines(model)


def test_a_limit_above_the_model_s_is_told(model: LoadedModel) -> None:
    limit = model.model.limits.max_length
    assert limit is not None
    told = lines(model, max_model_len=limit + 1)
    assert f"max_model_len={limit + 1} is more than the model takes; requests may have {limit} tokens" in told
    assert "warning" not in lines(model, max_model_len=limit)
    assert "warning" not in lines(model)


@pytest.mark.parametrize(("host", "shown"), [("0.0.0.0", "0.0.0.0"), ("::", "[::]")])
def test_an_address_that_others_reach_without_a_key_is_told(
    model: LoadedModel, host: str, shown: str
) -> None:
    told = lines(model, host=host)
    assert f"http://{shown}:8765" in told
    assert f"warning: {host} can be reached from other machines, and no key is asked for" in told
    assert "warning" not in lines(model, host=host, api_key="secret")


def test_the_reason_for_the_engine_is_who_names_it_or_what_the_config_says(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert why_engine("fast-dllm", config, ServerSettings(engine="fast-dllm")) == "the settings name it"
    told = why_engine("dinfer", config, ServerSettings())
    assert told == "config.json has model_type 'llada'; fast-dllm takes it too, with priority 10"
    monkeypatch.setenv("LLADA_ENGINE", "fast-dllm")
    assert why_engine("fast-dllm", config, ServerSettings()) == "LLADA_ENGINE names it"


def test_a_better_engine_that_cannot_run_is_told(
    config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def detected(*given: Any, **more: Any) -> Any:
        found = detect(*given, **more)
        better, *others = found.candidates
        unable = replace(better, available=False, reason="it needs a GPU; take one")
        return replace(found, engine=others[0].engine, candidates=(unable, *others))

    detect = announcing.detect_config
    monkeypatch.setattr(announcing, "detect_config", detected)
    assert "dinfer cannot run here: it needs a GPU; take one" in why_engine(
        "fast-dllm", config, ServerSettings()
    )


def test_the_room_of_a_model_is_what_its_engine_estimates(model: LoadedModel, config: ModelConfig) -> None:
    room = room_of(model, config)
    assert isinstance(room, Room)
    network = model.model.network
    with safe_open(Path(model.model.path) / "model.safetensors", framework="pt") as file:
        numbers = sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    assert (room.dtype, room.weights) == ("float32", 4 * numbers)
    cache = network.new_cache(columns=8)
    cache.take(8)
    layers = range(network.shape.n_layers)
    assert room.column * 8 == sum(pool.nbytes for layer in layers for pool in cache.layer(layer))


def test_a_share_is_of_all_memory_and_holds_weights_and_cache_together() -> None:
    columns = LARGE.columns(0.9)
    used = LARGE.weights + LARGE.logits + columns * LARGE.column
    assert used <= 0.9 * LARGE.total < used + LARGE.column


def test_a_share_that_the_weights_fill_is_refused_with_the_least_that_is_not() -> None:
    with pytest.raises(UsageError, match=r"weights of 15.0 GiB; give 0.19 or more") as refused:
        LARGE.columns(0.1)
    assert "0.1 of the device's 80.0 GiB" in str(refused.value)
    with pytest.raises(UsageError, match="take a smaller model, or another device"):
        replace(LARGE, total=GIB).columns(0.9)


class Fake:
    """A model on a card with room for ``free`` columns."""

    def __init__(self, free: int) -> None:
        self.model = self.network = self
        self.affordable_columns = lambda: free


@pytest.mark.parametrize(("free", "expected"), [(10**9, LARGE.columns(0.5)), (70, 70), (0, 1)])
def test_the_cache_has_what_the_share_leaves_and_no_more_than_is_free(free: int, expected: int) -> None:
    settings, fake = ServerSettings(gpu_memory_utilization=0.5), Fake(free)
    assert columns_of(fake, settings, LARGE) == expected  # type: ignore[arg-type]
    assert columns_of(fake, ServerSettings(), LARGE) is None  # type: ignore[arg-type]


def test_a_share_that_cannot_be_kept_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot be kept to: no estimate; leave it out"):
        columns_of(Fake(9), ServerSettings(gpu_memory_utilization=0.5), "no estimate")  # type: ignore[arg-type]


def test_the_memory_of_a_card_is_that_of_the_one_which_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    class Device:
        type, index = "cuda", 1

    class Network:
        device = Device()

    monkeypatch.setattr(
        rooms, "load_target", lambda target: lambda: [{"total": 1}, {"total": 3}, {"total": 2}]
    )
    assert rooms._total(Network(), 1) == 3
    assert rooms._total(Network(), 2) == 2  # of the smaller one


@pytest.mark.parametrize(
    ("attributes", "share", "told"),
    [
        ({"quantization": "int8"}, 1, "memory: weights 8.5 MiB in int8 and float32, cache 16.0 KiB a token"),
        (
            {"tensor_parallel": 2},
            2,
            "memory of each of 2 devices: weights 15.3 MiB in float32, cache 8.0 KiB a token",
        ),
    ],
)
def test_the_room_of_a_model_knows_how_it_was_loaded(
    model: LoadedModel,
    config: ModelConfig,
    monkeypatch: pytest.MonkeyPatch,
    attributes: dict[str, Any],
    share: int,
    told: str,
) -> None:
    for name, value in attributes.items():
        monkeypatch.setattr(model.model.network, name, value, raising=False)
    room = room_of(model, config)
    assert isinstance(room, Room)
    assert room.total == main_memory() // share
    assert told in lines(model, room=room)


def test_the_start_tells_how_steps_run(
    model: LoadedModel, config: ModelConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = steps_line(model, config)
    assert str(told).startswith("steps run on torch's own kernels, launched one by one (")
    assert lines(model, steps=told).splitlines().count(str(told)) == 1
    monkeypatch.setattr(model.model.network, "tensor_parallel", 2, raising=False)
    assert steps_line(model, config) == f"{told}, on each of 2 devices"
    nobody = replace(config, fields={**config.fields, "model_type": "x", "architectures": ["X"]})
    assert str(steps_line(model, nobody)).startswith("how steps run cannot be told: config.json: model_type")


def test_the_budget_holds_for_all_requests_together(model: LoadedModel) -> None:
    settings = ServerSettings(gpu_memory_utilization=0.5, max_num_seqs=4)
    served, metrics = served_model(model, settings, columns=100)
    served.worker.start()
    try:
        asked = served.worker.ask(lambda: None)
        asked.result(30)
        assert "llada_kv_cache_usage_perc" in metrics.exposition().decode()
        ended: list[Any] = []
        for prompt in ("What is 12 + 30?", "word " * 200):
            asked_for = served.asked(None, {"max_tokens": 32})
            request = served.request(asked_for, asked_for.parameters, prompt=prompt, raw=True)
            served.worker.post(request, ended.append)
        until(lambda: served.worker.accepted == 0, seconds=30)
    finally:
        served.worker.stop(5)
    refused = [event.error for event in ended if hasattr(event, "error")]
    assert ["there is memory for 100" in str(error) for error in refused] == [True]


def test_reading_is_on_a_tokenizer_of_its_own(model: LoadedModel) -> None:
    served, _ = served_model(model, ServerSettings())
    reading: Any = served.reader
    assert reading._model.tokenizer is not model.model.tokenizer
    messages = [{"role": "user", "content": "What is 12 + 30?"}]
    ids = served.reader.encode(messages)
    assert ids == model.model.encode(messages)
    assert served.reader.decode(ids[:4]) == model.model.decode(ids[:4])


def test_a_tokenizer_that_cannot_be_copied_is_shared_and_that_is_told(
    model: LoadedModel, caplog: pytest.LogCaptureFixture
) -> None:
    class Stubborn:
        def __deepcopy__(self, memo: object) -> Any:
            raise TypeError("it holds a lock")

    stubborn = Stubborn()
    reading: Any = Reading(replace(model.model, tokenizer=stubborn))
    assert reading._model.tokenizer is stubborn
    assert "cannot be copied, so that two threads share it: TypeError: it holds a lock" in caplog.text


def test_texts_are_encoded_one_after_the_other_and_ids_read_meanwhile(model: LoadedModel) -> None:
    served, _ = served_model(model, ServerSettings())
    text = "What is 12 + 30? " * 40
    ids = served.reader.encode(text, raw=True)
    with ThreadPoolExecutor(4) as pool:
        encoded = [pool.submit(served.reader.encode, text, raw=True) for _ in range(40)]
        decoded = [pool.submit(served.reader.decode, ids) for _ in range(40)]
        assert all(each.result() == ids for each in encoded)
        assert {each.result() for each in decoded} == {served.reader.decode(ids)}


def test_no_two_texts_are_encoded_at_a_time(model: LoadedModel) -> None:
    reading: Any = Reading(model.model)
    inside: list[str] = []
    together: list[int] = []

    def encode(prompt: str, *, raw: bool) -> list[int]:
        inside.append(prompt)
        together.append(len(inside))
        time.sleep(0.002)
        inside.remove(prompt)
        return []

    reading._model = SimpleNamespace(encode=encode)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(reading.encode, map(str, range(20))))
    assert together == [1] * 20


def test_an_address_is_taken_at_once_and_nobody_can_connect_before_it_listens() -> None:
    with bound(ServerSettings(port=0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        listen(taken, ServerSettings(port=port))
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        with pytest.raises(
            UsageError, match=f"127.0.0.1:{port} cannot be listened on .Address already in use"
        ):
            bound(ServerSettings(port=port))


def test_of_two_that_took_an_address_one_listens() -> None:
    with bound(ServerSettings(port=0)) as first:
        settings = ServerSettings(port=first.getsockname()[1])
        with bound(settings) as second:
            listen(first, settings)
            with pytest.raises(UsageError, match="give another --host or --port"):
                listen(second, settings)


def test_ids_are_no_text_where_there_is_no_tokenizer(model: LoadedModel) -> None:
    bare = replace(model.model, tokenizer=None)
    served, _ = served_model(model, ServerSettings())
    without = replace(served, reader=Reading(bare))
    with pytest.raises(TokenizerMissing):
        without.text_of([1, 2], field="tokens")
