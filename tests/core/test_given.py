"""What a call gives."""

from __future__ import annotations

from llada_core import standard
from llada_core.parameters import named


def test_what_is_given_is_told_by_its_canonical_name() -> None:
    declared = (standard("gen_length"), standard("threshold"), standard("steps"))
    given = {"max_tokens": 5, "confidence_threshold": 0.9, "steps": None, "early_stop": True}
    assert named(given, declared) == {"gen_length": 5, "threshold": 0.9}
