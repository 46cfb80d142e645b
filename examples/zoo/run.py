"""Train the zoo, measure it, and see which measures tell the good networks.

    python -m examples.zoo OUT

OUT gets networks/<name>/, one a network; trained.json, measured.json and heats.json, written after each network, so
that the same command after an interruption goes on where it was, and measures anew what was trained anew; zoo.csv,
correlations.csv and the figures, which docs/zoo.md reads.
`pip install spinspectra[examples]`, and well under an hour on two processor cores.
"""

import argparse
import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from examples.zoo.plan import Network, plan
from spinspectra.cores import n_cores
from spinspectra.files import whole_file
from spinspectra.studies.points import run_points

TRAINED, MEASURED, HEATS, NETWORKS = "trained", "measured", "heats", "networks"

Found = dict[str, dict[str, Any]]
Work = Callable[[Path, tuple[str, Network]], Mapping[str, Any]]


def train_point(out: Path, point: tuple[str, Network]) -> Mapping[str, Any]:
    """One network by its name; heavy imports stay in the process that trains."""
    from examples.zoo.train import train

    name, network = point
    return train(network, out / NETWORKS / name)


def measure_point(out: Path, point: tuple[str, Network]) -> Mapping[str, Any]:
    """The measures of one network by its name, all but those of heat."""
    from examples.zoo.measure import measure

    return measure(out / NETWORKS / point[0])


def heat_point(out: Path, point: tuple[str, Network]) -> Mapping[str, Any]:
    """The measures of heat of one network by its name."""
    from examples.zoo.measure import heat

    return heat(out / NETWORKS / point[0])


def train_and_measure(
    networks: Mapping[str, Network], out: Path, heat: bool, executor: Executor
) -> tuple[Found, Found]:
    """What is known of every network, and its measures; only what is missing is worked on."""
    identity = {"networks": {name: str(network) for name, network in networks.items()}}

    def study(what: str, work: Work, keys: Mapping[str, str]) -> Found:
        def tell(key: str, n_known: int) -> None:
            print(f"{what} {n_known}/{len(keys)} {key}", flush=True)

        points = {key: (name, networks[name]) for name, key in keys.items()}
        found = run_points(points, partial(work, out), identity, out / f"{what}.json", executor, tell)
        return {name: found[key] for name, key in keys.items()}

    trained = study(TRAINED, train_point, {name: name for name in networks})
    keys = {name: f"{name} {weights_digest(out / NETWORKS / name)}" for name in networks}
    measured = study(MEASURED, measure_point, keys)
    if not heat:
        return trained, measured
    heats = study(HEATS, heat_point, keys)
    return trained, {name: found | heats[name] for name, found in measured.items()}


def weights_digest(folder: Path) -> str:
    """Of the weights' files, as a short word: networks trained again are not taken for those measured before."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(folder.glob("*.safetensors")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def write_tables(networks: Mapping[str, Network], trained: Found, measured: Found, out: Path) -> None:
    """zoo.csv, correlations.csv and the figures."""
    from examples.zoo import correlations, figures

    zoo = correlations.table(networks, trained, measured)
    found = correlations.correlations(zoo)
    for name, table in (("zoo", zoo), ("correlations", found)):
        with whole_file(out / f"{name}.csv") as part:
            table.to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
    figures.draw_taus(found, out / "zoo-taus.png")
    figures.draw_scatter(zoo, out / "zoo-scatter.png")


def workers(n: int) -> ProcessPoolExecutor:
    """Processes that work quietly on a thread each."""
    return ProcessPoolExecutor(n, get_context("spawn"), _quiet_and_alone)


def _quiet_and_alone() -> None:
    import torch
    import transformers

    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()


def main() -> None:
    """Do what is missing."""
    parser = argparse.ArgumentParser(prog="python -m examples.zoo", description="Which measure tells good networks?")
    parser.add_argument("out", type=Path, metavar="OUT", help="folder for networks, records, tables and figures")
    parser.add_argument("--seed", type=int, default=0, help="of the plan (default: 0)")
    parser.add_argument("--workers", type=int, default=n_cores(), help="processes (default: one a core)")
    parser.add_argument("--no-heat", action="store_true", help="leave out T_c, most of the time that measuring takes")
    arguments = parser.parse_args()
    networks = plan(arguments.seed)
    with workers(arguments.workers) as executor:
        trained, measured = train_and_measure(networks, arguments.out, not arguments.no_heat, executor)
    write_tables(networks, trained, measured, arguments.out)
