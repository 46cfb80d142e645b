"""The pages of advice and of metrics: what their code prints is what they show, and their figures of MiniLM hold."""

import doctest
import re
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spinspectra import analyze, layers_to_train, suggest_learning_rates, suggest_weight_decay
from tests import minilm

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("page", ["advice.md", "metrics.md"])
def test_a_page_shows_what_its_code_prints(page: str) -> None:
    """All examples of a page share their names, one after another as they stand."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = [
        block for block in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE) if ">>>" in block
    ]
    examples = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page, page, 0)
    assert len(examples.examples) >= 10
    said: list[str] = []
    found = doctest.DocTestRunner().run(examples, out=said.append)
    assert found.failed == 0, "".join(said)


def test_the_pages_pruning_takes_the_share_that_was_asked_for() -> None:
    """Of weights whose sizes are all different, the smallest go."""
    text = (DOCS / "advice.md").read_text(encoding="utf-8")
    code = next(
        block
        for block in re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        if "def pruned" in block
    )
    known: dict[str, Any] = {"np": np}
    exec(code, known)
    tensors = {"a.weight": np.arange(-10.0, 0.0).reshape(2, 5), "b.weight": np.arange(1.0, 11.0).reshape(5, 2)}
    made = known["pruned"](tensors, pd.DataFrame({"longname": ["a", "b"], "sparsity": [0.3, 0.6]}))
    assert made["a.weight"].ravel().tolist() == [-10, -9, -8, -7, -6, -5, -4, 0, 0, 0]
    assert made["b.weight"].ravel().tolist() == [0, 0, 0, 0, 0, 0, 7, 8, 9, 10]
    assert tensors["a.weight"].all()


@cache
def details() -> pd.DataFrame:
    return analyze(minilm.FOLDER, layers=["-embedding"], mp_fit=True, farms=True)


def part(longname: str) -> str:
    """What a layer is in its block: `attention.self.query`."""
    return re.sub(r"^.*\.\d+\.", "", longname)


@pytest.mark.parametrize(
    ("by", "shown"),
    [
        ("hill_alpha", (0.58, 0.62, 1.29, 1.26, 0.96)),
        ("farms_alpha", (0.64, 0.71, 0.85, 0.83, 1.26)),
        ("alpha", (0.57, 0.78, 0.62, 0.62, 1.50)),
    ],
)
def test_rates_of_minilm_are_those_of_the_page(by: str, shown: tuple[float, ...]) -> None:
    rates = suggest_learning_rates(details(), 1.0, by=by)
    means = rates.learning_rate.groupby(rates.longname.map(part)).mean()
    parts = ["attention.self.query", "attention.self.value", "intermediate.dense", "output.dense", "pooler.dense"]
    np.testing.assert_allclose(means[parts], shown, atol=0.0051)


def test_other_figures_of_minilm_are_those_of_the_pages() -> None:
    assert suggest_weight_decay(details(), 1.0).weight_decay.mean() == pytest.approx(2.2, abs=0.051)
    assert suggest_weight_decay(details(), 1.0, high=3.0).weight_decay.mean() == pytest.approx(1.5, abs=0.051)
    snr = layers_to_train(minilm.FOLDER, layers=["-embedding"])
    assert snr.snr.corr(details().signal_to_noise, method="spearman") == pytest.approx(-0.24, abs=0.0051)
    for fraction, each, both in ((0.25, 6, 1), (0.5, 18, 8)):
        measured = layers_to_train(snr.rename(columns={"snr": "signal_to_noise"}), fraction).train
        fitted = layers_to_train(details(), fraction).train
        assert (measured.sum(), fitted.sum(), (measured & fitted).sum()) == (each, each, both)
    means = details().groupby(details().longname.map(part))[["hill_alpha", "farms_alpha"]].mean()
    np.testing.assert_allclose(means.loc["intermediate.dense"], (2.43, 1.87), atol=0.0051)
    np.testing.assert_allclose(means.loc["attention.self.query"], (1.75, 1.75), atol=0.0051)
