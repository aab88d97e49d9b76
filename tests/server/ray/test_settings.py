"""What the arguments of the application set, and over what."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from llada_core.errors import UsageError
from llada_server.ray.settings import PoolSettings, settings_of
from llada_server.settings import ServerSettings


def test_arguments_are_settings_of_the_server_and_of_replicas() -> None:
    server, pool = settings_of(
        {
            "model": "M",
            "max-num-seqs": 4,
            "parameters": {"steps": 8},
            "cors_origins": ["*"],
            "num_replicas": 2,
        }
    )
    assert server == ServerSettings(model="M", max_num_seqs=4, parameters={"steps": 8}, cors_origins=("*",))
    assert pool == PoolSettings(num_replicas=2)
    assert settings_of({}) == (ServerSettings(), PoolSettings())


def test_arguments_win_over_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLADA_SERVE_MAX_QUEUE", "5")
    monkeypatch.setenv("LLADA_SERVE_MAX_NUM_SEQS", "6")
    monkeypatch.setenv("LLADA_API_KEY", "k")
    server, _ = settings_of({"max_num_seqs": 7})
    assert (server.max_queue, server.max_num_seqs, server.api_key) == (5, 7, "k")


def test_what_is_not_of_an_application_is_refused_and_from_elsewhere_said_to_be_unused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UsageError, match="port, which is none of an application; set port, among its"):
        settings_of({"port": 80})
    with pytest.raises(
        UsageError, match="root_path, which is none of an application; set route_prefix of the"
    ):
        settings_of({"root_path": "/llada"})
    monkeypatch.setenv("LLADA_SERVE_HOST", "0.0.0.0")
    monkeypatch.setattr(logging.getLogger("llada_server"), "propagate", True)
    server, _ = settings_of({})
    assert (server.host, caplog.messages) == (
        ServerSettings().host,
        ["host is none of an application; set host, among its http_options of Serve's file"],
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"num_replica": 2}, "args sets num_replica, which is no setting; did you mean num_replicas"),
        ({"num_replicas": "2"}, "args sets num_replicas to '2'; give a whole number"),
        ({"num_replicas": 0}, "num_replicas=0 cannot be; give 1 or more"),
        ({"num_replicas": 2, "max_replicas": 3}, "cannot both be; give one of them"),
        ({"min_replicas": 1}, "min_replicas is of autoscaling, which max_replicas asks for; give it too"),
        ({"target_ongoing_requests": 4}, "is of autoscaling"),
        ({"max_replicas": 2, "min_replicas": 3}, "max_replicas=2 is less than min_replicas=3"),
        ({"max_replicas": 2, "target_ongoing_requests": 0}, "give a number above 0"),
        (
            {"max_replicas": 2, "target_ongoing_requests": float("nan")},
            "nan cannot be; give a number above 0",
        ),
        ({"max_replicas": 2, "downscale_delay_s": -1}, "downscale_delay_s=-1 cannot be; give seconds, 0 or"),
        ({"max_replicas": 2, "initial_replicas": 3}, "initial_replicas=3 cannot be; give 1 to 2, its bounds"),
        ({"max_replicas": 2, "min_replicas": 2, "initial_replicas": 1}, "give 2 to 2, its bounds"),
        ({"num_replicas": 2, "upscale_delay_s": 1}, "upscale_delay_s is of autoscaling"),
        ({"cpus_per_replica": 1.5}, "cpus_per_replica=1.5 cannot be; give 0 to 1, or a whole number"),
        ({"gpus_per_replica": -1}, "gpus_per_replica=-1 cannot be"),
        ({"cpus_per_replica": float("inf")}, "cpus_per_replica=inf cannot be"),
        ({"max_num_seqs": 0}, "max_num_seqs=0 cannot be"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        settings_of(given)


@pytest.mark.parametrize(
    ("given", "bounds"),
    [
        ({}, (1, 1)),
        ({"num_replicas": 3}, (3, 3)),
        ({"max_replicas": 3}, (1, 3)),
        ({"max_replicas": 3, "min_replicas": 0}, (0, 3)),
    ],
)
def test_how_many_there_are(given: dict[str, Any], bounds: tuple[int, int]) -> None:
    pool = PoolSettings(**given)
    assert (pool.least, pool.most) == bounds
