"""Tiny random language models and classifiers on disk, with all that transformers needs to run them."""

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from tests.layers.models import HEADS, MLP, WIDTH, randomised, save

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "</s>")
WORDS = ("the", "a", "cat", "dog", "sat", "on", "mat", "ran", "to", "of", ".", ",")
VOCABULARY = {word: number for number, word in enumerate((*SPECIAL, *WORDS))}
LENGTH = 16  # tokens that each model takes at a time

SIZES: dict[str, Any] = {"vocab_size": len(VOCABULARY), "bos_token_id": 5, "eos_token_id": 5}
ENCODER: dict[str, Any] = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "intermediate_size": MLP}


def text(n_words: int = 101, seed: int = 0) -> str:
    """So many words at random."""
    numbers = torch.randint(len(WORDS), (n_words,), generator=torch.Generator().manual_seed(seed))
    return " ".join(WORDS[number] for number in numbers)


def tokenizer(template: str = "$A") -> Any:
    """Of words, with the special tokens of the template around a text."""
    made = Tokenizer(WordLevel(VOCABULARY, unk_token="[UNK]"))
    made.pre_tokenizer = Whitespace()
    used = [(word, VOCABULARY[word]) for word in SPECIAL if word in template]
    made.post_processor = TemplateProcessing(single=template, special_tokens=used)
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "mask_token": "[MASK]", "eos_token": "</s>"}
    return transformers.PreTrainedTokenizerFast(tokenizer_object=made, **names)


def gpt2(folder: Path, **options: Any) -> Path:
    sizes = {"n_embd": WIDTH, "n_head": HEADS, "n_inner": MLP, "n_layer": 2, "n_positions": LENGTH, **SIZES}
    return _saved(transformers.GPT2LMHeadModel(transformers.GPT2Config(**{**sizes, **options})), folder)


def opt(folder: Path) -> Path:
    """Its tokenizer begins every text with </s>, as OPT's does."""
    sizes = {"hidden_size": WIDTH, "num_attention_heads": HEADS, "ffn_dim": MLP, "word_embed_proj_dim": WIDTH}
    config = transformers.OPTConfig(**sizes, num_hidden_layers=2, max_position_embeddings=LENGTH, **SIZES)
    return _saved(transformers.OPTForCausalLM(config), folder, "</s> $A")


def bert(folder: Path, head: Any = transformers.BertForMaskedLM) -> Path:
    sizes = {**ENCODER, "num_hidden_layers": 2, "max_position_embeddings": LENGTH, "vocab_size": len(VOCABULARY)}
    return _saved(head(transformers.BertConfig(**sizes)), folder, "[CLS] $A [SEP]")


def vit(folder: Path, labels: tuple[str, ...], head: Any = transformers.ViTForImageClassification) -> Path:
    names = {"id2label": dict(enumerate(labels)), "label2id": {label: n for n, label in enumerate(labels)}}
    config = transformers.ViTConfig(**ENCODER, num_hidden_layers=2, image_size=8, patch_size=4, **names)
    model = randomised(head(config))
    if hasattr(model, "classifier"):  # so that each class is the best for some pictures
        noise = 2.0 * torch.randn(64, 3, 8, 8, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            model.classifier.bias -= model(noise).logits.mean(0)
    save(model, folder)
    processor = {"image_processor_type": "ViTImageProcessor", "size": {"height": 8, "width": 8}, "do_resize": True}
    statistics = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4], "do_normalize": True}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor | statistics))
    return folder


def _saved(model: Any, folder: Path, template: str = "$A") -> Path:
    save(randomised(model), folder)
    tokenizer(template).save_pretrained(folder)
    return folder
