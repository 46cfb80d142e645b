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
LEVELS = SYSTEM.energies.ravel()
BETAS = np.array([0.0, 0.25, 0.6]) / np.std(LEVELS)
N_TEAMS = 2500
ROOT = np.random.SeedSequence(2)


class Here:
    """An executor that works at once, here."""

    def map(self, work, *arguments):
        return list(map(work, *arguments))


def teams(n_windows):
    """Many teams whose walkers and replicas were drawn from what they sample, by enumeration."""
    windows = lay_out(BINS, n_windows, 0.6)
    options = Options(
        BINS.e_min, BINS.n_bins, None, True, n_windows, 0.6, 1, 1, "gaussian", 0.1, 1e-3, 0.8, 100, ladder_sweeps=0
    )  # fmt: skip
    one = make_teams(SYSTEM.chain(), windows, options, ROOT, Here())
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
    many["spins"], many["energies"] = spins(codes)[:, :, None], LEVELS[codes][:, :, None]
    many["replicas"], many["replica_energies"] = spins(replicas), LEVELS[replicas]
    return windows, replace(one, **many)


def spins(codes):
    """The number of a state in the enumeration, written into its spins: exchanges carry both along."""
    bits = (codes[..., None] >> np.arange(SYSTEM.chain().n_spins)) & 1
    return (2 * bits - 1).astype(np.int8)


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


@pytest.mark.parametrize("n_windows", [1, 2])
def test_replicas_and_walkers_keep_their_distributions(n_windows):
    windows, state = teams(n_windows)
    after = visited(windows, ROOT, state)
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
        after = visited(windows, ROOT, state)
    else:
        after = visited(windows, ROOT, replace(state, betas=np.zeros_like(BETAS)))
    assert moved(state, after).min() < 1e-6


def test_what_is_exchanged_goes_whole():
    """Energies stay those of the spins they came with, and no state is lost or doubled."""
    windows, state = teams(1)
    after = visited(windows, ROOT, state)
    both = [np.concatenate([s.spins[:, :, 0], s.replicas], axis=1) for s in (state, after)]
    energies = [np.concatenate([s.energies[:, :, 0], s.replica_energies], axis=1) for s in (state, after)]
    powers = 1 << np.arange(both[0].shape[2])
    codes = [((one + 1) // 2 @ powers) for one in both]
    assert np.array_equal(np.sort(codes[0], axis=1), np.sort(codes[1], axis=1))
    assert np.array_equal(LEVELS[codes[1]], energies[1])
