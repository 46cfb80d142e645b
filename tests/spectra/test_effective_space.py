"""The tail with det X = 1: solvable spectra, sizes that overflow a product, rank deficiency, the peer's numbers.

The verdict: spectra with a planted power law whose start and exponent are known.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinspectra.spectra.effective_space import EffectiveSpace, SetolVerdict, effective_space, setol_verdict
from spinspectra.spectra.esd import esd
from spinspectra.spectra.powerlaw import fit_power_law
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


def planted(
    alpha: float, n_tail: int, n: int = 400, shift: float = 1.0, rng: np.random.Generator | None = None
) -> np.ndarray | None:
    """A power law of n_tail above a bulk, mean 1, and xmin = shift exp(-1/(alpha - 1)): shift 1 is det X = 1 there.

    At the quantiles, or drawn; None where no bulk below xmin gives mean 1.
    """
    xmin = shift * np.exp(-1.0 / (alpha - 1.0))
    steps = [(np.arange(k) + 0.5) / k if rng is None else rng.random(k) for k in (n_tail, n - n_tail)]
    tail = xmin * steps[0] ** (-1.0 / (alpha - 1.0))
    share = (n - tail.sum()) / (n - n_tail) / xmin  # mean of the bulk, as a part of xmin
    return np.r_[tail, xmin * steps[1] ** ((1.0 - share) / share)] if 0.02 < share < 0.95 else None


def judged(values: np.ndarray | None) -> SetolVerdict:
    assert values is not None
    fit = fit_power_law(values)
    return setol_verdict(fit.alpha, fit.xmin, fit.n_tail, effective_space(values))


def test_det_of_the_power_laws_tail_follows_from_alpha_and_xmin() -> None:
    """sum ln e = n (ln e_xmin + 1/(alpha - 1)), whence the ideal start exp(-1/(alpha - 1)), 0.37 at alpha 2."""
    values = np.random.default_rng(0).pareto(2.0, 500)
    fit = fit_power_law(values)
    e = values / values.mean()
    e_xmin = fit.xmin / values.mean()
    assert np.log(e[e >= e_xmin]).sum() == pytest.approx(fit.n_tail * (np.log(e_xmin) + 1.0 / (fit.alpha - 1.0)))


def test_planted_ideal_layer() -> None:
    found = judged(planted(2.0, 150))
    assert found.word == "ideal"
    assert abs(found.start_gap) < 0.1
    assert found.reason.endswith("both tails start together")


@pytest.mark.parametrize(
    ("alpha", "n_tail", "shift", "word"),
    [(3.0, 300, 1.0, "heavy-tailed"), (2.0, 40, 3.5, "near 2"), (9.0, 390, 1.0, "under-trained")],
)
def test_planted_layers(alpha: float, n_tail: int, shift: float, word: str) -> None:
    assert judged(planted(alpha, n_tail, shift=shift)).word == word


def test_too_heavy_a_tail_is_over_trained() -> None:
    found = judged(((np.arange(400) + 0.5) / 400) ** -2.0)  # alpha = 1.5
    assert found.word == "over-trained"
    assert found.start_gap > np.log(2.0)
    assert "the power law's tail starts lower" in found.reason


def test_drawn_ideal_layers_are_found_and_others_are_not() -> None:
    """Found were 81 to 89 of 100 at K from 200 to 1,000; of alpha 2.5 with det 1 at its start at most 1 of 100."""
    rng = np.random.default_rng(0)
    drawn = [values for _ in range(200) if (values := planted(2.0, 160, rng=rng)) is not None]
    assert len(drawn) > 30
    assert np.mean([judged(values).word == "ideal" for values in drawn]) > 0.7
    others = [values for _ in range(60) if (values := planted(2.5, 240, rng=rng)) is not None]
    assert len(others) > 20
    assert not any(judged(values).word == "ideal" for values in others)


@pytest.mark.parametrize(
    ("n_tail", "alpha", "near"),
    [
        (10_000, 2.09, True),  # never closer than 0.1
        (10_000, 2.11, False),
        (100, 2.19, True),  # 2 / sqrt(100)
        (100, 2.21, False),
        (100, 1.79, False),
        (9, 2.49, True),  # never farther than 0.5, though 2 / sqrt(9) is 0.67
        (9, 2.51, False),
    ],
)
def test_how_near_2_alpha_must_be(n_tail: int, alpha: float, near: bool) -> None:
    space = EffectiveSpace(n_tail, 1.0, 0.37, 0.0)
    assert (setol_verdict(alpha, 1.0, n_tail, space).word == "ideal") is near


@pytest.mark.parametrize(("xmin", "word"), [(1.99, "ideal"), (2.01, "near 2"), (0.51, "ideal"), (0.49, "near 2")])
def test_tails_start_together_within_a_factor_of_2(xmin: float, word: str) -> None:
    found = setol_verdict(2.0, xmin, 50, EffectiveSpace(50, 1.0, 0.37, 0.0))
    assert found.word == word
    assert found.start_gap == pytest.approx(-np.log(xmin))


def test_without_either_tail_there_is_none() -> None:
    no_fit = setol_verdict(np.nan, np.nan, 0, effective_space([3.0, 1.0]))
    assert (no_fit.word, no_fit.reason) == ("no tail", "no power law fits")
    flat = setol_verdict(2.0, 1.0, 50, effective_space([2.0, 2.0]))
    assert flat.word == "no tail"
    assert "flat" in flat.reason
    assert np.isnan(flat.start_gap)


def test_low_rank_is_not_ideal_though_its_tails_coincide() -> None:
    """Rank 50 of 400, all of it a power law of alpha 2: the product of its eigenvalues, mean 8, is far above 1."""
    values = np.r_[50.0 / (np.arange(50) + 0.5), np.zeros(350)]
    space = effective_space(values)
    fit = fit_power_law(values)
    assert (space.n_tail, fit.n_tail) == (50, 50)
    found = setol_verdict(fit.alpha, fit.xmin, fit.n_tail, space)
    assert found.word == "near 2"
    assert "all 50 eigenvalues above rounding is over 1: low rank" in found.reason
