"""SDAR and TraDo block diffusion models: the published decoder, LMDeploy's and SGLang's, on one network.

The classes are imported on first use: they need torch, and listing algorithms does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llada_core.imports import lazy_exports

if TYPE_CHECKING:
    from .config import SDARConfig
    from .generation import LMDeployGeneration, LowConfidenceGeneration, SDARGeneration
    from .network import SDARNetwork
    from .policies import FinishedBlocks

__version__ = "0.2.0"

__all__ = [
    "FinishedBlocks",
    "LMDeployGeneration",
    "LowConfidenceGeneration",
    "SDARConfig",
    "SDARGeneration",
    "SDARNetwork",
]

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "FinishedBlocks": "llada_sdar.policies",
        "LMDeployGeneration": "llada_sdar.generation",
        "LowConfidenceGeneration": "llada_sdar.generation",
        "SDARConfig": "llada_sdar.config",
        "SDARGeneration": "llada_sdar.generation",
        "SDARNetwork": "llada_sdar.network",
    },
)
