"""Whether an algorithm can run, here and on a loaded network. This module does not know how it runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from llada_core.errors import AlgorithmUnavailable, UsageError
from llada_core.faults import fault_of, one_line, remedy, whose
from llada_core.values import told

if TYPE_CHECKING:
    from llada_core.plugins.info import AlgorithmInfo

__all__ = ["Availability"]


class Availability:
    """What an algorithm says of where it can run. ``info`` is what the registry knows, None without one."""

    name: str = ""
    info: AlgorithmInfo | None = None
    model_path: str = "the model"

    @property
    def unavailable_reason(self) -> str | None:
        """Why the algorithm cannot run here, ending with the remedy; None where it can."""
        known = None if self.info is None else self.info.reason
        kind = type(self)
        if known is None and kind.is_available is not Availability.is_available:
            said = self.is_available()
            where = f"{kind.__name__}.is_available() of {kind.__module__}"
            return None if said else f"{where} says {said!r}; see there what it needs"
        return known

    def is_available(self) -> bool:
        """Whether the algorithm can run here; ``unavailable_reason`` says why not.

        To be overridden by one that can tell, or ``unavailable_reason`` in its place.
        """
        if type(self).is_available is Availability.is_available:
            return self.unavailable_reason is None
        return self.info is None or self.info.reason is None  # what an own one asks by super()

    def unfit_reason(self, model: Any) -> str | None:
        """Why the algorithm cannot run on this loaded network, ending with the remedy; None where it can, by
        its default parameters or by others.

        To be overridden where not every network that the engine loads will do.
        """
        return None

    def parameters_on(self, model: Any) -> Mapping[str, Any]:
        """What a call has to give on this network, as its defaults do not run there; nothing where they do.

        To be overridden together with ``check_parameters_fit``.
        """
        return {}

    def check_parameters_fit(self, model: Any, params: Mapping[str, Any]) -> None:
        """Refuse effective ``params`` by which the algorithm cannot run on this network, and by others can.
        Raises ``ParameterError``.

        To be overridden where it depends on the parameters what networks will do; this one refuses none.
        """

    def check_fits(self, model: Any) -> None:
        """Refuse a loaded network that the algorithm cannot run on. Raises ``AlgorithmUnavailable``, and
        ``UsageError`` where None was given."""
        if model is None:
            raise UsageError(
                f"{self.name} was given no model; call load_model_from_hf first, and give its model"
            )
        reason = self.why_unfit(model)
        if reason is not None:
            message = f"{self.name} cannot run on {self.model_path}: {reason}"
            raise AlgorithmUnavailable(message, name=self.name, reason=reason)

    def why_unfit(self, model: Any) -> str | None:
        """``unfit_reason``, or what is wrong with that itself."""
        try:
            reason: Any = self.unfit_reason(model)
        except BaseException as exc:  # it may be a plugin's, and raise anything
            return f"its unfit_reason failed: {one_line(fault_of(exc))}; {remedy(self._distribution)}"
        if reason is None or isinstance(reason, str):
            return reason
        return f"its unfit_reason returned {told(reason)}; return None, or the reason as text"

    @property
    def _whose(self) -> str:
        """Its name and its distribution, for errors."""
        return whose(self.name, self._distribution)

    @property
    def _distribution(self) -> str | None:
        """The distribution that it came with; None where the program made it itself."""
        return None if self.info is None else self.info.distribution
