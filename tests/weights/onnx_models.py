"""Tiny modules with what exporters treat each in its own way, and both exporters of PyTorch."""

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from torch import nn

from tests.layers import models

EXPORTERS = {"older": False, "newer": True}
IDS = torch.tensor([[3, 7, 4, 20, 11, 5]])


class Parts(nn.Module):
    """Linear with and without bias, alone, in lists, within each other, called twice; attention, convolutions, ties."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(29, 6)
        self.net = nn.Sequential(nn.Linear(6, 7, bias=False), nn.ReLU(), nn.Sequential(nn.Linear(7, 8), nn.Tanh()))
        self.layers = nn.ModuleList([nn.Linear(8, 5, bias=False), nn.Linear(5, 6)])
        self.twice = nn.Linear(6, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.own = nn.Parameter(torch.zeros(6, 4))
        self.norm = nn.LayerNorm((6, 4))
        self.conv1 = nn.Conv1d(6, 3, 3)
        self.conv2 = nn.Conv2d(1, 5, (1, 2))
        self.conv3 = nn.Conv3d(1, 2, (2, 1, 1))
        self.up = nn.ConvTranspose2d(5, 4, 2)
        self.flat = nn.Linear(6, 9)
        self.head = nn.Linear(9, 29, bias=False)
        self.tied = nn.Linear(6, 29, bias=False)
        self.tied.weight = self.embed.weight
        self.shift = nn.Parameter(torch.zeros(29))

    def forward(self, ids):
        first = x = self.embed(ids)
        x = self.net(x)
        for layer in self.layers:
            x = layer(x)
        x = self.twice(self.twice(x))
        x = self.attention(x, x, x)[0] + self.tied(first)[..., :6]
        y = self.norm(x @ self.own)
        y = self.up(self.conv2(self.conv1(y)[:, None]))
        z = self.conv3(y[:, None])
        return self.head(self.flat(x[:, 0])) + self.shift, z


class ListInItsNamesake(nn.Module):
    """Nodes of the older exporter read `/a/a.0/MatMul` here, as they would in a Sequential called `a`."""

    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.ModuleList([nn.Linear(5, 5, bias=False), nn.Linear(5, 4)])

        def forward(self, x):
            return self.a[1](self.a[0](x))

    def __init__(self):
        super().__init__()
        self.a = self.Inner()

    def forward(self, x):
        return self.a(x)


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(5, 7, num_layers=2, bidirectional=True, batch_first=True)
        self.gru = nn.GRU(14, 3, batch_first=True)
        self.rnn = nn.RNN(3, 4, batch_first=True, bias=False)
        self.cell = nn.LSTMCell(4, 3)

    def forward(self, x):
        x = self.rnn(self.gru(self.lstm(x)[0])[0])[0]
        return self.cell(x[:, 0])[0]


def llama() -> Any:
    config = transformers.LlamaConfig(
        hidden_size=12,
        num_attention_heads=3,
        num_key_value_heads=1,
        intermediate_size=20,
        num_hidden_layers=2,
        vocab_size=29,
        max_position_embeddings=16,
    )
    return transformers.LlamaForCausalLM(config)


@dataclass(frozen=True)
class Export:
    """What to export. folded: weights that the newer exporter computes away, since the input's length is fixed."""

    build: Callable[[], Any]
    inputs: dict[str, Any]
    folded: frozenset[str] = frozenset()


_TEXT = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS), "use_cache": False}
_BERT = "bert.embeddings"
CASES = {
    "parts": Export(Parts, {"ids": IDS}),
    "list": Export(ListInItsNamesake, {"x": torch.ones(2, 3, 5)}),
    "recurrent": Export(Recurrent, {"x": torch.ones(2, 4, 5)}, frozenset(("cell.weight_hh",))),
    "bert": Export(
        lambda: models.build("BERT", headed=True, n_blocks=2),
        {"input_ids": IDS},
        frozenset((f"{_BERT}.position_embeddings.weight", f"{_BERT}.token_type_embeddings.weight")),
    ),
    "gpt2": Export(
        lambda: models.build("GPT-2", headed=True, n_blocks=2), _TEXT, frozenset(("transformer.wpe.weight",))
    ),
    "vit": Export(
        lambda: models.build("ViT", headed=True, n_blocks=2),
        {"pixel_values": torch.ones(1, 2, 6, 6)},
        frozenset(("vit.embeddings.cls_token",)),
    ),
    "llama": Export(llama, _TEXT),
}


def export(case, path, newer, **options):
    """Export a case with random weights; the module that was exported."""
    module = models.randomised(CASES[case].build())
    export_module(module, CASES[case].inputs, path, newer, **options)
    return module


def export_module(module, inputs, path, newer, **options):
    """Both exporters warn of their own future and log what they do."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(module, (), path, kwargs=inputs, dynamo=newer, verbose=False, **options)
    finally:
        logging.disable(before)
