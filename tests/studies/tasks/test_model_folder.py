"""Where a model with its tokenizer lies: a folder, or the cache of the hub."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from spinspectra.errors import OptionError, WeightsError
from spinspectra.studies.tasks.model_folder import model_folder
from tests.studies.tasks import models

ASK = """
import json, sys
from spinspectra.errors import SpinSpectraError
from spinspectra.studies.tasks.model_folder import model_folder
try:
    folder, config = model_folder(sys.argv[1])
    print(json.dumps([folder, config["model_type"]]))
except SpinSpectraError as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


def ask(cache: Path, model: str) -> list[str]:
    """In a process that has the cache only."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    own = {"HF_HUB_CACHE": str(cache), "HF_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", ASK, model], env=clean | own, capture_output=True, text=True, timeout=60, check=True
    )
    return json.loads(done.stdout)


def test_a_hub_id_is_its_snapshot_in_the_cache(tmp_path: Path) -> None:
    at = tmp_path / "models--org--tiny"
    (at / "refs").mkdir(parents=True)
    (at / "refs" / "main").write_text("0" * 40)
    snapshot = models.gpt2(at / "snapshots" / ("0" * 40))
    assert ask(tmp_path, "org/tiny") == [str(snapshot), "gpt2"]
    assert ask(tmp_path, "org/other")[0] == "WeightsError"


def test_a_local_folder_is_itself(tmp_path: Path) -> None:
    folder = models.gpt2(tmp_path / "gpt2")
    assert model_folder(str(folder)) == (str(folder), json.loads((folder / "config.json").read_text()))
    with pytest.raises(OptionError, match="a weight file alone cannot be evaluated"):
        model_folder(str(folder / "model.safetensors"))
    with pytest.raises(WeightsError, match="no such file or folder"):
        model_folder(str(folder / "nothing.safetensors"))
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"no config.json"):
        model_folder(str(folder))
    shutil.rmtree(folder)
    with pytest.raises(WeightsError, match="no such file or folder"):
        model_folder(str(folder))
