"""Falcon, in three variants, all by groups of queries: a group a head, one for all, or as many as config.json says."""

from spinspectra.layers.families.base import Family
from spinspectra.layers.families.bloom import LAYOUTS

FALCON = Family(name="Falcon", model_types=("falcon", "RefinedWeb", "RefinedWebModel"), layouts=LAYOUTS)
