"""How much memory a trainer's weights take while they are read: the model's, and no copy of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from llada_runtime.testing import LLADA_CONFIG

CONFIG = {
    **LLADA_CONFIG,
    "d_model": 768,
    "n_layers": 4,
    "n_heads": 12,
    "n_kv_heads": 12,
    "mlp_hidden_size": 3072,
    "vocab_size": 8000,
    "embedding_size": 8000,
}
WRITE = """
import json, sys, warnings
from torch.distributed import checkpoint
from llada_runtime.testing import llada_weights

warnings.simplefilter("ignore")
weights = llada_weights(json.loads(sys.argv[2]))
print(sum(each.numel() * each.element_size() for each in weights.values()))
checkpoint.save({"model": weights}, checkpoint_id=sys.argv[1])
"""
LOAD = """
import resource, sys
import llada_core
from llada_core import DcpSource, LoadOptions

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

algorithm = llada_core.get_algorithm("basic")
algorithm.network_class()
from torch.distributed import checkpoint
before = peak()
source = DcpSource(path=sys.argv[1], temp_dir=sys.argv[3])
algorithm.load_checkpoint(sys.argv[2], LoadOptions(device="cpu", dtype="float32", dcp=source))
print(peak() - before)
"""


def run(program: str, *arguments: object) -> int:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_peak_is_the_model_and_its_largest_tensors(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "config.json").write_text(json.dumps(CONFIG))
    size = run(WRITE, tmp_path / "dcp", json.dumps(CONFIG))
    assert size > 190 * 2**20
    # temp_dir does not exist: a copy would fail.
    peak = run(LOAD, tmp_path / "dcp", tmp_path / "base", tmp_path / "nowhere")
    print(f"model {size / 2**20:.0f} MiB, peak {peak / 2**20:.0f} MiB above the start")
    assert peak < 1.4 * size
