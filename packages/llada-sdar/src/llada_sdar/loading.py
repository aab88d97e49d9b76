"""How the engine's algorithms come to a network. All three run on the same one."""

from __future__ import annotations

from pathlib import Path

from llada_core import DcpContents, LoadOptions
from llada_runtime import Network
from llada_runtime.network.graphs import graphed
from llada_runtime.network.parallel.start import load_parallel
from llada_runtime.network.warmup import warm_up

from .network import SDARNetwork

__all__ = ["OnSDAR"]

_NETWORK = "llada_sdar.network:SDARNetwork"


class OnSDAR:
    """What loads the network of the family. No code of a checkpoint is run, whether it is trusted or not."""

    def load_model_class(self) -> type[SDARNetwork]:
        """The network that the algorithms run on."""
        return SDARNetwork

    def load_network(self, folder: Path, options: LoadOptions) -> Network:
        """The checkpoint in ``folder``; on a GPU with the steps of its block's width as graphs.

        Raises:
            CheckpointError: the files are damaged or do not belong together.
            UnsupportedArchitecture: the network does not implement what the config asks for.
            UsageError: it cannot be split as it is asked for, or another quantization.
            ModelNotFound, ModelLoadError: there are no such weights of a trainer, or they are damaged.
        """
        if options.tensor_parallel > 1:
            return load_parallel(
                _NETWORK,
                folder,
                size=options.tensor_parallel,
                device=options.device,
                dtype=options.dtype,
                dcp=options.dcp,
            )
        loaded = SDARNetwork.from_pretrained(
            folder,
            device=options.device,
            dtype=options.dtype,
            quantization=options.quantization,
            dcp=options.dcp,
        )
        network = graphed(loaded)
        block = loaded.config.block_size
        if block is not None:
            warm_up(network, widths=(block,))
        return network

    def dcp_contents(self, folder: Path, options: LoadOptions) -> DcpContents | None:
        """What the network will read of a trainer's weights. Raises as ``load_network``."""
        assert options.dcp is not None
        return SDARNetwork.dcp_contents(folder, options.dcp)

    def tensor_names(self, folder: Path) -> frozenset[str] | None:
        """The names of the network's tensors, which are the published ones."""
        return SDARNetwork.tensor_names(folder)
