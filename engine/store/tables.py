"""The game's tables, from which DDL and migrations are made. Rows travel as core dataclasses, not as these classes.

Instants are integer milliseconds UTC; ids are integers below 2**53; columns with `info={"json": True}` hold JSON text.
Constraints keep every account at or above zero whatever a program does.
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, CheckConstraint, Column, Index, Integer, Text
from sqlmodel import Field, SQLModel

PG_HOT = {"postgresql_with": {"fillfactor": 80}}  # room for updates in place
CLUSTERED = {"sqlite_with_rowid": False}  # the key is the tree that holds the rows
WHOLE = BigInteger().with_variant(Integer, "sqlite")  # so that SQLite takes the key as its rowid


def whole(**options: Any) -> Any:
    """A 64-bit integer column."""
    options.setdefault("nullable", False)
    return Column(WHOLE, **options)


def text(**options: Any) -> Any:
    """A text column."""
    options.setdefault("nullable", False)
    return Column(Text, **options)


def json_text(default: str | None = None) -> Any:
    """A text column that holds JSON; load and save decode and encode it. `default`: of rows older than the column."""
    return Column(Text, nullable=False, info={"json": True}, server_default=default)


def not_negative(table: str, *columns: str) -> tuple[CheckConstraint, ...]:
    """One constraint a column: no account goes below zero."""
    return tuple(CheckConstraint(f"{column} >= 0", name=f"ck_{table}_{column}") for column in columns)


class Meta(SQLModel, table=True):
    """Facts about the database itself: its epoch (incarnation)."""

    __tablename__ = "meta"
    key: str = Field(sa_column=text(primary_key=True))
    value: str = Field(sa_column=text())


class Counters(SQLModel, table=True):
    """Where the next block of ids begins (SQLite; PostgreSQL uses sequences)."""

    __tablename__ = "counters"
    name: str = Field(sa_column=text(primary_key=True))
    next: int = Field(sa_column=whole())


class Assets(SQLModel, table=True):
    """What the ledger counts, and in which unit."""

    __tablename__ = "assets"
    id: str = Field(sa_column=text(primary_key=True))
    unit: str = Field(sa_column=text())


class AccountKinds(SQLModel, table=True):
    """The kinds of account. `balance` names the column that holds it, empty where only transfers do."""

    __tablename__ = "account_kinds"
    id: str = Field(sa_column=text(primary_key=True))
    asset: str = Field(sa_column=text())
    balance: str = Field(sa_column=text())
    may_be_negative: bool = Field(sa_column=Column(Boolean, nullable=False))


class Journal(SQLModel, table=True):
    """One row a command that changed something: its transfers, its reply, what was pushed. Never changed."""

    __tablename__ = "journal"
    __table_args__ = (Index("ix_journal_key", "key", unique=True),)
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    at: int = Field(sa_column=whole())
    kind: str = Field(sa_column=text())
    actor: int | None = Field(sa_column=whole(nullable=True))
    key: str | None = Field(sa_column=text(nullable=True))
    content: str = Field(sa_column=text())
    transfers: str = Field(sa_column=text())
    reply: str = Field(sa_column=text())
    pubs: str = Field(sa_column=text())


class Users(SQLModel, table=True):
    """Accounts, without personal data."""

    __tablename__ = "users"
    __table_args__ = (*not_negative("users", "wallet_g", "debt_g", "avoided_mg"), PG_HOT)
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    state: str = Field(sa_column=text())
    holder: str = Field(sa_column=text())
    province: str | None = Field(sa_column=text(nullable=True))
    zone: str = Field(sa_column=text())
    next_zone: str | None = Field(sa_column=text(nullable=True))
    next_zone_at: int | None = Field(sa_column=whole(nullable=True))
    wallet_g: int = Field(sa_column=whole())
    debt_g: int = Field(sa_column=whole())
    avoided_mg: int = Field(sa_column=whole())
    friend_count: int = Field(sa_column=whole())
    user_pos: int = Field(sa_column=whole())
    forest_pos: int = Field(sa_column=whole())
    opened_at: int = Field(sa_column=whole())


class Identities(SQLModel, table=True):
    """The only table with personal data; erasure deletes its row."""

    __tablename__ = "identities"
    user_id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    display_name: str = Field(sa_column=text())
    reference: str | None = Field(sa_column=text(nullable=True))


class References(SQLModel, table=True):
    """The app's own references in use."""

    __tablename__ = "user_references"
    reference: str = Field(sa_column=text(primary_key=True))
    user_id: int = Field(sa_column=whole())


class Balls(SQLModel, table=True):
    """Energy balls; ids are those of their activities."""

    __tablename__ = "balls"
    __table_args__ = (
        *not_negative("balls", "remaining_g", "full_g"),
        Index("ix_balls_owner", "owner", "expires_at"),
        Index("ix_balls_expires", "expires_at"),
        Index("ix_balls_ripens", "ripens_at"),
        PG_HOT,
    )
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    owner: int = Field(sa_column=whole())
    behaviour: str = Field(sa_column=text())
    others_see: str = Field(sa_column=text())
    full_g: int = Field(sa_column=whole())
    remaining_g: int = Field(sa_column=whole())
    floor_g: int = Field(sa_column=whole())
    share_min_g: int = Field(sa_column=whole())
    share_max_g: int = Field(sa_column=whole())
    avoided_mg: int = Field(sa_column=whole())
    ripens_at: int = Field(sa_column=whole())
    friends_from_at: int = Field(sa_column=whole())
    expires_at: int = Field(sa_column=whole())
    takers: str = Field(sa_column=json_text())
    share_less_pct: int = Field(sa_column=whole(server_default="0"))


class Activities(SQLModel, table=True):
    """The carbon record: what sources reported and why it was worth what it was worth."""

    __tablename__ = "activities"
    __table_args__ = (
        *not_negative("activities", "energy_g", "avoided_mg"),
        Index("ix_activities_user", "user_id", "id"),
        Index("ix_activities_name", "source", "activity", unique=True),
    )
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    source: str = Field(sa_column=text())
    activity: str = Field(sa_column=text())
    user_id: int = Field(sa_column=whole())
    behaviour: str = Field(sa_column=text())
    on: str = Field(sa_column=text())
    at: int | None = Field(sa_column=whole(nullable=True))
    quantity: str = Field(sa_column=text())
    unit: str = Field(sa_column=text())
    revision: int | None = Field(sa_column=whole(nullable=True))
    content: str = Field(sa_column=text())
    status: str = Field(sa_column=text())
    energy_g: int = Field(sa_column=whole())
    avoided_mg: int = Field(sa_column=whole())
    accepted_at: int = Field(sa_column=whole())
    reversed_at: int | None = Field(sa_column=whole(nullable=True))
    trace: str = Field(sa_column=json_text())
    evidence: str | None = Field(sa_column=text(nullable=True))
    grade: str | None = Field(sa_column=text(nullable=True))
    family: str | None = Field(sa_column=text(nullable=True))


class Revisions(SQLModel, table=True):
    """Every report of a running total."""

    __tablename__ = "revisions"
    __table_args__ = CLUSTERED
    activity_id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    revision: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    quantity: str = Field(sa_column=text())
    content: str = Field(sa_column=text())
    counted: bool = Field(sa_column=Column(Boolean, nullable=False))
    at: int = Field(sa_column=whole())


class Caps(SQLModel, table=True):
    """What is used of a user's caps in a day or month."""

    __tablename__ = "caps"
    __table_args__ = (*not_negative("caps", "used_g", "used_count"), CLUSTERED)
    user_id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    behaviour: str = Field(sa_column=text(primary_key=True))
    period: str = Field(sa_column=text(primary_key=True))
    used_g: int = Field(sa_column=whole())
    used_count: int = Field(sa_column=whole())
    acts: str = Field(sa_column=json_text())


class Occasions(SQLModel, table=True):
    """Which acts of a user's day (or month) count, where only one of several can be real."""

    __tablename__ = "occasions"
    __table_args__ = CLUSTERED
    user_id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    period: str = Field(sa_column=text(primary_key=True))
    acts: str = Field(sa_column=json_text())


class Photos(SQLModel, table=True):
    """What users have uploaded, by its hashes. The pictures are files outside the database."""

    __tablename__ = "photos"
    __table_args__ = (
        Index("ix_photos_user", "user_id", "kept_at"),
        *(Index(f"ix_photos_{band}", band) for band in ("band_a", "band_b", "band_c", "band_d")),
    )
    sha256: str = Field(sa_column=text(primary_key=True))
    user_id: int | None = Field(sa_column=whole(nullable=True))
    file: str | None = Field(sa_column=text(nullable=True))
    width: int = Field(sa_column=whole())
    height: int = Field(sa_column=whole())
    looks: str = Field(sa_column=text())
    band_a: str = Field(sa_column=text())
    band_b: str = Field(sa_column=text())
    band_c: str = Field(sa_column=text())
    band_d: str = Field(sa_column=text())
    alike: str = Field(sa_column=json_text())
    taken_at: int | None = Field(sa_column=whole(nullable=True))
    latitude_e6: int | None = Field(sa_column=whole(nullable=True))
    longitude_e6: int | None = Field(sa_column=whole(nullable=True))
    kept_at: int = Field(sa_column=whole())
    activity_id: int | None = Field(sa_column=whole(nullable=True))


class ShownDays(SQLModel, table=True):
    """What a user has shown of one local day."""

    __tablename__ = "shown_days"
    __table_args__ = CLUSTERED
    user_id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    on: str = Field(sa_column=text(primary_key=True))
    acts: str = Field(sa_column=json_text())


class ShownReviews(SQLModel, table=True):
    """Shown acts that a person is to look at, or has."""

    __tablename__ = "shown_reviews"
    __table_args__ = (
        Index("ix_shown_reviews_state", "state", "activity_id"),
        Index("ix_shown_reviews_user", "user_id"),
    )
    activity_id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    source: str = Field(sa_column=text())
    activity: str = Field(sa_column=text())
    user_id: int = Field(sa_column=whole())
    photo: str = Field(sa_column=text())
    reason: str = Field(sa_column=text())
    state: str = Field(sa_column=text())
    opened_at: int = Field(sa_column=whole())
    decided_at: int | None = Field(sa_column=whole(nullable=True))
    decided_by: str | None = Field(sa_column=text(nullable=True))
    note: str = Field(sa_column=text())


class Sources(SQLModel, table=True):
    """Who may report what, with the secrets that sign its requests."""

    __tablename__ = "sources"
    id: str = Field(sa_column=text(primary_key=True))
    name: str = Field(sa_column=text())
    secret: str = Field(sa_column=text())
    old_secret: str | None = Field(sa_column=text(nullable=True))
    old_until_at: int | None = Field(sa_column=whole(nullable=True))
    behaviours: str = Field(sa_column=json_text())
    added_at: int = Field(sa_column=whole())
    evidence: str = Field(sa_column=json_text("[]"))
    about: str = Field(sa_column=json_text("{}"))


class Links(SQLModel, table=True):
    """Consents: which subject of a source is which user, for which behaviours."""

    __tablename__ = "links"
    __table_args__ = (Index("ix_links_user", "user_id"), CLUSTERED)
    source: str = Field(sa_column=text(primary_key=True))
    subject: str = Field(sa_column=text(primary_key=True))
    user_id: int = Field(sa_column=whole())
    behaviours: str = Field(sa_column=json_text())
    linked_at: int = Field(sa_column=whole())
    withdrawn_at: int | None = Field(sa_column=whole(nullable=True))


class Friends(SQLModel, table=True):
    """How one user stands to another; two rows a friendship."""

    __tablename__ = "friends"
    __table_args__ = (Index("ix_friends_friend", "friend_id"), CLUSTERED)
    user_id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    friend_id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    state: str = Field(sa_column=text())
    since_at: int = Field(sa_column=whole())


class Stocks(SQLModel, table=True):
    """Trees of a programme on offer and sold, never more than funding covers."""

    __tablename__ = "stocks"
    __table_args__ = (
        *not_negative("stocks", "stock", "sold"),
        CheckConstraint("stock + sold <= covered", name="ck_stocks_covered"),
    )
    programme: str = Field(sa_column=text(primary_key=True))
    stock: int = Field(sa_column=whole())
    sold: int = Field(sa_column=whole())
    covered: int = Field(sa_column=whole())


class Commitments(SQLModel, table=True):
    """Funders' money for trees, in minor units."""

    __tablename__ = "commitments"
    __table_args__ = (
        *not_negative("commitments", "left_minor"),
        Index("ix_commitments_programme", "programme"),
    )
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    programme: str = Field(sa_column=text())
    funder: str = Field(sa_column=text())
    currency: str = Field(sa_column=text())
    unit_price_minor: int = Field(sa_column=whole())
    amount_minor: int = Field(sa_column=whole())
    left_minor: int = Field(sa_column=whole())
    committed_at: int = Field(sa_column=whole())


class Trees(SQLModel, table=True):
    """Redeemed trees as their users see them."""

    __tablename__ = "trees"
    __table_args__ = (
        Index("ix_trees_user", "user_id", "id"),
        Index("ix_trees_number", "number", unique=True),
    )
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    number: str = Field(sa_column=text())
    user_id: int = Field(sa_column=whole())
    programme: str = Field(sa_column=text())
    species: str = Field(sa_column=text())
    commitment_id: int = Field(sa_column=whole())
    energy_g: int = Field(sa_column=whole())
    state: str = Field(sa_column=text())
    note: str = Field(sa_column=text())
    redeemed_at: int = Field(sa_column=whole())
    state_at: int = Field(sa_column=whole())
    waits_since_at: int | None = Field(sa_column=whole(nullable=True))
    energy_back_at: int | None = Field(sa_column=whole(nullable=True))


class DaySecrets(SQLModel, table=True):
    """The key of a day's draws, disclosed when the day is over."""

    __tablename__ = "day_secrets"
    on: str = Field(sa_column=text(primary_key=True))
    secret: str = Field(sa_column=text())


class Leases(SQLModel, table=True):
    """Who does a job now: a lease ends by itself, and its term grows so that a paused holder is refused."""

    __tablename__ = "leases"
    job: str = Field(sa_column=text(primary_key=True))
    holder: str = Field(sa_column=text())
    term: int = Field(sa_column=whole())
    until_at: int = Field(sa_column=whole())
    watermark: int = Field(sa_column=whole())


class Rulebooks(SQLModel, table=True):
    """The files of every rulebook that was ever proposed or in force; never changed, never removed."""

    __tablename__ = "rulebooks"
    hash: str = Field(sa_column=text(primary_key=True))
    files: str = Field(sa_column=json_text())
    digest: str = Field(sa_column=text())
    stored_at: int = Field(sa_column=whole())


class Editions(SQLModel, table=True):
    """Which rulebook is in force from when, for which share of users (hundredths of a per cent), and who wanted it."""

    __tablename__ = "editions"
    __table_args__ = (
        CheckConstraint("share > 0 AND share <= 10000", name="ck_editions_share"),
        CheckConstraint("state <> 'approved' OR from_at IS NOT NULL", name="ck_editions_from_at"),
        Index("ix_editions_state", "state"),
    )
    number: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    hash: str = Field(sa_column=text())
    origin: str = Field(sa_column=text())
    state: str = Field(sa_column=text())
    share: int = Field(sa_column=whole())
    salt: str = Field(sa_column=text())
    wanted_at: int | None = Field(sa_column=whole(nullable=True))
    from_at: int | None = Field(sa_column=whole(nullable=True))
    until_at: int | None = Field(sa_column=whole(nullable=True))
    proposed_by: str = Field(sa_column=text())
    proposed_at: int = Field(sa_column=whole())
    why: str = Field(sa_column=text())
    approved_by: str = Field(sa_column=text())
    approved_at: int | None = Field(sa_column=whole(nullable=True))
    ended_by: str = Field(sa_column=text())
    ended_why: str = Field(sa_column=text())
    overrides: str = Field(sa_column=json_text())


class EditionDesk(SQLModel, table=True):
    """One row: whoever numbers, approves or ends editions locks it."""

    __tablename__ = "edition_desk"
    id: int = Field(sa_column=whole(primary_key=True, autoincrement=False))
    newest: int = Field(sa_column=whole())


class SourceDays(SQLModel, table=True):
    """What came of a source's reports by the day of their arrival; statistics, not facts of the game."""

    __tablename__ = "source_days"
    __table_args__ = (
        *not_negative("source_days", "accepted", "duplicate", "reversed", "lagged"),
        CLUSTERED,
    )
    source: str = Field(sa_column=text(primary_key=True))
    on: str = Field(sa_column=text(primary_key=True))
    accepted: int = Field(sa_column=whole())
    duplicate: int = Field(sa_column=whole())
    reversed: int = Field(sa_column=whole())
    rejected: str = Field(sa_column=json_text())
    unlinked: str = Field(sa_column=text())
    lagged: int = Field(sa_column=whole())
    lag_ms: int = Field(sa_column=whole())
    last_at: int = Field(sa_column=whole())


class Pulls(SQLModel, table=True):
    """How far a source has been pulled, and how the last try went."""

    __tablename__ = "pulls"
    source: str = Field(sa_column=text(primary_key=True))
    cursor: str = Field(sa_column=text())
    version: int = Field(sa_column=whole())
    failures: int = Field(sa_column=whole())
    problem: str = Field(sa_column=text())
    next_at: int = Field(sa_column=whole())
    done_at: int = Field(sa_column=whole())
    records: int = Field(sa_column=whole())


ASSETS = (("energy", "g"), ("avoided", "mg CO2e"), ("tree", "tree"), ("money", "minor unit of the currency"))
ACCOUNT_KINDS = (
    ("mint", "*", "", True),
    ("ball", "energy", "balls.remaining_g", False),
    ("wallet", "energy", "users.wallet_g", False),
    ("debt", "energy", "-users.debt_g", True),
    ("expired", "energy", "", False),
    ("reversed", "*", "", False),
    ("redeemed", "energy", "", False),
    ("carbon", "avoided", "users.avoided_mg", False),
    ("stock", "tree", "stocks.stock", False),
    ("sold", "tree", "stocks.sold", False),
    ("fund", "money", "commitments.left_minor", False),
    ("committed", "money", "", False),
)
