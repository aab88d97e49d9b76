"""``llada batch``: files of requests, with the settings of ``llada serve`` that are about a model."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import click

from llada_core.cli.options import MODEL
from llada_core.errors import UsageError
from llada_server.batch.running import OnCluster, run
from llada_server.command import model_flags, model_settings
from llada_server.settings import ServerSettings

__all__ = ["batch", "batch_settings"]


@click.group()
def batch() -> None:
    """Answer files of requests, in the format of OpenAI's Batch API."""


@batch.command("run")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Where answers are written."
)
@click.option("--model", "--model-path", "model", help=f"{MODEL}. Default: the embedded model.")
@click.option("--ray", is_flag=True, help="By workers on a cluster of Ray, of this machine or of many.")
@click.option(
    "--ray-address",
    metavar="HOST:PORT",
    help="The cluster; local: one of this machine alone. Default: the one that Ray finds, or local.",
)
@click.option(
    "--replicas",
    type=click.IntRange(min=1),
    help="Workers, each with a copy of the model. Default: one a GPU; without GPUs, one a machine.",
)
@model_flags
@click.pass_context
def run_file(
    ctx: click.Context,
    /,
    source: Path,
    out: Path,
    config: Path | None,
    ray: bool,
    ray_address: str | None,
    replicas: int | None,
    **flags: Any,
) -> None:
    """Answer each line of IN, a request, by a line of --out, in the order in which they are done.

    A line is {"custom_id": ..., "method": "POST", "url": "/v1/chat/completions", "body": {...}}. The same
    command goes on where one was ended, whatever ended it.

    The exit status is 0 where every line has an answer, 3 where some have none (each says why), and 1 or 2
    where it did not come to its end. Settings may stand in the environment and in a file, as for llada serve.
    """
    cluster = _cluster(ray, ray_address, replicas)
    ctx.exit(run(source, out, batch_settings(flags, config=config), cluster=cluster))


def _cluster(ray: bool, address: str | None, replicas: int | None) -> OnCluster | None:
    """Where workers answer; None is this process. Raises ``UsageError``."""
    if ray:
        return OnCluster(address=address, replicas=replicas)
    for flag, value in (("--ray-address", address), ("--replicas", replicas)):
        if value is not None:
            raise UsageError(f"{flag} {value} is of a cluster; give --ray too, or leave it out")
    return None


def batch_settings(flags: dict[str, Any], *, config: Path | None) -> ServerSettings:
    """The settings that flags, the environment and a file make, with no time that a line may take: nobody
    waits for it. Raises ``UsageError``."""
    return ServerSettings(**model_settings(flags, config=config), request_timeout=inf)
