"""``NemotronModel``: a checkpoint, and the two ways of running it.

By the model's own code, if that is trusted, or on our own network, if that implements the architecture. The
handle has the interface of the runtime's ``Network``, so that step algorithms run on it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from llada_core import AlgorithmUnavailable, DcpContents, DcpSource, LoadOptions, UsageError
from llada_core.checkpoints import read_fields
from llada_core.checkpoints.ends import EndToken
from llada_runtime import CheckpointError, KVCache, Network, UnsupportedArchitecture
from llada_runtime.network.calls import Merge
from llada_runtime.network.exchange import exchange
from llada_runtime.network.graphs import graphed
from llada_runtime.network.layout import Layout
from llada_runtime.network.parallel.leader import Parallel
from llada_runtime.network.parallel.start import load_parallel
from llada_runtime.network.rest import release, take

from .config import NemotronConfig
from .loading import config_of, load_by_own_code
from .native import NativeModel
from .network import NemotronNetwork
from .signature import DIFFUSION

__all__ = ["NemotronModel", "OnNemotron"]

_UNTRUSTED = (
    "it runs the model's own code, which is not trusted; load the model with trust_remote_code=True "
    "(--trust-remote-code) if you trust it, or use nemotron_block"
)
_NOT_QUANTISED = (
    "quantization {kind!r} is for our own network, and under trust_remote_code the model's own code is "
    "loaded; leave one of the two out"
)

_NOT_OF_A_TRAINER = (
    "the weights in {path} are of torch.distributed, and the model's own code reads safetensors alone; "
    "convert them, or leave trust_remote_code out"
)

_TWO_OF_THEM = (
    "the model is loaded by its own code, whose weights are not ours to exchange or to move; load it without "
    "trust_remote_code"
)
_NETWORK = "llada_nemotron.network:NemotronNetwork"
_NOT_SPLIT = (
    "tensor_parallel={size} splits our own network, and trust_remote_code=True loads the model by its own "
    "code; leave one of the two out"
)


class NemotronModel:
    """A loaded checkpoint: ``native`` decodes by its own code, ``network`` is ours on the same weights.

    Made by ``from_pretrained``. Of the two, one is there from the start; the network of a natively loaded
    model is made at its first use.
    """

    reading = NemotronNetwork.reading

    def __init__(
        self,
        config: NemotronConfig,
        *,
        native: NativeModel | None = None,
        network: Network | None = None,
    ) -> None:
        assert native is not None or network is not None
        self.config = config
        self._native, self._network = native, network
        self._making = threading.Lock()

    @classmethod
    def from_pretrained(
        cls,
        folder: str | Path,
        *,
        device: str | torch.device | None = None,
        dtype: str | torch.dtype | None = None,
        trust_remote_code: bool = False,
        quantization: str | None = None,
        tensor_parallel: int = 1,
        dcp: DcpSource | None = None,
    ) -> NemotronModel:
        """The checkpoint in ``folder``, loaded by its own code where that is trusted, else by ours.

        ``device`` None is CUDA where there is one; ``dtype`` None is bfloat16 on CUDA and float32 on the CPU.
        ``quantization`` "fp8" or "int8" puts the weights of our network in eight bits; ``tensor_parallel``
        splits it between so many devices; ``dcp`` are a trainer's weights for it, in place of the folder's.

        Raises:
            UsageError: the model's own code was to be split, or our network cannot be split so.
            CheckpointError: the files are damaged or do not belong together, the model's code fails, or it is
                to be quantised or to read a trainer's weights.
            ModelNotFound, ModelLoadError: there are no such weights of a trainer, or they are damaged.
            UnsupportedArchitecture: only the model's own code can run it, and that is not trusted.
        """
        if trust_remote_code:
            _check_own_code(quantization, tensor_parallel)
            if dcp is not None:
                raise CheckpointError(_NOT_OF_A_TRAINER.format(path=dcp.path))
            return cls._by_its_own_code(Path(folder), device, dtype)
        try:
            if tensor_parallel > 1:
                split = load_parallel(
                    _NETWORK, folder, size=tensor_parallel, device=device, dtype=dtype, dcp=dcp
                )
                return cls(split.network.config, network=split)
            network = NemotronNetwork.from_pretrained(
                folder, device=device, dtype=dtype, quantization=quantization, dcp=dcp
            )
        except UnsupportedArchitecture as exc:
            raise UnsupportedArchitecture(
                f"{exc}; with trust_remote_code=True (--trust-remote-code) the model's own code can run it"
            ) from exc
        return cls(network.config, network=graphed(network))

    @classmethod
    def _by_its_own_code(
        cls, folder: Path, device: str | torch.device | None, dtype: str | torch.dtype | None
    ) -> NemotronModel:
        fields = read_fields(folder)
        model = load_by_own_code(folder, fields, device, dtype)
        config = config_of(model, fields)
        native = NativeModel(model)
        reason = native.unfit_reason(DIFFUSION)
        if reason is not None and config.architecture_problem is not None:
            raise CheckpointError(f"{folder}: {reason}")
        return cls(config, native=native)

    @property
    def quantization(self) -> str | None:
        """What the weights were made when they were loaded, None where they are as published."""
        return None if self._network is None else getattr(self._network, "quantization", None)

    @property
    def dcp(self) -> DcpContents | None:
        """What was read of a trainer's checkpoint; None where the weights are the folder's own."""
        return None if self._network is None else getattr(self._network, "dcp", None)

    @property
    def replays(self) -> int:
        """How many forwards were those of CUDA graphs, so far."""
        return getattr(self._network, "replays", 0)

    @property
    def capture_problem(self) -> str | None:
        """Why a capture failed, None where none did."""
        return getattr(self._network, "capture_problem", None)

    @property
    def native_reason(self) -> str | None:
        """Why the model's own code cannot be run, ending with the remedy; None where it can."""
        return _UNTRUSTED if self._native is None else None

    @property
    def native(self) -> NativeModel:
        """The model that decodes by its own code. Raises ``AlgorithmUnavailable`` with ``native_reason``."""
        if self._native is None:
            raise AlgorithmUnavailable(_UNTRUSTED, name="nemotron", reason=_UNTRUSTED)
        return self._native

    @property
    def network_reason(self) -> str | None:
        """Why our network cannot run the model, ending with the remedy; None where it can."""
        problem = self.config.architecture_problem
        return None if problem is None else f"{problem}; use nemotron, which runs the model's own code"

    @property
    def network(self) -> Network:
        """Our network on the model's weights; a `NemotronNetwork`, on a GPU behind graphs of its steps.

        Raises ``AlgorithmUnavailable`` with ``network_reason``.
        """
        reason = self.network_reason
        if reason is not None:
            raise AlgorithmUnavailable(reason, name="nemotron_block", reason=reason)
        with self._making:
            if self._network is None:
                self._network = self._adopted()
            return self._network

    def _adopted(self) -> Network:
        try:
            return graphed(NemotronNetwork.adopting(self.native.model, self.config))
        except UnsupportedArchitecture as exc:
            raise AlgorithmUnavailable(str(exc), name="nemotron_block", reason=str(exc)) from exc

    @property
    def end_tokens(self) -> tuple[EndToken, ...] | None:
        """What the checkpoint declares to end an answer, noted on what was loaded; None before it is."""
        noted: tuple[EndToken, ...] | None = getattr(self._loaded, "end_tokens", None)
        return noted

    @end_tokens.setter
    def end_tokens(self, ends: tuple[EndToken, ...]) -> None:
        self._loaded.end_tokens = ends

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self._loaded.device

    @property
    def dtype(self) -> torch.dtype:
        """What the weights are in."""
        return self._loaded.dtype

    @property
    def _loaded(self) -> Any:
        return self._network if self._native is None else self._native.model

    @property
    def caches(self) -> bool:
        return self.network.caches

    @property
    def merges(self) -> Merge | bool:
        return self.network.merges

    def new_cache(self, *, columns: int) -> KVCache:
        return self.network.new_cache(columns=columns)

    def affordable_columns(self) -> int:
        return self.network.affordable_columns()

    def embed(self, ids: Tensor) -> Tensor:
        return self.network.embed(ids)

    def mix(self, probabilities: Tensor) -> Tensor:
        return self.network.mix(probabilities)

    def logits(self, layout: Layout, cache: KVCache | None) -> Tensor:
        return self.network.logits(layout, cache)

    @property
    def tensor_parallel(self) -> int:
        """Between how many devices the network is split."""
        return getattr(self._network, "tensor_parallel", 1)

    def close(self) -> None:
        """End what runs for the network; where it is not split, nothing does."""
        if isinstance(self._network, Parallel):
            self._network.close()


class OnNemotron:
    """What the engine's algorithms share: they load the handle, and their prompts may begin to think."""

    engine = "nemotron"
    chat_options: ClassVar[tuple[str, ...]] = ("enable_thinking",)

    def load_model_class(self) -> type[NemotronModel]:
        """The handle that holds a model together with the ways of running it."""
        return NemotronModel

    def load_network(self, folder: Path, options: LoadOptions) -> NemotronModel:
        """The checkpoint in ``folder``, for every algorithm of the engine.

        Raises ``CheckpointError``, ``UnsupportedArchitecture`` and ``UsageError`` as
        ``NemotronModel.from_pretrained``.
        """
        return NemotronModel.from_pretrained(
            folder,
            device=options.device,
            dtype=options.dtype,
            trust_remote_code=options.trust_remote_code,
            quantization=options.quantization,
            tensor_parallel=options.tensor_parallel,
            dcp=options.dcp,
        )

    def dcp_contents(self, folder: Path, options: LoadOptions) -> DcpContents | None:
        """What our own network will read of a trainer's weights; None where the model's own code is to load
        them, which reads the Hugging Face layout alone. What that code cannot do is refused before."""
        assert options.dcp is not None
        if not options.trust_remote_code:
            return NemotronNetwork.dcp_contents(folder, options.dcp)
        _check_own_code(options.quantization, options.tensor_parallel)
        return None

    def exchange_weights(
        self,
        model: NemotronModel,
        weights: Mapping[str, Any] | Iterable[tuple[str, Any]],
        *,
        partial: bool,
        begun: Callable[[], None],
    ) -> None:
        """Give our own network other weights. Raises ``UsageError`` where the model's own code is loaded."""
        exchange(_ours(model), weights, partial=partial, begun=begun)

    def release_memory(self, model: NemotronModel, level: int) -> None:
        """Let our own network free graphs and weights. Raises as ``exchange_weights``."""
        release(_ours(model), level)

    def take_memory(self, model: NemotronModel) -> None:
        """Have our own network on its device again."""
        take(_ours(model))

    def tensor_names(self, folder: Path) -> frozenset[str] | None:
        """The names of the tensors of our own network, which are those of the model's own code; None for an
        architecture that it does not implement."""
        try:
            return NemotronNetwork.tensor_names(folder)
        except UnsupportedArchitecture:
            return None


def _ours(model: NemotronModel) -> Network:
    """Our network, where nothing else is on its weights. Raises ``UsageError``."""
    if model.native_reason is None:
        raise UsageError(_TWO_OF_THEM)
    return model.network


def _check_own_code(quantization: str | None, tensor_parallel: int) -> None:
    """Refuse what is asked of our own network alone, where the model's own code is loaded."""
    if quantization is not None:
        raise CheckpointError(_NOT_QUANTISED.format(kind=quantization))
    if tensor_parallel > 1:
        raise UsageError(_NOT_SPLIT.format(size=tensor_parallel))
