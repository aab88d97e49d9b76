"""The model that the settings name, in memory. What is wrong with them is told before, where it can be."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

from llada_core.checkpoints.config import ModelConfig
from llada_core.checkpoints.hub import read_config
from llada_core.errors import ModelError, PromptError, UsageError
from llada_core.faults import one_line
from llada_core.loading import LoadedModel, check_call, load_dcp, load_model, named_model
from llada_server.settings import ServerSettings

__all__ = ["check_certificate", "check_named", "config_of", "loaded"]


def loaded(settings: ServerSettings) -> LoadedModel:
    """The model that the settings name, with their chat template. Raises what loading raises."""
    if settings.algorithm is not None:
        check_call(settings.algorithm, settings.parameters)
    template = None if settings.chat_template is None else _template_in(Path(settings.chat_template))
    how: dict[str, Any] = {
        "engine": settings.engine,
        "device": settings.device,
        "dtype": settings.dtype,
        "trust_remote_code": settings.trust_remote_code,
        "revision": settings.revision,
        "quantization": settings.quantization,
        "tensor_parallel": settings.tensor_parallel,
    }
    if settings.dcp_path is None:
        model = load_model(settings.model, **how)
    else:
        assert settings.named is not None
        where, scratch = settings.dcp_prefix, settings.temp_dir
        model = load_dcp(settings.dcp_path, settings.named, prefix=where, temp_dir=scratch, **how)
    algorithm = model.algorithm(settings.algorithm)
    effective = check_call(algorithm.name, settings.parameters)
    algorithm.check_parameters_fit(model.model.network, effective)
    if template is not None:
        _use(template, model, settings)
    return model


def check_named(settings: ServerSettings) -> None:
    """Refuse a model that is not there and an algorithm that nobody has, before a process is started to load
    the one and ask for the other. Raises ``ModelNotFound``, and as ``check_call``."""
    config_of(settings)
    if settings.algorithm is not None:
        check_call(settings.algorithm, settings.parameters)


def config_of(settings: ServerSettings) -> ModelConfig:
    """The config of the model that the settings name. Raises ``ModelNotFound``."""
    return read_config(named_model(settings.named), revision=settings.revision)


def _template_in(file: Path) -> str:
    try:
        template = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise UsageError(f"--chat-template {file} cannot be read: {exc}; give a file of UTF-8 text") from exc
    if not template.strip():
        raise UsageError(f"--chat-template {file} is empty; write one, or give --no-chat-template")
    return template


def _use(template: str, model: LoadedModel, settings: ServerSettings) -> None:
    """Let the model have the template, and try it: a request is too late to hear that it is none."""
    if model.model.tokenizer is None:
        raise UsageError(f"--chat-template is given, and {model.model.path} has no tokenizer; leave it out")
    model.model.tokenizer.chat_template = template
    try:
        model.model.encode([{"role": "user", "content": "Hello"}])
    except PromptError:
        pass  # it is a template, which refuses this conversation
    except ModelError as exc:
        told = one_line(exc.__cause__ or exc)
        raise UsageError(
            f"--chat-template {settings.chat_template} cannot be used ({told}); correct it"
        ) from exc


def check_certificate(settings: ServerSettings) -> None:
    """Refuse files that are no certificate and its key. Raises ``UsageError``."""
    if settings.ssl_certfile is None or settings.ssl_keyfile is None:
        return
    for flag, file in (("certfile", settings.ssl_certfile), ("keyfile", settings.ssl_keyfile)):
        try:
            Path(file).read_bytes()
        except OSError as exc:
            raise UsageError(f"--ssl-{flag} {file} cannot be read: {exc.strerror}; give a PEM file") from exc
    try:
        # A password would be asked for on the terminal, and the web server asks for it once more.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            settings.ssl_certfile, settings.ssl_keyfile, password=lambda: ""
        )
    except (OSError, ValueError) as exc:
        raise UsageError(
            f"--ssl-certfile {settings.ssl_certfile} and --ssl-keyfile {settings.ssl_keyfile} are no "
            f"certificate and its key ({exc}); give PEM files that belong together, the key without password"
        ) from exc
