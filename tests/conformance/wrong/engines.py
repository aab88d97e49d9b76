"""Engines that are wrong: what their specs and classes say otherwise than a good one's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

from llada_core import AlgorithmSpec, EngineSpec
from tests.conformance.wrong.parts import ReadsTheNetworkGeneration  # type: ignore[attr-defined]
from tests.conformance.wrong.tables import Good, GoodCall, name_of

__all__ = ["WRONG_ENGINES", "WrongEngine", "spec_of"]


class NotesItself(GoodCall):
    """It leaves a note on the network, which is no fault of it."""

    def written(self, model: Any, prompt: Any, mask: Any, values: Any) -> Any:
        model.noted = getattr(model, "noted", 0) + 1
        return super().written(model, prompt, mask, values)


class LoadsByItself(GoodCall):
    """Its `load_checkpoint` does not ask `load_network`."""

    def load_checkpoint(self, model_path: Any, options: Any) -> Any:
        made = GoodCall()
        self.model, self.tokenizer = made.load_checkpoint(model_path, options), made.tokenizer
        self.model_path = str(model_path)
        return self.model


class FailsToLoad(GoodCall):
    """It loads nothing."""

    def load_network(self, folder: Any, options: Any) -> Any:
        raise ValueError("no tensors; download the weights again")


class Promises(GoodCall):
    """It says that it runs, and does not."""

    def written(self, model: Any, prompt: Any, mask: Any, values: Any) -> Any:
        raise RuntimeError(f"it is not for networks on {torch.device('cpu')}")


def refuse() -> str:
    """A probe."""
    return "there is no card; buy one"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrongEngine:
    """A wrong engine: what is wrong with it, the ``check`` that finds it, its classes and fields."""

    fault: str
    check: str
    kinds: tuple[type, ...] = (Good, GoodCall)
    fields: dict[str, Any] = field(default_factory=dict)


WRONG_ENGINES = {
    "refusing": WrongEngine(
        fault="Its probe says that it cannot run.",
        check="the engine can run here",
        fields={"probe": f"{__name__}:refuse"},
    ),
    "undetected": WrongEngine(
        fault="It declares other models than the one that it is given.",
        check="its model is detected as its own",
        fields={"model_types": ("another",)},
    ),
    "unloading": WrongEngine(
        fault="It cannot load its models.", check="the engine loads its model", kinds=(FailsToLoad,)
    ),
    "promising": WrongEngine(
        fault="It lists an algorithm that does not run on its model.",
        check="its algorithms run as lm.algorithms() says",
        kinds=(Good, Promises),
    ),
    "unsharing": WrongEngine(
        fault="Rows of one of its algorithms depend on what another leaves on the network meanwhile.",
        check="rows of all its algorithms share a session",
        kinds=(ReadsTheNetworkGeneration, NotesItself),
    ),
    "unoverridable": WrongEngine(
        fault="Its `load_checkpoint` does not ask `load_network`.",
        check="a load_network that is overridden is what loads",
        kinds=(LoadsByItself,),
    ),
}


def spec_of(name: str, engine: WrongEngine) -> EngineSpec:
    """The spec of a wrong engine."""
    algorithms = tuple(
        AlgorithmSpec(
            name=f"{name}_{name_of(kind)}",
            engine=name,
            target=f"{kind.__module__}:{kind.__name__}",
            summary="",
            parameters=kind.parameters,  # type: ignore[attr-defined]
            streams=kind.yields_steps(),  # type: ignore[attr-defined]
        )
        for kind in engine.kinds
    )
    return EngineSpec(
        name=name,
        target=algorithms[0].target,
        default_algorithm=algorithms[0].name,
        algorithms=algorithms,
        **{"model_types": ("llada",), **engine.fields},
    )
