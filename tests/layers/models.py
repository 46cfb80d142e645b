"""Tiny random models of every family, and what goes through their own forward pass.

No two sizes that meet are alike by accident: width 12 with 3 heads of dimension 4, MLP 20 (BLOOM: always 4 x width),
and every parameter is random, biases and norms included, so that what should be left out of a chain shows if it is not.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from safetensors.numpy import load_file
from transformers.pytorch_utils import Conv1D

from spinspectra import IsingChain

WIDTH, HEADS, MLP, BLOCKS = 12, 3, 20, 3
ROLES = ("qkv", "proj", "fc1", "fc2")
TEXT: dict[str, Any] = {"vocab_size": 29, "bos_token_id": 1, "eos_token_id": 2}
ENCODER: dict[str, Any] = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "intermediate_size": MLP}
IMAGE: dict[str, Any] = {**ENCODER, "image_size": 6, "patch_size": 2, "num_channels": 2}


@dataclass(frozen=True)
class Case:
    """A family as transformers builds it.

    name: as spinspectra calls it. bare and headed: model classes. config: makes a configuration of so many blocks.
    prefix: what stands before the block names in a saved model with a head, and bare_prefix in one without.
    blocks, first, proj, fc1, fc2: modules of the bare model in memory; `first` receives the input of attention.
    """

    name: str
    bare: type
    headed: type
    config: Callable[..., Any]
    prefix: str
    blocks: str
    first: str
    proj: str
    fc1: str
    fc2: str
    bare_prefix: str = ""
    mlp: int = MLP


def gpt2(n_blocks: int = BLOCKS) -> Any:
    return transformers.GPT2Config(n_embd=WIDTH, n_head=HEADS, n_inner=MLP, n_layer=n_blocks, n_positions=10, **TEXT)


def opt(n_blocks: int = BLOCKS) -> Any:
    sizes = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "ffn_dim": MLP, "word_embed_proj_dim": 8}
    smooth = {"activation_function": "gelu"}  # with ReLU dead units hide rows of fc2
    return transformers.OPTConfig(**sizes, **smooth, num_hidden_layers=n_blocks, max_position_embeddings=10, **TEXT)


def bloom(n_blocks: int = BLOCKS) -> Any:
    return transformers.BloomConfig(hidden_size=WIDTH, n_head=HEADS, n_layer=n_blocks, **TEXT)


def bert(n_blocks: int = BLOCKS, **options: Any) -> Any:
    sizes = {**ENCODER, "num_hidden_layers": n_blocks, "max_position_embeddings": 10}
    return transformers.BertConfig(**sizes, vocab_size=29, **options)


def beit(n_blocks: int = BLOCKS) -> Any:
    tables = {"use_relative_position_bias": True, "use_absolute_position_embeddings": True}
    return transformers.BeitConfig(**IMAGE, **tables, num_hidden_layers=n_blocks, vocab_size=29)


def deit(n_blocks: int = BLOCKS) -> Any:
    return transformers.DeiTConfig(**IMAGE, num_hidden_layers=n_blocks)


def vit(n_blocks: int = BLOCKS, **options: Any) -> Any:
    return transformers.ViTConfig(**IMAGE, num_hidden_layers=n_blocks, **options)


GPT2_NAMES = {"blocks": "h", "first": "attn.c_attn", "proj": "attn.c_proj", "fc1": "mlp.c_fc", "fc2": "mlp.c_proj"}
OPT_NAMES = {
    "blocks": "decoder.layers",
    "first": "self_attn.q_proj",
    "proj": "self_attn.out_proj",
    "fc1": "fc1",
    "fc2": "fc2",
}
BLOOM_NAMES = {
    "blocks": "h",
    "first": "self_attention.query_key_value",
    "proj": "self_attention.dense",
    "fc1": "mlp.dense_h_to_4h",
    "fc2": "mlp.dense_4h_to_h",
}
BERT_NAMES = {
    "blocks": "encoder.layer",
    "first": "attention.self.query",
    "proj": "attention.output.dense",
    "fc1": "intermediate.dense",
    "fc2": "output.dense",
}
VISION_NAMES = {
    "blocks": "layers",
    "first": "attention.q_proj",
    "proj": "attention.o_proj",
    "fc1": "mlp.fc1",
    "fc2": "mlp.fc2",
}
t = transformers
ALL_CASES = (
    Case("GPT-2", t.GPT2Model, t.GPT2LMHeadModel, gpt2, "transformer.", **GPT2_NAMES),
    Case("OPT", t.OPTModel, t.OPTForCausalLM, opt, "model.decoder.", **OPT_NAMES, bare_prefix="decoder."),
    Case("BLOOM", t.BloomModel, t.BloomForCausalLM, bloom, "transformer.", **BLOOM_NAMES, mlp=4 * WIDTH),
    Case("BERT", t.BertModel, t.BertForMaskedLM, bert, "bert.", **BERT_NAMES),
    Case("BEiT", t.BeitModel, t.BeitForImageClassification, beit, "beit.", **VISION_NAMES),
    Case("DeiT", t.DeiTModel, t.DeiTForImageClassificationWithTeacher, deit, "deit.", **VISION_NAMES),
    Case("ViT", t.ViTModel, t.ViTForImageClassification, vit, "vit.", **VISION_NAMES),
)
CASES = {case.name: case for case in ALL_CASES}
NAMES = tuple(CASES)
VISION = ("BEiT", "DeiT", "ViT")


def randomised(model: Any, seed: int = 0) -> Any:
    """The model in eval mode with every parameter drawn from a normal distribution of deviation 0.4."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator))
    return model.eval()


@cache
def build(name: str, headed: bool = False, n_blocks: int = BLOCKS) -> Any:
    """A model of the family; it is shared between tests, which leave it as it is."""
    case = CASES[name]
    model_class = case.headed if headed else case.bare
    return randomised(model_class(case.config(n_blocks)))


def save(model: Any, folder: Path) -> Path:
    """The folder after `save_pretrained`, with model.safetensors and config.json in it."""
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(folder)
    return folder


def disk_arrays(model: Any, folder: Path) -> dict[str, NDArray[Any]]:
    """The tensors under the names they have on disk."""
    return load_file(save(model, folder) / "model.safetensors")


def memory_arrays(model: Any) -> dict[str, NDArray[Any]]:
    """The tensors under the names they have in memory."""
    return {name: tensor.numpy() for name, tensor in model.state_dict().items()}


@dataclass(frozen=True)
class Passage:
    """What went into and came out of each of the four maps, block after block, in float64, without biases.

    inputs[role][block] has shape (tokens, in); outputs likewise. For `qkv` the output is q + k + v as the attention
    itself received them, heads merged in natural order.
    """

    inputs: dict[str, list[NDArray[np.float64]]] = field(default_factory=lambda: {role: [] for role in ROLES})
    outputs: dict[str, list[NDArray[np.float64]]] = field(default_factory=lambda: {role: [] for role in ROLES})


def forward_pass(case: Case, model: Any) -> Passage:
    """Run the base model once in float64, biases of its dense maps at zero, and note what passes through."""
    base = deepcopy(model.base_model).double()
    base.set_attn_implementation("eager")
    drop_biases(base)
    passage = Passage()
    for block in base.get_submodule(case.blocks):
        watch_input(block.get_submodule(case.first), passage.inputs["qkv"])
        for role in ("proj", "fc1", "fc2"):
            module = block.get_submodule(getattr(case, role))
            watch_input(module, passage.inputs[role])
            module.register_forward_hook(lambda _m, _args, y, kept=passage.outputs[role]: kept.append(rows(y)))
    with torch.no_grad(), watched_attention(case, base, passage.outputs["qkv"]):
        base(**example(case))
    return passage


def drop_biases(model: Any) -> None:
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.Linear | Conv1D) and module.bias is not None:
                module.bias.zero_()


def example(case: Case) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    if case.name in VISION:
        return {"pixel_values": torch.randn(8, 2, 6, 6, generator=generator, dtype=torch.float64)}
    cached = {} if case.name == "BERT" else {"use_cache": False}
    return {"input_ids": torch.randint(3, 29, (8, 8), generator=generator), **cached}


def watch_input(module: Any, kept: list[NDArray[np.float64]]) -> None:
    module.register_forward_pre_hook(lambda _module, args: kept.append(rows(args[0])))


@contextmanager
def watched_attention(case: Case, model: Any, kept: list[NDArray[np.float64]]) -> Iterator[None]:
    """Note q + k + v of every attention, at the place where the module has just made heads of them."""
    with ExitStack() as stack:
        block = model.get_submodule(case.blocks)[0]
        attention = block.get_submodule(case.first.rpartition(".")[0])
        if case.name == "BLOOM":  # its attention has no function of its own to watch; its splitting has
            split = type(attention)._reshape

            def watched_split(module: Any, fused: Any) -> Any:
                heads = split(module, fused)
                kept.append(sum(merged(part) for part in heads))
                return heads

            stack.enter_context(patch.object(type(attention), "_reshape", watched_split))
        else:
            source = sys.modules[type(attention).__module__]
            attend = source.eager_attention_forward

            def watched_attend(module: Any, query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
                scale = module.scaling if case.name == "OPT" else 1.0  # OPT scales its queries beforehand
                kept.append(merged(query) / scale + merged(key) + merged(value))
                return attend(module, query, key, value, *args, **kwargs)

            stack.enter_context(patch.object(source, "eager_attention_forward", watched_attend))
        yield


def merged(heads: Any) -> NDArray[np.float64]:
    """(batch, heads, tokens, head_dim) -> (batch * tokens, heads * head_dim)."""
    return rows(heads.transpose(1, 2).flatten(2))


def rows(states: Any) -> NDArray[np.float64]:
    """(..., width) -> (tokens, width)."""
    values: NDArray[np.float64] = states.detach().reshape(-1, states.shape[-1]).numpy().copy()
    return values


def assert_couplings_act_as_the_model(chain: IsingChain, passage: Passage) -> None:
    """J_l maps the inputs the model saw to the outputs it gave.

    Products are made in float64, where stored weights are exact; only q + k + v was rounded, once, to the dtype of
    the chain, so |x J - y| <= eps/2 |x| |J| there.
    """
    n_blocks = len(passage.inputs["qkv"])
    assert len(chain.couplings) == 4 * n_blocks
    for index, matrix in enumerate(chain.couplings):
        block, role = divmod(index, 4)
        x, y = passage.inputs[ROLES[role]][block], passage.outputs[ROLES[role]][block]
        J = matrix.astype(np.float64)
        rounding = np.finfo(chain.flat.dtype).eps / 2 if ROLES[role] == "qkv" else 0.0
        bound = (1.001 * rounding) * (np.abs(x) @ np.abs(J)) + 1e-12 * max(1.0, np.abs(y).max())
        assert np.linalg.matrix_rank(x) == J.shape[0], "these inputs do not tell every coupling"
        assert np.all(np.abs(x @ J - y) <= bound), f"{block}.{ROLES[role]}"


def renamed(arrays: Mapping[str, Any], old: str, new: str) -> dict[str, Any]:
    """The same arrays with a prefix of their names replaced."""
    return {new + name.removeprefix(old): value for name, value in arrays.items()}
