"""``GET /v1/models``, ``/generation/algorithms`` and ``/generation/engines``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter

from llada_core import registry
from llada_core.faults import fault_of
from llada_core.plugins.info import AlgorithmInfo
from llada_server.http.documented import MISSING
from llada_server.http.served import Served
from llada_server.http.wire.models import (
    AlgorithmCard,
    AlgorithmList,
    EngineCard,
    EngineList,
    ModelCard,
    ModelList,
    ParameterCard,
)

__all__ = ["router"]


def router(served: Served) -> APIRouter:
    """The paths, for this model."""
    routes = APIRouter()

    @routes.get("/v1/models", tags=["OpenAI"])
    async def models() -> ModelList:
        """The model that is served."""
        return ModelList(data=[_model(served)])

    @routes.get("/v1/models/{name:path}", tags=["OpenAI"], responses=MISSING)
    async def model(name: str) -> ModelCard:
        """One model. 404 for another name."""
        served.check_name(name)
        return _model(served)

    @routes.get("/generation/algorithms", tags=["Generation"])
    def algorithms() -> AlgorithmList:
        """Every algorithm that is installed, its parameters, and whether it runs on the served model."""
        found = map(registry.get_algorithm_info, registry.list_algorithms())
        fit = served.algorithms()
        return AlgorithmList(data=[_algorithm(info, fit, default=served.default_algorithm) for info in found])

    @routes.get("/generation/engines", tags=["Generation"])
    def engines() -> EngineList:
        """Every engine that is installed."""
        found = map(registry.get_engine, registry.list_engines())
        return EngineList(
            data=[EngineCard(**_told(info), loaded=info.name == served.engine) for info in found]
        )

    return routes


def _model(served: Served) -> ModelCard:
    return ModelCard(
        id=served.name,
        created=served.created,
        root=served.root,
        max_model_len=served.max_model_len,
        engine=served.engine,
    )


def _algorithm(info: AlgorithmInfo, fit: Mapping[str, str | None], *, default: str) -> AlgorithmCard:
    """What is known of an algorithm; those that ``fit`` does not name run on other models."""
    elsewhere = f"it runs on models of the engine {info.engine}"
    reason = info.reason or fit.get(info.name, elsewhere)
    told: dict[str, Any] = {
        **info.as_dict(),
        "reason": reason,
        "runs": reason is None,
        "infills": reason is None and _infills(info.name),
        "default": info.name == default,
        "parameters": [
            ParameterCard.model_validate({**each.as_dict(), "expected": each.expected})
            for each in info.parameters
        ],
    }
    return AlgorithmCard(**told)


def _infills(name: str) -> bool:
    try:
        return registry.get_algorithm(name).infill_reason() is None
    except BaseException as exc:  # a plugin's, which a request to fill blanks is told; the list has others
        fault_of(exc)
        return False


def _told(info: Any) -> dict[str, Any]:
    told: dict[str, Any] = info.as_dict()
    return told
