"""Widths of single chains against exact ones, and the critical temperature where the cold end is frozen."""

import math
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spinspectra import DensityOfStates, IsingChain, anneal, thermodynamics
from spinspectra.errors import OptionError
from spinspectra.ising.oracles import ConstantCouplings, Enumerated, SquareLattice
from spinspectra.ising.temperatures import temperature_grid
from spinspectra.seeds import seed_sequence
from spinspectra.studies.points import read_record
from spinspectra.studies.widths import (
    FromDensity,
    FromGround,
    Twin,
    critical_temperature,
    first_blocks,
    mean_and_error,
    mean_temperature,
    measure_twins,
)
from tests import minilm, paper
from tests.ising.helpers import random_system

pytestmark = pytest.mark.filterwarnings("ignore::spinspectra.errors.DoubtWarning")

SHORT = FromDensity(n_bins=20, sweeps=40, runs=2)


def twin(name: str = "chain", fraction: float = 0.0, seed: int = 0) -> Twin:
    return Twin(name, None, fraction, "network", True, seed_sequence(seed), seed_sequence(seed + 100))


def same(one: pd.DataFrame, other: pd.DataFrame) -> None:
    """Bit for bit, but for the seconds they took."""
    pd.testing.assert_frame_equal(one.drop(columns="seconds"), other.drop(columns="seconds"), check_exact=True)


def test_the_width_of_enumerated_chains_is_exact() -> None:
    for number, nodes in enumerate([(3, 4, 2), (2, 7, 2), (4, 4, 4, 4)]):
        system = random_system(nodes, number)
        row = measure_twins(system.chain(), [twin()], FromGround(200, 4), {}).iloc[0]
        energies = system.energies
        assert row["width"] == pytest.approx(float(energies.max() - energies.min()), rel=1e-12)
        assert row["e_min"] == pytest.approx(system.ground_energy(), rel=1e-12)
        assert row["width_per_spin"] == row["width"] / sum(nodes)
        assert row["n_spins"] == sum(nodes)


@pytest.mark.parametrize("how", [FromGround(100), SHORT], ids=["ground", "density"])
def test_equal_couplings_have_one_width_however_they_are_shuffled(how: FromGround | FromDensity) -> None:
    oracle = ConstantCouplings((6, 5, 4), (1.0, 1.0))
    twins = [twin(f"{f}", f, seed) for seed, f in enumerate((0.0, 0.3, 1.0))]
    table = measure_twins(oracle.chain(), twins, how, {})
    exact = -2.0 * oracle.ground_energy()
    assert table["e_min"].tolist() == [-exact / 2.0] * 3
    if isinstance(how, FromGround):
        assert table["width"].tolist() == [exact] * 3
    else:  # between centres of the outermost bins
        bin_width = exact / 2.0 / how.n_bins
        assert np.all(np.abs(table["width"] - exact) <= 2.0 * bin_width)


def test_a_measured_density_has_the_width_and_peak_of_the_exact_one() -> None:
    """20 spins in two layers, every state counted: C(T) of the enumeration peaks where the sampled one does."""
    rng = np.random.default_rng(4)
    system = Enumerated((rng.standard_normal((8, 8)),))
    row = measure_twins(system.chain(), [twin()], FromDensity(200, 400, 2), {}).iloc[0]
    temperatures = np.geomspace(0.2, 20.0, 600)
    betas = 1.0 / temperatures
    levels = system.energies.ravel()
    weights = np.exp(-betas[:, None] * (levels - levels.min()))
    weights /= weights.sum(axis=1, keepdims=True)
    mean = weights @ levels
    heat = (weights @ levels**2 - mean**2) / temperatures**2
    assert row["T_c"] == pytest.approx(temperatures[np.argmax(heat)], abs=max(5.0 * row["T_c_err"], 0.05))
    assert row["T_c_err"] > 0.0
    assert row["width"] == pytest.approx(-2.0 * system.ground_energy(), rel=0.02)
    assert row["e_min"] == pytest.approx(system.ground_energy(), rel=1e-6)


def test_the_number_of_searches_by_size() -> None:
    """As many as ten million couplings hold: MiniLM's 8,847,360 one, its first block's 1,474,560 six."""
    small = random_system((3, 3)).chain()
    known = [(minilm.chain(), 1), (first_blocks(minilm.chain(), 1), 6), (small, 16)]
    assert [FromGround().restarts_of(chain) for chain, _ in known] == [n for _, n in known]
    assert FromGround(restarts=2).restarts_of(small) == 2
    best = measure_twins(small, [twin()], FromGround(1), {})["e_min"][0]
    assert best == anneal(small, 1, twin().seed, restarts=16).energy


def lattice() -> DensityOfStates:
    """The exact density of the 8 x 8 lattice, energies -128, -120, -116, .. 128."""
    exact = paper.read("ising8x8")
    return replace(
        exact,
        energies=np.round(256.0 * exact.energies - 128.0),
        bin_width=2.0,
        stderr=np.full(exact.energies.size, 1e-3),
        how={},
    )


def test_a_peak_in_the_frozen_cold_end_is_not_taken_for_the_critical_temperature() -> None:
    """Too few ground states, as of runs that did not find them: the heat of the whole grid peaks where they order."""
    density = lattice()
    frozen = density.ln_g - 20.0 * (np.abs(density.energies) == 128.0)
    cold = replace(density, ln_g=frozen)
    betas = 1.0 / np.linspace(1.5, 4.0, 500)
    step = 1e-3
    ln_z = SquareLattice(8).ln_z
    heat = [beta**2 * (ln_z(beta + step) - 2.0 * ln_z(beta) + ln_z(beta - step)) / step**2 for beta in betas]
    exact = 1.0 / betas[int(np.argmax(heat))]
    assert thermodynamics(cold, temperature_grid(cold)).attrs["T_c"] < 0.5
    for one, near in ((density, 0.01), (cold, 0.05)):  # without its ground states the true peak lies a little higher
        found, error = critical_temperature(one)
        assert found == pytest.approx(exact, abs=near)
        assert error > 0.0


def test_no_peak_is_nan() -> None:
    flat = DensityOfStates(np.array([-1.0, 0.0, 1.0]), np.zeros(3), np.zeros(3), np.zeros(3, np.int64), 4, 1.0, {})
    assert all(math.isnan(value) for value in critical_temperature(flat))


@pytest.mark.parametrize("n_blocks", [1, 2, 6])
def test_first_blocks_are_the_chain_of_those_blocks(n_blocks: int) -> None:
    part, whole = first_blocks(minilm.chain(), n_blocks), IsingChain.from_weights(minilm.FOLDER, n_blocks)
    assert np.array_equal(part.flat, whole.flat)
    assert (part.nodes, part.labels) == (whole.nodes, whole.labels)
    assert np.shares_memory(part.flat, minilm.chain().flat)


def test_threads_processes_and_one_at_a_time_give_the_same() -> None:
    chain = random_system((12, 30, 12), 1).chain()
    twins = [twin(f"{f}", f, seed) for seed, f in enumerate((0.0, 0.5, 1.0))]
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes, ThreadPoolExecutor(1) as one:
        for how, executors in ((FromGround(50), (None, one, processes)), (SHORT, (None, one))):
            first, *others = (measure_twins(chain, twins, how, {}, executor=each) for each in executors)
            for table in others:
                same(table, first)


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("how", [FromGround(3 * 10**6), FromDensity(20, 10**6, 2)], ids=["ground", "density"])
def test_ctrl_c_ends_points_that_would_take_minutes(tmp_path: Path, how: FromGround | FromDensity) -> None:
    chain = random_system((3, 3), 0).chain()
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))

    def begin(_: str, __: int) -> None:
        timer.start()

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        measure_twins(chain, [twin("a"), twin("b")], how, {}, tmp_path / "study.json", progress=begin)
    assert time.monotonic() - began < 60.0
    assert read_record(tmp_path / "study.json", {}) == {}


def test_a_study_of_densities_broken_off_in_a_point_goes_on_in_it_and_ends_the_same(tmp_path: Path) -> None:
    chain = random_system((20, 20), 0).chain()
    twins = [twin(f"n{number}", 1.0, number) for number in range(3)]
    whole = measure_twins(chain, twins, FromDensity(20, 150, 2, tmp_path / "whole"), {}, tmp_path / "whole" / "s.json")
    folder = tmp_path / "broken"
    how = FromDensity(20, 150, 2, folder)
    running = folder / "running"

    def interrupt(name: str, _: int) -> None:
        if name:
            raise KeyboardInterrupt

    with ThreadPoolExecutor(2) as pool, pytest.raises(KeyboardInterrupt):
        measure_twins(chain, twins, how, {}, folder / "s.json", pool, interrupt)
    known = read_record(folder / "s.json", {})
    assert known
    assert len(known) < 3
    table = measure_twins(chain, twins, how, {}, folder / "s.json")
    same(table, whole)
    assert not running.exists()
    for number in range(3):
        one, other = (DensityOfStates.load(where / f"n{number}.dat") for where in (folder, tmp_path / "whole"))
        assert np.array_equal(one.ln_g, other.ln_g)
        assert one.width == table["width"][number]


def test_mean_and_error() -> None:
    assert mean_and_error([1.0, 2.0, 3.0, 6.0]) == (3.0, pytest.approx(math.sqrt(14.0 / 3.0) / 2.0))
    mean, error = mean_and_error([5.0, math.nan])
    assert mean == 5.0
    assert math.isnan(error)
    assert all(math.isnan(value) for value in mean_and_error([]))


def test_the_error_of_one_temperature_is_its_own_and_of_several_theirs() -> None:
    rows = pd.DataFrame({"T_c": [2.0, 4.0, np.nan], "T_c_err": [0.5, 0.1, np.nan]})
    assert mean_temperature(rows[:1]) == (2.0, 0.5)
    assert mean_temperature(rows[1:]) == (4.0, 0.1)
    assert mean_temperature(rows) == (3.0, pytest.approx(1.0))
    assert math.isnan(mean_temperature(rows[2:])[0])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: FromGround(0), "sweeps=0: give a whole number, at least 1"),
        (lambda: FromGround(10, 0), "restarts=0"),
        (lambda: FromGround(True), "sweeps=True"),
        (lambda: FromDensity(1), "n_bins=1: give a whole number, at least 2"),
        (lambda: FromDensity(sweeps=7), "sweeps=7: give a whole number, at least 8"),
        (lambda: FromDensity(runs=0.5), "runs=0.5"),
    ],
)
def test_numbers_out_of_range_are_refused(make: object, said: str) -> None:
    assert callable(make)
    with pytest.raises(OptionError, match=said):
        make()
