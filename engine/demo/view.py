"""What happens in the village, as lines and as a live picture. Reads only the database: it sees what anyone does."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table

from engine.core.units import rfc3339
from engine.main import Engine
from engine.store import queries

LOOK_S = 0.5
FEED_LINES = 14
ROWS_MAX = 200
TOP_USERS = 8
TREE_WORDS = {
    "pledged": "waits for an order",
    "ordered": "is ordered",
    "confirmed": "was taken on by the partner",
}


@dataclass(slots=True)
class _Picture:
    """What the live view shows."""

    feed: deque[str] = field(default_factory=lambda: deque(maxlen=FEED_LINES))
    users: list[tuple[Any, ...]] = field(default_factory=list)
    stocks: list[tuple[Any, ...]] = field(default_factory=list)
    trees: list[tuple[str, int]] = field(default_factory=list)
    balls: tuple[int, int] = (0, 0)


class View:
    """Follows the journal and tells what it says."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._picture = _Picture()
        self._names: dict[int, str] = {}
        self._last = 0

    async def run(self, console: Console, is_live: bool) -> None:
        """Show it until cancelled: a picture in a terminal, else one line an event."""
        async with self._engine.db.snapshot() as view:
            self._last = await queries.newest_journal_id(view)
        if not is_live:
            await self._lines(console)
            return
        with Live(self._render(), console=console, auto_refresh=False) as live:
            while True:
                self._picture.feed.extend(await self._news())
                await self._look()
                live.update(self._render(), refresh=True)
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
            users = {user for _, (_, people) in told for user in people} - self._names.keys()
            if users:
                self._names.update(await queries.names(view, sorted(users)))
        if rows:
            self._last = rows[-1][0]
        return [
            f"{rfc3339(at)[11:19]}  " + text.format(*(self._name(user) for user in people))
            for at, (text, people) in told
            if text
        ]

    def _name(self, user: int) -> str:
        return self._names.get(user, f"user {user}")

    # --- the picture ------------------------------------------------------------------------------

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

    def _render(self) -> RenderableType:
        picture = self._picture
        people = Table.grid(padding=(0, 2))
        people.add_row("[b]name", "[b]wallet", "[b]avoided")
        for name, wallet_g, avoided_mg in picture.users:
            people.add_row(name, f"{wallet_g:,} g", f"{avoided_mg / 1_000_000:,.1f} kg CO2e")
        trees = Table.grid(padding=(0, 2))
        trees.add_row("[b]programme", "[b]on offer", "[b]redeemed")
        for programme, stock, sold in picture.stocks:
            trees.add_row(programme, str(stock), str(sold))
        states = ", ".join(f"{count} {state}" for state, count in picture.trees) or "none yet"
        growing, ripe = picture.balls
        side = Group(people, "", trees, "", f"trees: {states}", f"balls: {growing} growing, {ripe} ripe")
        feed = Table.grid()
        for line in picture.feed:
            feed.add_row(line)
        whole = Table.grid(expand=True)
        whole.add_column(ratio=3)
        whole.add_column(ratio=2)
        whole.add_row(Panel(feed, title="just now"), Panel(side, title="the village"))
        return Group(whole, "[dim]Ctrl-C ends the demo; the village stays in its database.")


# --- words ------------------------------------------------------------------------------------------


def _tell(row: Sequence[Any]) -> tuple[str, list[int]]:
    """A journal row in words, with places for the names of the users; empty where there is nothing to tell."""
    _, _, kind, actor, transfers_text, pubs_text = row
    moves: list[list[Any]] = msgspec.json.decode(transfers_text)
    if kind == "CollectEnergy":
        return _tell_collect(actor, moves, pubs_text)
    if kind == "ReportActivity":
        for debit, credit, asset, _, _ in moves:
            if debit == "mint" and asset == "avoided":
                user = int(credit.partition(":")[2])
                grams = sum(move[3] for move in moves if move[1].startswith("ball:"))
                return (f"{{}} did something: a ball of {grams} g" if grams else ""), [user]
    if kind == "RedeemOffer":
        programme = next((move[0].partition(":")[2] for move in moves if move[2] == "tree"), "")
        return f"{{}} redeemed a tree of {programme}", [actor]
    if kind == "BookExpiry":
        return f"{sum(move[3] for move in moves)} g in {len(moves)} balls expired, collected by nobody", []
    return _tell_trees(pubs_text)


def _tell_collect(actor: int, moves: Sequence[Sequence[Any]], pubs_text: str) -> tuple[str, list[int]]:
    grams = sum(move[3] for move in moves)
    for channel, _, data in msgspec.json.decode(pubs_text):
        if channel == f"user:{actor}" and data.get("took"):
            owner = int(data["took"][0]["owner"])
            if owner != actor:
                return f"{{}} took {grams} g from {{}}", [actor, owner]
    return f"{{}} collected {grams} g", [actor]


def _tell_trees(pubs_text: str) -> tuple[str, list[int]]:
    """What partners say of trees."""
    for channel, _, data in msgspec.json.decode(pubs_text):
        if channel.startswith("user:") and data.get("trees"):
            tree = data["trees"][0]
            words = TREE_WORDS.get(tree["state"], f"is {tree['state']}")
            return f"tree {tree['number']} of {{}} {words}", [int(channel.partition(":")[2])]
    return "", []
