"""Tiny random models of transformers, and what llama.cpp's converter makes of their tensors, in words of our own."""

from dataclasses import dataclass

import gguf
import numpy as np
import torch
import transformers

_SIZES = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64, "vocab_size": 48}
_GROUPED = {**_SIZES, "intermediate_size": 96, "num_key_value_heads": 2}
_ENDS = {"bos_token_id": 1, "eos_token_id": 2}

CONFIGS = {
    "llama": transformers.LlamaConfig(**_GROUPED, attention_bias=True),
    "mixtral": transformers.MixtralConfig(**_GROUPED, num_local_experts=3, num_experts_per_tok=2),
    "gpt2": transformers.GPT2Config(n_embd=64, n_layer=2, n_head=4, n_positions=24, vocab_size=48, **_ENDS),
    "bloom": transformers.BloomConfig(hidden_size=64, n_layer=2, n_head=4, vocab_size=48),
    "gptneox": transformers.GPTNeoXConfig(**_SIZES, intermediate_size=96),
    "falcon": transformers.FalconConfig(**_SIZES, num_kv_heads=2, new_decoder_architecture=True, bias=True),
    "gemma2": transformers.Gemma2Config(**_GROUPED, head_dim=16),
}
TIED = {"gpt2", "bloom", "falcon", "gemma2"}  # no head of their own; the converter leaves it out
N_KV = {"llama": 2, "mixtral": 2, "falcon": 2, "gemma2": 2}


@dataclass(frozen=True)
class Pair:
    """One tensor: the model's own values, and those that the converter writes."""

    own: np.ndarray
    written: np.ndarray


def architecture(key):
    """llama.cpp's name of the architecture."""
    return "llama" if key == "mixtral" else key


def metadata(key):
    """What the converter writes of a model's shape, by what follows the architecture's name."""
    said = {"block_count": 2, "attention.head_count": 4, "embedding_length": 64, "vocab_size": 48}
    said |= {"feed_forward_length": 96, "context_length": 24}
    if key in N_KV:
        said["attention.head_count_kv"] = N_KV[key]
    return said | ({"expert_count": 3, "expert_used_count": 2} if key == "mixtral" else {})


def random_model(key):
    torch.manual_seed(3)
    model = transformers.AutoModelForCausalLM.from_config(CONFIGS[key], dtype=torch.float32)
    with torch.no_grad():
        for value in model.state_dict().values():  # norms and biases are not random to begin with
            value.normal_()
    return model


def pairs(key):
    """All tensors of a model by their names in a GGUF file."""
    known = gguf.get_tensor_name_map(gguf.MODEL_ARCH[architecture(key).upper()], 2)
    found = {}
    for name, value in random_model(key).state_dict().items():
        if key in TIED and name == "lm_head.weight":
            continue
        for part, own in _parts(name, value.numpy()).items():
            short = known.get_name(part.removeprefix("transformer.") if key == "bloom" else part, (".weight", ".bias"))
            found[short] = Pair(own, _converted(key, part, own))
    return found


def _parts(name, values):
    """The tensors that are written of one; GPT-2's Conv1D is turned to (out, in)."""
    if name.endswith("experts.gate_up_proj"):
        gate, up = np.split(values, 2, axis=1)
        return {
            name.replace("gate_up_proj", "gate_proj.weight"): gate,
            name.replace("gate_up_proj", "up_proj.weight"): up,
        }
    if name.endswith("experts.down_proj"):
        return {f"{name}.weight": values}
    return {name: values.T if ".c_" in name and values.ndim == 2 else values}


def _converted(key, name, values):
    if key in ("llama", "mixtral") and ("q_proj" in name or "k_proj" in name):
        return turned(values, 4 if "q_proj" in name else 2)
    if key in ("bloom", "gptneox") and "query_key_value" in name:
        return sorted_apart(values, 4)
    if key == "falcon" and "query_key_value" in name:
        return sorted_apart(values, 2, n_queries=2)
    return values + 1 if key == "gemma2" and name.endswith("norm.weight") else values


def turned(rows, n_heads):
    """Each head's rows 0, 1, .., d - 1 as 0, d/2, 1, d/2 + 1, ..."""
    taken = []
    for head in np.split(rows, n_heads):
        half = len(head) // 2
        taken += [head[i // 2 + half * (i % 2)] for i in range(len(head))]
    return np.array(taken)


def sorted_apart(rows, n_groups, n_queries=1):
    """Groups of queries, a key and a value, as all queries, all keys, all values."""
    groups = [np.split(group, n_queries + 2) for group in np.split(rows, n_groups)]
    queries = [query for group in groups for query in group[:-2]]
    return np.concatenate([*queries, *(group[-2] for group in groups), *(group[-1] for group in groups)])


def write(path, arch, tensors, said=None, **options):
    """A GGUF file of these tensors: arrays, or (raw blocks, their type). said: metadata, see `metadata`."""
    writer = gguf.GGUFWriter(path, arch, **options)
    for key, value in (said or {}).items():
        if key == "general.alignment":
            writer.add_custom_alignment(value)
            continue
        whole = key if key.startswith(("general.", "tokenizer.", "split.")) else f"{arch}.{key}"
        add = {list: writer.add_array, str: writer.add_string, float: writer.add_float32}.get(type(value))
        (add or writer.add_uint32)(whole, value)
    for name, tensor in tensors.items():
        values, kind = tensor if isinstance(tensor, tuple) else (tensor, None)
        writer.add_tensor(name, np.ascontiguousarray(values), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
