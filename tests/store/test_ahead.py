"""Deciding ahead on kept rows: when they are dropped, and who must not be in the writer's way."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Coroutine
from decimal import Decimal
from time import perf_counter
from typing import Any, cast

import pytest

from engine import writer
from engine.check import audit
from engine.core import commands as c
from engine.publication import Publication
from engine.store.database import Conflict, DatabaseAway, SoleDatabase
from engine.store.lock import WriterLock
from tests.core.world import DAY_MS, HOUR_MS, SOURCE, key, rulebook
from tests.store.parts import bench
from tests.store.test_agreement import play
from tests.store.test_writer import users


@pytest.mark.parametrize("rows_max", [0, 10])
async def test_kept_rows_are_not_dropped_while_a_group_is_written(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, rows_max: int
) -> None:
    """Dropped then, rows would be read as they were before that group, and its changes be lost."""
    monkeypatch.setattr(writer, "AHEAD_COMMANDS_MIN", 1)
    monkeypatch.setattr(writer, "GROUP_COMMANDS_MAX", 1)
    monkeypatch.setattr(writer, "CACHED_ROWS_MAX", rows_max)
    async with bench(f"sqlite:///{tmp_path}/game.db") as game:
        [user] = await users(game, 1)
        now = game.clock.now_ms()
        reports = [
            c.ReportActivity(
                SOURCE, f"ride-{n}", str(user), "bus", Decimal(1), "ride", f"{n}", at=now - n * HOUR_MS
            )
            for n in range(2)
        ]
        told = [json.loads(outcome.data or b"") for outcome in await game.writer.submit_all(reports)]
        game.clock.shift_ms = 2 * DAY_MS
        presses = [c.CollectEnergy(key(n), user, user, (int(reply["ball"]),)) for n, reply in enumerate(told)]
        outcomes = await game.writer.submit_all(presses)
        taken = [json.loads(outcome.data or b"")["results"][0]["energy_g"] for outcome in outcomes]
        [row] = await game.rows("users", "id")
        assert row[7] == sum(taken) > 0
        for channel in (f"user:{user}", f"forest:{user}"):
            offsets = [
                i.offset for i in game.heard.items if isinstance(i, Publication) and i.channel == channel
            ]
            assert offsets == list(range(1, 2 * len(reports) + 1))


async def test_a_reader_that_is_cancelled_stops_and_holds_up_nobody(tmp_path: Any) -> None:
    count = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) SELECT count(*) FROM n"
    )
    async with bench(f"sqlite:///{tmp_path}/game.db") as game:

        async def read() -> None:
            async with game.db.snapshot() as view:
                await view.fetch(count, 10**9)

        readers = [asyncio.create_task(read()) for _ in range(8)]
        await asyncio.sleep(0.2)
        begun = perf_counter()
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
        async with game.db.snapshot() as view:
            assert await view.fetch(count, 10) == [(10,)]
        assert perf_counter() - begun < 5


def test_one_file_has_one_writer_whatever_path_leads_to_it(tmp_path: Any) -> None:
    (tmp_path / "game.db").touch()
    (tmp_path / "link.db").symlink_to(tmp_path / "game.db")
    lock = WriterLock.take(f"{tmp_path}/game.db")
    assert lock is not None
    try:
        assert WriterLock.take(f"{tmp_path}/link.db") is None
    finally:
        lock.release()


@pytest.mark.parametrize("seed", [2, 3])
async def test_groups_that_fail_lose_and_double_nothing(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A course of the game in small groups, of which many fail while they are read or written."""
    dice = random.Random(seed)
    faults: Counter[str] = Counter()
    monkeypatch.setattr(writer, "AHEAD_COMMANDS_MIN", 1)
    monkeypatch.setattr(writer, "GROUP_COMMANDS_MAX", 3)
    monkeypatch.setattr(writer, "CACHED_ROWS_MAX", 150)
    async with bench(f"sqlite:///{tmp_path}/game.db") as game:
        db, decider = cast(SoleDatabase, game.db), game.writer._decider
        save, load = db.save, decider.load

        def fail(where: str) -> None:
            faults[where] += 1
            raise dice.choice([DatabaseAway, Conflict, ValueError])

        async def may_save(steps: Any, before_commit: Any) -> None:
            await save(steps, (lambda: fail("save")) if dice.random() < 0.1 else before_commit)

        async def may_load(*args: Any) -> None:
            await load(*args)
            if dice.random() < 0.05:
                fail("load")

        db.save = may_save  # type: ignore[method-assign]
        decider.load = may_load  # type: ignore[method-assign]
        await play(game, seed=seed, steps=60)
        assert min(faults["save"], faults["load"]) > 5
        findings = await audit(game.db, rulebook())
        assert not findings.problems, findings.examples
        offsets: dict[str, list[int]] = {}
        for item in game.heard.items:
            if isinstance(item, Publication):
                offsets.setdefault(item.channel, []).append(item.offset)
        assert all(found == list(range(1, len(found) + 1)) for found in offsets.values())


async def test_what_is_saved_behind_a_failure_fails_too(tmp_path: Any) -> None:
    """It was decided on rows that are not to be."""
    async with bench(f"sqlite:///{tmp_path}/game.db") as game:
        db = cast(SoleDatabase, game.db)
        written: list[int] = []

        def save(number: int, fault: Exception | None = None) -> Coroutine[Any, Any, None]:
            def before_commit() -> None:
                written.append(number)
                if fault is not None:
                    raise fault

            return db.save([], before_commit)

        saves = [save(0), save(1, ValueError("a fault of ours")), save(2), save(3)]
        outcomes = await asyncio.gather(*saves, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [type(None), ValueError, Conflict, Conflict]
        with pytest.raises(Conflict):
            await save(4)
        assert written == [0, 1]
        db.go_on()
        await save(5)
        assert written == [0, 1, 5]


async def test_groups_in_a_row_on_the_same_rows_add_up(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are read for a group while two before it change them: what they change counts, not what was read."""
    monkeypatch.setattr(writer, "AHEAD_COMMANDS_MIN", 1)
    monkeypatch.setattr(writer, "GROUP_COMMANDS_MAX", 2)
    async with bench(f"sqlite:///{tmp_path}/game.db") as game:
        [user] = await users(game, 1)
        now = game.clock.now_ms()
        reports = [
            c.ReportActivity(SOURCE, f"ride-{n}", str(user), "bus", Decimal(1), "ride", f"{n}", at=now)
            for n in range(4)
        ]
        told = [json.loads(outcome.data or b"") for outcome in await game.writer.submit_all(reports)]
        balls = [int(reply["ball"]) for reply in told if "ball" in reply]
        game.writer._cache = None
        game.clock.shift_ms = 2 * DAY_MS
        presses = [c.CollectEnergy(key(n), user, user, (balls[n % len(balls)],)) for n in range(40)]
        outcomes = await game.writer.submit_all([*presses, *presses])
        assert [outcome.data for outcome in outcomes[:40]] == [outcome.data for outcome in outcomes[40:]]
        taken = [json.loads(outcome.data or b"")["results"][0] for outcome in outcomes[:40]]
        assert sum("error" not in one for one in taken) == len(balls)
        [row] = await game.rows("users", "id")
        assert row[7] == sum(one["energy_g"] for one in taken if "error" not in one) > 0
        findings = await audit(game.db, rulebook())
        assert not findings.problems, findings.examples
