"""Published training-free decoders for LLaDA models, as algorithms of the engine ``fast-dllm``.

The classes are imported on first use: they need torch, and listing algorithms does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llada_core.imports import lazy_exports

if TYPE_CHECKING:
    from .adablock import AdaBlockGeneration
    from .compose import ComposeGeneration
    from .daedal import DaedalGeneration
    from .eb_sampler import EBSamplerGeneration
    from .freedave import FreeDaveGeneration
    from .klass import KLASSGeneration
    from .llada import LLaDAGeneration
    from .multiblock import MultiBlockGeneration
    from .streaming import StreamingGeneration
    from .wino import WinoGeneration

__version__ = "0.2.0"

__all__ = [
    "AdaBlockGeneration",
    "ComposeGeneration",
    "DaedalGeneration",
    "EBSamplerGeneration",
    "FreeDaveGeneration",
    "KLASSGeneration",
    "LLaDAGeneration",
    "MultiBlockGeneration",
    "StreamingGeneration",
    "WinoGeneration",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "AdaBlockGeneration": "llada_decoders.adablock",
        "ComposeGeneration": "llada_decoders.compose",
        "DaedalGeneration": "llada_decoders.daedal",
        "EBSamplerGeneration": "llada_decoders.eb_sampler",
        "FreeDaveGeneration": "llada_decoders.freedave",
        "KLASSGeneration": "llada_decoders.klass",
        "LLaDAGeneration": "llada_decoders.llada",
        "MultiBlockGeneration": "llada_decoders.multiblock",
        "StreamingGeneration": "llada_decoders.streaming",
        "WinoGeneration": "llada_decoders.wino",
    },
)
