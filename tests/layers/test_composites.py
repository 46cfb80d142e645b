"""Models made of several: every stack by its prefix is the chain of that part alone, with the part's own numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import transformers

from spinspectra import IsingChain, open_weights
from spinspectra.errors import ChainError
from spinspectra.layers import recognise
from spinspectra.layers.settings import Heads, heads_of, n_blocks_of, settings_of
from tests.layers.models import randomised, save
from tests.layers.zoo.entry import DECODER, ENCODER, IMAGE

VISION = IMAGE | {"num_attention_heads": 3}
LLAVA = {"image_token_index": 28, "image_seq_length": 4}


def built(kind: str, config: str, **options: Any) -> Any:
    return randomised(getattr(transformers, kind)(getattr(transformers, config)(**options)))


def llava() -> Any:
    parts = {
        "text_config": DECODER | {"model_type": "llama"},
        "vision_config": VISION | {"model_type": "clip_vision_model"},
    }
    return built("LlavaForConditionalGeneration", "LlavaConfig", **parts, **LLAVA)


def mistral3() -> Any:
    parts = {
        "text_config": DECODER | {"model_type": "mistral"},
        "vision_config": VISION | {"model_type": "pixtral", "head_dim": 8},
    }
    return built("Mistral3ForConditionalGeneration", "Mistral3Config", **parts, image_token_index=28)


def gemma3() -> Any:
    parts = {"text_config": DECODER, "vision_config": VISION | {"model_type": "siglip_vision_model"}}
    return built("Gemma3ForConditionalGeneration", "Gemma3Config", **parts)


def paligemma() -> Any:
    parts = {
        "text_config": DECODER | {"model_type": "gemma"},
        "vision_config": VISION | {"model_type": "siglip_vision_model"},
    }
    return built("PaliGemmaForConditionalGeneration", "PaliGemmaConfig", **parts)


def encoder_decoder() -> Any:
    sizes = {"n_embd": 24, "n_layer": 3, "n_head": 6, "vocab_size": 29, "bos_token_id": 1, "eos_token_id": 2}
    parts = transformers.BertConfig(**ENCODER), transformers.GPT2Config(**sizes)
    config = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(*parts)
    return randomised(transformers.EncoderDecoderModel(config))


# Of each model the part of it, the prefixes of its stack on disk and in memory, and its family.
PARTS = {
    llava: [
        ("model.language_model", "language_model.model.", "model.language_model.", "Llama"),
        ("model.vision_tower", "vision_tower.encoder.", "model.vision_tower.encoder.", "CLIP"),
    ],
    mistral3: [
        ("model.language_model", "language_model.model.", "model.language_model.", "Mistral"),
        ("model.vision_tower", "vision_tower.transformer.", "model.vision_tower.transformer.", "Pixtral"),
    ],
    gemma3: [
        ("model.language_model", "language_model.model.", "model.language_model.", "Gemma"),
        ("model.vision_tower", "vision_tower.encoder.", "model.vision_tower.encoder.", "SigLIP"),
    ],
    paligemma: [
        ("model.language_model", "language_model.model.", "model.language_model.", "Gemma"),
        ("model.vision_tower", "vision_tower.encoder.", "model.vision_tower.encoder.", "SigLIP"),
    ],
    encoder_decoder: [
        ("encoder", "encoder.", "encoder.", "BERT"),
        ("decoder.transformer", "decoder.transformer.", "decoder.transformer.", "GPT-2"),
    ],
}


@pytest.mark.parametrize("make", PARTS, ids=lambda make: make.__name__)
def test_every_part_is_a_chain_of_its_own(make: Any, tmp_path: Path) -> None:
    model = make()
    folder = save(model, tmp_path)
    for path, on_disk, in_memory, family in PARTS[make]:
        alone = IsingChain.from_weights(model.get_submodule(path))
        for source, prefix in ((folder, on_disk), (model, in_memory)):
            np.testing.assert_array_equal(IsingChain.from_weights(source, prefix=prefix).flat, alone.flat)
            assert recognise(open_weights(source), prefix).name == family
    with pytest.raises(ChainError, match=r"holds 2 stacks of blocks, under .*; choose one with prefix="):
        IsingChain.from_weights(folder)


TEXT = {"model_type": "llama", "num_attention_heads": 8, "num_key_value_heads": 2, "num_hidden_layers": 5}
SEEN = {"model_type": "clip_vision_model", "num_attention_heads": 4, "num_hidden_layers": 3}
FALCON_40B = {"n_head": 8, "num_kv_heads": 2, "multi_query": True, "new_decoder_architecture": True}
WHOLE = {"model_type": "llava", "text_config": TEXT, "vision_config": SEEN}


@pytest.mark.parametrize(
    ("config", "prefix", "heads", "n_blocks"),
    [
        (WHOLE, "model.language_model.", Heads(8, 2), 5),
        (WHOLE, "vision_tower.vision_model.encoder.", Heads(4, 4), 3),
        (WHOLE, "model.visual.", Heads(4, 4), 3),
        (WHOLE, "model.", Heads(8, 2), 5),
        ({"thinker_config": WHOLE}, "thinker.visual.", Heads(4, 4), 3),
        ({**TEXT, "vision_config": SEEN}, "model.", Heads(8, 2), 5),
        ({**TEXT, "vision_config": SEEN}, "visual.", Heads(4, 4), 3),
        ({"encoder_layers": 4, "decoder_layers": 6, "num_hidden_layers": 4}, "model.decoder.", Heads(), 6),
        ({"encoder_layers": 4, "decoder_layers": 6, "num_hidden_layers": 4}, "encoder.", Heads(), 4),
        ({"num_layers": 4, "num_decoder_layers": 6}, "dec.", Heads(), 6),
        ({"decoder_num_hidden_layers": 8, "num_hidden_layers": 12}, "decoder.", Heads(), 8),
        ({"depths": [2, 2, 6], "num_layers": 3}, "encoder.layers.2.", Heads(), 6),
        ({"depths": [2, "x"], "num_layers": 3}, "layers.1.", Heads(), None),
        ({"depths": [2], "num_layers": 3}, "layers.99999999999999999999999.", Heads(), None),
        ({"n_head": 71, "n_head_kv": 71, "multi_query": True}, "", Heads(71, 1), None),
        (FALCON_40B, "", Heads(8, 2), None),
        ({"n_heads": 8, "attn_config": {"kv_n_heads": 4}, "n_layers": 7}, "", Heads(8, 4), 7),
        ({"num_heads": 6, "d_kv": 5}, "", Heads(6, 6, 5), None),
        ({"num_attention_heads": True, "num_hidden_layers": 2.0}, "", Heads(), None),
    ],
)
def test_numbers_are_those_of_the_part(config: dict[str, Any], prefix: str, heads: Heads, n_blocks: int) -> None:
    settings = settings_of(config, prefix, ("llama",))
    assert heads_of(settings) == heads
    assert n_blocks_of(settings, prefix) == n_blocks
