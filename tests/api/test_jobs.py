"""Leases and watermarks, decided and stored by the real writer on both databases."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from engine.clock import Clock
from engine.core.jobs import ClaimLease, MoveWatermark, ProveWrite
from engine.domain import GAME, JOBS
from engine.in_force import FixedRules
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.rulebook import load_rulebook
from engine.store.database import Database
from engine.store.opening import open_database
from engine.writer import Outcome, Writer
from tests.support.databases import migrated


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    await migrated(database_url)
    opened = await open_database(database_url)
    yield opened
    await opened.close()


@pytest_asyncio.fixture
async def writer(db: Database) -> AsyncIterator[Writer]:
    rules = load_rulebook()
    made = Writer(db, [GAME, JOBS], FixedRules(lambda: rules), Hub(Limits(), "epoch"), Clock())
    made.start()
    yield made
    await made.stop()


def reply(outcome: Outcome) -> dict[str, int]:
    assert outcome.error is None, outcome.error
    assert outcome.data is not None
    return json.loads(outcome.data)


async def test_one_holder_at_a_time_and_every_holder_has_its_own_term(writer: Writer) -> None:
    first = reply(await writer.submit(ClaimLease("expiry", "a", 60_000)))
    assert (first["term"], first["watermark"]) == (1, 0)
    refused = await writer.submit(ClaimLease("expiry", "b", 60_000))
    assert refused.error is not None
    assert refused.error.code == "lease_lost"
    assert reply(await writer.submit(ClaimLease("expiry", "a", 60_000)))["term"] == 1
    writer.clock.shift_ms = 120_000
    assert reply(await writer.submit(ClaimLease("expiry", "b", 60_000)))["term"] == 2
    assert reply(await writer.submit(ClaimLease("orders", "a", 60_000)))["term"] == 1


async def test_a_holder_of_an_old_term_moves_no_watermark(writer: Writer) -> None:
    old = reply(await writer.submit(ClaimLease("expiry", "a", 60_000)))
    writer.clock.shift_ms = 120_000
    new = reply(await writer.submit(ClaimLease("expiry", "b", 60_000)))
    late = await writer.submit(MoveWatermark("expiry", "a", old["term"], 99))
    assert late.error is not None
    assert late.error.code == "lease_lost"
    assert reply(await writer.submit(MoveWatermark("expiry", "b", new["term"], 70)))["watermark"] == 70
    assert reply(await writer.submit(MoveWatermark("expiry", "b", new["term"], 60)))["watermark"] == 70


async def test_the_same_holder_gets_a_new_term_after_its_lease_ended(writer: Writer) -> None:
    first = reply(await writer.submit(ClaimLease("expiry", "a", 60_000)))
    writer.clock.shift_ms = 120_000
    assert reply(await writer.submit(ClaimLease("expiry", "a", 60_000)))["term"] == first["term"] + 1


async def test_leases_and_proofs_leave_nothing_in_the_journal(db: Database, writer: Writer) -> None:
    for _ in range(3):
        reply(await writer.submit(ProveWrite()))
    reply(await writer.submit(ClaimLease("expiry", "a", 60_000)))
    async with db.snapshot() as r:
        assert await r.fetch("SELECT count(*) FROM journal") == [(0,)]
        rows = await r.fetch("SELECT job, term FROM leases ORDER BY job")
    assert rows == [("expiry", 1), ("readiness", 3)]


async def test_two_processes_claim_at_once_and_one_gets_it(db: Database, writer: Writer) -> None:
    if not db.is_shared:
        pytest.skip("one process writes a SQLite file")
    other = Writer(db, [GAME, JOBS], FixedRules(load_rulebook), Hub(Limits(), "epoch"), Clock())
    other.start()
    try:
        outcomes = await asyncio.gather(
            writer.submit(ClaimLease("expiry", "a", 60_000)), other.submit(ClaimLease("expiry", "b", 60_000))
        )
    finally:
        await other.stop()
    assert sorted(outcome.error.code if outcome.error else "held" for outcome in outcomes) == [
        "held",
        "lease_lost",
    ]
