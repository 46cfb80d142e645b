"""Exchanges of walkers, with neighbouring windows and with replicas, leave both distributions as they were."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import chisquare

from spinspectra.ising import wl_exchange
from spinspectra.ising.bins import EnergyBins
from spinspectra.ising.windows import lay_out
from spinspectra.ising.wl_exchange import exchanged, visited
from spinspectra.ising.wl_state import Options, make_teams
from tests.ising.helpers import random_system

SYSTEM = random_system((4, 5, 4), seed=3)
BINS = EnergyBins(SYSTEM.ground_energy(), 12)
CHAIN = SYSTEM.chain()
STATES = 2 * ((np.arange(1 << CHAIN.n_spins)[:, None] >> np.arange(CHAIN.n_spins)) & 1).astype(np.int8) - 1
LAYERS = np.split(STATES.astype(float), np.cumsum(CHAIN.nodes)[:-1], axis=1)
LEVELS = -sum(((a @ J) * b).sum(axis=1) for a, J, b in zip(LAYERS, CHAIN.couplings, LAYERS[1:], strict=False))
ODD = np.repeat(np.arange(len(CHAIN.nodes)) % 2 == 1, CHAIN.nodes)
BETAS = np.array([0.0, 0.25, 0.6]) / np.std(LEVELS)
N_TEAMS = 2500
ROOT = np.random.SeedSequence(2)


class Here:
    """An executor that works at once, here."""

    def map(self, work, *arguments):
        return list(map(work, *arguments))


def teams(n_windows, mirror=True):
    """Many teams whose walkers and replicas were drawn from what they sample, by enumeration."""
    windows = lay_out(BINS, n_windows, 0.6, mirror)
    options = Options(
        BINS.e_min, BINS.n_bins, None, mirror, n_windows, 0.6, 1, 1, "gaussian", 0.1, 1e-3, 0.8, 100, ladder_sweeps=0
    )  # fmt: skip
    one = make_teams(CHAIN, windows, options, ROOT, Here())
    fields = {name: getattr(one, name) for name in one.__slots__}
    many = {name: np.repeat(array, N_TEAMS, axis=0) for name, array in fields.items() if array.ndim and name != "betas"}
    many |= {"swaps": fields["swaps"], "visits_of_replicas": fields["visits_of_replicas"], "betas": BETAS}
    rng = np.random.default_rng(5)
    many["ln_g"] = many["ln_g"] * 0.9  # a weight that is not 1 / g: any will do
    many["seen"] = np.ones_like(many["seen"])
    codes = np.empty((N_TEAMS, n_windows), int)
    for w in range(n_windows):
        places = np.floor((LEVELS - windows.edge(w)) / windows.width).astype(int)
        inside = np.flatnonzero([windows.holds(w, level) for level in LEVELS])
        height = many["ln_g"][0, w, 0][places[inside]]
        slope = many["slopes"][0, w][places[inside]]
        lean = slope * (LEVELS[inside] - windows.edge(w) - (places[inside] + 0.5) * windows.width)
        weights = np.exp(-(height + lean) + (height + lean).min())
        codes[:, w] = rng.choice(inside, N_TEAMS, p=weights / weights.sum())
    cold = np.exp(-BETAS[:, None] * (LEVELS - LEVELS.min()))
    replicas = np.stack([rng.choice(LEVELS.size, N_TEAMS, p=row / row.sum()) for row in cold], axis=1)
    many["spins"], many["energies"] = STATES[codes][:, :, None], LEVELS[codes][:, :, None]
    many["replicas"], many["replica_energies"] = STATES[replicas], LEVELS[replicas]
    return windows, replace(one, **many)


def moved(before, after):
    """p-values of chi-squares: energies of each window's walkers and each rung's replicas, before and after."""
    edges = np.quantile(LEVELS, np.linspace(0.0, 1.0, 9)[1:-1])
    values = []
    for name in ("energies", "replica_energies"):
        old, new = (getattr(state, name).reshape(N_TEAMS, -1) for state in (before, after))
        for column in range(old.shape[1]):
            changed = old[:, column] != new[:, column]  # the others are the same, not an independent sample
            if not changed.any():
                continue
            counts = [np.bincount(np.digitize(x[changed, column], edges), minlength=8) for x in (old, new)]
            some = (counts[0] > 20) & (counts[1] > 20)
            pair = np.array(counts)[:, some]
            expected = np.outer(pair.sum(axis=1), pair.sum(axis=0)) / pair.sum()
            values.append(chisquare(pair.ravel(), expected.ravel(), ddof=pair.shape[1]).pvalue)
    return np.array(values)


@pytest.mark.parametrize(("n_windows", "mirror"), [(1, True), (2, True), (3, False)])
def test_replicas_and_walkers_keep_their_distributions(n_windows, mirror):
    """Without the mirror the last window lies above E = 0, where all go in and out turned."""
    windows, state = teams(n_windows, mirror)
    after = visited(windows, ROOT, state, ODD)
    assert np.all(after.visits_of_replicas[1] > 600)
    assert moved(state, after).min() > 1e-3


def test_neighbouring_windows_keep_their_distributions():
    windows, state = teams(2)
    after = exchanged(windows, ROOT, state)
    assert after.swaps[1, 0] > 300
    assert moved(state, after).min() > 1e-3


@pytest.mark.parametrize("mistake", ["weight ignored", "temperature ignored"])
def test_a_wrong_exchange_is_caught(mistake, monkeypatch):
    windows, state = teams(1)
    if mistake == "weight ignored":
        monkeypatch.setattr(wl_exchange, "_gain", lambda *_: 0.0)
        after = visited(windows, ROOT, state, ODD)
    else:
        after = visited(windows, ROOT, replace(state, betas=np.zeros_like(BETAS)), ODD)
    assert moved(state, after).min() < 1e-6


@pytest.mark.parametrize("mirror", [True, False])
def test_what_is_exchanged_goes_whole(mirror):
    """Energies stay those of the spins they came with, and no state is lost or doubled, but for the turns."""
    windows, state = teams(3, mirror)
    after = visited(windows, ROOT, state, ODD)
    both = [np.concatenate([s.spins[:, :, 0], s.replicas], axis=1) for s in (state, after)]
    energies = [np.concatenate([s.energies[:, :, 0], s.replica_energies], axis=1) for s in (state, after)]
    codes = [((one > 0) @ (1 << np.arange(CHAIN.n_spins))) for one in both]
    assert np.array_equal(LEVELS[codes[1]], energies[1])
    turned = [(np.where(ODD, -one, one) > 0) @ (1 << np.arange(CHAIN.n_spins)) for one in both]
    whole = [np.sort(np.minimum(a, b), axis=1) for a, b in zip(codes, turned, strict=True)]
    assert np.array_equal(*whole)
    assert (codes[0] != codes[1]).any()
    if mirror:
        assert np.array_equal(*(np.sort(one, axis=1) for one in codes))
