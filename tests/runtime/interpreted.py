"""What Triton's interpreter does otherwise than a GPU, put right for tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch


def rounding_as_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let conversions from and to fp8 (e4m3) be torch's: the interpreter's lose a carry and know no NaN."""
    from triton import language as tl
    from triton.runtime import interpreter

    own = interpreter._convert_float

    def convert(given: Any, source: Any, target: Any, rounding: Any) -> Any:
        if source == tl.float8e4nv:
            wide = torch.from_numpy(np.ascontiguousarray(given)).view(torch.float8_e4m3fn)
            kind = torch.float16 if target == tl.float16 else torch.float32
            assert target in (tl.float16, tl.float32)
            return wide.to(kind).numpy()
        if target == tl.float8e4nv:
            wide = torch.from_numpy(np.ascontiguousarray(given.astype(np.float32)))
            return wide.to(torch.float8_e4m3fn).view(torch.uint8).numpy()
        return own(given, source, target, rounding)

    monkeypatch.setattr(interpreter, "_convert_float", convert)
