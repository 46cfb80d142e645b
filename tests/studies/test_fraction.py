"""Widths against the fraction shuffled: exact where that is known, each point by its own seeds."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinspectra import DensityOfStates, IsingChain, anneal
from spinspectra.errors import OptionError
from spinspectra.ising.checkpoint import CheckpointError
from spinspectra.ising.oracles import Enumerated
from spinspectra.studies.fraction import FRACTIONS, study_fraction
from spinspectra.studies.widths import FromDensity, FromGround
from tests.cli.helpers import tiny_opt
from tests.studies.test_blocks import ferromagnet, n_bonds, planted, same

pytestmark = pytest.mark.filterwarnings("ignore::spinspectra.errors.DoubtWarning")

FAST = FromGround(100, 4)


@pytest.mark.parametrize("within", ["network", "matrix"])
def test_equal_couplings_have_one_width_at_every_fraction(within: str) -> None:
    study = study_fraction(ferromagnet(2), how=FAST, within=within)  # type: ignore[arg-type]
    assert study.summary["fraction"].tolist() == list(FRACTIONS)
    assert study.summary["shuffles"].tolist() == [0] + [3] * 8
    assert study.points["fraction"].tolist() == [0.0, *np.repeat(FRACTIONS[1:], 3)]
    assert study.points["shuffle"].tolist() == [0, *[1, 2, 3] * 8]
    assert study.points["width"].tolist() == [2 * n_bonds(2, 4)] * 25
    assert study.summary["width_over_trained"].tolist() == [1.0] * 9
    assert study.summary["width_err"].tolist()[1:] == [0.0] * 8
    assert np.isnan(study.summary["width_err"][0])


def test_fraction_0_is_the_trained_network() -> None:
    model = tiny_opt(d=1)
    exact = Enumerated(IsingChain.from_weights(model).couplings).energies
    study = study_fraction(model, [0, 1], how=FAST)
    assert study.points["width"][0] == pytest.approx(float(exact.max() - exact.min()), rel=1e-6)
    large = tiny_opt(d=8)
    found = study_fraction(large, [0.0], how=FromGround(300, 16)).points
    assert len(found) == 1
    assert found["e_min"][0] == pytest.approx(anneal(IsingChain.from_weights(large), 300, restarts=16).energy, rel=0.02)


def test_the_width_of_a_planted_order_falls_with_the_fraction_to_that_of_noise() -> None:
    """Without shuffling W = 2 B; of a small fraction f of the bonds half are then torn, so that W falls by f."""
    table = study_fraction(planted(2, 8), (0.0, 0.1, 0.2, 0.4, 1.0), how=FAST).summary
    assert table["width"][0] == 2 * n_bonds(2, 8)
    assert np.all(np.diff(table["width"]) < 0.0)
    assert table["width_over_trained"].to_numpy()[:3] == pytest.approx([1.0, 0.9, 0.8], abs=0.03)
    assert table["width_per_spin"].to_numpy() == pytest.approx(table["width"] / (8 + 56 * 2))
    assert np.all(table["width_err"][1:] > 0.0)


def test_means_and_errors_over_the_shuffles() -> None:
    study = study_fraction(tiny_opt(), (0.0, 0.3), shuffles=4, how=FAST)
    widths = study.points.query("fraction == 0.3")["width"].to_numpy()
    row = study.summary.iloc[1]
    assert widths.size == 4 == len(set(widths))
    error = widths.std(ddof=1) / 2.0
    trained = study.points["width"][0]
    for name, scale in (("width", 1.0), ("width_per_spin", row["n_spins"]), ("width_over_trained", trained)):
        assert row[name] == pytest.approx(widths.mean() / scale)
        assert row[f"{name}_err"] == pytest.approx(error / scale)


def test_without_the_trained_network_nothing_is_over_it() -> None:
    table = study_fraction(tiny_opt(), (0.1,), how=FAST).summary
    assert np.isnan(table["width_over_trained"][0])
    assert table["width"][0] > 0.0


def test_a_point_depends_on_seed_fraction_and_number_only() -> None:
    model = tiny_opt()
    whole = study_fraction(model, (0.0, 0.1, 0.5, 1.0), how=FAST).points
    with ThreadPoolExecutor(1) as one:
        part = study_fraction(model, (0.5,), 2, FAST, executor=one).points
    same(part, whole.query("fraction == 0.5 and shuffle < 3"))
    same(study_fraction(model, (0.5, 1.0, 0.1, 0), how=FAST).points, whole)
    other = study_fraction(model, (0.5,), 2, FAST, seed=1).points
    assert not set(other["width"]) & set(whole["width"])


def test_within_says_where_values_move() -> None:
    """A block whose fc1 is zero keeps that so within matrices: its two ends are apart, and W is the sum of theirs."""
    model = tiny_opt(n_blocks=1, d=2)
    model["model.decoder.layers.0.fc1.weight"][:] = 0.0
    chain = IsingChain.from_weights(model)
    apart = Enumerated(chain.couplings[:2]).ground_energy() + Enumerated(chain.couplings[3:]).ground_energy()
    table = study_fraction(model, (0.0,), how=FAST, within="matrix").summary
    assert table["width"][0] == pytest.approx(-2.0 * apart)
    values = [np.abs(matrix).sum() for matrix in (chain.couplings[0], chain.couplings[1], chain.couplings[3])]
    inside = study_fraction(model, (1.0,), 8, FAST, "matrix").points["width"]
    assert inside.max() <= 2.0 * sum(values) * (1 + 1e-6)
    network = study_fraction(model, (1.0,), 8, FAST, "network").points["width"]
    assert not set(inside) & set(network)


def test_only_the_first_blocks() -> None:
    study = study_fraction(ferromagnet(3), (0.0, 1.0), 1, FAST, blocks=2)
    assert study.points["width"].tolist() == [2 * n_bonds(2, 4)] * 2


def test_a_study_goes_on_and_ends_the_same_and_another_is_refused(tmp_path: Path) -> None:
    model, record = tiny_opt(), tmp_path / "study.json"
    first = study_fraction(model, (0.0, 0.1), 2, FAST, record=record)
    more = study_fraction(model, (0.0, 0.1, 0.4), 3, FAST, record=record)
    same(more.points, study_fraction(model, (0.0, 0.1, 0.4), 3, FAST).points)
    pd.testing.assert_frame_equal(more.points[:3], first.points)  # seconds too: not measured again
    for arguments, said in (
        ({"within": "matrix"}, "within: network in the file, matrix asked for"),
        ({"blocks": 1}, "couplings"),
        ({"seed": 2}, "seed"),
        ({"how": FromGround(100, 5)}, "restarts: 4 in the file, 5 asked for"),
    ):
        with pytest.raises(CheckpointError, match=said):
            study_fraction(model, record=record, **({"how": FAST} | arguments))  # type: ignore[arg-type]


def test_densities_in_the_papers_layout(tmp_path: Path) -> None:
    study = study_fraction(
        tiny_opt(d=3), (0, 0.025), 2, FromDensity(30, 40, 2, tmp_path), record=tmp_path / "study.json"
    )
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"study.json", "fraction0.dat", "fraction0.025.dat"}
    rows = study.points.query("shuffle < 2").set_index("fraction")
    for fraction, row in rows.iterrows():
        density = DensityOfStates.load(tmp_path / f"fraction{fraction:g}.dat")
        assert (density.n_spins, density.width) == (row["n_spins"], row["width"])
    assert study.summary["T_c"][0] == rows["T_c"][0.0]
    assert study.summary["T_c_err"][0] == rows["T_c_err"][0.0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"fractions": [0.1, 1.5]}, "fractions: 1.5: give numbers from 0 to 1"),
        ({"fractions": [0.1, 0.10]}, "fractions: 0.1 is there 2 times; give each once"),
        ({"within": "layer"}, "within='layer': give network or matrix"),
        ({"shuffles": 0}, "shuffles=0"),
        ({"blocks": 3}, "blocks=3: .* has 2 blocks"),
    ],
)
def test_refused_before_the_work(arguments: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=said):
        study_fraction(tiny_opt(), record=tmp_path / "study.json", **arguments)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
