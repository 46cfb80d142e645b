"""The Marchenko-Pastur law, and the part of a layer's spectrum that it explains: noise bulk, edges, spikes.

W of N x M independent entries of variance s^2, Q = N / M: the eigenvalues of W^T W / N fill, as N grows, the density
(Marchenko, Pastur 1967)

    p(x) = Q sqrt((b - x)(x - a)) / (2 pi s^2 x),    a, b = s^2 (1 -+ Q^(-1/2))^2

and, where Q < 1, a fraction 1 - Q of them is 0. The largest one lies near s^2 / N times (Johnstone 2001)

    (sqrt(N - 1) + sqrt(M))^2 + t (sqrt(N - 1) + sqrt(M)) (1 / sqrt(N - 1) + 1 / sqrt(M))^(1/3)

with t of the Tracy-Widom law of order 1. A signal of singular value theta > s (N M)^(1/4) sends an eigenvalue above
the edge, a weaker one does not (Baik, Ben Arous, Peche 2005): a spike.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import OptionError
from spinspectra.spectra.esd import Spectrum

FALSE_ALARM = 1e-3  # chance that pure noise, all slices together, has a value above the edge plus its margin

_MIN_VALUES = 8  # non-zero eigenvalues without which nothing is fitted
_FITTED = 0.8  # fraction of the bulk, from below, that sets sigma: spikes missed so far leave it alone
_MAX_QUANTILES = 128  # of them, evenly spaced, enter the fit
_GRID = 512  # points of a law's distribution function between which it is inverted
_MAX_SPIKES = 0.5  # of the non-zero eigenvalues: beyond this the rest is no bulk
_MAX_STEPS = 256  # numbers of spikes tried
_NOISE_KS = (1.5, 0.5)  # n values of a Gaussian matrix have a KS distance below (1.5 + 0.5 ln n) / n
_STEADY = (0.05, 0.6)  # 5 % of the values more taken as spikes may reveal at most 0.6 of that number as new ones
_AS_GOOD = 1.5  # a KS distance within this factor of the least is as good
_POOR = 0.1  # KS distance of more than this: no Marchenko-Pastur bulk
_FLAT = 0.01  # of the law's width between quartiles: a narrower spectrum is no noise

Values = NDArray[np.float64]

_ANGLES = np.linspace(0.0, np.pi, _GRID)
_SINES, _COSINES = np.sin(_ANGLES), np.cos(_ANGLES)


@dataclass(frozen=True, slots=True)
class MarchenkoPastur:
    """The law of the eigenvalues of W^T W / N; q = N / M > 0, sigma the standard deviation of the entries of W.

    Raises OptionError unless both are positive and finite.
    """

    q: float
    sigma: float = 1.0

    def __post_init__(self) -> None:
        if not (0.0 < self.q < np.inf and 0.0 < self.sigma < np.inf):
            raise OptionError(f"Marchenko-Pastur law with q={self.q!r}, sigma={self.sigma!r}: both must be positive")

    @property
    def lower(self) -> float:
        """Lower edge of the continuous part, s^2 (1 - Q^(-1/2))^2; 0 for a square matrix."""
        return float((self.sigma * (1.0 - self.q**-0.5)) ** 2)

    @property
    def upper(self) -> float:
        """Upper edge, s^2 (1 + Q^(-1/2))^2; 4 s^2 for a square matrix."""
        return float((self.sigma * (1.0 + self.q**-0.5)) ** 2)

    @property
    def atom(self) -> float:
        """Probability of exactly 0: 1 - Q where Q < 1, else 0."""
        return max(0.0, 1.0 - self.q)

    def pdf(self, x: ArrayLike) -> Values:
        """Density of the continuous part, same shape as x; its integral is 1 - atom. Infinite at 0 if Q = 1."""
        at = np.asarray(x, np.float64)
        inside = np.maximum((self.upper - at) * (at - self.lower), 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            density = self.q * np.sqrt(inside) / (2.0 * np.pi * self.sigma**2 * at)
        density = np.where((at == 0.0) & (self.lower == 0.0), np.inf, density)
        return np.where((at < self.lower) | (at > self.upper), 0.0, density)

    def cdf(self, x: ArrayLike) -> Values:
        """P(eigenvalue <= x), in closed form; same shape as x."""
        y = 1.0 / self.q
        lower, upper = (1.0 - y**0.5) ** 2, (1.0 + y**0.5) ** 2
        given = np.asarray(x, np.float64)
        at = np.clip(given / self.sigma**2, lower, upper)
        root = np.sqrt((upper - at) * (at - lower))
        # arctan2 in place of the textbook's arcsin, which loses half the digits at the edges
        total = root + (1.0 + y) * np.arctan2(at - 1.0 - y, root)
        total -= abs(1.0 - y) * np.arctan2((1.0 + y) * at - (1.0 - y) ** 2, abs(1.0 - y) * root)
        part = 0.5 * min(1.0, self.q) + total / (2.0 * np.pi * y)
        return np.where(given < 0.0, 0.0, self.atom + np.clip(part, 0.0, 1.0 - self.atom))

    def quantile(self, p: ArrayLike) -> Values:
        """The x with cdf(x) = p, by bisection to rounding; 0 below the atom. Raises OptionError outside [0, 1]."""
        wanted = np.asarray(p, np.float64)
        if not np.all((wanted >= 0.0) & (wanted <= 1.0)):
            raise OptionError("quantiles of the Marchenko-Pastur law need probabilities from 0 to 1")
        low, high = np.zeros_like(wanted), np.full_like(wanted, np.pi)
        for _ in range(54):
            middle = 0.5 * (low + high)
            above = self.cdf(self._at_angle(middle)) >= wanted
            low, high = np.where(above, low, middle), np.where(above, middle, high)
        return np.where(wanted <= self.atom, 0.0 if self.atom else self.lower, self._at_angle(high))

    def fast_quantile(self, p: Values) -> Values:
        """`quantile` for 0 < p < 1 and Q >= 1 by interpolation, to about 1e-5 of the width.

        `cdf` at angles whose sines are known: its first arctan2 is then the angle itself, less pi / 2.
        """
        y = 1.0 / self.q
        total = 2.0 * y**0.5 * _SINES + (1.0 + y) * (_ANGLES - 0.5 * np.pi)
        total -= (1.0 - y) * np.arctan2(2.0 * y**0.5 - (1.0 + y) * _COSINES, (1.0 - y) * _SINES)
        grid = self.lower + (self.upper - self.lower) * (0.5 - 0.5 * _COSINES)
        return np.interp(p, 0.5 + total / (2.0 * np.pi * y), grid)

    def _at_angle(self, angle: Values) -> Values:
        """From lower (angle 0) to upper (angle pi), smooth where the density has square roots."""
        return self.lower + (self.upper - self.lower) * np.sin(0.5 * angle) ** 2


@lru_cache(maxsize=256)
def tracy_widom_quantile(tail: float) -> float:
    """The t exceeded with probability `tail` under the Tracy-Widom law of order 1; 3.272 for 0.001.

    Its distribution function is det(1 - A) with A(x, y) = Ai(x + y + t) on x, y > 0 (Ferrari, Spohn 2005), the
    determinant taken at the nodes of a quadrature (Bornemann 2010). Raises OptionError outside 1e-12..0.5.
    """
    from scipy.optimize import brentq
    from scipy.special import airy

    if not 1e-12 <= tail <= 0.5:
        raise OptionError(f"tail={tail!r}: give a probability from 1e-12 to 0.5")
    nodes, weights = np.polynomial.legendre.leggauss(28)
    x, root = 8.0 * (nodes + 1.0), np.sqrt(8.0 * weights)  # (0, 16), beyond which Ai is below 1e-18

    def excess(t: float) -> float:
        kernel = root[:, None] * airy(x[:, None] + x + t)[0] * root
        return 1.0 - float(np.linalg.det(np.eye(x.size) - kernel)) - tail

    return float(brentq(excess, -3.0, 20.0, xtol=1e-6))


@dataclass(frozen=True, slots=True)
class MarchenkoPasturFit:
    """Noise and signal of one spectrum. Values are NaN where status is "failed"; `reason` says why.

    A "success" with a reason is a poor fit, to a bulk of another shape.
    sigma: standard deviation of the noise entries of W, in the unit of W. bulk_min, bulk_max: edges, in the unit of
    the eigenvalues given (of W^T W, no 1/N). margin: eigenvalues above bulk_max + margin are spikes, counted in
    n_spikes (all slices together). softrank: bulk_max / lambda_max. scale: sqrt(K / sum of eigenvalues), the factor
    on W that makes its mean eigenvalue 1. signal_to_noise: sum of the spikes over the sum of all other eigenvalues.
    ks_distance: largest gap between the distribution of the bulk and the law, zeros and spikes left out; about 2.5 / K
    for a Gaussian matrix. sigma_rescaled: sigma sqrt(N) scale, WeightWatcher's sigma_mp; 1 for pure noise.
    """

    sigma: float
    bulk_min: float
    bulk_max: float
    margin: float
    n_spikes: float
    softrank: float
    scale: float
    signal_to_noise: float
    ks_distance: float
    sigma_rescaled: float
    status: str = "success"
    reason: str = ""


def fit_marchenko_pastur(spectrum: Spectrum) -> MarchenkoPasturFit:
    """Fit the Marchenko-Pastur law to the bulk of a spectrum and count the eigenvalues above it.

    With k of the eigenvalues taken as spikes, the others are those of an (N - k) x (M - k) noise matrix: exactly so
    for strong signals, which the noise orthogonal to them does not feel. Its sigma minimises the squared (Wasserstein)
    distance between the singular values of the lower 80 % of that bulk and the law's quantiles,

        sum_i (s_i - sigma r_i)^2   over i,   r_i = sqrt of the (i - 1/2) / (K - k) quantile for sigma = 1,

    so sigma = sum s_i r_i / sum r_i^2. k is self-consistent if k eigenvalues lie above the edge and its margin, and
    steady if k + K / 20 would give few more. The smallest self-consistent k is taken that has the KS distance of a
    Gaussian matrix; if there is none, the smallest steady one with a KS distance within a factor 1.5 of the least.
    Trained layers often have a smooth tail instead of spikes and no such k. They get the fit for k = 0 (the law of
    the whole matrix by its lower 80 %), n_spikes counts what lies above it, ks_distance is over all eigenvalues.

    The margin is the 99.9 % quantile of the Tracy-Widom law (for m slices 1 - 0.001 / m). Eigenvalues that are
    rounding (`Spectrum.floor`) are left out and W counts as having that many fewer columns. Square matrices are no
    special case. Never raises: status "failed" with a reason for NaN, a zero matrix, fewer than 8 non-zero
    eigenvalues, a flat spectrum, more than half of it above the edge; "success" with a reason for a KS distance above
    0.1 that is not the sampling error of a small matrix.
    """
    values = spectrum.eigenvalues
    if not np.all(np.isfinite(values)):
        return _failed("eigenvalues are NaN or infinite")
    if values.size == 0 or values[-1] <= 0.0:
        return _failed("all eigenvalues are zero")
    singular = np.sqrt(values[values > spectrum.floor])
    if singular.size < _MIN_VALUES:
        return _failed(f"{singular.size} of {values.size} eigenvalues above rounding, needs {_MIN_VALUES}")
    if _is_flat(singular, spectrum):
        return _failed("flat spectrum: all eigenvalues are nearly equal")
    bulk = _choose(list(_self_consistent(singular, spectrum)))
    if bulk is None:
        bulk = _judge(singular, _bulk(singular, spectrum, 0), spectrum.n_matrices)
    if bulk.n_spikes > _MAX_SPIKES * singular.size:
        return _failed("more than half of the eigenvalues lie above the noise edge")
    return _result(bulk, spectrum)


@dataclass(frozen=True, slots=True)
class _Bulk:
    """Noise fitted with k values taken as spikes, n x m a slice; n_spikes of all values lie above the threshold."""

    n: float
    m: float
    sigma: float
    threshold: float
    n_spikes: int
    ks_distance: float = np.nan
    like_noise: bool = False


def _self_consistent(singular: Values, spectrum: Spectrum) -> Iterator[_Bulk]:
    """Self-consistent k that are steady or leave a bulk like noise, ascending, up to the first of the latter."""
    k, step = 0, max(1, singular.size // _MAX_STEPS)
    while k <= _MAX_SPIKES * singular.size:
        bulk = _bulk(singular, spectrum, k)
        if bulk.n_spikes == k:
            judged = _judge(singular[: singular.size - k], bulk, spectrum.n_matrices)
            if judged.like_noise or _is_steady(singular, spectrum, k):
                yield judged
            if judged.like_noise:
                return
        # the count rises as spikes are taken away, so no k between k and the count can be self-consistent
        k = bulk.n_spikes if bulk.n_spikes > k else k + (1 if bulk.n_spikes == k else step)


def _is_steady(singular: Values, spectrum: Spectrum, k: int) -> bool:
    more = max(2, int(_STEADY[0] * singular.size))
    return _bulk(singular, spectrum, k + more).n_spikes - k <= _STEADY[1] * more


def _bulk(singular: Values, spectrum: Spectrum, k: int) -> _Bulk:
    """Sigma, threshold and the count above it if the k largest of the singular values, ascending, are spikes."""
    count, slices = singular.size - k, spectrum.n_matrices
    n, m = spectrum.n_rows - k / slices, count / slices
    last = int(_FITTED * (count - 1))
    at = np.linspace(0, last, min(last + 1, _MAX_QUANTILES)).astype(np.intp)
    expected = np.sqrt(n * MarchenkoPastur(n / m).fast_quantile((at + 0.5) / count))
    sigma = float(singular[at] @ expected / (expected @ expected))
    root_n, root_m = max(n - 1.0, 0.5) ** 0.5, m**0.5
    width = (root_n + root_m) * (1.0 / root_n + 1.0 / root_m) ** (1.0 / 3.0)
    quantile = tracy_widom_quantile(max(FALSE_ALARM / slices, 1e-12))
    threshold = sigma**2 * ((root_n + root_m) ** 2 + quantile * width)
    return _Bulk(n, m, sigma, threshold, singular.size - int(np.searchsorted(singular, threshold**0.5, "right")))


def _judge(singular: Values, bulk: _Bulk, slices: int) -> _Bulk:
    """With the KS distance of the bulk's singular values, ascending, from the law; and whether noise explains it."""
    law = MarchenkoPastur(bulk.n / bulk.m, bulk.sigma)
    middle = (np.arange(singular.size) + 0.5) / singular.size
    distance = float(np.max(np.abs(law.cdf(singular**2 / bulk.n) - middle))) + 0.5 / singular.size
    per_slice = singular.size / slices
    limit = (_NOISE_KS[0] + _NOISE_KS[1] * np.log(max(per_slice, 1.0))) / per_slice / slices**0.5
    return replace(bulk, ks_distance=distance, like_noise=distance <= limit)


def _choose(found: list[_Bulk]) -> _Bulk | None:
    limit = _AS_GOOD * min((bulk.ks_distance for bulk in found), default=0.0)
    return next((bulk for bulk in found if bulk.like_noise or bulk.ks_distance <= limit), None)


def _is_flat(singular: Values, spectrum: Spectrum) -> bool:
    law = MarchenkoPastur(spectrum.n_rows * spectrum.n_matrices / singular.size)
    expected, found = np.sqrt(law.fast_quantile(np.array([0.25, 0.5, 0.75]))), np.quantile(singular, [0.25, 0.5, 0.75])
    return bool((found[2] - found[0]) / found[1] <= _FLAT * (expected[2] - expected[0]) / expected[1])


def _result(bulk: _Bulk, spectrum: Spectrum) -> MarchenkoPasturFit:
    values = spectrum.eigenvalues
    upper = (bulk.sigma * (bulk.n**0.5 + bulk.m**0.5)) ** 2
    scale = float(np.sqrt(values.size / values.sum()))
    signal = float(values[values.size - bulk.n_spikes :].sum())
    poor = bulk.ks_distance > _POOR and not bulk.like_noise
    return MarchenkoPasturFit(
        sigma=bulk.sigma,
        bulk_min=(bulk.sigma * (bulk.n**0.5 - bulk.m**0.5)) ** 2,
        bulk_max=upper,
        margin=bulk.threshold - upper,
        n_spikes=bulk.n_spikes,
        softrank=upper / float(values[-1]),
        scale=scale,
        signal_to_noise=signal / float(values[: values.size - bulk.n_spikes].sum()),
        ks_distance=bulk.ks_distance,
        sigma_rescaled=bulk.sigma * spectrum.n_rows**0.5 * scale,
        reason=f"the bulk is not Marchenko-Pastur: KS distance {bulk.ks_distance:.2f}" if poor else "",
    )


def _failed(reason: str) -> MarchenkoPasturFit:
    nan = float("nan")
    return MarchenkoPasturFit(nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, status="failed", reason=reason)
