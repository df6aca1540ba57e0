"""The rpc methods: which data each takes, strictly checked, and which command or read it becomes.

Knows the wire and the commands; must not know connections, storage or how a command is decided. Ids are
decimal strings on the wire and integers inside; keys are UUIDv7 made by the client.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Literal, Protocol

import msgspec

from engine.core import commands
from engine.core.errors import Rejected
from engine.core.numbers import parse_tree_number
from engine.realtime.channels import parse_id
from engine.reported import ATTRIBUTES_MAX, AttributeValue, at_of, is_sane

BALLS_PER_COLLECT_MAX = 50
ACTIVITIES_PER_PAGE_MAX = 100
SLUG_CHARS_MAX = 64

_UUID7 = r"^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"
_is_uuid7 = re.compile(_UUID7.replace("$", r"\Z")).match
_DETAIL = re.compile(r"[^ -~]+")


def _described(pattern: str, length_max: int, description: str) -> msgspec.Meta:
    """A pattern for the reference only: the decoder takes six times as long with it as we do with `_id` and `_key`."""
    return msgspec.Meta(
        max_length=length_max, description=description, extra_json_schema={"pattern": pattern}
    )


Id = Annotated[str, _described(r"^[1-9][0-9]{0,15}$", 16, "decimal id below 2^53")]
IdempotencyKey = Annotated[
    str, _described(_UUID7, 36, "UUIDv7 made and kept by the client, reused on every retry")
]
Slug = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=SLUG_CHARS_MAX)]


class BadParams(Exception):
    """The data of an rpc has not the shape that its method asks for; the text names the field."""


class Params(msgspec.Struct):
    """What a method takes. Unknown fields are ignored, so that newer clients can talk to older servers."""


class Nothing(Params):
    """No data."""


class ForestGet(Params):
    """Whose forest; the caller's own without `user`."""

    user: Id | None = None


class BallCollect(Params):
    """Which balls of which forest (the caller's own without `owner`); `"all"`: every ball that gives something now."""

    key: IdempotencyKey
    balls: Annotated[list[Id], msgspec.Meta(min_length=1, max_length=BALLS_PER_COLLECT_MAX)] | Literal["all"]
    owner: Id | None = None


class BallReceipt(Params):
    """A ball that the caller has taken from."""

    ball: Id


class ActivityList(Params):
    """The newest entries of the carbon book, or those before an id."""

    before: Id | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=ACTIVITIES_PER_PAGE_MAX)] = 50


class ActivitySubmit(Params):
    """An act of one's own, shown by a photo that was uploaded before (`POST /v1/photos`); `at` or `on` as the
    behaviour's rule asks.
    """

    key: IdempotencyKey
    behaviour: Slug
    quantity: Decimal
    unit: Annotated[str, msgspec.Meta(max_length=SLUG_CHARS_MAX)]
    photo: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$", description="as the upload named it")]
    at: Annotated[str, msgspec.Meta(max_length=SLUG_CHARS_MAX, description="RFC 3339")] | None = None
    on: date | None = None
    attributes: Annotated[dict[Slug, AttributeValue], msgspec.Meta(max_length=ATTRIBUTES_MAX)] = {}


class FriendFind(Params):
    """`after` of the last reply to go on; a round begins without it."""

    after: Id | None = None


class FriendTarget(Params):
    """The other user."""

    key: IdempotencyKey
    user: Id


class FriendAnswer(Params):
    """Accept (or decline) the request of the other user."""

    key: IdempotencyKey
    user: Id
    accept: bool = True


class FriendBlock(Params):
    """Block the other user, or lift the block."""

    key: IdempotencyKey
    user: Id
    blocked: bool = True


class OfferCatalogue(Params):
    """Offers of one kind, all without it."""

    kind: Slug | None = None


class OfferRedeem(Params):
    """Redeem an offer for energy."""

    key: IdempotencyKey
    offer: Slug


class TreeChoose(Params):
    """Decide about a tree that has no place (`waiting.choices` of the tree says so): wait on, take the energy back, or
    switch to another offer, whose energy is paid from the wallet after the old tree's energy is back.
    """

    key: IdempotencyKey
    tree: Annotated[str, msgspec.Meta(max_length=40, description="public number of one's own tree")]
    choice: Literal["switch", "wait", "energy_back"]
    offer: Slug | None = None


class Reads(Protocol):
    """The reads that methods come to; each answers with the JSON of the reply's data, or raises Rejected."""

    async def forest(self, viewer: int, owner: int) -> bytes:
        """Balls, amounts and the positions to subscribe from."""
        ...

    async def activities(self, user: int, before: int | None, limit: int) -> bytes:
        """A page of the carbon book."""
        ...

    async def friends(self, user: int) -> bytes:
        """Friends with what can be taken from them."""
        ...

    async def find(self, viewer: int, after: int | None) -> bytes:
        """The next friend who has something for the viewer."""
        ...

    async def receipt(self, user: int, ball: int) -> bytes:
        """How the user's take from a ball came about."""
        ...

    async def takeable(self, viewer: int, owner: int, limit: int) -> tuple[list[int], bool]:
        """Balls of a forest that give the viewer something now, and whether there are more."""
        ...

    async def offers(self, user: int, kind: str | None) -> bytes:
        """The catalogue as it stands for the user."""
        ...

    async def trees(self, user: int) -> bytes:
        """The user's trees."""
        ...


@dataclass(frozen=True, slots=True)
class Unready:
    """A command that can be given only after a read."""

    command: Callable[[Reads], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Write:
    """A method that changes something: data → core command, or one that is not ready yet."""

    name: str
    params: type[Params]
    decode: Callable[[bytes | msgspec.Raw], Any]
    command: Callable[[int, Any], object]


@dataclass(frozen=True, slots=True)
class Read:
    """A method that only looks."""

    name: str
    params: type[Params]
    decode: Callable[[bytes | msgspec.Raw], Any]
    read: Callable[[Reads, int, Any], Awaitable[bytes]]


Method = Write | Read


def decode_params(method: Method, data: msgspec.Raw) -> Any:
    """The typed data of a call; no data and null stand for none. Raises BadParams."""
    try:
        params = method.decode(data)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        if bytes(data).strip() in (b"", b"null"):
            return _without_data(method)
        raise BadParams(_DETAIL.sub("?", str(error))) from None
    if isinstance(method, Write) and not _is_uuid7(params.key):
        raise BadParams("key is a UUIDv7")
    return params


def _without_data(method: Method) -> Any:
    try:
        return method.decode(b"{}")
    except msgspec.MsgspecError as error:
        raise BadParams(str(error)) from None


def _id(text: str) -> int:
    number = parse_id(text)
    if number is None:
        raise BadParams("an id is a decimal string below 2^53")
    return number


def _collect(user: int, params: BallCollect) -> object:
    owner = user if params.owner is None else _id(params.owner)
    key, balls = params.key.lower(), params.balls
    if isinstance(balls, str):
        return Unready(lambda reads: _collect_all(reads, key, user, owner))
    return commands.CollectEnergy(key, user, owner, tuple([_id(ball) for ball in balls]))


async def _collect_all(reads: Reads, key: str, user: int, owner: int) -> object:
    balls, more = await reads.takeable(user, owner, BALLS_PER_COLLECT_MAX)
    return commands.CollectAll(key, user, owner, tuple(balls), more)


def _submit(user: int, params: ActivitySubmit) -> object:
    if not is_sane(params.quantity):
        raise BadParams("quantity is a number of a sane size")
    return commands.SubmitActivity(
        key=params.key.lower(),
        user=user,
        behaviour=params.behaviour,
        quantity=params.quantity,
        unit=params.unit,
        photo=params.photo,
        at=_instant(params.at),
        on=params.on,
        attributes=params.attributes,
    )


def _instant(text: str | None) -> int | None:
    try:
        return at_of(text)
    except Rejected as problem:
        raise BadParams("at is RFC 3339, 2026-11-23T07:00:00Z, from 2000 to 2199") from problem


def _request(user: int, params: FriendTarget) -> object:
    return commands.RequestFriend(params.key.lower(), user, _id(params.user))


def _answer(user: int, params: FriendAnswer) -> object:
    return commands.AnswerFriend(params.key.lower(), user, _id(params.user), params.accept)


def _remove(user: int, params: FriendTarget) -> object:
    return commands.RemoveFriend(params.key.lower(), user, _id(params.user))


def _block(user: int, params: FriendBlock) -> object:
    return commands.BlockUser(params.key.lower(), user, _id(params.user), params.blocked)


def _redeem(user: int, params: OfferRedeem) -> object:
    return commands.RedeemOffer(params.key.lower(), user, params.offer)


def _choose(user: int, params: TreeChoose) -> object:
    try:
        tree = parse_tree_number(params.tree)
    except Rejected as problem:
        raise BadParams("tree is a tree's number, SX-000042-4") from problem
    return commands.ChooseForTree(params.key.lower(), user, tree, params.choice, params.offer)


def _forest(reads: Reads, user: int, params: ForestGet) -> Awaitable[bytes]:
    return reads.forest(user, user if params.user is None else _id(params.user))


def _activities(reads: Reads, user: int, params: ActivityList) -> Awaitable[bytes]:
    return reads.activities(user, None if params.before is None else _id(params.before), params.limit)


def _friends(reads: Reads, user: int, params: Nothing) -> Awaitable[bytes]:
    return reads.friends(user)


def _find(reads: Reads, user: int, params: FriendFind) -> Awaitable[bytes]:
    return reads.find(user, None if params.after is None else _id(params.after))


def _receipt(reads: Reads, user: int, params: BallReceipt) -> Awaitable[bytes]:
    return reads.receipt(user, _id(params.ball))


def _offers(reads: Reads, user: int, params: OfferCatalogue) -> Awaitable[bytes]:
    return reads.offers(user, params.kind)


def _trees(reads: Reads, user: int, params: Nothing) -> Awaitable[bytes]:
    return reads.trees(user)


def _write(name: str, params: type[Params], command: Callable[[int, Any], object]) -> Write:
    return Write(name, params, msgspec.json.Decoder(params).decode, command)


def _read(name: str, params: type[Params], read: Callable[[Reads, int, Any], Awaitable[bytes]]) -> Read:
    return Read(name, params, msgspec.json.Decoder(params).decode, read)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        _read("forest.get", ForestGet, _forest),
        _write("ball.collect", BallCollect, _collect),
        _read("ball.receipt", BallReceipt, _receipt),
        _read("activity.list", ActivityList, _activities),
        _write("activity.submit", ActivitySubmit, _submit),
        _read("friend.list", Nothing, _friends),
        _read("friend.find", FriendFind, _find),
        _write("friend.request", FriendTarget, _request),
        _write("friend.answer", FriendAnswer, _answer),
        _write("friend.remove", FriendTarget, _remove),
        _write("friend.block", FriendBlock, _block),
        _read("offer.catalogue", OfferCatalogue, _offers),
        _write("offer.redeem", OfferRedeem, _redeem),
        _read("tree.list", Nothing, _trees),
        _write("tree.choose", TreeChoose, _choose),
    )
}
