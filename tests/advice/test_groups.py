"""Suggestions as parameter groups: real torch optimisers take the steps that the suggestions say."""

import numpy as np
import pandas as pd
import pytest
import torch

from spinspectra import analyze
from spinspectra.advice import layers_to_train, parameter_groups, suggest_learning_rates, suggest_weight_decay
from spinspectra.errors import OptionError


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.inside = torch.nn.Linear(60, 60)
        self.norm = torch.nn.LayerNorm(60)
        self.wide = torch.nn.Linear(60, 120, bias=False)
        self.lstm = torch.nn.LSTM(60, 60)


@pytest.fixture
def model() -> Network:
    return Network()


def stepped(model: torch.nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, np.ndarray]:
    """How far each parameter moves in one step, with a gradient of one everywhere."""
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    return {name: (before[name] - parameter.detach()).numpy() for name, parameter in model.named_parameters()}


def test_every_parameter_takes_the_step_of_its_layer(model: Network) -> None:
    """One step of plain descent moves by the rate itself; a layer's bias goes with it, all else at the plain rate."""
    suggested = suggest_learning_rates(analyze(model), 0.125)
    rates = dict(zip(suggested.longname, suggested.learning_rate, strict=True))
    assert len(set(rates.values())) > 2
    moved = stepped(model, torch.optim.SGD(parameter_groups(model, suggested), lr=0.125))
    expected = {
        "inside.weight": rates["inside"],
        "inside.bias": rates["inside"],
        "wide.weight": rates["wide"],
        "lstm.weight_ih_l0": rates["lstm.weight_ih_l0"],
        "lstm.weight_hh_l0": rates["lstm.weight_hh_l0"],
    }
    for name, step in moved.items():
        np.testing.assert_allclose(step, expected.get(name, 0.125), rtol=1e-4, err_msg=name)


def test_rates_and_decays_together(model: Network) -> None:
    """With no gradient AdamW only decays: w -> w (1 - lr decay)."""
    details = analyze(model)
    rates, decays = suggest_learning_rates(details, 0.1), suggest_weight_decay(details, 0.2)
    optimiser = torch.optim.AdamW(parameter_groups(model, rates, decays), lr=0.1, weight_decay=0.2)
    before = model.wide.weight.detach().clone()
    model.wide.weight.grad = torch.zeros_like(before)
    optimiser.step()
    place = rates.longname.tolist().index("wide")
    factor = 1.0 - rates.learning_rate[place] * decays.weight_decay[place]
    torch.testing.assert_close(model.wide.weight.detach(), before * factor)
    by_name = {group["name"]: group for group in optimiser.param_groups}
    assert (by_name["rest"]["lr"], by_name["rest"]["weight_decay"]) == (0.1, 0.2)
    assert sum(len(group["params"]) for group in optimiser.param_groups) == len(list(model.parameters()))


def test_only_chosen_layers_are_trained(model: Network) -> None:
    chosen = layers_to_train(model, 0.5, within="network")
    assert chosen.train.sum() == 2
    moved = stepped(model, torch.optim.SGD(parameter_groups(model, chosen), lr=1.0))
    trained = set(chosen.longname[chosen.train])
    for name, step in moved.items():
        layer = name if name in trained else name.rpartition(".")[0]
        assert np.any(step != 0.0) == (layer in trained), name
    both = parameter_groups(model, suggest_learning_rates(analyze(model), 0.1), chosen)
    assert {group["name"] for group in both} == trained
    assert all("lr" in group for group in both)


def test_tied_and_frozen_parameters_are_in_one_group_or_none(model: Network) -> None:
    model.tied = torch.nn.Linear(60, 60, bias=False)
    model.tied.weight = model.inside.weight
    model.norm.weight.requires_grad_(False)
    groups = parameter_groups(model, suggest_learning_rates(analyze(model), 0.1))
    held = [id(parameter) for group in groups for parameter in group["params"]]
    assert len(held) == len(set(held)) == len(list(model.parameters())) - 1
    torch.optim.SGD(groups, lr=0.1)  # which refuses a parameter in two groups


def test_suggestions_can_be_renewed_while_training(model: Network) -> None:
    """As docs/advice.md has it: groups are found again by name."""
    rates = suggest_learning_rates(analyze(model), 0.1)
    optimiser = torch.optim.SGD(parameter_groups(model, rates), lr=0.1)
    with torch.no_grad():
        model.wide.weight += 3.0
    renewed = suggest_learning_rates(analyze(model), 0.05).set_index("longname").learning_rate
    for group in optimiser.param_groups:
        group["lr"] = renewed.get(group["name"], 0.05)
    assert {group["name"]: group["lr"] for group in optimiser.param_groups} == {**renewed, "rest": 0.05}


def test_what_cannot_be_is_refused(model: Network) -> None:
    rates = suggest_learning_rates(analyze(model), 0.1)
    with pytest.raises(OptionError, match="no suggestions given"):
        parameter_groups(model)
    with pytest.raises(OptionError, match=r"bert\.inside: the model has no such layer"):
        parameter_groups(model, rates.assign(longname="bert." + rates.longname))
    with pytest.raises(OptionError, match="inside has several rows"):
        parameter_groups(model, pd.concat([rates, rates[rates.longname == "inside"]]))
    with pytest.raises(OptionError, match="sparsity is no optimiser's option"):
        parameter_groups(model, rates.rename(columns={"learning_rate": "sparsity"}))
