"""What loggers wrote, read back by their own packages."""

import json
from pathlib import Path
from typing import Any

import pytest


def tensorboard_scalars(folder: Path) -> dict[str, dict[int, float]]:
    """Values by step, by name."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    from tensorboard.util.tensor_util import make_ndarray

    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in EventFileLoader(str(path)).Load():
            for value in event.summary.value:
                found.setdefault(value.tag, {})[event.step] = float(make_ndarray(value.tensor))
    return found


def mlflow_metrics(run_id: str, name: str) -> dict[int, float]:
    import mlflow

    return {one.step: one.value for one in mlflow.MlflowClient().get_metric_history(run_id, name)}


def wandb_history(path: Path) -> list[dict[str, Any]]:
    """The rows of a small offline run: a magic number, then records of LevelDB's log format, each a protobuf."""
    from wandb.proto import wandb_internal_pb2

    raw, at, found = path.read_bytes(), 7, []
    while at + 7 < len(raw):
        length, kind = int.from_bytes(raw[at + 4 : at + 6], "little"), raw[at + 6]
        if at + 7 + length > len(raw):  # being written
            break
        assert kind == 1, "a record in parts, as only a file of more than 32 KiB has them"
        record = wandb_internal_pb2.Record()
        record.ParseFromString(raw[at + 7 : at + 7 + length])
        found.append({one.key or "/".join(one.nested_key): json.loads(one.value_json) for one in record.history.item})
        at += 7 + length
    return [row for row in found if row]
