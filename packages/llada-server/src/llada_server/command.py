"""``llada serve``: flags, and the settings that they, the environment and a file make together."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from llada_core.errors import UsageError
from llada_core.parameters import parse_assignments
from llada_server import serving
from llada_server.given import beneath
from llada_server.ray import local
from llada_server.settings import LEVELS, ServerSettings

__all__ = ["given_settings", "model_flags", "model_settings", "run", "serve", "settings_of"]

_Command = TypeVar("_Command", bound=Callable[..., Any])

# Each: names of the flag, kind (None: text), help. The setting is called like the one name that is no flag,
# or like the first flag.
_FLAGS: tuple[tuple[tuple[str, ...], Any, str], ...] = (
    (("--engine",), None, "Engine to load the model with. Default: the one that fits."),
    (("--device",), None, "cpu, cuda, cuda:1 … Default: cuda if there is one."),
    (("--dtype",), None, "float32, bfloat16, float16. Default: bfloat16 on cuda, float32 elsewhere."),
    (("--revision",), None, "Branch, tag or commit of a hub id."),
    (("--quantization",), None, "fp8 or int8: weights of eight bits, made when loaded. Default: none."),
    (
        ("--tensor-parallel-size", "-tp", "tensor_parallel"),
        int,
        "GPUs to split the model between, each with a process of its own. Default: 1.",
    ),
    (
        ("--dcp-path", "--dcp", "dcp_path"),
        None,
        "Weights that torch.distributed.checkpoint wrote; --base-model has the rest.",
    ),
    (("--base-model", "--base", "base_model"), None, "The model that was trained to what --dcp-path holds."),
    (("--dcp-prefix",), None, "Where in --dcp-path the model is. Default: as found."),
    (("--temp-dir",), None, "Where --dcp-path is converted for an engine that cannot read it."),
    (("--replicas",), int, "Copies of the model, each in a process of its own, by Ray Serve. Default: none."),
    (
        ("--algorithm", "--dllm-algorithm"),
        None,
        "Decodes requests that name none. Default: the engine's.",
    ),
    (("--host",), None, "Address to listen on. Default: 127.0.0.1, this machine only."),
    (("--port",), int, "Port to listen on. Default: 8000."),
    (("--root-path",), None, "Path under which a proxy offers the server."),
    (("--ssl-keyfile",), None, "Key of the TLS certificate."),
    (("--ssl-certfile",), None, "TLS certificate."),
    (("--served-model-name",), None, "What clients call the model. Default: the last part of its path."),
    (("--api-key",), None, "Key that requests must carry; better in LLADA_API_KEY."),
    (("--max-num-seqs", "--max-running-requests"), int, "Requests decoded at a time. Default: 32."),
    (
        ("--max-queue", "--max-queued-requests"),
        int,
        "Requests that wait beside them. Default: 256.",
    ),
    (("--max-wait",), float, "Seconds that a request may wait for others to begin with it. Default: 0."),
    (("--request-timeout",), float, "Seconds that a request may take; inf: no limit. Default: 600."),
    (
        ("--client-timeout",),
        float,
        "Seconds that a client may take to send a request, or take nothing of its answer. Default: 30.",
    ),
    (("--drain-timeout",), float, "Seconds that running requests get at SIGTERM. Default: 30."),
    (
        ("--keep-alive", "--timeout-keep-alive"),
        int,
        "Whole seconds that an idle connection stays open. Default: 5.",
    ),
    (
        ("--max-model-len", "--context-length"),
        int,
        "Tokens of prompt and answer. Default: the model's limit.",
    ),
    (("--max-body",), int, "Bytes of a request's body. Default: 4194304."),
    (
        ("--gpu-memory-utilization", "--mem-fraction-static"),
        float,
        "Share of the device's memory, up to 1, that weights and cache take together.",
    ),
    (("--chat-template",), None, "File with a chat template, instead of the tokenizer's."),
    (("--log-level", "--uvicorn-log-level"), click.Choice(LEVELS), "Default: info."),
)


_SWITCHES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("--trust-remote-code",), "Run code that comes with the checkpoint."),
    (("--no-chat-template",), "Send the text of messages as it stands."),
    (("--no-log-requests", "--disable-log-requests"), "Log no requests."),
    (("--log-prompts",), "Log prompts and answers."),
)
# What says nothing where nobody asks from outside.
_OF_CLIENTS = frozenset(
    {
        "--replicas", "--host", "--port", "--root-path", "--ssl-keyfile", "--ssl-certfile", "--api-key",
        "--max-wait", "--request-timeout", "--client-timeout", "--drain-timeout", "--keep-alive",
        "--no-log-requests",
    }
)  # fmt: skip
_CLIENTS = {each.removeprefix("--").removeprefix("no-").replace("-", "_") for each in _OF_CLIENTS}
_SETTINGS_OF_CLIENTS = frozenset({*_CLIENTS, "cors_origins"})


def _flags(command: _Command, *, without: Container[str] = ()) -> _Command:
    """The command with the flags of all settings, but for those ``without``, by their first names."""
    command = click.option(
        "--config",
        type=click.Path(path_type=Path),
        help="TOML file with settings, called as their variables in small letters without LLADA_SERVE_.",
    )(command)
    command = click.option(
        "-p", "--parameter", "assignments", multiple=True, metavar="NAME=VALUE",
        help="A default of the algorithm's parameters; repeatable.",
    )(command)  # fmt: skip
    for switches, told in reversed(_SWITCHES):
        if switches[0] not in without:
            command = click.option(*switches, is_flag=True, default=None, help=told)(command)
    for names, kind, told in reversed(_FLAGS):
        if names[0] not in without:
            command = click.option(*names, type=kind, default=None, help=told)(command)
    return command


def model_flags(command: _Command) -> _Command:
    """The command with the flags of a model and of what it decodes at a time; none is about clients."""
    return _flags(command, without=_OF_CLIENTS)


@click.command()
@click.argument("model", required=False)
@click.option("--model", "--model-path", "named", help="The same as MODEL.")
@click.option("--cors-origin", "cors_origins", multiple=True, help="Pages of this host may ask; repeatable.")
@_flags
@click.pass_context
def serve(ctx: click.Context, /, config: Path | None, **flags: Any) -> None:
    """Serve MODEL (a folder, a hub id or a wheel that holds one; default: the embedded model) by the OpenAI
    API.

    Every setting may also stand in the environment, as LLADA_SERVE_PORT, or in the file of --config.
    Flags win over the environment, and the environment over the file.
    """
    ctx.exit(run(settings_of(flags, config=config)))


def run(settings: ServerSettings) -> int:
    """Serve by this process, or by as many replicas as the settings say: the exit status. Raises as each."""
    return serving.run(settings) if settings.replicas is None else local.run(settings)


def settings_of(flags: Mapping[str, Any], *, config: Path | None) -> ServerSettings:
    """The settings that ``given_settings`` make. Raises ``UsageError``."""
    return ServerSettings(**given_settings(flags, config=config))


def model_settings(flags: Mapping[str, Any], *, config: Path | None) -> dict[str, Any]:
    """As ``given_settings``, without what is about clients, which says nothing where there are none."""
    given = given_settings(flags, config=config)
    return {name: value for name, value in given.items() if name not in _SETTINGS_OF_CLIENTS}


def given_settings(flags: Mapping[str, Any], *, config: Path | None) -> dict[str, Any]:
    """What flags (None, empty: not given), the environment and a file set, by name. Raises ``UsageError``.

    Without ``config`` it is the file that ``LLADA_SERVE_CONFIG`` names, if it is set.
    """
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    named = given.pop("named", None)
    if named is not None and given.setdefault("model", named) != named:
        raise UsageError(f"MODEL is {given['model']} and --model {named}; give one of them")
    if given.pop("no_chat_template", False):
        given["use_chat_template"] = False
    if given.pop("no_log_requests", False):
        given["log_requests"] = False
    assignments = given.pop("assignments", ())
    if assignments:
        given["parameters"] = parse_assignments(assignments)
    return {**beneath(config), **given}
