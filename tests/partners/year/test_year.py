"""A short year on both stores: the same figures, and books that balance; and audits that find what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from partners.year.books import Books, audit_books
from partners.year.running import YearFigures, as_json, run_year
from partners.year.scenario import shipped
from partners.year.world import World, YearProblem, open_world

TREES, STRIDE_D, SEED = 1_500, 10, 5
TIMED = ("seconds", "seconds_by_step")


async def short_year(url: str) -> YearFigures:
    return await run_year(shipped(), url, TREES, SEED, stride_d=STRIDE_D)


def plain(figures: YearFigures) -> dict[str, Any]:
    return {name: value for name, value in as_json(figures).items() if name not in TIMED}


async def test_both_stores_end_in_the_same_year(tmp_path: Path, postgres_url: str) -> None:
    figures = await short_year(f"sqlite:///{tmp_path}/year.db")
    assert figures.books.findings == []
    assert plain(await short_year(postgres_url)) == plain(figures)

    assert sum(figures.ends.values()) == sum(figures.books.places.values()) == TREES
    happened = {name for month in figures.months.values() for name, trees in month.trees.items() if trees}
    assert happened >= {"pledged", "ordered", "planted", "verified", "lost", "replaced", "waiting again"}
    orders = {name for month in figures.months.values() for name in month.orders}
    assert orders >= {"submitted", "held"}
    assert orders & {"rejected", "expired", "cancelled"}
    assert set(figures.books.by_currency) == {"CNY", "EUR", "KZT", "MNT"}
    for currency, partners in figures.books.by_partner.items():
        assert sum(partners.values()) == sum(figures.books.by_funder[currency].values())


async def test_the_audit_finds_what_is_altered(tmp_path: Path) -> None:
    async with open_world(shipped(), f"sqlite:///{tmp_path}/year.db", 200, 1) as world:
        await _some_orders(world)
        clean = await _audited(world)
        assert clean.findings == []
        assert clean.entries > 0
        for sql, word in (
            ("UPDATE budget_entries SET amount_minor = amount_minor + 1 WHERE id LIKE '%/1'", "fund"),
            ("UPDATE order_lines SET units = '[]' WHERE units <> '[]'", "in its line"),
            ("UPDATE trees SET state = 'verified' WHERE id = (SELECT min(id) FROM trees)", "to be told"),
            ("DELETE FROM tree_units WHERE id = (SELECT max(id) FROM tree_units)", "trees that were redeemed"),
        ):  # fmt: skip
            async with world.db.write() as tx:
                await tx.execute(sql)
            found = await _audited(world)
            assert any(word in finding for finding in found.findings), (sql, found.findings)


async def _some_orders(world: World) -> None:
    from partners import jobs
    from partners.year.running import _redemptions

    plan = _redemptions(world)
    await world.all([wish for _ in range(365) for wish in next(plan)])
    world.clock.at += 40 * 86_400_000
    await jobs.form_orders(world.writer, world.db)
    await jobs.follow_up(world.writer, world.db)


async def _audited(world: World) -> Books:
    return await audit_books(world, lambda what, done, of: None)


async def test_a_database_in_use_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/year.db"
    async with open_world(shipped().with_partners(1), url, 20, 1):
        pass
    with pytest.raises(YearProblem, match="not empty"):
        async with open_world(shipped().with_partners(1), url, 20, 1):
            pass


def test_more_partners_than_there_are_come_again() -> None:
    names = [one.id for one in shipped().with_partners(14).planters]
    assert names[12:] == [f"{names[0]}-2", f"{names[1]}-2"]
    with pytest.raises(ValueError, match="60"):
        shipped().with_partners(0)
