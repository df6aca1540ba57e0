"""Facts, past tense. Rows, transfers, replies and publications are computed from them and from nothing else."""

from dataclasses import dataclass, field

from engine.core.exclusion import Entry
from engine.core.shown import Photo, Review
from engine.core.state import Activity, Ball, Commitment, Link, Source, Tree


@dataclass(slots=True)
class AccountOpened:
    user: int
    reference: str | None
    display_name: str
    holder: str
    province: str | None
    zone: str
    at: int


@dataclass(slots=True)
class AccountChanged:
    """None leaves a value as it is; a new zone counts from `next_zone_at`."""

    user: int
    display_name: str | None
    province: str | None
    zone: str
    next_zone: str | None
    next_zone_at: int | None


@dataclass(slots=True)
class AccountStateChanged:
    user: int
    state: str


@dataclass(slots=True)
class AccountErased:
    """The account is closed; `friends` lose it, identity, reference and links are gone."""

    user: int
    reference: str | None
    friends: list[tuple[int, int, str]]  # (user, friend, state) rows that go
    links: list[tuple[str, str]]
    photos: list[str] = field(default_factory=list)
    reviews: list[int] = field(default_factory=list)  # those that wait


@dataclass(slots=True)
class SourceChanged:
    source: Source
    is_new: bool


@dataclass(slots=True)
class LinkChanged:
    """A consent was given or withdrawn."""

    link: Link
    is_new: bool


@dataclass(slots=True)
class ActivityAccepted:
    """An act entered the carbon record and, where it is worth grams, became a ball.

    `cap_periods` say which caps it used; `is_late` balls are booked expired at once. `entry`: how it is compared with
    other acts; `excluded_by` (source, activity) is the act that counts in its place.
    """

    activity: Activity
    ball: Ball | None
    cap_periods: tuple[str, ...]
    is_late: bool = False
    entry: Entry | None = None
    excluded_by: tuple[str, str] | None = None


@dataclass(slots=True)
class ActivityRevised:
    """A running total grew (or shrank) while its ball was growing; the deltas are signed."""

    source: str
    activity: str
    id: int
    user: int
    revision: int
    quantity: str
    content: str
    energy_delta_g: int
    avoided_delta_mg: int
    ball: Ball | None  # set where the first grams make the ball
    floor_g: int
    share_min_g: int
    share_max_g: int
    cap_periods: tuple[str, ...]
    trace: dict[str, object]
    at: int
    status: str = "accepted"
    evidence: str | None = None
    grade: str | None = None
    entry: Entry | None = None
    excluded_by: tuple[str, str] | None = None
    excluded_by_id: int | None = None


@dataclass(slots=True)
class ActivityExcluded:
    """A better report of the same act came: what nobody has collected and all avoided emissions go back.

    `by` (source, activity) counts in its place, `by_id` is its id. What was collected stays.
    """

    source: str
    activity: str
    id: int
    user: int
    period: str
    by: tuple[str, str]
    by_id: int
    from_ball_g: int
    avoided_mg: int
    cap_periods: tuple[str, ...]
    at: int


@dataclass(slots=True)
class ActivityRestored:
    """What excluded the act counts no more, or less than it did: the act is given what it is worth without it."""

    source: str
    activity: str
    id: int
    user: int
    period: str
    energy_g: int
    avoided_mg: int
    ball: Ball | None  # the whole ball, new or as it is then
    cap_periods: tuple[str, ...]
    granted: dict[str, object]
    at: int


@dataclass(slots=True)
class RevisionRecorded:
    """A report that came too late or out of order: kept, minting nothing."""

    id: int
    revision: int
    quantity: str
    content: str
    at: int
    is_new: bool


@dataclass(slots=True)
class ActivityReversed:
    """`from_ball_g` was uncollected, `from_expired_g` booked expired, `owed_g` collected by anyone: now a debt."""

    source: str
    activity: str
    id: int
    user: int
    from_ball_g: int
    from_expired_g: int
    owed_g: int
    avoided_mg: int
    cap_periods: tuple[str, ...]
    at: int


@dataclass(slots=True)
class PhotoKept:
    photo: Photo


@dataclass(slots=True)
class ReviewOpened:
    """A person is to look at what a user has shown."""

    review: Review


@dataclass(slots=True)
class ReviewDecided:
    """The review as it is now; what was refused is reversed by an event of its own."""

    review: Review


@dataclass(slots=True)
class EnergyCollected:
    """`energy_g` left the ball; `repaid_g` of it repaid the collector's debt, the rest is in the wallet."""

    ball: int
    owner: int
    collector: int
    energy_g: int
    repaid_g: int
    key: str


@dataclass(slots=True)
class EnergyExpired:
    ball: int
    owner: int
    energy_g: int


@dataclass(slots=True)
class FriendAsked:
    user: int
    friend: int
    at: int


@dataclass(slots=True)
class FriendshipBegan:
    """`user` accepted what `friend` had asked."""

    user: int
    friend: int
    at: int


@dataclass(slots=True)
class FriendshipEnded:
    """Whatever row each had of the other is gone, but for blocks; `was_friends` tells if it was a friendship."""

    user: int
    friend: int
    was_friends: bool


@dataclass(slots=True)
class UserBlocked:
    user: int
    friend: int
    blocked: bool
    at: int


@dataclass(slots=True)
class ProgrammeFunded:
    commitment: Commitment
    covers: int


@dataclass(slots=True)
class StockGranted:
    programme: str
    trees: int


@dataclass(slots=True)
class TreeRedeemed:
    """`campaign_g`: the energy of the campaign that pays for it; 0: no campaign does."""

    tree: Tree
    unit_price_minor: int
    currency: str
    campaign_g: int = 0


@dataclass(slots=True)
class TreeAdvanced:
    """`waits_since_at`: since when there is no place for it; None where there is one, or may be."""

    tree: int
    user: int
    state: str
    note: str
    at: int
    waits_since_at: int | None = None
    energy_back_at: int | None = None


@dataclass(slots=True)
class TreeKept:
    """Its user wants a tree without a place to wait on, at least until `energy_back_at` (None: without end)."""

    tree: int
    user: int
    energy_back_at: int | None
    at: int


@dataclass(slots=True)
class TreeWithdrawn:
    """A tree will not be planted: `energy_g` is back (`repaid_g` of it repaid a debt), and so are stock and money."""

    tree: int
    user: int
    programme: str
    commitment: int
    energy_g: int
    repaid_g: int
    unit_price_minor: int
    currency: str
    note: str
    at: int
    campaign_g: int = 0


Event = (
    AccountOpened
    | AccountChanged
    | AccountStateChanged
    | AccountErased
    | SourceChanged
    | LinkChanged
    | ActivityAccepted
    | ActivityRevised
    | ActivityExcluded
    | ActivityRestored
    | RevisionRecorded
    | ActivityReversed
    | PhotoKept
    | ReviewOpened
    | ReviewDecided
    | EnergyCollected
    | EnergyExpired
    | FriendAsked
    | FriendshipBegan
    | FriendshipEnded
    | UserBlocked
    | ProgrammeFunded
    | StockGranted
    | TreeRedeemed
    | TreeAdvanced
    | TreeKept
    | TreeWithdrawn
)


@dataclass(slots=True)
class Decision:
    """What a command comes to: its events, and the reply for who sent it. No events: nothing is stored."""

    events: list[object]
    reply: dict[str, object] = field(default_factory=dict)
