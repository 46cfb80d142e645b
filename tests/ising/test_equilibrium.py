"""Doubts about runs: none about independent draws, one about slow ones, one about runs that are apart."""

import numpy as np

from spinspectra.ising.equilibrium import equilibrium_doubts

BETAS = np.linspace(0.0, 2.0, 21)


def drawn(seed=0):
    return np.random.default_rng(seed).standard_normal((3, 1000, BETAS.size))


def test_independent_draws_leave_no_doubt():
    assert [equilibrium_doubts(drawn(seed), BETAS) for seed in range(20)] == [[]] * 20


def test_slow_rungs_are_named():
    energies = drawn()
    rng = np.random.default_rng(1)
    for t in range(1, 1000):  # tau = (1 + rho) / 2 (1 - rho) = 100 sweeps
        energies[:, t, 15:] = 0.99 * energies[:, t - 1, 15:] + rng.standard_normal((3, 6))
    (doubt,) = [line for line in equilibrium_doubts(energies, BETAS) if "stay alike" in line]
    assert "of 1000 sweeps at T = 0.5 to 0.667" in doubt


def test_runs_apart_are_told():
    energies = drawn()
    energies[0, :, 10:] += 1.0
    (doubt,) = [line for line in equilibrium_doubts(energies, BETAS) if "runs differ" in line]
    assert "at 11 of 21 temperatures" in doubt


def test_a_single_run_cannot_differ():
    assert equilibrium_doubts(drawn()[:1], BETAS) == []
