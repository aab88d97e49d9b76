"""``llada-batch-server``: the flags of the reference service, whose users have them in scripts.

Each becomes the setting that it is here. What it meant and does not mean here is said in a warning.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Collection
from typing import Any, NoReturn

import click

from llada_core.cli.options import MODEL
from llada_core.cli.reporting import report, show_warning, status_of
from llada_server.command import given_settings, run
from llada_server.given import CONFIG, PREFIX
from llada_server.settings import OF_DCP, ServerSettings

__all__ = ["main", "program"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--host", help="Address to listen on. Default: 127.0.0.1, this machine only.")
@click.option("--port", type=int, help="Default: 8000.")
@click.option("--model-path", "model", help=f"{MODEL}. Default: the embedded model.")
@click.option("--dcp-path", help="Weights of a torch.distributed checkpoint.")
@click.option("--base-model", help="The model whose weights --dcp-path has.")
@click.option("--temp-dir", help="Where --dcp-path is converted for an engine that cannot read it.")
@click.option("--engine", help="Engine, or auto for the one that fits.")
@click.option("--algorithm", help="What decodes requests that name none.")
@click.option("--batch-size", "max_num_seqs", type=int, help="Requests decoded at a time. Default: 8.")
@click.option("--max-wait-time", "max_wait", type=float, help="Seconds that a request waits for others.")
@click.option("--no-chat-template", is_flag=True, default=None, help="Send messages as they stand.")
@click.option("--timeout-keep-alive", "keep_alive", type=int, help="Default: 300.")
@click.option("--trust-remote-code", is_flag=True, default=None, help="Run code of the checkpoint.")
@click.option("--verbose", is_flag=True, help="Log more.")
def program(engine: str | None, verbose: bool, **flags: Any) -> int:
    """Serve a model with the flags of the reference service; `llada serve` has more."""
    given = {name: value for name, value in flags.items() if value is not None}
    if engine not in (None, "auto"):
        given["engine"] = engine
    if verbose:
        given["log_level"] = "debug"
    typed = tuple(given)
    # What the environment and its file say counts more than the reference service's defaults.
    given = {"max_num_seqs": 8, "keep_alive": 300, **given_settings(given, config=None)}
    if given.get("dcp_path"):
        if not given.get("model"):
            given.setdefault("base_model", "GSAI-ML/LLaDA-8B-Instruct")
    else:
        _leave_out(given, typed)
    return run(ServerSettings(**given))


def _leave_out(given: dict[str, Any], typed: Collection[str]) -> None:
    """Take out what is of ``dcp_path``, which is not given, and say so; ``typed`` are the flags' settings."""
    for name in OF_DCP:
        if given.pop(name, None) is not None:
            source = f"--{name.replace('_', '-')}" if name in typed else _source(name)
            warnings.warn(f"{source} says nothing without --dcp-path; leave it out", stacklevel=3)


def _source(name: str) -> str:
    """What gives a setting that no flag does: a variable, or the file."""
    wanted = f"{PREFIX}{name.upper()}"
    variable = next((each for each in os.environ if each.startswith(PREFIX) and each.upper() == wanted), None)
    return variable or f"{name} in {os.environ[CONFIG]}"


def main() -> NoReturn:
    """Run the program and exit: 2 for a wrong call, 1 for other errors, each told in one line."""
    try:
        with warnings.catch_warnings():
            warnings.showwarning = show_warning
            sys.exit(program(standalone_mode=False))
    except click.exceptions.Exit as exc:
        sys.exit(exc.exit_code)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(130)
    except Exception as exc:
        report(exc)
        sys.exit(status_of(exc))
