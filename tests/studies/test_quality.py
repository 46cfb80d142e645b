"""Tables of qualities: read, matched with models, and refused where they cannot mean what they say."""

import math
from pathlib import Path

import pytest

from spinspectra.errors import OptionError
from spinspectra.studies.quality import read_quality


def written(folder: Path, text: str) -> Path:
    path = folder / "quality.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_numbers_by_model_and_column(tmp_path: Path) -> None:
    quality = read_quality(written(tmp_path, "\ufeffmodel, accuracy,family,loss\n a,0.5,mlp,\nb ,1e-1,vit,2\n"))
    assert quality.columns == ("accuracy", "loss")
    assert quality.left_out == ("family",)
    assert quality.values["a"]["accuracy"] == 0.5
    assert math.isnan(quality.values["a"]["loss"])
    assert quality.values["b"] == {"accuracy": 0.1, "loss": 2.0}


def test_models_are_matched_by_name_or_as_given(tmp_path: Path) -> None:
    quality = read_quality(written(tmp_path, "model,accuracy\na,1\nruns/b.npz,2\nother,3\n"))
    columns, notes = quality.of(["a", "b", "c"], ["runs/a.npz", Path("runs/b.npz"), "runs/c.npz"])
    assert columns["accuracy"][:2] == [1.0, 2.0]
    assert math.isnan(columns["accuracy"][2])
    assert notes == (
        "1 of 3 rows of the quality match no model: other",
        "1 of 3 models have no quality: c",
    )
    with pytest.raises(OptionError, match=r"none of its 3 rows \(a, runs/b.npz, other\) is called like a model \(x\)"):
        quality.of(["x"], ["runs/x.npz"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "give a header"),
        ("model,a,a\nx,1,2\n", "two columns called a"),
        ("model\na\n", "give a header"),
        ("model,accuracy\n", "give a header"),
        ("model,accuracy\na,1\na,2\n", "has two rows for a"),
        ("model,accuracy\na,1\nb,good\n", "accuracy of b is 'good'"),
        ("model,family\na,mlp\n", "no column after the first holds numbers"),
        ("model,accuracy\na,1,2\n", "a has 3 values under 2 names"),
        ("model,accuracy,loss\na,1\n", "a has 2 values under 3 names"),
    ],
)
def test_refusals(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(OptionError, match=said):
        read_quality(written(tmp_path, text))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no CSV file of qualities"):
        read_quality(tmp_path / "none.csv")
