"""Several processes of a training hear of a stop at the same step."""

import subprocess
import sys
from pathlib import Path

from spinspectra.monitor.ranks import agree

SCRIPT = """
import sys, torch
from spinspectra.monitor.ranks import agree
rank = int(sys.argv[1])
torch.distributed.init_process_group("gloo", init_method=f"file://{sys.argv[2]}", rank=rank, world_size=2)
wishes = [(False, True), (rank == 0, False), (rank == 1, True), (False, True)]
print([agree(stop, is_time, "cpu") for stop, is_time in wishes])
torch.distributed.destroy_process_group()
"""


def test_one_process_knows_at_once() -> None:
    assert agree(True, False, "cpu")
    assert not agree(False, True, "cpu")


def test_two_hear_of_it_where_they_compare(tmp_path: Path) -> None:
    both = [
        subprocess.Popen([sys.executable, "-c", SCRIPT, str(rank), str(tmp_path / "met")], stdout=subprocess.PIPE)
        for rank in range(2)
    ]
    told = [one.communicate(timeout=120)[0].decode().strip() for one in both]
    assert told == ["[False, False, True, False]"] * 2
