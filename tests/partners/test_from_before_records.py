"""A database of the time before records, with orders on their way, goes through all later migrations and goes on."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from sqlalchemy import create_engine

from engine.store.schema import alembic_config
from partners.checks import audit
from partners.core import commands as c
from partners.jobs import follow_up, form_orders
from tests.partners.bench import Bench, open_bench
from tests.partners.test_after_checks import PARTNER, planted

BEFORE = "0005_sources"


async def orders_on_their_way(bench: Bench) -> list[int]:
    """One submitted, one planted, one verified for two of its three trees, and a tree that waits."""
    await bench.trees(8)
    units = [unit for (unit,) in await bench.rows("SELECT id FROM tree_units ORDER BY id")]
    submitted = int((await bench.form(*units[:1]))["formed"])
    waits_for_review = await planted(bench, units[1:4], "a")
    verified = await planted(bench, units[4:7], "b")
    await bench.do(c.ReviewOrder(None, "operator", verified, "verified", verified={"1": 2}))
    return [submitted, waits_for_review, verified]


def as_before(now: Path, then: Path) -> None:
    """What of a database's rows there was at `BEFORE`, in a database of that time."""
    config = alembic_config()
    engine = create_engine(f"sqlite:///{then}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, BEFORE)
    engine.dispose()
    with closing(sqlite3.connect(then, isolation_level=None)) as rows:
        rows.execute("ATTACH ? AS now", (str(now),))
        tables = [
            name for (name,) in rows.execute("SELECT name FROM main.sqlite_master WHERE type = 'table'")
        ]
        for table in tables:
            if table == "alembic_version":
                continue
            columns = ", ".join(f'"{row[1]}"' for row in rows.execute(f"PRAGMA main.table_info({table})"))
            rows.execute(f"DELETE FROM main.{table}")
            rows.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")
        rows.execute("UPDATE partner_orders SET due_at = NULL WHERE state = 'verified'")


async def test_orders_older_than_agreements_go_on_under_them(tmp_path: Path) -> None:
    async with open_bench(f"sqlite:///{tmp_path}/now.db") as bench:
        submitted, planted_one, verified = await orders_on_their_way(bench)
    await asyncio.to_thread(as_before, tmp_path / "now.db", tmp_path / "then.db")
    async with open_bench(f"sqlite:///{tmp_path}/then.db", spreads_ids=False) as bench:
        async with bench.db.snapshot() as view:
            assert [finding async for finding in audit(view)] == []
        assert set(await bench.rows("SELECT agreement FROM partner_orders")) == {("",)}
        [(programmes,)] = await bench.rows(
            "SELECT count(DISTINCT programme) FROM order_lines WHERE programme <> ''"
        )
        assert programmes == 1
        assert (
            await form_orders(bench.writer, bench.db) == 2
        )  # the tree that waited, and the one not verified
        await follow_up(bench.writer, bench.db)
        await bench.do(c.ReviewOrder(None, "operator:li", planted_one, "verified"))
        await bench.do(c.CancelOrder(None, "li", submitted, "asked by mistake"))
        await follow_up(bench.writer, bench.db)
        states = dict(await bench.rows("SELECT id, state FROM partner_orders WHERE agreement = ''"))
        assert states == {submitted: "cancelled", planted_one: "monitoring", verified: "monitoring"}
        assert await bench.rows("SELECT partner, verified FROM performances") == [(PARTNER, 0)]
        async with bench.db.snapshot() as view:
            assert [finding async for finding in audit(view)] == []
