"""Every registered family, held against what its own modules compute, from disk and from memory; both halves run."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spinspectra import IsingChain, analyze, open_weights, quench
from spinspectra.layers import recognise
from spinspectra.layers.families import FAMILIES
from tests.layers.models import ROLES, disk_arrays, memory_arrays, save
from tests.layers.oracle import acts_of, assert_acts
from tests.layers.zoo import ENTRIES, Entry, model_of

STACKS = [(entry, prefix) for entry in ENTRIES for prefix in entry.stacks]
EVERY = pytest.mark.parametrize("entry", ENTRIES, ids=str)
EVERY_STACK = pytest.mark.parametrize(
    ("entry", "prefix"), STACKS, ids=[f"{entry} {prefix}".rstrip() for entry, prefix in STACKS]
)

# What config.json has been seen to say of models that transformers has no code for.
ELSEWHERE = {"RefinedWeb", "RefinedWebModel", "deepseek"}
# Families whose names come without a config.json; see test_torch_names.
WITHOUT_CONFIG = {"OpenCLIP", "timm ViT", "torchvision ViT", "torch.nn.Transformer"}


def sources(entry: Entry, prefix: str, folder: Path) -> list[tuple[Any, str | None]]:
    """The ways a model can be opened, each with its prefix there: by the names of disk, and by those of memory."""
    model = model_of(entry)
    config = model.config.to_dict()
    arrays = disk_arrays(model, folder)
    on_disk = [folder, folder / "model.safetensors", open_weights(arrays, config=config)]
    in_memory = [model, open_weights(memory_arrays(model), config=config)]
    return [(one, disk_prefix(entry, prefix)) for one in on_disk] + [(one, prefix or None) for one in in_memory]


def disk_prefix(entry: Entry, prefix: str) -> str | None:
    return entry.on_disk.get(prefix, prefix) or None


@EVERY_STACK
def test_couplings_are_what_the_modules_compute(entry: Entry, prefix: str, tmp_path: Path) -> None:
    chains = [IsingChain.from_weights(one, prefix=at) for one, at in sources(entry, prefix, tmp_path)]
    acts = acts_of(model_of(entry), entry.stacks[prefix])
    n_blocks = len(chains[0].couplings) // len(ROLES)
    assert_acts(list(chains[0].couplings), acts, n_blocks)
    for chain in chains[1:]:
        np.testing.assert_array_equal(chain.flat, chains[0].flat)
        assert (chain.nodes, chain.labels) == (chains[0].nodes, chains[0].labels)
    assert chains[0].labels == tuple(f"{block}.{role}" for block in range(n_blocks) for role in ROLES)


@EVERY_STACK
def test_spins_and_bonds_by_formula(entry: Entry, prefix: str, tmp_path: Path) -> None:
    model = model_of(entry)
    blocks = model.get_submodule(entry.stacks[prefix].blocks)
    n_blocks = model.config.num_hidden_layers if entry.family == "ALBERT" else len(blocks)
    chain = IsingChain.from_weights(save(model, tmp_path), prefix=disk_prefix(entry, prefix))
    nodes = entry.nodes(prefix, n_blocks)
    assert list(chain.nodes) == nodes
    assert chain.n_spins == sum(nodes)
    assert chain.n_bonds == sum(before * after for before, after in pairwise(nodes))
    assert recognise(open_weights(tmp_path), disk_prefix(entry, prefix)).name == entry.family


@EVERY
def test_both_halves_run(entry: Entry, tmp_path: Path) -> None:
    """`analyze` fits every matrix in the blocks, and a quench of each chain ends below E = 0, the mean."""
    folder = save(model_of(entry), tmp_path)
    table = analyze(folder, min_evals=1)
    fitted = set(table.loc[table["status"] == "success", "longname"])
    for prefix in entry.stacks:
        at = disk_prefix(entry, prefix)
        network = recognise(open_weights(folder), at)
        tensors = {name for matrix in network.block_matrices() for name in matrix.tensors}
        assert {name.removesuffix(".weight") for name in tensors} <= fitted
        assert quench(IsingChain.from_weights(folder, prefix=at), seed=1).energy < 0.0


@pytest.mark.parametrize(
    ("like", "config"),
    [
        ("falcon 7b", {"model_type": "RefinedWebModel", "n_head": 6, "n_layer": 2, "multi_query": True}),
        ("falcon 40b", {"model_type": "RefinedWeb", "n_head": 6, "n_head_kv": 2, "n_layer": 2}),
        ("dots1", {"model_type": "deepseek", "num_key_value_heads": 2, "n_routed_experts": 3}),
    ],
)
def test_models_that_transformers_has_no_code_for(like: str, config: dict[str, Any], tmp_path: Path) -> None:
    """Their names are those of others; their config.json has words of its own."""
    entry = next(entry for entry in ENTRIES if str(entry) == like)
    weights = open_weights(disk_arrays(model_of(entry), tmp_path), config=config)
    np.testing.assert_array_equal(IsingChain.from_weights(weights).flat, IsingChain.from_weights(tmp_path).flat)
    assert recognise(weights).name == entry.family


def test_every_family_and_model_type_has_an_entry() -> None:
    named = {(family.name, kind) for family in FAMILIES for kind in family.model_types if kind not in ELSEWHERE}
    assert {(entry.family, entry.model_type) for entry in ENTRIES} == named
    assert {family.name for family in FAMILIES if not family.model_types} == WITHOUT_CONFIG


def test_no_two_families_share_a_model_type_or_a_name() -> None:
    types = [kind for family in FAMILIES for kind in family.model_types]
    assert len(types) == len(set(types))
    assert len(FAMILIES) == len({family.name for family in FAMILIES})
