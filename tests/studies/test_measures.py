"""One row of measures: each against the function that it comes from, and which networks have a chain."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from spinspectra import IsingChain, analyze, anneal, energy_bounds, summarize
from spinspectra.errors import ChainError, OptionError, UnknownFamilyError
from spinspectra.studies.measures import HEAT, SHARES, SPECTRAL, SPINS, chain_of, measure_model
from spinspectra.studies.null import shuffled_null
from tests.cli.helpers import tiny_opt

Tensors = dict[str, NDArray[np.floating]]


@pytest.fixture(scope="module")
def model() -> Tensors:
    return tiny_opt(d=16)


def matrices(*nodes: int) -> list[NDArray[np.floating]]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) for shape in pairwise(nodes)]


def test_spectra_are_averages_of_the_table(model: Tensors) -> None:
    found = measure_model(model, ising=False)
    details = analyze(model, randomize=True, mp_fit=True, detx=True)
    assert list(found) == ["n_layers", "n_weights", *SPECTRAL, *SHARES]
    assert {name: found[name] for name in summarize(details)} == summarize(details)
    assert found["n_layers"] == len(details) == 12
    assert found["n_weights"] == sum(tensor.size for tensor in model.values())
    assert found["ERG_gap"] == pytest.approx(details["ERG_gap"].mean())
    assert found["rand_distance"] == pytest.approx(details["rand_distance"].mean())
    assert found["under_trained"] == pytest.approx((details["alpha"] > 6.0).mean())
    assert found["ideal"] == pytest.approx((details["ERG_verdict"] == "ideal").mean())


def test_spins_are_those_of_the_chain(model: Tensors) -> None:
    found = measure_model(model, spectra=False, shuffles=2, sweeps=50, seed=3)
    chain = IsingChain.from_weights(model)
    null = shuffled_null(chain, 2, 50, 3)
    assert list(found) == ["n_spins", "n_bonds", *SPINS]
    assert (found["n_spins"], found["n_bonds"]) == (chain.n_spins, chain.n_bonds)
    assert (found["null_energy"], found["null_z"], found["ratio"]) == (null.mean, null.z, null.ratio)
    assert found["width_per_spin"] == -2.0 * found["energy_per_spin"]
    assert found["bound_per_spin"] == -energy_bounds(chain).dual / chain.n_spins <= found["energy_per_spin"]
    assert found["energy_per_spin"] == pytest.approx(anneal(chain, 2000).energy_per_spin, rel=0.05)
    assert measure_model(model, blocks=1, spectra=False, shuffles=0, sweeps=5)["n_spins"] == 8 * 16
    given = measure_model(model, spectra=False, shuffles=0, sweeps=5, chain=IsingChain.from_matrices([np.ones((2, 3))]))
    assert given["width_per_spin"] == 2 * 6 / 5


def test_heat_of_equal_couplings_is_also_that_of_the_shuffled() -> None:
    """Equal couplings of two layers of 24: shuffling does nothing, and C peaks below mean field's T = 24."""
    found = measure_model([np.ones((24, 24))], spectra=False, ising=False, heat=True)
    assert list(found) == ["n_spins", "n_bonds", *HEAT]
    assert 12.0 < found["T_c"] < 24.0
    assert found["T_c_ratio"] == pytest.approx(1.0, abs=0.1)


def test_a_network_of_dense_layers_is_a_chain_either_way_round() -> None:
    given = matrices(9, 12, 10, 4)
    keras = {f"dense_{i}": matrix for i, matrix in enumerate(given)}
    torch = {f"net.{2 * i}.weight": matrix.T for i, matrix in enumerate(given)}
    torch |= {f"net.{2 * i}.bias": np.ones(matrix.shape[1]) for i, matrix in enumerate(given)}
    many = {f"{i}.weight": matrix.T for i, matrix in enumerate(matrices(*range(3, 15)))}
    for source in (given, keras, torch):
        chain = chain_of(source)
        assert chain.nodes == (9, 12, 10, 4)
        assert all(np.array_equal(one, other) for one, other in zip(chain.couplings, given, strict=True))
    assert chain_of(many).nodes == tuple(range(3, 15))  # layer 10 comes after layer 9
    assert chain_of([given[0], given[1]]).nodes == (9, 12, 10)


def test_square_layers_are_taken_as_torch_stores_them() -> None:
    one, other = matrices(5, 5, 5)
    chain = chain_of({"a.weight": one, "b.weight": other})
    assert np.array_equal(chain.couplings[0], one.T)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"conv.weight": np.ones((8, 3, 3, 3)), "fc.weight": np.ones((10, 8))}, "conv.weight is of kind conv2d"),
        ({"wte.weight": np.ones((20, 8)), "fc.weight": np.ones((8, 8))}, "wte.weight is of kind embedding"),
        ({"a.query.weight": np.ones((8, 8)), "b.weight": np.ones((8, 8))}, "query.weight is part of an attention"),
        ({"a.weight": np.ones((5, 4)), "b.weight": np.ones((7, 6))}, r"\(5, 4\) and b.weight of \(7, 6\) do not meet"),
        ({"a.bias": np.ones(5)}, "it has no matrices"),
    ],
)
def test_what_has_no_chain_says_why(tensors: Tensors, said: str) -> None:
    with pytest.raises(UnknownFamilyError, match=said):
        chain_of(tensors)


def test_other_refusals(model: Tensors) -> None:
    with pytest.raises(UnknownFamilyError):
        chain_of(matrices(4, 5), blocks=1)
    with pytest.raises(OptionError, match="give 1 to 2"):
        chain_of(model, blocks=3)
    del model["model.decoder.layers.1.fc1.weight"]
    with pytest.raises(ChainError, match=r"fc1.weight is missing"):
        chain_of(model)
