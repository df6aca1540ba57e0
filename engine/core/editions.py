"""Editions: which rulebook is in force from when, for whom, and who wanted it so.

An edition is a rulebook (by its hash) with a number, an instant from which it counts, the share of users that it
counts for, who proposed it and who approved it. Rows are filled in and never changed back: what was in force at any
past instant stays answerable. Whether the files of a rulebook are sound is judged before a command is made.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from engine.core.canary import EVERYBODY
from engine.core.state import Commitment, Shelf, ShelfKind, State
from engine.core.units import rfc3339

DESK = 1

PROPOSED, APPROVED, WITHDRAWN = "proposed", "approved", "withdrawn"
FOLDER, PROPOSAL, ROLLBACK, PROMOTION = "folder", "proposal", "rollback", "promotion"
EDITED, BUDGET = "edited_in_place", "over_budget"
REASONS = (EDITED, BUDGET)  # refusals that a reason overrides


# --- rows -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class StoredRulebook:
    """The files of a rulebook, path → text, as they were when it was stored. `digest` is the SHA-256 of just them."""

    hash: str
    files: dict[str, str]
    digest: str
    stored_at: int


@dataclass(slots=True)
class Edition:
    """A rulebook that was put in force, or is proposed to be. `share` is in hundredths of a per cent of users.

    In force from `from_at` (None: not approved), for a canary until `until_at`. `overrides` are [refusal, who, reason].
    """

    number: int
    hash: str
    origin: str
    state: str
    share: int
    salt: str
    wanted_at: int | None
    from_at: int | None
    until_at: int | None
    proposed_by: str
    proposed_at: int
    why: str
    approved_by: str
    approved_at: int | None
    ended_by: str
    ended_why: str
    overrides: list[list[str]] = field(default_factory=list)

    @property
    def is_for_all(self) -> bool:
        """Whether it counts for every user."""
        return self.share == EVERYBODY

    def counts_at(self, now: int) -> bool:
        """Whether it has begun and not ended."""
        begun = self.from_at is not None and self.from_at <= now
        return begun and (self.until_at is None or now < self.until_at)


@dataclass(slots=True)
class EditionDesk:
    """The one row that whoever numbers, approves or ends editions locks first."""

    id: int
    newest: int


EDITION_SHELVES = (
    ShelfKind("edition_desk", EditionDesk, ("id",), locks=8),
    ShelfKind("editions", Edition, ("number",)),
    ShelfKind("rulebooks", StoredRulebook, ("hash",)),
)


class EditionState(State):
    """The shelves by name, for the type checker."""

    edition_desk: Shelf[int, EditionDesk]
    editions: Shelf[int, Edition]
    rulebooks: Shelf[str, StoredRulebook]
    commitments: Shelf[int, Commitment]


# --- commands -------------------------------------------------------------------------------------


@dataclass(slots=True)
class Looked:
    """What was seen of a rulebook when it was checked, beside the edition (`against`) that was in force for all.

    `edited` names values that were in force and are others now; `costs` is what its trees are expected to cost, in
    minor units by currency; `programmes` are its own, whose money may pay for that.
    """

    against: int
    edited: tuple[str, ...] = ()
    costs: Mapping[str, int] = field(default_factory=dict)
    programmes: tuple[str, ...] = ()


@dataclass(slots=True)
class PublishFolder:
    """The folder's rulebook counts from now, as long as nobody has published another way."""

    rulebook: StoredRulebook


@dataclass(slots=True)
class ProposeRulebook:
    """Propose a checked rulebook, for all users or a share of them, from an instant or as soon as approved."""

    key: str | None
    rulebook: StoredRulebook
    by: str
    why: str
    looked: Looked
    share: int = EVERYBODY
    wanted_at: int | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def wish(self) -> object:
        """What the key is bound to: what was asked for, not what was seen meanwhile."""
        return [self.rulebook.hash, self.by, self.why, self.share, self.wanted_at, self.overrides]


@dataclass(slots=True)
class ApproveRulebook:
    """A second person puts a proposed edition in force."""

    key: str | None
    edition: int
    by: str
    looked: Looked
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def wish(self) -> object:
        """What the key is bound to."""
        return [self.edition, self.by, self.overrides]


@dataclass(slots=True)
class PromoteCanary:
    """A second person puts a running canary in force for all."""

    key: str | None
    edition: int
    by: str
    why: str
    looked: Looked
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def wish(self) -> object:
        """What the key is bound to."""
        return [self.edition, self.by, self.why, self.overrides]


@dataclass(slots=True)
class WithdrawEdition:
    """Take back a proposal or an edition that has not begun, or end a canary."""

    key: str | None
    edition: int
    by: str
    why: str


@dataclass(slots=True)
class RollBackRulebook:
    """Put an earlier rulebook in force again, from now: that of the edition `to`, else the one before this one."""

    key: str | None
    by: str
    why: str
    to: int | None = None


@dataclass(slots=True)
class LookAtEditions:
    """Make a group, so that the writer reads which editions there are; changes nothing."""


# --- events ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class RulebookStored:
    rulebook: StoredRulebook


@dataclass(slots=True)
class EditionMade:
    """A new number: proposed, or in force by itself."""

    edition: Edition


@dataclass(slots=True)
class EditionApproved:
    edition: int
    by: str
    at: int
    from_at: int
    overrides: list[list[str]]


@dataclass(slots=True)
class EditionEnded:
    """A proposal or a planned edition is withdrawn (`until_at` None), or a canary ends at an instant."""

    edition: int
    by: str
    why: str
    until_at: int | None


# --- what was in force ----------------------------------------------------------------------------


def for_all_at(editions: Iterable[Edition], now: int) -> Edition | None:
    """The edition in force for all at an instant: of those that had begun, the one that began last."""
    begun = (one for one in editions if one.is_for_all and one.state == APPROVED and one.counts_at(now))
    return max(begun, key=_place, default=None)


def canary_at(editions: Iterable[Edition], now: int) -> Edition | None:
    """The canary that runs at an instant."""
    running = (one for one in editions if not one.is_for_all and one.state == APPROVED and one.counts_at(now))
    return max(running, key=lambda one: one.number, default=None)


def open_canary(editions: Iterable[Edition], now: int) -> Edition | None:
    """The canary that runs or is planned."""
    open_ones = (
        one
        for one in editions
        if not one.is_for_all and one.state == APPROVED and (one.until_at is None or now < one.until_at)
    )
    return next(open_ones, None)


def rollback_target(editions: Sequence[Edition], now: int, to: int | None) -> Edition | None:
    """The edition for all whose rulebook a rollback brings back: the one named, if it has begun, else the one before
    the one in force that had another rulebook."""
    begun = [one for one in editions if one.is_for_all and one.state == APPROVED and one.counts_at(now)]
    current = for_all_at(begun, now)
    if to is not None:
        return next((one for one in begun if one.number == to), None)
    others = [
        one
        for one in begun
        if current is not None and one.hash != current.hash and _place(one) < _place(current)
    ]
    return max(others, key=_place, default=None)


def _place(edition: Edition) -> tuple[int, int]:
    return (edition.from_at or 0, edition.number)


def with_ends(editions: Sequence[Edition]) -> list[Edition]:
    """The same editions, where those for all end when the next one begins."""
    begins = sorted(_place(one) for one in editions if one.is_for_all and one.state == APPROVED)
    found = []
    for one in editions:
        after = bisect_right(begins, _place(one))
        ends = one.is_for_all and one.state == APPROVED and after < len(begins)
        found.append(replace(one, until_at=begins[after][0]) if ends else one)
    return found


def is_same_person(one: str, other: str) -> bool:
    """Whether two names are one person's, however they are written."""
    return " ".join(one.casefold().split()) == " ".join(other.casefold().split())


def edition_facts(edition: Edition, now: int) -> dict[str, object]:
    """An edition as it is told."""
    facts: dict[str, object] = {
        "edition": edition.number,
        "rulebook": edition.hash,
        "origin": edition.origin,
        "state": state_told(edition, now),
        "share_pct": edition.share / 100,
        "salt": edition.salt or None,
        "wanted_at": _told(edition.wanted_at),
        "from_at": _told(edition.from_at),
        "until_at": _told(edition.until_at),
        "proposed_by": edition.proposed_by,
        "proposed_at": rfc3339(edition.proposed_at),
        "why": edition.why,
        "approved_by": edition.approved_by or None,
        "approved_at": _told(edition.approved_at),
        "ended_by": edition.ended_by or None,
        "ended_why": edition.ended_why or None,
        "overrides": [
            {"refusal": code, "by": by, "reason": reason} for code, by, reason in edition.overrides
        ],
    }
    return {name: value for name, value in facts.items() if value is not None}


def state_told(edition: Edition, now: int) -> str:
    """proposed, planned, published, ended or withdrawn."""
    if edition.state != APPROVED:
        return edition.state
    if edition.from_at is not None and now < edition.from_at:
        return "planned"
    return "published" if edition.counts_at(now) else "ended"


def _told(at: int | None) -> str | None:
    return None if at is None else rfc3339(at)
