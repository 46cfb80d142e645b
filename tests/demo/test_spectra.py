"""What the demo says of the spectra is so: on planted tables, from the weights by plain numpy, and claim by claim."""

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from spinspectra.demo import NAMES, checkpoints
from spinspectra.demo.spectra import MEASURES, SpectralChapter, layers_in_order, ranks, tell_spectra, way

# By test accuracy, which test_checkpoints.py recomputes from the weights.
ORDER = ("initial", "memorising", "degraded", "grokked")


@pytest.fixture(scope="module")
def chapters() -> list[SpectralChapter]:
    return tell_spectra()


@pytest.fixture(scope="module")
def told(chapters: list[SpectralChapter]) -> dict[str, SpectralChapter]:
    return {chapter.checkpoint.name: chapter for chapter in chapters}


def planted(*by_name: list[float], status: str = "success") -> list[SpectralChapter]:
    """Chapters with these values of a column "x", in the order of NAMES; the last layer has the status."""
    n_layers = len(by_name[0])
    states = ["success"] * (n_layers - 1) + [status]
    return [
        SpectralChapter(checkpoint, pd.DataFrame({"x": values, "status": states}))
        for checkpoint, values in zip(checkpoints(), by_name, strict=True)
    ]


def matrices(name: str) -> list[NDArray[np.float64]]:
    """All but the three position embeddings, which are too few to have a spectrum."""
    weights = next(one.weights for one in checkpoints() if one.name == name)
    return [weights.read(tensor).astype(np.float64) for tensor in weights.names() if "positions" not in tensor]


def test_order_is_that_of_the_test_accuracy_up_or_down() -> None:
    # NAMES has grokked before degraded, whose accuracy lies between memorising and grokked
    assert ranks(planted([1.0], [2.0], [4.0], [3.0]), "x")
    assert ranks(planted([4.0], [3.0], [1.0], [2.0]), "x")
    assert not ranks(planted([1.0], [2.0], [3.0], [4.0]), "x")
    assert not ranks(planted([1.0], [2.0], [2.0], [2.0]), "x")


def test_each_layer_is_judged_on_its_own_and_nan_is_in_no_order() -> None:
    found = planted([1, 9, 1, np.nan], [2, 8, 2, 2], [4, 6, 3, 4], [3, 7, 4, 3])
    assert layers_in_order(found, "x") == 2


def test_means_leave_out_what_failed_or_is_infinite() -> None:
    first = planted(*[[1.0, 4.0, np.inf, 100.0]] * 4, status="failed")[0]
    assert first.mean("x") == 2.5


def test_the_way_goes_from_the_least_to_the_most_accurate() -> None:
    assert way(planted(*[[0.0]] * 4), [10.0, 8.0, 0.0, 5.0]) == [0.0, 0.2, 1.0, 0.5]


@pytest.mark.parametrize("name", NAMES)
def test_means_are_those_of_plain_singular_values(name: str, told: dict[str, SpectralChapter]) -> None:
    squares = [np.linalg.svd(matrix, compute_uv=False) ** 2 for matrix in matrices(name)]
    assert len(told[name].details) == len(squares) == 8
    assert told[name].mean("stable_rank") == pytest.approx(np.mean([s.sum() / s.max() for s in squares]), rel=1e-6)
    assert told[name].mean("log_spectral_norm") == pytest.approx(np.mean([np.log10(s.max()) for s in squares]))


@pytest.mark.parametrize(("column", "rising"), [("alpha", False), ("rand_distance", True), ("Q_computed", True)])
def test_what_is_said_to_follow_the_accuracy_does(column: str, rising: bool, told: dict[str, SpectralChapter]) -> None:
    means = np.array([told[name].mean(column) for name in ORDER])
    assert np.all(np.diff(means if rising else -means) > 0.0)


def test_all_measures_but_the_norm_rank_the_four(chapters: list[SpectralChapter]) -> None:
    assert [column for column in MEASURES if not ranks(chapters, column)] == ["log_spectral_norm"]
    assert all(layers_in_order(chapters, column) > 4 for column in MEASURES if column != "log_spectral_norm")


def test_the_norm_follows_the_steps_trained(chapters: list[SpectralChapter]) -> None:
    by_step = sorted(chapters, key=lambda chapter: chapter.checkpoint.step)
    assert np.all(np.diff([chapter.mean("log_spectral_norm") for chapter in by_step]) > 0.0)


def test_untrained_weights_are_noise(told: dict[str, SpectralChapter]) -> None:
    assert told["initial"].mean("mp_softrank") == pytest.approx(1.0, abs=0.1)
    assert told["initial"].mean("rand_distance") < 0.03
    assert min(told[name].mean("rand_distance") for name in NAMES[1:]) > 0.1


def test_memorising_is_told_from_grokked_plainly_and_degraded_hardly(told: dict[str, SpectralChapter]) -> None:
    grokked, degraded = told["grokked"], told["degraded"]
    assert told["memorising"].mean("rand_distance") < 0.5 * grokked.mean("rand_distance")
    assert 0.0 < degraded.mean("alpha") - grokked.mean("alpha") < grokked.mean("sigma")


def test_the_quality_comes_nearest_to_the_accuracy_and_is_far_from_it(chapters: list[SpectralChapter]) -> None:
    _, memorising, _, degraded = way(chapters, [chapter.checkpoint.test_accuracy for chapter in chapters])
    off = {}
    for column in MEASURES:
        found = way(chapters, [chapter.mean(column) for chapter in chapters])
        off[column] = abs(found[1] - memorising) + abs(found[3] - degraded)
    assert min(off, key=lambda column: off[column]) == "Q_computed"
    assert off["Q_computed"] > 0.5
    assert off["alpha"] > 1.0


def test_the_rules_about_alpha_mislead(told: dict[str, SpectralChapter]) -> None:
    trained = {name: told[name].mean("alpha") for name in NAMES[1:]}
    assert min(trained, key=lambda name: abs(trained[name] - 2.0)) == "memorising"
    assert (told["grokked"].details["alpha"] < 2.0).all()
    assert told["grokked"].called("ideal") < told["memorising"].called("ideal")


def test_wrong_labels_leave_no_traps(told: dict[str, SpectralChapter]) -> None:
    assert told["degraded"].details["num_traps"].sum() == 0
