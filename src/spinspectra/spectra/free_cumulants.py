"""Free cumulants of a spectrum, and its R-transform integrated: by their series, and exactly.

With m_k = mean(lambda^k), the normalised trace, and M(z) = 1 + sum m_k z^k, C(z) = 1 + sum kappa_k z^k, the cumulants
solve M(z) = C(z M(z)) (Speicher 1994; Nica and Speicher 2006, lecture 11): the sum over non-crossing partitions. The
R-transform is R(z) = sum kappa_k z^(k-1), R(z) + 1/z the inverse of the Green's function g(v) = mean 1/(v - lambda).
Source in SETOL: Martin and Hinrichs, arXiv 2507.17912, "Computational Random Matrix Analysis".
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import NonFiniteError, OptionError
from spinspectra.spectra.r_kernels import r_integrals

Floats = NDArray[np.float64]

_MOST = 50  # orders beyond this are rounding, whatever the spectrum


def free_cumulants(eigenvalues: ArrayLike, order: int = 5) -> Floats:
    """kappa_1..kappa_order of the spectrum, shape (order,); kappa_k has the unit of the eigenvalues to the power k.

    eigenvalues: any order, (n,), one or more. They are centred and scaled first, as kappa_k for k >= 2 does not know
    the mean and kappa_k(c x) = c^k kappa_k: high orders then lose far fewer digits than from raw moments.
    Raises OptionError for order outside 1..50 or no eigenvalues, NonFiniteError for NaN or infinity.
    """
    values = _checked(eigenvalues)
    if not 1 <= order <= _MOST:
        raise OptionError(f"order={order!r}: give a whole number from 1 to {_MOST}")
    mean, spread = float(values.mean()), float(values.std())
    cumulants = np.zeros(order)
    cumulants[0] = mean
    if spread <= values.size * np.finfo(np.float64).eps * abs(mean):  # a point: only the mean is not 0
        return cumulants
    centred = (values - mean) / spread
    powers = np.arange(1, order + 1)
    cumulants[1:] = (cumulants_of_moments([np.mean(centred**k) for k in powers]) * spread**powers)[1:]
    return cumulants


def cumulants_of_moments(moments: ArrayLike) -> Floats:
    """kappa_1..kappa_n from m_1..m_n, both shape (n,): m_k = sum_{s <= k} kappa_s [z^(k-s)] M(z)^s.

    >>> cumulants_of_moments([0.0, 1.0, 0.0, 2.0])  # a semicircle has only its variance
    array([0., 1., 0., 0.])
    """
    series = np.r_[1.0, np.asarray(moments, np.float64)]  # M(z), lowest power first
    n = series.size - 1
    cumulants = np.zeros(n)
    powers = np.zeros((n + 1, n + 1))  # row s: coefficients of M(z)^s
    powers[0, 0] = 1.0
    for s in range(1, n + 1):
        powers[s] = np.convolve(powers[s - 1], series)[: n + 1]
    for k in range(1, n + 1):
        below = sum(cumulants[s - 1] * powers[s, k - s] for s in range(1, k))
        cumulants[k - 1] = series[k] - below
    return cumulants


def r_integral_terms(cumulants: ArrayLike, z: ArrayLike) -> Floats:
    """kappa_k z^k / k, shape (len(z), order): their sum over k is the integral of R from 0 to z, cut at that order.

    The series has a finite radius of convergence (1/q for Marchenko-Pastur, 1/(b - a) for two equal atoms a and b).
    """
    kappa = np.asarray(cumulants, np.float64)
    order = np.arange(1, kappa.size + 1)
    return np.asarray(kappa / order * np.asarray(z, np.float64)[:, None] ** order, np.float64)


def r_integral(eigenvalues: ArrayLike, z: ArrayLike) -> Floats:
    """The integral of R from 0 to each z > 0, to rounding: shape (len(z),), for any z, beyond the series too.

    With r = R(z), the root of mean 1/(1 + z (r - lambda)) = 1 above lambda_max - 1/z, it is z r - mean ln(1 + z (r -
    lambda)). That is also the large-N limit of (2/N) ln E exp(N z u^T A u / 2) for a random unit vector u, the HCIZ
    integral of rank one (Guionnet and Maida 2005): the saddle point of it, of which the series is the expansion.
    A finite spectrum has R on the whole positive axis, rising from its mean to lambda_max.
    Raises OptionError for z not above 0 or no eigenvalues, NonFiniteError for NaN or infinity.
    """
    values = _checked(eigenvalues)
    points = np.asarray(z, np.float64)
    if not np.all(points > 0.0):
        raise OptionError("z: give numbers above 0")
    return np.asarray(r_integrals(values, points))


def _checked(eigenvalues: ArrayLike) -> Floats:
    values = np.asarray(eigenvalues, np.float64)
    if values.ndim != 1 or values.size == 0:
        raise OptionError(f"eigenvalues: give one or more, of shape (n,), got shape {values.shape}")
    if bad := values.size - int(np.count_nonzero(np.isfinite(values))):
        raise NonFiniteError(f"{bad} of {values.size} eigenvalues are NaN or infinite")
    return values
