"""Pages that were made a moment ago: bounded, made once however many ask, dropped when what they tell of changes.

This process drops a page before it acknowledges the change; of what other processes change, a page is at most
`kept_s` behind. Knows nothing of what is on a page but the names of what it tells of, such as `order:17`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

from engine.core.errors import Rejected

KEPT_S = 10.0
KEPT_BYTES_MAX = 64 * 1024 * 1024
PAGE_OVERHEAD_BYTES = 1_000  # of a page's own objects, beside its text
MAKINGS_MAX = 3
MAKING_PAGES_MAX = 512
READING_MAX = 2  # pages read by at most so many connections: players' snapshots need the others
ETAG_CHARACTERS = 24

Made = tuple[bytes, Iterable[str], float]
"""A page's bytes, the names of what it tells of, and when its facts were read (monotonic)."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page as it is sent: `etag` follows from its bytes alone. `route` is the template of its address."""

    body: bytes
    etag: str
    made_at: float
    of: frozenset[str]
    route: str = ""

    @property
    def age_s(self) -> float:
        """How long ago its facts were read."""
        return monotonic() - self.made_at


class Kept:
    """Pages by key, least lately asked for dropped first."""

    def __init__(self, kept_s: float = KEPT_S, bytes_max: int = KEPT_BYTES_MAX) -> None:
        self.kept_s = kept_s
        self._bytes_max = bytes_max
        self._bytes = 0
        self._pages: OrderedDict[Hashable, Page] = OrderedDict()
        self._keys: defaultdict[str, set[Hashable]] = defaultdict(set)
        self._making: dict[Hashable, asyncio.Task[Page]] = {}
        self._turn = 0
        self._dropped: dict[str, int] = {}  # in which turn, while any page is being made
        self.turn = asyncio.Semaphore(READING_MAX)

    def __len__(self) -> int:
        return len(self._pages)

    def found(self, key: Hashable) -> Page | None:
        """The page, if it is kept and young enough."""
        page = self._pages.get(key)
        if page is None:
            return None
        if page.age_s >= self.kept_s:
            self._forget(key)
            return None
        self._pages.move_to_end(key)
        return page

    async def page(self, key: Hashable, make: Callable[[], Awaitable[Made]], route: str = "") -> Page:
        """The page, made now if it must be. Raises what `make` raises, and Rejected(overloaded)."""
        page = self.found(key)
        if page is not None:
            return page
        task = self._making.get(key)
        if task is None:
            if len(self._making) >= MAKING_PAGES_MAX:
                raise Rejected("overloaded")
            task = self._making[key] = asyncio.create_task(self._make(key, make, route))
            task.add_done_callback(lambda _: self._made(key))
        return await asyncio.shield(task)  # whoever goes away takes the page from nobody else

    def drop(self, names: Iterable[str]) -> None:
        """What tells of any of these is not true any more."""
        self._turn += 1
        for name in names:
            for key in tuple(self._keys.get(name, ())):
                self._forget(key)
            if self._making:
                self._dropped[name] = self._turn

    def changed(self, rows: Sequence[tuple[str, Any]]) -> None:
        """Rows of the partners' shelves were written."""
        self.drop({name for shelf, row in rows for name in names_of(shelf, row)})

    async def _make(self, key: Hashable, make: Callable[[], Awaitable[Made]], route: str) -> Page:
        """Make it, again if what it tells of was changed meanwhile."""
        for _ in range(MAKINGS_MAX):
            turn = self._turn
            body, of, made_at = await make()
            page = Page(body, etag_of(body), made_at, frozenset(of), route)
            if all(self._dropped.get(name, 0) <= turn for name in page.of):
                self._keep(key, page)
                break
        return page

    def _made(self, key: Hashable) -> None:
        task = self._making.pop(key)
        if not task.cancelled():
            task.exception()  # told to those who asked; if all have gone away, to nobody
        if not self._making:
            self._dropped.clear()

    def _keep(self, key: Hashable, page: Page) -> None:
        if self.kept_s <= 0:
            return
        self._forget(key)
        self._pages[key] = page
        self._bytes += _weight(page)
        for name in page.of:
            self._keys[name].add(key)
        while self._bytes > self._bytes_max:
            self._forget(next(iter(self._pages)))

    def _forget(self, key: Hashable) -> None:
        page = self._pages.pop(key, None)
        if page is None:
            return
        self._bytes -= _weight(page)
        for name in page.of:
            keys = self._keys[name]
            keys.discard(key)
            if not keys:
                del self._keys[name]


WATCHED = (
    "partner_orders",
    "order_lines",
    "tree_units",
    "standings",
    "audits",
    "replacements",
    "write_downs",
    "disturbances",
    "sites",
    "site_versions",
    "site_outlines",
    "partner_records",
)


def names_of(shelf: str, row: Any) -> Iterable[str]:
    """What a page must tell of to be touched by a change of the row."""
    if shelf == "tree_units":
        yield f"tree:{row.id}"
    elif shelf == "partner_orders":
        yield f"order:{row.id}"
    elif shelf == "sites":
        yield f"site:{row.id}"
    elif shelf in ("site_versions", "site_outlines"):
        yield f"site:{row.site}"
    elif shelf == "partner_records":
        yield f"partner:{row.id}"
    elif shelf == "replacements":
        yield from (f"order:{row.parent_id}", f"order:{row.id}")
    elif shelf in WATCHED:
        yield f"order:{row.order_id}"


def etag_of(body: bytes) -> str:
    """A strong validator: equal bytes have equal ones."""
    return f'"{hashlib.sha256(body).hexdigest()[:ETAG_CHARACTERS]}"'


def _weight(page: Page) -> int:
    return len(page.body) + PAGE_OVERHEAD_BYTES
