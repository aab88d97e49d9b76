"""What holds of a loaded model with all algorithms of its engine. Imported only through ``LazyModule``: it
needs torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from llada_core import registry
from llada_core.checkpoints.options import LoadOptions
from llada_core.errors import AlgorithmUnavailable
from llada_core.faults import fault_of, one_line
from llada_core.generation.results import GenerationRequest
from llada_core.loading import LoadedModel
from llada_core.testing.checks import NotRun
from llada_core.testing.runs import made_up, params_on

__all__ = ["agrees", "honours_load", "shares"]


def agrees(lm: LoadedModel) -> None:
    """Check that what ``lm.algorithms()`` lists without a reason runs, and that nothing else does."""
    ids = _prompts(lm)[0]
    for name, reason in lm.algorithms().items():
        failure = None
        try:
            lm.generate(ids, algorithm=name, **_short(lm, name))
        except AlgorithmUnavailable as exc:
            failure = exc.reason
        except BaseException as exc:  # an algorithm may raise anything
            failure = one_line(fault_of(exc))
        said = "runs" if reason is None else f"cannot run ({reason})"
        found = "does" if failure is None else f"fails: {failure}"
        assert (reason is None) is (failure is None), (
            f"lm.algorithms() says that {name} {said}, and it {found}; let its unfit_reason say how it is"
        )


def shares(lm: LoadedModel) -> None:
    """Check that rows of all algorithms in one session have the answers that each has alone."""
    able = [name for name, reason in lm.algorithms().items() if reason is None]
    if len(able) < 2:
        raise NotRun("no two algorithms run on this model")
    requests = [
        GenerationRequest(prompt=list(ids), algorithm=name, parameters=_short(lm, name))
        for name in able
        for ids in _prompts(lm)
    ]
    for ordered in (requests, requests[::-1]):
        for request, result in zip(ordered, lm.generate_batch(ordered), strict=True):
            alone = lm.generate_batch([request])[0]
            assert (alone.token_ids, alone.nfe) == (result.token_ids, result.nfe), (
                f"a row of {request.algorithm} has another answer or forward count beside rows of "
                f"{', '.join(able)} than alone; let nothing of a row depend on its neighbours"
            )


def honours_load(lm: LoadedModel, path: str, options: LoadOptions) -> None:
    """Check that a subclass of the class that loads, with a ``load_network`` of its own, loads by that."""
    name = next((each for each, reason in lm.algorithms().items() if reason is None), None)
    if name is None:
        raise NotRun("no algorithm runs on this model")
    network, asked = lm.model.network, list[Path]()
    kind = type(registry.get_algorithm(name))

    def load_network(self: Any, folder: Path, options: LoadOptions) -> Any:
        asked.append(folder)
        return network

    own: Any = type(f"Own{kind.__name__}", (kind,), {"load_network": load_network})
    loaded = own().load_checkpoint(path, options)
    assert asked, f"a subclass of {kind.__name__} with a load_network of its own does not load by it; call it"
    assert loaded is network, "load_checkpoint returns another network than load_network made; return that"


def _prompts(lm: LoadedModel) -> list[list[int]]:
    return made_up(lm.model.limits, lm.model.end_ids)


def _short(lm: LoadedModel, name: str) -> dict[str, Any]:
    """A short answer by the parameters that have to be given on this model; some draw at their defaults."""
    return params_on(registry.get_algorithm(name), lm.model.network, gen_length=16, seed=3)
