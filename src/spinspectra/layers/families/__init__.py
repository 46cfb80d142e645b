"""The known architecture families, one file each; a new one is registered here."""

from spinspectra.layers.families.albert import ALBERT
from spinspectra.layers.families.bart import BART
from spinspectra.layers.families.base import Family, Layout, Mlp
from spinspectra.layers.families.beit import BEIT
from spinspectra.layers.families.bert import BERT
from spinspectra.layers.families.bloom import BLOOM
from spinspectra.layers.families.clip import CLIP
from spinspectra.layers.families.cohere import COHERE
from spinspectra.layers.families.data2vec import DATA2VEC
from spinspectra.layers.families.deberta import DEBERTA
from spinspectra.layers.families.deepseek import DEEPSEEK
from spinspectra.layers.families.deit import DEIT
from spinspectra.layers.families.dinov2 import DINOV2
from spinspectra.layers.families.dinov3 import DINOV3
from spinspectra.layers.families.distilbert import DISTILBERT
from spinspectra.layers.families.electra import ELECTRA
from spinspectra.layers.families.ernie import ERNIE
from spinspectra.layers.families.ernie4_5 import ERNIE4_5
from spinspectra.layers.families.falcon import FALCON
from spinspectra.layers.families.gemma import GEMMA
from spinspectra.layers.families.glm import GLM
from spinspectra.layers.families.gpt2 import GPT2
from spinspectra.layers.families.gpt_bigcode import GPT_BIGCODE
from spinspectra.layers.families.gpt_neo import GPT_NEO
from spinspectra.layers.families.gpt_neox import GPT_NEOX
from spinspectra.layers.families.gpt_oss import GPT_OSS
from spinspectra.layers.families.gptj import GPTJ
from spinspectra.layers.families.granite import GRANITE
from spinspectra.layers.families.hunyuan import HUNYUAN
from spinspectra.layers.families.llama import LLAMA
from spinspectra.layers.families.llama4 import LLAMA4
from spinspectra.layers.families.mistral import MISTRAL
from spinspectra.layers.families.mixtral import MIXTRAL
from spinspectra.layers.families.modernbert import MODERNBERT
from spinspectra.layers.families.mpnet import MPNET
from spinspectra.layers.families.mpt import MPT
from spinspectra.layers.families.nemotron import NEMOTRON
from spinspectra.layers.families.nomic_bert import NOMIC_BERT
from spinspectra.layers.families.olmo import OLMO
from spinspectra.layers.families.open_clip import OPEN_CLIP
from spinspectra.layers.families.opt import OPT
from spinspectra.layers.families.persimmon import PERSIMMON
from spinspectra.layers.families.phi import PHI
from spinspectra.layers.families.phi3 import PHI3
from spinspectra.layers.families.phimoe import PHIMOE
from spinspectra.layers.families.pixtral import PIXTRAL
from spinspectra.layers.families.qwen import QWEN
from spinspectra.layers.families.roberta import ROBERTA
from spinspectra.layers.families.siglip import SIGLIP
from spinspectra.layers.families.smollm3 import SMOLLM3
from spinspectra.layers.families.stablelm import STABLELM
from spinspectra.layers.families.starcoder2 import STARCODER2
from spinspectra.layers.families.swin import SWIN
from spinspectra.layers.families.t5 import T5
from spinspectra.layers.families.timm_vit import TIMM_VIT
from spinspectra.layers.families.torch_transformer import TORCH_TRANSFORMER
from spinspectra.layers.families.torchvision_vit import TORCHVISION_VIT
from spinspectra.layers.families.vit import VIT
from spinspectra.layers.families.vit_mae import VIT_MAE
from spinspectra.layers.families.wav2vec2 import WAV2VEC2
from spinspectra.layers.families.whisper import WHISPER

# The seven of the paper first. Where no config.json says which it is, families with signs of their own among the names
# come first, and of others that share a layout the first counts: BERT for its kin, Llama for all that keep its names.
FAMILIES: tuple[Family, ...] = (
    *(GPT2, OPT, BLOOM, BERT, BEIT, DEIT, VIT),
    *(LLAMA, MIXTRAL, T5, ALBERT),
    *(ROBERTA, ELECTRA, ERNIE, DISTILBERT, DEBERTA, MPNET, MODERNBERT, NOMIC_BERT, DATA2VEC),
    *(WHISPER, BART, WAV2VEC2),
    *(CLIP, SIGLIP, OPEN_CLIP, DINOV2, DINOV3, VIT_MAE, SWIN, PIXTRAL, TIMM_VIT, TORCHVISION_VIT, TORCH_TRANSFORMER),
    *(MISTRAL, QWEN, GEMMA, PHI, PHI3, PHIMOE, FALCON, MPT, GPT_NEOX, GPTJ, GPT_NEO, GPT_BIGCODE, STARCODER2),
    *(STABLELM, COHERE, OLMO, GRANITE, GPT_OSS, LLAMA4, DEEPSEEK, SMOLLM3, GLM, NEMOTRON, PERSIMMON, ERNIE4_5, HUNYUAN),
)

__all__ = ["FAMILIES", "Family", "Layout", "Mlp"]
