"""Pages on what moved: two checkpoints, a series, a table over training steps."""

import numpy as np
import pandas as pd
import pytest

import spinspectra as ss
from spinspectra.errors import OptionError
from spinspectra.report.moved import compared, followed, read_rows, steps_of
from spinspectra.report.moved_words import findings, headline
from spinspectra.report.write import apart, write_report
from tests.report.pages import blocks, heavy, layers_of, opt, text_of

FC1 = "model.decoder.layers.0.fc1"
ROWS = pd.DataFrame(
    {
        "step": [0, 0, 100, 100, 200, 200, 200],
        "seconds": [0.0] * 7,
        "longname": ["a", "b", "a", "b", "a", "b", "a"],
        "alpha": [5.0, 4.0, 4.0, np.nan, np.nan, 2.5, 3.0],
        "stable_rank": [9.0, 9.0, 8.0, 8.0, 7.0, 7.0, np.nan],
        "status": ["success"] * 3 + ["failed"] + ["success"] * 3,
        "reason": ["", "", "", "12 NaN", "", "", ""],
        "clock": ["spectra"] * 4 + ["cheap", "spectra", "spectra"],
    }
)


def scaled(factor: float) -> dict[str, np.ndarray]:
    made = opt()
    made[f"{FC1}.weight"] = factor * made[f"{FC1}.weight"]
    return made


def test_two_checkpoints_have_the_numbers_of_compare(two):
    table = ss.compare([opt(), scaled(1.5)]).set_index("longname")
    page = blocks(two)["page-data"]
    for row in page["rows"]:
        expected = table.loc[row["longname"]]
        assert row["alpha_a"] == pytest.approx(expected["alpha_a"])
        assert row["alpha_change"] == pytest.approx(expected["alpha_b"] - expected["alpha_a"], abs=1e-12)
        assert row["change"] == pytest.approx(50.0 if row["longname"] == FC1 else 0.0)
    assert "the largest change is 50 % of its layer, 5 did not change" in text_of(two)


def test_what_moved_most_is_on_top(two):
    page = two.read_text(encoding="utf-8")
    first = page.index('<tbody id="layer-')
    names = [row["longname"] for row in blocks(two)["page-data"]["rows"]]
    assert f'data-at="{names.index(FC1)}"' in page[first : first + 60]


def test_both_spectra_stand_over_one_another(two):
    """Of a matrix times 1.5 the eigenvalues are 2.25 times as large, and so is xmin; alpha is the same."""
    (layer,) = [layer for layer in layers_of(two) if layer["name"] == FC1]
    (figure,) = layer["figures"]
    edges = [trace["x"] for trace in figure["data"] if trace["mode"] == "lines" and len(trace["x"]) > 2]
    assert np.array(edges[1]) / np.array(edges[0]) == pytest.approx(2.25, rel=1e-4)


def test_a_series_follows_each_layer(tmp_path):
    models = [ss.open_weights(scaled(factor)) for factor in (1.0, 2.0, 3.0)]
    moved = compared(models, ["step-10", "step-20", "step-40"], None)
    assert (moved.steps.tolist(), moved.axis) == ([10.0, 20.0, 40.0], "training step, from the names")
    at = moved.names.index(FC1)
    assert moved.values["change"][at] == pytest.approx([0.0, 1.0, 2.0])
    assert moved.values["log_norm"][at] == pytest.approx(moved.values["log_norm"][at, 0] + np.log10([1.0, 4.0, 9.0]))
    assert moved.values["alpha"][at] == pytest.approx(moved.values["alpha"][at, 0])
    assert moved.by_change()[0] == at
    page = write_report(models[0], tmp_path / "series.html", compare_to=models[1:])
    figures = blocks(page)["page-data"]["figures"]
    assert [figure["title"] for figure in figures["spins"]] == ["Lowest energy over the series"]
    found, twins, bound = (np.array(trace["y"]) for trace in figures["spins"][0]["data"])
    assert np.all(bound <= found)
    assert np.all(found < twins)
    assert len(figures["glance"][0]["data"]) == 6 + 1  # a line a layer, and their mean


def test_the_same_checkpoint_twice_is_not_mixed_up():
    same = ss.open_weights(opt())
    moved = compared([same, same, same], ["a", "b", "c"], None)
    assert moved.values["alpha"].shape == (6, 3)
    assert headline(moved) == "6 layers in 3 checkpoints: all are equal."


def test_a_layer_that_one_lacks_is_said():
    lacking = {name: value for name, value in opt().items() if "fc2" not in name}
    moved = compared([ss.open_weights(opt()), ss.open_weights(lacking)], ["a", "b"], None)
    assert any("1 tensor in the first alone" in one.text for one in findings(moved, None))


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_rows_over_training_steps_are_lines(tmp_path, suffix):
    path = tmp_path / f"run{suffix}"
    if suffix == ".csv":
        ROWS.to_csv(path, index=False)
    elif suffix == ".json":
        ROWS.to_json(path, orient="records")
    else:
        pytest.importorskip("pyarrow")
        ROWS.to_parquet(path)
    moved = followed(read_rows(path))
    assert moved.names == ("a", "b")
    assert moved.steps.tolist() == [0.0, 100.0, 200.0]
    assert moved.values["alpha"][0].tolist() == [5.0, 4.0, 3.0]
    assert np.isnan(moved.values["alpha"][1, 1])
    assert moved.values["stable_rank"][0].tolist() == [9.0, 8.0, 7.0]
    assert moved.reasons == ("", "12 NaN")
    page = write_report(path, tmp_path / "run.html")
    assert "mean alpha went from 4.50 to 2.75" in text_of(page)
    assert {row["longname"]: row["alpha_change"] for row in blocks(page)["page-data"]["rows"]} == {"a": -2.0, "b": -1.5}


def test_a_table_without_its_columns_is_refused(tmp_path):
    path = tmp_path / "run.csv"
    ROWS.drop(columns="alpha").to_csv(path, index=False)
    with pytest.raises(OptionError, match="no column 'alpha'; a table over training needs step, longname, alpha"):
        write_report(path, tmp_path / "run.html")
    with pytest.raises(OptionError, match="no table can be read from it"):
        write_report(tmp_path / "absent.csv", tmp_path / "run.html")
    with pytest.raises(OptionError, match="a page of its own; give nothing beside it"):
        write_report(path, tmp_path / "run.html", compare_to={"a.weight": heavy(0)})


def test_steps_come_from_names_only_where_they_rise():
    assert steps_of(["run-3/500", "run-3/1000", "run-3/1500"])[0].tolist() == [500.0, 1000.0, 1500.0]
    assert steps_of(["s900.h5", "s500.h5", "s100.h5"])[0].tolist() == [0.0, 1.0, 2.0]
    assert steps_of(["100", "200"])[1] == "checkpoint, in the order given"


def test_paths_are_called_by_what_tells_them_apart():
    assert apart(["/m/x/model.npz", "/m/y/model.npz"]) == ["x", "y"]
    assert apart(["same", "same"]) == ["same", "same"]
