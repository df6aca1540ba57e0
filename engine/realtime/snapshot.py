"""What clients load: the reads behind the rpc methods, and what sessions need to know to let somebody listen.

Every answer comes from one database snapshot, data and channel positions together, and tells facts with the
same functions as publications do, so that a snapshot and the pushes after its positions make the next
snapshot. Knows the store and the rulebook; must not know sockets or sessions.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import date

import msgspec

from engine.clock import Clock
from engine.core.errors import Rejected
from engine.core.rules import Programme, RuleBook
from engine.core.state import Ball
from engine.core.units import ID_MAX, local_day, rfc3339
from engine.facts import account_facts, activity_facts, ball_facts, ball_status, is_shown, tree_facts
from engine.publication import Publication, forest_channel, user_channel
from engine.realtime.channels import Channel
from engine.realtime.finding import Finder
from engine.realtime.journal import items_of
from engine.receipt import receipt
from engine.store import queries
from engine.store.database import Database, DatabaseAway, Reader

TREES_PER_LIST_MAX = 1_000
_encode = msgspec.json.Encoder().encode


class Snapshots:
    """Reads for sessions and methods. Each raises Rejected(unavailable) where the database can't be asked."""

    def __init__(
        self,
        db: Database,
        rules: Callable[[], RuleBook],
        clock: Clock,
        epoch: str,
        rules_of: Callable[[int], RuleBook] | None = None,
        *,
        finder: Finder,
    ) -> None:
        """`rules_of` gives the rulebook of a user, where a canary may run."""
        self._db = db
        self._rules = rules
        self._rules_of = rules_of or (lambda user: rules())
        self._clock = clock
        self._epoch = epoch
        self._finder = finder

    # --- sessions ---------------------------------------------------------------------------------

    async def account_state(self, user: int) -> str | None:
        """active, suspended, closed, or None for nobody."""
        async with self._view() as r:
            return await queries.account_state(r, user)

    async def position(self, channel: Channel, viewer: int) -> int | None:
        """The channel's highest offset, or None where the viewer may not listen."""
        async with self._view() as r:
            if channel.user != viewer and (
                channel.kind == "user" or not await queries.are_friends(r, viewer, channel.user)
            ):
                return None
            found = (await queries.positions(r, [channel.user])).get(channel.user)
        if found is None:
            return None
        return found[0] if channel.kind == "user" else found[1]

    async def publications(self, channel: str, journal_ids: list[int]) -> dict[int, bytes]:
        """Offset → data of what these journal rows published on the channel."""
        async with self._view() as r:
            rows = await queries.pubs(r, journal_ids)
        return {
            item.offset: item.data
            for journal_id, pubs in rows
            for item in items_of(journal_id, pubs)
            if isinstance(item, Publication) and item.channel == channel
        }

    # --- methods ----------------------------------------------------------------------------------

    async def forest(self, viewer: int, owner: int) -> bytes:
        """Balls, amounts (the owner's own eyes only) and the positions to subscribe from."""
        now = self._clock.now_ms()
        limit = self._rules().game.on(local_day(now, "UTC")).forest_balls_max
        async with self._view() as r:
            user = await queries.user(r, owner)
            if viewer != owner and not await queries.are_friends(r, viewer, owner):
                raise Rejected("not_friends")
            if user is None:
                raise Rejected("unknown_user")
            balls = await queries.live_balls(r, owner, now, limit + 1)
        data: dict[str, object] = {"user": str(owner), "now": rfc3339(now)}
        heads = {forest_channel(owner): user.forest_pos}
        if viewer == owner:
            data |= account_facts(user)
            heads[user_channel(owner)] = user.user_pos
        data["balls"] = [_ball(ball, viewer, now) for ball in balls[:limit] if is_shown(ball, now)]
        data["more"] = len(balls) > limit
        data["positions"] = {
            channel: {"epoch": self._epoch, "offset": offset} for channel, offset in heads.items()
        }
        return _encode(data)

    async def activities(self, user: int, before: int | None, limit: int) -> bytes:
        """A page of the carbon book, newest first; `before` of the next page is the last id of this one."""
        async with self._view() as r:
            rows = await queries.activities(r, user, before or ID_MAX, limit + 1)
        return _encode(
            {"activities": [activity_facts(row) for row in rows[:limit]], "more": len(rows) > limit}
        )

    async def friends(self, user: int) -> bytes:
        """Friends with what can be taken from them now, and the requests and blocks there are."""
        now = self._clock.now_ms()
        async with self._view() as r:
            by_state: dict[str, list[int]] = {"friends": [], "asked": [], "asking": [], "blocked": []}
            for other, state, _ in sorted(await queries.relations(r, user)):
                by_state[state].append(other)
            friends = by_state["friends"]
            names = await queries.names(r, friends + by_state["asking"])
            trees = await queries.tree_counts(r, friends)
            takeable = await queries.takeable(r, user, friends, now)
        return _encode(
            {
                "friends": [
                    _friend(friend, names, trees, takeable.get(friend, (0, None))) for friend in friends
                ],
                "asking": [
                    {"user": str(other), "name": names.get(other, "")} for other in by_state["asking"]
                ],
                "asked": [str(other) for other in by_state["asked"]],
                "blocked": [str(other) for other in by_state["blocked"]],
                "now": rfc3339(now),
            }
        )

    async def find(self, viewer: int, after: int | None) -> bytes:
        """The next friend who has something for the viewer now, read a moment ago."""
        now = self._clock.now_ms()
        found = await self._finder.find(self._view, viewer, after, now)
        friend = None
        if (one := found.standing) is not None:
            names, trees = {one.friend: found.name}, {one.friend: found.trees}
            friend = _friend(one.friend, names, trees, (one.takeable, one.next_at))
        return _encode(
            {
                "friend": friend,
                "after": None if found.after is None else str(found.after),
                "next_at": None if found.next_at is None else rfc3339(found.next_at),
                "now": rfc3339(now),
            }
        )

    async def receipt(self, user: int, ball: int) -> bytes:
        """How the user's take from a ball came about, and how it can be verified."""
        async with self._view() as r:
            return _encode(await receipt(r, user, ball, self._clock.now_ms()))

    async def takeable(self, viewer: int, owner: int, limit: int) -> tuple[list[int], bool]:
        """Balls of a forest that give the viewer something now, and whether there are more. Who may not take there
        is told so by the decision.
        """
        async with self._view() as r:
            balls = await queries.takeable_balls(r, viewer, owner, self._clock.now_ms(), limit + 1)
        return balls[:limit], len(balls) > limit

    async def offers(self, user: int, kind: str | None) -> bytes:
        """The catalogue as it stands for the user; trees are the only kind yet."""
        rules, today = self._rules_of(user), local_day(self._clock.now_ms(), "UTC")
        async with self._view() as r:
            row = await queries.user(r, user)
            stocks = await queries.stocks(r)
        if row is None:
            raise Rejected("unknown_user")
        offers = [
            _offer(rules, programme, price_g, stocks.get(programme.id, 0), row.wallet_g, today)
            for programme in rules.programmes.values()
            if (price_g := programme.energy_g(today)) is not None
        ]
        return _encode({"offers": offers if kind in (None, "tree") else [], "wallet_g": row.wallet_g})

    async def trees(self, user: int) -> bytes:
        """The user's trees, newest first."""
        async with self._view() as r:
            rows = await queries.trees(r, user, TREES_PER_LIST_MAX + 1)
        return _encode(
            {
                "trees": [tree_facts(row) for row in rows[:TREES_PER_LIST_MAX]],
                "more": len(rows) > TREES_PER_LIST_MAX,
            }
        )

    @asynccontextmanager
    async def _view(self) -> AsyncIterator[Reader]:
        try:
            async with self._db.snapshot() as reader:
                yield reader
        except DatabaseAway as problem:
            raise Rejected("unavailable") from problem


def _ball(ball: Ball, viewer: int, now: int) -> dict[str, object]:
    return ball_facts(ball, ball.owner == viewer) | {"status": ball_status(ball, viewer, now)}


def _friend(
    friend: int, names: Mapping[int, str], trees: Mapping[int, int], takeable: tuple[int, int | None]
) -> dict[str, object]:
    count, next_ripe_at = takeable
    return {
        "user": str(friend),
        "name": names.get(friend, ""),
        "trees": trees.get(friend, 0),
        "takeable": count,
        "next_ripe_at": None if next_ripe_at is None else rfc3339(next_ripe_at),
    }


def _offer(
    rules: RuleBook, programme: Programme, price_g: int, stock: int, wallet_g: int, today: date
) -> dict[str, object]:
    season = programme.next_season(today)
    species = rules.species[programme.species]
    return {
        "offer": programme.id,
        "kind": "tree",
        "state": _offer_state(programme, price_g, stock, wallet_g, today),
        "energy_g": price_g,
        "stock": stock,
        "names": dict(programme.names),
        "species": {"id": species.id, "names": dict(species.names), "scientific": species.scientific},
        "region": programme.region,
        "site": dict(programme.site),
        "partner": programme.partner,
        "granularity": programme.granularity,
        "season": {
            "id": season.id,
            "order_by_on": season.order_by_on.isoformat(),
            "opens_on": season.opens_on.isoformat(),
            "closes_on": season.closes_on.isoformat(),
        },
        "opens_on": programme.open_on.isoformat(),
        "closes_on": None if programme.close_on is None else programme.close_on.isoformat(),
    }


def _offer_state(programme: Programme, price_g: int, stock: int, wallet_g: int, today: date) -> str:
    """What redeeming would say now, in the order in which it would say it."""
    if today < programme.open_on:
        return "coming"
    if stock <= 0 or (programme.close_on is not None and today > programme.close_on):
        return "sold_out"
    return "available" if wallet_g >= price_g else "energy_lacking"
