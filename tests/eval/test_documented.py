"""What the page on evaluation shows of what is reported is what is reported."""

from __future__ import annotations

import json
from pathlib import Path

from llada_eval.model import LladaLM
from tests.eval.conftest import SETTINGS, asks

PAGE = Path(__file__).parents[2] / "docs" / "evaluation.md"


def test_the_page_shows_what_is_told_of_likelihoods(tmp_path: Path) -> None:
    log = tmp_path / "likelihoods.jsonl"
    model = LladaLM(**SETTINGS, device="cpu", mc_samples=2, mc_seed=3, mc_batch=5, likelihood_log=str(log))
    model.loglikelihood(asks("loglikelihood", ("12 + 30 =", " 42.")), disable_tqdm=True)
    page = PAGE.read_text()
    documented = json.loads(page.partition("```json checked\n")[2].partition("```")[0])
    info = model.get_model_info()["llada"]
    told = info["likelihoods"]
    assert info.keys() == documented.keys()
    assert told.keys() == documented["likelihoods"].keys() | {"samples", "seed"}
    assert told["standard_error"].keys() == documented["likelihoods"]["standard_error"].keys()
    assert all(f"`{key}`" in page for key in json.loads(log.read_text()))
