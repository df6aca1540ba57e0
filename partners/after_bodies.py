"""Bodies of the requests about orders once trees are reported planted; each field with its limit."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from engine.api.fields import Body, Count, Minor, plain_text
from partners.api import Note, Reason

Person = Annotated[str, Field(max_length=80), AfterValidator(plain_text)]
Text = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(plain_text)]
Day = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A day, 2027-09-15.")]


class BatchReviewBody(Body):
    """A verdict on one batch; `by` names who looked (level 3: who was asked to)."""

    level: Annotated[int, Field(ge=1, le=3)] = 2
    verdict: Literal["verified", "needs_info", "back"]
    by: Person = ""
    trees: Annotated[int, Field(ge=0, le=10**9)] | None = None
    note: Note = ""
    fields: list[Annotated[str, Field(max_length=40)]] = Field(default_factory=list, max_length=20)
    reasons: list[Annotated[str, Field(max_length=40)]] = Field(default_factory=list, max_length=20)


class PlotBody(Body):
    """What was counted in one plot."""

    plot: Annotated[str, Field(min_length=1, max_length=40), AfterValidator(plain_text)]
    planted: Count
    alive: Annotated[int, Field(ge=0, le=10**9)]


class AuditBody(Body):
    """A survival count; `audit` as the order names it, `dead` the numbers of trees where they are told apart."""

    audit: Annotated[str, Field(max_length=200)]
    visited_on: Day
    method: Literal["plots", "census"]
    surveyor: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(plain_text)]
    has_conflict: bool
    plots: list[PlotBody] = Field(min_length=1, max_length=500)
    dead: list[Annotated[str, Field(max_length=40)]] = Field(default_factory=list, max_length=1000)
    by: Person = ""


class ReplacementBody(Body):
    """The count whose missing trees are asked for again."""

    audit: Annotated[str, Field(max_length=200)]
    by: Person = ""


class TargetBody(Body):
    """A batch of another order that claims move to."""

    order: Annotated[str, Field(max_length=40)]
    report_no: Annotated[str, Field(max_length=100)]


class ClosingBody(Body):
    """A proposal to close an order short: `lost` trees by report number; with `move`, where their claims go."""

    by: Person = ""
    note: Text
    remedy: Literal["refund", "move"]
    lost: dict[str, Count] = Field(min_length=1, max_length=100)
    moves: dict[str, TargetBody] = Field(default_factory=dict, max_length=100)


class ByBody(Body):
    """Who acts, where operators have no keys of their own."""

    by: Person = ""


class DisputeBody(Body):
    """Who contests an order, and why."""

    by: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(plain_text)]
    reason: Text


class AnswerBody(Body):
    """The first answer to a dispute."""

    by: Person = ""
    answer: Text


class DecisionBody(Body):
    """How a dispute ends."""

    by: Person = ""
    outcome: Literal["upheld", "dismissed", "settled"]
    note: Text


class DisturbanceBody(Body):
    """What befell a site; `report_no` empty: all of the order."""

    by: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(plain_text)]
    kind: Annotated[str, Field(max_length=20)]
    area_m2: Annotated[int, Field(ge=0, le=10**12)]
    happened_on: Day
    report_no: Annotated[str, Field(max_length=100)] = ""
    hold: bool = False
    note: Note = ""


class InvoiceLineBody(Body):
    """One line of a bill; a negative amount is a credit."""

    text: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(plain_text)]
    amount_minor: Annotated[int, Field(ge=-(10**15), le=10**15)]


class InvoiceBody(Body):
    """A partner's bill for a milestone."""

    by: Annotated[str, Field(min_length=1, max_length=80), AfterValidator(plain_text)]
    milestone: Annotated[str, Field(min_length=1, max_length=40)]
    invoice_no: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(plain_text)]
    lines: list[InvoiceLineBody] = Field(min_length=1, max_length=100)
    tax_minor: Annotated[int, Field(ge=0, le=10**15)] = 0
    due_on: Day


class SettlementBody(Body):
    """Whether a bill is paid or rejected."""

    paid: bool
    reason: Note = ""
    by: Person = ""


class RepaymentBody(Body):
    """What a partner paid back."""

    amount_minor: Minor
    reason: Reason
    by: Person = ""
