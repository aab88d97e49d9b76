"""What a CPU keeps of the products that it has run: bounded, unless the environment says otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from llada_runtime.network.kept_products import bound_kept_products

NAMES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "DNNL_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
MANY_ROWS = """
import os, threading, torch
from pathlib import Path
from llada_runtime.network.linear import Linear, _can_pack

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def run(first, last):
    with torch.inference_mode():
        for rows in range(first, last):
            layer(torch.zeros(rows, 16))

torch.set_num_threads(1)
layer = Linear(64, 16, device=torch.device("cpu"), dtype=torch.float32)
packs = _can_pack(torch.nn.init.ones_(layer.weight))
if kind is not None:
    layer.quantise(kind)
layer.pack()
if packs:
    for first, last in ((1, 400), (400, 1000)):
        before = resident()
        thread = threading.Thread(target=run, args=(first, last))  # as a server's, whose main thread loads
        thread.start()
        thread.join()
    print((resident() - before) // 2**20)
"""


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in NAMES:
        monkeypatch.setenv(name, "")  # so that it is put back, whatever the test leaves
        monkeypatch.delenv(name)
    return monkeypatch


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read as Linux tells it")
@pytest.mark.slow
@pytest.mark.parametrize("kind", [None, "int8"])
def test_products_of_ever_new_numbers_of_rows_take_no_ever_new_memory(
    unset: pytest.MonkeyPatch, kind: str | None
) -> None:
    bounded = _grown(kind)
    if bounded is None:
        pytest.skip("this CPU's products are not packed")
    for name in NAMES:
        unset.setenv(name, "1024")  # what is kept without a bound
    unbounded = _grown(kind)
    assert unbounded is not None
    assert bounded < unbounded / 2


def _grown(kind: str | None) -> int | None:
    """The MiB that 600 numbers of rows take after 400 others; None where products are not packed.

    How much depends on the CPU, and, by what glibc holds free, on chance.
    """
    program = f"kind = {kind!r}\n{MANY_ROWS}"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return int(told.stdout) if told.stdout else None


def test_what_the_environment_says_of_kept_products_stands(unset: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        unset.setenv(name, "77")
    bound_kept_products()
    assert [os.environ[name] for name in NAMES] == ["77", "77", "77"]


def test_the_older_name_of_a_bound_is_heeded_too(unset: pytest.MonkeyPatch) -> None:
    unset.setenv("DNNL_PRIMITIVE_CACHE_CAPACITY", "77")
    bound_kept_products()
    assert "ONEDNN_PRIMITIVE_CACHE_CAPACITY" not in os.environ
