"""Routes of the partner API about webhooks: where a partner is told of events, and what became of each message."""

import json
import secrets
from base64 import b64encode
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query
from fastapi.responses import Response

from engine.core.errors import Rejected
from engine.store.database import Reader
from partners.api import Desk, reading
from partners.core.api_commands import AnnounceEvent, MakeWebhook, MoveWebhook, ReplayMessage, RotateWebhook
from partners.core.api_rows import WebhookEndpoint
from partners.core.webhooks import message_id
from partners.partner_api import bodies as b
from partners.partner_api.keys import Caller, Gate
from partners.partner_api.route import (
    POSTING,
    CursorQuery,
    LimitQuery,
    OnceKey,
    after_of,
    cursor_of,
    journal_key,
    refusing,
    replayed,
)
from partners.partner_api.shown import message_given, message_whole, webhook_given
from partners.store import api_queries
from partners.webhooks.outward import check_url

SECRET_BYTES = 32
HOUR_MS = 3_600_000
MESSAGE_STATES = ("waiting", "done", "dead")
NEWEST = 2**53

WebhookPath = Annotated[str, Path(pattern=r"^we_[0-9a-f]{10,32}$", description="The endpoint's id.")]
MessagePath = Annotated[str, Path(pattern=r"^msg_[0-9a-f]{32}$", description="The message's id.")]
StateQuery = Annotated[
    list[str] | None, Query(max_length=3, description=f"Of {', '.join(MESSAGE_STATES)}; all if left out.")
]
_ONE = ("unknown_webhook",)
_MESSAGE = ("unknown_message",)


def new_webhook_id() -> str:
    """An id for an endpoint."""
    return f"we_{secrets.token_hex(8)}"


def new_secret() -> str:
    """A secret that signs an endpoint's messages."""
    return "whsec_" + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def add_hooks(router: APIRouter, desk: Desk, gate: Gate, allows_loopback: bool) -> None:
    """All routes about webhooks."""
    _add_endpoints(router, desk, gate, allows_loopback)
    _add_moves(router, desk, gate)
    _add_messages(router, desk, gate)


def _add_endpoints(router: APIRouter, desk: Desk, gate: Gate, allows_loopback: bool) -> None:
    caller = Annotated[Caller, Depends(gate.scope("webhooks:manage"))]

    @router.get("/webhooks", summary="List webhook endpoints", response_model=b.WebhooksGiven)
    async def webhooks(by: caller) -> dict[str, Any]:  # type: ignore[valid-type]
        """The endpoints of this key's mode. Their secrets are not shown again."""
        async with reading(desk) as reader:
            rows = await api_queries.endpoints(reader, by.partner, by.is_test)
        return {"webhooks": [webhook_given(row, _now(desk)) for row in rows]}

    @router.post(
        "/webhooks",
        status_code=201,
        summary="Register a webhook endpoint",
        response_model=b.WebhookSecret,
        responses=refusing(*POSTING, "bad_webhook", "too_many_webhooks"),
    )
    async def make(body: b.WebhookBody, key: OnceKey, by: caller) -> Response:  # type: ignore[valid-type]
        """Events are sent here from now on, signed by the Standard Webhooks scheme. The secret is shown in this answer
        alone, and again where this request is repeated."""
        url = check_url(body.url, allows_loopback)
        command = MakeWebhook(
            journal_key(by.partner, key),
            _who(by),
            by.partner,
            new_webhook_id(),
            url,
            tuple(body.types),
            by.is_test,
            new_secret(),
        )
        name, is_replayed = await _done(desk, command)
        return await _secret_shown(desk, by, name, is_replayed, 201)

    @router.get(
        "/webhooks/{webhook}",
        summary="Read a webhook endpoint",
        response_model=b.WebhookGiven,
        responses=refusing(*_ONE),
    )
    async def one(webhook: WebhookPath, by: caller) -> dict[str, Any]:  # type: ignore[valid-type]
        """An endpoint and how it stands."""
        async with reading(desk) as reader:
            return webhook_given(await own_endpoint(reader, by, webhook), _now(desk))


def _add_moves(router: APIRouter, desk: Desk, gate: Gate) -> None:
    caller = Annotated[Caller, Depends(gate.scope("webhooks:manage"))]

    @router.post(
        "/webhooks/{webhook}/rotate",
        summary="Change an endpoint's secret",
        response_model=b.WebhookSecret,
        responses=refusing(*_ONE, *POSTING),
    )
    async def rotate(
        webhook: WebhookPath,
        body: b.OverlapBody,
        key: OnceKey,
        by: caller,  # type: ignore[valid-type]
    ) -> Response:
        """For a while messages carry two signatures, of the new secret and of the old one."""
        await _checked(desk, by, webhook)
        overlap_ms, journal = body.keep_old_h * HOUR_MS, journal_key(by.partner, key)
        command = RotateWebhook(journal, _who(by), by.partner, webhook, new_secret(), overlap_ms)
        name, is_replayed = await _done(desk, command)
        return await _secret_shown(desk, by, name, is_replayed)

    def moving(word: str, status: str, summary: str, told: str) -> None:
        @router.post(
            f"/webhooks/{{webhook}}/{word}",
            name=word,
            summary=summary,
            description=told,
            response_model=b.WebhookGiven,
            responses=refusing(*_ONE, *POSTING),
        )
        async def move(
            webhook: WebhookPath,
            key: OnceKey,
            by: caller,  # type: ignore[valid-type]
        ) -> Response:
            row = await _checked(desk, by, webhook)
            command = MoveWebhook(journal_key(by.partner, key), _who(by), by.partner, webhook, status)
            _, is_replayed = await _done(desk, command)
            async with reading(desk) as reader:
                found = await api_queries.endpoint(reader, webhook)
            shown = webhook_given(found or row, _now(desk))
            return replayed(shown | {"status": status}, is_replayed)

    moving("enable", "active", "Enable an endpoint again", "What has happened meanwhile is delivered now.")
    moving(
        "disable", "disabled", "Disable an endpoint", "What happens from now on waits until it is enabled."
    )
    moving("remove", "removed", "Remove an endpoint", "Nothing is sent there any more; its secret is erased.")

    @router.post(
        "/webhooks/{webhook}/ping",
        summary="Send a ping to an endpoint",
        response_model=b.MessageGiven,
        responses=refusing(*_ONE, *POSTING),
    )
    async def ping(webhook: WebhookPath, key: OnceKey, by: caller) -> Response:  # type: ignore[valid-type]
        """A message of type `ping`, to try an endpoint out."""
        await _checked(desk, by, webhook)
        name, is_new = await announced(desk, by, webhook, "ping", f"ping:{by.partner}:{key}", {})
        async with reading(desk) as reader:
            row = await api_queries.message(reader, name)
        assert row is not None
        return replayed(message_given(row), not is_new)


def _add_messages(router: APIRouter, desk: Desk, gate: Gate) -> None:
    caller = Annotated[Caller, Depends(gate.scope("webhooks:manage"))]

    @router.get(
        "/webhooks/{webhook}/messages",
        summary="Page through an endpoint's messages",
        response_model=b.MessagesGiven,
        responses=refusing(*_ONE, "bad_request"),
    )
    async def messages(
        webhook: WebhookPath,
        by: caller,  # type: ignore[valid-type]
        state: StateQuery = None,
        limit: LimitQuery = 50,
        cursor: CursorQuery = "",
    ) -> dict[str, Any]:
        """What was sent or is to be sent, newest first; kept for 30 days."""
        if not set(state or ()) <= set(MESSAGE_STATES):
            raise Rejected("bad_request", field="state", expected=", ".join(MESSAGE_STATES))
        asked = [webhook, sorted(set(state or ()))]
        before = after_of(cursor, asked, NEWEST)
        async with reading(desk) as reader:
            await own_endpoint(reader, by, webhook)
            rows = await api_queries.messages(reader, webhook, before, state or MESSAGE_STATES, limit + 1)
        page = rows[:limit]
        return {
            "messages": [message_given(row) for row in page],
            "next_cursor": cursor_of(page[-1].sequence, asked) if len(rows) > limit else None,
        }

    @router.get(
        "/webhooks/{webhook}/messages/{message}",
        summary="Read a message with each try",
        response_model=b.MessageWhole,
        responses=refusing(*_ONE, *_MESSAGE),
    )
    async def message(
        webhook: WebhookPath,
        message: MessagePath,
        by: caller,  # type: ignore[valid-type]
    ) -> dict[str, Any]:
        """A message and every try to deliver it. No body is kept."""
        return await _message_shown(desk, by, webhook, message)

    @router.post(
        "/webhooks/{webhook}/messages/{message}/replay",
        summary="Send a message again",
        response_model=b.MessageWhole,
        responses=refusing(*_ONE, *_MESSAGE, *POSTING, "webhook_disabled", "message_old"),
    )
    async def replay(
        webhook: WebhookPath,
        message: MessagePath,
        key: OnceKey,
        by: caller,  # type: ignore[valid-type]
    ) -> Response:
        """Deliver a message anew, with the same id, up to 30 days after it was made."""
        await _message_shown(desk, by, webhook, message)
        command = ReplayMessage(journal_key(by.partner, key), _who(by), by.partner, message)
        _, is_replayed = await _done(desk, command)
        return replayed(await _message_shown(desk, by, webhook, message), is_replayed)


async def own_endpoint(reader: Reader, by: Caller, name: str) -> WebhookEndpoint:
    """An endpoint of the caller's, of the key's mode. Raises Rejected(unknown_webhook)."""
    row = await api_queries.endpoint(reader, name)
    if row is None or row.partner != by.partner or bool(row.is_test) != by.is_test:
        raise Rejected("unknown_webhook")
    return row


async def announced(
    desk: Desk, by: Caller, webhook: str, kind: str, event: str, data: dict[str, Any]
) -> tuple[str, bool]:
    """Queue a message for one endpoint: its id, and whether it is new."""
    outcome = await desk.writer.submit(AnnounceEvent(None, by.partner, kind, None, event, data, only=webhook))
    if outcome.error is not None:
        raise outcome.error
    name = message_id(webhook, event)
    return name, name.encode() in (outcome.data or b"")


async def _checked(desk: Desk, by: Caller, name: str) -> WebhookEndpoint:
    async with reading(desk) as reader:
        return await own_endpoint(reader, by, name)


async def _done(desk: Desk, command: Any) -> tuple[str, bool]:
    """Carry a command out: the id that it is about, and whether it was carried out before."""
    outcome = await desk.writer.submit(command)
    if outcome.error is not None:
        raise outcome.error
    return str(json.loads(outcome.data or b"{}")["id"]), outcome.replayed


async def _secret_shown(desk: Desk, by: Caller, name: str, is_replayed: bool, status: int = 200) -> Response:
    async with reading(desk) as reader:
        row = await own_endpoint(reader, by, name)
    return replayed(webhook_given(row, _now(desk), with_secret=True), is_replayed, status)


async def _message_shown(desk: Desk, by: Caller, webhook: str, name: str) -> dict[str, Any]:
    async with reading(desk) as reader:
        await own_endpoint(reader, by, webhook)
        row = await api_queries.message(reader, name)
        if row is None or row.endpoint != webhook:
            raise Rejected("unknown_message")
        return message_whole(row, await api_queries.attempts(reader, name))


def _who(by: Caller) -> str:
    return f"partner:{by.partner}/{by.key}"


def _now(desk: Desk) -> int:
    return desk.writer.clock.now_ms()
