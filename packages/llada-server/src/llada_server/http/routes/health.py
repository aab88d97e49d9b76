"""Whether it lives, whether it takes requests, what it is and what it counts."""

from __future__ import annotations

from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import JSONResponse, Response

import llada_core
import llada_server
from llada_server.http.documented import FIGURES
from llada_server.http.served import Served
from llada_server.http.wire.server import Health, Ready, Versions
from llada_server.metrics import Metrics

__all__ = ["router"]


def router(served: Served, metrics: Metrics) -> APIRouter:
    """The paths, for this model."""
    routes = APIRouter(tags=["Server"])
    worker = served.worker

    @routes.get("/health", response_model=Health, responses={503: {"model": Health}})
    async def health() -> Response:
        """200 while the model's thread works, 503 when it does not."""
        told = {
            "status": "ok" if worker.alive else "failed",
            "model": served.name,
            "algorithm": served.default_algorithm,
        }
        return JSONResponse(told, status_code=200 if worker.alive else 503)

    @routes.get("/ready", response_model=Ready, responses={503: {"model": Ready}})
    async def ready() -> Response:
        """200 while new requests are taken, 503 when the server is about to stop or has failed, and while its
        model sleeps or is being given other weights."""
        takes = served.takes_requests
        return JSONResponse({"ready": takes}, status_code=200 if takes else 503)

    @routes.get("/version")
    async def version() -> Versions:
        """The versions of the server and of what it stands on."""
        return Versions(version=llada_server.__version__, llada_core=llada_core.__version__)

    @routes.get("/metrics", response_class=Response, responses=FIGURES)
    def prometheus() -> Response:
        """The figures, as Prometheus reads them."""
        return Response(metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    @routes.get("/batch/stats")
    def stats() -> dict[str, float]:
        """All figures as JSON, over all labels: of histograms the count and the sum."""
        return metrics.stats()

    return routes
