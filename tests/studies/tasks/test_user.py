"""Tasks of the user's own: found, called with the folder, and their faults told in one line."""

import pickle
from pathlib import Path

import pytest

from spinspectra.errors import OptionError
from spinspectra.studies.tasks import UserTask

FILE = """
import beside

def size(folder):
    return beside.files(folder)

def several(folder):
    return {"accuracy": 0.5, "files": size(folder)}

def broken(folder):
    raise KeyError("weights")

def wordy(folder):
    return "many"

number = 3
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("def files(folder):\n    return len(list(folder.iterdir()))\n")
    (tmp_path / "mine.py").write_text(FILE)
    return tmp_path / "mine.py"


def test_functions_of_files_and_modules(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert UserTask(f"{file}:size")(tmp_path) == {"size": len(list(tmp_path.iterdir()))}
    assert UserTask(f"{file}:several")(tmp_path)["accuracy"] == 0.5
    assert UserTask("os.path:getsize")(file) == {"getsize": len(FILE)}
    monkeypatch.chdir(tmp_path)
    task = pickle.loads(pickle.dumps(UserTask("mine.py:size")))
    monkeypatch.chdir("/")  # a worker may be anywhere
    assert task(tmp_path)["size"] > 1


def test_identity_changes_with_the_file(file: Path) -> None:
    before = UserTask(f"{file}:size").identity
    assert before == UserTask(f"{file}:size").identity
    file.write_text(FILE + "\n")
    assert UserTask(f"{file}:size").identity != before


def test_identity_changes_with_a_modules_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine_too.py").write_text(FILE)
    before = UserTask("mine_too:size").identity
    assert before == UserTask("mine_too:size").identity
    (tmp_path / "mine_too.py").write_text(FILE + "\n")
    assert UserTask("mine_too:size").identity != before


FORWARD = """
from __future__ import annotations
from dataclasses import dataclass
from pathlib import Path

(Path(__file__).parent / "imported").open("a").write("x")

@dataclass
class Score:
    value: float
    best: Score | None = None

def score(folder):
    return Score(0.5).value
"""


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_file_is_a_module_of_its_process_and_imported_once(tmp_path: Path) -> None:
    """Dataclasses whose annotations are text look their module up while it is imported."""
    file = tmp_path / "forward.py"
    file.write_text(FORWARD)
    task = UserTask(f"{file}:score")
    assert task(tmp_path) == {"score": 0.5}
    assert pickle.loads(pickle.dumps(task))(tmp_path) == UserTask(f"{file}:score")(tmp_path)
    assert (tmp_path / "imported").read_text() == "x"
    file.write_text(FORWARD.replace("0.5", "0.25"))
    assert UserTask(f"{file}:score")(tmp_path) == {"score": 0.25}
    assert task(tmp_path) == {"score": 0.5}  # as it was when the study began


def test_a_file_that_changed_before_a_worker_imports_it_is_refused(file: Path, tmp_path: Path) -> None:
    task = UserTask(f"{file}:size")
    file.write_text(FILE + "\n")
    with pytest.raises(OptionError, match=r"mine.py has changed since the study began"):
        task(tmp_path)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("size", "give a function as file.py:function"),
        ("mine.py:", "cannot be read|give a function"),
        ("nowhere.py:size", r"nowhere.py cannot be read"),
        ("no_such_module:size", "cannot be imported .ModuleNotFoundError"),
        ("{file}:none", "has no function none"),
        ("{file}:number", "has no function number"),
        ("{file}:broken", r"failed: KeyError: 'weights' .mine.py, line 11"),
        ("{file}:wordy", "returned 'many'; return a number"),
    ],
)
def test_faults_are_told_in_one_line(where: str, message: str, file: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=message) as told:
        UserTask(where.format(file=file))(tmp_path)
    assert len(str(told.value).splitlines()) == 1


def test_a_file_that_does_not_even_load(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = 1 +\n")
    with pytest.raises(OptionError, match=r"cannot be imported .SyntaxError"):
        UserTask(f"{tmp_path / 'bad.py'}:f").function()
