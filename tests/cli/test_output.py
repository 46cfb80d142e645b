"""What commands share in showing."""

import json
import math

import pandas as pd

from spinspectra.cli.output import json_rows


def test_rows_are_json_with_null_for_what_is_no_number() -> None:
    table = pd.DataFrame(
        {
            "name": ["a", None],
            "n": [1, 2],
            "good": [True, False],
            "x": [math.nan, 0.5],
            "y": [math.inf, -math.inf],
            "mixed": [math.inf, "text"],
        }
    )
    assert json.loads(json.dumps(json_rows(table), allow_nan=False)) == [
        {"name": "a", "n": 1, "good": True, "x": None, "y": None, "mixed": None},
        {"name": None, "n": 2, "good": False, "x": 0.5, "y": None, "mixed": "text"},
    ]
    assert json_rows(table[:0]) == []
