"""The table of attempts at fraud: each is played, and each meets its code."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from partners.core.reasons import REASONS
from tests.partners.evidence import attempts_of_others
from tests.partners.evidence.attempts import ATTEMPTS, Given
from tests.partners.evidence.plot import Plot

TABLE = Path(__file__).parents[1] / "fraud.csv"
ROWS = list(csv.DictReader(TABLE.read_text().splitlines()))


def given(text: str) -> Given:
    """`a=1;b=2` as a mapping."""
    return dict(pair.split("=", 1) for pair in text.split(";") if pair)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['id']}-{row['attempt']}")
async def test_an_attempt_meets_its_code(row: dict[str, str], plot: Plot) -> None:
    told = await ATTEMPTS[row["attempt"]](plot, given(row["input"]))
    assert row["expected"] in told


def test_the_table_is_whole() -> None:
    assert attempts_of_others
    assert len(ROWS) >= 60
    assert len({row["id"] for row in ROWS}) == len(ROWS)
    assert {row["actor"] for row in ROWS} == {"partner", "source", "user"}
    assert {row["attempt"] for row in ROWS} == set(ATTEMPTS)
    marks = {code for code, wording in REASONS.items() if wording.kind == "mark"}
    untried = marks - {row["expected"] for row in ROWS}
    assert untried == {"one_outside_site"}  # told only: most photos are inside
