"""Mixtures of experts: 3 experts of 10 hidden units or as many as the MLP has, in some blocks or in all."""

from dataclasses import replace

from tests.layers.zoo.entry import DECODER, LLAMA, MLP, Entry, Hidden, alike, gated, one

EXPERTS, EXPERT, SHARED = 3, 10, 14
MOE = DECODER | {
    "num_experts": EXPERTS,
    "num_local_experts": EXPERTS,
    "n_routed_experts": EXPERTS,
    "moe_num_experts": EXPERTS,
    "num_experts_per_tok": 2,
    "moe_topk": 2,
    "moe_intermediate_size": EXPERT,
    "shared_expert_intermediate_size": SHARED,
    "shared_intermediate_size": SHARED,
}
DENSE_FIRST = MOE | {"mlp_only_layers": [0], "first_k_dense_replace": 1, "moe_layer_start_index": 1}
TWO_SHARED = DENSE_FIRST | {"n_shared_experts": 2, "moe_num_shared_experts": 2}
LLAMA4_SIZES = {"moe_layers": [1], "intermediate_size": EXPERT, "intermediate_size_mlp": MLP}
PLAIN_HEADS = {"use_qk_norm": False, "attn_temperature_tuning": False}

MIXED = replace(
    LLAMA,
    hidden=tuple(map(gated, ("mlp", "mlp.shared_expert", "mlp.shared_experts", "mlp.shared_mlp"))),
    experts="mlp.experts",
)
GRANITE = replace(
    LLAMA,
    hidden=(Hidden(("shared_mlp.input_linear",), "shared_mlp.output_linear", halves=True),),
    experts="block_sparse_moe.experts",
)
LLAMA4 = replace(
    LLAMA,
    hidden=(gated("feed_forward"), gated("feed_forward.shared_expert")),
    experts="feed_forward.experts",
)

ENTRIES: tuple[Entry, ...] = (
    *alike("Mixtral", ("mixtral", "minimax_m2"), MOE, MIXED, hidden=EXPERTS * MLP),
    one("PhiMoE", "phimoe", MOE, MIXED, hidden=EXPERTS * MLP),
    one("Qwen", "qwen2_moe", DENSE_FIRST, MIXED, hidden=(MLP, EXPERTS * EXPERT + SHARED)),
    one("Qwen", "qwen3_moe", DENSE_FIRST, MIXED, hidden=(MLP, EXPERTS * EXPERT)),
    *alike("OLMo", ("olmoe", "flex_olmo"), MOE, MIXED, hidden=EXPERTS * MLP),
    one("Granite", "granitemoe", MOE, GRANITE, hidden=EXPERTS * MLP),
    one("Granite", "granitemoeshared", MOE, GRANITE, hidden=EXPERTS * MLP + SHARED),
    one("GPT-OSS", "gpt_oss", MOE, MIXED, hidden=EXPERTS * MLP),
    one(
        "Llama 4",
        "llama4_text",
        MOE | LLAMA4_SIZES | PLAIN_HEADS,
        LLAMA4,
        hidden=(MLP, EXPERTS * EXPERT + EXPERT),
    ),
    one("DeepSeek", "dots1", TWO_SHARED, MIXED, hidden=(MLP, (EXPERTS + 2) * EXPERT)),
    one("GLM", "glm4_moe", TWO_SHARED, MIXED, hidden=(MLP, (EXPERTS + 2) * EXPERT)),
    one("ERNIE 4.5", "ernie4_5_moe", TWO_SHARED, MIXED, hidden=(MLP, (EXPERTS + 2) * EXPERT)),
    one("Hunyuan", "hunyuan_v1_moe", MOE, MIXED, hidden=(EXPERTS + 1) * MLP),
)
