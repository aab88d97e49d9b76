"""Fast-dLLM's decoders as step algorithms: three cache policies times three commit rules.

Source: Fast-dLLM v1 (arXiv 2505.22618; NVlabs/Fast-dLLM, ``v1/llada/generate.py``). Differences from it: the
mask token is never proposed; dual cache has no cap on its steps; neither ``steps`` nor ``gen_length``
need divide; a row stops at its end-of-sequence token unless ``early_stop`` is False.
"""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from llada_core import DcpContents, LoadOptions, UsageError
from llada_core.generation.results import Answer
from llada_core.parameters import spelled_out, steps_a_block, whole_steps
from llada_runtime import (
    CheckpointError,
    DualCache,
    Factor,
    Network,
    NoCache,
    Policy,
    PrefixCache,
    Quota,
    RemoteNetwork,
    Rule,
    StepAlgorithm,
    Threshold,
    UnsupportedArchitecture,
    reference,
)

from .plugin import BASIC_PARAMETERS, PARAMETERS

__all__ = [
    "BasicGeneration",
    "DualCacheGeneration",
    "FastDLLMGeneration",
    "PrefixCacheGeneration",
    "RunsByOwnCode",
]

_BY_OWN_CODE = (
    "the model runs by the code that comes with it, as no network of ours implements it ({reason}): nothing "
    "can be cached, so that every step is a forward of the whole canvas, and only what caches nothing runs, "
    "such as 'basic'"
)
_NOT_QUANTISED = (
    "quantization {kind!r} is for networks of ours, and this model can be run by its own code alone; leave "
    "quantization out"
)
_NOT_SPLIT = (
    "tensor_parallel={size} splits networks of the runtime, and this model can be run by the code that comes "
    "with it alone; leave tensor_parallel out"
)


_NOT_UPSTREAM = ("top_p", "top_k", "min_p", "seed", "early_stop")
"""Parameters for which Fast-dLLM's own functions have no names."""


class RunsByOwnCode(UserWarning):
    """The model was loaded by the code that comes with it, which is slower than a network of ours."""


class FastDLLMGeneration(StepAlgorithm):
    """What Fast-dLLM's decoders share: loading, parameters and commit rules. Subclasses give the policy.

    The rule is chosen by the parameters: ``factor``, else ``threshold``, else the quota of ``steps``. A
    subclass with a ``generate`` of its own gives neither policy nor rule, and decides itself.
    """

    engine = "fast-dllm"
    parameters = PARAMETERS
    uncached: ClassVar[str] = (
        "the model runs by its own code, whose keys and values cannot be cached; use the algorithm 'basic'"
    )

    @abstractmethod
    def policy(self, params: Mapping[str, Any]) -> Policy:
        """The cache policy of the decoder."""

    def rule(self, params: Mapping[str, Any]) -> Rule:
        """The commit rule that the effective parameters ask for."""
        if params.get("factor") is not None:
            return Factor(params["factor"])
        if params.get("threshold") is not None:
            return Threshold(params["threshold"])
        return Quota(steps_a_block(params))

    def validate_args(self, **params: Any) -> dict[str, Any]:
        """The effective values of ``params``: the rule in force keeps its parameter, others are None.

        ``steps`` of the quota rule is rounded up to a multiple of the block count. A subclass may declare
        fewer parameters. One with a ``generate`` of its own gets them all as they were given, and those for
        which Fast-dLLM has no names (``seed``, ``early_stop``, ``top_p`` …) only where they are given.

        Raises:
            ParameterError: a name is unknown, or a value of the wrong type or out of range.
        """
        values: dict[str, Any] = super().validate_args(**params)
        if not self.yields_steps():
            return _for_its_own(self, values)
        declared = [name for name in ("factor", "threshold", "steps") if name in values]
        in_force = next((name for name in declared if values[name] is not None), "steps")
        values |= {name: None for name in declared if name != in_force}
        if in_force == "steps" and {"steps", "gen_length"} <= values.keys():
            values["steps"] = whole_steps(values, values["steps"] or values["gen_length"])
        return values

    def dcp_contents(self, folder: Path, options: LoadOptions) -> DcpContents | None:
        """What a network of the runtime reads of a trainer's weights; None for a model that its own code
        alone can run, which reads the Hugging Face layout. Raises as ``load_network``, before a copy is made.
        """
        try:
            return super().dcp_contents(folder, options)
        except UnsupportedArchitecture as exc:
            self._check_own_code(exc, options)
            return None

    def load_network(self, folder: Path, options: LoadOptions) -> Network:
        """The network in ``folder``; where its code is trusted also one that its own code alone can run.

        Raises:
            CheckpointError: the files are damaged or do not belong together, or what its own code runs is to
                be quantised.
            UnsupportedArchitecture: the runtime does not implement the model, and its code is not trusted.
            UsageError: it cannot be split as it is asked for.
        """
        try:
            return super().load_network(folder, options)  # type: ignore[no-any-return]
        except UnsupportedArchitecture as exc:
            self._check_own_code(exc, options)
            network = RemoteNetwork.from_pretrained(folder, device=options.device, dtype=options.dtype)
            reason = str(exc).partition(";")[0]
            warnings.warn(_BY_OWN_CODE.format(reason=reason), RunsByOwnCode, stacklevel=2)
            return network

    def _check_own_code(self, exc: UnsupportedArchitecture, options: LoadOptions) -> None:
        """Refuse a model that no network of ours implements, where its own code is not trusted or cannot do
        what is asked for."""
        if type(self).load_model_class is not StepAlgorithm.load_model_class:
            raise exc  # a subclass that names its network is to have that
        if not options.trust_remote_code:
            raise UnsupportedArchitecture(
                f"{exc}; with trust_remote_code=True the algorithm 'basic' can run it by its own code"
            ) from exc
        if options.tensor_parallel > 1:
            raise UsageError(_NOT_SPLIT.format(size=options.tensor_parallel)) from exc
        if options.quantization is not None:
            raise CheckpointError(_NOT_QUANTISED.format(kind=options.quantization)) from exc


def _for_its_own(algorithm: FastDLLMGeneration, values: dict[str, Any]) -> dict[str, Any]:
    """Effective values for a function of Fast-dLLM, which takes a number of steps and only its own names."""
    silent = {
        each.name: each.default
        for each in algorithm.parameters
        if each.name in _NOT_UPSTREAM and each.is_neutral(each.default)
    }
    return {
        name: value
        for name, value in spelled_out(values).items()
        if name not in silent or silent[name] != value
    }


class BasicGeneration(FastDLLMGeneration):
    """Upstream's ``generate``: a forward of the whole canvas every step."""

    name = "basic"
    description = "Every step is a forward of the whole canvas; nothing is cached."
    parameters = BASIC_PARAMETERS

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return NoCache()

    def reference_answer(
        self, model: Network, prompt_ids: Sequence[int], params: Mapping[str, Any]
    ) -> Answer:
        """The answer by the runtime's reference decoder, which shares no rule with this one.

        Where tokens are drawn or the order is by chance, that of every step algorithm: its own rule on a
        forward that is written out.
        """
        taken = ("gen_length", "block_length", "steps", "threshold", "factor", "early_stop")
        plain = params.get("remasking") != "random" and not params.get("temperature")
        if type(self) is not BasicGeneration or not plain:
            return super().reference_answer(model, prompt_ids, params)
        try:
            given = {name: params[name] for name in taken}
            canvas, nfe = reference.decode(model, list(prompt_ids), **given)
        except UnsupportedArchitecture as exc:
            self._cannot("be held to a reference", str(exc))
        return Answer(token_ids=tuple(canvas[len(prompt_ids) :]), nfe=nfe)


class PrefixCacheGeneration(FastDLLMGeneration):
    """Upstream's ``generate_with_prefix_cache``: everything before the block is cached."""

    name = "prefix_cache"
    description = "Keys and values of everything before the block are cached."

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return PrefixCache()


class DualCacheGeneration(FastDLLMGeneration):
    """Upstream's ``generate_with_dual_cache``: what is before and behind the block is cached."""

    name = "dual_cache"
    description = "Keys and values before and behind the block are cached; only the block is computed."

    def policy(self, params: Mapping[str, Any]) -> Policy:
        return DualCache()
