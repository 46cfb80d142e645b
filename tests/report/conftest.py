"""Pages written once a run, and the browser that opens them."""

import os
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinspectra import IsingChain, density_of_states
from spinspectra.errors import DoubtWarning
from spinspectra.report import write_report
from spinspectra.studies.ground import Search, shuffled_twin
from tests.report.pages import hostile, noise, opt

NO_BROWSER = "SPINSPECTRA_NO_BROWSER"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="session")
def densities(folder) -> list[Path]:
    """Of the small network and of its shuffled twin, quickly sampled."""
    chain = IsingChain.from_weights(opt())
    paths = []
    for name, one in (("dos", chain), ("dos_shuffled", shuffled_twin(chain, Search()))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DoubtWarning)
            found = density_of_states(one, n_bins=60, seed=0, sweeps=60, runs=2)
        paths.append(folder / f"{name}.nc")
        found.save(paths[-1])
    return paths


@pytest.fixture(scope="session")
def one(folder, densities) -> Path:
    """Of a small network with a chain, everything asked for."""
    return write_report(opt(), folder / "one.html", densities=densities, command="spinspectra report opt")


@pytest.fixture(scope="session")
def two(folder) -> Path:
    """Of two checkpoints that differ in one matrix."""
    other = opt()
    other["model.decoder.layers.0.fc1.weight"] = 1.5 * other["model.decoder.layers.0.fc1.weight"]
    return write_report(opt(), folder / "two.html", compare_to=other)


@pytest.fixture(scope="session")
def attacked(folder) -> Path:
    (folder / "<img src=x>").mkdir()
    source = folder / "<img src=x>" / "<svg>.npz"
    np.savez(source, **hostile())
    return write_report(source, folder / "attacked.html", ising=False, command="spinspectra report '<object>'")


@pytest.fixture(scope="session")
def untrained(folder) -> Path:
    return write_report(noise(), folder / "noise.html", ising=False)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium. Without one these tests fail, unless whoever runs them says that there is none."""
    if os.environ.get(NO_BROWSER):
        pytest.skip(f"{NO_BROWSER} is set: pages are not opened in a browser")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.fail(
            f"no {' or '.join(BROWSERS)} on the PATH: apt-get install chromium, or set {NO_BROWSER}=1 to leave out the "
            "tests that open pages",
            pytrace=False,
        )
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path)
        yield opened
        opened.close()
