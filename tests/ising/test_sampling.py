"""One face for both methods: they agree with exact counts and with one another, and refuse what is not theirs."""

import numpy as np
import pytest

import spinspectra as ss
from spinspectra.errors import OptionError
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.density import compare
from spinspectra.ising.oracles import TwoLayers
from spinspectra.ising.sampling import lowest_energy, options_of
from tests.ising.helpers import random_system
from tests.ising.test_reweight import binned_ln_g

SYSTEM = random_system((4, 6, 4), seed=11)
OPTIONS = {"tempering": {"sweeps": 2000, "runs": 2}, "wang-landau": {"teams": 4, "ln_f_end": 1e-5}}


@pytest.fixture(scope="module")
def densities():
    return {
        method: ss.density_of_states(SYSTEM.chain(), method, n_bins=25, seed=3, **options)
        for method, options in OPTIONS.items()
    }


@pytest.mark.parametrize("method", OPTIONS)
def test_either_method_counts_the_states(densities, method):
    density = densities[method]
    bins = EnergyBins(SYSTEM.ground_energy(), 25)
    exact = binned_ln_g(SYSTEM.energies.ravel(), np.zeros(2**14), bins)
    half = density.energies < 0.5 * density.bin_width
    index = bins.indices_of(density.energies[half])
    assert np.abs((density.ln_g[half] - exact[index]) / density.stderr[half]).max() < 4.0
    assert density.ln_total == pytest.approx(14 * np.log(2.0))
    assert density.how["version"] == ss.__version__
    assert density.how["method"] == method
    spread = np.exp(density.ln_g - density.ln_total) @ density.energies**2
    assert spread == pytest.approx(SYSTEM.chain().sum_of_squares, rel=0.05)


def test_the_two_methods_agree(densities):
    assert compare(*densities.values()) < 4.0


def test_the_lower_end_is_the_ground_state():
    system = TwoLayers(np.random.default_rng(2).standard_normal((10, 300)))
    assert lowest_energy(system.chain()) == pytest.approx(system.ground_energy(), rel=1e-9)


def test_the_lower_end_can_be_given_and_what_lies_beyond_is_kept():
    density = ss.density_of_states(SYSTEM.chain(), n_bins=10, e_min=-10.0, sweeps=200)
    assert density.bin_width == pytest.approx(10.0 / 9.5)
    assert density.e_min == pytest.approx(SYSTEM.ground_energy(), abs=density.bin_width)
    assert density.ln_total == pytest.approx(14 * np.log(2.0))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"method": "magic"}, "method='magic': give 'tempering' or 'wang-landau'"),
        ({"teams": 3}, "teams: no option of tempering, which has sweeps, runs"),
        ({"method": "wang-landau", "sweeps": 3}, "sweeps: no option of wang-landau, which has n_windows"),
        ({"n_bins": 0}, "n_bins=0"),
        ({"e_min": 3.0}, "e_min=3.0"),
        ({"seed": -3}, "seed=-3"),
    ],
)
def test_bad_arguments_are_named(arguments, text):
    with pytest.raises(OptionError, match=text):
        ss.density_of_states(SYSTEM.chain(), **arguments)


def test_a_chain_without_couplings_has_one_level_only():
    with pytest.raises(OptionError, match="every coupling is zero"):
        ss.density_of_states(ss.IsingChain.from_matrices([np.zeros((3, 4))]))


def test_options_are_those_that_are_not_common():
    assert "sweeps" in options_of("tempering")
    assert not {"chain", "bins", "seed", "checkpoint", "executor", "progress"} & set(options_of("wang-landau"))
