"""Architectures that are known and make no chain of the kind built here, and why, by the tensors that tell them."""

from collections.abc import Iterable
from fnmatch import fnmatchcase

_LATENT = (
    "multi-head latent attention (MLA), where queries, keys and values go through narrow maps with norms between, so "
    "that no W_Q + W_K + W_V exists"
)
_STATE_SPACE = "state-space layers (Mamba), which have no queries, keys and values"
_LINEAR = "linear attention with gates of its own, which the chain has no nodes for"

REFUSED = {
    "*.kv_a_proj_with_mqa.weight": _LATENT,
    "*.attn_kv_a_mqa.weight": _LATENT,
    "*.A_log": _STATE_SPACE,
    "*.ssm_a": _STATE_SPACE,
    "*.linear_attn.in_proj_*.weight": _LINEAR,
}


def why_refused(names: Iterable[str]) -> str:
    """What is among these tensors that makes no chain; empty if nothing known is."""
    names = list(names)
    for pattern, reason in REFUSED.items():
        if any(fnmatchcase(name, pattern) for name in names):
            return reason
    return ""
