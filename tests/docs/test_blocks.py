"""Every block of code in the documentation runs, or says why not.

In the first line of a fenced block, ``testable`` and ``file=NAME`` are for test_docs.py, ``served`` is for
test_server.py, ``signature`` is that of a hook, and ``checked`` is looked at by a test of its own. A block
that is none of these says ``not-run:`` and why, and is counted here.
"""

from __future__ import annotations

import ast
import json
import subprocess
import tomllib
from pathlib import Path

from tests.docs.documents import DOCUMENTS, blocks, each_document, name_of

# How many blocks of each document do not run. A new one needs a reason that a reader would accept.
NOT_RUN = {
    "README.md": 1,
    "3rdparty/README.md": 1,
    "CONTRIBUTING.md": 1,
    "docs/batch.md": 1,
    "docs/bench.md": 2,
    "docs/decoders.md": 1,
    "docs/index.md": 1,
    "docs/install.md": 2,
    "docs/loading.md": 1,
    "docs/migrating.md": 1,
    "docs/parallel.md": 3,
    "docs/evaluation.md": 3,
    "docs/publishing.md": 1,
    "docs/ray.md": 2,
    "docs/server.md": 2,
    "docs/tuning.md": 1,
    "docs/verify.md": 1,
    "docs/writing-an-algorithm.md": 5,
    "examples/llada-entropy/README.md": 2,
    "examples/llada-mymodel/README.md": 2,
    "packages/llada-core/README.md": 1,
    "packages/llada-decoders/README.md": 2,
    "packages/llada-dev/README.md": 1,
    "packages/llada-diffusiongemma/README.md": 2,
    "packages/llada-dinfer/README.md": 1,
    "packages/llada-dream/README.md": 2,
    "packages/llada-eval/README.md": 1,
    "packages/llada-fastdllm/README.md": 1,
    "packages/llada-llada2/README.md": 2,
    "packages/llada-nemotron/README.md": 2,
    "packages/llada-sdar/README.md": 2,
    "packages/llada-server/README.md": 1,
    "packages/llada-tiny/README.md": 1,
    "packages/llada-tiny-long/README.md": 1,
}
STATES = {"testable", "served", "signature", "checked"}


@each_document
def test_every_block_of_code_runs_or_says_why_not(document: Path) -> None:
    for block in blocks(document):
        if block.words[0] in ("python", "sh", "console", "toml", "json", "markdown"):
            runs = block.file is not None or STATES & {*block.words}
            assert runs or block.reason, (
                f"{block.words}: write testable, served, file=NAME, or not-run: and why\n{block.text}"
            )


def test_the_blocks_that_do_not_run_are_counted() -> None:
    counted = {name_of(path): sum(block.reason is not None for block in blocks(path)) for path in DOCUMENTS}
    assert {name: count for name, count in counted.items() if count} == NOT_RUN


@each_document
def test_what_does_not_run_is_well_formed(document: Path) -> None:
    for block in blocks(document):
        if block.words[0] == "sh":
            done = subprocess.run(["sh", "-n"], input=block.text, capture_output=True, text=True)
            assert done.returncode == 0, f"{block.text}\n{done.stderr}"
        elif block.words[0] == "python":
            ast.parse(block.text)
        elif block.words[0] == "toml":
            tomllib.loads(block.text)
        elif block.words[0] == "json":
            json.loads(block.text)
