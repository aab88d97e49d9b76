"""How a checkpoint becomes transformers' own network, and what is refused before that is tried."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import DiffusionGemmaForBlockDiffusion
from transformers.activations import ACT2FN
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS
from transformers.utils import logging

from llada_core import CheckpointError, LoadOptions, UnsupportedArchitecture, UsageError
from llada_core.checkpoints import read_fields
from llada_core.checkpoints.guard import raised_as
from llada_core.faults import one_line
from llada_core.names import some
from llada_runtime.network.checkpoint import check_floating, choose_device, choose_dtype
from llada_runtime.network.sources import SafetensorsSource
from llada_runtime.network.weight_files import UnusedWeights

from .config import GemmaConfig
from .published import check_file

__all__ = ["TOWER", "check_options", "load"]

TOWER = ("model.encoder.vision_tower.", "model.encoder.embed_vision.")
"""How the names of the weights begin that are dropped: those of what sees images."""


def check_options(options: LoadOptions) -> None:
    """Refuse what transformers' class is not loaded with. Raises ``UsageError``, which names it."""
    if options.quantization is not None:
        raise _not_taken("quantization", repr(options.quantization), "as floating-point numbers")
    if options.tensor_parallel > 1:
        raise _not_taken("tensor_parallel", str(options.tensor_parallel), "on one device")
    if options.dcp is not None:
        raise UsageError(
            f"the weights in {options.dcp.path} are of torch.distributed, and diffusion_gemma loads what "
            "transformers reads; save them in the Hugging Face layout"
        )


def load(folder: Path, options: LoadOptions) -> Any:
    """The network in ``folder``, ready to decode text; its vision tower is dropped.

    No code that comes with the checkpoint is run, whatever ``options`` allow.

    Raises:
        UsageError: it is to be quantised or split, or a device or dtype is not known.
        CheckpointError: the files are damaged or lack weights, or transformers cannot load them.
        UnsupportedArchitecture: the config asks for what transformers' class has no code for.
    """
    check_options(options)
    fields = read_fields(folder)
    config = GemmaConfig.from_dict(fields)
    _check_tables(fields["text_config"])
    check_file(folder)
    _check_stored(folder)
    device = choose_device(options.device)
    dtype = choose_dtype(options.dtype, device)
    if device.type not in ("cpu", "cuda"):
        raise CheckpointError(
            f"device {str(device)!r} has random numbers of its own kind, and rows could not be given streams "
            "of theirs; use 'cpu' or 'cuda'"
        )
    with raised_as(lambda exc: _failed(folder, exc)), _quiet():
        network, told = DiffusionGemmaForBlockDiffusion.from_pretrained(
            str(folder),
            dtype=dtype,
            output_loading_info=True,
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are told of, and refused below
        )
    _check_complete(folder, told)
    network.model.encoder.vision_tower = network.model.encoder.embed_vision = None
    network = network.to(device).eval()
    torch.compiler.cudagraph_mark_step_begin()  # imports for seconds what the first canvas would wait for
    # Where the registry looks for limits; the class has them in its text_config alone.
    network.config.vocab_size = config.vocab_size
    network.config.max_sequence_length = config.max_position_embeddings
    return network


def _check_tables(text: Mapping[str, Any]) -> None:
    """Refuse rotary embeddings and activations that transformers has no function for, which it tells by their
    bare names. Raises ``UnsupportedArchitecture``."""
    ropes = text.get("rope_parameters")
    kinds = ropes if isinstance(ropes, Mapping) else {}
    named = {
        f"rope_parameters.{kind}.rope_type": (rope.get("rope_type"), ("default", *ROPE_INIT_FUNCTIONS))
        for kind, rope in kinds.items()
        if isinstance(rope, Mapping)
    }
    if "hidden_activation" in text:
        named["hidden_activation"] = (text["hidden_activation"], tuple(ACT2FN))
    for name, (value, known) in named.items():
        if value not in known:
            raise UnsupportedArchitecture(
                f"config.json: text_config.{name} is {value!r}, which transformers "
                f"{transformers.__version__} does not have; it has {', '.join(known)}"
            )


def _check_stored(folder: Path) -> None:
    """Refuse what transformers would read all the same: pickles, and integers as if they were weights; and
    damaged files, by their names. Raises ``CheckpointError``."""
    for name, facts in SafetensorsSource(folder).stored().items():
        if not name.startswith(TOWER):
            check_floating(name, facts)


def _check_complete(folder: Path, told: Mapping[str, Any]) -> None:
    missing = sorted(name for name in told["missing_keys"] if not name.startswith(TOWER))
    if missing:
        raise CheckpointError(
            f"{folder}: the weights lack {some(missing)}, which the network needs; download them again"
        )
    differing = sorted(told["mismatched_keys"], key=str)
    if differing:
        name, stored, wanted = differing[0]
        raise CheckpointError(
            f"{folder}: {name} is {list(stored)}, and config.json makes it {list(wanted)}; "
            "check that config.json and the weights belong together"
        )
    unused = sorted(told["unexpected_keys"])
    if unused:
        message = f"{folder} holds {some(unused)}, which transformers' class has no place for"
        warnings.warn(message, UnusedWeights, stacklevel=3)


def _failed(folder: Path, exc: BaseException) -> CheckpointError:
    return CheckpointError(
        f"{folder}: transformers {transformers.__version__} cannot load it ({one_line(exc)}); see its model "
        "card for the version that it needs, and check that config.json and the weights belong together"
    )


def _not_taken(name: str, value: str, how: str) -> UsageError:
    return UsageError(
        f"{name}={value} was asked for, and diffusion_gemma loads its weights {how}; leave {name} out"
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The caller has a bar of its own, or wants none; and what transformers logs of weights that do not fit,
    in tables, an error or a warning of ours tells."""
    shown, logged = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)
    try:
        yield
    finally:
        logging.set_verbosity(logged)
        if shown:
            logging.enable_progress_bar()
