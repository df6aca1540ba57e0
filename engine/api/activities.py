"""Ingestion: signed reports of activities, each answered by itself, and their reversal.

The source names itself in the header `Saxaul-Source` and signs the body (see `engine.api.signature`). An item that
can't be read is refused alone; the others go on. Sending the same bytes again is harmless: an activity mints once.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field

from engine.api import signature
from engine.api.callers import Engine
from engine.api.fields import SUBJECT_CHARACTERS_MAX
from engine.api.parts import Parts
from engine.api.problems import refusals
from engine.api.signature import Messages, Signed
from engine.core.commands import ReverseActivity
from engine.core.errors import Rejected
from engine.reported import Name, Reported, command_of
from engine.writer import Outcome

TEMPORARY = ("overloaded", "unavailable", "internal")
PROBLEM_CHARACTERS_MAX = 200

SourceId = Annotated[
    str,
    Header(
        alias="Saxaul-Source",
        pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$",
        description="Who reports: the source's id.",
    ),
]


class Reversal(msgspec.Struct, forbid_unknown_fields=True):
    """An activity that its source takes back."""

    id: Name
    reason: Annotated[str, msgspec.Meta(max_length=SUBJECT_CHARACTERS_MAX)] = ""


class _Named(msgspec.Struct):
    """As much of an item as is needed to say which one was refused."""

    id: Annotated[str, msgspec.Meta(max_length=SUBJECT_CHARACTERS_MAX)] | None = None


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    activities: list[msgspec.Raw]


class Answered(BaseModel):
    """What became of one activity."""

    id: str | None = Field(
        description="The source's id of it; null where the item had none that can be read."
    )
    status: str = Field(description="accepted, duplicate, reversed or rejected.")
    energy_g: int = Field(description="Grams of energy that it is worth now.")
    avoided_mg: int = Field(description="Milligrams CO2e avoided that it is worth now.")
    ball: str | None = Field(None, description="Its energy ball, where it has one.")
    owed_g: int | None = Field(None, description="Reversed: collected grams that became a debt.")
    reason: str | None = Field(None, description="Why it is rejected, or worth less than it might be.")
    details: dict[str, Any] | None = Field(None, description="What explains the reason.")
    temporary: bool | None = Field(None, description="True: nothing is wrong with the item, send it again.")


class Answers(BaseModel):
    """One answer an item, in the order of the items."""

    results: list[Answered]


_envelope = msgspec.json.Decoder(_Envelope).decode
_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_reported = msgspec.json.Decoder(Reported).decode
_reversal = msgspec.json.Decoder(Reversal).decode
_named = msgspec.json.Decoder(_Named).decode
_encode = msgspec.json.Encoder(enc_hook=str).encode
_MALFORMED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)

Read = Callable[[str, msgspec.Raw], Any]


def _report(source: str, item: msgspec.Raw) -> Any:
    return command_of(source, _reported(item))


def _reverse(source: str, item: msgspec.Raw) -> Any:
    read = _reversal(item)
    return ReverseActivity(source, read.id, read.reason)


_ITEM = {
    "type": "object",
    "required": ["id", "subject", "behaviour", "quantity", "unit"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 200, "description": "The source's own id."},
        "subject": {"type": "string", "minLength": 1, "maxLength": 200},
        "behaviour": {"type": "string"},
        "at": {"type": "string", "format": "date-time"},
        "on": {"type": "string", "format": "date", "description": "The local day, for running totals."},
        "quantity": {"type": "number", "minimum": 0},
        "unit": {"type": "string", "maxLength": 64},
        "revision": {
            "type": "integer",
            "minimum": 0,
            "description": "Of a running total; the highest counts.",
        },
        "attributes": {"type": "object", "maxProperties": 20},
        "evidence": {
            "type": "string",
            "maxLength": 64,
            "description": "What shows it: one of the kinds in the behaviour's rule; the first, when left out.",
        },
    },
}
_REVERSAL = {
    "type": "object",
    "required": ["id"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string", "minLength": 1, "maxLength": 200},
        "reason": {"type": "string", "maxLength": 200},
    },
}


def _described(item: dict[str, Any]) -> dict[str, Any]:
    """For OpenAPI: the body and the headers of the signature, which are read by hand."""
    schema = {
        "type": "object",
        "required": ["activities"],
        "additionalProperties": False,
        "properties": {"activities": {"type": "array", "minItems": 1, "items": item}},
    }
    headers = {
        "webhook-id": "Unique id of this message, reused on a retry.",
        "webhook-timestamp": "Seconds since the epoch, within five minutes of now.",
        "webhook-signature": "v1,<base64 of HMAC-SHA256 over id.timestamp.body>; several, separated by spaces.",
    }
    return {
        "requestBody": {"required": True, "content": {"application/json": {"schema": schema}}},
        "parameters": [
            {
                "name": name,
                "in": "header",
                "required": True,
                "description": text,
                "schema": {"type": "string"},
            }
            for name, text in headers.items()
        ],
    }


def make_router(tolerance_s: int) -> APIRouter:
    """The two routes, with a memory of the messages of the last minutes."""
    router = APIRouter(prefix="/v1/activities", tags=["activities"])
    messages = Messages(2 * tolerance_s)
    refused = refusals("bad_signature", "message_reused", "too_many")

    @router.post("", response_model=Answers, responses=refused, openapi_extra=_described(_ITEM))
    async def report_activities(parts: Engine, request: Request, source: SourceId) -> Response:
        """Report up to 1,000 activities. Each is accepted, known already (duplicate), or rejected with a reason."""
        return await _carry_out(parts, request, source, messages, _report)

    @router.post("/reverse", response_model=Answers, responses=refused, openapi_extra=_described(_REVERSAL))
    async def reverse_activities(parts: Engine, request: Request, source: SourceId) -> Response:
        """Take activities back: what nobody collected is reversed, what was collected becomes a debt."""
        return await _carry_out(parts, request, source, messages, _reverse)

    return router


async def _carry_out(parts: Parts, request: Request, source: str, messages: Messages, read: Read) -> Response:
    body = await request.body()
    signed = Signed.read(request.headers)
    now_ms = parts.clock.now_ms() - parts.clock.shift_ms  # sources live in real time, also beside a demo
    await signature.check(parts.db, source, signed, body, now_ms, parts.settings.signature_tolerance_s)
    messages.note(source, signed.message, body, now_ms / 1000)
    items = _items(body, parts.settings.activities_max)
    read_items = [_read(read, source, item) for item in items]
    wishes = [command for command in read_items if not isinstance(command, Rejected)]
    decided = iter(await parts.writer.submit_all(wishes))
    outcomes = [Outcome(None, wish) if isinstance(wish, Rejected) else next(decided) for wish in read_items]
    for wish, outcome in zip(read_items, outcomes, strict=True):
        parts.counts.note(source, wish, outcome, int(now_ms))
    answers = [_answer(item, outcome) for item, outcome in zip(items, outcomes, strict=True)]
    _raise_if_all_failed(answers)
    return Response(_encode({"results": answers}), media_type="application/json")


def _items(body: bytes, items_max: int) -> list[msgspec.Raw]:
    """The items of `{"activities": […]}`, or of the bare list. Raises Rejected(bad_request | too_many)."""
    try:
        items = _array(body) if body.lstrip()[:1] == b"[" else _envelope(body).activities
    except _MALFORMED as problem:
        raise Rejected("bad_request", expected='{"activities": [{…}, …]}') from problem
    if len(items) > items_max:
        raise Rejected("too_many", activities_max=items_max)
    return items


def _read(read: Read, source: str, item: msgspec.Raw) -> Any:
    """The command of an item, or why it has none."""
    try:
        return read(source, item)
    except Rejected as refusal:
        return refusal
    except _MALFORMED as problem:
        return Rejected("bad_request", problem=_printable(str(problem)))


def _printable(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text)[:PROBLEM_CHARACTERS_MAX]


def _answer(item: msgspec.Raw, outcome: Outcome) -> object:
    if outcome.error is None:
        return msgspec.Raw(outcome.data or b"{}")
    try:
        name = _named(item).id
    except _MALFORMED:
        name = None
    code = outcome.error.code
    told: dict[str, object] = {
        "id": name,
        "status": "rejected",
        "energy_g": 0,
        "avoided_mg": 0,
        "reason": code,
    }
    if outcome.error.fields:
        told["details"] = outcome.error.fields
    if code in TEMPORARY:
        told["temporary"] = True
    return told


def _raise_if_all_failed(answers: Sequence[object]) -> None:
    """Where no item came through because of us, the call as a whole says so."""
    if answers and all(isinstance(answer, dict) and answer.get("temporary") for answer in answers):
        first = answers[0]
        assert isinstance(first, dict)
        raise Rejected(str(first["reason"]))
