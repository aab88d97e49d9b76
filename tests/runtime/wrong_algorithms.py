"""All wrong algorithms by name, and as what the targets of their specs name."""

from __future__ import annotations

from tests.runtime import wrong_calls, wrong_policies, wrong_rules
from tests.runtime.wrong_tables import GOOD, PARAMETERS, REFUSED, WRONG

__all__ = ["GOOD", "PARAMETERS", "REFUSED", "WRONG"]

assert wrong_calls
assert wrong_policies
assert wrong_rules  # each enters its own when it is imported


def __getattr__(name: str) -> type:
    """The class of this name, whichever module made it, and how."""
    for kind in [*GOOD.values(), *(kind for table in (WRONG, REFUSED) for kind, _ in table.values())]:
        if kind.__name__ == name:
            return kind
    raise AttributeError(name)
