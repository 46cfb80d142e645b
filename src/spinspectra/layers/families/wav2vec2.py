"""wav2vec 2.0 and the sound encoders of its kind; the convolutions before the blocks are no part of the chain."""

from spinspectra.layers.families.base import Family, Layout, Mlp

LAYOUT = Layout(
    block="encoder.layers.{i}.",
    qkv=("attention.q_proj.weight", "attention.k_proj.weight", "attention.v_proj.weight"),
    proj="attention.out_proj.weight",
    mlps=(Mlp(("feed_forward.intermediate_dense.weight",), "feed_forward.output_dense.weight"),),
    left_out=("attention.gru_rel_pos_*", "attention.rel_attn_embed.weight"),
)

WAV2VEC2 = Family(
    name="wav2vec 2.0",
    model_types=("wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat"),
    layouts=(LAYOUT,),
)
