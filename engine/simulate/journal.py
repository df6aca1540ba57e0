"""The same figures from a real database: its journal's transfers, activities, links and trees, read on one snapshot.

Reads only. Energy is counted on the day on which its command was committed, in the zone that most users have.
Memory grows by some hundred bytes with every activity of the days that are read and with every user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import msgspec

from engine.core.units import DAY_MS, local_day, local_instant
from engine.simulate import tally as t
from engine.simulate.between import ALL_DAYS, DISORDER_MS, EVER_MS, Between, id_before, playing_by
from engine.simulate.tally import NEVER, Tally, UserFigures
from engine.store.database import Reader

BATCH_ROWS = 4000
ACTIVE_SOURCE_D = 7
ALL = "all"

Progress = Callable[[str, int, int], None]
transfers_of = msgspec.json.Decoder(list[tuple[str, str, str, int, str]])


class _Traced(msgspec.Struct):
    """The part of an activity's trace that is needed."""

    rules: str = ""


_trace = msgspec.json.Decoder(_Traced)


class EmptyDatabase(Exception):
    """Nothing has happened in this database yet, or not in the days that were asked for."""


@dataclass(slots=True)
class _Act:
    user: int
    behaviour: str
    group: str


@dataclass(slots=True)
class Reading:
    """What was read: a tally for each group (all, or a rulebook's hash), and how its days are numbered."""

    start: date
    zone: str
    days: int = 1
    groups: dict[str, Tally] = field(default_factory=dict)
    rest: Callable[[int], str] = lambda user: ALL  # the group of a user of whom there is no activity
    acts: dict[int, _Act] = field(default_factory=dict)  # id of activity and ball → whose it was
    users: dict[int, UserFigures] = field(default_factory=dict)
    arms: dict[int, str] = field(default_factory=dict)  # user → group of the latest activity
    minted: set[int] = field(default_factory=set)  # balls that were there before or were counted
    from_ms: int = 0
    until_ms: int = EVER_MS  # no more part of it

    def tally(self, group: str) -> Tally:
        """The group's tally, to count in."""
        return self.groups.setdefault(group, Tally())

    def arm(self, user: int) -> str:
        """The group of the user's latest activity, else the one that the user would be in."""
        return self.arms.get(user) or self.rest(user)

    def day(self, at: int) -> int:
        """The day number of an instant."""
        return (local_day(at, self.zone) - self.start).days


async def read_journal(
    view: Reader,
    by_rules: bool,
    progress: Progress = lambda what, done, total: None,
    between: Between = ALL_DAYS,
) -> Reading:
    """Everything that the database knows of the days, as tallies. Raises EmptyDatabase."""
    reading, last_at = await _begun(view, between)
    if by_rules:
        reading.rest = await playing_by(view, last_at)
    await _read_users(view, reading)
    await _read_acts(view, reading, by_rules, last_at)
    await _read_moves(view, reading, by_rules, progress)
    for user, figures in reading.users.items():
        reading.tally(reading.arm(user)).users.append(figures)
    for tally in reading.groups.values():
        tally.user_days = sum(max(0, reading.days - max(0, user.opened)) for user in tally.users)
        count_active(tally, reading.days)
    return reading


async def _begun(view: Reader, between: Between) -> tuple[Reading, int]:
    """How the days are numbered, and the last instant that counts. Raises EmptyDatabase."""
    rows = await view.fetch(
        "SELECT zone, count(*) FROM users GROUP BY zone ORDER BY count(*) DESC, zone LIMIT 1"
    )
    [(first_id, last_id)] = await view.fetch("SELECT min(id), max(id) FROM journal")
    if not rows or first_id is None:
        raise EmptyDatabase("the database holds no user and no act yet; there is nothing to report")
    zone = rows[0][0]
    [(first_at,)] = await view.fetch('SELECT "at" FROM journal WHERE id = ?', first_id)
    [(last_at,)] = await view.fetch('SELECT "at" FROM journal WHERE id = ?', last_id)
    [(opened_at,)] = await view.fetch("SELECT min(opened_at) FROM users")
    begin, end = local_day(min(first_at, opened_at), zone), local_day(last_at, zone)
    first, last = max(begin, between.first or begin), min(end, between.last or end)
    if first > last:
        raise EmptyDatabase(f"nothing happened in the days asked for; the database holds {begin} to {end}")
    reading = Reading(first, zone, (last - first).days + 1)
    if between.first is not None:
        reading.from_ms = local_instant(first, 0, zone)
    if between.last is not None:
        reading.until_ms = local_instant(last + timedelta(days=1), 0, zone)
    return reading, min(last_at, reading.until_ms - 1)


async def pages_of(view: Reader, sql: str, *others: Any) -> Any:
    """Pages of a query that has `id > ?`, further parameters and a limit; the id comes first."""
    after = -1
    while rows := await view.fetch(sql, after, *others, BATCH_ROWS):
        yield rows
        after = rows[-1][0]


async def _read_users(view: Reader, reading: Reading) -> None:
    sql = "SELECT id, province, opened_at FROM users WHERE id > ? AND opened_at < ? ORDER BY id LIMIT ?"
    async for rows in pages_of(view, sql, reading.until_ms):
        for user, province, opened_at in rows:
            reading.users[user] = UserFigures(province or "no province", "", reading.day(opened_at))


async def _read_acts(view: Reader, reading: Reading, by_rules: bool, last_at: int) -> None:
    sql = (
        "SELECT id, user_id, behaviour, accepted_at, avoided_mg, source, trace"
        " FROM activities WHERE id > ? AND accepted_at >= ? AND accepted_at < ? ORDER BY id LIMIT ?"
    )
    active: set[tuple[int, str]] = set()
    newest: dict[int, int] = {}
    async for rows in pages_of(view, sql, reading.from_ms, reading.until_ms):
        for act, user, behaviour, at, avoided_mg, source, trace in rows:
            group = _group_of_trace(trace, by_rules)
            reading.acts[act] = _Act(user, behaviour, group)
            if newest.get(user, -1) < at:
                newest[user], reading.arms[user] = at, group
            tally = reading.tally(group)
            tally.behaviour(behaviour)[t.ACTS] += 1
            tally.behaviour(behaviour)[t.AVOIDED_MG] += avoided_mg
            tally.day(reading.day(at))[t.ACTS] += 1
            if at > last_at - ACTIVE_SOURCE_D * DAY_MS:
                active.add((user, source))
    links = await view.fetch("SELECT user_id, source FROM links WHERE withdrawn_at IS NULL")
    for user, source in set(map(tuple, links)):
        if user in reading.users:
            reading.users[user].linked += 1
            reading.users[user].linked_active += (user, source) in active


def _group_of_trace(trace: str, by_rules: bool) -> str:
    return (_trace.decode(trace).rules or "unknown") if by_rules else ALL


async def _earlier_acts(
    view: Reader, reading: Reading, rows: Sequence[Any], by_rules: bool
) -> list[list[tuple[str, str, str, int, str]]]:
    """The transfers of journal rows; acts of days before that they are about are known from then on."""
    moves = [transfers_of.decode(row[4]) for row in rows]
    balls = {_ref(account) for some in moves for move in some for account in move[:2]}
    unknown = [ball for kind, ball in balls if kind == "ball" and ball not in reading.acts]
    if unknown and reading.from_ms:
        sql = "SELECT id, user_id, behaviour, trace FROM activities WHERE id IN ?"
        for act, user, behaviour, trace in await view.fetch(sql, sorted(unknown)):
            reading.acts[act] = _Act(user, behaviour, _group_of_trace(trace, by_rules))
            reading.minted.add(act)
    return moves


async def _read_moves(view: Reader, reading: Reading, by_rules: bool, progress: Progress) -> None:
    after = await id_before(view, reading.from_ms)
    last = await id_before(view, reading.until_ms + 2 * DISORDER_MS)
    sql = 'SELECT id, "at", kind, actor, transfers FROM journal WHERE id > ? AND id <= ? ORDER BY id LIMIT ?'
    begun = after
    while rows := await view.fetch(sql, after, last, BATCH_ROWS):
        after = rows[-1][0]
        for (_, at, kind, actor, _), moves in zip(
            rows, await _earlier_acts(view, reading, rows, by_rules), strict=True
        ):
            if not reading.from_ms <= at < reading.until_ms:
                continue
            day = reading.day(at)
            if actor in reading.users and day >= 0:
                reading.users[actor].active |= 1 << day
            programme = next((credit[5:] for _, credit, *_ in moves if credit.startswith("sold:")), "unknown")
            group = _group_of(moves, reading)
            for move in moves:
                _move(reading, move, day, programme, group)
            for _, credit, asset, amount, _ in moves:
                if asset.startswith("money:") and credit.startswith("committed:"):
                    buyer = next((_ref(giver)[1] for giver, taker, *_ in moves if taker == "redeemed"), 0)
                    tally = reading.tally(reading.arm(buyer))
                    tally.money[programme, asset.removeprefix("money:")] += amount
            if actor in reading.users:
                reading.tally(reading.arm(actor)).commands[kind] += 1
        progress("journal", after - begun, last - begun)


def _ref(account: str) -> tuple[str, int]:
    kind, _, ref = account.partition(":")
    return kind, int(ref) if ref.isdecimal() else 0


def _group_of(moves: Sequence[tuple[str, str, str, int, str]], reading: Reading) -> str:
    """The group of the user whom a journal row is about, for movements that name no ball."""
    accounts = (account for move in moves for account in move[:2])
    users = (_ref(account)[1] for account in accounts if account.startswith(("carbon:", "debt:")))
    return reading.arm(next(users, 0))


def _move(
    reading: Reading,
    move: tuple[str, str, str, int, str],
    day: int,
    programme: str,
    group: str,
) -> None:
    debit, credit, asset, amount, _ = move
    giver, taker = _ref(debit), _ref(credit)
    if asset == "avoided":
        _avoided(reading, giver, taker, amount, day)
    elif asset == "energy" and giver[0] == "wallet":
        _redeemed(reading, giver[1], amount, day, programme)
    elif asset == "energy":
        _energy(reading, giver, taker, amount, day, group)


def _avoided(reading: Reading, giver: tuple[str, int], taker: tuple[str, int], amount: int, day: int) -> None:
    user, change_mg = (taker[1], amount) if giver[0] == "mint" else (giver[1], -amount)
    reading.tally(reading.arm(user)).day(day)[t.AVOIDED_MG] += change_mg
    if user in reading.users:
        reading.users[user].avoided_mg += change_mg


def _energy(
    reading: Reading,
    giver: tuple[str, int],
    taker: tuple[str, int],
    amount: int,
    day: int,
    group: str,
) -> None:
    """Grams count for the group of their ball; where no ball is named (expired or debt, reversed), for `group`."""
    ball = taker[1] if taker[0] == "ball" else giver[1] if giver[0] == "ball" else None
    act = reading.acts.get(ball) if ball is not None else None
    tally = reading.tally(act.group if act else group)
    tally.accounts[giver[0]] -= amount
    tally.accounts[taker[0]] += amount
    column = _column(giver[0], *taker, act)
    is_new = giver[0] == "mint" and taker[1] not in reading.minted
    for row in [tally.day(day)] + ([tally.behaviour(act.behaviour)] if act else []):
        row[column] += amount
        row[t.BALLS] += is_new
    if giver[0] == "mint":
        reading.minted.add(taker[1])
        if act and act.user in reading.users:
            reading.users[act.user].issued_g += amount
    if taker[0] in ("wallet", "debt") and taker[1] in reading.users:
        reading.users[taker[1]].collected_g += amount
        if column == t.BY_OWNER:
            reading.users[taker[1]].by_owner_g += amount


def _column(giver: str, taker: str, taker_ref: int, act: _Act | None) -> int:
    """What a movement of energy counts as."""
    if giver == "mint":
        return t.ISSUED
    if taker in ("expired", "reversed"):
        return t.EXPIRED if taker == "expired" else t.REVERSED
    return t.BY_OWNER if act is not None and act.user == taker_ref else t.BY_FRIENDS


def _redeemed(reading: Reading, user: int, amount: int, day: int, programme: str) -> None:
    group = reading.arm(user)
    tally = reading.tally(group)
    tally.accounts["wallet"] -= amount
    tally.accounts["redeemed"] += amount
    row = tally.day(day)
    row[t.REDEEMED] += amount
    row[t.TREES] += 1
    on = date.fromordinal(reading.start.toordinal() + day)
    tally.trees[on.isoformat()[:7], programme] += 1
    tally.planted[programme] += 1
    figures = reading.users.get(user)
    if figures is not None:
        figures.trees += 1
        if figures.first_tree == NEVER:
            figures.first_tree = day


def count_active(tally: Tally, days: int) -> None:
    """Count the users of each day by the days on which they were active."""
    counts: Counter[int] = Counter()
    for user in tally.users:
        counts.update(_bits(user.active))
    for day, count in counts.items():
        if 0 <= day < days:
            tally.day(day)[t.OPENED] += count


def _bits(active: int) -> Iterator[int]:
    while active:
        lowest = active & -active
        yield lowest.bit_length() - 1
        active ^= lowest
