"""The game over plain HTTP, for clients without a socket: the same reads and the same commands as the rpc methods."""

from collections.abc import Awaitable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from engine.api.callers import AnyCaller, Engine, IdempotencyKey, User
from engine.api.fields import Body, SlugPath, WireId, answer, id_of
from engine.api.parts import Parts
from engine.api.problems import refusals
from engine.core import commands
from engine.core.errors import Rejected
from engine.core.numbers import parse_tree_number
from engine.store.database import DatabaseAway

router = APIRouter(prefix="/v1", tags=["game"])

TreeNumber = Annotated[str, Path(max_length=40, description="The public number with its check character.")]
_USER = refusals("token_invalid", "token_expired", "unknown_user", "account_suspended", "account_closed")


class Choice(Body):
    """What to do about a tree that has no place; `offer`: what to switch to."""

    choice: Literal["switch", "wait", "energy_back"]
    offer: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")


class Redeemed(BaseModel):
    """The public number of the tree, and what is in the wallet after it."""

    tree: str
    wallet_g: int


async def _told(read: Awaitable[bytes]) -> Response:
    return Response(await read, media_type="application/json")


@router.get("/forests/{user}", responses=_USER | refusals("not_friends", "not_found", "unknown_user"))
async def forest(parts: Engine, caller: User, user: WireId) -> Response:
    """A forest, the caller's own or a friend's, with the positions to subscribe from (rpc `forest.get`)."""
    return await _told(parts.reads.forest(caller, id_of(user, "not_friends")))


@router.get("/activities", responses=_USER)
async def activities(
    parts: Engine,
    caller: User,
    before: Annotated[str | None, Query(pattern=r"^[1-9][0-9]{0,15}$")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Response:
    """The caller's carbon book, newest first (rpc `activity.list`)."""
    return await _told(parts.reads.activities(caller, int(before) if before else None, limit))


@router.get("/friends", responses=_USER)
async def friends(parts: Engine, caller: User) -> Response:
    """The caller's friends and requests (rpc `friend.list`)."""
    return await _told(parts.reads.friends(caller))


@router.get("/offers", responses=_USER)
async def offers(
    parts: Engine, caller: User, kind: Annotated[str | None, Query(max_length=64)] = None
) -> Response:
    """The catalogue as it stands for the caller (rpc `offer.catalogue`)."""
    return await _told(parts.reads.offers(caller, kind))


@router.post(
    "/offers/{offer}/redeem",
    response_model=Redeemed,
    responses=_USER
    | refusals("unknown_offer", "unknown_user")
    | refusals("coming", "sold_out", "energy_lacking", "not_funded"),
)
async def redeem(parts: Engine, caller: User, offer: SlugPath, key: IdempotencyKey) -> Response:
    """Turn energy into a tree (rpc `offer.redeem`)."""
    return answer(await parts.writer.submit(commands.RedeemOffer(key, caller, offer)))


@router.get("/trees", responses=_USER)
async def trees(parts: Engine, caller: User) -> Response:
    """The caller's trees, newest first (rpc `tree.list`)."""
    return await _told(parts.reads.trees(caller))


@router.post(
    "/trees/{number}/choose",
    response_model=Redeemed,
    responses=_USER
    | refusals("bad_number", "unknown_tree", "not_waiting", "unknown_offer")
    | refusals("coming", "sold_out", "energy_lacking", "not_funded"),
)
async def choose(
    parts: Engine, caller: User, number: TreeNumber, body: Choice, key: IdempotencyKey
) -> Response:
    """Decide about a tree without a place: switch, wait or energy_back (rpc `tree.choose`)."""
    tree = parse_tree_number(number)
    return answer(
        await parts.writer.submit(commands.ChooseForTree(key, caller, tree, body.choice, body.offer))
    )


@router.get("/balls/{ball}/explain", responses=_USER | refusals("unknown_ball", "unknown_user"))
async def explain(parts: Engine, caller: AnyCaller, ball: WireId) -> JSONResponse:
    """How a ball's grams came about, and every transfer since: for its owner, the app's server, an operator."""
    ball_id = id_of(ball, "unknown_ball")
    try:
        if caller.user is not None and await _owner(parts, ball_id) != caller.user:
            raise Rejected("unknown_ball")
        told: dict[str, Any] | None = await parts.explain(ball_id)
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem
    if told is None:
        raise Rejected("unknown_ball")
    edition = told.get("edition")
    if caller.user is not None and edition is not None:  # who works for the operator is not told to users
        told["edition"] = {name: edition[name] for name in ("edition", "from_at", "share_pct")}
    return JSONResponse(told)


async def _owner(parts: Parts, ball: int) -> int | None:
    async with parts.db.snapshot() as reader:
        rows = await reader.fetch("SELECT owner FROM balls WHERE id = ?", ball)
    return rows[0][0] if rows else None
