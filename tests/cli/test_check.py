"""A clean database passes; each way to damage it is named by its code."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Ran, Saxaul, run_saxaul
from tests.cli.world import World, build

Damage = Callable[[sqlite3.Connection, World], None]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, World]:
    path = tmp_path_factory.mktemp("world") / "whole.db"
    return path, asyncio.run(build(f"sqlite:///{path}"))


@pytest.fixture
def damaged(built: tuple[Path, World], tmp_path: Path) -> Callable[[Damage], Ran]:
    def check(damage: Damage) -> Ran:
        path = tmp_path / "damaged.db"
        shutil.copy(built[0], path)
        with closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA ignore_check_constraints=ON")
            damage(db, built[1])
            db.commit()
        return run_saxaul("check", "--json", database_url=f"sqlite:///{path}")

    return check


def test_a_whole_database_passes_and_says_what_was_checked(built: tuple[Path, World]) -> None:
    url = f"sqlite:///{built[0]}"
    ran = run_saxaul("check", "--json", database_url=url).check()
    told = ran.json
    assert told["ok"] and told["problems"] == {}
    assert len(told["checked"]) > 15
    assert told["counts"]["takes"] > 100 and told["counts"]["trees"] == 2 and told["counts"]["balls"] > 200
    by_kind = {(one["kind"], one["asset"]): one for one in told["accounts"]}
    energy = {kind: one["balance"] for (kind, asset), one in by_kind.items() if asset == "energy"}
    assert -energy["mint"] == sum(grams for kind, grams in energy.items() if kind != "mint")
    assert energy["debt"] <= 0 and energy["reversed"] > 0 and energy["expired"] > 0
    assert by_kind["ball", "energy"]["balance_in_rows"] == energy["ball"]
    words = run_saxaul("check", database_url=url).check().out
    assert "No problem was found." in words and "wallet" in words


async def test_a_whole_database_passes_on_postgresql(postgres_url: str) -> None:
    world = await build(postgres_url)
    told = await asyncio.to_thread(run_saxaul, "check", "--json", database_url=postgres_url)
    assert told.check().json["counts"]["trees"] == 2
    shown = await asyncio.to_thread(
        run_saxaul, "explain", "ball", str(world.shared_ball), "--json", database_url=postgres_url
    )
    document = shown.check().json
    assert document["missing_g"] == 0
    assert {one["reason"] for one in document["transfers"]} == {"accepted", "collected"}


def test_an_empty_database_passes(saxaul: Saxaul) -> None:
    assert saxaul("check", "--json").check().json["counts"]["users"] == 0


# --- damage -----------------------------------------------------------------------------------------


def run(sql: str, *names: str) -> Damage:
    """Damage by one statement; `names` are fields of the world."""
    return lambda db, world: _executed(db.execute(sql, [getattr(world, name) for name in names]))


def _executed(cursor: sqlite3.Cursor) -> None:
    assert cursor.rowcount != 0, "the damage hit nothing"


def edit_row(
    db: sqlite3.Connection, table: str, where: str, column: str, change: Callable[[Any], Any]
) -> None:
    row_id, text = db.execute(f"SELECT id, {column} FROM {table} WHERE {where} LIMIT 1").fetchone()
    db.execute(
        f"UPDATE {table} SET {column} = ? WHERE id = ?", (json.dumps(change(json.loads(text))), row_id)
    )


def edit(table: str, where: str, column: str, change: Callable[[Any], Any]) -> Damage:
    return lambda db, world: edit_row(db, table, where, column, change)


def copy_journal_row(where: str, key: str = "NULL") -> Damage:
    """The same journal row once more, at the end."""
    columns = '"at", kind, actor, content, transfers, reply'
    return run(
        f"INSERT INTO journal (id, {columns}, key, pubs)"
        f" SELECT (SELECT max(id) + 1 FROM journal), {columns}, {key}, '[]' FROM journal WHERE {where} LIMIT 1"
    )


def both(*damages: Damage) -> Damage:
    def all_of_them(db: sqlite3.Connection, world: World) -> None:
        for damage in damages:
            damage(db, world)

    return all_of_them


def without_index(name: str) -> Damage:
    return lambda db, world: db.execute(f"DROP INDEX {name}") and None


def a_gram_more_for_a_friend(db: sqlite3.Connection, world: World) -> None:
    """Every sum agrees, but the draw says otherwise."""
    ball, takers = db.execute("SELECT id, takers FROM balls WHERE id = ?", (world.shared_ball,)).fetchone()
    told = json.loads(takers)
    assert [taker[0] for taker in told] == [world.friend, world.walker]
    told[0][1] += 1
    told[1][1] -= 1
    db.execute("UPDATE balls SET takers = ? WHERE id = ?", (json.dumps(told), ball))
    for (user, _, key), more in zip(told, (1, -1), strict=True):
        [text] = db.execute("SELECT transfers FROM journal WHERE key = ?", (key,)).fetchone()
        moves = json.loads(text)
        for move in moves:
            if move[0] == f"ball:{ball}" and move[1] == f"wallet:{user}":
                move[3] += more
        db.execute("UPDATE journal SET transfers = ? WHERE key = ?", (json.dumps(moves), key))
        db.execute("UPDATE users SET wallet_g = wallet_g + ? WHERE id = ?", (more, user))


def friend_takes_all(db: sqlite3.Connection, world: World) -> None:
    edit_row(
        db,
        "balls",
        f"id = {world.shared_ball}",
        "takers",
        lambda takers: [[takers[0][0], takers[0][1] + takers[1][1], takers[0][2]]],
    )


def unit_in_two_lines(db: sqlite3.Connection, world: World) -> None:
    (_, first), (other, second) = db.execute("SELECT id, units FROM order_lines ORDER BY id").fetchall()
    units = json.dumps(json.loads(second) + json.loads(first))
    db.execute("UPDATE order_lines SET units = ? WHERE id = ?", (units, other))


def activity_again(db: sqlite3.Connection, world: World) -> None:
    names = [row[1] for row in db.execute("PRAGMA table_info(activities)") if row[1] != "id"]
    columns = ", ".join(f'"{name}"' for name in names)
    db.execute(
        f"INSERT INTO activities (id, {columns}) SELECT 999999, {columns} FROM activities WHERE id = ?",
        (world.expired_ball,),
    )


def recount(counts: bool) -> Callable[[list[Any]], list[Any]]:
    return lambda acts: [[*act[:-1], counts] for act in acts]


def edit_twins(change: Callable[[Any], Any]) -> Damage:
    """Of the row that holds the two reports of one day's steps."""

    def damage(db: sqlite3.Connection, world: World) -> None:
        where = f"user_id = {world.debtor} AND acts LIKE '%{world.counting_ball}%'"
        [(text,)] = db.execute(f"SELECT acts FROM occasions WHERE {where}").fetchall()
        db.execute(f"UPDATE occasions SET acts = ? WHERE {where}", (json.dumps(change(json.loads(text))),))

    return damage


def drop_last(items: list[Any]) -> list[Any]:
    return items[:-1]


COLLECT = "kind = 'CollectEnergy'"
REPORT = "kind = 'ReportActivity' AND pubs LIKE '%forest:%'"
PUBLISHED = "pubs LIKE '%forest:%' AND id < (SELECT max(id) FROM journal WHERE pubs LIKE '%forest:%')"

DAMAGES: dict[str, tuple[Damage, set[str]]] = {
    "a gram more in a wallet": (
        run("UPDATE users SET wallet_g = wallet_g + 1 WHERE id = ?", "walker"),
        {"wallet_balance", "energy_law"},
    ),
    "a gram less in a ball": (
        run("UPDATE balls SET remaining_g = remaining_g + 1 WHERE id = ?", "shared_ball"),
        {"ball_balance", "energy_law", "takers_sum"},
    ),
    "a gram of debt forgiven": (
        run("UPDATE users SET debt_g = debt_g - 1 WHERE id = ?", "debtor"),
        {"debt_balance", "energy_law"},
    ),
    "a milligram more avoided": (
        run("UPDATE users SET avoided_mg = avoided_mg + 1 WHERE id = ?", "walker"),
        {"carbon_balance", "avoided_law", "avoided_sum"},
    ),
    "an act worth more emissions": (
        run("UPDATE activities SET avoided_mg = avoided_mg + 1 WHERE id = ?", "expired_ball"),
        {"avoided_sum"},
    ),
    "a wallet below zero": (
        run("UPDATE users SET wallet_g = -1 WHERE id = ?", "debtor"),
        {"below_zero", "wallet_balance", "energy_law"},
    ),
    "a transfer deleted": (
        edit("journal", COLLECT, "transfers", drop_last),
        {"wallet_balance", "ball_balance", "take_missing"},
    ),
    "a journal row deleted": (
        run(f"DELETE FROM journal WHERE id = (SELECT id FROM journal WHERE {COLLECT} ORDER BY id LIMIT 1)"),
        {"wallet_balance", "offset_hole"},
    ),
    "a double mint": (
        both(
            copy_journal_row("kind = 'ReportActivity' AND transfers LIKE '%ball:%'"),
        ),
        {"minted_twice", "ball_full", "ball_balance"},
    ),
    "an activity accepted twice": (
        both(without_index("ix_activities_name"), activity_again),
        {"activity_twice", "ball_missing", "cap_use"},
    ),
    "a ball without its activity": (
        run("DELETE FROM activities WHERE id = ?", "shared_ball"),
        {"activity_missing", "avoided_sum", "cap_use"},
    ),
    "an activity without its ball": (
        run("DELETE FROM balls WHERE id = ?", "shared_ball"),
        {"ball_missing", "account_missing"},
    ),
    "a ball of somebody else": (
        run("UPDATE balls SET owner = owner + 1 WHERE id = ?", "shared_ball"),
        {"ball_owner"},
    ),
    "a ball fuller than its act": (
        run("UPDATE balls SET full_g = full_g + 1 WHERE id = ?", "shared_ball"),
        {"ball_worth", "ball_full", "takers_sum"},
    ),
    "an offset hole": (edit("journal", PUBLISHED, "pubs", lambda pubs: []), {"offset_hole"}),
    "an offset given twice": (
        edit("journal", f"{REPORT} ORDER BY id DESC", "pubs", lambda pubs: pubs + pubs),
        {"offset_double"},
    ),
    "a position ahead": (
        run("UPDATE users SET forest_pos = forest_pos + 1 WHERE id = ?", "walker"),
        {"position"},
    ),
    "a taker twice": (
        lambda db, world: edit_row(db, "balls", f"id = {world.shared_ball}", "takers", lambda t: [*t, t[0]]),
        {"taker_twice", "takers_sum"},
    ),
    "a taker forgotten": (
        lambda db, world: edit_row(db, "balls", f"id = {world.shared_ball}", "takers", lambda t: t[1:]),
        {"taker_missing", "takers_sum"},
    ),
    "a receipt with another key": (
        lambda db, world: edit_row(
            db, "balls", f"id = {world.shared_ball}", "takers", lambda t: [[*t[0][:2], "other"], *t[1:]]
        ),
        {"take_key"},
    ),
    "a take booked twice": (copy_journal_row(COLLECT), {"taken_twice", "take_grams", "wallet_balance"}),
    "a floor broken": (friend_takes_all, {"floor_broken", "take_grams", "taker_missing"}),
    "a share that was not drawn": (a_gram_more_for_a_friend, {"draw"}),
    "a day's secret lost": (run("DELETE FROM day_secrets"), {"secret_missing"}),
    "a key bound twice": (
        both(without_index("ix_journal_key"), copy_journal_row("kind = 'RequestFriend'", "key")),
        {"key_twice"},
    ),
    "a cap used less than its acts": (
        run("UPDATE caps SET used_g = used_g - 1 WHERE period LIKE '____-__-__' AND used_g = 296"),
        {"cap_use"},
    ),
    "a cap above its limit": (
        run("UPDATE caps SET used_g = 297 WHERE period LIKE '____-__-__' AND used_g = 296"),
        {"cap_use", "cap_exceeded"},
    ),
    "a cap forgotten": (run("DELETE FROM caps WHERE behaviour = 'bus'"), {"cap_use"}),
    "stock over funding": (
        run("UPDATE stocks SET stock = covered"),
        {"over_funding", "stock_balance", "tree_law"},
    ),
    "funding for more than was paid": (run("UPDATE stocks SET covered = covered + 1"), {"covered"}),
    "money spent on nothing": (
        run("UPDATE commitments SET left_minor = left_minor - 738"),
        {"commitment_left", "fund_balance", "money_law"},
    ),
    "a tree sold and not there": (
        run("DELETE FROM trees WHERE id = (SELECT max(id) FROM trees)"),
        {"trees_sold", "commitment_left", "redeemed_energy", "unit_without_tree"},
    ),
    "a tree with another number": (run("UPDATE trees SET number = 'SX-' || id"), {"tree_number"}),
    "a unit in two lines": (unit_in_two_lines, {"unit_in_two_lines"}),
    "a unit lost": (run("DELETE FROM tree_units"), {"tree_without_unit"}),
    "a friend miscounted": (
        run("UPDATE users SET friend_count = 9 WHERE id = ?", "walker"),
        {"friend_count"},
    ),
    "a friend of one side": (
        run("DELETE FROM friends WHERE user_id = ?", "friend"),
        {"half_friends", "friend_count"},
    ),
    "a reversed act with grams": (
        run("UPDATE activities SET energy_g = 5 WHERE status = 'reversed'"),
        {"reversed_activity"},
    ),
    "two reports of one act counted": (
        both(
            edit_twins(recount(True)),
            run("UPDATE activities SET status = 'accepted', avoided_mg = 7 WHERE id = ?", "excluded_ball"),
        ),
        {"twins_counted", "avoided_sum"},
    ),
    "an excluded act with emissions": (
        run("UPDATE activities SET avoided_mg = 7 WHERE id = ?", "excluded_ball"),
        {"excluded_counted", "avoided_sum"},
    ),
    "an act that counts and is told not to": (edit_twins(recount(False)), {"occasion_counts"}),
    "an act forgotten among those of its day": (edit_twins(drop_last), {"occasion_acts"}),
    "all acts of a day forgotten": (
        run("DELETE FROM occasions WHERE user_id = ?", "debtor"),
        {"occasion_missing"},
    ),
    "an act among those of somebody else": (
        run("UPDATE occasions SET user_id = 999 WHERE user_id = ?", "debtor"),
        {"occasion_owner", "occasion_missing"},
    ),
    "a row that can't be read": (
        run(f"UPDATE journal SET transfers = '[[1' WHERE {COLLECT}"),
        {"unreadable_row"},
    ),
    "a transfer of less than nothing": (
        edit("journal", COLLECT, "transfers", lambda moves: [[*moves[0][:3], -5, moves[0][4]], *moves[1:]]),
        {"bad_transfer", "wallet_balance"},
    ),
    "a transfer to no kind of account": (
        edit("journal", COLLECT, "transfers", lambda moves: [["mint", "pot:1", "energy", 1, "x"], *moves]),
        {"bad_transfer"},
    ),
    "a transfer to nobody": (
        edit(
            "journal", COLLECT, "transfers", lambda moves: [["mint", "wallet:4711", "energy", 1, "x"], *moves]
        ),
        {"account_missing", "energy_law"},
    ),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_each_damage_is_named(damaged: Callable[[Damage], Ran], name: str) -> None:
    damage, codes = DAMAGES[name]
    ran = damaged(damage)
    assert ran.status == 1
    told = ran.json
    assert not told["ok"]
    assert codes <= set(told["problems"]), told["problems"]
    assert all(
        one["place"] and ("expected" in one["about"] or one["code"] in ("unreadable_row", "bad_transfer"))
        for one in told["examples"]
    ), told["examples"]


def test_problems_are_told_in_words(
    damaged: Callable[[Damage], Ran], built: tuple[Path, World], tmp_path: Path
) -> None:
    damaged(DAMAGES["a gram more in a wallet"][0])
    ran = run_saxaul("check", database_url=f"sqlite:///{tmp_path / 'damaged.db'}")
    assert ran.status == 1
    assert f"users {built[1].walker}: wallet_g, by its transfers: expected" in ran.out
