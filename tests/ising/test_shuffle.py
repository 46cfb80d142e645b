"""Shuffling keeps the set of couplings bit for bit, moves as many as asked, and is uniform."""

import itertools

import numpy as np
import pytest
import scipy.stats

from spinspectra.errors import OptionError
from spinspectra.ising import IsingChain, shuffle
from tests.ising.helpers import SMALL, random_system

WITHIN = pytest.mark.parametrize("within", ["network", "matrix"])
FRACTIONS = pytest.mark.parametrize("fraction", [0.0, 0.01, 0.37, 0.999, 1.0])


def distinct_chain(*nodes):
    """Couplings 0, 1, 2, .. in order."""
    sizes = [m * n for m, n in itertools.pairwise(nodes)]
    values = np.split(np.arange(sum(sizes), dtype=np.float32), np.cumsum(sizes)[:-1])
    return IsingChain.from_matrices(
        [v.reshape(m, n) for v, (m, n) in zip(values, itertools.pairwise(nodes), strict=True)]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@WITHIN
@FRACTIONS
@pytest.mark.parametrize("nodes", [*SMALL.values(), (30, 40, 20)], ids=[*SMALL.keys(), "larger"])
def test_set_of_couplings_is_kept_bit_for_bit(nodes, fraction, within, dtype):
    chain = random_system(nodes, dtype=dtype).chain()
    before = chain.flat.copy()
    twin = shuffle(chain, fraction, within, seed=1)
    assert (twin.nodes, twin.labels, twin.flat.dtype) == (chain.nodes, chain.labels, dtype)
    np.testing.assert_array_equal(np.sort(twin.flat), np.sort(before))
    np.testing.assert_array_equal(chain.flat, before)
    assert not np.shares_memory(twin.flat, chain.flat)
    assert not twin.flat.flags.writeable


def test_signed_zeros_are_kept():
    chain = IsingChain.from_matrices([np.array([[0.0, -0.0, 1.0, -0.0]])])
    assert np.signbit(shuffle(chain).flat).sum() == 2


@FRACTIONS
def test_within_matrix_keeps_the_set_of_every_matrix(fraction):
    chain = random_system((30, 40, 20)).chain()
    twin = shuffle(chain, fraction, within="matrix", seed=2)
    for before, after in zip(chain.couplings, twin.couplings, strict=True):
        np.testing.assert_array_equal(np.sort(after, axis=None), np.sort(before, axis=None))


def test_within_network_mixes_the_matrices():
    chain = distinct_chain(30, 40, 20)
    from_first = np.count_nonzero(shuffle(chain).couplings[1] < 1200)
    chance = scipy.stats.hypergeom(2000, 1200, 800)
    assert abs(from_first - chance.mean()) < 4 * chance.std()


@WITHIN
@pytest.mark.parametrize("nodes", SMALL.values(), ids=SMALL.keys())
def test_fraction_zero_changes_nothing(nodes, within):
    chain = random_system(nodes).chain()
    np.testing.assert_array_equal(shuffle(chain, 0.0, within).flat, chain.flat)


@WITHIN
@pytest.mark.parametrize("fraction", [0.001, 0.1, 0.5, 0.9, 1.0])
def test_number_moved_is_that_chosen_less_the_fixed_points(fraction, within):
    """A uniform permutation of n values leaves k in place with the chance of a Poisson variable of mean 1."""
    chain = distinct_chain(30, 40, 20)
    sizes = [2000] if within == "network" else [1200, 800]
    chosen = sum(round(fraction * size) for size in sizes)
    left = [chosen - np.count_nonzero(shuffle(chain, fraction, within, seed).flat != chain.flat) for seed in range(200)]
    expected = sum(1 for size in sizes if round(fraction * size) > 0)  # one fixed point on average, of any n > 0
    assert min(left) >= 0
    assert abs(np.mean(left) - expected) < 4 * np.sqrt(expected / 200)


def test_one_coupling_alone_cannot_move():
    chain = distinct_chain(30, 40, 20)
    np.testing.assert_array_equal(shuffle(chain, 1 / 2000).flat, chain.flat)


@pytest.mark.parametrize("asked", [1.6, 2.0, 2.4])
def test_two_couplings_trade_places_half_of_the_time(asked):
    chain = distinct_chain(30, 40, 20)
    moved = [np.count_nonzero(shuffle(chain, asked / 2000, seed=seed).flat != chain.flat) for seed in range(400)]
    assert set(moved) == {0, 2}
    assert abs(np.mean(moved) - 1.0) < 4 / np.sqrt(400)


@pytest.mark.parametrize("fraction", [1.0, 0.75], ids=["all", "three of four"])
def test_permutations_are_uniform(fraction):
    """Four couplings: all 24 orders alike, or, with three chosen at random, each as often as counting says."""
    chain = distinct_chain(2, 1, 2)
    chances = dict.fromkeys(itertools.permutations(range(4)), 0.0)
    n_chosen = round(4 * fraction)
    choices = list(itertools.combinations(range(4), n_chosen))
    for places in choices:
        for order in itertools.permutations(places):
            result = list(range(4))
            for place, value in zip(places, order, strict=True):
                result[place] = value
            chances[tuple(result)] += 1.0 / len(choices) / len(list(itertools.permutations(places)))
    n_runs = 6000
    orders = [tuple(shuffle(chain, fraction, seed=seed).flat.astype(int).tolist()) for seed in range(n_runs)]
    possible = [order for order, chance in chances.items() if chance > 0]
    assert set(orders) == set(possible)
    counts = [orders.count(order) for order in possible]
    assert scipy.stats.chisquare(counts, [n_runs * chances[order] for order in possible]).pvalue > 1e-3


@WITHIN
@pytest.mark.parametrize("fraction", [0.5, 1.0])
def test_same_seed_same_shuffle(fraction, within):
    chain = random_system((30, 40, 20)).chain()
    seed = np.random.SeedSequence(3)
    first = shuffle(chain, fraction, within, seed).flat
    np.testing.assert_array_equal(shuffle(chain, fraction, within, seed).flat, first)
    np.testing.assert_array_equal(shuffle(chain, fraction, within, 3).flat, first)
    assert seed.n_children_spawned == 0
    assert not np.array_equal(shuffle(chain, fraction, within, 4).flat, first)


def test_variance_of_the_energy_is_kept():
    system = random_system((3, 4, 2))
    assert shuffle(system.chain()).sum_of_squares == pytest.approx(system.chain().sum_of_squares, rel=1e-14)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"fraction": 1.01}, "fraction=1.01: give a number from 0 to 1"),
        ({"fraction": -0.1}, "fraction=-0.1: give a number from 0 to 1"),
        ({"fraction": np.nan}, "fraction=nan: give a number from 0 to 1"),
        ({"within": "layer"}, "within='layer': give 'network' or 'matrix'"),
        ({"seed": "x"}, "seed='x': give a non-negative integer or a numpy SeedSequence"),
    ],
    ids=["above", "below", "nan", "within", "seed"],
)
def test_options_outside_their_range_are_refused(options, text):
    with pytest.raises(OptionError, match=text):
        shuffle(random_system((3, 4)).chain(), **options)
