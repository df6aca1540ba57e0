"""Reads for what clients load, each on a snapshot that the caller has opened. No writes, no locks, no
decisions.

Rows come back as the core's dataclasses where a whole row is read, else as tuples named in the docstring.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from engine.core.state import Activity, Ball, Tree, User
from engine.core.units import rfc3339
from engine.store.database import Reader, quoted
from engine.store.mapping import GAME_TABLES, ShelfTable

_USERS, _BALLS = GAME_TABLES["users"], GAME_TABLES["balls"]
_ACTIVITIES, _TREES = GAME_TABLES["activities"], GAME_TABLES["trees"]


class Standing(NamedTuple):
    """What a viewer can take from a friend: how many balls now, when the next one, and when the last of all expires."""

    friend: int
    is_active: bool
    takeable: int
    next_at: int | None
    until_at: int


async def _rows(r: Reader, table: ShelfTable, rest: str, *params: Any) -> list[Any]:
    sql = f"SELECT {quoted(table.columns)} FROM {table.table.name} {rest}"
    return [table.row(values) for values in await r.fetch(sql, *params)]


async def epoch(r: Reader) -> str:
    """The database's incarnation."""
    rows = await r.fetch("SELECT value FROM meta WHERE key = ?", "epoch")
    return rows[0][0] if rows else ""


async def user(r: Reader, user_id: int) -> User | None:
    """An account, if there is one."""
    rows = await _rows(r, _USERS, "WHERE id = ?", user_id)
    return rows[0] if rows else None


async def account_state(r: Reader, user_id: int) -> str | None:
    """active, suspended, closed, or None for nobody."""
    rows = await r.fetch("SELECT state FROM users WHERE id = ?", user_id)
    return rows[0][0] if rows else None


async def are_friends(r: Reader, user_id: int, other: int) -> bool:
    """Whether the two are friends and the other's account is active."""
    sql = (
        "SELECT 1 FROM friends f JOIN users u ON u.id = f.friend_id "
        "WHERE f.user_id = ? AND f.friend_id = ? AND f.state = 'friends' AND u.state = 'active'"
    )
    return bool(await r.fetch(sql, user_id, other))


async def positions(r: Reader, user_ids: Sequence[int]) -> dict[int, tuple[int, int]]:
    """user → offsets of their `user:` and `forest:` channels; closed accounts have none."""
    sql = "SELECT id, user_pos, forest_pos FROM users WHERE id IN ? AND state <> 'closed'"
    return {row[0]: (row[1], row[2]) for row in await r.fetch(sql, list(user_ids))}


async def friends_among(r: Reader, user_ids: Sequence[int], others: Sequence[int]) -> set[tuple[int, int]]:
    """Which (user, friend) pairs between the two lists are friendships with an active account."""
    sql = (
        "SELECT f.user_id, f.friend_id FROM friends f JOIN users u ON u.id = f.friend_id"
        " WHERE f.user_id IN ? AND f.friend_id IN ? AND f.state = 'friends' AND u.state = 'active'"
    )
    return {(row[0], row[1]) for row in await r.fetch(sql, list(user_ids), list(others))}


async def not_active(r: Reader, user_ids: Sequence[int]) -> list[int]:
    """Those of the users whose account is not active."""
    rows = await r.fetch("SELECT id FROM users WHERE id IN ? AND state <> 'active'", list(user_ids))
    return [row[0] for row in rows]


async def live_balls(r: Reader, owner: int, now: int, limit: int) -> list[Ball]:
    """Balls with energy left and life ahead, those that expire first in front."""
    rest = "WHERE owner = ? AND expires_at > ? AND remaining_g > 0 ORDER BY expires_at, id LIMIT ?"
    return await _rows(r, _BALLS, rest, owner, now, limit)


async def ball(r: Reader, ball_id: int) -> Ball | None:
    """A ball, if there is one."""
    rows = await _rows(r, _BALLS, "WHERE id = ?", ball_id)
    return rows[0] if rows else None


async def activities(r: Reader, user_id: int, before: int, limit: int) -> list[Activity]:
    """A user's carbon book, newest first."""
    return await _rows(
        r, _ACTIVITIES, "WHERE user_id = ? AND id < ? ORDER BY id DESC LIMIT ?", user_id, before, limit
    )


async def trees(r: Reader, user_id: int, limit: int) -> list[Tree]:
    """A user's trees, newest first."""
    return await _rows(r, _TREES, "WHERE user_id = ? ORDER BY id DESC LIMIT ?", user_id, limit)


async def relations(r: Reader, user_id: int) -> list[tuple[int, str, int]]:
    """(other user, asked | friends | blocked, since) as the user sees others, and `asking` for requests to
    them.
    """
    mine = "SELECT friend_id, state, since_at FROM friends WHERE user_id = ?"
    theirs = "SELECT user_id, 'asking', since_at FROM friends WHERE friend_id = ? AND state = 'asked'"
    rows = await r.fetch(mine, user_id) + await r.fetch(theirs, user_id)
    return [(row[0], row[1], row[2]) for row in rows]


async def names(r: Reader, user_ids: Sequence[int]) -> dict[int, str]:
    """user → the name that they chose to show."""
    sql = "SELECT user_id, display_name FROM identities WHERE user_id IN ?"
    return {row[0]: row[1] for row in await r.fetch(sql, list(user_ids))}


async def tree_counts(r: Reader, user_ids: Sequence[int]) -> dict[int, int]:
    """user → how many trees they have redeemed and not given up."""
    sql = "SELECT user_id, count(*) FROM trees WHERE user_id IN ? AND state <> 'withdrawn' GROUP BY user_id"
    return {row[0]: row[1] for row in await r.fetch(sql, list(user_ids))}


async def takeable(
    r: Reader, viewer: int, owners: Sequence[int], now: int
) -> dict[int, tuple[int, int | None]]:
    """owner → how many of their balls the viewer can take from now, and when the next one can be taken."""
    sql = (
        "SELECT owner, count(CASE WHEN friends_from_at <= ? THEN 1 END),"
        " min(CASE WHEN friends_from_at > ? THEN friends_from_at END) FROM balls"
        " WHERE owner IN ? AND expires_at > ? AND remaining_g > floor_g AND takers NOT LIKE ? GROUP BY owner"
    )
    rows = await r.fetch(sql, now, now, list(owners), now, _taken_by(viewer))
    return {row[0]: (row[1], row[2]) for row in rows}


async def friend_count(r: Reader, user_id: int) -> int:
    """How many friends the user has, as their row says."""
    rows = await r.fetch("SELECT friend_count FROM users WHERE id = ?", user_id)
    return rows[0][0] if rows else 0


async def friends_of(r: Reader, user_id: int) -> list[int]:
    """The user's friends, whatever the state of their accounts."""
    rows = await r.fetch("SELECT friend_id FROM friends WHERE user_id = ? AND state = 'friends'", user_id)
    return [row[0] for row in rows]


async def standings(r: Reader, viewer: int, friends: Sequence[int] | None, now: int) -> list[Standing]:
    """What the viewer can take from these friends (None: from all) and when; who is no friend is left out."""
    among = "" if friends is None else " AND f.friend_id IN ?"
    sql = (
        "SELECT f.friend_id, u.state, count(CASE WHEN b.friends_from_at <= ? THEN 1 END),"
        " min(CASE WHEN b.friends_from_at > ? THEN b.friends_from_at END), coalesce(max(b.expires_at), 0)"
        " FROM friends f JOIN users u ON u.id = f.friend_id LEFT JOIN balls b ON b.owner = f.friend_id"
        " AND b.expires_at > ? AND b.remaining_g > b.floor_g AND b.takers NOT LIKE ?"
        f" WHERE f.user_id = ? AND f.state = 'friends'{among} GROUP BY f.friend_id, u.state"
    )
    params: list[Any] = [now, now, now, _taken_by(viewer), viewer]
    rows = await r.fetch(sql, *params, *([] if friends is None else [list(friends)]))
    return [
        Standing(friend, state == "active", takeable, next_at, until_at)
        for friend, state, takeable, next_at, until_at in rows
    ]


async def takeable_balls(r: Reader, viewer: int, owner: int, now: int, limit: int) -> list[int]:
    """The owner's balls that the viewer can take from now, own ones whole, those that expire first in front."""
    from_at, least_g = ("ripens_at", "0") if viewer == owner else ("friends_from_at", "floor_g")
    sql = (
        f"SELECT id FROM balls WHERE owner = ? AND expires_at > ? AND {from_at} <= ? AND remaining_g > {least_g}"
        " AND takers NOT LIKE ? ORDER BY expires_at, id LIMIT ?"
    )
    return [row[0] for row in await r.fetch(sql, owner, now, now, _taken_by(viewer), limit)]


def _taken_by(viewer: int) -> str:
    """Found in the takers of balls that the viewer has taken from: [[user, grams, key], …], without spaces."""
    return f"%[{viewer},%"


async def stocks(r: Reader) -> dict[str, int]:
    """programme → trees on offer."""
    return {row[0]: row[1] for row in await r.fetch("SELECT programme, stock FROM stocks")}


async def pubs(r: Reader, journal_ids: Sequence[int]) -> list[tuple[int, str]]:
    """(journal id, what was published) of the rows, in order."""
    rows = await r.fetch("SELECT id, pubs FROM journal WHERE id IN ? ORDER BY id", list(journal_ids))
    return [(row[0], row[1]) for row in rows]


async def pubs_between(r: Reader, after: int, before: int, limit: int) -> list[tuple[int, str]]:
    """(journal id, what was published) of the oldest rows strictly between two ids."""
    sql = "SELECT id, pubs FROM journal WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
    return [(row[0], row[1]) for row in await r.fetch(sql, after, before, limit)]


async def journal_ids_after(r: Reader, after: int, limit: int) -> list[int]:
    """The lowest ids above one, in order."""
    sql = "SELECT id FROM journal WHERE id > ? ORDER BY id LIMIT ?"
    return [row[0] for row in await r.fetch(sql, after, limit)]


async def newest_pubs(r: Reader, since_at: int, below: int, limit: int) -> list[tuple[int, int, str]]:
    """(journal id, at, what was published), newest first: rows below an id, not older than an instant."""
    sql = "SELECT id, at, pubs FROM journal WHERE id < ? ORDER BY id DESC LIMIT ?"
    rows = await r.fetch(sql, below, limit)
    return [(row[0], row[1], row[2]) for row in rows if row[1] >= since_at]


async def newest_journal_id(r: Reader) -> int:
    """The highest journal id, 0 for an empty journal."""
    rows = await r.fetch("SELECT max(id) FROM journal")
    return rows[0][0] or 0


async def sources(r: Reader) -> list[dict[str, Any]]:
    """All sources with what they state of themselves, without secrets."""
    rows = await r.fetch("SELECT id, name, behaviours, evidence, about FROM sources ORDER BY id")
    decode = msgspec.json.decode
    return [
        {"source": source, "name": name, "behaviours": decode(behaviours), "evidence": decode(evidence)}
        | decode(about)
        for source, name, behaviours, evidence, about in rows
    ]


async def reviews(r: Reader, state: str, after: int, limit: int) -> list[dict[str, Any]]:
    """A page of reviews as they are told, over HTTP and on the command line."""
    sql = (
        'SELECT r.activity_id, r.user_id, a.behaviour, a."on", a.quantity, a.unit, a.energy_g, r.reason, r.state,'
        " p.alike, p.taken_at, r.opened_at, r.decided_at, r.decided_by, r.note"
        " FROM shown_reviews r JOIN activities a ON a.id = r.activity_id JOIN photos p ON p.sha256 = r.photo"
        " WHERE r.state = ? AND r.activity_id > ? ORDER BY r.activity_id LIMIT ?"
    )
    return [_review(row) for row in await r.fetch(sql, state, after, limit)]


_REVIEW = (
    *("activity", "user", "behaviour", "on", "quantity", "unit", "energy_g", "reason", "state", "alike"),
    *("taken_at", "opened_at", "decided_at", "decided_by", "note"),
)


def _review(row: tuple[Any, ...]) -> dict[str, Any]:
    facts = dict(zip(_REVIEW, row, strict=True))
    facts |= {name: str(facts[name]) for name in ("activity", "user")}
    for name in ("taken_at", "opened_at", "decided_at"):
        facts[name] = None if facts[name] is None else rfc3339(facts[name])
    facts["alike"] = msgspec.json.decode(facts["alike"])
    return facts


async def photo_files(r: Reader, activities: Sequence[int]) -> dict[int, tuple[int | None, str | None]]:
    """By shown activity: whose photo it is and which file; None where they are erased."""
    if not activities:
        return {}
    sql = (
        "SELECT r.activity_id, p.user_id, p.file FROM shown_reviews r JOIN photos p ON p.sha256 = r.photo"
        " WHERE r.activity_id IN ?"
    )
    return {activity: (user, file) for activity, user, file in await r.fetch(sql, list(activities))}
