"""How an algorithm loads its checkpoints. This module does not know what it does with them."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llada_core.checkpoints.dcp_source import DcpContents, DcpSource
from llada_core.checkpoints.guard import loading
from llada_core.checkpoints.hub import resolve_model
from llada_core.checkpoints.options import (
    LoadOptions,
    check_dcp,
    check_loader,
    check_quantised,
    check_split,
)
from llada_core.checkpoints.tokenizer import load_tokenizer
from llada_core.errors import UsageError
from llada_core.generation.availability import Availability
from llada_core.generation.executions import Executions
from llada_core.generation.model import Model, note_end_tokens
from llada_core.imports import LazyModule
from llada_core.values import told

if TYPE_CHECKING:
    import torch

    from llada_core.checkpoints import dcp_folder, dcp_metadata
    from llada_core.generation import networks
else:
    dcp_folder = LazyModule("llada_core.checkpoints.dcp_folder")
    dcp_metadata = LazyModule("llada_core.checkpoints.dcp_metadata")
    networks = LazyModule("llada_core.generation.networks")

__all__ = ["LoadsModels"]


class LoadsModels(Availability, ABC):
    """What loads a model and its tokenizer, and holds them as ``model`` and ``tokenizer``.

    ``dcp`` is what was read of a trainer's checkpoint, None for a model that is not of one. ``executions``
    are those of the ``LoadedModel`` that has the same network, None where there is none.
    """

    model: Any = None
    tokenizer: Any = None
    dcp: DcpContents | None = None
    executions: Executions | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "load_model" in vars(cls) and "load_model_class" not in vars(cls):
            cls.load_model_class = vars(cls)["load_model"]  # type: ignore[method-assign]

    def check_fits(self, model: Any) -> None:
        """Refuse a loaded network that the algorithm cannot run on. Raises ``AlgorithmUnavailable``, and
        ``UsageError`` where no network was given but None, or what holds one."""
        if isinstance(model, Model) or isinstance(getattr(model, "model", None), Model):
            raise UsageError(
                f"{self.name} was given {told(model)}, which holds the network; give lm.model.network, where "
                "lm is what load_model returned"
            )
        super().check_fits(model)

    @abstractmethod
    def load_model_class(self, *args: Any, **options: Any) -> Any:
        """What reads the checkpoints: a class with ``from_pretrained(folder, *, device, dtype)``, a class of
        transformers, or a model.

        Called without arguments, or, where it has a place for the folder, with that and with what
        ``from_pretrained`` of transformers takes: ``load_model_class(folder, dtype=…)``.
        """

    def network_class(self) -> Any:
        """The class whose networks it runs on, None where only a loaded model could tell."""
        return networks.class_named_by(self.load_model_class)

    def load_network(self, folder: Path, options: LoadOptions) -> Any:
        """The network in ``folder``: the seam for an engine that loads in its own way.

        May raise ``OSError``, ``ValueError`` or ``RuntimeError``, which callers see as ``ModelLoadError``.
        """
        return networks.load_network(self.load_model_class, folder, options)

    def tensor_names(self, folder: Path) -> Collection[str] | None:
        """The names of the network's tensors in a checkpoint with the config in ``folder``, or None.

        They tell where the model is in what a trainer saved. To be overridden by an engine that knows them
        without the weights.
        """
        return None

    def dcp_contents(self, folder: Path, options: LoadOptions) -> DcpContents | None:
        """What ``load_network`` will read of ``options.dcp``, known to be all that the network needs; None
        where it reads the Hugging Face layout alone, so that the weights pass through a temporary folder.

        To be overridden together with a ``load_network`` that heeds ``options.dcp``; else it is asked only
        where that is not overridden. May raise as it.
        """
        return networks.dcp_contents(self.load_model_class, folder, options)

    def checked_dcp(self, folder: Path, options: LoadOptions) -> DcpContents | None:
        """``dcp_contents``, for callers: None where a ``load_network`` is younger and knows nothing of it.

        Raises ``ModelNotFound``, ``ModelLoadError`` and ``UsageError``.
        """
        assert options.dcp is not None
        if _depth(type(self), "load_network") < _depth(type(self), "dcp_contents"):
            return None
        with loading(os.fspath(options.dcp.path)):
            return self.dcp_contents(folder, options)

    def load_model_from_hf(
        self,
        model_path: str | os.PathLike[str],
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | str | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        quantization: str | None = None,
        tensor_parallel: int = 1,
    ) -> Any:
        """The model in a folder, under a hub id or in a wheel, kept as ``model`` with its ``tokenizer``.

        ``device`` None is CUDA where there is one; ``dtype`` None is bfloat16 on CUDA and float32 elsewhere;
        ``quantization`` "fp8" or "int8" puts weights in eight bits, where the engine can;
        ``tensor_parallel`` splits the network between so many devices, each with a process of its own.
        Honours ``HF_HOME``, ``HF_HUB_OFFLINE`` and ``HF_TOKEN``. A folder without a tokenizer loads too.
        Raises ``AlgorithmUnavailable``, ``ModelNotFound``, ``ModelLoadError`` and ``UsageError``.
        """
        options = LoadOptions(
            device=device,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            revision=revision,
            quantization=quantization,
            tensor_parallel=tensor_parallel,
        )
        return self.load_checkpoint(model_path, options)

    def load_model_from_dcp(
        self,
        dcp_path: str | os.PathLike[str],
        base_model: str | os.PathLike[str],
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | str | None = None,
        trust_remote_code: bool = False,
        revision: str | None = None,
        quantization: str | None = None,
        tensor_parallel: int = 1,
        prefix: str | None = None,
        temp_dir: str | os.PathLike[str] | None = None,
    ) -> Any:
        """The model whose weights are a ``torch.distributed.checkpoint`` folder, kept likewise.

        Config and tokenizer are those of ``base_model`` (folder, hub id at ``revision``, or wheel). What
        stands before the names of the model's tensors is found by these, and said by ``dcp.told``; a
        ``prefix`` such as ``"policy."`` says so where it holds several models. Optimizer, step and whatever
        else it holds is left out. Networks of a runtime are filled straight from it; for others the weights
        pass through a temporary folder of the size of the model, made in ``temp_dir`` and removed before this
        returns. Of the pickles that the format keeps no code is run. Raises as ``load_model_from_hf``.
        """
        options = LoadOptions(
            device=device,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            revision=revision,
            quantization=quantization,
            tensor_parallel=tensor_parallel,
            dcp=DcpSource(path=dcp_path, prefix=prefix, temp_dir=temp_dir),
        )
        return self.load_checkpoint(base_model, options)

    def load_checkpoint(self, model_path: str | os.PathLike[str], options: LoadOptions) -> Any:
        """What ``load_model_from_hf`` does, for callers that have the options as one value; with
        ``options.dcp`` what ``load_model_from_dcp`` does, ``model_path`` being the base."""
        check_loader(self.load_network, owner=self._owner)
        folder = resolve_model(
            model_path,
            revision=options.revision,
            weights=options.dcp is None,
            code=options.trust_remote_code,
        )
        if options.dcp is not None:
            networks.check_distributed()
            with dcp_metadata.read_once():
                return self._load_dcp(folder, os.fspath(model_path), options, options.dcp)
        return self._load_from(folder, options, path=os.fspath(model_path))

    def _load_dcp(self, base: Path, named: str, options: LoadOptions, source: DcpSource) -> Any:
        """The model of ``source``, by config and tokenizer in ``base``, which the caller has ``named``."""
        path = os.fspath(source.path)
        with loading(named):
            names = self.tensor_names(base)
        contents = self.checked_dcp(base, options)
        if contents is not None:
            model = self._load_from(base, options, path=path)
        else:
            with dcp_folder.as_hf_folder(source, base, names=names) as (folder, contents):
                model = self._load_from(folder, replace(options, dcp=None), path=str(folder))
        self.model_path, self.dcp = path, contents
        return model

    def _load_from(self, folder: Path, options: LoadOptions, *, path: str) -> Any:
        """The model in ``folder``, kept; errors of loading name ``path``."""
        with loading(path):
            model = self.load_network(folder, options)
            check_quantised(model, options, owner=self._owner)
            check_split(model, options, owner=self._owner)
            check_dcp(model, options, owner=self._owner)
        tokenizer = load_tokenizer(folder, trust_remote_code=options.trust_remote_code)
        note_end_tokens(model, folder, tokenizer)
        self.model, self.tokenizer, self.model_path, self.dcp = model, tokenizer, path, None
        self.executions = None
        return model

    @property
    def _owner(self) -> str:
        return self.name or type(self).__name__

    def _loaded(self) -> Model:
        """What was loaded. Raises ``UsageError`` where nothing was."""
        if self.model is None and self.tokenizer is None:
            raise UsageError(f"{self.name} has no model yet; call load_model_from_hf first")
        return self._around(self.model)

    def _around(self, network: Any) -> Model:
        """``network`` with this tokenizer. Where it is the one held here, requests on it are refused and
        counted as those of the ``LoadedModel`` that has it, too."""
        executions = self.executions if network is self.model else None
        return Model.of(network, self.tokenizer, path=self.model_path, executions=executions)


def _depth(kind: type, name: str) -> int:
    """How far up among the bases of ``kind`` the first is that defines ``name``, which one does."""
    return next(depth for depth, base in enumerate(kind.__mro__) if name in vars(base))
