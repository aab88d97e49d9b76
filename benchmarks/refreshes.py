"""Time dual caches that refresh less, in the shape of LLaDA-8B; or ask what that costs in right answers.

    python benchmarks/refreshes.py [--rows 32] [--tokens 1 2 4 8] [--policy NAME ...] [--json FILE]
    python benchmarks/refreshes.py --device cpu --small
    python benchmarks/refreshes.py --accuracy [-n 100] [--model llada-tiny-long --gen-length 448]

`dual_cache` computes the whole canvas as each block begins. The other policies are compositions that compute
less then: nothing of the prompt once it has been computed, no more of the answer than the last block or a
window behind the block, or none of the masks that lie further behind it than a window. All run the same
number of forwards: 256 tokens after a prompt of 512 in blocks of 32, so many tokens a step. Printed are
tokens a second of all rows together, and of each kind of forward its number, the columns of a row that it
computes, and milliseconds from the end of the step before to that of its own. The weights are random.

With `--accuracy` the policies answer held-out tasks, of llada-tiny unless told, at threshold 0.9 and with one
token a step, and each is compared with `dual_cache`, which answers first, question by question.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from asking import add_options, loaded, model_name, questions, tasks_of
from counts import positive
from decoder_rows import Row
from gpu_8b import LLADA_8B, SMALL, random_model
from outputs import output
from refresh_policies import BLOCK, DUAL, POLICIES, composed

import llada_core
from llada_core import LoadedModel
from llada_core.bench import Case, Question, measure, warm_case
from llada_core.generation.computed import Computed
from llada_runtime import Loop, Sequence
from llada_runtime.network.graphs import graphed
from llada_runtime.network.protocol import Network

RULES = ("threshold", "one-token")
KINDS = ("whole", "part", "block")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The forwards of one kind in an answer: how many, of how many columns a row on average, and the mean
    milliseconds that each took."""

    count: int
    columns: float
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """A policy at so many tokens a step: seconds of all rows' answers, which are ``tokens`` together."""

    policy: str
    tokens_a_step: int
    rows: int
    nfe: int
    tokens: int
    seconds: float
    kinds: Mapping[str, Kind]

    @property
    def tokens_a_second(self) -> float:
        return self.tokens / self.seconds


def main() -> None:
    options = _options()
    found = _accuracies(options) if options.accuracy else _timings(options)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--policy", nargs="+", choices=POLICIES, default=list(POLICIES))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rows", type=positive, default=32, help="in flight at a time")
    parser.add_argument("--tokens", type=positive, nargs="+", default=[1, 2, 4, 8], help="kept in a step")
    parser.add_argument("--prompt", type=positive, default=512, help="columns of the prompts")
    parser.add_argument("--gen-length", type=positive, default=256)
    parser.add_argument("--small", action="store_true", help="a few small layers, to try the program out")
    parser.add_argument("--accuracy", action="store_true", help="right answers on tasks, instead of times")
    of_tasks = parser.add_argument_group("with --accuracy")
    of_tasks.add_argument("--rule", nargs="+", choices=RULES, default=list(RULES))
    add_options(of_tasks, instances=100)
    parser.add_argument("--json", type=output)
    options = parser.parse_args()
    most = min(BLOCK, options.gen_length)
    if not options.accuracy and max(options.tokens) > most:
        parser.error(f"--tokens {max(options.tokens)} a step are more than a block of {most} has")
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("torch sees no GPU; to try the program out: --device cpu --small")
    return options


# -- times


def _timings(options: argparse.Namespace) -> dict[str, Any]:
    device = torch.device(options.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    fields = {**LLADA_8B, **(SMALL if options.small else {})}
    network = graphed(random_model(fields, device, dtype).pack())
    about = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "torch": torch.__version__,
        "rows": options.rows,
        "prompt": options.prompt,
        "gen_length": options.gen_length,
    }
    print(about)
    found: list[Timing] = []
    for policy in options.policy:
        _timed(network, policy, max(options.tokens), options)  # kernels are made, and graphs captured
        for tokens in options.tokens:
            found.append(_timed(network, policy, tokens, options))
            _print(found)
            if options.json:
                options.json.write_text(json.dumps(_record(about, found), indent=1) + "\n")
    return _record(about, found)


def _record(about: Mapping[str, Any], found: list[Timing]) -> dict[str, Any]:
    rows = [{**asdict(each), "tokens_a_second": each.tokens_a_second} for each in found]
    return {"about": about, "timings": rows}


def _timed(network: Network, policy: str, tokens: int, options: argparse.Namespace) -> Timing:
    """All rows' answers, decoded together."""
    count, setting = options.rows, composed(policy, steps=options.gen_length // tokens)
    algorithm: Any = llada_core.get_algorithm(setting.algorithm)
    params = algorithm.validate_args(
        gen_length=options.gen_length, block_length=BLOCK, early_stop=False, **setting.parameters
    )
    draw = torch.Generator().manual_seed(1)
    prompts = torch.randint(0, 1000, (count, options.prompt), generator=draw).tolist()
    rows = [algorithm.sequence(network, prompt, params) for prompt in prompts]
    began = time.perf_counter()
    forwards = list(_forwards(network, rows))
    return Timing(
        policy=policy,
        tokens_a_step=tokens,
        rows=count,
        nfe=rows[0].nfe,
        tokens=count * options.gen_length,
        seconds=time.perf_counter() - began,
        kinds=_by_kind(forwards),
    )


def _forwards(network: Network, rows: list[Sequence]) -> Iterator[tuple[Computed, float]]:
    """Of each forward of all rows, what it computed of one of them, and its milliseconds."""
    loop = Loop(network, rows=len(rows))
    for row in rows:
        if not loop.admit(row):
            sys.exit(f"there is no memory for {len(rows)} rows; give fewer by --rows")
    before, first = Computed(), rows[0]
    while loop.active:
        began = time.perf_counter()
        steps = loop.step()  # returns once it knows what was kept: so the forward has ended
        taken = (time.perf_counter() - began) * 1000
        for error in [step.error for step in steps if step.error is not None]:
            raise error
        now = replace(first.computed)
        yield now - before, taken
        before = now


def _by_kind(forwards: list[tuple[Computed, float]]) -> dict[str, Kind]:
    found = {}
    for kind in KINDS:
        mine = [(each.columns, taken) for each, taken in forwards if getattr(each, kind)]
        if mine:
            columns, taken = (sum(of) / len(mine) for of in zip(*mine, strict=True))
            found[kind] = Kind(count=len(mine), columns=columns, milliseconds=taken)
    return found


def _print(found: list[Timing]) -> None:
    last = found[-1]
    if len(found) == 1:
        print("policy                      a step   NFE  tokens/s  to dual  by kind: forwards x columns, ms")
    same = [each for each in found if each.policy == DUAL and each.tokens_a_step == last.tokens_a_step]
    times = f"{last.tokens_a_second / same[0].tokens_a_second:7.2f}x" if same else f"{'':8}"
    kinds = "; ".join(
        f"{name} {each.count} x {each.columns:.0f}, {each.milliseconds:.2f}"
        for name, each in last.kinds.items()
    )
    print(
        f"{last.policy:<27}{last.tokens_a_step:>6}{last.nfe:>6}{last.tokens_a_second:>10.1f} {times}  "
        f"{kinds}",
        flush=True,
    )


# -- right answers


def _accuracies(options: argparse.Namespace) -> dict[str, Any]:
    model = loaded(options)
    asked = questions(model, options)
    about = {
        "model": model_name(options),
        "tasks": tasks_of(options),
        "instances": options.n,
        "gen_length": options.gen_length,
    }
    print(f"{about}\nrule        policy                   exact %  to dual (95 %)       columns a token")
    found: list[dict[str, Any]] = []
    for told in options.rule:
        rule = {"threshold": 0.9} if told == "threshold" else {"steps": options.gen_length}
        rows: list[Row] = []
        for policy in dict.fromkeys([DUAL, *options.policy]):  # the first is what all are compared with
            rows.append(_row(model, policy, rule, asked, options))
            found.append(_judged(told, rows))
            if options.json:
                options.json.write_text(json.dumps({"about": about, "rows": found}, indent=1) + "\n")
    return {"about": about, "rows": found}


def _row(
    model: LoadedModel,
    policy: str,
    rule: Mapping[str, Any],
    asked: list[Question],
    options: argparse.Namespace,
) -> Row:
    """The policy's answers."""
    setting = composed(policy, **rule)
    common = {"gen_length": options.gen_length, "block_length": BLOCK}
    case = Case(
        label=policy,
        algorithm=setting.algorithm,
        parameters={**common, **setting.parameters},
        rows=min(options.rows, len(asked)),
    )
    warm_case(model, case, asked)
    return Row.of(policy, setting, measure(model, case, asked))


def _judged(rule: str, rows: list[Row]) -> dict[str, Any]:
    """The last of the rows against the first, which is printed."""
    row, exact = rows[-1], rows[-1].exact
    over = row.over(rows[0])
    print(
        f"{rule:<12}{row.setting:<26}{exact.value:>6.1f}  {over.value:+.2f} "
        f"({over.least:+.2f} … {over.most:+.2f}){row.columns_per_token:>17.1f}",
        flush=True,
    )
    return {"rule": rule, **asdict(row), "exact": asdict(exact), "over_dual": asdict(over)}


if __name__ == "__main__":
    main()
