"""What the partner API takes and gives, with limits and examples: the OpenAPI document is made of it."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from engine.api.fields import Body, plain_text
from partners.core.api_rows import EVENT_TYPES
from partners.core.model import (
    BATCH_EVIDENCE_MAX,
    ORDER_TREES_MAX,
    PARTNER_TEXT_CHARACTERS_MAX,
    REPORT_BATCHES_MAX,
)

LINES_MAX = 100
URL_CHARACTERS_MAX = 500
ORDER = "PO-000042-Z"
_SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _day(text: str) -> str:
    datetime.date.fromisoformat(text)
    return text


Text = Annotated[str, Field(max_length=PARTNER_TEXT_CHARACTERS_MAX), AfterValidator(plain_text)]
Word = Annotated[str, Field(max_length=80), AfterValidator(plain_text)]
Day = Annotated[
    str,
    Field(pattern=r"^\d{4}-\d{2}-\d{2}$", json_schema_extra={"format": "date"}),
    AfterValidator(_day),
]
Trees = Annotated[int, Field(ge=0, le=10 * ORDER_TREES_MAX)]
ReportNo = Annotated[
    str, Field(min_length=1, max_length=80, description="Your own number of the report, once per order.")
]
By = Annotated[Word, Field(description="Who at your place says so, as you call them: an opaque id, no name.")]
EventType = Literal[EVENT_TYPES]  # type: ignore[valid-type]


def _example(**values: Any) -> ConfigDict:
    return ConfigDict(extra="forbid", strict=True, json_schema_extra={"examples": [values]})


class EchoBody(Body):
    """A line of an answer. All but `line_no` and `accepted` is what you believe that you were asked: where it is not
    what we asked, the order stops for a person."""

    line_no: int = Field(ge=1, le=LINES_MAX)
    accepted: Trees | None = Field(None, description="Trees that you take on.")
    species: Word = ""
    ordered: Trees | None = None
    unit_price_minor: int | None = Field(None, ge=0, le=10**12)
    currency: str = Field("", max_length=3)


class AnswerBody(Body):
    """An answer to an order: `accept` takes on all of it, `accept_part` what its lines say, `decline` nothing."""

    model_config = _example(
        answer="accept_part",
        lines=[{"line_no": 1, "accepted": 120}],
        reason="seedlings for 120",
        reference="EL-2027-7",
    )
    answer: Literal["accept", "accept_part", "decline"]
    lines: list[EchoBody] = Field(default_factory=list, max_length=LINES_MAX)
    reason: Text = ""
    reference: Annotated[Text, Field(description="Your own number of the order; it never changes.")] = ""
    by: By = ""


class PhotoBody(Body):
    """A photo by the SHA-256 of its bytes. The file itself is uploaded apart (docs/partners.md)."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    name: Text = ""
    taken_on: Annotated[str, Field(max_length=10, pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = ""


class PlantingBody(Body):
    """Trees that were planted, once per report number. The same again changes nothing; more photos are added."""

    report_no: ReportNo
    line_no: int = Field(1, ge=1, le=LINES_MAX)
    trees: int = Field(ge=1, le=10 * ORDER_TREES_MAX)
    planted_from_on: Day
    planted_to_on: Day
    site: Annotated[Word, Field(description="Where, if it is not the line's site.")] = ""
    planters: int | None = Field(None, ge=0, le=100_000)
    photos: list[PhotoBody] = Field(default_factory=list, max_length=BATCH_EVIDENCE_MAX)


_PLANTING = {
    "report_no": "2027-04-A",
    "trees": 80,
    "planted_from_on": "2027-04-02",
    "planted_to_on": "2027-04-05",
    "photos": [{"sha256": _SHA256, "name": "plot-a.jpg"}],
}


class PlantingsBody(Body):
    """A planting report. `all_planted`: nothing more will come; what is missing goes to somebody else."""

    model_config = _example(plantings=[_PLANTING], all_planted=False)
    plantings: list[PlantingBody] = Field(min_length=1, max_length=REPORT_BATCHES_MAX)
    all_planted: bool = False
    by: By = ""


class DoneBody(Body):
    """Nothing more will be planted of this order."""

    model_config = _example(by="staff-3")
    by: By = ""


class MorePhotosBody(Body):
    """More photos of a planting that was reported."""

    report_no: ReportNo
    photos: list[PhotoBody] = Field(default_factory=list, max_length=BATCH_EVIDENCE_MAX)


class InformationBody(Body):
    """The answer to `needs_info`: what a reviewer missed. The order is reviewed again."""

    model_config = _example(plantings=[{"report_no": "2027-04-A", "photos": [{"sha256": _SHA256}]}])
    plantings: list[MorePhotosBody] = Field(default_factory=list, max_length=REPORT_BATCHES_MAX)
    by: By = ""


class CancellationBody(Body):
    """Why you ask to end an order, or agree that it ends."""

    model_config = _example(reason="the nursery was flooded")
    reason: Annotated[
        str, Field(min_length=1, max_length=PARTNER_TEXT_CHARACTERS_MAX), AfterValidator(plain_text)
    ]
    by: By = ""


class WebhookBody(Body):
    """An address to be told at, and of what; no types: of everything."""

    model_config = _example(
        url="https://api.elm.example/saxaul", types=["order.submitted", "review.needs_info"]
    )
    url: str = Field(min_length=1, max_length=URL_CHARACTERS_MAX)
    types: list[EventType] = Field(default_factory=list, max_length=len(EVENT_TYPES))


class OverlapBody(Body):
    """For how long the old secret signs beside the new one."""

    model_config = _example(keep_old_h=24)
    keep_old_h: int = Field(24, ge=0, le=24 * 30)


class SandboxBody(Body):
    """A test order to play with. What is left out is taken from your agreement."""

    model_config = _example(trees=50)
    trees: int = Field(10, ge=1, le=ORDER_TREES_MAX)
    species: Word = ""
    site: Word = ""


class PractiseBody(Body):
    """What is to happen to a test order now."""

    model_config = _example(type="review.needs_info", note="a photo of the northern edge, please")
    type: EventType
    note: Text = ""


# --- what is given --------------------------------------------------------------------------------


class Given(BaseModel):
    """What the API gives: fields may be added, none changes its meaning."""

    model_config = ConfigDict(extra="forbid")


class LineGiven(Given):
    """A species on a site, with its counters."""

    line_no: int
    species: str
    site: str
    unit_price_minor: int = Field(description="In minor units of the currency.")
    currency: str
    ordered: int
    accepted: int
    reported: int
    verified: int
    tolerance_pct: int = Field(description="So many per cent more than accepted may be reported.")


class PlantingGiven(Given):
    """A planting as you reported it, and what was verified of it."""

    report_no: str
    line_no: int
    trees: int
    verified: int
    planted_from_on: str
    planted_to_on: str
    site: str
    photos: int
    reported_at: str


_LINE = {
    "line_no": 1,
    "species": "saxaul",
    "site": "saxaul-alxa",
    "unit_price_minor": 738,
    "currency": "CNY",
    "ordered": 200,
    "accepted": 120,
    "reported": 80,
    "verified": 0,
    "tolerance_pct": 5,
}
_ORDER = {
    "number": ORDER,
    "kind": "standard",
    "state": "in_planting",
    "held": "",
    "season": "2027-spring",
    "season_opens_at": "2027-03-15T00:00:00Z",
    "season_closes_at": "2027-05-15T00:00:00Z",
    "answer_by_at": "2026-12-10T00:00:00Z",
    "submitted_at": "2026-11-26T00:00:00Z",
    "changed_at": "2026-12-01T08:00:00Z",
    "below_minimum": False,
    "reason": "",
    "reference": "EL-2027-7",
    "cancel_asked_by": "",
    "lines": [_LINE],
}


class OrderGiven(Given):
    """An order as it stands. `held`: why a person looks first; then nothing moves it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_ORDER]})
    number: str
    kind: str
    state: str
    held: str
    season: str
    season_opens_at: str
    season_closes_at: str
    answer_by_at: str
    submitted_at: str
    changed_at: str
    below_minimum: bool
    reason: str
    reference: str = Field(description="Your own number of it.")
    cancel_asked_by: str = Field(description="Who asks to end it after acceptance: operator or partner.")
    lines: list[LineGiven]


class OrderWhole(OrderGiven):
    """An order with its plantings and, where a reviewer misses something, what."""

    _PLANTED = {**_PLANTING, "line_no": 1, "verified": 0, "site": "saxaul-alxa", "photos": 1}
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    **_ORDER,
                    "plantings": [{**_PLANTED, "reported_at": "2027-04-05T09:00:00Z"}],
                    "needs_info": "",
                }
            ]
        },
    )
    plantings: list[PlantingGiven]
    needs_info: str = Field(description="What a reviewer misses; empty where nothing.")


class OrdersGiven(Given):
    """A page of orders, oldest first. `next_cursor` null: this was the last page."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"orders": [_ORDER], "next_cursor": "eyJhIjo0Mn0"}]}
    )
    orders: list[OrderGiven]
    next_cursor: str | None


class CallerGiven(Given):
    """Whom a key speaks for."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "partner": "green-elm",
                    "key": "sxp_live_0a1b2c3d4e",
                    "mode": "live",
                    "scopes": ["orders:read"],
                    "expires_at": "2027-11-26T00:00:00Z",
                }
            ]
        },
    )
    partner: str
    key: str = Field(description="The part of the key that may be shown.")
    mode: Literal["live", "test"]
    scopes: list[str]
    expires_at: str | None


class InvoiceGiven(Given):
    """A bill of yours as we have it."""

    invoice_no: str
    net_minor: int
    tax_minor: int
    currency: str
    due_on: str
    state: str
    received_at: str
    settled_at: str | None


class MilestoneGiven(Given):
    """A part of an order's price that has become payable, what of it you have billed, and those bills."""

    order: str
    milestone: str
    currency: str
    amount_minor: int
    invoiced_minor: int
    reached_at: str
    invoices: list[InvoiceGiven]


class MoneyGiven(Given):
    """A page of what has become payable."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "milestones": [
                        {
                            "order": ORDER,
                            "milestone": "accepted",
                            "currency": "CNY",
                            "amount_minor": 26568,
                            "invoiced_minor": 0,
                            "reached_at": "2026-12-01T08:00:00Z",
                            "invoices": [],
                        }
                    ],
                    "next_cursor": "WzQyLCBbXV0",
                }
            ]
        },
    )
    milestones: list[MilestoneGiven]
    next_cursor: str | None


_WEBHOOK = {
    "id": "we_5f0c9d3b1a",
    "url": "https://api.elm.example/saxaul",
    "types": ["order.submitted"],
    "mode": "live",
    "status": "active",
    "why": "",
    "status_at": "2026-11-26T00:00:00Z",
    "old_secret_until_at": "2026-11-27T00:00:00Z",
    "made_at": "2026-11-26T00:00:00Z",
}


class WebhookGiven(Given):
    """An endpoint without its secret. `why` it is disabled: gone (it answered 410), undeliverable, or by whom."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_WEBHOOK]})
    id: str
    url: str
    types: list[str]
    mode: Literal["live", "test"]
    status: str
    why: str
    status_at: str
    old_secret_until_at: str | None
    made_at: str


class WebhookSecret(WebhookGiven):
    """An endpoint with the secret that signs what it is sent, shown here alone."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{**_WEBHOOK, "secret": "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"}]
        },
    )
    secret: str


class WebhooksGiven(Given):
    """All endpoints of the key's mode."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"webhooks": [_WEBHOOK]}]})
    webhooks: list[WebhookGiven]


class AttemptGiven(Given):
    """One try to deliver."""

    at: str
    status: int | None = Field(description="The HTTP status; null: there was no answer.")
    ms: int
    problem: str


_MESSAGE = {
    "id": "msg_2f1d8c5e0b7a4c3d9e6f1a2b3c4d5e6f",
    "type": "order.submitted",
    "order": ORDER,
    "sequence": 7,
    "state": "waiting",
    "attempts": 1,
    "next_at": "2026-11-26T00:00:06Z",
    "made_at": "2026-11-26T00:00:00Z",
}


class MessageGiven(Given):
    """An event on its way to an endpoint, or there: waiting, done or dead."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_MESSAGE]})
    id: str
    type: str
    order: str | None
    sequence: int
    state: str
    attempts: int
    next_at: str | None
    made_at: str


class MessageWhole(MessageGiven):
    """A message with each try."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    **_MESSAGE,
                    "tries": [
                        {"at": "2026-11-26T00:00:01Z", "status": 503, "ms": 83, "problem": "status 503"}
                    ],
                }
            ]
        },
    )
    tries: list[AttemptGiven]


class MessagesGiven(Given):
    """A page of messages, newest first."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"messages": [_MESSAGE], "next_cursor": "WzQyLCBbXV0"}]},
    )
    messages: list[MessageGiven]
    next_cursor: str | None
