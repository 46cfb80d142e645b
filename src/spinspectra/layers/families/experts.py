"""Mixtures of experts as many families store them; side by side they are the hidden units of a block."""

from dataclasses import replace

from spinspectra.layers.families.base import Mlp
from spinspectra.layers.families.llama import GATED, LAYOUT

# One tensor an expert on disk, all experts in one in memory since transformers 5.
NUMBERED = Mlp(
    ("mlp.experts.{e}.gate_proj.weight", "mlp.experts.{e}.up_proj.weight"), "mlp.experts.{e}.down_proj.weight"
)
STACKED = Mlp(("mlp.experts.gate_up_proj",), "mlp.experts.down_proj", gate="halves", stacked=True)

# Which choose among experts, or weigh the one that all share, and map to none of the chain's nodes.
ROUTERS = ("mlp.gate.weight", "mlp.router.weight", "mlp.gate.wg.weight", "mlp.shared_expert_gate.weight")


def shared_expert(module: str) -> Mlp:
    """An expert that every input goes through, gated as the others are."""
    inside = f"mlp.{module}."
    names = tuple(f"{inside}{part}_proj.weight" for part in ("gate", "up"))
    return Mlp(names, f"{inside}down_proj.weight", beside=True)


SHARED = tuple(map(shared_expert, ("shared_expert", "shared_experts", "shared_mlp")))

# Some store them input x output on disk (Qwen3-VL).
STACKED_TURNED = replace(STACKED, stored="in_out")

# Llama's attention; in each block a dense MLP or experts, with or without one that all share.
EXPERTS = replace(LAYOUT, mlps=(GATED, NUMBERED, STACKED, *SHARED), left_out=ROUTERS)
