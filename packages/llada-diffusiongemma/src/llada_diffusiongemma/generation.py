"""``diffusion_gemma``: the sampler of DiffusionGemma, as transformers publishes it.

The published rule (transformers, ``models/diffusion_gemma``): a canvas begins as random tokens. A step draws
a token for each place at the step's temperature, keeps the surest of them by ``entropy_bound`` and replaces
the others by new random tokens; nothing stands before the canvas ends. It ends after ``max_denoising_steps``,
or when its likeliest tokens were the same for ``stability_threshold`` steps before and their mean entropy is
below ``confidence_threshold``; these likeliest tokens are then what was written.

Differences from one call of the class's ``generate``:

* each row has calls and a stream of random numbers of its own: in a call of several rows one generator draws
  for all of them, and prompts of different lengths would be padded on the left, which the class takes for
  positions;
* an answer has ``gen_length`` tokens, where the class returns whole canvases, and ends before the first of
  all end tokens that the checkpoint declares; ``generate`` puts that token in the places behind it, where the
  class has it once and then padding;
* ``max_length`` and ``cache_implementation`` of the checkpoint's generation config do not count. The class
  takes ``max_length`` in place of 256 new tokens, the number that it holds for "not said", and keeps a static
  cache on the model for all callers;
* ``nfe`` counts all forwards of a row, of the encoder too, which reads the prompt and each canvas but the
  last once; the class's ``tokens_per_forward`` counts those of the decoder.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor
from transformers import DiffusionGemmaForBlockDiffusion

from llada_core import (
    Answer,
    DcpContents,
    GenerationAlgorithm,
    GenerationRequest,
    LoadOptions,
    ParameterError,
)
from llada_core.errors import PromptError
from llada_core.generation.execution import finished_tickets
from llada_core.generation.model import Model
from llada_core.generation.odds import Look
from llada_core.generation.prompts import Limits, check_prompt
from llada_core.generation.steps import StepLoop
from llada_core.parameters import parameters_of_row
from llada_core.values import told
from llada_runtime.prompts import prompt_rows

from .draws import Stream
from .loading import check_options, load
from .loop import CanvasLoop
from .plugin import PARAMETERS
from .row import CanvasRow, Listener, asked
from .settings import config_of, defaults_of, filled

__all__ = ["DiffusionGemmaGeneration"]

_NO_MASKS = (
    "its canvases begin as random tokens, and it has no masks whose tokens could be given or told; take a "
    "model whose engine fills masks"
)
_LENGTH = next(each for each in PARAMETERS if each.name == "gen_length")


class DiffusionGemmaGeneration(GenerationAlgorithm):
    """Denoises canvases, one after the other, on transformers' ``DiffusionGemmaForBlockDiffusion``.

    A network that was loaded otherwise, as by transformers itself, will do too.
    """

    name = "diffusion_gemma"
    engine = "diffusion_gemma"
    description = "Denoises canvases of random tokens, one after the other; streams canvas by canvas."
    parameters = PARAMETERS
    chat_options: ClassVar[tuple[str, ...]] = ("enable_thinking",)
    loop_class: ClassVar[type[StepLoop]] = CanvasLoop

    def load_model_class(self) -> type[Any]:
        """transformers' own class."""
        return DiffusionGemmaForBlockDiffusion

    def load_network(self, folder: Path, options: LoadOptions) -> Any:
        """The network in ``folder``. Raises as ``loading.load``."""
        return load(folder, options)

    def dcp_contents(self, folder: Path, options: LoadOptions) -> DcpContents | None:
        """Refuse a trainer's weights, as ``UsageError``."""
        check_options(options)
        return None

    def unfit_reason(self, model: Any) -> str | None:
        """Why ``model`` cannot decode so: it is another network; else None."""
        if isinstance(model, DiffusionGemmaForBlockDiffusion):
            return None
        return (
            f"it runs on transformers' DiffusionGemmaForBlockDiffusion, and this is {told(model)}; load one"
        )

    def validate_args(self, **params: Any) -> dict[str, object]:
        """The effective values of ``params``; where a model is loaded, with what its checkpoint says.

        Raises ``ParameterError`` for a name, type, range or temperatures that do not fit.
        """
        if params.get("temperature") is not None:
            raise ParameterError(
                f"{self.name} does not take temperature={params['temperature']!r}, not even 0: it always "
                "draws, at a temperature that falls from t_max to t_min; give these",
                parameter="temperature",
                value=params["temperature"],
            )
        values = super().validate_args(**params)
        if self.unfit_reason(self.model) is not None:
            return values
        if params.keys().isdisjoint(_LENGTH.names):
            values["gen_length"] = defaults_of(self.model)["gen_length"]
        return filled(values, self.model, algorithm=self.name)

    def sequence(self, model: Any, prompt_ids: Sequence[int], params: Mapping[str, Any]) -> CanvasRow:
        """A row ready to be admitted; no forward is run.

        Raises ``PromptError`` and ``ParameterError`` where the model cannot decode it.
        """
        values = filled(params, model, algorithm=self.name)
        text = model.config.text_config
        limits = Limits(max_length=text.max_position_embeddings, vocab_size=text.vocab_size)
        check_prompt(prompt_ids, limits, gen_length=values["gen_length"])
        if values["canvas_length"] > text.max_position_embeddings:
            raise ParameterError(
                f"canvas_length={values['canvas_length']} is more tokens than this model's limit of "
                f"{text.max_position_embeddings}, and a canvas is written at its full length; give "
                f"{text.max_position_embeddings} or less",
                parameter="canvas_length",
                value=values["canvas_length"],
            )
        image = model.config.image_token_id
        if image is not None and image in prompt_ids:
            raise PromptError(
                f"the prompt holds the image token (id {image}) at position {list(prompt_ids).index(image)}, "
                "and this engine reads text alone; leave images out"
            )
        ends = Model.of(model, self.tokenizer).end_ids
        return CanvasRow(prompt_ids, values, config=config_of(model), end_ids=ends)

    def open_loop(self, model: Any, *, rows: int, columns: int | None = None) -> CanvasLoop:
        """A loop on ``model`` for ``rows`` rows and ``columns`` cached columns; None is what is free."""
        return CanvasLoop(model, rows=rows, columns=columns)

    def generate(
        self, model: Any, prompt: Tensor, *, attention_mask: Tensor | None = None, **params: Any
    ) -> tuple[Tensor, int]:
        """``(output_ids, nfe)``: int64 ``[B, P+gen_length]``, and the largest count of forwards.

        ``prompt`` is int64 ``[B, P]`` or ``[P]``, rows left-padded where ``attention_mask`` is 0. Behind an
        EOS stands that EOS. With a ``seed``, row r draws from seed + r. What ``params`` do not say is what
        ``model`` says, whatever else this object has loaded.

        Raises ``AlgorithmUnavailable``, ``ParameterError``, ``PromptError``, and ``GenerationError`` for a
        row that failed, once all have ended.
        """
        self.check_fits(model)
        bound = copy.copy(self)
        bound.model = model
        padded, rows = prompt_rows(prompt, attention_mask)
        loaded = Model.of(model, self.tokenizer, path=self.model_path)
        jobs = [
            bound.prepare(
                loaded, GenerationRequest(prompt=ids, parameters=parameters_of_row(params, row)), index=row
            )
            for row, ids in enumerate(rows)
        ]
        # By canvases, also where a subclass has a generate that calls this one.
        tickets = finished_tickets(loaded, [replace(job, runner=self) for job in jobs])
        answers = torch.tensor([ticket.token_ids for ticket in tickets])
        return torch.cat((padded, answers.to(padded)), dim=1), max(ticket.nfe for ticket in tickets)

    def reference_answer(self, model: Any, prompt_ids: Sequence[int], params: Mapping[str, Any]) -> Answer:
        """The answer by one call of the class's own ``generate`` for all canvases."""
        row, heard = self.sequence(model, prompt_ids, params), Listener()
        ends = sorted(row.end_ids) if row.values["early_stop"] else []
        with Stream(row.values["seed"]).drawn_from():
            returned = asked(
                model, prompt_ids, row.values, heard, length=row.gen_length, eos_token_id=ends or None
            )
        written = returned.sequences[0, len(prompt_ids) :].tolist()[: row.gen_length]
        first = next((at for at, token in enumerate(written) if token in ends), None)
        if first is not None:
            written = written[:first] + [written[first]] * (row.gen_length - first)
        return Answer(token_ids=tuple(written), nfe=heard.nfe)

    def infill_reason(self) -> str | None:
        return _NO_MASKS

    def log_probabilities(
        self, model: Any, canvas: Sequence[int], blank: tuple[int, int], candidates: Sequence[Sequence[int]]
    ) -> NoReturn:
        self._cannot("score", _NO_MASKS)

    def token_odds(self, model: Any, looks: Sequence[Look], *, likeliest: int = 1) -> NoReturn:
        self._cannot("tell a likelihood", _NO_MASKS)
