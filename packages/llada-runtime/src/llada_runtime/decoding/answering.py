"""Which classes answer for all of their rows at once: by ``combine_all``, say, beside ``combine``."""

from __future__ import annotations

import inspect

from llada_core.errors import ContractError

__all__ = ["answers_for_all", "check_class_method", "says"]


def says(kind: type, hook: str) -> type | None:
    """The class of ``kind``'s bases that defines the ``hook``, or the one that answers it for all rows."""
    return next((each for each in kind.__mro__ if vars(each).keys() & {hook, f"{hook}_all"}), None)


def answers_for_all(kind: type, hook: str, base: type) -> bool:
    """Whether a class answers the ``hook`` for all of its rows at once, by ``hook``_all: not where a subclass
    says otherwise of one row, nor by the default of ``base``."""
    found = says(kind, hook)
    return found not in (None, base) and f"{hook}_all" in vars(found)


def check_class_method(kind: type, name: str, arguments: str) -> None:
    """Refuse one that is a method of objects. Raises ``ContractError``."""
    if not isinstance(inspect.getattr_static(kind, name), classmethod | staticmethod):
        raise ContractError(
            f"{kind.__name__}.{name} is a method of objects, and one class sees all rows; "
            f"write @classmethod def {name}(cls, {arguments})"
        )
