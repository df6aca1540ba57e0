"""The measures by hand, what two rulebooks differ by, and the files that come of it."""

from __future__ import annotations

import csv
import re
from datetime import date
from fractions import Fraction
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.simulate import tally as t
from engine.simulate.comparing import differences
from engine.simulate.export import write_csv, write_parquet
from engine.simulate.figures import Figures, gini, measures, percentile_d, returned, top_share
from engine.simulate.page import page_of
from engine.simulate.tables import joined, tables_of
from engine.simulate.tally import Tally, UserFigures, added, new_row
from tests.simulate.small import rulebook, simulated


def user(**about: int) -> UserFigures:
    return UserFigures("city", "keen", about.pop("opened", 0), **about)


def test_gini_by_hand() -> None:
    assert gini([]) == gini([0, 0]) == gini([7, 7, 7]) == 0
    assert gini([0, 0, 0, 8]) == Fraction(3, 4)
    assert gini([1, 3]) == Fraction(1, 4)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_gini_is_the_mean_difference(amounts: list[int]) -> None:
    total, count = sum(amounts), len(amounts)
    gaps = sum(abs(one - other) for one in amounts for other in amounts)
    assert gini(amounts) == (Fraction(gaps, 2 * count * total) if total else 0)
    assert 0 <= gini(amounts) < 1


def test_the_top_share() -> None:
    assert top_share([1] * 200) == Fraction(2, 200)
    assert top_share([1, 9]) == Fraction(9, 10)
    assert top_share([0]) == 0


def test_days_to_the_first_tree_count_those_who_have_none() -> None:
    users = [user(first_tree=day) for day in (10, 20, 30)] + [user() for _ in range(7)]
    assert [percentile_d(users, percent) for percent in (10, 30, 31, 90)] == [10, 30, None, None]
    assert percentile_d([user(opened=5, first_tree=12)], 50) == 7
    assert percentile_d([], 50) is None


def test_returns_ask_only_who_joined_early_enough() -> None:
    users = [user(active=0b11), user(active=0b1), user(opened=3, active=0b1001000)]
    assert returned(users, 1, 4) == (2, 1)
    assert returned(users, 1, 5) == (3, 1)
    assert returned(users, 3, 7) == (3, 1)


@given(st.permutations(range(4)))
def test_tallies_add_up_in_any_order(order: list[int]) -> None:
    parts = []
    for number in range(4):
        part = Tally()
        part.day(number % 2)[t.ISSUED] = 10**number
        part.behaviour("bus")[t.BALLS] = number
        part.trees["2026-01", "saxaul-alxa"] = number
        parts.append(part)
    whole = added(parts[number] for number in order)
    assert (whole.days[0][t.ISSUED], whole.days[1][t.ISSUED]) == (101, 1010)
    assert whole.behaviours["bus"][t.BALLS] == whole.trees["2026-01", "saxaul-alxa"] == 6
    assert parts[0].days[0] == [1, *new_row()[1:]]


def figures(label: str, tally: Tally, days: int = 30) -> Figures:
    return Figures(label, tally, date(2026, 1, 1), days, rulebook(), rulebook().hash)


def test_a_difference_has_an_interval_by_student() -> None:
    def run(issued: int) -> Figures:
        tally = Tally()
        tally.day(0)[t.ISSUED] = issued
        return figures("", tally)

    a, b = [run(100), run(100), run(100)], [run(101), run(102), run(103)]
    found = {one.measure: one for one in differences(a, b)}["issued_g"]
    assert (found.a, found.b, found.mean) == (100, 102, 2)
    assert found.half_width == pytest.approx(4.303 / 3**0.5)
    assert found.sure is False
    [one] = [one for one in differences(a[:1], b[:1]) if one.measure == "issued_g"]
    assert (one.half_width, one.sure) == (None, None)


def test_the_same_rules_do_not_differ() -> None:
    runs = [figures("", simulated(users=40, days=20, seed=seed)) for seed in (1, 2)]
    assert all(one.mean == 0 and not one.sure for one in differences(runs, runs))


@pytest.fixture(scope="module")
def one_run() -> Figures:
    return figures("A", simulated(users=40, days=80), 80)


def test_files_hold_what_the_tables_hold(one_run: Figures, tmp_path: Path) -> None:
    tables = joined(["A", "B"], [tables_of(one_run), tables_of(one_run)])
    for path, table in zip(write_csv(tables, tmp_path / "csv"), tables, strict=True):
        with path.open(encoding="utf-8", newline="") as file:
            header, *rows = csv.reader(file)
        assert tuple(header) == table.columns
        assert rows == [["" if cell is None else str(cell) for cell in row] for row in table.rows]
    for path, table in zip(write_parquet(tables, tmp_path / "parquet"), tables, strict=True):
        read = pq.read_table(path)
        assert tuple(read.column_names) == table.columns
        assert read.num_rows == len(table.rows)
    days = pq.read_table(tmp_path / "parquet" / "days.parquet").to_pydict()
    assert sum(days["issued_g"]) == 2 * one_run.tally.total(t.ISSUED)


def test_the_page_asks_nobody_for_anything(one_run: Figures) -> None:
    page = page_of("<Rules> & co", ["about"], [one_run, one_run], differences([one_run], [one_run]))
    assert "&lt;Rules&gt; &amp; co" in page
    outside = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(?:src|href)\s*=\s*[\"']?(?:https?:)?//", outside)
    assert "<script src" not in page
    assert "@import" not in outside
    assert page.count('class="plotly-graph-div"') == 7
    assert f"{measures(one_run)['issued_g']:,}" in page
    assert "行走" in page or "\\u884c\\u8d70" in page
