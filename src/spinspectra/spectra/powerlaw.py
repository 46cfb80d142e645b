"""Continuous power law of a spectrum's tail: maximum likelihood alpha, xmin from a Kolmogorov-Smirnov scan.

Source: Clauset, Shalizi, Newman, SIAM Review 51 (2009) 661, "CSN" below; p(x) = (alpha - 1)/xmin (x/xmin)^-alpha on
x >= xmin (CSN eq. 2.2). The conventions are those of weightwatcher 0.7.7, so that numbers compare, but for its defects:

- its absolute threshold 1e-5 is here `floor`, relative to the largest eigenvalue, so alpha ignores the unit of W;
- equal eigenvalues are one candidate xmin, whose tail holds them all;
- no result is NaN with status "failed" and a reason, never -1; fewer than 8 eigenvalues are no sample;
- the law that ends at the largest eigenvalue (`xmax="force"`) has the exponent of its own likelihood, not of the
  unbounded one.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spinspectra.errors import OptionError
from spinspectra.spectra import bounded_kernels
from spinspectra.spectra import power_law_kernels as kernels
from spinspectra.spectra.tails import cutoff_stderr

Kind = Literal["PL", "TPL", "E_TPL"]
Sides = Literal["one-sided", "two-sided"]
Xmax = float | Literal["force"] | None
Floats = NDArray[np.float64]

FEWEST = 8  # eigenvalues; also the shortest tail for small samples and for TPL
SMALL_SAMPLE = 20  # below it alpha is the unbiased estimate and a tail holds at least 8
_PEAK_BINS = 100
_SMALLEST_FLOOR = 1e-300  # keeps the quotient by the largest eigenvalue from running under


@dataclass(frozen=True, slots=True)
class PowerLawFit:
    """A fitted tail. NaN and n_tail 0 where status is "failed"; then reason says why in one line.

    xmin, xmax are in the unit of the eigenvalues, xmax the largest one fitted; bounded: the law ends there. n_tail
    counts the fitted data >= xmin, xmin itself included, fingers not; n all data above the floor. sigma: standard
    error of alpha given xmin, (alpha - 1)/sqrt(n_tail) for PL (CSN eq. 3.2), from the information if bounded. cutoff:
    Lambda of TPL, 0 where the data want none, NaN for PL. log_excess: sum of ln(x/xmin) over the tail. raw_alpha: alpha
    before any finger was clipped.
    """

    kind: Kind
    ks: Sides
    alpha: float = np.nan
    xmin: float = np.nan
    xmax: float = np.nan
    ks_distance: float = np.nan
    sigma: float = np.nan
    cutoff: float = np.nan
    n_tail: int = 0
    n: int = 0
    log_excess: float = np.nan
    xmin_given: bool = False
    raw_alpha: float = np.nan
    n_fingers: int = 0
    bounded: bool = False
    status: Literal["success", "failed"] = "failed"
    reason: str = ""


class XminScan(NamedTuple):
    """What the scan saw, one entry a candidate: arrays of shape (candidates,), ascending in xmin."""

    xmin: Floats
    alpha: Floats
    ks_distance: Floats


class _Sample(NamedTuple):
    x: Floats  # ascending, above the floor
    resolution: float  # relative; two eigenvalues closer than this are not told apart


def fit_power_law(
    eigenvalues: ArrayLike,
    kind: Kind = "PL",
    *,
    ks: Sides = "one-sided",
    xmin: float | None = None,
    xmax: Xmax = None,
    floor: float | None = None,
    fix_fingers: Literal["clip_xmax", "xmin_peak"] | None = None,
    finger_thresh: float = 1.0,
    max_fingers: int = 10,
    xmin_max: float | None = None,
) -> PowerLawFit:
    """Fit the tail of a spectrum, shape (n,), any order; xmin is the datum whose tail has the smallest KS distance.

    kind: "PL", alpha = 1 + n / sum ln(x/xmin) (CSN eq. 3.1); "TPL", p ~ x^-alpha exp(-Lambda x) with alpha >= 1;
    "E_TPL", TPL with xmin near the peak of the density. With fewer than 20 data PL takes n - 1 in place of n, which
    is free of bias, and tails of 8 or more, as weightwatcher does; TPL always takes tails of 8 or more.
    ks: "one-sided" is max_j |F(x_j) - j/n|, j = 0..n-1, on which published alphas rest; "two-sided" also takes
    |F(x_j) - (j+1)/n|, the true distance (CSN eq. 3.9).
    xmin: fixed, no scan (PL only). xmax: larger eigenvalues are left out, the law still has no end; to leave out the
    k largest give np.sort(eigenvalues)[-k - 1]. "force" (PL only): the law ends at the largest eigenvalue, p(x) =
    C x^-alpha on [xmin, xmax], by its own maximum likelihood (Aban, Meerschaert, Panorska, JASA 101 (2006) 270,
    from all data of the tail); then alpha may be 1 or less, even negative, and the same formula holds for
    small samples. floor: eigenvalues up to floor * largest are
    rounding noise and left out; default n * 2.2e-16, right for a float64 Gram matrix; give
    (max(N, M) * eps)**2 for singular values of a matrix stored with precision eps.
    fix_fingers: "clip_xmax" leaves out the k = 1..max_fingers largest until alpha falls by more than finger_thresh
    below raw_alpha; the full fit stands if none does before alpha <= 2. (The peer tries k = 2..9 and
    reports k - 1.) "xmin_peak" scans only xmin in 0.95 to 1.5 times (or up to xmin_max) the fullest of 100 log bins.

    Data that allow no fit give status "failed". Raises OptionError for arguments out of range.
    """
    _check(eigenvalues, kind, ks, fix_fingers, xmin)
    bounded = xmax == "force"
    _check_numbers(xmin=xmin, xmax=_number_of(xmax), xmin_max=xmin_max, finger_thresh=finger_thresh)
    if bounded and kind != "PL":
        raise OptionError(f"xmax='force' goes with kind='PL', not {kind!r}: a cutoff is an end of its own")
    if max_fingers < 1:
        raise OptionError(f"max_fingers={max_fingers!r}: give 1 or more")
    sample, reason = prepare(eigenvalues, floor, xmax)
    n = 0 if sample is None else sample.x.size
    blank = PowerLawFit(kind, ks, xmin_given=xmin is not None, n=n, bounded=bounded)
    if sample is None:
        return replace(blank, reason=reason)
    if xmin is not None:
        return _fit_above(sample.x, xmin, blank)
    near_peak = fix_fingers == "xmin_peak" or kind == "E_TPL"
    fit = partial(_fit_scan, blank=blank, near_peak=near_peak, xmin_max=xmin_max)
    if fix_fingers == "clip_xmax":
        return _clip_fingers(sample, fit, finger_thresh, max_fingers)
    return fit(sample)


def xmin_scan(
    eigenvalues: ArrayLike, *, ks: Sides = "one-sided", xmax: float | None = None, floor: float | None = None
) -> XminScan:
    """Alpha and distance of every candidate xmin of an unbounded PL, for plots; empty arrays where no fit is possible.

    Arguments and errors as for fit_power_law.
    """
    _check(eigenvalues, "PL", ks, None, None)
    _check_numbers(xmax=xmax)
    sample, _ = prepare(eigenvalues, floor, xmax)
    if sample is None:
        return XminScan(np.empty(0), np.empty(0), np.empty(0))
    logs = np.log(sample.x / sample.x[-1])
    exponents = tail_exponents(logs, sample.resolution)
    used = exponents > 0.0
    distances = kernels.all_distances(logs, exponents, ks == "two-sided")
    return XminScan(sample.x[used], 1.0 + exponents[used], distances[used])


def prepare(eigenvalues: ArrayLike, floor: float | None, xmax: Xmax) -> tuple[_Sample | None, str]:
    """Ascending data above the floor and not above a number xmax, or None and the reason why they allow no fit."""
    x = np.asarray(eigenvalues, dtype=np.float64)
    if bad := int(x.size - np.count_nonzero(np.isfinite(x))):
        return None, f"{bad} of {x.size} eigenvalues are NaN or infinite"
    resolution = x.size * float(np.finfo(np.float64).eps)
    if floor is not None and not 0.0 <= floor < 1.0:
        raise OptionError(f"floor={floor!r}: give a fraction of the largest eigenvalue, 0 to 1, or None")
    largest, given = float(x.max(initial=0.0)), x.size
    x = np.sort(x[x > (resolution if floor is None else max(floor, _SMALLEST_FLOOR)) * largest])
    if (limit := _number_of(xmax)) is not None:
        x = x[x <= limit]
    if x.size < FEWEST:
        return None, f"{x.size} of {given} eigenvalues above rounding, a tail needs {FEWEST}"
    if np.log(x[-1] / x[0]) <= resolution:
        return None, f"all {x.size} eigenvalues are equal to rounding"
    return _Sample(x, resolution), ""


def tail_exponents(logs: Floats, resolution: float) -> Floats:
    """Alpha - 1 of the PL tail from each datum, 0 for no candidate: too short, too tight, or not a tie's first."""
    n = np.arange(logs.size, 0, -1)
    small = logs.size < SMALL_SAMPLE
    excess = kernels.log_excess(logs)
    used = (excess > n * resolution) & np.r_[True, np.diff(logs) > 0.0]
    if small:
        used &= n >= FEWEST
    exponents = np.zeros(logs.size)
    exponents[used] = (n - 1 if small else n)[used] / excess[used]
    return exponents


def _fit_scan(
    sample: _Sample, blank: PowerLawFit, near_peak: bool = False, xmin_max: float | None = None
) -> PowerLawFit:
    logs = np.log(sample.x / sample.x[-1])
    exponents = tail_exponents(logs, sample.resolution)
    if near_peak:
        exponents[~_near_peak(sample.x, xmin_max)] = 0.0
    a, b = np.nan, np.nan
    if blank.bounded:
        i, c, distance = bounded_kernels.scan_bounded(logs, _means(logs, exponents), blank.ks == "two-sided")
        a = 1.0 + c
    elif blank.kind == "PL":
        i, distance = kernels.scan_power_law(logs, exponents, blank.ks == "two-sided")
        a = 1.0 + exponents[i]
    else:
        exponents[logs.size - FEWEST + 1 :] = 0.0
        i, a, b, distance = kernels.scan_cutoff(logs, exponents > 0.0, blank.ks == "two-sided")
    if i < 0:
        return replace(blank, reason=f"no eigenvalue starts a tail of {FEWEST} or more that are not all equal")
    tail = sample.x[i:]
    return _success(blank, tail, float(tail[0]), a, b / float(tail[0]), distance)


def _means(logs: Floats, exponents: Floats) -> Floats:
    """The mean of ln(x_j / x_i) over the tail from each candidate x_i, 0 for the others."""
    means = np.asarray(kernels.log_excess(logs)) / np.arange(logs.size, 0, -1)
    return np.where(exponents > 0.0, means, 0.0)


def _stderr(blank: PowerLawFit, tail: Floats, xmin: float, alpha: float, cutoff: float) -> float:
    if blank.bounded:
        width = float(np.log(tail[-1] / xmin))
        return 1.0 / (width * float(np.sqrt(tail.size * bounded_kernels.bounded_variance((alpha - 1.0) * width))))
    if blank.kind == "PL":
        return (alpha - 1.0) / float(np.sqrt(tail.size))
    return cutoff_stderr(alpha, cutoff * xmin, tail.size)[0]


def _fit_above(x: Floats, xmin: float, blank: PowerLawFit) -> PowerLawFit:
    tail = x[x >= xmin]
    if tail.size < 2 or tail[0] == tail[-1]:
        return replace(blank, reason=f"{tail.size} eigenvalues at or above xmin, two different ones are needed")
    logs, origin = np.log(tail / tail[-1]), float(np.log(xmin / tail[-1]))
    mean, two_sided = float(np.mean(logs - origin)), blank.ks == "two-sided"
    if blank.bounded:
        exponent = -float(bounded_kernels.solve_bounded(-mean / origin)) / origin
        distance = bounded_kernels.bounded_distance(logs, 0, origin, exponent, two_sided, np.inf)
    else:
        exponent = 1.0 / mean
        distance = kernels.power_law_distance(logs, 0, origin, exponent, two_sided, np.inf)
    return _success(blank, tail, xmin, 1.0 + exponent, np.nan, distance)


def _success(
    blank: PowerLawFit, tail: Floats, xmin: float, alpha: float, cutoff: float, distance: float
) -> PowerLawFit:
    found: dict[str, Any] = {
        "alpha": float(alpha),
        "xmin": xmin,
        "xmax": float(tail[-1]),
        "ks_distance": float(distance),
        "sigma": float(_stderr(blank, tail, xmin, alpha, cutoff)),
        "cutoff": float(cutoff),
        "n_tail": tail.size,
        "log_excess": float(np.sum(np.log(tail / xmin))),
    }
    return replace(blank, **found, raw_alpha=float(alpha), status="success")


def _near_peak(x: Floats, xmin_max: float | None) -> NDArray[np.bool_]:
    counts, edges = np.histogram(np.log10(x), bins=_PEAK_BINS)
    fullest = int(np.argmax(counts))
    peak, end = 10.0 ** edges[fullest], 10.0 ** edges[fullest + 1]
    high = max(1.5 * peak, end) if xmin_max is None else xmin_max
    return np.asarray((x >= 0.95 * peak) & (x <= high))


def _clip_fingers(sample: _Sample, fit: partial[PowerLawFit], finger_thresh: float, max_fingers: int) -> PowerLawFit:
    full = fit(sample)
    for k in range(1, min(max_fingers, sample.x.size - FEWEST) + 1):
        clipped = fit(sample._replace(x=sample.x[:-k]))
        if clipped.status == "failed":
            break
        if clipped.alpha + finger_thresh < full.alpha:
            return replace(clipped, raw_alpha=full.alpha, n_fingers=k, n=clipped.n - k)
        if clipped.alpha <= 2.0:
            break
    return full


def _check(eigenvalues: ArrayLike, kind: str, ks: str, fix_fingers: str | None, xmin: float | None) -> None:
    if np.iscomplexobj(eigenvalues) or np.ndim(eigenvalues) != 1:
        raise OptionError(f"eigenvalues: give real numbers of shape (n,), got shape {np.shape(eigenvalues)}")
    if kind not in ("PL", "TPL", "E_TPL"):
        raise OptionError(f"kind={kind!r}: give 'PL', 'TPL' or 'E_TPL'")
    if ks not in ("one-sided", "two-sided"):
        raise OptionError(f"ks={ks!r}: give 'one-sided' or 'two-sided'")
    if fix_fingers not in (None, "clip_xmax", "xmin_peak"):
        raise OptionError(f"fix_fingers={fix_fingers!r}: give None, 'clip_xmax' or 'xmin_peak'")
    if xmin is not None and (kind != "PL" or fix_fingers is not None):
        raise OptionError("xmin: a fixed start goes with kind='PL' and no fix_fingers; see tails.fit_tail for others")


def _number_of(xmax: Xmax) -> float | None:
    if isinstance(xmax, str):
        if xmax != "force":
            raise OptionError(f"xmax={xmax!r}: give a positive number, 'force' or None")
        return None
    return xmax


def _check_numbers(**numbers: float | None) -> None:
    for name, value in numbers.items():
        if value is not None and (isinstance(value, bool) or not 0.0 < value < np.inf):
            raise OptionError(f"{name}={value!r}: give a positive finite number")
