"""How many functions, types and repeated questions lie between ``lm.generate(prompt)`` and its result.

    python benchmarks/trace.py [--against FOLDER] [--algorithm NAME] [--json FILE]

Loads llada-tiny and answers one prompt under `sys.setprofile`. Only functions whose code lies in a package
of this repository count; comprehensions and lambdas count as their function. Printed are, for this checkout
and for another one with ``--against``:

spine
    The functions that stand on the stack at one of eight moments at which the request becomes something
    else: its text becomes ids (the tokenizer is called), its ids a row (`Sequence.__init__`), the row's next
    forward indices (`Layout`), these a product of matrices (the first `Linear.forward`), the logits
    proposals (`Proposals`), these a choice (a rule's ``select``), the choice tokens of the canvas
    (`Sequence.commit`), and the canvas a result (`GenerationResult`). Each function counts once, at the first
    time that a moment comes. What a function on the spine asks on its way (a limit, a check, a name) is not
    on it. Who reads how a prompt becomes an answer reads these.
depth
    How many of them stand on the stack at once when the first product is computed.
functions
    How many were entered at all for the prompt, and from one step of the loop to the next.
types
    Classes of this repository of which instances were made for the prompt: those of the request itself, as
    many for a short answer as for a long one, and those made anew in every step. Classes without an
    ``__init__`` of their own (policies that hold nothing) are not seen.
questions
    How often what should be asked once was asked: for a load, for the first prompt of an algorithm and for
    the next one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from outputs import output

HERE = Path(__file__).resolve().parents[1]
PROMPT = "Nora has 14 boxes with 12 pens each. She gives away 35 pens. How many pens are left?"
QUESTIONS = {  # ends of the names that they have or had
    "check_fits": (".check_fits",),
    "validate_args": (":GenerationAlgorithm.validate_args",),
    "resolve": ("parameters.resolve", "parameters:resolve", "resolution:resolve"),
    "get_algorithm": (":get_algorithm", ".get_algorithm"),
    "get_algorithm_info": (":get_algorithm_info", ".get_algorithm_info"),
    "check_prompt": (":check_prompt",),
    "detection": (":engine_for", ":detect_engine", ":detect"),
}
CALLS = {"Sequence.__init__": "row", "Linear.forward": "product", "Sequence.commit": "commit"}
INSTANCES = {"Layout": "layout", "Proposals": "proposals", "GenerationResult": "result"}
STEP = "Loop.step"


def main() -> None:
    options = _options()
    if options.worker:
        print(json.dumps(traced(options.algorithm)))
        return
    folders = [HERE, *([options.against.resolve()] if options.against else [])]
    found = {str(folder): _asked(folder, options.algorithm) for folder in folders}
    for folder, figures in found.items():
        report(folder, figures)
    summary(found)
    text = json.dumps(found)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", type=Path, metavar="FOLDER", help="another checkout of this repository")
    parser.add_argument("--algorithm", default="dual_cache")
    parser.add_argument("--json", type=output)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _asked(folder: Path, algorithm: str) -> dict[str, Any]:
    """The figures of a checkout, found in a process of its own."""
    sources = [str(source) for source in sorted(folder.glob("packages/*/src"))]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sources)}
    command = [sys.executable, __file__, "--worker", "--algorithm", algorithm]
    answer = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


class Trace:
    """What was entered, made and asked while this is the profiler."""

    def __init__(self) -> None:
        self.entered: Counter[str] = Counter()
        self.spine: dict[str, list[str]] = {}
        self.made: list[Counter[str]] = [Counter()]  # before the first step, then a step each
        self.steps: list[set[str]] = []

    def __enter__(self) -> Trace:
        sys.setprofile(self._event)
        return self

    def __exit__(self, *exc: object) -> None:
        sys.setprofile(None)

    def _event(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call":
            return
        code = frame.f_code
        self._note_instance(frame)
        if code.co_name == "__call__" and "tokenization" in code.co_filename:
            self._mark("ids", frame)
        if not _is_ours(code):
            return
        name = _name(code)
        if code.co_qualname == STEP:
            self.steps.append(set())
            self.made.append(Counter())
        self.entered[name] += not code.co_name.startswith("<")
        if self.steps:
            self.steps[-1].add(name)
        moment = "choice" if code.co_qualname.endswith(".select") else CALLS.get(code.co_qualname)
        if moment is not None:
            self._mark(moment, frame)

    def _note_instance(self, frame: FrameType) -> None:
        """Count an instance of a class of ours that is being made; `super().__init__` makes none."""
        code = frame.f_code
        if code.co_name == "__init__" and "self" in code.co_varnames[:1]:
            kind = type(frame.f_locals["self"])
            made = getattr(kind.__init__, "__code__", None) is code
        elif code.co_varnames[:1] == ("_cls",):  # ``__new__`` of a named tuple
            kind, made = frame.f_locals["_cls"], True
        else:
            return
        if made and kind.__module__.startswith("llada_"):
            name = f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
            self.made[-1][name] += 1
            if kind.__name__ in INSTANCES:
                self._mark(INSTANCES[kind.__name__], frame)

    def _mark(self, moment: str, frame: FrameType | None) -> None:
        if moment in self.spine:
            return
        chain = []
        while frame is not None:
            if _is_ours(frame.f_code):
                chain.append(_name(frame.f_code))
            frame = frame.f_back
        self.spine[moment] = list(dict.fromkeys(reversed(chain)))


def _is_ours(code: CodeType) -> bool:
    return "/packages/llada-" in code.co_filename


def _name(code: CodeType) -> str:
    """The function's module and qualified name, a comprehension's or lambda's that of what holds it."""
    module = Path(code.co_filename.partition("/src/")[2]).with_suffix("")
    function = code.co_qualname
    while function.endswith(">"):
        function = function.rpartition(".<locals>")[0] or "module"
    return f"{module}:{function}".replace("/", ".")


def traced(algorithm: str) -> dict[str, Any]:
    """The figures of the packages that this process imports."""
    import llada_core

    opened: list[str] = []
    sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
    with Trace() as load:
        model = llada_core.load_model(device="cpu")
    read = sum(Path(name).name == "config.json" for name in opened)
    opened.clear()
    with Trace() as first:
        model.generate(PROMPT, algorithm=algorithm, gen_length=128)
    with Trace() as prompt:
        model.generate(PROMPT, algorithm=algorithm, gen_length=128)
    again = sum(Path(name).name == "config.json" for name in opened)
    spine = list(dict.fromkeys(name for chain in prompt.spine.values() for name in chain))
    every = Counter[str](name for each in prompt.made[2:-1] for name in each)
    whole = Counter[str]()
    for each in prompt.made:
        whole.update(each)
    return {
        "spine": spine,
        "moments": prompt.spine,
        "depth": len(prompt.spine["product"]),
        "functions": len(prompt.entered),
        "functions_a_step": sorted(len(step) for step in prompt.steps[1:-1])[len(prompt.steps[1:-1]) // 2],
        "types_of_the_request": {name: n for name, n in whole.items() if name not in every},
        "types_of_a_step": {name: n for name, n in whole.items() if name in every},
        "steps": len(prompt.steps),
        "questions": {
            "load": _questions(load) | {"config.json": read},
            "first prompt": _questions(first) | {"config.json": again},
            "next prompt": _questions(prompt),
        },
    }


def _questions(trace: Trace) -> dict[str, int]:
    """How often each question was asked: functions were entered whose names end so."""
    return {
        question: sum(n for name, n in trace.entered.items() if name.endswith(ends))
        for question, ends in QUESTIONS.items()
    }


def report(folder: str, figures: dict[str, Any]) -> None:
    print(f"\n{folder}")
    seen: set[str] = set()
    for moment, chain in figures["moments"].items():
        print(f"  {moment}")
        for name in chain:
            print(f"    {' ' if name in seen else '+'} {name}")
        seen.update(chain)
    for kind in ("types_of_the_request", "types_of_a_step"):
        print(f"  {kind}: " + ", ".join(f"{name} {n}" for name, n in figures[kind].items()))
    for when, asked in figures["questions"].items():
        print(f"  asked for a {when}: " + ", ".join(f"{name} {n}" for name, n in asked.items()))


def _added(moment: str, figures: dict[str, Any]) -> int:
    """How many functions of the spine stand on no stack of an earlier moment."""
    seen: set[str] = set()
    for each, chain in figures["moments"].items():
        if each == moment:
            return len(set(chain) - seen)
        seen.update(chain)
    return 0


def summary(found: dict[str, dict[str, Any]]) -> None:
    print(f"\n{'':24}" + "".join(f"{'here' if index == 0 else 'against':>9}" for index in range(len(found))))
    rows: dict[str, Callable[[dict[str, Any]], int]] = {
        "spine": lambda each: len(each["spine"]),
        **{
            f"  new up to {moment}": partial(_added, moment)
            for moment in next(iter(found.values()))["moments"]
        },
        "depth": lambda each: each["depth"],
        "functions": lambda each: each["functions"],
        "functions a step": lambda each: each["functions_a_step"],
        "types of the request": lambda each: len(each["types_of_the_request"]),
        "types of a step": lambda each: len(each["types_of_a_step"]),
    }
    for name, figure in rows.items():
        print(f"{name:24}" + "".join(f"{figure(each):9}" for each in found.values()))


if __name__ == "__main__":
    main()
