"""docs/families.md says what the code has: every family with its model_types, and the example as it stands."""

import re
from pathlib import Path

import spinspectra.layers.families as families

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "families.md").read_text(encoding="utf-8")
FOLDER = ROOT / "src" / "spinspectra" / "layers" / "families"


def test_every_family_has_its_line_with_its_model_types() -> None:
    rows = [line.split("|")[1:3] for line in PAGE.splitlines() if re.match(r"\| [A-Za-z]", line)][1:]
    said = {name.strip(): tuple(re.findall(r"`([^`]+)`", types)) for name, types in rows}
    assert said == {family.name: family.model_types for family in families.FAMILIES}
    assert list(said) == [family.name for family in families.FAMILIES]


def test_the_example_is_a_file_of_the_package() -> None:
    first, second = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert first == (FOLDER / "phi3.py").read_text(encoding="utf-8")
    entries = (ROOT / "tests" / "layers" / "zoo" / "decoders.py").read_text(encoding="utf-8")
    for line in second.splitlines():
        assert line in entries
    assert len((first + second).splitlines()) <= 30
