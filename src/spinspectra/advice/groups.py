"""Suggestions as the parameter groups of a torch optimiser. Imports no torch: a module's own methods are enough."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from spinspectra.advice.table import require_columns
from spinspectra.errors import OptionError
from spinspectra.text import shown

if TYPE_CHECKING:
    import pandas as pd

# Columns of suggestions, and what torch's optimisers call them.
_OPTIONS = {"learning_rate": "lr", "weight_decay": "weight_decay"}


def parameter_groups(model: Any, *suggestions: "pd.DataFrame") -> list[dict[str, Any]]:
    """Groups for `torch.optim.AdamW(groups, lr=rate, weight_decay=decay)`: one a row, then one for all the rest.

    model: a torch module. suggestions: tables with the column learning_rate, weight_decay or train, of this model
    (`analyze(model)`) or of a checkpoint with its names. A group has params (the layer's, its bias among them, as the
    authors' code has it), name, and lr, weight_decay or both. The group "rest" has neither and takes the optimiser's
    own. Parameters that need no gradient are left out. With a table that says `train`, so is all that it does not
    choose, norms and whatever has no row included; `requires_grad_(False)` on those saves their gradients too.

    Raises OptionError for a layer that the model lacks or that has several rows, and a table with none of the columns.
    """
    if not suggestions:
        raise OptionError("no suggestions given; suggest_learning_rates and suggest_weight_decay make them")
    named = list(model.named_parameters(remove_duplicate=False))  # a tied one under each of its names
    modules: dict[str, list[Any]] = {}
    for name, parameter in named:
        modules.setdefault(name, []).append(parameter)
        modules.setdefault(name.rpartition(".")[0], []).append(parameter)
    options: dict[str, dict[str, float]] = {}
    chosen: set[str] | None = None
    for table in suggestions:
        for name, values in _options_of(table).items():
            if name not in modules:
                raise OptionError(f"{shown(name)}: the model has no such layer; analyze the model itself")
            options[name] = options.get(name, {}) | values
        if "train" in table:
            trained = set(table.loc[table["train"].astype(bool), "longname"])
            chosen = trained if chosen is None else chosen & trained
    taken: set[int] = set()
    wanted = [name for name in options if chosen is None or name in chosen]
    groups = [{"params": _free(modules[name], taken), "name": name, **options[name]} for name in wanted]
    if chosen is None:
        groups.append({"params": _free((parameter for _, parameter in named), taken), "name": "rest"})
    return [group for group in groups if group["params"]]


def _options_of(table: "pd.DataFrame") -> dict[str, dict[str, float]]:
    """A table's rows as options by layer."""
    require_columns(table, ("longname",), "give what the suggest functions return")
    columns = [column for column in _OPTIONS if column in table]
    if not columns and "train" not in table:
        raise OptionError("the table has none of learning_rate, weight_decay, train; sparsity is no optimiser's option")
    twice = table["longname"][table["longname"].duplicated()]
    if len(twice):
        raise OptionError(f"{shown(str(twice.iloc[0]))} has several rows; analyze with pool=True")
    names = [_OPTIONS[column] for column in columns]
    rows = table[columns].to_numpy(float).tolist()
    return {str(layer): dict(zip(names, row, strict=True)) for layer, row in zip(table["longname"], rows, strict=True)}


def _free(parameters: Iterable[Any], taken: set[int]) -> list[Any]:
    """Those that need a gradient and are in no group yet."""
    free = []
    for parameter in parameters:
        if parameter.requires_grad and id(parameter) not in taken:
            taken.add(id(parameter))
            free.append(parameter)
    return free
