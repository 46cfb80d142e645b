"""Folders of PyTorch files, each file taken as a model of its own."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spinspectra.errors import OptionError, WeightsError

if TYPE_CHECKING:
    import pandas as pd


def each_file(method: str, model_dir: Any, kwargs: dict[str, Any]) -> "pd.DataFrame":
    """The rows of every `pytorch_model*bin` of a folder, in order of names, ids counted on from the last row's.

    Raises WeightsError for a folder without such files and for a file that cannot be read.
    """
    import pandas as pd

    from spinspectra.compat.weightwatcher.watcher import WeightWatcher

    if model_dir is None:
        raise OptionError(f"{method}_pytorch_bins: give model_dir, a folder with pytorch_model*bin files")
    files = sorted(Path(model_dir).glob("pytorch_model*bin"))
    if not files:
        raise WeightsError(f"{model_dir}: no pytorch_model*bin files in this folder")
    options = {name: value for name, value in kwargs.items() if name != "model_name"}
    next_id = options.pop("start_ids", 0) or 1
    tables: list[pd.DataFrame] = []
    for path in files:
        table = getattr(WeightWatcher(), method)(model=path, start_ids=next_id, **options)
        tables.append(table.assign(model_name=str(path), model_filename=str(path)))
        if len(table):
            next_id = int(table["layer_id"].iloc[-1]) + 1
    joined: pd.DataFrame = pd.concat(tables, ignore_index=True)
    return joined
