"""How an algorithm loads a network of this runtime; it says nothing about how one is decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from llada_core.checkpoints.dcp_source import DcpContents
from llada_core.checkpoints.options import LoadOptions
from llada_core.generation.algorithm import GenerationAlgorithm
from llada_runtime.models.llada import LLaDAModel
from llada_runtime.models.register import dcp_contents, load_network, tensor_names
from llada_runtime.network.exchange import exchange
from llada_runtime.network.pretrained import Pretrained
from llada_runtime.network.rest import release, take

__all__ = ["OnTheRuntime"]


class OnTheRuntime(GenerationAlgorithm):
    """One whose network is this runtime's, unless a subclass names a class of its own that is none."""

    def load_model_class(self) -> type[Any]:
        """The network that this runtime decodes on: which one, its config tells (`llada_runtime.models`).

        To be overridden by an engine whose network is its own.
        """
        return LLaDAModel

    def load_network(self, folder: Path, options: LoadOptions) -> Any:
        """The network in ``folder``; on a GPU with its steps as graphs. No code of a checkpoint is run.

        A class of the caller's own that is none of the runtime's networks loads by its ``from_pretrained``.

        Raises:
            CheckpointError: the files are damaged or do not belong together.
            UnsupportedArchitecture: no network implements what the config asks for.
            UsageError: it cannot be split as it is asked for, or another quantization.
            ModelNotFound, ModelLoadError: there are no such weights of a trainer, or they are damaged.
        """
        if not self._on_the_runtime():
            return super().load_network(folder, options)
        return load_network(
            folder,
            kind=self._own_kind(),
            device=options.device,
            dtype=options.dtype,
            quantization=options.quantization,
            tensor_parallel=options.tensor_parallel,
            dcp=options.dcp,
        )

    def dcp_contents(self, folder: Path, options: LoadOptions) -> DcpContents | None:
        """What ``load_network`` will read of a trainer's weights, straight into the network. Raises as
        that."""
        if not self._on_the_runtime():
            return super().dcp_contents(folder, options)
        assert options.dcp is not None
        return dcp_contents(folder, options.dcp, kind=self._own_kind())

    def exchange_weights(
        self,
        model: Any,
        weights: Mapping[str, Any] | Iterable[tuple[str, Any]],
        *,
        partial: bool,
        begun: Callable[[], None],
    ) -> None:
        """As ``LoadedModel.load_weights``: into the memory that the network has, so that graphs stay."""
        exchange(model, weights, partial=partial, begun=begun)

    def release_memory(self, model: Any, level: int) -> None:
        """Let the network free graphs and weights, as ``LoadedModel.sleep`` says."""
        release(model, level)

    def take_memory(self, model: Any) -> None:
        """Put the weights on their device again, and capture steps as at loading."""
        take(model)

    def tensor_names(self, folder: Path) -> frozenset[str] | None:
        """The names of the tensors of the network for the config in ``folder``, if they can be told."""
        return tensor_names(folder, kind=self._own_kind()) if self._on_the_runtime() else None

    def _own_kind(self) -> type[Any] | None:
        """The class that a subclass names; None where the config tells."""
        own = type(self).load_model_class is not OnTheRuntime.load_model_class
        kind: type[Any] | None = self.network_class() if own else None
        return kind

    def _on_the_runtime(self) -> bool:
        """Whether the network is one of this runtime's, and not what a subclass loads in its own way."""
        if type(self).load_model_class is OnTheRuntime.load_model_class:
            return True
        kind = self._own_kind()
        return kind is not None and issubclass(kind, Pretrained)
