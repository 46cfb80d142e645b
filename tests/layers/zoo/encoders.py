"""Encoders of text and of sound."""

from dataclasses import replace

from tests.layers.zoo.entry import (
    BERT,
    BLOCKS,
    ENCODER,
    HEADS,
    LLAMA,
    MLP,
    SIZES,
    TOKENS,
    WIDTH,
    Entry,
    Hidden,
    Modules,
    alike,
    one,
)

SOUND = SIZES | {
    "conv_dim": (8, 8),
    "conv_stride": (2, 2),
    "conv_kernel": (3, 3),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 4,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 29,
}
DISENTANGLED = ENCODER | {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
WAV2VEC2 = Modules(
    "encoder.layers",
    "attention",
    LLAMA.qkv,
    "attention.out_proj",
    (Hidden(("feed_forward.intermediate_dense",), "feed_forward.output_dense"),),
)

ENTRIES: tuple[Entry, ...] = (
    *alike(
        "BERT", ("bert", "bert-generation", "esm", "layoutlm", "megatron-bert", "rembert", "splinter"), ENCODER, BERT
    ),
    one("BERT", "big_bird", ENCODER | {"attention_type": "original_full"}, BERT),
    one("BERT", "roformer", ENCODER | {"embedding_size": WIDTH}, BERT),
    *alike("RoBERTa", ("roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "camembert"), ENCODER, BERT),
    one("ELECTRA", "electra", ENCODER | {"embedding_size": 8}, BERT),
    one("ERNIE", "ernie", ENCODER, BERT),
    one(
        "ALBERT",
        "albert",
        ENCODER | {"embedding_size": 8, "num_hidden_layers": 4, "num_hidden_groups": 2},
        Modules(
            "encoder.albert_layer_groups",
            "albert_layers.0.attention",
            ("query", "key", "value"),
            "albert_layers.0.attention.dense",
            (Hidden(("albert_layers.0.ffn",), "albert_layers.0.ffn_output"),),
        ),
    ),
    one(
        "DistilBERT",
        "distilbert",
        TOKENS | {"dim": WIDTH, "n_heads": HEADS, "n_layers": BLOCKS, "hidden_dim": MLP},
        Modules(
            "transformer.layer",
            "attention",
            ("q_lin", "k_lin", "v_lin"),
            "attention.out_lin",
            (Hidden(("ffn.lin1",), "ffn.lin2"),),
        ),
    ),
    one("DeBERTa", "deberta", DISENTANGLED, replace(BERT, qkv=("in_proj",))),
    one("DeBERTa", "deberta-v2", DISENTANGLED, replace(BERT, qkv=("query_proj", "key_proj", "value_proj"))),
    one(
        "MPNet",
        "mpnet",
        ENCODER,
        replace(BERT, attention="attention.attn", qkv=("q", "k", "v"), proj="attention.attn.o"),
    ),
    one(
        "ModernBERT",
        "modernbert",
        ENCODER,
        Modules("layers", "attn", ("Wqkv",), "attn.Wo", (Hidden(("mlp.Wi",), "mlp.Wo", halves=True),)),
    ),
    one("Nomic BERT", "nomic_bert", ENCODER, LLAMA),
    one("data2vec", "data2vec-text", ENCODER, BERT),
    one("data2vec", "data2vec-audio", SOUND, WAV2VEC2),
    *alike("wav2vec 2.0", ("wav2vec2", "hubert", "wavlm", "unispeech", "unispeech-sat"), SOUND, WAV2VEC2),
)
