"""A real database in the same figures: they agree with its own rows, with the replay, and with `saxaul check`."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from pathlib import Path

import pytest

from engine.reading import reading
from engine.simulate import tally as t
from engine.simulate.between import Between
from engine.simulate.figures import RETURNS_D, percentile_d, returned
from engine.simulate.journal import ALL, EmptyDatabase, read_journal
from engine.simulate.replay import real_days, replayed
from tests.cli.conftest import run_saxaul
from tests.cli.world import build
from tests.simulate.small import rulebook


async def test_the_journal_agrees_with_the_rows_and_the_replay_with_the_journal(database_url: str) -> None:
    world = await build(database_url)
    async with reading(database_url) as db, db.snapshot() as view:
        read = await read_journal(view, by_rules=False)
        days = await real_days(view, read, rulebook())
        wallets = dict(await view.fetch("SELECT id, wallet_g FROM users"))
        [(trees,)] = await view.fetch("SELECT count(*) FROM trees")
        [(balls, left_g)] = await view.fetch("SELECT count(*), sum(remaining_g) FROM balls")
        [(acts, avoided_mg)] = await view.fetch("SELECT count(*), sum(avoided_mg) FROM activities")
        by_rules = await read_journal(view, by_rules=True)
    tally = read.groups[ALL]
    assert tally.total(t.TREES) == trees == sum(tally.planted.values()) == 2
    assert (tally.total(t.BALLS), tally.total(t.ACTS), tally.total(t.AVOIDED_MG)) == (balls, acts, avoided_mg)
    accounts = tally.accounts
    assert accounts["ball"] == left_g
    assert accounts["wallet"] == sum(wallets.values())
    held = sum(accounts[kind] for kind in ("ball", "wallet", "redeemed", "expired", "reversed", "debt"))
    assert -accounts["mint"] == held == tally.total(t.ISSUED)
    assert tally.total(t.REVERSED) > 0
    assert tally.total(t.EXPIRED) > 0
    assert tally.total(t.BY_FRIENDS) > 0
    walker = read.users[world.walker]
    assert (walker.trees, walker.linked) == (trees, 1)
    assert sum(tally.money.values()) == trees * 738
    assert by_rules.groups[rulebook().hash].total(t.ISSUED) == tally.total(t.ISSUED)

    forecast = replayed(days, rulebook(), read.days, seed=1)
    for behaviour, real in tally.behaviours.items():
        row = forecast.behaviours[behaviour]
        assert row[t.ISSUED] - row[t.REVERSED] == real[t.ISSUED] - real[t.REVERSED], behaviour
    twin, again = tally.behaviours["walking"], forecast.behaviours["walking"]
    assert (
        twin[t.REVERSED] > 0
    )  # of two totals of a day one counts, and what nobody took of the other goes back
    assert again[t.REVERSED] > 0
    assert again[t.AVOIDED_MG] == twin[t.AVOIDED_MG]
    assert forecast.total(t.BALLS) == tally.total(t.BALLS)
    assert forecast.user_days == tally.user_days
    assert [returned(forecast.users, after_d, read.days) for after_d in RETURNS_D] == [
        returned(tally.users, after_d, read.days) for after_d in RETURNS_D
    ]
    assert forecast.total(t.OPENED) == tally.total(t.OPENED) > 0
    taken, really = (forecast.total(t.BY_OWNER), tally.total(t.BY_OWNER))
    assert abs(taken - really) <= really // 10


async def test_two_arms_of_a_canary_are_told_apart(tmp_path: Path) -> None:
    file = tmp_path / "game.db"
    world = await build(f"sqlite:///{file}")
    with sqlite3.connect(file) as db:
        sql = "UPDATE activities SET trace = replace(trace, ?, ?) WHERE user_id = ?"
        db.execute(sql, (rulebook().hash, "f" * 64, world.walker))
    db.close()
    async with reading(f"sqlite:///{file}") as opened, opened.snapshot() as view:
        whole = (await read_journal(view, by_rules=False)).groups[ALL]
        arms = (await read_journal(view, by_rules=True)).groups
    canary = arms["f" * 64]
    assert [user.trees for user in canary.users] == [2]
    assert canary.total(t.TREES) == whole.total(t.TREES)
    assert sum(canary.money.values()) == sum(whole.money.values())
    for column in range(len(t.COLUMNS)):
        assert sum(arm.total(column) for arm in arms.values()) == whole.total(column), t.COLUMNS[column]
    assert 0 < canary.total(t.ISSUED) < whole.total(t.ISSUED)
    assert sum(len(arm.users) for arm in arms.values()) == len(whole.users)


@pytest.mark.parametrize("by_rules", [False, True])
async def test_days_read_one_by_one_make_the_whole(database_url: str, by_rules: bool) -> None:
    await build(database_url)
    async with reading(database_url) as db, db.snapshot() as view:
        whole = await read_journal(view, by_rules)
        days = [whole.start + timedelta(days=number) for number in range(whole.days)]
        ones = [await read_journal(view, by_rules, between=Between(day, day)) for day in days]
        rest = await read_journal(view, by_rules, between=Between(days[1], None))
        with pytest.raises(EmptyDatabase, match="nothing happened in the days asked for"):
            await read_journal(view, by_rules, between=Between(days[-1] + timedelta(days=1), None))
    assert len(days) > 3
    columns = [column for column in range(len(t.COLUMNS)) if column != t.OPENED]
    for number, one in enumerate(ones):
        assert (one.start, one.days) == (days[number], 1)
        assert all(tally.days.keys() <= {0} for tally in one.groups.values())
        for column in columns:
            there = sum(tally.total(column) for tally in one.groups.values())
            assert there == sum(tally.day(number)[column] for tally in whole.groups.values()), (
                number,
                column,
            )
    for name in {name for tally in whole.groups.values() for name in tally.behaviours}:
        for column in columns:
            parts = sum(tally.behaviour(name)[column] for one in ones for tally in one.groups.values())
            assert parts == sum(tally.behaviour(name)[column] for tally in whole.groups.values()), (
                name,
                column,
            )
    assert sum(user.opened < 0 for user in rest.users.values()) > 0
    joined = [user for tally in rest.groups.values() for user in tally.users if user.opened >= 0]
    assert percentile_d([*joined, *rest.users.values()], 50) == percentile_d(joined, 50)


async def test_an_empty_database_says_so(sqlite_url: str) -> None:
    async with reading(sqlite_url) as db, db.snapshot() as view:
        with pytest.raises(EmptyDatabase):
            await read_journal(view, by_rules=True)


def test_the_commands_on_a_real_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'game.db'}"
    empty = run_saxaul("rules", "report", "--database", url)
    assert (empty.status, "nothing to report" in empty.err) == (1, True)
    steps = Path(__file__).parents[2] / "docs" / "samples" / "fitbit.csv"
    taken = run_saxaul(
        "ingest", steps, "--format", "fitbit", "--rebase", "yesterday", "--database", url, "--json"
    )
    issued_g = taken.check().json["issued_g"]
    report = run_saxaul("rules", "report", "--database", url, "--by", "rules", "--json").check().json
    summary = {row["measure"]: row["value"] for row in report["tables"]["summary"]}
    assert summary["issued_g"] == issued_g
    assert summary["rulebook"] == rulebook().hash[:16]
    replay = run_saxaul("rules", "simulate", "--from-journal", url, "--json").check().json
    [issued] = [row for row in replay["tables"]["summary"] if row["measure"] == "issued_g"]
    assert issued == {"measure": "issued_g", "actual": issued_g, "forecast": issued_g}
    mixed = run_saxaul("rules", "simulate", "--from-journal", url, "--users", "5")
    assert (mixed.status, "brings its own users" in mixed.err) == (2, True)


def test_simulate_from_the_command_line(tmp_path: Path) -> None:
    small = ("--users", "30", "--days", "10", "--processes", "1")
    page, tables = tmp_path / "page.html", tmp_path / "tables"
    first = run_saxaul("rules", "simulate", *small, "--json", "--html", page, "--csv", tables).check().json
    again = run_saxaul("rules", "simulate", *small, "--json").check().json
    other = run_saxaul("rules", "simulate", *small, "--json", "--seed", "2").check().json
    assert first == again != other
    assert "<!doctype html>" in page.read_text(encoding="utf-8")[:20]
    assert {path.name for path in tables.iterdir()} >= {"summary.csv", "days.csv", "fairness.csv"}
    shown = run_saxaul("rules", "simulate", *small).check().out
    assert "Energy by behaviour" in shown
    assert "按行为" in shown
    speed = json.loads(run_saxaul("rules", "simulate", *small, "--benchmark", "--json").check().out)
    assert speed["user_days"] == 300
    assert speed["commands_a_user_day"] >= 5


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (("--population", "no-such"), 2, "city-and-town"),
        (("no-such-folder",), 2, "no folder"),
        (("--trace", "fitbit"), 2, "with = and a value"),
        (("--trace", "horse=x.csv"), 2, "fitbit, bike, ev"),
        (("--trace", "fitbit=no-such.csv"), 1, "No such file"),
        (("--trace", "ev=x.csv", "--trace-as", "ev=flying"), 2, "no rulebook has 'flying'"),
        (("--html", "no-such-folder/page.html"), 2, "can't be written"),
        (("--users", "0"), 2, "users"),
        (("--days", "99999"), 2, "days"),
    ],
)
def test_wrong_use_is_told(arguments: tuple[str, ...], status: int, told: str) -> None:
    ran = run_saxaul("rules", "simulate", *arguments)
    assert (ran.status, told in ran.err) == (status, True), ran.err
