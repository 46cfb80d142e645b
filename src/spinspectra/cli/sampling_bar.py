"""Progress of a density's sampling on the terminal: how far, what holds it up, how long it will take."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn

from spinspectra.cli.output import bar_of, signed
from spinspectra.ising.tempering import TemperingRound
from spinspectra.ising.wang_landau import WangLandauProgress


@contextmanager
def sampling_bar(title: str, n_spins: int) -> Iterator[Callable[[Any], None]]:
    """A bar on standard error if that is a terminal; gives a function to call with each report of a sampler."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), TimeElapsedColumn())
    with bar_of(*columns) as bar:
        task = bar.add_task(f"{title}: searching the lowest energy", total=None)
        first: list[tuple[float, float]] = []  # share done and time of the first report, which a resumed run has late

        def tell(report: TemperingRound | WangLandauProgress) -> None:
            if isinstance(report, TemperingRound):
                share, words = report.round / report.rounds, tempering_words(report, n_spins)
            else:
                share, words = report.share, wang_landau_words(report)
            if not first:
                first.append((share, time.monotonic()))
            left = remaining(share, share - first[0][0], time.monotonic() - first[0][1])
            bar.update(task, description=f"{title}: {words}{left}", completed=share, total=1.0)

        yield tell


def tempering_words(report: TemperingRound, n_spins: int) -> str:
    """`sampling, 144 temperatures 0.62 to 157, swaps 0.19 to 0.52, 12 round trips, lowest E/N -2.68`."""
    warm = [beta for beta in report.betas.tolist() if beta > 0.0]
    words = [report.stage, f"{report.betas.size} temperatures {1.0 / warm[-1]:.3g} to {1.0 / warm[0]:.3g}"]
    if np.isfinite(report.swap_rates).any():
        words.append(f"swaps {np.nanmin(report.swap_rates):.2f} to {np.nanmax(report.swap_rates):.2f}")
        words.append(f"{report.round_trips} round trips")
    if np.isfinite(report.lowest):
        words.append(f"lowest E/N {signed(report.lowest / n_spins, 4)}")
    return ", ".join(words)


def wang_landau_words(report: WangLandauProgress) -> str:
    """`round 120, 5 of 62 walks left, ln f 3.2e-05 in window 17, the slowest, swaps 0.21 to 0.55`."""
    words = [f"round {report.round}", f"{report.unfinished} of {report.walks} walks left"]
    if report.unfinished:
        words.append(f"ln f {report.ln_f[report.slowest]:.1e} in window {report.slowest}, the slowest")
    if np.isfinite(report.swap_rates).any():
        words.append(f"swaps {np.nanmin(report.swap_rates):.2f} to {np.nanmax(report.swap_rates):.2f}")
    return ", ".join(words)


def remaining(share: float, gained: float, seconds: float) -> str:
    """`, 3:20 left`, if `gained` of the work took so long and `share` of it is done; nothing while too little is."""
    if not (gained > 0.01 and share < 1.0):
        return ""
    left = round(seconds * (1.0 - share) / gained)
    hours, minutes = left // 3600, f"{left // 60 % 60}:{left % 60:02}"
    return f", {hours}:{minutes:0>5} left" if hours else f", {minutes} left"
