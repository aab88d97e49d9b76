"""Certificates: for each algorithm, whether its published code decodes the same, here, and how fast."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from llada_core import LladaError, UsageError, list_algorithms
from llada_core.checkpoints.options import LoadOptions
from llada_core.cli.options import ModelChoice
from llada_core.cli.output import note, print_json, print_line
from llada_core.cli.progress import busy_bar
from llada_core.cli.prompts import prompts_of_file
from llada_core.cli.settings import Setting, labels
from llada_core.loading import check_call, named_model
from llada_dev.verify.differences import Difference
from llada_dev.verify.findings import Verdict
from llada_dev.verify.opening import Asked
from llada_dev.verify.promises import Conditions
from llada_dev.verify.upstream.places import UPSTREAMS, Checkout, Upstream, checkout_of, upstream_of

__all__ = ["Certificate", "certified"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What one algorithm and its published code decode of the same prompts, on the same weights.

    Attributes:
        algorithm: with what tells it from others of the call. upstream, commit: the code it was held to.
        changed: whether files of that commit have been edited.
        verdict: as that of a finding. error: why there is no comparison, or None.
        answers, equal: how many were compared, and how many have the same tokens. agreement: the share of
            positions with the same token.
        difference: where the first answer that differs does.
        nfe, upstream_nfe: forwards of all answers; surplus: how many of upstream's its release runs in blocks
            that are full already.
        seconds, upstream_seconds: of all answers, each alone, medians.
        parameters: effective ones that both were given.
    """

    algorithm: str
    upstream: str
    commit: str | None
    verdict: Verdict
    changed: bool = False
    error: str | None = None
    answers: int = 0
    equal: int = 0
    agreement: float | None = None
    difference: Difference | None = None
    nfe: int | None = None
    upstream_nfe: int | None = None
    surplus: int = 0
    seconds: float | None = None
    upstream_seconds: float | None = None
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def tokens_equal(self) -> bool:
        """Whether every answer has the same tokens."""
        return self.error is None and self.equal == self.answers

    @property
    def nfe_equal(self) -> bool:
        """Whether the forwards are as many, but for those of the release."""
        return self.upstream_nfe is not None and self.upstream_nfe - self.surplus == self.nfe

    @property
    def time_ratio(self) -> float | None:
        """How many times as long upstream takes; None where nothing was measured."""
        if not self.seconds or self.upstream_seconds is None:
            return None
        return self.upstream_seconds / self.seconds

    def as_dict(self) -> dict[str, Any]:
        """The certificate as ``--json`` prints it."""
        facts = {"tokens_equal": self.tokens_equal, "nfe_equal": self.nfe_equal}
        return {**asdict(self), **facts, "time_ratio": self.time_ratio}

    @property
    def lines(self) -> list[str]:
        """The certificate for people."""
        at = "of an unknown commit" if self.commit is None else f"at {self.commit[:7]}"
        at += " (changed)" if self.changed else ""
        head = f"{self.algorithm}: {self.verdict} against {self.upstream} {at}"
        if self.error is not None:
            return [head, f"    {self.error}"]
        tokens = "equal" if self.tokens_equal else f"{self.equal} of {self.answers} answers equal"
        share = (
            "" if self.agreement is None or self.tokens_equal else f" ({self.agreement:.1%} of the tokens)"
        )
        lines = [head, f"    tokens       {tokens}{share}"]
        if self.difference is not None:
            lines.append(f"    difference   {self.difference}")
        nfe = f"equal, {self.nfe}" if self.nfe_equal else f"{self.nfe} where {self.upstream_nfe} are expected"
        more = f" (and {self.surplus} of upstream's in blocks that were full already)" if self.surplus else ""
        lines.append(f"    NFE          {nfe}{more}")
        if self.time_ratio is not None:
            lines.append(
                f"    time ratio   {self.time_ratio:.2f} ({self.upstream_seconds:.3f} s upstream, "
                f"{self.seconds:.3f} s ours)"
            )
        return lines


def certified(
    choice: ModelChoice,
    settings: Sequence[Setting],
    file: str | None,
    asked: Asked,
    *,
    repeat: int,
    as_json: bool,
) -> bool:
    """Whether no certificate failed; all are told.

    Raises ``UsageError`` where nothing can be compared as it is asked for.
    """
    options = _options(choice)
    wanted, absent = _wanted(settings)
    prompts = None if file is None else [asdict(entry) for entry in prompts_of_file(file)]
    certificates: list[Certificate] = []
    for checkout, group in wanted:
        job = {
            **_of_the_call(choice, options, asked, checkout),
            "settings": [asdict(setting) for setting in group],
            "prompts": prompts,
            "repeat": repeat,
        }
        with busy_bar(f"Decoding beside {checkout.upstream.name}"):
            found = _answered(job, checkout)
        certificates += _read(found, checkout, group)
    certificates += absent
    passed = not any(each.verdict == "failed" for each in certificates)
    _print(certificates, choice, passed, as_json=as_json)
    return passed


def _options(choice: ModelChoice) -> LoadOptions:
    """How the model is loaded. Raises ``UsageError`` for ways that no published code knows."""
    if choice.dcp is not None:
        raise UsageError("--dcp is nothing that published code reads; write a folder with llada convert")
    if choice.quantization is not None or choice.tensor_parallel > 1:
        name = "--quantization" if choice.quantization is not None else "--tensor-parallel-size"
        raise UsageError(f"{name} is nothing that published code knows; leave it out with --upstream")
    return choice.options


def _of_the_call(
    choice: ModelChoice, options: LoadOptions, asked: Asked, checkout: Checkout
) -> dict[str, Any]:
    """What a job says of the model and of the code beside it."""
    names = ("device", "dtype", "trust_remote_code", "revision")
    return {
        "module": checkout.upstream.module,
        "checkout": str(checkout.path),
        "model": named_model(choice.model),
        "options": {"engine": choice.engine, **{name: getattr(options, name) for name in names}},
        "asked": asdict(asked),
    }


def _wanted(
    settings: Sequence[Setting],
) -> tuple[list[tuple[Checkout, list[Setting]]], list[Certificate]]:
    """The settings of each code that there is a checkout of, and certificates of those that there is none of.

    Raises ``UsageError`` where that is all, or a named algorithm is published by nobody.
    """
    named = settings[0].algorithm is not None
    asked = list(settings) if named else _published(settings[0])
    wanted: list[tuple[Checkout, list[Setting]]] = []
    absent, missing = list[Certificate](), list[UsageError]()
    for upstream in UPSTREAMS:
        group = [each for each in asked if upstream_of(str(each.algorithm)) is upstream]
        for setting in group:
            check_call(str(setting.algorithm), setting.parameters)
        if not group:
            continue
        try:
            wanted.append((checkout_of(upstream), group))
        except UsageError as exc:
            missing.append(exc)
            absent += [_absent(setting, upstream, exc) for setting in group]
    for setting in asked:
        if upstream_of(str(setting.algorithm)) is None:
            known = ", ".join(name for upstream in UPSTREAMS for name in upstream.algorithms)
            raise UsageError(f"no published code is known of {setting.algorithm}; give one of {known}")
    if missing and (named or not wanted):
        raise missing[0]
    return wanted, absent


def _published(setting: Setting) -> list[Setting]:
    """The setting for every algorithm that is installed and published."""
    names = [name for upstream in UPSTREAMS for name in upstream.algorithms if name in list_algorithms()]
    if not names:
        raise UsageError("no engine is installed whose algorithms are published; pip install llada-fastdllm")
    return [Setting(algorithm=name, parameters=setting.parameters) for name in names]


def _absent(setting: Setting, upstream: Upstream, exc: UsageError) -> Certificate:
    return Certificate(
        algorithm=str(setting.algorithm),
        upstream=upstream.name,
        commit=None,
        verdict="not run",
        error=str(exc),
    )


def _answered(job: dict[str, Any], checkout: Checkout) -> dict[str, Any]:
    """What the worker found. Raises what it refused, and ``LladaError`` where it broke down."""
    command = [sys.executable, "-P", "-m", "llada_dev.verify.upstream.worker"]
    # Upstream compiles what it decorates, which takes a C++ compiler and minutes; it may be asked for.
    env = {"TORCH_COMPILE_DISABLE": "1", **os.environ}
    done = subprocess.run(command, input=json.dumps(job), env=env, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise LladaError(
            f"the process that runs {checkout.upstream.name} ended with status {done.returncode}; what it "
            "said is above"
        )
    told: dict[str, Any] = json.loads(done.stdout)
    if "error" in told:
        raise (UsageError if told["is_usage"] else LladaError)(told["error"])
    found: dict[str, Any] = told["found"]
    return found


def _read(found: dict[str, Any], checkout: Checkout, group: Sequence[Setting]) -> list[Certificate]:
    promised = Conditions(**found["conditions"]).promises("reference")
    made = []
    for label, told in zip(labels(group), found["certificates"], strict=True):
        facts: dict[str, Any] = {
            **told,
            "difference": told.get("difference") and Difference(**told["difference"]),
        }
        certificate = Certificate(
            algorithm=label,
            upstream=checkout.upstream.name,
            commit=checkout.commit,
            changed=checkout.changed,
            verdict="passed",
            **facts,
        )
        made.append(replace(certificate, verdict=_verdict(certificate, promised=promised)))
    return made


def _verdict(certificate: Certificate, *, promised: bool) -> Verdict:
    if certificate.tokens_equal and certificate.nfe_equal:
        return "passed"
    return "failed" if promised or certificate.error is not None else "told"


def _print(certificates: Sequence[Certificate], choice: ModelChoice, passed: bool, *, as_json: bool) -> None:
    if as_json:
        told = [each.as_dict() for each in certificates]
        print_json({"model": named_model(choice.model), "certificates": told, "passed": passed})
        return
    for each in certificates:
        for line in each.lines:
            print_line(line)
    for upstream in UPSTREAMS:
        commits = {each.commit for each in certificates if each.upstream == upstream.name and each.answers}
        for commit in commits - {upstream.commit}:
            at = "an unknown commit" if commit is None else commit[:7]
            note(f"{upstream.name} is at {at}; what our decoders reproduce is {upstream.commit[:7]}")
