"""What was verified before there were standings and claims gets both, and is watched from then on."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

from engine.store.schema import alembic_config
from partners.checks import audit
from partners.core import commands as c
from partners.jobs import follow_up
from tests.partners.bench import open_bench
from tests.partners.test_after_checks import planted

OLD = (
    "DELETE FROM standings",
    "DELETE FROM claims",
    "DELETE FROM batch_reviews",
    "UPDATE partner_orders SET due_at = NULL",
)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/game.db"
    return str(request.getfixturevalue("bare_postgres_url"))


def carry_over(connection: Connection) -> None:
    """The part of the migration that carries rows over, by itself."""
    script = ScriptDirectory.from_config(alembic_config()).get_revision("0007_after_planting")
    with Operations.context(MigrationContext.configure(connection)):
        script.module._carry_over()


async def migrate_rows(url: str) -> None:
    if url.startswith("sqlite"):
        engine = create_engine(url)
        with engine.begin() as connection:
            carry_over(connection)
        engine.dispose()
        return
    shared = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with shared.begin() as connection:
        await connection.run_sync(carry_over)
    await shared.dispose()


async def test_old_verified_trees_claim_their_batches_and_are_watched(url: str) -> None:
    async with open_bench(url) as bench:
        await bench.trees(3)
        units = [unit for (unit,) in await bench.rows("SELECT id FROM tree_units ORDER BY id")]
        order = await planted(bench, units, "a")
        await bench.do(c.ReviewOrder(None, "operator", order, "verified", verified={"1": 2}))
        async with bench.db.write() as tx:
            for sql in OLD:
                await tx.execute(sql)
    await migrate_rows(url)
    async with open_bench(url) as bench:
        async with bench.db.snapshot() as view:
            assert [finding async for finding in audit(view)] == []
        assert await bench.rows("SELECT state, verified, claimed FROM standings") == [("verified", 2, 2)]
        await follow_up(bench.writer, bench.db)
        assert await bench.states() == ["monitoring"]
