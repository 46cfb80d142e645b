"""What both exporters of PyTorch write, against the modules they were given: names, ways round, values, classes."""

import re

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from spinspectra import IsingChain, describe, open_weights
from spinspectra.weights.onnx.bytes import FileBytes
from spinspectra.weights.onnx.messages import Reader
from tests.layers import models
from tests.weights.onnx_models import CASES, EXPORTERS, export, export_module

# Every case by both exporters. An LSTM the newer one leaves whole, an RNN it takes apart.
EXPORTS = [(case, exporter) for case in CASES for exporter in EXPORTERS]


# Parameters that are no linear map and say so: they are added or put before the patches.
ADDED = {"vit.embeddings.cls_token", "vit.embeddings.position_embeddings"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """(path, module) of a case by an exporter, exported when first asked for."""
    made = {}

    def get(case, exporter):
        if (case, exporter) not in made:
            path = tmp_path_factory.mktemp(f"{case}-{exporter}") / "model.onnx"
            made[case, exporter] = path, export(case, path, EXPORTERS[exporter])
        return made[case, exporter]

    return get


def read_graphs(path):
    with FileBytes(path) as data:
        return Reader(data, str(path)).model()


def matrices_of(module):
    return {name: value.numpy() for name, value in module.state_dict().items() if value.ndim > 1}


def expected_of(case, exporter, module):
    folded = CASES[case].folded if exporter == "newer" else ()
    return {name: value for name, value in matrices_of(module).items() if name not in folded}


@pytest.mark.parametrize(("case", "exporter"), EXPORTS)
def test_every_matrix_is_the_modules_own_under_its_own_name(exported, case, exporter):
    path, module = exported(case, exporter)
    weights = open_weights(path)
    for name, value in expected_of(case, exporter, module).items():
        assert weights.info(name).shape == value.shape, name
        assert weights.info(name).dtype == value.dtype
        np.testing.assert_array_equal(weights.read(name), value, err_msg=name)


@pytest.mark.parametrize(("case", "exporter"), EXPORTS)
def test_there_is_no_other_matrix(exported, case, exporter):
    """Besides masks, tables and initial states, which say so."""
    path, module = exported(case, exporter)
    weights = open_weights(path)
    infos = {name: weights.info(name) for name in weights.names()}
    found = {name for name, info in infos.items() if len(info.shape) > 1 and info.dtype.kind == "f"}
    constants = {name for name in found if infos[name].module == "Constant"}
    first_state = re.compile(r"(zeros|linear)(_\d+)?")  # of a cell, by the newer exporter, and what comes of it
    expected = set(expected_of(case, exporter, module))
    assert {name for name in found - constants if not first_state.fullmatch(name)} == expected - ADDED
    assert constants.isdisjoint(expected - ADDED)


@pytest.mark.parametrize(("case", "exporter"), EXPORTS)
def test_vectors_are_the_modules_own_where_they_have_its_names(exported, case, exporter):
    path, module = exported(case, exporter)
    weights, state = open_weights(path), module.state_dict()
    common = [name for name in weights.names() if name in state and state[name].ndim == 1]
    assert len(common) >= sum(value.ndim == 1 for value in state.values()) - 2  # those a tie or a fold has taken
    for name in common:
        np.testing.assert_array_equal(weights.read(name), state[name].numpy(), err_msg=name)


CLASSES = {"Linear", "Embedding", "Conv1d", "Conv2d", "Conv3d", "ConvTranspose2d", "LSTM", "GRU", "RNN", "LayerNorm"}


@pytest.mark.parametrize(("case", "exporter"), EXPORTS)
def test_the_class_is_that_of_the_module_that_holds_it(exported, case, exporter):
    path, module = exported(case, exporter)
    weights, live = open_weights(path), open_weights(module)
    told = {name: weights.info(name).module for name in expected_of(case, exporter, module)}
    own = {name: live.info(name).module for name in told}
    both = {name for name in told if own[name] in CLASSES}
    assert {name: told[name] for name in both} == {name: own[name] for name in both}
    assert {told[name] for name in set(told) - both} <= {"", "Constant", "Linear", "MultiheadAttention"}


@pytest.mark.parametrize("exporter", EXPORTERS)
@pytest.mark.parametrize("case", ["bert", "gpt2", "vit"])
def test_the_family_is_known_and_its_chain_is_the_modules(exported, case, exporter):
    path, module = exported(case, exporter)
    of_file = IsingChain.from_weights(open_weights(path, module.config.to_dict()))
    of_module = IsingChain.from_weights(module)
    assert len(of_file.couplings) == len(of_module.couplings) == 8
    for one, other in zip(of_file.couplings, of_module.couplings, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("exporter", EXPORTERS)
def test_gates_of_recurrent_layers_are_told_apart(exported, exporter):
    table = describe(exported("recurrent", exporter)[0]).set_index("name")
    assert table["rf"][["lstm.weight_ih_l0", "lstm.weight_hh_l1_reverse", "gru.weight_ih_l0"]].to_list() == [4, 4, 3]
    assert set(table["kind"][["lstm.weight_ih_l0", "gru.weight_hh_l0", "rnn.weight_hh_l0"]]) == {"recurrent"}


@pytest.mark.parametrize(("case", "exporter"), EXPORTS)
def test_the_graph_is_what_onnx_itself_finds(exported, case, exporter):
    """Nodes, initialisers and headers as the package of the format reads them."""
    path, _ = exported(case, exporter)
    (graph, *functions), theirs = read_graphs(path), onnx.load(path, load_external_data=False)
    assert len(functions) == len(theirs.functions)
    assert [(n.op, n.name, list(n.inputs), list(n.outputs)) for n in graph.nodes] == [
        (n.op_type, n.name, list(n.input), list(n.output)) for n in theirs.graph.node
    ]
    assert [(t.name, t.dims, t.data_type) for t in graph.tensors] == [
        (t.name, list(t.dims), t.data_type) for t in theirs.graph.initializer
    ]
    for node, their in zip(graph.nodes, theirs.graph.node, strict=True):
        ints = {a.name: [a.i] if a.type == onnx.AttributeProto.INT else list(a.ints) for a in their.attribute}
        assert {name: a.ints for name, a in node.attributes.items() if a.ints} == {k: v for k, v in ints.items() if v}


@pytest.mark.parametrize(
    ("newer", "options"),
    [(False, {"do_constant_folding": False}), (True, {"optimize": False})],
    ids=EXPORTERS,
)
def test_a_transpose_left_in_the_graph_counts(tmp_path, newer, options):
    module = export("list", tmp_path / "x.onnx", newer, **options)
    weights = open_weights(tmp_path / "x.onnx")
    for name, value in matrices_of(module).items():
        np.testing.assert_array_equal(weights.read(name), value)
        assert weights.info(name).module == "Linear"


class Doubtful(nn.Module):
    """Products whose weights go by names that the older exporter has lost."""

    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, bias=False)
        self.scaled, self.turned = nn.Parameter(torch.ones(6, 5)), nn.Parameter(torch.ones(4, 5))

    def forward(self, x):
        x = self.attention(x, x, x)[0] @ (self.scaled * 2)
        return nn.functional.linear(x, self.turned)


def test_weights_without_a_certain_name_keep_the_stored_one_and_way_round(tmp_path):
    module = models.randomised(Doubtful())
    export_module(module, {"x": torch.ones(2, 3, 6)}, tmp_path / "x.onnx", newer=False)
    weights = open_weights(tmp_path / "x.onnx")
    names = [name for name in weights.names() if len(weights.info(name).shape) == 2]
    assert all(name.startswith("onnx::MatMul_") and weights.info(name).module == "" for name in names)
    attention = module.attention
    stored = [attention.in_proj_weight.T, attention.out_proj.weight.T, 2 * module.scaled, module.turned.T]
    for name, value in zip(names, stored, strict=True):
        np.testing.assert_array_equal(weights.read(name), value.detach().numpy())


def test_equal_parameters_that_the_older_exporter_merged_are_there_and_tied(tmp_path):
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    for layer in module:
        nn.init.zeros_(layer.bias)
    export_module(module.eval(), {"input": torch.ones(2, 4)}, tmp_path / "x.onnx", newer=False)
    weights = open_weights(tmp_path / "x.onnx")
    assert set(weights.names()) == set(module.state_dict())
    ties = {name: weights.info(name).same_as for name in ("0.bias", "1.bias")}
    assert sorted(ties.values()) == ["", next(name for name in ties if not ties[name])]
    np.testing.assert_array_equal(weights.read("1.bias"), np.zeros(4))


def test_a_batch_normalisation_folded_into_its_convolution(tmp_path):
    """The older exporter gives both a new name; the newer keeps the old one. The values are the folded ones."""
    module = models.randomised(nn.Sequential(nn.Conv2d(2, 3, 2, bias=False), nn.BatchNorm2d(3)))
    with torch.no_grad():
        module[1].running_var.fill_(2.0)
    folded = (
        module[0].weight * (module[1].weight / torch.sqrt(module[1].running_var + module[1].eps))[:, None, None, None]
    )
    for newer in (False, True):
        export_module(module, {"input": torch.ones(1, 2, 4, 4)}, tmp_path / "x.onnx", newer)
        weights = open_weights(tmp_path / "x.onnx")
        assert weights.info("0.weight").module == "Conv2d"
        np.testing.assert_allclose(weights.read("0.weight"), folded.detach().numpy(), rtol=1e-6)
