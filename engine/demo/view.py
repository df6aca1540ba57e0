"""What happens in the village, as lines and as a live picture. Reads only the database: it sees what anyone does."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from rich.console import Console, Group, JustifyMethod, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from engine.core.units import rfc3339
from engine.main import Engine
from engine.store import queries
from engine.store.database import Reader

LOOK_S = 0.5
FEED_LINES_MAX = 16
FEED_LINES_MIN = 4
FRAME_LINES = 13  # of the picture besides the feed, and one line of room
ROWS_MAX = 200
TOP_USERS = 6
TREE_WORDS = {
    "pledged": "waits for an order",
    "allocated": "has a place in a draft",
    "withdrawn": "was given back",
    "ordered": "is ordered",
    "confirmed": "was taken on by the partner",
}


@dataclass(slots=True)
class Picture:
    """What the live view shows."""

    feed: deque[str] = field(default_factory=lambda: deque(maxlen=FEED_LINES_MAX))
    users: list[tuple[Any, ...]] = field(default_factory=list)
    stocks: list[tuple[Any, ...]] = field(default_factory=list)
    trees: list[tuple[str, int]] = field(default_factory=list)
    balls: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class _Told:
    """A journal row in words, with places for the names of users and for the behaviour of a ball."""

    text: str = ""
    users: tuple[int, ...] = ()
    ball: int | None = None


class View:
    """Follows the journal and tells what it says. `footer` stands below the picture."""

    def __init__(self, engine: Engine, footer: str) -> None:
        self._engine = engine
        self._footer = footer
        self._picture = Picture()
        self._names: dict[int, str] = {}
        self._last = 0

    async def run(self, console: Console, is_live: bool) -> None:
        """Show it until cancelled: a picture in a terminal, else one line an event."""
        async with self._engine.db.snapshot() as view:
            self._last = await queries.newest_journal_id(view)
        if not is_live:
            await self._lines(console)
            return
        with Live(
            render(self._picture, console.height, self._footer), console=console, auto_refresh=False
        ) as live:
            while True:
                self._picture.feed.extend(await self._news())
                await self._look()
                live.update(render(self._picture, console.height, self._footer), refresh=True)
                await asyncio.sleep(LOOK_S)

    async def _lines(self, console: Console) -> None:
        while True:
            for line in await self._news():
                console.print(line, markup=False, highlight=False, soft_wrap=True)
            await asyncio.sleep(LOOK_S)

    # --- news -------------------------------------------------------------------------------------

    async def _news(self) -> list[str]:
        sql = 'SELECT id, "at", kind, actor, transfers, pubs FROM journal WHERE id > ? ORDER BY id LIMIT ?'
        async with self._engine.db.snapshot() as view:
            rows = await view.fetch(sql, self._last, ROWS_MAX)
            told = [(row[1], _tell(row)) for row in rows]
            users = {user for _, one in told for user in one.users} - self._names.keys()
            if users:
                self._names.update(await queries.names(view, sorted(users)))
            acts = await self._acts(view, [one.ball for _, one in told if one.ball is not None])
        if rows:
            self._last = rows[-1][0]
        return [
            f"{rfc3339(at)[11:19]}  "
            + one.text.format(*(self._name(user) for user in one.users), act=acts.get(one.ball, "an act"))
            for at, one in told
            if one.text
        ]

    async def _acts(self, view: Reader, balls: list[int]) -> dict[int | None, str]:
        """ball → what was done for it. The owner of the server may read it; friends see only a category."""
        rows = await view.fetch("SELECT id, behaviour FROM balls WHERE id IN ?", balls) if balls else []
        known = self._engine.rules.behaviours
        return {ball: known[behaviour].names["en"].lower() for ball, behaviour in rows if behaviour in known}

    def _name(self, user: int) -> str:
        return self._names.get(user, f"user {user}")

    # --- looks --------------------------------------------------------------------------------------

    async def _look(self) -> None:
        now = self._engine.clock.now_ms()
        live = (
            "SELECT count(CASE WHEN ripens_at > ? THEN 1 END), count(CASE WHEN ripens_at <= ? THEN 1 END)"
            " FROM balls WHERE expires_at > ? AND remaining_g > 0"
        )
        top = (
            "SELECT i.display_name, u.wallet_g, u.avoided_mg FROM users u JOIN identities i ON i.user_id = u.id"
            " ORDER BY u.wallet_g DESC LIMIT ?"
        )
        picture = self._picture
        async with self._engine.db.snapshot() as view:
            [(growing, ripe)] = await view.fetch(live, now, now, now)
            picture.users = await view.fetch(top, TOP_USERS)
            picture.stocks = await view.fetch("SELECT programme, stock, sold FROM stocks ORDER BY programme")
            rows = await view.fetch("SELECT state, count(*) FROM trees GROUP BY state ORDER BY state")
        picture.balls = (growing, ripe)
        picture.trees = [(state, count) for state, count in rows]


# --- the picture ------------------------------------------------------------------------------------


def render(picture: Picture, height: int, footer: str) -> RenderableType:
    """The picture, no higher than the terminal: what does not fit would scroll away."""
    village = Table.grid(expand=True, padding=(0, 1))
    village.add_row(_people(picture), _trees(picture))
    feed = Table.grid()
    feed.add_column(no_wrap=True, overflow="ellipsis")
    lines = max(FEED_LINES_MIN, min(FEED_LINES_MAX, height - FRAME_LINES))
    for line in list(picture.feed)[-lines:]:
        feed.add_row(Text(line))
    return Group(
        Panel(village, title="the village"),
        Panel(feed, title="just now", height=lines + 2),
        Text(footer, style="dim", no_wrap=True, overflow="ellipsis"),
    )


def _people(picture: Picture) -> RenderableType:
    people = _columns("left", "right", "right")
    people.add_row("[b]richest", "[b]wallet", "[b]avoided CO2e")
    for name, wallet_g, avoided_mg in picture.users:
        people.add_row(Text(name), f"{wallet_g:,} g", f"{avoided_mg / 1_000_000:,.1f} kg")
    return people


def _trees(picture: Picture) -> RenderableType:
    trees = _columns("left", "right", "right")
    trees.add_row("[b]programme", "[b]on offer", "[b]redeemed")
    for programme, stock, sold in picture.stocks:
        trees.add_row(programme, f"{stock:,}", f"{sold:,}")
    states = ", ".join(f"{count:,} {state}" for state, count in picture.trees) or "none yet"
    growing, ripe = picture.balls
    return Group(trees, f"trees: {states}", f"balls: {growing:,} growing, {ripe:,} ripe")


def _columns(*justify: JustifyMethod) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for side in justify:
        table.add_column(justify=side, no_wrap=True)
    return table


# --- words ------------------------------------------------------------------------------------------


def _tell(row: Sequence[Any]) -> _Told:
    """A journal row in words; empty where there is nothing to tell."""
    _, _, kind, actor, transfers_text, pubs_text = row
    moves: list[list[Any]] = msgspec.json.decode(transfers_text)
    if kind in ("CollectEnergy", "CollectAll"):
        return _tell_collect(actor, moves, pubs_text)
    if kind == "ReportActivity":
        return _tell_activity(moves)
    if kind == "RedeemOffer":
        programme = next((move[0].partition(":")[2] for move in moves if move[2] == "tree"), "")
        return _Told(f"{{}} redeemed a tree of {programme}", (actor,))
    if kind == "BookExpiry":
        grams = sum(move[3] for move in moves)
        return _Told(f"{grams:,} g in {len(moves):,} balls expired, collected by nobody")
    return _tell_trees(pubs_text)


def _tell_activity(moves: Sequence[Sequence[Any]]) -> _Told:
    """What somebody did, where it is worth a ball."""
    users = [int(move[1].partition(":")[2]) for move in moves if move[0] == "mint" and move[2] == "avoided"]
    balls = {int(move[1].partition(":")[2]): move[3] for move in moves if move[1].startswith("ball:")}
    if not users or not balls:
        return _Told()
    ball, grams = balls.popitem()
    return _Told(f"{{}}: {{act}}, a ball of {grams:,} g", (users[0],), ball)


def _tell_collect(actor: int, moves: Sequence[Sequence[Any]], pubs_text: str) -> _Told:
    grams = sum(move[3] for move in moves)
    for channel, _, data in msgspec.json.decode(pubs_text):
        if channel == f"user:{actor}" and data.get("took"):
            owner = int(data["took"][0]["owner"])
            if owner != actor:
                return _Told(f"{{}} took {grams:,} g from {{}}", (actor, owner))
    return _Told(f"{{}} collected {grams:,} g", (actor,))


def _tell_trees(pubs_text: str) -> _Told:
    """What partners say of trees."""
    for channel, _, data in msgspec.json.decode(pubs_text):
        if channel.startswith("user:") and data.get("trees"):
            tree = data["trees"][0]
            words = TREE_WORDS.get(tree["state"], f"is {tree['state']}")
            return _Told(f"tree {tree['number']} of {{}} {words}", (int(channel.partition(":")[2]),))
    return _Told()
