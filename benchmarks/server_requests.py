"""What the soak asks the server, and what it is to answer: the answers that the library gives alone.

Requests are drawn from the tasks of llada-tiny with a fixed seed. Among them are some of two faulty decoders,
which raise for prompts of an odd number of tokens; `install_faulty_decoders` puts these into a folder, as a
plugin.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llada_core import GenerationError, GenerationRequest, LoadedModel, get_algorithm_info
from llada_core.testing.distributions import FakeDistribution
from llada_tiny.tasks import FAMILIES, Instance, held_out

__all__ = ["REFUSED", "Answer", "Case", "cases_of", "install_faulty_decoders"]

FAULTY = ("soak_rule", "soak_call")
_PLUGIN = """
    from llada_core import AlgorithmSpec, hookimpl, standard

    PARAMETERS = (standard("gen_length"), standard("block_length"), standard("early_stop"))

    @hookimpl
    def llada_algorithms():
        for name, kind in (("soak_rule", "RaisesInSelect"), ("soak_call", "RaisesInCall")):
            yield AlgorithmSpec(
                name=name, engine="fast-dllm", target=f"llada_soak_decoders:{kind}",
                summary="Raises for some prompts.", parameters=PARAMETERS,
            )
"""
_DECODERS = """
    import torch
    from llada_runtime import DualCache, Quota, StepAlgorithm
    from llada_soak import PARAMETERS

    class Failing(Quota):
        @classmethod
        def select(cls, sequences, scores, open_):
            if any(each.prompt_length % 2 and each.nfe >= 2 for each in sequences):
                raise RuntimeError("this row is odd")
            return super().select(sequences, scores, open_)

    class RaisesInSelect(StepAlgorithm):
        parameters = PARAMETERS

        def policy(self, params):
            return DualCache()

        def rule(self, params):
            return Failing(8)

    class RaisesInCall(StepAlgorithm):
        parameters = PARAMETERS

        def generate(self, model, prompt, **params):
            if prompt.shape[1] % 2:
                raise RuntimeError("this call is odd")
            answer = prompt[:, -1:].repeat(1, params["gen_length"])
            return torch.cat((prompt, answer), dim=1), 1
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a client learns, however it came: of a whole answer, or of a stream put together again."""

    status: int = 200
    code: str | None = None
    texts: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    prompt_tokens: int = 0
    completion_tokens: int = 0
    nfe: int = 0
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request and its ``answer``; ``streams`` where it may be asked for as a stream."""

    kind: str
    path: str
    body: Any
    answer: Answer
    streams: bool = True
    method: str = "POST"

    @property
    def content(self) -> bytes:
        """The body as it is sent."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def install_faulty_decoders(folder: Path) -> None:
    """Install a plugin into ``folder`` whose two decoders, a rule and a call, raise for some prompts."""
    FakeDistribution(
        name="llada-soak",
        entry_points={"soak": "llada_soak"},
        modules={"llada_soak": _PLUGIN, "llada_soak_decoders": _DECODERS},
    ).install(folder)


def cases_of(model: LoadedModel, count: int, seed: int = 0) -> list[Case]:
    """``count`` requests of all kinds, each with what ``model`` answers to it alone."""
    chance = random.Random(seed)
    instances = [each for family in FAMILIES for each in held_out(family, 20, seed)]
    names = [name for name, reason in model.algorithms().items() if reason is None and name not in FAULTY]
    kinds = list(_MAKERS)
    return [
        _MAKERS[kinds[index % len(kinds)]](model, chance, chance.choice(instances), chance.choice(names))
        for index in range(count)
    ]


def _decoding(chance: random.Random, name: str, *, length: bool = True) -> dict[str, Any]:
    """Parameters of the algorithm ``name``, as fields of a request."""
    taken = {each.name for each in get_algorithm_info(name).parameters}
    given: dict[str, Any] = {}
    if length:
        given["max_tokens"] = chance.choice((5, 16, 24, 32, 48, 64, 96))
    if chance.random() < 0.5:
        given["block_length"] = chance.choice((8, 16, 32))
    if "threshold" in taken and chance.random() < 0.5:
        given["threshold"] = chance.choice((0.6, 0.8, 0.95))
    if "temperature" in taken and chance.random() < 0.3:
        given |= {"temperature": 0.7, "seed": chance.randrange(1000)}
    return given


def _chat(model: LoadedModel, chance: random.Random, instance: Instance, name: str) -> Case:
    """A conversation, sometimes with two answers, sometimes ended by a text."""
    given = _decoding(chance, name)
    n = 2 if "seed" in given else 1
    stop = (".",) if chance.random() < 0.2 else ()
    messages = [dict(each) for each in instance.messages]
    requests = [
        GenerationRequest(prompt=messages, algorithm=name, parameters=_nth(given, index), stop=stop)
        for index in range(n)
    ]
    body = {"messages": messages, "generation_algorithm": name, **given, "n": n}
    if stop:
        body["stop"] = list(stop)
    return Case(kind="chat", path="/v1/chat/completions", body=body, answer=_alone(model, requests))


def _completion(model: LoadedModel, chance: random.Random, instance: Instance, name: str) -> Case:
    """A text that goes on, sometimes told once more in the answer."""
    given, echo = _decoding(chance, name), chance.random() < 0.3
    prompt = instance.messages[-1]["content"]
    request = GenerationRequest(prompt=prompt, algorithm=name, parameters=given, raw=True)
    body = {"prompt": prompt, "algorithm": name, **given, "echo": echo}
    answer = _alone(model, [request], before=prompt if echo else "")
    return Case(kind="completion", path="/v1/completions", body=body, answer=answer)


def _suffix(model: LoadedModel, chance: random.Random, instance: Instance, name: str) -> Case:
    """The gap between two texts."""
    given, (before, after) = _decoding(chance, name, length=False), _halves(instance)
    length = chance.randint(2, 12)
    template: list[Any] = [before, {"max_tokens": length}, after]
    request = GenerationRequest(template=template, algorithm=name, parameters=given)
    body = {"prompt": before, "suffix": after, "max_tokens": length, "algorithm": name, **given}
    answer = _alone(model, [request], blank=True)
    return Case(kind="suffix", path="/v1/completions", body=body, answer=answer)


def _infill(model: LoadedModel, chance: random.Random, instance: Instance, name: str) -> Case:
    """An answer with two blanks, as text or as a list."""
    given, (before, after) = _decoding(chance, name, length=False), _halves(instance)
    first, second = chance.randint(1, 8), chance.randint(1, 8)
    listed: list[Any] = [before, {"max_tokens": first}, after, {"max_tokens": second}]
    template: Any = listed if chance.random() < 0.5 else f"{before}{{{{{first}}}}}{after}{{{{{second}}}}}"
    prompt = instance.messages[-1]["content"]
    request = GenerationRequest(prompt=prompt, template=template, algorithm=name, parameters=given)
    body = {"prompt": prompt, "template": template, "generation_algorithm": name, **given}
    return Case(kind="infill", path="/v1/infill", body=body, answer=_alone(model, [request]))


def _score(model: LoadedModel, chance: random.Random, instance: Instance, name: str) -> Case:
    """Three candidates for one blank."""
    before, after = _halves(instance)
    candidates = [str(chance.randint(1, 999)), before.split()[0], after.split()[-1]]
    template: list[Any] = [before + " ", {"max_tokens": 4}, " " + after]
    scores = model.score(template, candidates, algorithm=name)
    return Case(
        kind="score",
        path="/v1/score",
        body={"template": template, "candidates": candidates, "generation_algorithm": name},
        answer=Answer(scores=tuple(each.log_probability for each in scores)),
        streams=False,
    )


def _faulty(model: LoadedModel, chance: random.Random, instance: Instance, name: str) -> Case:
    """A chat by a decoder that fails at about every second prompt."""
    messages, given = [dict(each) for each in instance.messages], {"max_tokens": chance.choice((24, 48))}
    name = chance.choice(FAULTY)
    request = GenerationRequest(prompt=messages, algorithm=name, parameters=given)
    body = {"messages": messages, "generation_algorithm": name, **given}
    return Case(kind="faulty", path="/v1/chat/completions", body=body, answer=_alone(model, [request]))


_MAKERS: dict[str, Callable[[LoadedModel, random.Random, Instance, str], Case]] = {
    "chat": _chat,
    "completion": _completion,
    "chat too": _chat,
    "suffix": _suffix,
    "infill": _infill,
    "chat again": _chat,
    "score": _score,
    "faulty": _faulty,
}


def _halves(instance: Instance) -> tuple[str, str]:
    """The reference answer in two parts, both of them some text."""
    words = instance.reference.split(" ")
    middle = max(1, len(words) // 2)
    return " ".join(words[:middle]), " ".join(words[middle:]) or "."


def _nth(given: Mapping[str, Any], index: int) -> dict[str, Any]:
    return {**given, "seed": given["seed"] + index} if "seed" in given else dict(given)


def _alone(
    model: LoadedModel, requests: list[GenerationRequest], *, before: str = "", blank: bool = False
) -> Answer:
    """The answers of the library, each request for itself; of a gap, what is in its ``blank``."""
    try:
        results = [model.generate_batch([request])[0] for request in requests]
    except GenerationError:
        return Answer(status=500, code="generation_failed")
    return Answer(
        texts=tuple(before + (each.blanks[0] if blank else each.text) for each in results),
        reasons=tuple(each.finish_reason for each in results),
        prompt_tokens=results[0].prompt_tokens,
        completion_tokens=sum(each.completion_tokens for each in results),
        nfe=sum(each.nfe for each in results),
    )


def _refused(path: str, body: Any, code: str | None, status: int = 400, method: str = "POST") -> Case:
    answer = Answer(status=status, code=code)
    return Case(kind="refused", path=path, body=body, answer=answer, streams=False, method=method)


_CHAT, _HELLO = "/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}]}
REFUSED = (
    _refused(_CHAT, {**_HELLO, "generation_algorithm": "dual_cash"}, "unknown_algorithm"),
    _refused(_CHAT, {**_HELLO, "threshold": 9}, "invalid_parameter"),
    _refused(_CHAT, {**_HELLO, "max_tokens": 10**6}, "invalid_parameter"),
    _refused(_CHAT, {**_HELLO, "model": "another"}, "model_not_found", 404),
    _refused(_CHAT, {"messages": []}, "invalid_field"),
    _refused(_CHAT, {**_HELLO, "tools": [{"type": "function"}]}, "unsupported_field"),
    _refused(_CHAT, b'{"messages": [', "invalid_json"),
    _refused("/v1/completions", {}, "invalid_field"),
    _refused("/v1/infill", {"template": "{{no number}}"}, "invalid_field"),
    _refused("/v1/nothing", {}, None, 404),
    _refused("/v1/infill", {}, None, 405, "GET"),
)
"""Requests that are wrong, with what is said of them."""
