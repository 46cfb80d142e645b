"""Encoders with decoders, of other depth and hidden units."""

from tests.layers.zoo.entry import BLOCKS, HEADS, MLP, OPT, TOKENS, WIDTH, Entry, Hidden, Modules

PAIR = TOKENS | {
    "d_model": WIDTH,
    "encoder_layers": BLOCKS,
    "decoder_layers": BLOCKS + 1,
    "encoder_attention_heads": HEADS,
    "decoder_attention_heads": HEADS,
    "encoder_ffn_dim": MLP,
    "decoder_ffn_dim": MLP + 2,
    "max_position_embeddings": 16,
}
T5 = TOKENS | {
    "d_model": WIDTH,
    "d_kv": 5,
    "d_ff": MLP,
    "num_layers": BLOCKS,
    "num_decoder_layers": BLOCKS + 1,
    "num_heads": HEADS,
}


def t5_side(side: str, mlp: int, attention: str = "SelfAttention") -> Modules:
    inside = f"layer.{mlp}.DenseReluDense."
    return Modules(
        f"{side}.block",
        f"layer.0.{attention}",
        ("q", "k", "v"),
        f"layer.0.{attention}.o",
        (Hidden((f"{inside}wi",), f"{inside}wo"), Hidden((f"{inside}wi_0", f"{inside}wi_1"), f"{inside}wo")),
    )


def t5(model_type: str, attention: str = "SelfAttention", note: str = "", **options: str) -> Entry:
    stacks = {"encoder.": t5_side("encoder", 1, attention), "decoder.": t5_side("decoder", 2)}
    return Entry("T5", model_type, T5 | options, stacks, inner=30, note=note)


def bart(family: str, model_type: str, **options: int) -> Entry:
    hidden = {"encoder.": MLP, "decoder.": MLP + 2}
    return Entry(family, model_type, PAIR | options, OPT.under("encoder", "decoder"), hidden=hidden)


BARTS = ("bart", "mbart", "pegasus", "marian", "m2m_100", "blenderbot", "blenderbot-small", "plbart")

ENTRIES: tuple[Entry, ...] = (
    t5("t5"),
    t5("t5", note=" 1.1", feed_forward_proj="gated-gelu"),
    t5("mt5"),
    t5("umt5"),
    t5("longt5", "LocalSelfAttention"),
    t5("longt5", "TransientGlobalSelfAttention", " global", encoder_attention_type="transient-global"),
    *(bart("BART", model_type) for model_type in BARTS),
    bart("Whisper", "whisper", num_mel_bins=8, max_source_positions=8),
    bart("Whisper", "speech_to_text", input_feat_per_channel=8, conv_channels=8),
)
