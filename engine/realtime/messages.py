"""The shapes of everything that clients are sent, as types: the reference of the protocol is made from them.

Nothing here runs while serving: facts are built by `engine.facts` and `engine.realtime.snapshot`. Tests decode what the
engine really sends with these types, strictly, so that a field that is not described here fails the suite.
"""

from typing import Annotated, Literal

import msgspec

Instant = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$", description="RFC 3339, UTC, milliseconds"
    ),
]
Day = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d$", description="local day, ISO 8601")]
IdText = Annotated[str, msgspec.Meta(pattern=r"^[1-9][0-9]{0,15}$", description="decimal id below 2^53")]
Grams = Annotated[int, msgspec.Meta(ge=0, description="energy, whole grams")]
Milligrams = Annotated[int, msgspec.Meta(ge=0, description="avoided emissions, milligrams CO2e")]
Count = Annotated[int, msgspec.Meta(ge=0)]
Names = dict[str, str]

Status = Literal["growing", "head_start", "ripe", "nothing_left", "already_collected"]
Relation = Literal["asked", "asking", "friends", "blocked", "none"]


class Message(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Base of everything sent. Clients ignore fields that they do not know: new ones may be added."""


# --- facts ----------------------------------------------------------------------------------------


class Ball(Message):
    """An energy ball. Its owner sees `behaviour` and `avoided_mg`; others see `category`, or the behaviour where its
    rule allows, or neither. A ball that is gone is sent once with `remaining_g` 0.
    """

    id: IdText
    full_g: Grams
    remaining_g: Grams
    left_for_friends_g: Grams
    ripens_at: Instant
    friends_from_at: Instant
    expires_at: Instant
    behaviour: str | msgspec.UnsetType = msgspec.UNSET
    category: str | msgspec.UnsetType = msgspec.UNSET
    avoided_mg: Milligrams | msgspec.UnsetType = msgspec.UNSET


class LoadedBall(Ball, kw_only=True):
    """A ball in a snapshot: `status` is for the viewer at the snapshot's `now`."""

    status: Status


class Taken(Message):
    """Energy that the user took from a ball."""

    ball: IdText
    owner: IdText
    energy_g: Grams


class Activity(Message):
    """One line of a user's carbon book. `ball` is there where it was worth energy. `excluded`: a better report of the
    same act counts in its place.
    """

    id: IdText
    behaviour: str
    source: str
    method: str
    on: Day
    quantity: str
    unit: str
    energy_g: Grams
    avoided_mg: Milligrams
    status: Literal["accepted", "recorded", "excluded", "reversed"]
    accepted_at: Instant
    at: Instant | msgspec.UnsetType = msgspec.UNSET
    ball: IdText | msgspec.UnsetType = msgspec.UNSET


class Waiting(Message):
    """Why a tree waits and since when. `choices`: what its user may choose by `tree.choose`, none while there is, or
    may be, a place for it. Its energy comes back by itself at `energy_back_at`, where that is said.
    """

    since: Instant
    why: str
    choices: list[Literal["switch", "wait", "energy_back"]]
    energy_back_at: Instant | msgspec.UnsetType | None = msgspec.UNSET


class Tree(Message):
    """A redeemed tree; `number` is public."""

    number: str
    programme: str
    species: str
    energy_g: Grams
    state: str
    note: str
    redeemed_at: Instant
    state_at: Instant
    waiting: Waiting | msgspec.UnsetType = msgspec.UNSET


class Friendship(Message):
    """How the user stands to another: `asked` by the user, `asking` them, and so on; `none`: no longer."""

    user: IdText
    state: Relation


# --- publications ---------------------------------------------------------------------------------


class UserChanged(Message, tag_field="type", tag="user.changed"):
    """On `user:<id>`, with offset: the absolute facts of all that one group of commands changed for the user. Only what
    changed is there.
    """

    v: int
    at: Instant
    wallet_g: Grams | msgspec.UnsetType = msgspec.UNSET
    avoided_mg: Milligrams | msgspec.UnsetType = msgspec.UNSET
    debt_g: Grams | msgspec.UnsetType = msgspec.UNSET
    balls: list[Ball] | msgspec.UnsetType = msgspec.UNSET
    took: list[Taken] | msgspec.UnsetType = msgspec.UNSET
    activities: list[Activity] | msgspec.UnsetType = msgspec.UNSET
    trees: list[Tree] | msgspec.UnsetType = msgspec.UNSET
    friends: list[Friendship] | msgspec.UnsetType = msgspec.UNSET


class ForestChanged(Message, tag_field="type", tag="forest.changed"):
    """On `forest:<id>`, with offset: the balls that changed, as friends see them."""

    v: int
    at: Instant
    balls: list[Ball]


class RipenedBall(Message):
    """What never changes of a ball."""

    id: IdText
    ripens_at: Instant
    friends_from_at: Instant
    expires_at: Instant


class BallRipened(Message, tag_field="type", tag="ball.ripened"):
    """On both channels, without offset: these balls have ripened (friends wait for `friends_from_at`). A courtesy:
    clients know `ripens_at`, and whoever is away misses nothing.
    """

    v: int
    at: Instant
    balls: list[RipenedBall]


# --- replies --------------------------------------------------------------------------------------


class Position(Message):
    """Where a channel stood when the snapshot was taken; subscribe from there and nothing is missed."""

    epoch: str
    offset: Count


class ForestReply(Message):
    """Balls that expire first come first, at most 200; `more`: there are others. Amounts are the owner's alone."""

    user: IdText
    now: Instant
    balls: list[LoadedBall]
    more: bool
    positions: dict[str, Position]
    wallet_g: Grams | msgspec.UnsetType = msgspec.UNSET
    avoided_mg: Milligrams | msgspec.UnsetType = msgspec.UNSET
    debt_g: Grams | msgspec.UnsetType = msgspec.UNSET


class CollectResult(Message):
    """Grams, or a refusal code with what explains it: for `already_collected` the first receipt (`energy_g` and the
    `key` it was collected with), for others the instant that counts.
    """

    ball: IdText
    energy_g: Grams | msgspec.UnsetType = msgspec.UNSET
    error: str | msgspec.UnsetType = msgspec.UNSET
    key: str | msgspec.UnsetType = msgspec.UNSET
    ripens_at: Instant | msgspec.UnsetType = msgspec.UNSET
    friends_from_at: Instant | msgspec.UnsetType = msgspec.UNSET
    expires_at: Instant | msgspec.UnsetType = msgspec.UNSET


class CollectReply(Message):
    """One result a ball, in the order asked; the wallet after all of them. Of a collect of `"all"`: whether there are
    `more` balls that a command has no room for.
    """

    results: list[CollectResult]
    wallet_g: Grams
    more: bool | msgspec.UnsetType = msgspec.UNSET


class Bounds(Message):
    """What a friend may get of a ball, as it was made: at least and at most by the draw, each friend who came before
    lessens it by `share_less_pct` per cent of what was drawn, and `floor_g` stay with the owner.
    """

    full_g: Grams
    floor_g: Grams
    share_min_g: Grams
    share_max_g: Grams
    share_less_pct: Count


class Draw(Message):
    """How a friend's share was drawn: `before` friends had taken. The secret of the `day` (UTC), and what follows from
    it, are told from the day `disclosed_on` on: what was drawn, the share after those who came before, and whether it
    was cut to leave the owner's floor.
    """

    by: str
    day: Day
    before: Count
    disclosed_on: Day | msgspec.UnsetType = msgspec.UNSET
    secret: str | msgspec.UnsetType = msgspec.UNSET
    drawn_g: Grams | msgspec.UnsetType = msgspec.UNSET
    share_g: Grams | msgspec.UnsetType = msgspec.UNSET
    cut_to_floor: bool | msgspec.UnsetType = msgspec.UNSET


class ReceiptReply(Message):
    """What the user took from a ball; `rulebook` is the hash of the rules that made it. From a friend's ball: by which
    bounds and draw.
    """

    ball: IdText
    owner: IdText
    energy_g: Grams
    key: str
    at: Instant
    now: Instant
    rulebook: str
    bounds: Bounds | msgspec.UnsetType = msgspec.UNSET
    draw: Draw | msgspec.UnsetType = msgspec.UNSET


class ActivitiesReply(Message):
    """Newest first; where there are `more`, ask again with `before` = the last id."""

    activities: list[Activity]
    more: bool


class FriendEntry(Message):
    """A friend. `takeable`: how many of their balls can be taken from now; `next_ripe_at`: when the next one can."""

    user: IdText
    name: str
    trees: Count
    takeable: Count
    next_ripe_at: Instant | None


class Asking(Message):
    """Somebody who asks to be friends."""

    user: IdText
    name: str


class FriendsReply(Message):
    """Friends; who is `asking`; whom the user has `asked`; whom they have `blocked`."""

    friends: list[FriendEntry]
    asking: list[Asking]
    asked: list[IdText]
    blocked: list[IdText]
    now: Instant


class FindReply(Message):
    """The next friend who has something for the user now; null: nobody so far. Ask again with `after` for the next; it
    is null when the round is over, and then one who has nothing now will have something at `next_at`, as far as known.
    """

    friend: FriendEntry | None
    after: IdText | None
    next_at: Instant | None
    now: Instant


class FriendReply(Message):
    """How the two stand now, in a word."""

    user: IdText
    state: str


class Species(Message):
    """What is planted."""

    id: str
    names: Names
    scientific: str


class Season(Message):
    """The next planting window that a tree redeemed today can join."""

    id: str
    order_by_on: Day
    opens_on: Day
    closes_on: Day


class Offer(Message):
    """Something that energy can be redeemed for. `state` is what redeeming would say now."""

    offer: str
    kind: Literal["tree"]
    state: Literal["coming", "available", "sold_out", "energy_lacking"]
    energy_g: Grams
    stock: Count
    names: Names
    species: Species
    region: str
    site: Names
    partner: str
    granularity: str
    season: Season
    opens_on: Day
    closes_on: Day | None


class OffersReply(Message):
    """The catalogue for this user."""

    offers: list[Offer]
    wallet_g: Grams


class RedeemReply(Message):
    """The tree's public number and the wallet after it."""

    tree: str
    wallet_g: Grams


class ChooseReply(Message):
    """The tree that the choice was about or, after a switch, the new one; and the wallet after it."""

    tree: str
    wallet_g: Grams


class TreesReply(Message):
    """Newest first, at most 1,000."""

    trees: list[Tree]
    more: bool


class SubmitReply(Message):
    """What a shown act came to. `reason`: why it is worth less than it might be (`excluded`, `late`, a cap)."""

    id: str
    status: Literal["accepted"]
    energy_g: Grams
    avoided_mg: Milligrams
    activity: IdText
    ball: IdText | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET


class Refusal(msgspec.Struct):
    """The game's no: a code, and fields that explain it."""

    code: str


class Refused(Message):
    """In place of any reply's data."""

    error: Refusal


class Hello(Message):
    """`data` of the connect reply: protocol version and the server's time."""

    v: int
    now: Instant


PUBLICATIONS: dict[str, tuple[type[Message], ...]] = {
    "user": (UserChanged, BallRipened),
    "forest": (ForestChanged, BallRipened),
}
REPLIES: dict[str, type[Message]] = {
    "forest.get": ForestReply,
    "ball.collect": CollectReply,
    "ball.receipt": ReceiptReply,
    "activity.list": ActivitiesReply,
    "activity.submit": SubmitReply,
    "friend.list": FriendsReply,
    "friend.find": FindReply,
    "friend.request": FriendReply,
    "friend.answer": FriendReply,
    "friend.remove": FriendReply,
    "friend.block": FriendReply,
    "offer.catalogue": OffersReply,
    "offer.redeem": RedeemReply,
    "tree.list": TreesReply,
    "tree.choose": ChooseReply,
}
