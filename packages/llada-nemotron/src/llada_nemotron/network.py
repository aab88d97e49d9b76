"""Our own network for Nemotron diffusion models: the runtime's transformer under the published names.

Ministral-style (Nemotron-Labs-Diffusion): YaRN rotary embedding and queries that grow with the position.
Qwen3-style (DiffEncoderModel): queries and keys normalised per head. Attention is causal or not as each plan
says, so the published switch ``diffusion_lm`` has no counterpart here.
"""

from __future__ import annotations

from math import floor, log, pi
from typing import Any

import torch
from torch import Tensor

from llada_runtime import Reading, Rotary, Shape, Transformer, UnsupportedArchitecture
from llada_runtime.models.qwen import IN_LAYER

from .config import Architecture, NemotronConfig, Yarn

__all__ = ["NemotronNetwork"]


class NemotronNetwork(Transformer):
    """A loaded Nemotron diffusion checkpoint, decoded by this project's code alone.

    Attributes:
        config: the `NemotronConfig`.
        device, dtype: where the weights are and what they are.
    """

    config: NemotronConfig
    config_class = NemotronConfig
    reading = Reading(attention="blocks")

    @staticmethod
    def dimensions(config: NemotronConfig) -> tuple[Shape, Rotary]:
        error, numbers = config.architecture_error, config.architecture
        if error is not None:
            raise type(error)(str(error)) from error
        assert numbers is not None, "there is an error where there are no numbers"
        return numbers.shape(config.vocab_size), _rotary(numbers)

    @classmethod
    def adopting(cls, model: Any, config: NemotronConfig) -> NemotronNetwork:
        """The network with the weights of ``model``, a loaded ``torch`` module of the published names.

        On a GPU both then use one copy: the module's parameters become views of this network's. On the CPU,
        where this network packs its weights, there are two.

        Raises:
            UnsupportedArchitecture: as ``from_pretrained``, or the module's weights are other than it says.
        """
        given = dict(model.named_parameters())
        network = cls(config, device=model.device, dtype=model.dtype)
        wanted = network.tensors()
        _compare(wanted, given)
        packs = network.device.type == "cpu"
        with torch.no_grad():
            for name, tensor in wanted.items():
                tensor.copy_(given[name])
                if not packs:
                    given[name].data = tensor
        return network.pack()

    def tensors(self) -> dict[str, Tensor]:
        return self._tensors(
            "encoder.layers",
            IN_LAYER,
            embedding="encoder.embed_tokens",
            norm="encoder.norm",
            head="diffusion_head",
        )


def _compare(wanted: dict[str, Tensor], given: dict[str, Tensor]) -> None:
    differing = sorted(
        name
        for name in wanted.keys() | given.keys()
        if name not in wanted or name not in given or wanted[name].shape != given[name].shape
    )
    if differing:
        raise UnsupportedArchitecture(
            f"the loaded model differs from what its config.json says in {', '.join(differing[:3])}"
            f"{' and more' if len(differing) > 3 else ''}; use an algorithm that runs the model's own code"
        )


def _rotary(numbers: Architecture) -> Rotary:
    rope, yarn = numbers.rope, numbers.rope.yarn
    plain = Rotary.plain(rope.theta, numbers.head_dim).frequencies
    return Rotary(
        frequencies=plain if yarn is None else _stretched(plain, rope.theta, yarn),
        scale=1.0 if yarn is None else yarn.attention_factor,
        query_growth=rope.growth,
        growth_from=rope.growth_from,
    )


def _stretched(frequencies: Tensor, theta: float, yarn: Yarn) -> Tensor:
    """YaRN's frequencies (arXiv 2309.00071, section 3.2): fast turns kept, slow ones divided by the factor.

    Between the pairs of channels that turn ``beta_fast`` and ``beta_slow`` times over the original length, a
    linear ramp.
    """
    pairs = len(frequencies)

    def pair_turning(times: float) -> float:
        return pairs * log(yarn.original / (times * 2 * pi)) / log(theta)

    first, last = pair_turning(yarn.beta_fast), pair_turning(yarn.beta_slow)
    if yarn.truncate:
        first, last = floor(first), -floor(-last)
    first, last = max(first, 0), min(last, 2 * pairs - 1)
    ramp = (torch.arange(pairs, dtype=torch.float32) - first) / (last - first or 0.001)
    slow = ramp.clamp(0, 1)
    return frequencies / yarn.factor * slow + frequencies * (1 - slow)
