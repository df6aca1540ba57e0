"""A viewer and friends as rows of a real SQLite database, changed by hand and told to a hub as a group would."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from engine.publication import Publication, Revocation, forest_channel
from engine.realtime.finding import Finder, Found
from engine.realtime.hub import Hub
from engine.realtime.limits import Limits
from engine.realtime.rounds import place
from engine.store import tables
from engine.store.database import Database, Reader, Rows, numbered
from engine.store.opening import open_database
from engine.store.schema import migrate
from engine.store.sqlite import IN_LIST

VIEWER = 1
HOUR = 3_600_000
FLOOR_G, FULL_G = 40, 80


async def template(folder: Path) -> Path:
    """A database without rows."""
    made = folder / "template.db"
    if not made.exists():
        await migrate(f"sqlite:///{made}")
    return made


class Watched:
    """A reader that notes what it is asked, and may let something happen once its snapshot stands."""

    def __init__(self, reader: Reader, shore: Shore) -> None:
        self._reader, self._shore = reader, shore

    async def fetch(self, sql: str, *params: Any) -> Rows:
        rows = await self._reader.fetch(sql, *params)
        self._shore.asked.append((sql, params, len(rows)))
        meanwhile, self._shore.meanwhile = self._shore.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return rows

    async def run(self, steps: Any) -> list[Rows]:
        return await self._reader.run(steps)


@dataclass
class Shore:
    """`now` is set by hand; `asked` are the queries since it was cleared, with how many rows each gave."""

    db: Database
    raw: sqlite3.Connection
    hub: Hub
    finder: Finder
    now: int = 1_800_000_000_000
    asked: list[tuple[str, tuple[Any, ...], int]] = field(default_factory=list)
    meanwhile: Callable[[], None] | None = None
    balls: int = 0
    offsets: Counter[str] = field(default_factory=Counter)

    # --- rows

    def insert(self, table: type[Any], **values: Any) -> None:
        """A row; columns that are not named are empty."""
        blank = {"TEXT": "", "BIGINT": 0}
        row = {
            column.name: None if column.nullable else blank[str(column.type)]
            for column in table.__table__.columns
        } | values
        names = ", ".join(f'"{name}"' for name in row)
        marks = ", ".join("?" * len(row))
        self.raw.execute(f"INSERT INTO {table.__tablename__} ({names}) VALUES ({marks})", list(row.values()))

    def user(self, user: int) -> None:
        self.insert(tables.Users, id=user, state="active", holder="person", zone="UTC")
        self.insert(tables.Identities, user_id=user, display_name=f"Friend {user}")

    def begin(self, friend: int) -> None:
        """Befriend; no process is told more of it than `user:` publications."""
        if self.is_friend(friend):
            return
        self.insert(tables.Friends, user_id=VIEWER, friend_id=friend, state="friends")
        self.raw.execute("UPDATE users SET friend_count = friend_count + 1 WHERE id = ?", (VIEWER,))

    def end(self, friend: int) -> None:
        if not self.is_friend(friend):
            return
        self.raw.execute("DELETE FROM friends WHERE user_id = ? AND friend_id = ?", (VIEWER, friend))
        self.raw.execute("UPDATE users SET friend_count = friend_count - 1 WHERE id = ?", (VIEWER,))
        self.hub.publish([Revocation(VIEWER, forest_channel(friend))])

    def is_friend(self, friend: int) -> bool:
        sql = "SELECT 1 FROM friends WHERE user_id = ? AND friend_id = ?"
        return bool(self.raw.execute(sql, (VIEWER, friend)).fetchall())

    def ball(self, friend: int, from_h: float, life_h: float, quietly: bool = False) -> None:
        """A ball that friends may take from in so many hours, for so many."""
        self.balls += 1
        from_at = self.now + int(from_h * HOUR)
        self.insert(
            tables.Balls, id=self.balls, owner=friend, full_g=FULL_G, remaining_g=FULL_G, floor_g=FLOOR_G,
            share_min_g=1, share_max_g=20, ripens_at=from_at, friends_from_at=from_at,
            expires_at=from_at + int(life_h * HOUR), takers="[]",
        )  # fmt: skip
        if not quietly:
            self.tell(friend)

    def drain(self, friend: int) -> None:
        """Others take all that friends may take."""
        self.raw.execute("UPDATE balls SET remaining_g = ? WHERE owner = ?", (FLOOR_G, friend))
        self.tell(friend)

    def take(self, friend: int) -> None:
        """The viewer takes of all that is ripe."""
        taken = f'[[{VIEWER},2,"key"]]'
        sql = "UPDATE balls SET takers = ?, remaining_g = remaining_g - 2 WHERE owner = ? AND friends_from_at <= ?"
        self.raw.execute(f"{sql} AND takers = '[]'", (taken, friend, self.now))
        self.tell(friend)

    def suspend(self, friend: int) -> None:
        self.raw.execute("UPDATE users SET state = 'suspended' WHERE id = ?", (friend,))
        self.hub.publish([Revocation(friend, None)])

    def resume(self, friend: int) -> None:
        self.raw.execute("UPDATE users SET state = 'active' WHERE id = ?", (friend,))
        self.tell(friend)

    def tell(self, friend: int) -> None:
        """Publish, at times as another process's."""
        channel = forest_channel(friend)
        self.offsets[channel] += 1
        if self.offsets[channel] % 2:
            self.hub.publish([Publication(channel, self.offsets[channel], b"{}", 0)])
        else:
            self.hub.note(channel, self.offsets[channel], 0)

    # --- finding

    @asynccontextmanager
    async def view(self) -> AsyncIterator[Reader]:
        async with self.db.snapshot() as reader:
            yield Watched(reader, self)

    async def find(self, after: int | None) -> Found:
        """The next friend, asked again as long as nobody was found and the round is not over."""
        while True:
            found = await self.finder.find(self.view, VIEWER, after, self.now)
            if found.standing is not None or found.after is None:
                return found
            after = found.after

    def naive(self) -> tuple[list[tuple[int, int]], int | None]:
        """By looking at every ball of every friend: (friend, how many balls) in order, and the next instant of the
        others.
        """
        sql = (
            "SELECT f.friend_id, b.remaining_g, b.floor_g, b.friends_from_at, b.expires_at, b.takers FROM friends f"
            " JOIN users u ON u.id = f.friend_id AND u.state = 'active' JOIN balls b ON b.owner = f.friend_id"
        )
        having: Counter[int] = Counter()
        coming: dict[int, int] = {}
        for friend, remaining_g, floor_g, from_at, expires_at, takers in self.raw.execute(sql):
            if any(taker[0] == VIEWER for taker in msgspec.json.decode(takers)):
                continue
            if remaining_g <= floor_g or expires_at <= self.now:
                continue
            if from_at <= self.now:
                having[friend] += 1
            else:
                coming[friend] = min(from_at, coming.get(friend, from_at))
        order = sorted(having.items(), key=lambda one: (place(VIEWER, one[0]), one[0]))
        return order, min((at for friend, at in coming.items() if friend not in having), default=None)

    def steps(self) -> int:
        """The steps of SQLite's machine that the queries since `asked` was cleared take: a measure of the rows read."""
        count = 0

        def tick() -> int:
            nonlocal count
            count += 1
            return 0

        self.raw.set_progress_handler(tick, 1)
        for sql, params, _ in self.asked:
            adapted, lists = numbered(sql, IN_LIST)
            values = [
                msgspec.json.encode(value).decode() if is_list else value
                for value, is_list in zip(params, lists, strict=True)
            ]
            self.raw.execute(adapted.replace("$", "?"), values).fetchall()
        self.raw.set_progress_handler(None, 0)
        return count


@asynccontextmanager
async def a_shore(
    folder: Path, friends: int, friends_max: int = 50_000, name: str = "shore"
) -> AsyncIterator[Shore]:
    """The viewer with that many friends (their ids begin at 2), nothing lies in any forest."""
    path = folder / f"{name}.db"
    shutil.copyfile(await template(folder), path)
    db = await open_database(f"sqlite:///{path}", 1)
    raw = sqlite3.connect(path, isolation_level=None)
    raw.execute("PRAGMA synchronous=OFF")
    hub = Hub(Limits(), "e")
    shore = Shore(db, raw, hub, Finder(hub, friends_max))
    try:
        raw.execute("BEGIN")
        for user in range(VIEWER, VIEWER + friends + 1):
            shore.user(user)
            if user != VIEWER:
                shore.begin(user)
        raw.execute("COMMIT")
        yield shore
    finally:
        raw.close()
        await db.close()
