"""What the engine declares, what of it counts on a checkpoint, and what is said where it cannot run."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import requires, version
from pathlib import Path
from typing import Any

import pytest
from transformers.models.diffusion_gemma.generation_diffusion_gemma import DiffusionGemmaGenerationConfig

import llada_core
import llada_diffusiongemma
from llada_core import AlgorithmUnavailable, ParameterError
from llada_core.environment import Environment
from llada_core.plugins.installed import Installed
from llada_core.registry.registry import Registry
from llada_diffusiongemma.plugin import PUBLISHED
from tests.diffusiongemma.tiny_models import GENERATION, write_model

pytestmark = pytest.mark.alone

ALGORITHM = "diffusion_gemma"


def test_the_public_names_are_these() -> None:
    names = ["CanvasLoop", "CanvasRow", "DiffusionGemmaGeneration", "GemmaConfig"]
    assert llada_diffusiongemma.__all__ == names
    assert all(getattr(llada_diffusiongemma, name).__name__ == name for name in names)
    with pytest.raises(AttributeError, match="nothing"):
        _ = llada_diffusiongemma.nothing


def test_the_engine_declares_its_algorithm_default_and_aliases() -> None:
    engine = llada_core.get_engine("diffusiongemma")
    assert (engine.name, engine.default_algorithm, list(engine.algorithms)) == (ALGORITHM,) * 2 + (
        [ALGORITHM],
    )
    assert engine.spec.memory == "llada_diffusiongemma.memory:estimate"
    assert llada_core.get_algorithm("diffusiongemma").name == ALGORITHM
    info = llada_core.get_algorithm_info(ALGORITHM)
    assert info.streams
    kind: Any = type(llada_core.get_algorithm(ALGORITHM))
    assert (kind.name, kind.engine, kind.parameters, kind.yields_steps()) == (
        ALGORITHM, ALGORITHM, info.parameters, True,
    )  # fmt: skip


def test_listing_needs_neither_torch_nor_transformers() -> None:
    program = (
        "import sys, llada_core;"
        "llada_core.list_algorithms(); llada_core.get_algorithm_info('diffusion_gemma');"
        "assert {'torch', 'transformers'}.isdisjoint(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_without_a_model_what_its_checkpoint_may_say_is_open() -> None:
    assert llada_core.get_algorithm(ALGORITHM).get_required_args() == {
        "gen_length": 256,
        "canvas_length": None,
        "max_denoising_steps": None,
        "entropy_bound": None,
        "t_min": None,
        "t_max": None,
        "stability_threshold": None,
        "confidence_threshold": None,
        "seed": None,
        "early_stop": True,
        "enable_thinking": False,
    }


def test_on_a_model_its_checkpoint_comes_first_and_then_what_is_published(lm: Any) -> None:
    assert lm.algorithm(ALGORITHM).get_required_args() == {
        **PUBLISHED,
        "canvas_length": 8,
        "max_denoising_steps": 6,
        "entropy_bound": 1.0,
        "confidence_threshold": 0.5,
        "seed": None,
        "early_stop": True,
        "enable_thinking": False,
    }


def test_a_length_of_the_checkpoint_is_a_default_and_no_more(tmp_path: Path) -> None:
    folder = write_model(tmp_path, generation={**GENERATION, "max_new_tokens": 13})
    lm = llada_core.load_model(folder, device="cpu")
    algorithm = lm.algorithm(ALGORITHM)
    assert algorithm.validate_args()["gen_length"] == 13
    assert algorithm.validate_args(max_tokens=5)["gen_length"] == 5
    assert algorithm.validate_args(gen_length=256)["gen_length"] == 256
    assert len(lm.generate([5, 6], seed=3, early_stop=False).token_ids) <= 13


def test_what_is_published_is_what_transformers_takes() -> None:
    taken = DiffusionGemmaGenerationConfig._get_default_generation_params()
    taken["entropy_bound"] = taken.pop("sampler_config").entropy_bound
    taken["gen_length"] = taken.pop("max_new_tokens")
    assert {name: taken[name] for name in PUBLISHED} == PUBLISHED
    assert set(taken) - set(PUBLISHED) <= {"eos_token_id", "pad_token_id"}  # of the first releases


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"t_max": 0.3}, r"t_max=0\.3 is not above t_min=0\.4, .*; give a higher t_max or a lower t_min"),
        ({"t_min": 0.8}, r"t_max=0\.8 is not above t_min=0\.8"),
        ({"entropy_bound": 0}, "entropy_bound=0 is out of range; give a number above 0"),
        ({"confidence_threshold": 0}, "confidence_threshold=0 is out of range"),
        ({"stability_threshold": -1}, "stability_threshold=-1 is out of range"),
        ({"max_denoising_steps": 0}, "max_denoising_steps=0 is out of range"),
        ({"canvas_length": 0}, "canvas_length=0 is out of range"),
        ({"canvas_length": 1025}, "canvas_length=1025 is out of range; give an integer from 1 to 1024"),
        (
            {"canvas_length": 513},
            r"canvas_length=513 is more tokens than .* limit of 512, .*; give 512 or less",
        ),
        ({"t_max": 1e-40, "t_min": 0}, "t_max=1e-40 is out of range; give a number, 1e-06 or more"),
        ({"max_denoising_steps": 1025}, "max_denoising_steps=1025 is out of range"),
        ({"stability_threshold": 1025}, "stability_threshold=1025 is out of range"),
        ({"temperature": 0}, r"does not take temperature=0, not even 0: it always draws, .* t_max to t_min"),
        ({"temperature": 0.7}, r"does not take temperature=0\.7"),
        ({"top_p": 0.9}, r"does not take top_p=0\.9; leave it out"),
        ({"steps": 4}, "does not take steps=4"),
        ({"block_length": 32}, "does not take block_length=32"),
        ({"max_denoising_step": 3}, "did you mean max_denoising_steps"),
    ],
)
def test_what_it_cannot_do_is_refused_by_name(given: dict[str, Any], said: str, lm: Any) -> None:
    with pytest.raises(ParameterError, match=said):
        lm.generate([5, 6], **given)


def test_whole_numbers_will_do_where_the_class_asks_for_floats(lm: Any) -> None:
    whole = lm.generate(
        [5, 6], gen_length=8, seed=1, entropy_bound=1, confidence_threshold=1, t_min=0, t_max=2
    )
    assert whole.parameters["entropy_bound"] == 1.0
    assert len(whole.token_ids) == 8


def test_blanks_and_scores_are_refused_with_the_reason(lm: Any) -> None:
    reason = "its canvases begin as random tokens, and it has no masks"
    with pytest.raises(AlgorithmUnavailable, match=rf"cannot fill blanks: {reason}"):
        lm.infill("a {{4}} b")
    with pytest.raises(AlgorithmUnavailable, match=rf"cannot score: {reason}"):
        lm.score("a {{1}} b", ["x", "y"])
    with pytest.raises(AlgorithmUnavailable, match=rf"cannot score: {reason}"):
        lm.algorithm(ALGORITHM).log_probabilities(lm.model.network, [5, 3, 6], (1, 2), [[7]])
    with pytest.raises(AlgorithmUnavailable, match="cannot tell a likelihood"):
        lm.algorithm(ALGORITHM).token_odds(lm.model.network, [])


def site(folder: Path, **versions: str | None) -> Registry:
    """A registry where this engine is installed, and else what ``versions`` says."""
    ours = {f"llada-{name}": version(f"llada-{name}") for name in ("core", "diffusiongemma", "runtime")}
    needs = requires("llada-diffusiongemma") or []
    for name, number in {**ours, **versions}.items():
        if number is not None:
            info = folder / f"{name.replace('-', '_')}-{number}.dist-info"
            info.mkdir(parents=True)
            lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {number}"]
            if name == "llada-diffusiongemma":
                lines += [f"Requires-Dist: {line}" for line in needs]
                entry = "[llada.engines]\ndiffusion_gemma = llada_diffusiongemma.plugin\n"
                (info / "entry_points.txt").write_text(entry)
            (info / "METADATA").write_text("\n".join(lines) + "\n")
    return Registry(Installed([str(folder)]), Environment())


def test_with_all_it_needs_it_is_available(tmp_path: Path) -> None:
    registry = site(tmp_path, torch="2.6.0", transformers="5.11.0")
    assert registry.algorithms(available=True) == [ALGORITHM]


@pytest.mark.parametrize(
    ("found", "said"),
    [(None, "which is not installed"), ("5.10.2", "and 5.10.2 is installed"), ("6.0.0", "and 6.0.0 is")],
)
def test_without_the_right_transformers_it_is_listed_with_the_remedy(
    tmp_path: Path, found: str | None, said: str
) -> None:
    registry = site(tmp_path, torch="2.6.0", transformers=found)
    assert (registry.algorithms(), registry.algorithms(available=True)) == ([ALGORITHM], [])
    reason = str(registry.algorithm(ALGORITHM).reason)
    assert reason.startswith("llada-diffusiongemma needs transformers<6,>=5.11, ")
    assert said in reason
    assert reason.endswith("pip install 'transformers<6,>=5.11'")
