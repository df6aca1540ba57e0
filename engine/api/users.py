"""Accounts and consents, for the app's server: open, change, suspend, close and erase, link and withdraw."""

import asyncio
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field, model_validator

from engine.api.callers import Engine, IdempotencyKey, MaybeIdempotencyKey, server_caller
from engine.api.fields import (
    SUBJECT_CHARACTERS_MAX,
    Behaviours,
    Body,
    DisplayName,
    Province,
    Reference,
    Slug,
    Subject,
    WireId,
    Zone,
    answer,
    id_of,
)
from engine.api.problems import refusals
from engine.core import commands
from engine.core.errors import Rejected
from engine.core.units import rfc3339
from engine.store import queries
from engine.store.database import DatabaseAway, Reader

router = APIRouter(prefix="/v1/users", tags=["users"], dependencies=[Depends(server_caller)])


class AccountOpening(Body):
    """Open an account."""

    display_name: DisplayName
    zone: Zone
    reference: Reference | None = None
    province: Province | None = None
    holder: Literal["person", "household"] = "person"


class AccountChange(Body):
    """What is given is changed. A new zone counts from the second local midnight."""

    display_name: DisplayName | None = None
    zone: Zone | None = None
    province: Province | None = None

    @model_validator(mode="after")
    def _something(self) -> "AccountChange":
        if not self.model_fields_set:
            raise ValueError("give at least one of display_name, zone, province")
        return self


class LinkGiven(Body):
    """A consent: the source may report these behaviours of this subject for the user."""

    source: Slug
    subject: Subject
    behaviours: Behaviours


class AccountState(BaseModel):
    """An account and its state."""

    user: str
    state: Literal["active", "suspended", "closed"]


class AccountZone(AccountState):
    """The zone that counts now, and the one that will."""

    zone: str
    next_zone: str | None = None
    next_zone_at: str | None = None


class LinkTold(BaseModel):
    """A link; `subject` only where identities were asked for."""

    source: str
    behaviours: list[str] = Field(default_factory=list)
    linked_at: str | None = None
    withdrawn_at: str | None = None
    subject: str | None = None


class Account(AccountZone):
    """An account. Name, reference and subjects only with `identity=true`."""

    holder: str
    province: str | None
    wallet_g: int
    avoided_mg: int
    debt_g: int
    friends: int
    opened_at: str
    links: list[LinkTold]
    display_name: str | None = None
    reference: str | None = None


@router.post(
    "",
    status_code=201,
    response_model=AccountState,
    responses=refusals("account_exists", "bad_zone", "key_reused"),
)
async def open_account(parts: Engine, key: IdempotencyKey, body: AccountOpening) -> Response:
    """Open an account. A `reference` in use is `account_exists`, with the account's id."""
    command = commands.OpenAccount(
        key, body.reference, body.display_name, body.zone, body.province, body.holder
    )
    return answer(await parts.writer.submit(command), 201)


@router.get(
    "/{user}",
    response_model=Account,
    response_model_exclude_unset=True,
    responses=refusals("unknown_user"),
)
async def account(
    parts: Engine,
    user: WireId,
    identity: Annotated[bool, Query(description="Also tell name, reference and subjects.")] = False,
) -> dict[str, object]:
    """An account with its amounts and links."""
    user_id = id_of(user, "unknown_user")
    now = parts.clock.now_ms()
    try:
        async with parts.db.snapshot() as reader:
            return await _account(reader, user_id, now, identity)
    except DatabaseAway as problem:
        raise Rejected("unavailable") from problem


async def _account(reader: Reader, user_id: int, now: int, with_identity: bool) -> dict[str, object]:
    row = await queries.user(reader, user_id)
    if row is None:
        raise Rejected("unknown_user")
    told: dict[str, object] = {
        "user": str(row.id),
        "state": row.state,
        "holder": row.holder,
        "province": row.province,
        "zone": row.zone_at(now),
        "wallet_g": row.wallet_g,
        "avoided_mg": row.avoided_mg,
        "debt_g": row.debt_g,
        "friends": row.friend_count,
        "opened_at": rfc3339(row.opened_at),
        "links": await _links(reader, user_id, with_identity),
    }
    if row.next_zone and row.next_zone_at and row.next_zone_at > now:
        told |= {"next_zone": row.next_zone, "next_zone_at": rfc3339(row.next_zone_at)}
    if with_identity:
        sql = "SELECT display_name, reference FROM identities WHERE user_id = ?"
        for name, reference in await reader.fetch(sql, user_id):
            told |= {"display_name": name, "reference": reference}
    return told


async def _links(reader: Reader, user_id: int, with_subject: bool) -> list[dict[str, object]]:
    sql = (
        "SELECT source, subject, behaviours, linked_at, withdrawn_at FROM links "
        "WHERE user_id = ? ORDER BY source, subject"
    )
    links: list[dict[str, object]] = []
    for source, subject, behaviours, linked_at, withdrawn_at in await reader.fetch(sql, user_id):
        link: dict[str, object] = {
            "source": source,
            "behaviours": msgspec.json.decode(behaviours),
            "linked_at": rfc3339(linked_at),
        }
        if withdrawn_at is not None:
            link["withdrawn_at"] = rfc3339(withdrawn_at)
        if with_subject:
            link["subject"] = subject
        links.append(link)
    return links


_STATE = refusals("unknown_user", "account_closed", "account_suspended", "key_reused")


@router.patch("/{user}", response_model=AccountZone, responses=_STATE | refusals("bad_zone", "key_reused"))
async def change_account(
    parts: Engine, user: WireId, key: MaybeIdempotencyKey, body: AccountChange
) -> Response:
    """Change name, zone or province."""
    command = commands.ChangeAccount(
        key, id_of(user, "unknown_user"), body.display_name, body.zone, body.province
    )
    return answer(await parts.writer.submit(command))


@router.post("/{user}/suspend", response_model=AccountState, responses=_STATE)
async def suspend_account(parts: Engine, user: WireId, key: MaybeIdempotencyKey) -> Response:
    """Serve no token of the account until it is resumed; its connections close."""
    return answer(await parts.writer.submit(commands.SuspendAccount(key, id_of(user, "unknown_user"))))


@router.post("/{user}/resume", response_model=AccountState, responses=_STATE)
async def resume_account(parts: Engine, user: WireId, key: MaybeIdempotencyKey) -> Response:
    """End a suspension."""
    return answer(await parts.writer.submit(commands.ResumeAccount(key, id_of(user, "unknown_user"))))


@router.delete("/{user}", response_model=AccountState, responses=refusals("unknown_user", "key_reused"))
async def close_account(parts: Engine, user: WireId, key: MaybeIdempotencyKey) -> Response:
    """Close the account for good: name, reference, links, friendships and photos are erased, amounts stay
    anonymous."""
    closing = id_of(user, "unknown_user")
    outcome = await parts.writer.submit(commands.CloseAccount(key, closing))
    if outcome.error is None:
        await asyncio.to_thread(parts.photos.erase, closing)
    return answer(outcome)


@router.post(
    "/{user}/links",
    response_model=LinkTold,
    response_model_exclude_unset=True,
    responses=_STATE | refusals("unknown_user", "unknown_source", "subject_taken", "behaviours_missing"),
)
async def link_source(parts: Engine, user: WireId, key: MaybeIdempotencyKey, body: LinkGiven) -> Response:
    """The user consents; a consent to the same subject is replaced by the new one."""
    command = commands.LinkSource(
        key, id_of(user, "unknown_user"), body.source, body.subject, tuple(body.behaviours)
    )
    return answer(await parts.writer.submit(command))


@router.delete(
    "/{user}/links",
    response_model=LinkTold,
    response_model_exclude_unset=True,
    responses=refusals("not_linked", "key_reused"),
)
async def withdraw_link(
    parts: Engine,
    user: WireId,
    key: MaybeIdempotencyKey,
    source: Annotated[str, Query(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")],
    subject: Annotated[str, Query(min_length=1, max_length=SUBJECT_CHARACTERS_MAX)],
) -> Response:
    """The user withdraws a consent; later reports of the subject are refused and nothing of them is kept."""
    command = commands.WithdrawLink(key, id_of(user, "unknown_user"), source, subject)
    return answer(await parts.writer.submit(command))
