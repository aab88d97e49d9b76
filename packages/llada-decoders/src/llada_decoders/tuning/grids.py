"""Which values of a parameter are tried where nobody says which, and why these.

By the parameter's kind, as algorithms declare it: the same name means the same thing wherever its range is
the same. An algorithm's own default is tried besides.
"""

from __future__ import annotations

from dataclasses import dataclass

from llada_core import Parameter

__all__ = ["AXES", "Axis", "axis_of", "sets_the_pace"]

_Value = float | int | str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The ``values`` of parameters of one kind: those called ``names``, with this ``maximum``.

    ``pace``: it decides how many tokens a step keeps. ``of_the_length``: values are shares of ``gen_length``.
    ``reason`` says why these values.
    """

    names: tuple[str, ...]
    values: tuple[_Value, ...]
    reason: str
    maximum: float | None = None
    pace: bool = True
    of_the_length: bool = False

    @property
    def shares(self) -> list[float]:
        """The values of one ``of_the_length``."""
        return [float(value) for value in self.values if value is not None]


AXES: tuple[Axis, ...] = (
    Axis(
        names=("threshold", "conf_threshold", "high_conf_threshold"),
        maximum=1,
        values=(0.95, 0.9, 0.8, 0.7, 0.6),
        reason="a probability: most of what can be gained lies between 0.9 and 0.6 (docs/choosing.md)",
    ),
    Axis(
        names=("threshold",),
        values=(0.1, 0.2, 0.35, 0.5, 0.8),
        reason="an entropy in nats: half a nat is the published order of magnitude (arXiv 2601.07568)",
    ),
    Axis(
        names=("factor",),
        values=(0.5, 1.0, 1.5),
        reason="Fast-dLLM publishes 1 (arXiv 2505.22618); below it is more careful, above it less",
    ),
    Axis(
        names=("gamma", "eb_threshold"),
        values=(0.01, 0.03, 0.1, 0.3, 1.0),
        reason="a sum of entropies in nats, published over orders of magnitude (arXiv 2505.24857)",
    ),
    Axis(
        names=("steps", "denoising_steps"),
        values=(0.5, 0.25, 0.125),
        of_the_length=True,
        reason="a fixed schedule: two, four and eight tokens a step; where nothing else decides the pace",
    ),
    Axis(
        names=("low_threshold",),
        maximum=1,
        values=(0.4, 0.6),
        reason="dInfer's own (arXiv 2510.08666), and near the 0.62 that it takes beside a threshold of 0.92",
    ),
    Axis(
        names=("threshold_back",),
        maximum=1,
        values=(0.9, 0.7),
        reason="WINO's own (arXiv 2507.18578), and one that takes fewer tokens back",
    ),
    Axis(
        names=("kl_threshold",),
        values=(0.01, 0.1),
        reason="nats: KLASS's own (arXiv 2511.05664), and ten times that, so that more stand still",
    ),
    Axis(
        names=("block_add_threshold",),
        maximum=1,
        values=(0.1, 0.5),
        reason="d3LLM's own, and a next block that opens almost at once (arXiv 2601.07568)",
    ),
    Axis(
        names=("draft_steps",),
        maximum=64,
        values=(4, 8),
        reason="states that one forward computes: more of them change no text and take wider forwards",
    ),
    Axis(
        names=("cont_weight",),
        maximum=1,
        values=(0.3,),
        reason="iteration smoothing: the most right answers with a dual cache at speed (docs/decoders.md)",
    ),
    Axis(
        names=("block_length",),
        maximum=1024,
        values=(32, 64),
        pace=False,
        reason="longer blocks let a forward fill more, and keep less to the text's order (docs/choosing.md)",
    ),
)
"""All kinds that are tried, each the first that fits a parameter."""


def axis_of(parameter: Parameter) -> Axis | None:
    """The axis that the parameter is varied along; None where it is left as it is.

    A length of blocks that is the model's own, so without a default, is none to be tried.
    """
    if parameter.name == "block_length" and parameter.default is None:
        return None
    fitting = (axis for axis in AXES if parameter.name in axis.names)
    return next((axis for axis in fitting if axis.of_the_length or axis.maximum == parameter.maximum), None)


def sets_the_pace(parameter: Parameter) -> bool:
    """Whether the parameter decides how many tokens a step keeps, as far as the axes know it."""
    axis = axis_of(parameter)
    return axis is not None and axis.pace
