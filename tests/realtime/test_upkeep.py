"""The hub in step with the journal: after a restart, after a lost message, between processes, without Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

import pytest

from engine.clock import Clock
from engine.core import commands as c
from engine.publication import Publication
from engine.realtime import protocol, upkeep
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.realtime.upkeep import Upkeep
from engine.store.database import Reader
from tests.realtime.test_hub import listen
from tests.realtime.village import SPACING_MS, Village, a_village
from tests.support.raw_socket import RawSocket
from tests.support.redis import Redis

OpenSocket = Callable[..., Awaitable[RawSocket]]


async def until(reached: Callable[[], bool], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not reached():
            await asyncio.sleep(0.01)


def hub_of(village: Village) -> tuple[Hub, Upkeep]:
    """Another hub on the village's database, as another process would have it."""
    hub = Hub(Limits(repair_after_s=0.01), village.engine.epoch, call_soon=lambda _: None)
    return hub, Upkeep(hub, village.engine.db, village.engine.bus, village.clock.now_ms)


async def listening(raw_socket: OpenSocket, village: Village, user: str, channel: str) -> RawSocket:
    raw = await raw_socket(village.url)
    await raw.ask({"id": 1, "connect": {"token": village.token(user)}})
    assert "subscribe" in await raw.ask({"id": 2, "subscribe": {"channel": channel}})
    return raw


async def next_offset(raw: RawSocket) -> int:
    async with asyncio.timeout(10):
        while "push" not in (line := await raw.receive_json()):
            if line == {}:
                raw.send_json({})
    return line["push"]["pub"]["offset"]


async def test_recovery_works_across_a_restart(sqlite_url: str, raw_socket: OpenSocket) -> None:
    clock = Clock()
    async with a_village(sqlite_url, clock) as village:
        await village.open_source()
        alice = await village.open_user("Alice")
        for _ in range(3):
            await village.ride_bus(alice)
        epoch = village.engine.epoch
    async with a_village(sqlite_url, clock) as village:
        raw = await raw_socket(village.url)
        await raw.ask({"id": 1, "connect": {"token": village.token(alice)}})
        wish = {"channel": f"user:{alice}", "recover": True, "epoch": epoch, "offset": 1}
        reply = (await raw.ask({"id": 2, "subscribe": wish}))["subscribe"]
        assert reply["recovered"] is True
        assert [p["offset"] for p in reply["publications"]] == [2, 3]


async def test_what_is_too_old_is_not_loaded_at_start(sqlite_url: str) -> None:
    async with a_village(sqlite_url) as village:
        await village.open_source()
        alice = await village.open_user("Alice")
        await village.ride_bus(alice)
        village.clock.shift_ms += 3_600_000
        hub, keeper = hub_of(village)
        assert await keeper.refill() == 0
        await village.ride_bus(alice)
        hub, keeper = hub_of(village)
        assert await keeper.refill() == 2
        assert len(hub.recovery(f"user:{alice}", 1, 2) or []) == 1


async def test_a_lost_publication_is_fetched_from_the_journal(sqlite_url: str) -> None:
    async with a_village(sqlite_url) as village:
        await village.open_source()
        alice = await village.open_user("Alice")
        channel = f"user:{alice}"
        await village.ride_bus(alice)
        hub, keeper = hub_of(village)
        await keeper.refill()
        ear, subscription = listen(hub, channel, int(alice), sent=1, top=1)
        await village.ride_bus(alice)
        await village.ride_bus(alice)
        known = village.hub.recovery(channel, 1, 3)
        assert known is not None
        offset, journal_id, data = known[1]
        assert data is not None
        hub.publish([Publication(channel, offset, data, journal_id)])  # 2 was lost
        assert ear.offsets(channel) == []
        await asyncio.sleep(0.02)
        await keeper._repair()
        assert subscription.sent == 3
        assert ear.offsets(channel) == [2, 3]


async def test_the_sweep_finds_who_is_behind_though_nothing_more_comes(sqlite_url: str) -> None:
    async with a_village(sqlite_url) as village:
        await village.open_source()
        alice = await village.open_user("Alice")
        channel = f"user:{alice}"
        hub, keeper = hub_of(village)
        ear, subscription = listen(hub, channel, int(alice))
        await village.ride_bus(alice)
        await village.ride_bus(alice)
        await keeper.sweep()
        assert list(hub.lagging) == [channel]
        await asyncio.sleep(0.02)
        await keeper._repair()
        assert subscription.sent == 2
        assert ear.ended is None


async def test_a_gap_that_nothing_can_fill_sends_the_client_back(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "GIVE_UP_AFTER_S", 0.02)
    async with a_village(sqlite_url) as village:
        await village.open_source()
        alice = await village.open_user("Alice")
        hub, keeper = hub_of(village)
        ear, _ = listen(hub, f"user:{alice}", int(alice))
        async with village.engine.db.write() as tx:
            await tx.execute("UPDATE users SET user_pos = 7 WHERE id = ?", int(alice))
        await keeper.sweep()
        await asyncio.sleep(0.05)
        await keeper._repair()
        assert ear.ended == protocol.INSUFFICIENT_STATE


async def test_a_restored_database_voids_all_positions(sqlite_url: str) -> None:
    async with a_village(sqlite_url) as village:
        alice = await village.open_user_without_source("Alice")
        hub, keeper = hub_of(village)
        ear, _ = listen(hub, f"user:{alice}", int(alice))
        async with village.engine.db.write() as tx:
            await tx.execute("UPDATE meta SET value = 'restored' WHERE key = 'epoch'")
        await keeper.sweep()
        assert ear.ended == protocol.STATE_INVALIDATED
        assert hub.epoch == "restored"


# --- two processes --------------------------------------------------------------------------------


@pytest.fixture(params=["redis", "polling"])
def joined_by(request: pytest.FixtureRequest) -> str | None:
    """The Redis that joins two nodes, or None where they read the journal's tail."""
    return request.getfixturevalue("redis_url") if request.param == "redis" else None


async def test_two_nodes_tell_each_others_clients(
    postgres_url: str, joined_by: str | None, raw_socket: OpenSocket
) -> None:
    redis_url = joined_by
    clock = Clock()
    async with (
        a_village(postgres_url, clock, redis_url=redis_url) as here,
        a_village(postgres_url, clock, redis_url=redis_url) as there,
    ):
        if redis_url:
            await until(lambda: here.engine.bus.is_up and there.engine.bus.is_up)
        await here.open_source()
        alice, bob = await here.open_user("Alice"), await here.open_user("Bob")
        await here.befriend(alice, bob)
        near = await listening(raw_socket, here, alice, f"user:{alice}")
        far = await listening(raw_socket, there, alice, f"user:{alice}")
        watching = await listening(raw_socket, there, bob, f"forest:{alice}")
        first = there.hub._channels[f"user:{alice}"].top + 1
        await here.ride_bus(alice)
        assert await next_offset(near) == await next_offset(far) == first
        assert await next_offset(watching) == 1
        await there.do(
            c.ReportActivity(
                "city",
                "x1",
                f"subject-{alice}",
                "bus",
                Decimal(1),
                "ride",
                "x",
                at=clock.now_ms() - SPACING_MS * 9,
            )
        )
        assert await next_offset(near) == await next_offset(far) == first + 1
        await here.do(c.RemoveFriend(here.key(), int(alice), int(bob)))
        async with asyncio.timeout(10):
            while "unsubscribe" not in (push := (await watching.receive_json()).get("push", {})):
                pass
        assert push["channel"] == f"forest:{alice}"


async def test_a_node_reads_what_others_wrote_and_each_row_once(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    pubs = upkeep.queries.pubs

    async def counted(r: Reader, journal_ids: Sequence[int]) -> list[tuple[int, str]]:
        read.extend(journal_ids)
        return await pubs(r, journal_ids)

    monkeypatch.setattr(upkeep.queries, "pubs", counted)
    monkeypatch.setattr(upkeep, "POLL_S", 3600.0)
    async with a_village(postgres_url) as village:
        await village.open_source()
        alice = await village.open_user("Alice")
        own = Upkeep(village.engine.hub, village.engine.db, village.engine.bus, village.clock.now_ms)
        await own._poll()
        read.clear()  # accounts and sources tell nobody anything, and so are read once
        await village.ride_bus(alice)
        await own._poll()
        assert read == [], "its own"
        hub, other = hub_of(village)
        await other._poll()
        await other._poll()
        assert len(read) == len(set(read)) > 0
        assert hub._channels[f"user:{alice}"].top == 1


async def test_a_row_that_shows_late_is_found_below_the_newest(postgres_url: str) -> None:
    async with a_village(postgres_url) as village:
        await village.open_source()
        alice = await village.open_user("Alice")
        hub, keeper = hub_of(village)
        await keeper._poll()
        db = village.engine.db
        async with db.write() as tx:
            [late] = await tx.journal_ids(1)
        await village.ride_bus(alice)
        await keeper._poll()
        assert keeper._newest > late
        async with db.write() as tx:
            await tx.execute(
                "INSERT INTO journal (id, at, kind, actor, key, content, transfers, reply, pubs)"
                " SELECT ?, at, kind, actor, NULL, content, '[]', reply, ? FROM journal WHERE id > ?",
                late,
                f'[["user:{alice}",2,{{"type":"user.changed"}}]]',
                late,
            )
        await keeper._poll()
        assert hub._channels[f"user:{alice}"].top == 2


async def test_a_client_recovers_on_the_other_node(
    postgres_url: str, redis_url: str, raw_socket: OpenSocket
) -> None:
    clock = Clock()
    async with (
        a_village(postgres_url, clock, redis_url=redis_url) as here,
        a_village(postgres_url, clock, redis_url=redis_url) as there,
    ):
        await until(lambda: here.engine.bus.is_up and there.engine.bus.is_up)
        await here.open_source()
        alice = await here.open_user("Alice")
        for _ in range(4):
            await here.ride_bus(alice)
        channel = f"user:{alice}"
        await until(lambda: channel in there.hub._channels and there.hub._channels[channel].top == 4)
        assert all(data is None for _, _, data in there.hub._channels[channel].entries), "only where it is"
        raw = await raw_socket(there.url)
        await raw.ask({"id": 1, "connect": {"token": there.token(alice)}})
        wish = {"channel": channel, "recover": True, "epoch": there.engine.epoch, "offset": 1}
        reply = (await raw.ask({"id": 2, "subscribe": wish}))["subscribe"]
        assert reply["recovered"] is True
        assert [p["offset"] for p in reply["publications"]] == [2, 3, 4]
        assert all(p["data"]["type"] == "user.changed" for p in reply["publications"])


async def test_redis_may_die_and_come_back_and_nothing_is_lost(
    postgres_url: str, redis_server: Redis, raw_socket: OpenSocket
) -> None:
    clock = Clock()
    async with (
        a_village(postgres_url, clock, redis_url=redis_server.url) as here,
        a_village(postgres_url, clock, redis_url=redis_server.url) as there,
    ):
        await until(lambda: here.engine.bus.is_up and there.engine.bus.is_up)
        await here.open_source()
        alice = await here.open_user("Alice")
        far = await listening(raw_socket, there, alice, f"user:{alice}")
        await here.ride_bus(alice)
        assert await next_offset(far) == 1
        redis_server.crash()
        await until(lambda: not there.engine.bus.is_up)
        for expected in (2, 3):
            await here.ride_bus(alice)
            assert await next_offset(far) == expected
        redis_server.start()
        await until(lambda: here.engine.bus.is_up and there.engine.bus.is_up)
        for expected in (4, 5):
            await here.ride_bus(alice)
            assert await next_offset(far) == expected
        redis_server.pause()  # takes connections and answers nothing
        await here.ride_bus(alice)
        assert await next_offset(far) == 6
        await until(lambda: not there.engine.bus.is_up)
        redis_server.resume()
        await until(lambda: here.engine.bus.is_up and there.engine.bus.is_up)


async def test_the_sweep_finds_what_no_message_told(postgres_url: str) -> None:
    """Permissions and accounts that another process has ended."""
    async with a_village(postgres_url) as village:
        alice, bob, cyd = [await village.open_user_without_source(name) for name in ("Alice", "Bob", "Cyd")]
        await village.befriend(alice, bob)
        hub, keeper = hub_of(village)
        lost, _ = listen(hub, f"forest:{alice}", int(bob), sent=0, top=0)
        kept, _ = listen(hub, f"forest:{alice}", int(alice), sent=0, top=0)
        ended, _ = listen(hub, f"user:{cyd}", int(cyd), sent=2, top=2)
        await keeper.sweep()
        assert lost.queued == []
        await village.do(c.RemoveFriend(village.key(), int(alice), int(bob)))
        await village.do(c.SuspendAccount(village.key(), int(cyd)))
        await keeper.sweep()
        assert b"unsubscribe" in lost.queued[-1]
        assert kept.ended is None
        assert kept.queued == []
        assert ended.ended == protocol.NOT_ALLOWED
