"""The published data of arXiv 2209.08678: readers, tables, and what the exact symmetry says of them."""

from spinspectra.studies.published.heat import NetworkHeat, network_heat
from spinspectra.studies.published.ours import Ours, read_ours
from spinspectra.studies.published.reading import (
    SIZES,
    ChainSize,
    HeatCurve,
    Published,
    PublishedError,
    TaskCurve,
    Twins,
    read_published,
)
from spinspectra.studies.published.symmetry import CurveFacts, facts_of, mirrored, symmetric_width
from spinspectra.studies.published.tables import block_table, curve_table, fraction_table, heat_table, network_table
from spinspectra.studies.published.tasks import rank_table, task_errors, task_table

__all__ = [
    "SIZES",
    "ChainSize",
    "CurveFacts",
    "HeatCurve",
    "NetworkHeat",
    "Ours",
    "Published",
    "PublishedError",
    "TaskCurve",
    "Twins",
    "block_table",
    "curve_table",
    "facts_of",
    "fraction_table",
    "heat_table",
    "mirrored",
    "network_heat",
    "network_table",
    "rank_table",
    "read_ours",
    "read_published",
    "symmetric_width",
    "task_errors",
    "task_table",
]
