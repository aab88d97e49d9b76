"""What is promised where: which checks must hold on a device and in a dtype, and which only tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["CHECKS", "Conditions"]

CHECKS = {
    "reference": "the answer by the algorithm's own plain path",
    "batch": "prompts of different lengths, beside rows of other parameters, and each alone",
    "mixed": "the same beside rows of all other algorithms",
    "repeat": "the same requests once more",
    "seed": "drawn at temperature 0.8, twice with the same seed",
    "cached": "decoded without a cache",
    "graphs": "decoded on plain kernels, without CUDA graphs (LLADA_GRAPHS=0)",
}
"""The checks by name, and what each compares with."""

_ALWAYS = ("repeat", "seed")
_NEVER = ("cached",)
_COARSE = ("bfloat16", "float16")
_TOGETHER = ("batch", "mixed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Where a model runs: ``device`` and ``dtype`` as words, None where its network does not say."""

    device: str | None
    dtype: str | None

    @classmethod
    def of(cls, network: Any) -> Conditions:
        """Those of a loaded network."""
        device, dtype = getattr(network, "device", None), getattr(network, "dtype", None)
        return cls(
            device=None if device is None else str(device),
            dtype=None if dtype is None else str(dtype).removeprefix("torch."),
        )

    @property
    def on_gpu(self) -> bool:
        """Whether it is a CUDA device."""
        return self.device is not None and self.device.startswith("cuda")

    def promises(self, check: str) -> bool:
        """Whether equal tokens and forwards are promised by this check, here.

        Sums in another order differ in their last bits. In float32 that decides nothing but exact ties; in
        bfloat16 and float16 it decides often, so that there only what repeats the same sums is promised. On a
        CPU rows in company are such sums, in bfloat16 too.
        """
        if check in _TOGETHER and (self.device, self.dtype) == ("cpu", "bfloat16"):
            return True
        return check in _ALWAYS or (check not in _NEVER and self.dtype not in _COARSE)

    @property
    def notes(self) -> list[str]:
        """What is expected to hold here and what is only told, in sentences."""
        told = [check for check in CHECKS if not self.promises(check)]
        notes = [f"expected to hold: {', '.join(check for check in CHECKS if check not in told)}"]
        reason = f" (in {self.dtype} sums in another order may decide)" if self.dtype in _COARSE else ""
        notes.append(f"told, and neither passed nor failed: {', '.join(told)}{reason}")
        if self.on_gpu and self.dtype not in _COARSE:
            notes.append(
                "on a GPU rows that share a forward are summed in another order than alone: a single "
                "difference at two candidates that are equal to the last bits is no fault"
            )
        return notes
