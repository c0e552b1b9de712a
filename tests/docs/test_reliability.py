"""Every test that docs/reliability.md names exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "docs" / "reliability.md").read_text())


def test_every_fault_names_the_test_that_holds_it():
    rows = [
        line.split("|")[1:-1]
        for line in (ROOT / "docs" / "reliability.md").read_text().splitlines()
        if line.startswith("| ")
    ][2:]
    assert len(rows) > 20
    assert all(len(row) == 4 and "::" in row[3] for row in rows)


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_named_test_exists(path, name):
    assert f"\ndef {name}(" in (ROOT / path).read_text()
