"""The zoo as a table, and how well each measure orders its networks."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

import pandas as pd

from examples.zoo.plan import FAMILIES, LEARNED_BY_HEART, Network
from spinspectra.studies.chance import false_discovery_rates
from spinspectra.studies.measures import HEAT
from spinspectra.studies.rank_correlation import RankCorrelation, rank_correlation, within_groups

# What is known of whom trained the network, or told by anybody who counts its weights; a measure has to beat these.
BASELINES = (
    "parameters",
    "frobenius",
    "mean_square",
    "width",
    "depth",
    "steps",
    "weight_decay",
    "noise",
    "size",
    "train_loss",
)
# To be foretold: within a family, and where losses of all are compared, in units of what guessing loses.
TARGETS = {"quality": "skill", "gap": "skill_gap"}
RESULTS = (
    "train_accuracy",
    "train_loss",
    "test_accuracy",
    "test_loss",
    "guess_loss",
    "quality",
    "gap",
    *TARGETS.values(),
)
WITHIN, SAME_STEPS, ALL = "within families", "same family and steps", "all"
SCOPES = (*FAMILIES, WITHIN, SAME_STEPS, ALL)

_ERRORS = ("T_c_err", "T_c_shuffled_err")
_NO_MEASURES = {
    "name",
    "n_layers",
    "n_weights",
    "n_bonds",
    *_ERRORS,
    *RESULTS,
    *(field.name for field in fields(Network)),
}


def table(
    networks: Mapping[str, Network], trained: Mapping[str, Mapping[str, Any]], measured: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """A row a network: its name, factors, results and measures."""
    rows = [
        {"name": name, **asdict(network)}
        | {key: trained[name].get(key, float("nan")) for key in RESULTS}
        | {key: value for key, value in measured[name].items() if key != "seconds"}
        for name, network in networks.items()
    ]
    return pd.DataFrame(rows)


def measures_of(zoo: pd.DataFrame) -> list[str]:
    """Baselines first, then all that the package measures."""
    return [*BASELINES, *(name for name in zoo.columns if name not in _NO_MEASURES and name not in BASELINES)]


def correlations(zoo: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Kendall's tau of every measure with every target, a row a scope, interval by resampling networks.

    Scopes: each family; within families, over pairs of one family; over pairs of one family that were trained equally
    long, mlp-noise left out, where all were; all pairs. q: the false discovery rate at which the row would pass among
    all rows of its target (Benjamini, Hochberg 1995), NaN where there is no tau.
    """
    rows = [row for target in TARGETS for measure in measures_of(zoo) for row in _rows(zoo, measure, target, seed)]
    found = pd.DataFrame(rows)
    found["q"] = float("nan")
    for target in TARGETS:
        of_target = found["target"] == target
        found.loc[of_target, "q"] = false_discovery_rates(found.loc[of_target, "p"])
    return found


def _rows(zoo: pd.DataFrame, measure: str, target: str, seed: int) -> list[dict[str, Any]]:
    x, y = zoo[measure], zoo[target]
    family = zoo["family"].tolist()
    within = within_groups(x, y, family, seed=seed)
    varied = zoo[zoo["family"] != LEARNED_BY_HEART.family]
    equals = list(zip(varied["family"], varied["steps"], strict=True))
    taus = {str(name): found for name, found in within.groups.items()} | {
        WITHIN: within.pooled,
        SAME_STEPS: within_groups(varied[measure], varied[target], equals, seed=seed).pooled,
        ALL: rank_correlation(x, zoo[TARGETS[target]], seed=seed),
    }
    return [_row(measure, target, scope, taus[scope]) for scope in SCOPES if scope in taus]


def _row(measure: str, target: str, scope: str, found: RankCorrelation) -> dict[str, Any]:
    kind = "baseline" if measure in BASELINES else "heat" if measure in HEAT else "measure"
    return {
        "target": target,
        "measure": measure,
        "kind": kind,
        "scope": scope,
        "n": found.n,
        "tau": found.value,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "reason": found.reason,
    }
