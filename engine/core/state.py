"""The working set of one group: rows on shelves, loaded before deciding, changed only by evolve, saved after.

A shelf knows which rows are new and which were changed, and nothing of the database.
"""

from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, TypeVar

from engine.core.campaign_rows import Campaign, CampaignUse
from engine.core.exclusion import Entry
from engine.core.shown import Photo, Review, ShownDay

Row = TypeVar("Row")
K = TypeVar("K", bound=Hashable)


class By(NamedTuple):
    """Names all rows of a shelf whose column has the value, where a key alone can't."""

    column: str
    value: int | str


class Touch(NamedTuple):
    """One row (or, with `By`, several) that a command reads or changes."""

    shelf: str
    key: Any


@dataclass(frozen=True, slots=True)
class ShelfKind:
    """A kind of row: `row` is a dataclass whose fields are the table's columns; `key` names those that identify it.

    `locks`: rows of this shelf are locked in key order before anything else of the group is read, lower numbers
    first. `hot`: the columns that `edit` may change; `rewrite` may change every column but the key.
    """

    name: str
    row: type
    key: tuple[str, ...]
    locks: int = 0
    hot: tuple[str, ...] = ()


class Shelf(Generic[K, Row]):
    """Rows of one kind by key. A key that was looked up and has no row is kept as None."""

    __slots__ = ("_indexes", "_rows", "added", "by", "changed", "kind", "removed", "rewritten")

    def __init__(self, kind: ShelfKind) -> None:
        self.kind = kind
        self._rows: dict[K, Row | None] = {}
        self._indexes: dict[str, dict[Any, set[K]]] = {}
        self.by: set[By] = set()
        self.added: set[K] = set()
        self.changed: set[K] = set()
        self.rewritten: set[K] = set()
        self.removed: set[K] = set()

    def __contains__(self, key: K) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return (row for row in self._rows.values() if row is not None)

    def get(self, key: K) -> Row | None:
        """The row, or None if the database has none. A key that was never loaded is a fault in `touches`."""
        return self._rows[key]

    def peek(self, key: K) -> Row | None:
        """The row if it is loaded; None where there is none, or none was loaded."""
        return self._rows.get(key)

    def __getitem__(self, key: K) -> Row:
        row = self._rows[key]
        if row is None:
            raise KeyError(key)
        return row

    def where(self, column: str, value: Any) -> list[Row]:
        """The loaded rows whose column has the value, in no order; also among many without looking at each.

        A column that is asked for here is changed by `put`, never in a row.
        """
        if column not in self._indexes:
            index: dict[Any, set[K]] = {}
            for key, row in self._rows.items():
                if row is not None:
                    index.setdefault(getattr(row, column), set()).add(key)
            self._indexes[column] = index
        keys = self._indexes[column].get(value, ())
        rows = (self._rows[key] for key in keys)
        return [row for row in rows if row is not None and getattr(row, column) == value]

    def _set(self, key: K, row: Row) -> None:
        self._rows[key] = row
        for column, index in self._indexes.items():
            index.setdefault(getattr(row, column), set()).add(key)

    def edit(self, key: K) -> Row:
        """The row, for evolve to change its hot columns."""
        row = self._rows[key]
        if row is None:
            raise KeyError(key)
        self.changed.add(key)
        return row

    def rewrite(self, key: K) -> Row:
        """The row, for evolve to change any column."""
        self.rewritten.add(key)
        return self[key]

    def put(self, key: K, row: Row) -> None:
        """Another row in the place of the one under the key."""
        self.rewritten.add(key)
        self._set(key, row)

    def add(self, key: K, row: Row) -> None:
        """A new row; where the key was removed in this group, the row replaces the old one."""
        self._set(key, row)
        if key in self.removed:
            self.removed.discard(key)
            self.rewritten.add(key)
        else:
            self.added.add(key)

    def remove(self, key: K) -> None:
        """The row is gone when the group is saved."""
        self._rows[key] = None
        if key in self.added:
            for changes in (self.added, self.changed, self.rewritten):
                changes.discard(key)
        else:
            self.removed.add(key)

    def loaded(self, key: K, row: Row | None) -> None:
        """What the database holds under the key."""
        if row is None:
            self._rows[key] = None
        else:
            self._set(key, row)

    def clean(self) -> None:
        """All changes are saved."""
        self.added.clear()
        self.changed.clear()
        self.rewritten.clear()
        self.removed.clear()

    def forget(self) -> None:
        """Drop everything that was loaded."""
        self.clean()
        self._rows.clear()
        self._indexes.clear()
        self.by.clear()


class State:
    """All shelves of all domains; each is also an attribute by its name."""

    def __init__(self, kinds: Iterable[ShelfKind]) -> None:
        self.shelves: dict[str, Shelf[Any, Any]] = {kind.name: Shelf(kind) for kind in kinds}
        self.__dict__.update(self.shelves)

    def clean(self) -> None:
        """All changes are saved."""
        for shelf in self.shelves.values():
            shelf.clean()

    def forget(self) -> None:
        """Drop everything that was loaded."""
        for shelf in self.shelves.values():
            shelf.forget()

    def rows(self) -> int:
        """How many keys are held, for the bound on a cache."""
        return sum(len(shelf) for shelf in self.shelves.values())


# --- rows of the game -----------------------------------------------------------------------------


@dataclass(slots=True)
class User:
    """An account without any personal data. `user_pos` and `forest_pos` are the channels' offsets."""

    id: int
    state: str  # active | suspended | closed
    holder: str  # person | household
    province: str | None
    zone: str
    next_zone: str | None
    next_zone_at: int | None
    wallet_g: int
    debt_g: int
    avoided_mg: int
    friend_count: int
    user_pos: int
    forest_pos: int
    opened_at: int

    def zone_at(self, now: int) -> str:
        """The zone that counts at the instant."""
        if self.next_zone is not None and self.next_zone_at is not None and now >= self.next_zone_at:
            return self.next_zone
        return self.zone


@dataclass(slots=True)
class Identity:
    """The only row with personal data: the name that friends see and the app's own reference."""

    user_id: int
    display_name: str
    reference: str | None


@dataclass(slots=True)
class Reference:
    """An app's reference in use, so that opening twice finds the first account."""

    reference: str
    user_id: int


@dataclass(slots=True)
class Ball:
    """Energy of one activity waiting to be collected; id = the activity's id. Its bounds are those it was made with.

    `takers` holds [user, grams, key] of each who collected: the once-per-friend check and the first receipt.
    """

    id: int
    owner: int
    behaviour: str
    others_see: str
    full_g: int
    remaining_g: int
    floor_g: int
    share_min_g: int
    share_max_g: int
    avoided_mg: int
    ripens_at: int
    friends_from_at: int
    expires_at: int
    takers: list[list[Any]] = field(default_factory=list)
    share_less_pct: int = 0


@dataclass(slots=True)
class Activity:
    """What a source reported, what it was worth and why (`trace`). `activity` is the source's id of it."""

    id: int
    source: str
    activity: str
    user_id: int
    behaviour: str
    on: str
    at: int | None
    quantity: str
    unit: str
    revision: int | None
    content: str
    status: str  # accepted | recorded | excluded | reversed
    energy_g: int
    avoided_mg: int
    accepted_at: int
    reversed_at: int | None
    evidence: str | None = None
    grade: str | None = None
    family: str | None = None  # set where other acts of the family may exclude it: it stands in `occasions`
    trace: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Revision:
    """One report of a running total, counted or only recorded."""

    activity_id: int
    revision: int
    quantity: str
    content: str
    counted: bool
    at: int


@dataclass(slots=True)
class CapUse:
    """What of a cap is used: grams and acts of one user, behaviour and period; `acts` names who used the slots."""

    user_id: int
    behaviour: str
    period: str  # a day 2026-11-23, a month 2026-11, a year 2026, or a month of an account 2026-11/<digest>
    used_g: int
    used_count: int
    acts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Occasions:
    """The acts of one user and day (or month) that may exclude each other.

    The one row that says which of them count, so that avoided emissions of an act are issued once.
    """

    user_id: int
    period: str  # a day 2026-11-23, or a month 2026-11 where months are compared
    acts: list[Entry] = field(default_factory=list)


@dataclass(slots=True)
class Source:
    """Who may report which behaviours."""

    id: str
    name: str
    secret: str
    old_secret: str | None
    old_until_at: int | None
    behaviours: list[str]
    added_at: int
    evidence: list[str] = field(default_factory=list)  # the kinds that it may claim; none named: any
    about: dict[str, Any] = field(
        default_factory=dict
    )  # what it states of itself; see `commands.SourceAbout`


@dataclass(slots=True)
class Link:
    """A consent: this subject of the source is this user, for the named behaviours."""

    source: str
    subject: str
    user_id: int
    behaviours: list[str]
    linked_at: int
    withdrawn_at: int | None


@dataclass(slots=True)
class Friend:
    """One direction of a friendship: `state` is asked, friends or blocked, as `user_id` sees `friend_id`."""

    user_id: int
    friend_id: int
    state: str
    since_at: int


@dataclass(slots=True)
class Stock:
    """Trees of a programme: on offer, sold, and all that funding covers."""

    programme: str
    stock: int
    sold: int
    covered: int


@dataclass(slots=True)
class Commitment:
    """A funder's money for trees of one programme, in minor units."""

    id: int
    programme: str
    funder: str
    currency: str
    unit_price_minor: int
    amount_minor: int
    left_minor: int
    committed_at: int


@dataclass(slots=True)
class Tree:
    """A redeemed tree as its user sees it. `number` is public and carries a check character.

    `waits_since_at`: since when there is no place for it; then its energy comes back at `energy_back_at`.
    """

    id: int
    number: str
    user_id: int
    programme: str
    species: str
    commitment_id: int
    energy_g: int
    state: str
    note: str
    redeemed_at: int
    state_at: int
    waits_since_at: int | None = None
    energy_back_at: int | None = None


GAME_SHELVES = (
    ShelfKind(
        "users",
        User,
        ("id",),
        locks=1,
        hot=("wallet_g", "debt_g", "avoided_mg", "user_pos", "forest_pos"),
    ),
    ShelfKind("stocks", Stock, ("programme",), locks=2),
    ShelfKind("identities", Identity, ("user_id",)),
    ShelfKind("references", Reference, ("reference",)),
    ShelfKind("balls", Ball, ("id",), hot=("remaining_g", "takers")),
    ShelfKind("activities", Activity, ("source", "activity")),
    ShelfKind("revisions", Revision, ("activity_id", "revision")),
    ShelfKind("caps", CapUse, ("user_id", "behaviour", "period")),
    ShelfKind("occasions", Occasions, ("user_id", "period")),
    ShelfKind("photos", Photo, ("sha256",)),
    ShelfKind("shown_days", ShownDay, ("user_id", "on")),
    ShelfKind("shown_reviews", Review, ("activity_id",)),
    ShelfKind("sources", Source, ("id",)),
    ShelfKind("links", Link, ("source", "subject")),
    ShelfKind("friends", Friend, ("user_id", "friend_id")),
    ShelfKind("commitments", Commitment, ("id",)),
    ShelfKind("trees", Tree, ("id",)),
    ShelfKind("campaigns", Campaign, ("id",)),
    ShelfKind("campaign_uses", CampaignUse, ("campaign", "user_id")),
)


class GameState(State):
    """The game's shelves by name, for the type checker; any State with these shelves serves."""

    users: Shelf[int, User]
    stocks: Shelf[str, Stock]
    identities: Shelf[int, Identity]
    references: Shelf[str, Reference]
    balls: Shelf[int, Ball]
    activities: Shelf[tuple[str, str], Activity]
    revisions: Shelf[tuple[int, int], Revision]
    caps: Shelf[tuple[int, str, str], CapUse]
    occasions: Shelf[tuple[int, str], Occasions]
    photos: Shelf[str, Photo]
    shown_days: Shelf[tuple[int, str], ShownDay]
    shown_reviews: Shelf[int, Review]
    sources: Shelf[str, Source]
    links: Shelf[tuple[str, str], Link]
    friends: Shelf[tuple[int, int], Friend]
    commitments: Shelf[int, Commitment]
    trees: Shelf[int, Tree]
    campaigns: Shelf[int, Campaign]
    campaign_uses: Shelf[tuple[int, int], CampaignUse]
