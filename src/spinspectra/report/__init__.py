"""One self-contained HTML page on a checkpoint, or on what changed between several: verdict, spectra, spins, origin."""

from spinspectra.report.write import write_report

__all__ = ["write_report"]
