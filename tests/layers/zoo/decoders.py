"""Decoders whose blocks are dense."""

from dataclasses import replace

from tests.layers.zoo.entry import (
    BLOCKS,
    BLOOM,
    DECODER,
    ENCODER,
    FC,
    GPT2,
    HEADS,
    KV_HEADS,
    LLAMA,
    MLP,
    NEOX,
    OPT,
    TOKENS,
    WIDTH,
    Entry,
    Hidden,
    Modules,
    alike,
    one,
)

WIDE = DECODER | {"head_dim": 6}
GPT = TOKENS | {"n_embd": WIDTH, "n_head": HEADS, "n_inner": MLP, "n_layer": BLOCKS, "n_positions": 16}
NEO = {"num_layers": BLOCKS, "attention_types": [[["global", "local"], 1]], "num_heads": HEADS}
HALVES = replace(LLAMA, hidden=(Hidden(("mlp.gate_up_proj",), "mlp.down_proj", halves=True),))
UNGATED = replace(LLAMA, hidden=(Hidden(("mlp.up_proj",), "mlp.down_proj"),))
PARTLY_TURNED = DECODER | {"partial_rotary_factor": 0.5, "qk_layernorm": True}
FALCONS = {
    " 7b": {"multi_query": True},
    " 40b": {"new_decoder_architecture": True, "num_kv_heads": KV_HEADS},
    " rw": {"multi_query": False, "alibi": True},
}

ENTRIES: tuple[Entry, ...] = (
    one("GPT-2", "gpt2", GPT, GPT2),
    one("GPT-2", "openai-gpt", GPT, GPT2, hidden=4 * WIDTH),
    one("GPT-2", "imagegpt", GPT, GPT2),
    one(
        "OPT",
        "opt",
        ENCODER | {"ffn_dim": MLP, "word_embed_proj_dim": 8},
        replace(OPT, blocks="decoder.layers"),
    ),
    one("OPT", "xglm", TOKENS | {"d_model": WIDTH, "ffn_dim": MLP, "num_layers": 2, "attention_heads": HEADS}, OPT),
    one("OPT", "biogpt", ENCODER, OPT),
    one("BLOOM", "bloom", TOKENS | {"hidden_size": WIDTH, "n_head": HEADS, "n_layer": BLOCKS}, BLOOM, hidden=96),
    *(
        one("Falcon", "falcon", ENCODER | {"ffn_hidden_size": MLP, **variant}, BLOOM, note=note)
        for note, variant in FALCONS.items()
    ),
    one("GPT-NeoX", "gpt_neox", ENCODER, NEOX),
    one("GPT-NeoX", "gpt_neox_japanese", ENCODER | {"intermediate_multiple_size": 2}, NEOX, hidden=48),
    one("Persimmon", "persimmon", ENCODER, replace(NEOX, attention="self_attn", proj="self_attn.dense")),
    one(
        "MPT",
        "mpt",
        TOKENS | {"d_model": WIDTH, "n_heads": HEADS, "n_layers": BLOCKS, "expansion_ratio": 2},
        Modules("blocks", "attn", ("Wqkv",), "attn.out_proj", (Hidden(("ffn.up_proj",), "ffn.down_proj"),)),
        hidden=96,
    ),
    one(
        "GPT-J",
        "gptj",
        GPT | {"rotary_dim": 2},
        Modules("h", "attn", LLAMA.qkv, "attn.out_proj", (Hidden(("mlp.fc_in",), "mlp.fc_out"),)),
    ),
    one(
        "GPT-Neo",
        "gpt_neo",
        TOKENS | NEO | {"hidden_size": WIDTH, "intermediate_size": MLP},
        replace(GPT2, attention="attn.attention", qkv=LLAMA.qkv, proj="attn.attention.out_proj"),
    ),
    one("GPT-BigCode", "gpt_bigcode", GPT, GPT2, note=" one key"),
    one("GPT-BigCode", "gpt_bigcode", GPT | {"multi_query": False}, GPT2, note=" all keys"),
    one("StarCoder2", "starcoder2", DECODER, replace(LLAMA, hidden=(Hidden(("mlp.c_fc",), "mlp.c_proj"),))),
    *alike("Llama", ("llama", "cwm", "eurobert", "exaone4", "helium", "seed_oss"), DECODER, LLAMA),
    *alike("Mistral", ("mistral", "ministral", "ministral3"), WIDE, LLAMA, inner=36),
    *alike("Qwen", ("qwen2", "qwen3"), DECODER, LLAMA),
    *alike("Gemma", ("gemma", "gemma2", "gemma3_text", "vaultgemma"), WIDE, LLAMA, inner=36),
    one("Phi", "phi", PARTLY_TURNED, replace(LLAMA, proj="self_attn.dense", hidden=FC)),
    one("Phi-3", "phi3", DECODER, replace(HALVES, qkv=("qkv_proj",))),
    one("StableLM", "stablelm", PARTLY_TURNED, LLAMA),
    one("Cohere", "cohere", DECODER | {"use_qk_norm": True}, LLAMA),
    one("Cohere", "cohere2", DECODER, LLAMA),
    *alike("OLMo", ("olmo", "olmo2", "olmo3"), DECODER, LLAMA),
    one("Granite", "granite", DECODER, LLAMA),
    one("SmolLM3", "smollm3", DECODER, LLAMA),
    *alike("GLM", ("glm", "glm4"), DECODER, HALVES),
    *alike("Nemotron", ("nemotron", "arcee", "apertus", "jais2"), DECODER, UNGATED),
    one("ERNIE 4.5", "ernie4_5", DECODER, LLAMA),
    one("Hunyuan", "hunyuan_v1_dense", DECODER, LLAMA),
)
