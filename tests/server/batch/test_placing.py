"""How many workers there are, and what each has: of one machine and several, with GPUs and without."""

from __future__ import annotations

from typing import Any

import pytest

from llada_core.errors import UsageError
from llada_server.batch.placing import Machine, placed
from llada_server.settings import ServerSettings

CPU, GPUS = Machine(cpus=8, gpus=0), Machine(cpus=32, gpus=8)


@pytest.mark.parametrize(
    ("machines", "settings", "replicas", "expected"),
    [
        ([CPU], {}, None, (1, 8, 0)),
        ([CPU, CPU], {}, None, (2, 8, 0)),
        ([CPU], {}, 2, (2, 4, 0)),
        ([CPU], {}, 3, (3, 2, 0)),
        ([CPU, CPU], {}, 3, (3, 4, 0)),
        ([Machine(cpus=0, gpus=0), CPU], {}, None, (1, 8, 0)),  # a head that takes no work
        ([GPUS], {}, None, (8, 4, 1)),
        ([GPUS, GPUS, CPU], {}, None, (16, 4, 1)),
        ([GPUS], {"tensor_parallel": 4}, None, (2, 16, 4)),
        ([GPUS], {}, 2, (2, 16, 1)),
        ([GPUS], {"device": "cpu"}, None, (1, 32, 0)),
        ([Machine(cpus=1, gpus=2)], {}, None, (1, 1, 1)),
    ],
)
def test_a_cluster_is_shared_out(
    machines: list[Machine], settings: dict[str, Any], replicas: int | None, expected: tuple[int, int, int]
) -> None:
    pool = placed(machines, ServerSettings(**settings), replicas=replicas)
    assert (pool.num_replicas, pool.cpus_per_replica, pool.gpus_per_replica) == expected


@pytest.mark.parametrize(
    ("machines", "settings", "replicas", "said"),
    [
        ([CPU], {}, 9, "9 replicas need a core each, and the cluster has place for 8; give a smaller"),
        ([GPUS], {}, 9, "9 replicas need 1 GPUs and a core each, and the cluster has place for 8"),
        ([Machine(cpus=8, gpus=1)], {"tensor_parallel": 2}, None, "1 replicas need 2 GPUs .* place for 0"),
        ([], {}, None, "place for 0"),
        ([GPUS], {"device": "cuda:1"}, None, "--device cuda:1 cannot be: .* name the kind alone, as cuda"),
    ],
)
def test_what_has_no_place_is_refused(
    machines: list[Machine], settings: dict[str, Any], replicas: int | None, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        placed(machines, ServerSettings(**settings), replicas=replicas)
