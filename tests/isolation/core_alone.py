"""Run where llada-core is the only package of ours and torch is missing: every command but generation works.

A plain script for a bare environment (no pytest there): ``nox -s core_alone`` runs it.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def llada(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("llada")), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    print("$ llada", *arguments, f"-> {done.returncode}")
    print(done.stdout + done.stderr, flush=True)
    assert done.returncode == status, f"expected exit status {status}"
    return done


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, "an error is one line"
    assert "Traceback" not in done.stderr
    return done.stderr


def main() -> None:
    present = [name for name in ("torch", "transformers", "llada_runtime") if importlib.util.find_spec(name)]
    assert present == [], f"this environment is meant to lack {present}"

    for listing in ("plugins", "engines", "algorithms"):
        llada(listing)
        assert json.loads(llada(listing, "--json").stdout) == []
    llada("doctor")
    json.loads(llada("doctor", "--json").stdout)
    llada("--help")

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps({"model_type": "llada"}))
        assert "llada-fastdllm" in one_line(llada("detect", folder, status=1))
        assert "llada-fastdllm" in one_line(llada("generate", "Hello", "--model", folder, status=1))
    assert "pip install" in one_line(llada("generate", "Hello", status=1))
    assert "llada plugins" in one_line(llada("check", "anything", status=2))
    assert "pip install" in one_line(llada("bench", status=1))


if __name__ == "__main__":
    main()
