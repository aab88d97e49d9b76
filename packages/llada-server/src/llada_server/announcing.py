"""What is said at the start: the model, its engine and why that one, algorithms, memory and the address."""

from __future__ import annotations

from collections.abc import Iterator

from llada_core.checkpoints.config import ModelConfig
from llada_core.cli.estimates import steps_of
from llada_core.detection import Candidate, detect_config
from llada_core.environment import read_environment
from llada_core.errors import LladaError
from llada_core.loading import LoadedModel
from llada_core.machine import amount
from llada_server.http.served import Served
from llada_server.room import Room
from llada_server.settings import ServerSettings

__all__ = ["address_lines", "start_lines", "steps_line", "why_engine"]


def start_lines(
    served: Served,
    *,
    why: str,
    room: Room | str,
    columns: int | None,
    seconds: float,
    steps: str | None = None,
    weights: str | None = None,
) -> Iterator[str]:
    """The lines about the model.

    Args:
        why: why this engine loaded the model.
        room: the memory of it, or why that is not known.
        columns: the budget of its cache, None where that is what is free.
        seconds: how long loading took.
        steps: on which kernels steps run, None where the engine does not say.
        weights: what was read of a trainer's checkpoint, None where it is none.
    """
    settings = served.settings
    runs = [name for name, reason in served.algorithms().items() if reason is None]
    yield f"model {served.name} from {served.root}, loaded in {seconds:.1f} s"
    if weights is not None:
        yield f"weights {weights}"
    yield f"engine {served.engine}: {why}"
    yield f"algorithms {', '.join(runs)}; requests that name none get {served.default_algorithm}"
    if steps is not None:
        yield steps
    yield _memory(served, room, columns)
    yield f"up to {settings.max_num_seqs} requests at a time, {settings.max_queue} more may wait"
    if settings.max_model_len is not None and settings.max_model_len != served.max_model_len:
        yield (
            f"warning: max_model_len={settings.max_model_len} is more than the model takes; requests may "
            f"have {served.max_model_len} tokens"
        )


def address_lines(settings: ServerSettings, port: int) -> Iterator[str]:
    """Where the server listens, and a warning where it should not without a key."""
    yield f"listening on {_address(settings, port)}"
    if settings.public and settings.api_key is None:
        yield (
            f"warning: {settings.host} can be reached from other machines, and no key is asked for; set "
            "LLADA_API_KEY, or listen on 127.0.0.1"
        )


def why_engine(engine: str, config: ModelConfig, settings: ServerSettings) -> str:
    """Why ``engine`` loaded the model of this config: who names it, or what the config says."""
    if settings.engine is not None:
        return "the settings name it"
    if read_environment().engine is not None:
        return "LLADA_ENGINE names it"
    trusted = settings.trust_remote_code
    try:
        found = detect_config(config, check=not trusted, trust_remote_code=trusted)
    except LladaError as exc:  # plugins that came or went since the model was loaded
        return str(exc)
    if found.engine != engine:
        return f"it runs the model by its own code, as {found.engine} does not implement it"
    kind = f"model_type {found.model_type!r}" if found.model_type else f"architectures {found.architectures}"
    others = [each for each in found.candidates if each.installed and each.engine != engine]
    return f"config.json has {kind}" + "".join(f"; {_other(each)}" for each in others)


def steps_line(model: LoadedModel, config: ModelConfig) -> str | None:
    """On which kernels the model's steps run, as its engine says; None where it does not."""
    network = model.model.network
    device = getattr(getattr(network, "device", None), "type", "cpu")
    dtype = str(getattr(network, "dtype", "")).removeprefix("torch.")
    told, reason = steps_of(model.engine, config.fields, device=device, dtype=dtype)
    if told is None:
        return None if reason is None else f"how steps run cannot be told: {reason}"
    devices = getattr(network, "tensor_parallel", 1)
    return told if devices == 1 else f"{told}, on each of {devices} devices"


def _other(candidate: Candidate) -> str:
    if candidate.available:
        return f"{candidate.engine} takes it too, with priority {candidate.priority}"
    return f"{candidate.engine} cannot run here: {candidate.reason}"


def _memory(served: Served, room: Room | str, columns: int | None) -> str:
    """What weights take, what the cache of all rows may come to, and what it is bounded by."""
    if isinstance(room, str):
        return f"memory not known: {room}"
    eight = f"{room.quantization} and " if room.quantization else ""
    weights, column = amount(room.weights), amount(room.column)
    told = f"memory: weights {weights} in {eight}{room.dtype}, cache {column} a token"
    if room.devices > 1:
        told = f"memory of each of {room.devices} devices{told.removeprefix('memory')}"
    rows, longest = served.settings.max_num_seqs, served.max_model_len
    if longest is not None:
        told += f", {amount(room.column * rows * longest)} for {rows} requests of {longest} tokens"
    if columns is None:
        return f"{told}; the cache takes up to nine tenths of what is free of {amount(room.total)}"
    share = served.settings.gpu_memory_utilization
    return f"{told}; {share} of {amount(room.total)} leave the cache {columns} tokens"


def _address(settings: ServerSettings, port: int) -> str:
    scheme = "https" if settings.ssl_certfile else "http"
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{scheme}://{host}:{port}{settings.root_path}"
