"""Prompts of a call: one of the command line, or those of a file, each with the line that it stands on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from llada_core.cli.streams import check_text, decoded, line_of, read_stdin
from llada_core.errors import PromptError, UsageError
from llada_core.generation.prompts import Prompt

__all__ = ["Entry", "prompt_of_call", "prompts_of_file"]

_JSON_LINES = (".jsonl", ".ndjson")
_SHOWN = 5  # wrong lines that are named
_REMEDY = 'write {"prompt": "…"} or {"messages": [{"role": "user", "content": "…"}]}'


# What a line cannot say, though a request has it, and how the call does.
_OF_THE_CALL = {"parameters": "-p NAME=VALUE", "algorithm": "--algorithm", "raw": "--raw"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One prompt; ``line`` is where it stands in its ``file``, and ``given`` all that the line says."""

    prompt: Prompt
    line: int | None = None
    given: Mapping[str, Any] | None = None
    file: str | None = None

    @property
    def place(self) -> str:
        """Where it stands, in words; empty for the prompt of a call."""
        return "" if self.line is None else f"line {self.line}"

    @property
    def source(self) -> str:
        """Where it stands, with its file; empty for what stands in none."""
        return "" if self.file is None else f"{self.file}, {self.place}"


def prompt_of_call(prompt: str) -> Entry:
    """The prompt of the command line; ``-`` is stdin. Raises ``PromptError`` for what is no text."""
    if prompt != "-":
        return Entry(prompt=check_text(prompt, "the prompt"))
    return Entry(prompt=check_text(read_stdin(), "stdin").rstrip("\n"))


def prompts_of_file(name: str) -> list[Entry]:
    """The prompts of a file, ``-`` for stdin: one a line, as text or as JSON; blank lines are passed over.

    They are JSON where the name ends in .jsonl or .ndjson, or the first of them begins with ``{``. Raises
    ``UsageError`` for a file that cannot be read and ``PromptError``, with its line, for what is no prompt.
    """
    shown = "stdin" if name == "-" else name
    lines = enumerate(_text_of(name).split("\n"), start=1)
    filled = [(number, line.rstrip("\r")) for number, line in lines if line.strip()]
    if not filled:
        raise PromptError(f"{shown} holds no prompt; write one a line")
    as_json = name.lower().endswith(_JSON_LINES) or filled[0][1].startswith("{")
    entries, refused = list[Entry](), dict[int, PromptError]()
    for number, line in filled:
        try:
            entries.append(_entry(line, number, shown, as_json=as_json))
        except PromptError as exc:
            refused[number] = exc
    if refused:
        raise _refusal(shown, refused)
    return entries


def _refusal(shown: str, refused: dict[int, PromptError]) -> PromptError:
    first, *others = refused
    more = f"; so for {len(others)} more, lines {', '.join(map(str, others[:_SHOWN]))}" if others else ""
    return PromptError(f"{shown}, line {first}: {refused[first]}{more}{' …' * (len(others) > _SHOWN)}")


def _text_of(name: str) -> str:
    if name == "-":
        return read_stdin()
    try:
        return decoded(Path(name).read_bytes(), "utf-8")
    except OSError as exc:
        reason = exc.strerror or line_of(str(exc))
        raise UsageError(f"--prompts: {name} cannot be read ({reason}); give a file of prompts") from exc


def _entry(line: str, number: int, file: str, *, as_json: bool) -> Entry:
    check_text(line)
    if not as_json:
        return Entry(prompt=line, line=number, given={"prompt": line}, file=file)
    try:
        given = json.loads(line)
    except ValueError as exc:
        raise PromptError(f"not JSON ({exc}); {_REMEDY}") from exc
    prompts = (
        [given[key] for key in ("prompt", "messages") if key in given] if isinstance(given, dict) else []
    )
    ignored = next((key for key in _OF_THE_CALL if isinstance(given, dict) and key in given), None)
    if ignored is not None:
        raise PromptError(
            f"it gives {ignored}, which holds for all lines; leave it out, and give {_OF_THE_CALL[ignored]}"
        )
    if len(prompts) != 1 or not isinstance(prompts[0], str | list):
        raise PromptError(f"it holds no prompt, or several; {_REMEDY}")
    return Entry(prompt=cast("Prompt", prompts[0]), line=number, given=given, file=file)
