"""The names that llama.cpp gives to the tensors of any family, as GGUF files have them: `blk.0.attn_q.weight`.

Which layout a family has follows from what `convert_hf_to_gguf.py` does with its tensors; the reader gives them in the
row order of the model they were made from (`weights.gguf.model`).
"""

from dataclasses import replace

from spinspectra.layers.families.base import Layout, Mlp

_BLOCK = "blk.{i}."
_SEPARATE = ("attn_q.weight", "attn_k.weight", "attn_v.weight")
_FUSED = ("attn_qkv.weight",)
_PROJ = "attn_output.weight"
_GATED = Mlp(("ffn_gate.weight", "ffn_up.weight"), "ffn_down.weight")
_PLAIN = Mlp(("ffn_up.weight",), "ffn_down.weight")
_HALVES = Mlp(("ffn_up.weight",), "ffn_down.weight", gate="halves")
_EXPERTS = Mlp(("ffn_gate_exps.weight", "ffn_up_exps.weight"), "ffn_down_exps.weight", stacked=True)
_EXPERTS_2023 = Mlp(("ffn_gate.{e}.weight", "ffn_up.{e}.weight"), "ffn_down.{e}.weight")
_SHARED = Mlp(("ffn_gate_shexp.weight", "ffn_up_shexp.weight"), "ffn_down_shexp.weight", beside=True)
_LEFT_OUT = ("ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight", "attn_q_norm.weight", "attn_k_norm.weight")

GGUF_GATED = Layout(_BLOCK, _SEPARATE, _PROJ, (_GATED, _EXPERTS, _EXPERTS_2023, _SHARED), left_out=_LEFT_OUT)
GGUF_PLAIN = Layout(_BLOCK, _SEPARATE, _PROJ, (_PLAIN,), left_out=_LEFT_OUT)
GGUF_HALVES = Layout(_BLOCK, _SEPARATE, _PROJ, (_HALVES,))
GGUF_ROWS = Layout(_BLOCK, _FUSED, _PROJ, (_PLAIN,), fusion="rows")
GGUF_ROWS_GATED = replace(GGUF_ROWS, mlps=(_GATED,))
GGUF_ROWS_HALVES = replace(GGUF_ROWS, mlps=(_HALVES,))
GGUF_GROUPS = replace(GGUF_ROWS, fusion="groups")
# T5: encoder and decoder under `enc.` and `dec.`; what couples the two is left out.
GGUF_T5 = tuple(
    Layout(_BLOCK, _SEPARATE, "attn_o.weight", (mlp,), left_out=("cross_attn_*", "attn_rel_b.weight"))
    for mlp in (_GATED, _PLAIN)
)
