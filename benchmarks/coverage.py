"""How often the 95 % intervals of a tail's parameters hold the truth, and what a scanned xmin does to the estimate.

    python benchmarks/coverage.py --repeats 200

Samples of a known law from x = 1 on. Two tables in Markdown: coverage at that given xmin (`alpha_interval`,
`profile_interval`); mean and median error of the fit that scans for xmin, also where two data of five are no part of
the law but uniform below 1. Errors are in units of the mean standard error at the given xmin. 200 repeats know a
coverage of 95 % to +-1.5 %, a mean error to +-0.07. Bounded and cutoff laws are scanned up to
--longest-slow-scan data. Takes five minutes.
"""

import argparse
import zlib
from collections.abc import Callable, Iterator

import numpy as np

from spinspectra.spectra.intervals import Interval, alpha_interval, profile_interval
from spinspectra.spectra.powerlaw import PowerLawFit, fit_power_law
from spinspectra.spectra.replicas import draw_tail
from spinspectra.spectra.tails import fit_tail

PARETO = [PowerLawFit("PL", "one-sided", alpha=alpha, xmin=1.0) for alpha in (1.5, 2.5, 5.0)]
BOUNDED = [PowerLawFit("PL", "one-sided", alpha=alpha, xmin=1.0, xmax=20.0, bounded=True) for alpha in (0.5, 2.5)]
CUTOFF = [PowerLawFit("TPL", "one-sided", alpha=alpha, xmin=1.0, cutoff=0.1) for alpha in (2.0, 3.5)]
LOGNORMAL = {"mu": 1.0, "sigma": 2.0}
BODY = 0.4

Check = tuple[str, Interval, float]  # parameter, interval, truth


def title(law: PowerLawFit) -> str:
    """The law in words, for a table."""
    end = " on [1, 20]" if law.bounded else "" if law.kind == "PL" else f", cutoff {law.cutoff}"
    return f"{law.kind}, alpha {law.alpha}{end}"


def draw_lognormal(n: int, rng: np.random.Generator) -> np.ndarray:
    """n draws above 1, by rejection."""
    x = np.empty(0)
    while x.size < n:
        draw = rng.lognormal(LOGNORMAL["mu"], LOGNORMAL["sigma"], 2 * n)
        x = np.append(x, draw[draw >= 1.0])
    return x[:n]


def check(law: PowerLawFit, n: int, rng: np.random.Generator) -> Iterator[Check]:
    """Intervals of one sample at the given xmin."""
    x = draw_tail(law, n, rng)
    if law.kind == "PL":
        fit = fit_power_law(x, xmin=1.0, xmax="force" if law.bounded else None, floor=0.0)
        yield "alpha", alpha_interval(fit), law.alpha
        return
    model = fit_tail(x, 1.0, "truncated_power_law")
    yield "alpha", profile_interval(x, model, "alpha"), law.alpha
    yield "cutoff", profile_interval(x, model, "cutoff"), law.cutoff


def check_lognormal(n: int, rng: np.random.Generator) -> Iterator[Check]:
    """The same of one lognormal sample."""
    x = draw_lognormal(n, rng)
    model = fit_tail(x, 1.0, "lognormal")
    yield "mu", profile_interval(x, model, "mu"), LOGNORMAL["mu"]
    yield "sigma", profile_interval(x, model, "sigma"), LOGNORMAL["sigma"]


def generator(law: str, n: int, repeat: int) -> np.random.Generator:
    """A stream of its own for each sample."""
    return np.random.default_rng([zlib.crc32(law.encode()), n, repeat])


def coverage(
    name: str, check_one: Callable[[int, np.random.Generator], Iterator[Check]], sizes: list[int], repeats: int
) -> dict[str, list[float]]:
    """Per cent of the intervals that hold the truth: a list over sizes for each parameter."""
    found: dict[str, list[float]] = {}
    for n in sizes:
        hits: dict[str, int] = {}
        for k in range(repeats):
            for parameter, interval, truth in check_one(n, generator(name, n, k)):
                hits[parameter] = hits.get(parameter, 0) + (interval.low <= truth <= interval.high)
        for parameter, count in hits.items():
            found.setdefault(parameter, []).append(100.0 * count / repeats)
    return found


def scanned(law: PowerLawFit, n: int, repeats: int, body: float) -> str:
    """Mean and median of (fitted - true) / sigma, xmin scanned; n data in all."""
    errors, sigmas = [], []
    for k in range(repeats):
        rng = generator(f"{title(law)}, {body}", n, k)
        below = round(body * n)
        x = np.concatenate([rng.random(below), draw_tail(law, n - below, rng)])
        fit = fit_power_law(x, law.kind, xmax="force" if law.bounded else None, floor=0.0)
        errors.append(fit.alpha - law.alpha)
        if law.kind == "PL":
            sigmas.append(fit_power_law(x, xmin=1.0, xmax="force" if law.bounded else None, floor=0.0).sigma)
        else:
            sigmas.append(fit_tail(x, 1.0, "truncated_power_law").alpha_stderr)
    unit = float(np.nanmean(sigmas))
    return f"{np.mean(errors) / unit:+.2f}, {np.median(errors) / unit:+.2f}"


def print_coverage(sizes: list[int], repeats: int) -> None:
    """The first table."""
    print(f"| law | parameter | {' | '.join(f'n = {n:,}' for n in sizes)} |")
    print(f"|---|---|{'---|' * len(sizes)}")
    laws: list[tuple[str, Callable[[int, np.random.Generator], Iterator[Check]]]] = [
        (title(law), lambda n, rng, law=law: check(law, n, rng)) for law in (*PARETO, *BOUNDED, *CUTOFF)
    ]
    for name, check_one in [*laws, ("lognormal, mu 1, sigma 2", check_lognormal)]:
        for parameter, shares in coverage(name, check_one, sizes, repeats).items():
            print(f"| {name} | {parameter} | {' | '.join(f'{share:.1f}' for share in shares)} |", flush=True)


def print_scanned(sizes: list[int], repeats: int, longest: int) -> None:
    """The second table."""
    print(f"| law | below 1 | {' | '.join(f'n = {n:,}' for n in sizes)} |")
    print(f"|---|---|{'---|' * len(sizes)}")
    for law in (*PARETO, *BOUNDED, *CUTOFF):
        for body in (0.0, BODY):
            cells = [
                "-" if (law.bounded or law.kind == "TPL") and n > longest else scanned(law, n, repeats, body)
                for n in sizes
            ]
            print(f"| {title(law)} | {body:.0%} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1000, 10_000])
    parser.add_argument("--longest-slow-scan", type=int, default=1000)
    options = parser.parse_args()
    print("95 % intervals at the given xmin: per cent that hold the truth\n")
    print_coverage(options.sizes, options.repeats)
    print("\nxmin scanned: mean, median error of alpha in standard errors\n")
    print_scanned(options.sizes, options.repeats, options.longest_slow_scan)


if __name__ == "__main__":
    main()
