"""From settings to a running server: load, say what is served, listen, and stop when asked to."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from fastapi import FastAPI

from llada_core.errors import UsageError
from llada_core.faults import uninterrupted
from llada_core.generation.likelihood import Estimate, LogLikelihood
from llada_core.generation.likelihoods import likelihoods, texts_of
from llada_core.generation.results import Score
from llada_core.generation.scores import score_steps
from llada_core.loading import LoadedModel
from llada_core.progress import telling
from llada_server.announcing import address_lines, start_lines, steps_line, why_engine
from llada_server.draining import Server, leave
from llada_server.http.application import application
from llada_server.http.routes import chat, completions, health, infill, models, page, tokens
from llada_server.http.served import Served
from llada_server.logs import log_to_stderr
from llada_server.metrics import Metrics
from llada_server.opening import check_certificate, config_of, loaded
from llada_server.reading import Reading
from llada_server.room import Room, room_of
from llada_server.scheduler.spare_memory import SpareMemory, freeze, trimmer
from llada_server.scheduler.worker import Worker
from llada_server.settings import ServerSettings

__all__ = [
    "EMBEDDED",
    "application_of",
    "bound",
    "columns_of",
    "follows",
    "listen",
    "name_at",
    "opened",
    "run",
    "serve",
    "served_model",
    "told_loaded",
]

EMBEDDED = "llada-tiny"  # what is served where no model is named
_log = logging.getLogger(__name__)
_LAST_STEP = 1.0  # seconds that the model's thread gets to end, once nobody waits for it


def run(settings: ServerSettings) -> int:
    """Load what the settings name and serve it until a signal asks to stop: the exit status, as of ``serve``.

    Raises what loading raises, and ``UsageError`` for an address that cannot be had and files that are no
    certificate, before anything is loaded.
    """
    began = time.perf_counter()
    log_to_stderr(settings.log_level, requests=settings.log_requests, prompts=settings.log_prompts)
    check_certificate(settings)
    if follows(settings):
        loaded(settings)  # does not return
    with bound(settings) as taken, told_loaded(settings) as model:
        served, metrics, lines = opened(model, settings, began=began)
        listen(taken, settings)
        for line in (*lines, *address_lines(settings, taken.getsockname()[1])):
            click.echo(line, err=True)
        return serve(served, metrics, taken)


def opened(
    model: LoadedModel, settings: ServerSettings, *, began: float
) -> tuple[Served, Metrics, list[str]]:
    """The model with its thread, not started yet, what counts for it, and what is said of it at the start.

    ``began`` is when loading did, by ``time.perf_counter``. Raises as ``columns_of``.
    """
    config = config_of(settings)
    room = room_of(model, config)
    columns = columns_of(model, settings, room)
    served, metrics = served_model(model, settings, columns=columns)
    lines = start_lines(
        served,
        why=why_engine(served.engine, config, settings),
        room=room,
        columns=columns,
        seconds=time.perf_counter() - began,
        steps=steps_line(model, config),
        weights=None if model.dcp is None else model.dcp.told,
    )
    return served, metrics, list(lines)


def told_loaded(settings: ServerSettings) -> LoadedModel:
    """The model that the settings name; how many kinds of steps are captured is logged. Raises as loading."""
    with telling(partial(_log.info, "%d of %d kinds of steps captured")):
        return loaded(settings)


def follows(settings: ServerSettings, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether torchrun started this process as another rank than 0, which listens."""
    return settings.tensor_parallel > 1 and "WORLD_SIZE" in environ and environ.get("RANK", "0") != "0"


def serve(served: Served, metrics: Metrics, listening: socket.socket) -> int:
    """Serve a model until a signal asks to stop: the exit status, 0 unless the model's thread broke.

    Where that thread is in a call that does not return, the process ends here.
    """
    worker = served.worker
    worker.start()
    freeze()
    server = Server(application_of(served, metrics), worker, served.settings)
    with uninterrupted():  # Ctrl-C is a signal to the server then, and what looks like it a plugin's
        asyncio.run(server.serve(sockets=[listening]))
    status = 0 if worker.alive else 1
    if not worker.stop(_LAST_STEP):
        leave(status)
    return status


def bound(settings: ServerSettings) -> socket.socket:
    """A socket that has the settings' address and does not listen yet: what probes a server takes one that
    listens for one that answers. Raises ``UsageError`` where the address cannot be had."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    taken = socket.socket(family)
    try:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        taken.bind((settings.host, settings.port))
    except OSError as exc:
        taken.close()
        raise _not_to_be_had(settings, exc) from exc
    return taken


def listen(taken: socket.socket, settings: ServerSettings) -> None:
    """Let clients connect to the address that ``bound`` took. Raises ``UsageError`` where another program
    began to listen on it meanwhile."""
    try:
        taken.listen()
    except OSError as exc:
        raise _not_to_be_had(settings, exc) from exc


def _not_to_be_had(settings: ServerSettings, exc: OSError) -> UsageError:
    known = exc.errno is not None and exc.errno > 0  # errors of names are < 0
    reason = os.strerror(exc.errno) if known and exc.errno else str(exc.strerror or exc).partition(" (")[0]
    return UsageError(
        f"{settings.host}:{settings.port} cannot be listened on ({reason}); give another --host or --port"
    )


def served_model(
    model: LoadedModel, settings: ServerSettings, *, columns: int | None = None
) -> tuple[Served, Metrics]:
    """The model with its thread, not started yet, and what counts for it.

    ``columns`` bound what all requests may have in the cache together; None is what the device holds.
    """
    name = settings.served_model_name or name_of(model, settings)
    metrics = Metrics(name)
    worker = _worker(model, settings, metrics, columns)
    metrics.watch(running=lambda: worker.running, accepted=lambda: worker.accepted, columns=columns)
    longest = min(filter(None, (settings.max_model_len, model.model.limits.max_length)), default=None)
    served = Served(
        settings=settings,
        worker=worker,
        reader=Reading(model.model),
        name=name,
        root=model.model.path,
        created=int(time.time()),
        engine=model.engine.name,
        max_model_len=longest,
        default_algorithm=model.algorithm(settings.algorithm).name,
        algorithms=model.algorithms,
        end_ids=model.model.end_ids,
        score=partial(score_within, longest, model),
        likelihood=partial(likelihood_within, longest, model),
        ready=model.ready,
    )
    return served, metrics


def _worker(model: LoadedModel, settings: ServerSettings, metrics: Metrics, columns: int | None) -> Worker:
    network = model.model.network
    return Worker(
        lambda: model.session(rows=settings.max_num_seqs, columns=columns),
        limit=settings.max_num_seqs + settings.max_queue,
        watcher=metrics,
        max_wait=settings.max_wait,
        tidy=SpareMemory(trimmer()).give_back,
        lost=lambda: getattr(network, "lost", None),
    )


def name_of(model: LoadedModel, settings: ServerSettings) -> str:
    """What clients call a model that has been given no name: the last part of its path."""
    return _name_at(model.model.path, settings)


def name_at(settings: ServerSettings) -> str:
    """What ``name_of`` will tell of the model, which is not loaded yet."""
    return _name_at(settings.dcp_path or settings.named or EMBEDDED, settings)


def _name_at(path: str, settings: ServerSettings) -> str:
    if settings.model is None and settings.dcp_path is None:
        return EMBEDDED
    return Path(path).name or "model"


def columns_of(model: LoadedModel, settings: ServerSettings, room: Room | str) -> int | None:
    """The cached columns that all requests may hold together; None is what the device holds.

    Where ``gpu_memory_utilization`` bounds weights and cache together, they are what is left beside the
    weights, and no more than is free now. Raises ``UsageError`` where that is nothing, or is not known.
    """
    share = settings.gpu_memory_utilization
    if share is None:
        return None
    if isinstance(room, str):
        raise UsageError(f"gpu_memory_utilization={share} cannot be kept to: {room}; leave it out")
    free = getattr(model.model.network, "affordable_columns", None)
    columns = room.columns(share)
    return columns if free is None else max(1, min(columns, free()))


def score_within(
    limit: int | None, model: LoadedModel, template: Any, candidates: Sequence[str], **asked: Any
) -> Generator[None, None, list[Score]]:
    """What ``LoadedModel.score`` returns, forward by forward, of prompts and templates that have at most
    ``limit`` tokens."""
    algorithm = model.algorithm(asked.pop("algorithm"))
    bounded = model.ready().within(limit)
    return model.while_ready(score_steps(algorithm, bounded, template, candidates, **asked))


def likelihood_within(
    limit: int | None,
    model: LoadedModel,
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
    *,
    algorithm: str,
    **how: Any,
) -> Generator[None, None, list[LogLikelihood]]:
    """What ``LoadedModel.log_likelihoods`` tells of pairs of ids, in their order, by the chain from left to
    right; forward by forward. ``how`` is the rest of its ``Estimate``."""
    estimate = Estimate(method="chain", greedy=False, **how)
    chosen, bounded = model.algorithm(algorithm), model.ready().within(limit)
    forwards = likelihoods(chosen, bounded, texts_of(chosen, bounded, pairs, raw=True), estimate)
    found: dict[int, LogLikelihood] = {}
    for ended in model.while_ready(forwards):
        found.update(ended)
        yield
    return [found[number] for number in range(len(pairs))]


def application_of(served: Served, metrics: Metrics) -> FastAPI:
    """Everything that clients can ask of the model."""
    routers = [
        chat.router(served),
        completions.router(served),
        infill.router(served),
        models.router(served),
        tokens.router(served),
        health.router(served, metrics),
        page.router(),
    ]
    return application(served.settings, routers)
