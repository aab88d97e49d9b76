"""``llada batch``: files of requests, with the settings of ``llada serve`` that are about a model."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Any

import click

from llada_server.batch.running import run
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
@click.option("--model", "--model-path", "model", help="Folder or hub id. Default: the embedded model.")
@model_flags
@click.pass_context
def run_file(ctx: click.Context, /, source: Path, out: Path, config: Path | None, **flags: Any) -> None:
    """Answer each line of IN, a request, by a line of --out, in the order in which they are done.

    A line is {"custom_id": ..., "method": "POST", "url": "/v1/chat/completions", "body": {...}}. The same
    command goes on where one was ended, whatever ended it.

    The exit status is 0 where every line has an answer, 3 where some have none (each says why), and 1 or 2
    where it did not come to its end. Settings may stand in the environment and in a file, as for llada serve.
    """
    ctx.exit(run(source, out, batch_settings(flags, config=config)))


def batch_settings(flags: dict[str, Any], *, config: Path | None) -> ServerSettings:
    """The settings that flags, the environment and a file make, with no time that a line may take: nobody
    waits for it. Raises ``UsageError``."""
    return ServerSettings(**model_settings(flags, config=config), request_timeout=inf)
