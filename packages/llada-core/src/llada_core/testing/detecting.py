"""Checks of a detection hook: whatever a config holds, it does not fail, and models of others it leaves
alone."""

from __future__ import annotations

import contextlib
import functools
import io
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import pluggy

from llada_core.faults import fault_of, one_line
from llada_core.plugins import hookspecs
from llada_core.plugins.info import EngineInfo
from llada_core.registry.wheels import published
from llada_core.testing.checks import Check, NotRun

__all__ = ["detection_checks"]

_RENDER = reprlib.Repr()
_RENDER.maxdict, _RENDER.maxother = 12, 200

_NAMELESS: tuple[Mapping[str, Any], ...] = (
    {},
    {"model_type": None, "architectures": None, "auto_map": None},
    {"model_type": 7, "architectures": 7, "auto_map": 7},
    {"model_type": "", "architectures": [], "auto_map": {}},
    {"mask_token_id": "5", "eos_token_id": [None], "vocab_size": -1, "max_position_embeddings": "many"},
    {"mask_token_id": None, "dlm_paradigm": None, "text_config": None, "quantization_config": 3},
)
"""Odd configs in which nothing says what model it is."""
_ODD: tuple[Mapping[str, Any], ...] = (
    *_NAMELESS,
    {"model_type": ["llada"], "architectures": {"0": "LLaDAModelLM"}, "auto_map": ["modeling.Model"]},
    {"model_type": {}, "architectures": "LLaDAModelLM", "auto_map": "modeling.Model"},
    {
        "architectures": [None, 3, ["nested"], {}],
        "auto_map": {"AutoModel": None, "AutoConfig": [None, "x.Y"]},
    },
    {"auto_map": {"AutoModel": "no_dot", "AutoModelForCausalLM": 5, "": ""}},
    {"model_type": "x" * 10_000, "architectures": ["\0", "Ünïcödé"], "torch_dtype": 1.5},
)
_COMMON = {
    "bert": "BertForMaskedLM",
    "gemma": "GemmaForCausalLM",
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "t5": "T5ForConditionalGeneration",
}
"""Models that nobody fills masks with block by block: the type and the class that their configs name."""
_DIFFUSING = {
    "llada": "LLaDAModelLM",
    "llada_moe": "LLaDAMoEModelLM",
}
"""Models that are filled in, besides those of the rows of known wheels."""
_FIELDS: tuple[Mapping[str, Any], ...] = (
    {"vocab_size": 32000},
    {
        "vocab_size": 126464,
        "embedding_size": 126464,
        "mask_token_id": 126336,
        "eos_token_id": 126081,
        "d_model": 4096,
        "n_layers": 32,
        "n_heads": 32,
        "max_sequence_length": 4096,
        "block_type": "llama",
        "torch_dtype": "bfloat16",
    },
    {
        "vocab_size": 151936,
        "mask_token_id": 151669,
        "bos_token_id": 151643,
        "eos_token_id": 151643,
        "hidden_size": 2048,
        "num_hidden_layers": 28,
        "max_position_embeddings": 32768,
        "block_size": 4,
        "use_cache": False,
    },
)
"""What configs hold besides: those of a plain model, of LLaDA's layout, and of transformers' with blocks."""


def detection_checks(plugins: Sequence[object], engines: Sequence[EngineInfo], own: str) -> Iterator[Check]:
    """The checks of the hooks of ``plugins``, the modules of the distribution ``own``, where ``engines`` are
    installed."""
    ask = functools.partial(_ask, plugins, engines)
    names = frozenset(name for info in engines for name in (info.name, *info.aliases))
    yield "its detection hook survives odd configs", lambda: _survives(ask, names)
    yield "its detection hook leaves others' models alone", lambda: _is_silent(ask, engines, own)


def _ask(plugins: Sequence[object], engines: Sequence[EngineInfo], config: Mapping[str, Any]) -> list[object]:
    """What each hook answers; what it prints is a fault."""
    host = pluggy.PluginManager(hookspecs.PROJECT)
    host.add_hookspecs(hookspecs)
    for plugin in plugins:
        host.register(plugin)
    hooks = host.hook.llada_detect_engine.get_hookimpls()
    if not hooks:
        raise NotRun("it has none")
    printed, shown = io.StringIO(), reprlib.repr(dict(config))
    try:
        with contextlib.redirect_stdout(printed):
            found = [
                host.subset_hook_caller(
                    "llada_detect_engine", [each for each in plugins if each is not one.plugin]
                )(config=MappingProxyType(dict(config)), engines=list(engines))
                for one in hooks
            ]
    except BaseException as exc:  # a plugin may raise anything
        told = one_line(fault_of(exc))
        raise AssertionError(
            f"asked about the config {shown} it raised {told}; return None for what it does not know"
        ) from exc
    assert not printed.getvalue(), f"asked about the config {shown} it prints; leave that out"
    return found


def _survives(ask: Callable[[Mapping[str, Any]], list[object]], names: frozenset[str]) -> None:
    for config in _ODD:
        for answer in ask(config):
            known = answer is None or (isinstance(answer, str) and answer in names)
            assert known, (
                f"asked about the config {reprlib.repr(dict(config))} it answers {answer!r}, which is no "
                "engine's name; return one, or None"
            )


def _is_silent(
    ask: Callable[[Mapping[str, Any]], list[object]], engines: Sequence[EngineInfo], own: str
) -> None:
    for config in _of_others(engines, own):
        for answer in ask(config):
            assert answer is None, (
                f"asked about the config {_RENDER.repr(config)} of a model that others take, it answers "
                f"{answer!r}; return None but for what only its own models have, and list their types in "
                "the spec"
            )
    for nameless in (*_NAMELESS, *_FIELDS):
        for answer in _if_any(ask, nameless):
            assert answer is None, (
                f"asked about the config {_RENDER.repr(dict(nameless))}, which names no model, it answers "
                f"{answer!r}; return None where nothing says that a model is its own"
            )


def _if_any(ask: Callable[[Mapping[str, Any]], list[object]], config: Mapping[str, Any]) -> list[object]:
    """What hooks answer; nothing where one fails, which another check tells."""
    try:
        return ask(config)
    except AssertionError:
        return []


def _of_others(engines: Sequence[EngineInfo], own: str) -> Iterator[dict[str, Any]]:
    """Configs of models that the distribution's engines do not declare."""
    rows: list[Any] = [info.spec for info in engines if info.distribution != own]
    rows += [row for row in published().rows if row.distribution != own]
    pairs = [(kind, name) for row in rows for kind in row.model_types[:4] for name in row.architectures[:4]]
    declared = {
        word
        for info in engines
        if info.distribution == own
        for word in (*info.spec.model_types, *info.spec.architectures)
    }
    for kind, name in dict.fromkeys([*pairs, *_DIFFUSING.items(), *_COMMON.items()]):
        if declared.isdisjoint((kind, name)):
            for fields in _FIELDS:
                yield {"model_type": kind, "architectures": [name], **fields}
