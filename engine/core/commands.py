"""Wishes, imperative. A command says who wants what, with the ids and keys made by the client; it holds no state.

`key` is the idempotency key (UUIDv7 text) or None where another identity makes the command happen once.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

Key = str


# --- accounts and consent -------------------------------------------------------------------------


@dataclass(slots=True)
class OpenAccount:
    """Open an account. `reference` is the app's own id of the person and lives only in the identity row."""

    key: Key | None
    reference: str | None
    display_name: str
    zone: str
    province: str | None = None
    holder: str = "person"


@dataclass(slots=True)
class ChangeAccount:
    """Change what is given; a new zone counts from the second local midnight."""

    key: Key | None
    user: int
    display_name: str | None = None
    zone: str | None = None
    province: str | None = None


@dataclass(slots=True)
class SuspendAccount:
    """No token of a suspended account is served until it is resumed."""

    key: Key | None
    user: int


@dataclass(slots=True)
class ResumeAccount:
    """End a suspension."""

    key: Key | None
    user: int


@dataclass(slots=True)
class CloseAccount:
    """Close an account for good: identity, links and friendships are erased, amounts stay without a person."""

    key: Key | None
    user: int


@dataclass(slots=True)
class SourceAbout:
    """What a source states of itself. `reduction_owner`: user, operator or none; `refresh_h`: how often it reports."""

    categories: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()
    refresh_h: int | None = None
    contact: str | None = None
    reduction_owner: str = "none"
    may_be_sold: bool = False


@dataclass(slots=True)
class AddSource:
    """Register who may report which behaviours; `secret` signs its requests."""

    key: Key | None
    source: str
    name: str
    secret: str
    behaviours: tuple[str, ...]
    evidence: tuple[str, ...] = ()  # the kinds that it may claim; none named: any
    about: SourceAbout = field(default_factory=SourceAbout)


@dataclass(slots=True)
class RotateSource:
    """Give a source a new secret; the old one is accepted until `old_until_at`."""

    key: Key | None
    source: str
    secret: str
    old_until_at: int


@dataclass(slots=True)
class LinkSource:
    """A user's consent that a source reports the named behaviours of one subject."""

    key: Key | None
    user: int
    source: str
    subject: str
    behaviours: tuple[str, ...]


@dataclass(slots=True)
class WithdrawLink:
    """End a consent; later reports of the subject are refused."""

    key: Key | None
    user: int
    source: str
    subject: str


# --- activities and balls -------------------------------------------------------------------------


@dataclass(slots=True)
class ReportActivity:
    """An occurrence of a behaviour as a source tells it. `activity` (the source's id) mints once, for ever.

    `content` identifies what was reported: the same id with other content is a conflict.
    """

    source: str
    activity: str
    subject: str
    behaviour: str
    quantity: Decimal
    unit: str
    content: str
    at: int | None = None
    on: date | None = None
    revision: int | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)
    evidence: str | None = (
        None  # one of the kinds in the behaviour's rule; the first of them where it is not said
    )


@dataclass(slots=True)
class ReverseActivity:
    """The source takes an activity back."""

    source: str
    activity: str
    reason: str = ""


@dataclass(slots=True)
class KeepPhoto:
    """What an upload showed: `sha256` of the bytes as sent, `looks` the perceptual hash (16 hex digits).

    `file` names what is stored (SHA-256 of the stripped picture); `alike` are photos that look the same.
    """

    user: int
    sha256: str
    file: str
    width: int
    height: int
    looks: str
    alike: tuple[str, ...] = ()
    taken_at: int | None = None
    latitude_e6: int | None = None  # millionths of a degree
    longitude_e6: int | None = None


@dataclass(slots=True)
class SubmitActivity:
    """A user shows an act of their own with a photo that was uploaded before."""

    key: Key
    user: int
    behaviour: str
    quantity: Decimal
    unit: str
    photo: str
    at: int | None = None
    on: date | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(slots=True)
class ReviewActivity:
    """A person has looked at what was shown; `by` says who."""

    key: Key | None
    activity: int
    accept: bool
    by: str
    note: str = ""


@dataclass(slots=True)
class CollectEnergy:
    """Take energy from ripe balls of one forest, own (`owner` = `user`) or a friend's."""

    key: Key
    user: int
    owner: int
    balls: tuple[int, ...]


@dataclass(slots=True)
class CollectAll(CollectEnergy):
    """Take energy from every ball of one forest that gives any, at most as many as a command may name.

    `balls` were found by a read just before, and `more` says that there were others: what is wished for, and what the
    key is bound to, is only whose forest.
    """

    more: bool = False

    @property
    def wish(self) -> tuple[int, int]:
        """The same whenever it is sent, whatever has ripened since."""
        return self.user, self.owner


@dataclass(slots=True)
class BookExpiry:
    """Move what is left in balls past their life to `expired`; `balls` are (ball, owner)."""

    balls: tuple[tuple[int, int], ...]


# --- friends --------------------------------------------------------------------------------------


@dataclass(slots=True)
class RequestFriend:
    """Ask another user; if they asked first, this makes the two friends."""

    key: Key
    user: int
    friend: int


@dataclass(slots=True)
class AnswerFriend:
    """Accept or decline a request."""

    key: Key
    user: int
    friend: int
    accept: bool = True


@dataclass(slots=True)
class RemoveFriend:
    """End a friendship or take back a request."""

    key: Key
    user: int
    friend: int


@dataclass(slots=True)
class BlockUser:
    """End whatever there is and refuse further requests of that user; `blocked=False` lifts it."""

    key: Key
    user: int
    friend: int
    blocked: bool = True


# --- offers and trees -----------------------------------------------------------------------------


@dataclass(slots=True)
class FundProgramme:
    """A funder commits an amount for trees of one programme at a unit price (minor units)."""

    key: Key | None
    programme: str
    funder: str
    currency: str
    unit_price_minor: int
    amount_minor: int


@dataclass(slots=True)
class GrantStock:
    """Put trees of a programme on offer; never more than funding commitments cover."""

    key: Key | None
    programme: str
    trees: int


@dataclass(slots=True)
class RedeemOffer:
    """Turn energy into the offered thing: a tree, its stock and its money in one decision."""

    key: Key
    user: int
    offer: str


@dataclass(slots=True)
class ChooseForTree:
    """The user of a tree without a place decides: switch (to `offer`), wait or energy_back."""

    key: Key
    user: int
    tree: int
    choice: str
    offer: str | None = None


@dataclass(slots=True)
class AdvanceTrees:
    """Partners tell the game where trees stand; `note` says what the user should know.

    `is_unplaced`: there is no place for them now; their energy goes back at `energy_back_at` (None: not by itself).
    """

    trees: tuple[int, ...]
    state: str
    note: str = ""
    is_unplaced: bool = False
    energy_back_at: int | None = None


@dataclass(slots=True)
class WithdrawTrees:
    """Partners give trees up that were never ordered, or not any more: their energy goes back to their users."""

    trees: tuple[int, ...]
    note: str


Command = (
    OpenAccount
    | ChangeAccount
    | SuspendAccount
    | ResumeAccount
    | CloseAccount
    | AddSource
    | RotateSource
    | LinkSource
    | WithdrawLink
    | ReportActivity
    | ReverseActivity
    | KeepPhoto
    | SubmitActivity
    | ReviewActivity
    | CollectEnergy
    | CollectAll
    | BookExpiry
    | RequestFriend
    | AnswerFriend
    | RemoveFriend
    | BlockUser
    | FundProgramme
    | GrantStock
    | RedeemOffer
    | ChooseForTree
    | AdvanceTrees
    | WithdrawTrees
)
