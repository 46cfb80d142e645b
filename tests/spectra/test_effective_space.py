"""The tail with det X = 1: solvable spectra, sizes that overflow a product, rank deficiency, the peer's numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinspectra.spectra.effective_space import effective_space
from spinspectra.spectra.esd import esd
from tests.spectra import reference


def test_two_values_by_hand() -> None:
    """Mean 1: 1.5 and 0.5. 1.5 > 1, 1.5 * 0.5 < 1, so the tail is both."""
    space = effective_space([3.0, 1.0])
    assert space.n_tail == 2
    assert (space.lambda_min, space.lambda_min_rescaled) == (1.0, 0.5)
    assert space.log_det == pytest.approx(np.log(0.75))


@given(st.lists(st.floats(1e-3, 1e3), min_size=2, max_size=60, unique=True))
def test_the_tail_is_the_shortest_with_a_product_below_one(values: list[float]) -> None:
    e = np.sort(np.array(values) * len(values) / sum(values))[::-1]
    space = effective_space(values)
    if space.n_tail == 0:  # all equal to rounding
        assert e[0] - e[-1] <= 1e-9
        return
    assert np.sum(np.log(e[: space.n_tail])) < 0.0
    assert np.all(np.cumsum(np.log(e))[: space.n_tail - 1] >= 0.0)


def test_thousands_of_eigenvalues_do_not_overflow() -> None:
    """Two kinds of values, a = 1.9 and b = 0.1 in equal number: k b's are needed where n ln a + k ln b < 0."""
    n = 50_000
    space = effective_space(np.repeat([1.9, 0.1], n))
    assert space.n_tail == n + int(np.floor(n * np.log(1.9) / -np.log(0.1))) + 1
    assert space.lambda_min == 0.1


def test_scale_does_not_matter() -> None:
    values = np.random.default_rng(0).pareto(2.0, 500)
    plain, scaled = effective_space(values), effective_space(values * 2.0**40)
    assert plain.n_tail == scaled.n_tail
    assert scaled.lambda_min == plain.lambda_min * 2.0**40
    assert plain.lambda_min_rescaled == pytest.approx(scaled.lambda_min_rescaled)


@pytest.mark.parametrize("values", [[], [1.0], [2.0, 2.0, 2.0], [0.0, 0.0]])
def test_without_structure_there_is_no_tail(values: list[float]) -> None:
    space = effective_space(values)
    assert space.n_tail == 0
    assert np.isnan(space.lambda_min)


def test_zeros_never_belong_to_the_tail() -> None:
    """Rank 20 of 150: the product of all 20 rescaled eigenvalues is above 1, so they are the tail, and no zero is."""
    spectrum = esd(reference.matrices()["lowrank_exact_200x150"])
    space = effective_space(spectrum.eigenvalues, spectrum.floor)
    assert space.n_tail == 20
    assert space.lambda_min == spectrum.eigenvalues[-20]
    assert space.log_det > 0.0


@pytest.mark.parametrize("name", [name for name in reference.matrices() if name != "lowrank_exact_200x150"])
def test_numbers_of_the_peer(name: str) -> None:
    """Its product is formed in floating point, which is right at these sizes; on exact low rank it takes a zero in."""
    expected = reference.synthetic().loc[name]
    spectrum = esd(reference.matrices()[name])
    space = effective_space(spectrum.eigenvalues, spectrum.floor)
    assert space.n_tail == expected.detX_num
    assert space.lambda_min == pytest.approx(expected.detX_val, rel=1e-6)
